# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles beside packages, under dnf5: beside local files and in them, from a cache, or from the repository."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple
from urllib.parse import unquote, urlsplit

from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.dnf5.remotes import Remote, Remotes, keep, local_path
from multisig.dnf5.talk import COMMANDLINE, Incoming
from multisig.errors import UnreadableError
from multisig.fetching import CACHE, Wanted, read_cached
from multisig.gate import Package
from multisig.held import MAX_MIRRORS, Find, from_mirror, join
from multisig.local import find_local

_AT_ONCE = 8
_LONGEST = 80


class Bundles:
    """Bundles beside packages. ``cache`` is dnf5's cachedir; ``urls`` were named on the command line.

    ``storing``: the packages are to be installed later, from another folder.
    """

    def __init__(self, remotes: Remotes, cache: str, urls: Sequence[str] = (), *, storing: bool = False) -> None:
        self._remotes = remotes
        self._storing = storing
        self._named = urls
        self._urls: Dict[int, Sequence[str]] = {}
        self._cache = os.path.join(cache, CACHE)
        self._incoming: Dict[int, Incoming] = {}
        self._asked: Set[int] = set()

    def add(self, package: Package, incoming: Incoming) -> Sequence[str]:
        """To be told of every package before it is asked about; the URLs that it may have been named by."""
        self._incoming[package.key] = incoming
        self._urls[package.key] = _urls_of(incoming, self._named, os.path.dirname(self._cache))
        return self._urls[package.key]

    def fetch(self, packages: Sequence[Package], *, fresh: bool) -> Mapping[int, Find]:
        """Local bundles are read where they lie; others come from the cache, or where that has none, or ``fresh`` ones
        are asked for, from the network."""
        found: Dict[int, Find] = {}
        asking: List[Tuple[int, Incoming, Remote]] = []
        for package in packages:
            incoming = self._incoming[package.key]
            near = None if fresh else self._near(incoming)
            if near is not None:
                found[package.key] = near
                self._store(incoming, near.bundle)
            enough = near is not None and (near.bundle is not None or not self._urls[package.key])
            if not enough and not self._remotes.cacheonly and package.key not in self._asked:
                self._asked.add(package.key)
                # Not in a thread: dnf5 is asked about one thing at a time.
                asking.append((package.key, incoming, self._remotes.of("" if incoming.lies_here else incoming.repo)))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for (key, _, _), far in zip(asking, pool.map(lambda item: self._far(*item), asking)):
                if far is not None:
                    found[key] = join(found.get(key, Find()), far)
        return found

    def _near(self, incoming: Incoming) -> Optional[Find]:
        """From beside a file that lies on this machine, or from the cache."""
        data = read_cached(self._cached(incoming))
        kept = None if data is None else Find(bundle=data)
        if incoming.lies_here:
            with contextlib.suppress(UnreadableError):
                return join(find_local(incoming.location), kept or Find())
            return kept
        for folder in filter(None, map(local_path, self._remotes.of(incoming.repo).urls)):
            with contextlib.suppress(UnreadableError):
                found = find_local(os.path.join(folder, incoming.location))
                if found != Find():
                    return found
        return kept

    def _far(self, key: int, incoming: Incoming, remote: Remote) -> Optional[Find]:
        """Over the network, and into the cache. Runs in a thread."""
        if incoming.lies_here:
            return self._from_urls(self._urls[key], incoming, remote)
        wanted = Wanted(None, incoming.location + SUFFIX, self._cached(incoming))
        data = self._remotes.fetch_one(remote, wanted)
        return None if data is None else Find(bundle=data)

    def _from_urls(self, urls: Sequence[str], incoming: Incoming, remote: Remote) -> Optional[Find]:
        """From beside the URL that a package was named by, to beside the file that dnf5 has made of it; or from the
        other URLs that it may have been."""
        found: Optional[Find] = None
        for url in urls:
            wanted = Wanted(os.path.dirname(url), published_name(url) + SUFFIX, incoming.location + SUFFIX)
            data = self._remotes.fetch_one(remote, wanted)
            if data is not None and found is None:
                found = Find(bundle=data)
                self._store(incoming, data)
            elif data is not None:
                found = join(found or Find(), from_mirror(wanted.base or "", data))
        return found

    def ask_mirrors(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """The repositories' other URLs: ``_far`` stops at the first that sends anything, be it of use or not."""
        incoming = [self._incoming[package.key] for package in packages]
        repos = {item.repo for item in incoming}
        mirrors = {repo: (self._remotes.mirrors(repo), self._remotes.of(repo)) for repo in repos}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            finds = list(pool.map(lambda item: self._from_mirrors(item, *mirrors[item.repo]), incoming))
        return {package.key: found for package, found in zip(packages, finds)}

    def _from_mirrors(self, incoming: Incoming, mirrors: Sequence[str], remote: Remote) -> Find:
        found = Find()
        for number in range(MAX_MIRRORS):
            kept, mirror, data = self._cached(incoming, f"mirror{number}-"), "", None
            if number < len(mirrors) and not self._remotes.cacheonly and not incoming.lies_here:
                mirror = mirrors[number]
                wanted = Wanted(mirror, incoming.location + SUFFIX, kept)
                data = self._remotes.fetch_one(remote, wanted)
            # The mirrors are not known when an offline transaction is replayed.
            found = join(found, from_mirror(mirror, read_cached(kept) if data is None else data))
        return found

    def _store(self, incoming: Incoming, data: Optional[bytes]) -> None:
        """Keep what lies beside a file for when that lies elsewhere."""
        if self._storing and data is not None and len(data) <= MAX_BUNDLE:
            keep(self._cached(incoming), data)

    def _cached(self, incoming: Incoming, mirror: str = "") -> str:
        # The same when an offline transaction is replayed, which may be under another id, and a name that ``multisig
        # gather`` knows. A wrong one is fetched afresh. What a repository calls it may be as long as names can be.
        name = os.path.basename(incoming.location)
        known = "\0".join((incoming.nevra, name, *([COMMANDLINE] if incoming.repo == COMMANDLINE else [])))
        digest = hashlib.sha256(known.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._cache, f"{mirror}sha256-{digest}-{name[-_LONGEST:]}{SUFFIX}")


def published_name(url: str) -> str:
    """What the package is called where a URL says that it is."""
    return unquote(os.path.basename(urlsplit(url).path))


def _urls_of(incoming: Incoming, urls: Sequence[str], cache: str) -> Sequence[str]:
    """Those by which dnf5 may have been told of a file in its ``cache``, and of no other file.

    It lies in ``@commandline-DIGITS/packages`` and is called DIGITS-NAME, by a digest of the URL that C++ leaves to the
    library (libdnf5/repo/repo_sack.cpp, add_cmdline_packages); NAME is enough, for evidence. A URL with a query says
    nothing of what lies beside it.
    """
    folder, file = os.path.split(incoming.location)
    digits, _, name = file.partition("-")
    if incoming.repo != COMMANDLINE or os.path.dirname(os.path.dirname(folder)) != cache or not (digits and name):
        return ()
    same = [url for url in urls if not urlsplit(url).query and url.rpartition("/")[2] == name]
    return [url for url in same if url.startswith(("http://", "https://"))][:MAX_MIRRORS]
