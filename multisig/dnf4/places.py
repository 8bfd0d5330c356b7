# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence from elsewhere: the folders and sites that multisig.conf names in [bundles], by repository.

They need no trust, and nothing about them is ever an error: what cannot be had there is not there. A site's files are
kept in dnf's cache, for when it cannot be reached, and for what is carried out offline.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Union

import dnf

from multisig import bundle
from multisig.bundle import SUFFIX
from multisig.config import is_site
from multisig.dnf4.fetch import Download, fetch_all
from multisig.dnf4.indexes import Searches
from multisig.errors import BundleError, MetadataError, MultisigError
from multisig.fetching import CACHE, read_cached
from multisig.files import read_if_there
from multisig.gate import Package
from multisig.held import Find, join
from multisig.index import MAX_INDEX, RECORD
from multisig.metadata import MAX_REPOMD, REPOMD, Record, check_file, parse_repomd


class _Place(Protocol):
    def index(self) -> Optional[str]:
        """The path of the place's index, at hand; None where it has none. Asked once. Raises MultisigError."""
        ...

    def bundles(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """The files of these names, as far as they are there; at most MAX_BUNDLE + 1 bytes of each."""
        ...


class Places:
    """The places that ``listed`` names for each repository id: absolute paths of folders, and URLs."""

    def __init__(self, base: "dnf.Base", listed: Mapping[str, Sequence[str]], searches: Searches) -> None:
        self._base = base
        self._listed = listed
        self._searches = searches
        self._places: Dict[str, _Place] = {}
        self._indexes: Dict[str, Union[str, MultisigError, None]] = {}
        self._names: Dict[int, str] = {}

    def add(self, package: Package, file: str) -> None:
        """``file``: what the package's file is called where it was published."""
        self._names[package.key] = os.path.basename(file) + SUFFIX

    def indexes(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """What the places' indexes say of these packages."""
        return self._each(packages, self._by_index)

    def bundles(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """What lies in the places under names such as ``X.rpm.msig``; no ``X.rpm`` needs to be there."""
        return self._each(packages, self._by_bundle)

    def _each(
        self, packages: Sequence[Package], look: Callable[[str, Sequence[Package]], Mapping[int, Find]]
    ) -> Mapping[int, Find]:
        found: Dict[int, Find] = {}
        for text in dict.fromkeys(text for package in packages for text in self._listed.get(package.repo, ())):
            here = [package for package in packages if text in self._listed.get(package.repo, ())]
            for key, find in look(text, here).items():
                found[key] = join(found.get(key, Find()), find)
        return found

    def _by_index(self, text: str, packages: Sequence[Package]) -> Mapping[int, Find]:
        if text not in self._indexes:
            try:
                self._indexes[text] = self._place(text).index()
            except MultisigError as error:
                self._indexes[text] = error
        found = self._indexes[text]
        if isinstance(found, MultisigError):
            return {package.key: Find(notes=(f"{text}: {found.message}",)) for package in packages}
        return {} if found is None else self._searches.find(packages, found, f"the index of {text}")

    def _by_bundle(self, text: str, packages: Sequence[Package]) -> Mapping[int, Find]:
        found: Dict[int, Find] = {}
        raw = self._place(text).bundles([self._names[package.key] for package in packages])
        for package in packages:
            name = self._names[package.key]
            if name in raw:
                try:
                    found[package.key] = Find(attestations=bundle.parse(raw[name]).attestations)
                except BundleError as error:
                    found[package.key] = Find(notes=(f"{text}/{name}: {error}",))
        return found

    def _place(self, text: str) -> "_Place":
        if text not in self._places:
            self._places[text] = _Site(self._base, text) if is_site(text) else _Folder(text)
        return self._places[text]


class _Folder:
    """A folder, such as a medium that came with bundles on it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def index(self) -> Optional[str]:
        record = _index_record(read_if_there(os.path.join(self._path, REPOMD), MAX_REPOMD))
        return None if record is None else os.path.join(self._path, record.location)

    def bundles(self, names: Sequence[str]) -> Mapping[str, bytes]:
        raw = {name: read_cached(os.path.join(self._path, name)) for name in names}
        return {name: data for name, data in raw.items() if data is not None}


class _Site:
    """A web site, by dnf's own settings: proxy, TLS, time-outs. Asked for each file once in a transaction."""

    def __init__(self, base: "dnf.Base", url: str) -> None:
        self._base = base
        self._url = url
        self._cache = os.path.join(base.conf.cachedir, CACHE, hashlib.sha256(url.encode()).hexdigest()[:32])
        self._has_index = False

    def index(self) -> Optional[str]:
        repomd = os.path.join(self._cache, os.path.basename(REPOMD))
        self._fetch([Download(self._base.conf._config, self._url, REPOMD, repomd, MAX_REPOMD)])
        record = _index_record(read_cached(repomd, MAX_REPOMD))
        if record is None:
            return None
        kept = Record(record.kind, f"{record.checksum.value.hex()}.index", record.checksum)
        path = os.path.join(self._cache, kept.location)
        if not os.path.exists(path):
            self._fetch([Download(self._base.conf._config, self._url, record.location, path, MAX_INDEX)])
            if not os.path.exists(path):
                return None
            self._keep_only(kept)
        self._has_index = True
        return path

    def bundles(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """A site that has an index is not asked for bundles one by one."""
        paths = {name: os.path.join(self._cache, name) for name in names}
        if not self._has_index:
            self._fetch([Download(self._base.conf._config, self._url, name, path) for name, path in paths.items()])
        raw = {name: read_cached(path) for name, path in paths.items()}
        return {name: data for name, data in raw.items() if data is not None}

    def _fetch(self, downloads: List[Download]) -> None:
        """Have what can be had come into the cache; what is there already stays where nothing comes."""
        if downloads and not self._base.conf.cacheonly:
            fetch_all(self._base, downloads, f"signatures from {self._url}")
            for download in downloads:
                download.take()

    def _keep_only(self, kept: Record) -> None:
        """Hold a new index against its checksum; the ones before it are of no use any more."""
        try:
            check_file(self._cache, kept)
        except MultisigError:
            os.unlink(os.path.join(self._cache, kept.location))
            raise
        for name in os.listdir(self._cache):
            if name.endswith(".index") and name != kept.location:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._cache, name))


def _index_record(repomd: Optional[bytes]) -> Optional[Record]:
    """The record of the index, where there is a repomd.xml that has one; raises MetadataError."""
    if repomd is None:
        return None
    if len(repomd) > MAX_REPOMD:
        raise MetadataError("repomd.xml is too large")
    return next((record for record in parse_repomd(repomd) if record.kind == RECORD), None)
