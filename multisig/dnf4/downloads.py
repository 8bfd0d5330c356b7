# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles beside packages, under dnf: beside local files, from the repository's cache, or by its librepo handle."""

from __future__ import annotations

import os
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

import dnf
import dnf.repo

from multisig.bundle import SUFFIX
from multisig.dnf4.fetch import Download, fetch_all, mirrors_of
from multisig.errors import UnreadableError
from multisig.fetching import CACHE, read_cached
from multisig.gate import Package
from multisig.held import Find, from_mirror, join

_MIRROR = "mirror"
_LONGEST = 80


class Bundles:
    """Bundles by dnf's own means: beside local files and in them, from the repository's cache, or through its librepo
    handle."""

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str]) -> None:
        self._base = base
        self._urls = urls
        self._handles: Dict[int, "dnf.package.Package"] = {}
        self._paths: Dict[int, str] = {}
        # What the network has answered once in this transaction is not asked of it again.
        self._asked: Set[int] = set()

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        self._handles[package.key] = handle
        # Before anything is pinned: the bundle lies beside the file itself.
        self._paths[package.key] = handle.localPkg()

    def fetch(self, packages: Sequence[Package], *, fresh: bool) -> Mapping[int, Find]:
        """Local bundles are read where they lie; others come from the cache, or where that has none, or ``fresh`` ones
        are asked for, from the network."""
        found: Dict[int, Find] = {}
        remote: List[Tuple[int, Download]] = []
        for package in packages:
            handle = self._handles[package.key]
            if self._is_local(handle, self._paths[package.key]):
                if not fresh:
                    found[package.key] = _brought_along(self._paths[package.key])
                continue
            download = self._download(handle, self._paths[package.key])
            if not fresh:
                _keep(found, package.key, read_cached(download.path))
            if package.key not in found and package.key not in self._asked and not self._base.conf.cacheonly:
                self._asked.add(package.key)
                remote.append((package.key, download))
        if remote:
            what = f"signatures of {len(remote)} package{'s' if len(remote) > 1 else ''}"
            fetch_all(self._base, [download for _, download in remote], what)
        for key, download in remote:
            _keep(found, key, download.take())
        return found

    def ask_mirrors(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """Ask several mirrors of each package's repository, whichever it was that librepo had the bundle from.

        librepo goes on to the next mirror where one has nothing, or breaks off: not where one answers with what is of
        no use. With ``--cacheonly`` what they answered before counts.
        """
        asked: List[Tuple[int, str, Download]] = []
        for package in packages:
            handle, path = self._handles[package.key], self._paths[package.key]
            if handle._from_cmdline or handle.baseurl or self._is_local(handle, path):
                continue
            for number, mirror in enumerate(mirrors_of(handle.repo)):
                kept = self._download(handle, path).path
                kept = os.path.join(os.path.dirname(kept), f"{_MIRROR}{number}-{os.path.basename(kept)}")
                location = handle.location + SUFFIX
                asked.append((package.key, mirror, Download(handle.repo._repo, mirror, location, kept)))
        if asked and not self._base.conf.cacheonly:
            fetch_all(self._base, [download for _, _, download in asked], "signatures from other mirrors")
            for _, _, download in asked:
                download.take()
        found: Dict[int, Find] = {}
        for key, mirror, download in asked:
            found[key] = join(found.get(key, Find()), from_mirror(mirror, read_cached(download.path)))
        return found

    def _is_local(self, handle: "dnf.package.Package", path: str) -> bool:
        """Whether the package lies on this machine, and its bundle beside it or in it; others come over the network."""
        return path not in self._urls if handle._from_cmdline else bool(handle._is_local_pkg())

    def _download(self, handle: "dnf.package.Package", path: str) -> Download:
        if handle._from_cmdline:
            url = self._urls[path]
            name = os.path.basename(url) + SUFFIX
            return Download(self._base.conf._config, os.path.dirname(url), name, path + SUFFIX)
        checksum_type, checksum = handle.returnIdSum()
        directory = os.path.join(handle.repo._repo.getCachedir(), CACHE)
        # The checksum tells it from others; what a repository calls the file may be as long as a name can be.
        name = f"{checksum_type}-{checksum}-{os.path.basename(handle.location)[-_LONGEST:]}{SUFFIX}"
        location = handle.location + SUFFIX
        return Download(handle.repo._repo, handle.baseurl, location, os.path.join(directory, name))


def _keep(found: Dict[int, Find], key: int, data: Optional[bytes]) -> None:
    if data is not None:
        found[key] = Find(bundle=data)


def _brought_along(path: str) -> Find:
    from multisig.local import find_local

    try:
        return find_local(path)
    except UnreadableError:
        return Find()
