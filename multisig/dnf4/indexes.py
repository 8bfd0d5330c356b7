# SPDX-License-Identifier: GPL-2.0-or-later
"""The indexes that dnf downloaded with its repositories' metadata, searched for the packages of a transaction."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Set

import dnf
import dnf.exceptions

from multisig import index
from multisig.errors import MultisigError
from multisig.gate import Package
from multisig.held import Find
from multisig.subjects.prefetch import prefetched
from multisig.unpack import unpacked


class Indexes:
    """Each index is read at most once for all packages that are known by then: unpacking it is what takes time."""

    def __init__(self) -> None:
        self._repos: Dict[str, "dnf.repo.Repo"] = {}
        self._packages: Dict[str, List[Package]] = {}
        self._searched: Dict[int, Find] = {}

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        if not handle._from_cmdline:
            self._repos[package.repo] = handle.repo
            self._packages.setdefault(package.repo, []).append(package)

    def fetch(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """What the repositories' own indexes say of these packages."""
        for repo in dict.fromkeys(package.repo for package in packages if package.key not in self._searched):
            self._search(repo)
        return {package.key: self._searched[package.key] for package in packages if package.key in self._searched}

    def _search(self, repo: str) -> None:
        waiting = [package for package in self._packages.get(repo, []) if package.key not in self._searched]
        path = index_path(self._repos[repo]) if waiting else ""
        if not path:
            return
        self._searched.update(search_for(waiting, path, f"the index of {repo}"))


def index_path(repo: "dnf.repo.Repo") -> str:
    """The file that came with the repository's metadata; "" where none did."""
    return str(repo.get_metadata_path(index.RECORD) or "")


def search_for(packages: Sequence[Package], path: str, shown: str) -> Mapping[int, Find]:
    """What the index at ``path`` says of each package. One that cannot be used is no error: it says nothing, and that
    it did not is noted, with what it is called: ``shown``."""
    names: Set[str] = {package.nevra for package in packages}
    try:
        found = index.search(prefetched(unpacked(path)), names)
    except MultisigError as error:
        return {package.key: Find(notes=(f"{shown}: {error.message}",)) for package in packages}
    return {
        package.key: Find(attestations=found.attestations.get(package.nevra, ()), notes=found.ignored)
        for package in packages
    }
