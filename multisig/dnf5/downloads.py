# SPDX-License-Identifier: GPL-2.0-or-later
"""Where bundles come from under dnf5: from folders of [bundles], from beside local files and in them, from a cache, or
from the repository's base URLs.

libdnf5 hands its download to no other program. So this asks for ``<URL of the RPM>.msig`` itself, with the settings of
the repository that matter for it: base URLs, proxy, user and password, certificates. Mirror lists and metalinks are not
asked: what is only known by those needs its bundles elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from types import MappingProxyType
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.config import is_site
from multisig.dnf5.talk import Incoming
from multisig.errors import UnreadableError
from multisig.files import read_if_there, write_whole
from multisig.folders import find_in_folders
from multisig.gate import Package
from multisig.held import MAX_MIRRORS, Find, Look, from_mirror, join
from multisig.local import find_local

_CACHE = "multisig"
_TIMEOUT = 15.0  # seconds without a byte
_DEADLINE = 60.0  # seconds for one bundle
_AT_ONCE = 8
_BLOCK = 1 << 16
_NO_PLACES: Mapping[str, Sequence[str]] = MappingProxyType({})

#: A setting of a repository by its name; None where it is not set.
Settings = Callable[[str, str], Optional[str]]


@dataclass(frozen=True)
class _Remote:
    """Where a repository's bundles may be asked for, and how."""

    urls: Tuple[str, ...]
    opener: urllib.request.OpenerDirector
    authorization: Optional[str]


class Bundles:
    """The gate's EvidenceSource. ``cache`` is dnf5's cachedir; ``offline``: nothing is asked of the network.

    ``places`` are those of [bundles], by repository; sites among them are not asked.
    """

    def __init__(
        self, settings: Settings, cache: str, *, offline: bool, places: Mapping[str, Sequence[str]] = _NO_PLACES
    ) -> None:
        self._settings = settings
        self._cache = os.path.join(cache, _CACHE)
        self._offline = offline
        self._places = places
        self._incoming: Dict[int, Incoming] = {}
        self._remotes: Dict[str, _Remote] = {}
        self._asked: Set[int] = set()

    def package(self, incoming: Incoming) -> Package:
        """The gate's package for dnf5's, which this knows from now on."""
        key = len(self._incoming)
        self._incoming[key] = incoming
        return Package(key, incoming.nevra, incoming.name, incoming.repo)

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if look is Look.PLACES:
            return {package.key: self._elsewhere(self._incoming[package.key]) for package in packages}
        if look is Look.MIRRORS:
            return self._ask_mirrors(packages)
        if look not in (Look.BESIDE, Look.AFRESH):
            return {}
        found: Dict[int, Find] = {}
        asking: List[Tuple[int, Incoming, _Remote]] = []
        for package in packages:
            incoming = self._incoming[package.key]
            remote = self._remote(incoming.repo)
            near = None if look is Look.AFRESH else self._near(incoming, remote)
            if near is not None:
                found[package.key] = near
            elif remote.urls and not self._offline and package.key not in self._asked:
                self._asked.add(package.key)
                asking.append((package.key, incoming, remote))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for (key, _, _), data in zip(asking, pool.map(lambda item: self._far(item[1], item[2]), asking)):
                if data is not None:
                    found[key] = Find(bundle=data)
        return found

    def _elsewhere(self, incoming: Incoming) -> Find:
        folders = [place for place in self._places.get(incoming.repo, ()) if not is_site(place)]
        return find_in_folders(folders, os.path.basename(incoming.location))

    def _near(self, incoming: Incoming, remote: _Remote) -> Optional[Find]:
        """From beside a file that lies on this machine, or from the cache."""
        if incoming.lies_here:
            with contextlib.suppress(UnreadableError):
                return find_local(incoming.location)
            return None
        for url in remote.urls:
            parts = urlsplit(url)
            if parts.scheme == "file":
                with contextlib.suppress(UnreadableError):
                    found = find_local(os.path.join(unquote(parts.path), incoming.location))
                    if found != Find():
                        return found
        data = _read(self._cached(incoming))
        return None if data is None else Find(bundle=data)

    def _far(self, incoming: Incoming, remote: _Remote) -> Optional[bytes]:
        """Over the network, and into the cache. Runs in a thread."""
        for url in remote.urls:
            if urlsplit(url).scheme == "file":
                continue
            data = _download(_below(url, incoming.location + SUFFIX), remote)
            if data is not None:
                self._keep(self._cached(incoming), data)
                return data
        return None

    def _ask_mirrors(self, packages: Sequence[Package]) -> Mapping[int, Find]:
        """The repositories' other URLs: ``_far`` stops at the first that sends anything, be it of use or not."""
        incoming = [self._incoming[package.key] for package in packages]
        remotes = [self._remote(item.repo) for item in incoming]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            finds = list(pool.map(self._from_mirrors, incoming, remotes))
        return {package.key: found for package, found in zip(packages, finds)}

    def _from_mirrors(self, incoming: Incoming, remote: _Remote) -> Find:
        found = Find()
        urls = [url for url in remote.urls if urlsplit(url).scheme != "file"]
        for number in range(1, 1 + MAX_MIRRORS):
            kept, data = f"{self._cached(incoming)}.{number}", None
            if number < len(urls) and not self._offline:
                data = _download(_below(urls[number], incoming.location + SUFFIX), remote)
            if data is not None:
                self._keep(kept, data)
            # Whatever the repository is called when an offline transaction is replayed.
            found = join(found, from_mirror("".join(urls[number : number + 1]), _read(kept) if data is None else data))
        return found

    def _keep(self, path: str, data: bytes) -> None:
        with contextlib.suppress(OSError, UnreadableError):
            os.makedirs(self._cache, exist_ok=True)
            write_whole(path, data)

    def _cached(self, incoming: Incoming) -> str:
        # Not by repository: dnf5 replays an offline transaction under another id. A wrong one is fetched afresh.
        name = f"{incoming.nevra}\0{os.path.basename(incoming.location)}"
        return os.path.join(self._cache, hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest() + SUFFIX)

    def _remote(self, repo: str) -> _Remote:
        if repo not in self._remotes:
            self._remotes[repo] = self._ask_for_remote(repo)
        return self._remotes[repo]

    def _ask_for_remote(self, repo: str) -> _Remote:
        def setting(name: str) -> str:
            return self._settings(name, repo) or ""

        urls = () if repo.startswith("@") else tuple(filter(None, re.split(r"[,\s]+", setting("baseurl"))))
        handlers: List[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=_context(setting))]
        proxy = setting("proxy")
        if proxy:
            user, password = setting("proxy_username"), setting("proxy_password")
            proxy = _with_user(proxy, user, password) if user else proxy
            handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
        user = setting("username")
        pair = base64.b64encode(f"{user}:{setting('password')}".encode()).decode("ascii") if user else None
        authorization = f"Basic {pair}" if pair else None
        return _Remote(urls, urllib.request.build_opener(*handlers), authorization)


