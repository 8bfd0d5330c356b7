# SPDX-License-Identifier: GPL-2.0-or-later
"""Indexes, obtained for a front end, and searched for the packages of a transaction.

What reads them is imported once there is one: a transaction without pays nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence, Union

from multisig.errors import MetadataError, MultisigError, UnreadableError
from multisig.fetching import Fetcher, Wanted
from multisig.gate import Package
from multisig.held import Find, join

if TYPE_CHECKING:
    from multisig.metadata import Record

_KEPT, _ARRIVING = ".index", ".part"


class Searches:
    """Reads each index at most once for all packages that are known by then: unpacking it is what takes time."""

    def __init__(self) -> None:
        self._known: Dict[str, List[Package]] = {}
        self._found: Dict[str, Dict[int, Find]] = {}

    def add(self, package: Package) -> None:
        self._known.setdefault(package.repo, []).append(package)

    def find_at(
        self, path: Union[str, MultisigError, None], packages: Sequence[Package], shown: str
    ) -> Mapping[int, Find]:
        """What the index, called ``shown``, says of each package: at that path, or it says why it is at none."""
        if isinstance(path, MultisigError):
            return {package.key: Find(notes=(f"{shown}: {path.message}",)) for package in packages}
        return {} if path is None else self._find(packages, path, shown)

    def _find(self, packages: Sequence[Package], path: str, shown: str) -> Mapping[int, Find]:
        found = self._found.setdefault(path, {})
        if any(package.key not in found for package in packages):
            repos = dict.fromkeys(package.repo for package in packages)
            waiting = [package for repo in repos for package in self._known[repo] if package.key not in found]
            found.update(_search(waiting, path, shown))
        return {package.key: found[package.key] for package in packages}


class Indexes:
    """The repositories' own indexes. ``path_of`` gives a repository's; None where it has none; or MultisigError."""

    def __init__(self, searches: Searches, path_of: Callable[[str], Optional[str]]) -> None:
        self._searches = searches
        self._path_of = path_of
        self._paths: Dict[str, Union[str, MultisigError, None]] = {}

    def fetch(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """What they say of these packages; no repository is called ``@…``."""
        found: Dict[int, Find] = {}
        for repo in dict.fromkeys(package.repo for package in packages if not package.repo.startswith("@")):
            here = [package for package in packages if package.repo == repo]
            found.update(self._searches.find_at(self._path(repo), here, f"the index of {repo}"))
        return found

    def _path(self, repo: str) -> Union[str, MultisigError, None]:
        if repo not in self._paths:
            try:
                self._paths[repo] = self._path_of(repo)
            except MultisigError as error:
                self._paths[repo] = error
        return self._paths[repo]


def join_all(one: Mapping[int, Find], other: Mapping[int, Find]) -> Mapping[int, Find]:
    """What two looks brought, by Package.key, as one."""
    return {key: join(one.get(key, Find()), other.get(key, Find())) for key in {**one, **other}}


def kept_index(
    fetcher: Fetcher, repo: Optional[str], bases: Sequence[Optional[str]], record: Record, folder: str
) -> Optional[str]:
    """The path of the index that a record names: in ``folder``, where it is kept, or fetched into it.

    ``bases`` are tried as fetching.Wanted.base, in their order, until one has it. None where it cannot be had;
    MetadataError where what came is another file. What is kept is held against its checksum each time: a loss of power
    may have left something else under its name.
    """
    from multisig.index import MAX_INDEX
    from multisig.metadata import check_file

    path = os.path.join(folder, record.checksum.value.hex() + _KEPT)
    kept = record._replace(location=os.path.basename(path), opened=None)
    arriving = kept._replace(location=kept.location + _ARRIVING)
    with suppress(MetadataError, UnreadableError):
        check_file(folder, kept)
        return path
    problem: Optional[MetadataError] = None
    for base in bases:
        wanted = Wanted(base, record.location, path + _ARRIVING, MAX_INDEX)
        if fetcher.fetch(repo, [wanted], f"index of {repo or base}") == [None] or not os.path.exists(wanted.path):
            continue
        try:
            check_file(folder, arriving)
        except MetadataError as error:
            problem = error
            os.unlink(wanted.path)
            continue
        os.replace(wanted.path, path)
        _forget_others(folder, path)
        return path
    if problem is not None:
        raise problem
    return None


def _forget_others(folder: str, path: str) -> None:
    """The indexes of before are of no use any more."""
    for name in os.listdir(folder):
        if name.endswith(_KEPT) and name != os.path.basename(path):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))


def _search(packages: Sequence[Package], path: str, shown: str) -> Mapping[int, Find]:
    """One that cannot be used is no error: it says nothing, and that it did not is noted."""
    from multisig import index
    from multisig.subjects.prefetch import prefetched
    from multisig.unpack import unpacked

    try:
        found = index.search(prefetched(unpacked(path)), {package.nevra for package in packages})
    except MultisigError as error:
        return {package.key: Find(notes=(f"{shown}: {error.message}",)) for package in packages}
    notes = tuple(f"{shown}: {note}" for note in found.ignored)
    return {
        package.key: Find(attestations=found.attestations.get(package.nevra, ()), notes=notes) for package in packages
    }
