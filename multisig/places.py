# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence from elsewhere: the folders and sites that multisig.conf names in [bundles], by repository.

They need no trust, and nothing about them is ever an error: what cannot be had there is not there. A site's files are
kept in the front end's cache, for when it cannot be reached, and for what is carried out offline.
"""

from __future__ import annotations

import hashlib
import os
from typing import Callable, Dict, Mapping, Optional, Protocol, Sequence, Union

from multisig import bundle
from multisig.bundle import SUFFIX
from multisig.config import is_site
from multisig.errors import BundleError, MultisigError
from multisig.fetching import CACHE, RECORD, Fetcher, Wanted, read_cached
from multisig.files import read_if_there
from multisig.gate import Package
from multisig.held import Find, join
from multisig.searching import Searches, kept_index


class _Place(Protocol):
    def index(self) -> Optional[str]:
        """The path of the place's index, at hand; None where it has none. Asked once. Raises MultisigError."""
        ...

    def bundles(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """The files of these names, as far as they are there; at most MAX_BUNDLE + 1 bytes of each."""
        ...


class Places:
    """The places that ``listed`` names for each repository id: absolute paths of folders, and URLs.

    ``cache`` is the front end's, where a site's files are kept.
    """

    def __init__(self, fetcher: Fetcher, cache: str, listed: Mapping[str, Sequence[str]], searches: Searches) -> None:
        self._fetcher = fetcher
        self._cache = cache
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
        return self._searches.find_at(self._indexes[text], packages, f"the index of {text}")

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
            self._places[text] = _Site(self._fetcher, self._cache, text) if is_site(text) else _Folder(text)
        return self._places[text]


class _Folder:
    """A folder, such as a medium that came with bundles on it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def index(self) -> Optional[str]:
        from multisig.metadata import MAX_REPOMD, REPOMD, record_of

        repomd = read_if_there(os.path.join(self._path, REPOMD), MAX_REPOMD)
        record = None if repomd is None else record_of(repomd, RECORD)
        return None if record is None else os.path.join(self._path, record.location)

    def bundles(self, names: Sequence[str]) -> Mapping[str, bytes]:
        raw = {name: read_cached(os.path.join(self._path, name)) for name in names}
        return {name: data for name, data in raw.items() if data is not None}


class _Site:
    """A web site, by the front end's own settings: proxy, TLS, time-outs. Asked for each file once in a transaction."""

    def __init__(self, fetcher: Fetcher, cache: str, url: str) -> None:
        self._fetcher = fetcher
        self._url = url
        self._cache = os.path.join(cache, CACHE, hashlib.sha256(url.encode()).hexdigest()[:32])
        self._has_index = False

    def index(self) -> Optional[str]:
        from multisig.metadata import MAX_REPOMD, REPOMD, record_of

        path = os.path.join(self._cache, os.path.basename(REPOMD))
        self._fetch(REPOMD, path, MAX_REPOMD)
        repomd = read_cached(path, MAX_REPOMD)
        record = None if repomd is None else record_of(repomd, RECORD)
        found = None if record is None else kept_index(self._fetcher, None, [self._url], record, self._cache)
        self._has_index = found is not None
        return found

    def bundles(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """A site that has an index is not asked for bundles one by one."""
        paths = {name: os.path.join(self._cache, name) for name in names}
        if not self._has_index:
            wanted = [Wanted(self._url, name, path) for name, path in paths.items()]
            self._fetcher.fetch(None, wanted, self._what)
        raw = {name: read_cached(path) for name, path in paths.items()}
        return {name: data for name, data in raw.items() if data is not None}

    def _fetch(self, location: str, path: str, limit: int) -> None:
        """Have what can be had come into the cache; what is there already stays where nothing comes."""
        self._fetcher.fetch(None, [Wanted(self._url, location, path, limit)], self._what)

    @property
    def _what(self) -> str:
        return f"signatures from {self._url}"
