# SPDX-License-Identifier: GPL-2.0-or-later
"""Indexes, searched for the packages of a transaction: those that dnf downloaded with its repositories' metadata."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

import dnf

from multisig import index
from multisig.errors import MultisigError
from multisig.gate import Package
from multisig.held import Find
from multisig.subjects.prefetch import prefetched
from multisig.unpack import unpacked


class Searches:
    """Reads each index at most once for all packages that are known by then: unpacking it is what takes time."""

    def __init__(self) -> None:
        self._known: Dict[str, List[Package]] = {}
        self._found: Dict[str, Dict[int, Find]] = {}

    def add(self, package: Package) -> None:
        self._known.setdefault(package.repo, []).append(package)

    def find(self, packages: Sequence[Package], path: str, shown: str) -> Mapping[int, Find]:
        """What the index at ``path``, called ``shown``, says of each package."""
        found = self._found.setdefault(path, {})
        if any(package.key not in found for package in packages):
            repos = dict.fromkeys(package.repo for package in packages)
            waiting = [package for repo in repos for package in self._known[repo] if package.key not in found]
            found.update(_search(waiting, path, shown))
        return {package.key: found[package.key] for package in packages}


class Indexes:
    """The repositories' own indexes."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches
        self._repos: Dict[str, "dnf.repo.Repo"] = {}

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        if not handle._from_cmdline:
            self._repos[package.repo] = handle.repo

    def fetch(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """What they say of these packages."""
        found: Dict[int, Find] = {}
        for name, repo in self._repos.items():
            here = [package for package in packages if package.repo == name]
            path = index_path(repo) if here else None
            if path is not None:
                found.update(self._searches.find(here, path, f"the index of {name}"))
        return found


def index_path(repo: "dnf.repo.Repo") -> "str | None":
    """The file that came with the repository's metadata; None where none did."""
    return repo.get_metadata_path(index.RECORD) or None


def _search(packages: Sequence[Package], path: str, shown: str) -> Mapping[int, Find]:
    """One that cannot be used is no error: it says nothing, and that it did not is noted."""
    try:
        found = index.search(prefetched(unpacked(path)), {package.nevra for package in packages})
    except MultisigError as error:
        return {package.key: Find(notes=(f"{shown}: {error.message}",)) for package in packages}
    notes = tuple(f"{shown}: {note}" for note in found.ignored)
    return {
        package.key: Find(attestations=found.attestations.get(package.nevra, ()), notes=notes) for package in packages
    }
