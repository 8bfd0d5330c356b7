# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles beside packages, under dnf5: beside local files and in them, from a cache, or from the repository."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple
from urllib.parse import unquote, urlsplit

from multisig.bundle import SUFFIX
from multisig.dnf5.remotes import Remotes, local_path
from multisig.dnf5.talk import COMMANDLINE, Incoming
from multisig.errors import UnreadableError
from multisig.fetching import CACHE, Wanted, read_cached
from multisig.gate import Package
from multisig.held import MAX_MIRRORS, Find, from_mirror, join
from multisig.local import find_local

_AT_ONCE = 8


class Bundles:
    """Bundles beside packages. ``cache`` is dnf5's cachedir; ``urls`` were named on the command line."""

    def __init__(self, remotes: Remotes, cache: str, urls: Sequence[str] = ()) -> None:
        self._remotes = remotes
        self._named = urls
        self._urls: Dict[int, Sequence[str]] = {}
        self._cache = os.path.join(cache, CACHE)
        self._incoming: Dict[int, Incoming] = {}
        self._asked: Set[int] = set()

    def add(self, package: Package, incoming: Incoming) -> Sequence[str]:
        """To be told of every package before it is asked about; the URLs that it may have been named by."""
        self._incoming[package.key] = incoming
        self._urls[package.key] = _urls_of(incoming, self._named)
        return self._urls[package.key]

    def fetch(self, packages: Sequence[Package], *, fresh: bool) -> Mapping[int, Find]:
        """Local bundles are read where they lie; others come from the cache, or where that has none, or ``fresh`` ones
        are asked for, from the network."""
        found: Dict[int, Find] = {}
        asking: List[Tuple[int, Incoming]] = []
        for package in packages:
            incoming = self._incoming[package.key]
            near = None if fresh else self._near(incoming)
            if near is not None:
                found[package.key] = near
            enough = near is not None and (near.bundle is not None or not self._urls[package.key])
            if not enough and not self._remotes.offline and package.key not in self._asked:
                self._asked.add(package.key)
                asking.append((package.key, incoming))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for (key, _), far in zip(asking, pool.map(lambda item: self._far(*item), asking)):
                if far is not None:
                    found[key] = join(found.get(key, Find()), far)
        return found

    def _near(self, incoming: Incoming) -> Optional[Find]:
        """From beside a file that lies on this machine, or from the cache."""
        if incoming.lies_here:
            return self._here(incoming)
        for folder in filter(None, map(local_path, self._remotes.of(incoming.repo).urls)):
            with contextlib.suppress(UnreadableError):
                found = find_local(os.path.join(folder, incoming.location))
                if found != Find():
                    return found
        data = read_cached(self._cached(incoming))
        return None if data is None else Find(bundle=data)

    def _here(self, incoming: Incoming) -> Optional[Find]:
        found: Optional[Find] = None
        with contextlib.suppress(UnreadableError):
            found = find_local(incoming.location)
        if incoming.repo == COMMANDLINE or (found is not None and found.bundle is not None):
            return found
        # An offline transaction is replayed from files that dnf5 stored by themselves. The bundles were kept before.
        kept = read_cached(self._cached(incoming))
        return found if kept is None else join(found or Find(), Find(bundle=kept))

    def _far(self, key: int, incoming: Incoming) -> Optional[Find]:
        """Over the network, and into the cache. Runs in a thread."""
        if incoming.lies_here:
            return self._from_urls(self._urls[key], incoming.location + SUFFIX)
        wanted = Wanted(None, incoming.location + SUFFIX, self._cached(incoming))
        data = self._remotes.fetch_one(self._remotes.of(incoming.repo), wanted)
        return None if data is None else Find(bundle=data)

    def _from_urls(self, urls: Sequence[str], path: str) -> Optional[Find]:
        """From beside the URL that a package was named by, to beside the file that dnf5 has made of it; or from the
        other URLs that it may have been."""
        found: Optional[Find] = None
        for url in urls:
            wanted = Wanted(os.path.dirname(url), published_name(url) + SUFFIX, path)
            data = self._remotes.fetch_one(self._remotes.of(""), wanted)
            if data is not None and found is None:
                found = Find(bundle=data)
            elif data is not None:
                found = join(found or Find(), from_mirror(wanted.base or "", data))
        return found

    def ask_mirrors(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """The repositories' other URLs: ``_far`` stops at the first that sends anything, be it of use or not."""
        incoming = [self._incoming[package.key] for package in packages]
        mirrors = {repo: self._remotes.mirrors(repo) for repo in {item.repo for item in incoming}}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            finds = list(pool.map(lambda item: self._from_mirrors(item, mirrors[item.repo]), incoming))
        return {package.key: found for package, found in zip(packages, finds)}

    def _from_mirrors(self, incoming: Incoming, mirrors: Sequence[str]) -> Find:
        found = Find()
        for number in range(MAX_MIRRORS):
            kept, mirror, data = f"{self._cached(incoming)}.{number}", "", None
            if number < len(mirrors) and not self._remotes.offline and not incoming.lies_here:
                mirror = mirrors[number]
                wanted = Wanted(mirror, incoming.location + SUFFIX, kept)
                data = self._remotes.fetch_one(self._remotes.of(incoming.repo), wanted)
            # Whatever the repository is called when an offline transaction is replayed, and wherever the package lies.
            found = join(found, from_mirror(mirror, read_cached(kept) if data is None else data))
        return found

    def _cached(self, incoming: Incoming) -> str:
        # Not by repository: dnf5 may replay an offline transaction under another id. A wrong one is fetched afresh.
        name = f"{incoming.nevra}\0{os.path.basename(incoming.location)}"
        return os.path.join(self._cache, hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest() + SUFFIX)


def published_name(url: str) -> str:
    """What the package is called where a URL says that it is."""
    return unquote(os.path.basename(urlsplit(url).path))


def _urls_of(incoming: Incoming, urls: Sequence[str]) -> Sequence[str]:
    """Those by which dnf5 may have been told of a file in its cache.

    It calls that DIGITS-NAME, by a digest of the URL that C++ leaves to the library (libdnf5/repo/repo_sack.cpp,
    add_cmdline_packages); NAME is enough, for evidence. A URL with a query says nothing of what lies beside it.
    """
    if incoming.repo != COMMANDLINE:
        return ()
    name = os.path.basename(incoming.location).partition("-")[2]
    same = [url for url in urls if not urlsplit(url).query and name and url.rpartition("/")[2] == name]
    return [url for url in same if url.startswith(("http://", "https://"))][:MAX_MIRRORS]
