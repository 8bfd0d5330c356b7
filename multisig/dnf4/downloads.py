# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles beside packages, under dnf: beside local files, from the repository's cache, or by its librepo handle."""

from __future__ import annotations

import os
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

import dnf
import dnf.repo

from multisig.bundle import SUFFIX
from multisig.dnf4.fetch import CACHE, Download, fetch_all, read_cached
from multisig.gate import Package
from multisig.held import Find


class Bundles:
    """Bundles by dnf's own means: beside local files, from the repository's cache, or through its librepo handle."""

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
            beside = self._local_path(handle, self._paths[package.key])
            if beside is not None:
                _keep(found, package.key, None if fresh else read_cached(beside))
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

    def _local_path(self, handle: "dnf.package.Package", path: str) -> Optional[str]:
        """Where the bundle of a local file lies; None for packages that come over the network."""
        if handle._from_cmdline:
            return None if path in self._urls else path + SUFFIX
        return path + SUFFIX if handle._is_local_pkg() else None

    def _download(self, handle: "dnf.package.Package", path: str) -> Download:
        if handle._from_cmdline:
            url = self._urls[path]
            name = os.path.basename(url) + SUFFIX
            return Download(self._base.conf._config, os.path.dirname(url), name, path + SUFFIX)
        checksum_type, checksum = handle.returnIdSum()
        directory = os.path.join(handle.repo._repo.getCachedir(), CACHE)
        name = f"{checksum_type}-{checksum}-{os.path.basename(handle.location)}{SUFFIX}"
        location = handle.location + SUFFIX
        return Download(handle.repo._repo, handle.baseurl, location, os.path.join(directory, name))


def _keep(found: Dict[int, Find], key: int, data: Optional[bytes]) -> None:
    if data is not None:
        found[key] = Find(bundle=data)