def _context(setting: Callable[[str], str]) -> ssl.SSLContext:
    """As the repository wants it. Bundles need no trust, so one that wants no verification loses nothing here."""
    try:
        context = ssl.create_default_context(cafile=setting("sslcacert") or None)
        if setting("sslverify") == "0":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if setting("sslclientcert"):
            context.load_cert_chain(setting("sslclientcert"), setting("sslclientkey") or None)
    except (OSError, ssl.SSLError) as error:
        raise UnreadableError(f"the repository's certificates cannot be used: {error}") from None
    return context


def _download(url: str, remote: _Remote) -> Optional[bytes]:
    """What lies at the URL, at most MAX_BUNDLE bytes and one more; None where it cannot be had, for whatever reason."""
    request = urllib.request.Request(url)
    if remote.authorization is not None:
        request.add_unredirected_header("Authorization", remote.authorization)
    ends = time.monotonic() + _DEADLINE
    data = b""
    try:
        with remote.opener.open(request, timeout=_TIMEOUT) as response:
            while len(data) <= MAX_BUNDLE and time.monotonic() < ends:
                part = response.read1(min(_BLOCK, MAX_BUNDLE + 1 - len(data)))
                if not part:
                    return None if response.length else data  # cut off: read1 does not say so
                data += part
    except (OSError, ValueError, HTTPException):
        return None
    return data if len(data) > MAX_BUNDLE else None


def _below(url: str, location: str) -> str:
    return f"{url.rstrip('/')}/{quote(location)}"


def _with_user(proxy: str, user: str, password: str) -> str:
    parts = urlsplit(proxy)
    pair = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{pair}@{parts.netloc.rpartition('@')[2]}"))


def _read(path: str) -> Optional[bytes]:
    try:
        return read_if_there(path, MAX_BUNDLE)
    except UnreadableError:
        return None
