# SPDX-License-Identifier: GPL-2.0-or-later
"""How dnf5's repositories are reached: libdnf5 hands its download to no other program.

So this asks for files itself, with the settings of the repository that matter for it: base URLs, proxy, user and
password, certificates; and it reads the mirror list or metalink that libdnf5 has put beside a repository's metadata.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import ssl
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Callable, Dict, List, Optional, Sequence, Tuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from multisig.dnf5 import offline
from multisig.errors import MetadataError, UnreadableError
from multisig.fetching import Wanted, others, read_cached
from multisig.held import MAX_MIRRORS
from multisig.mirrorlists import MAX_LIST, mirrors_of_list, mirrors_of_metalink

_TIMEOUT = 15.0  # seconds without a byte
_DEADLINE = 60.0  # seconds for one file, and as many more as its limit takes at _SLOWEST
_SLOWEST = 128 << 10  # bytes a second
_AT_ONCE = 8
_MOST_MIRRORS = 1 + MAX_MIRRORS  # of a mirror list or metalink; what these do not have is not there
_SILENT = 2  # so often without an answer, and an address is asked after all others
_BLOCK = 1 << 16
# Of a repository's cache: so many digits of a digest follow its id (libdnf5/repo/config_repo.cpp, get_unique_id).
_DIGITS = 16

#: A setting of a repository by its name, or of [main] where the repository is empty; None where it is not set.
Settings = Callable[[str, str], Optional[str]]


@dataclass(frozen=True)
class Remote:
    """Where a repository's files may be asked for, and how."""

    urls: Tuple[str, ...]
    opener: urllib.request.OpenerDirector
    authorization: Optional[str]


class Remotes:
    """See fetching.Fetcher. ``cacheonly``: nothing is asked of the network."""

    def __init__(self, settings: Settings, *, cacheonly: bool) -> None:
        self._settings = settings
        self._remotes: Dict[str, Remote] = {}
        self._silent: Counter[str] = Counter()
        self.cacheonly = cacheonly

    def of(self, repo: str) -> Remote:
        """How to reach a repository; where it has no id, anything else. Raises UnreadableError."""
        if repo not in self._remotes:
            self._remotes[repo] = self._ask_for_remote(repo)
        return self._remotes[repo]

    def folder(self, repo: str) -> str:
        """See fetching.Fetcher: the one folder that libdnf5 means, whatever others are left of earlier addresses.

        Where an offline transaction is replayed, repositories have no address: then what was kept when it was stored.
        Raises UnreadableError where dnf5 names no cache.
        """
        address = self.address(repo)
        if address is None:
            return self.kept_folder(repo)
        digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
        return os.path.join(self._cache(repo), f"{repo}-{digest}")

    def address(self, repo: str) -> Optional[str]:
        """What libdnf5 names a repository's folder after; None where it replays what was stored of it."""
        found = (self._settings(name, repo) for name in ("metalink", "mirrorlist"))
        return next(filter(None, (*found, *self._base_urls(repo)[:1])), None)

    def kept_folder(self, repo: str) -> str:
        """Where ``folder`` is kept for an offline transaction. Raises UnreadableError."""
        return offline.kept_folder(self._cache(repo), repo)

    def _cache(self, repo: str) -> str:
        cache = self._settings("cachedir", repo) or self._settings("cachedir", "") or ""
        if not os.path.isabs(cache):
            raise UnreadableError(f"dnf5 does not say where it keeps the metadata of {repo}")
        return cache

    def mirrors(self, repo: str) -> Sequence[str]:
        """See fetching.Fetcher."""
        return others(self.of(repo).urls)

    def fetch(self, repo: Optional[str], wanted: Sequence[Wanted], what: str) -> Sequence[Optional[bytes]]:
        """See fetching.Fetcher. ``what`` is not shown: dnf5 leaves no line for it."""
        if self.cacheonly:
            return [read_cached(item.path, item.limit) for item in wanted]
        remote = self.of(repo or "")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda item: self.fetch_one(remote, item), wanted))

    def fetch_one(self, remote: Remote, wanted: Wanted) -> Optional[bytes]:
        """As ``fetch``. Where there is no base URL, the first of the repository's that sends anything, be it of use or
        not, has had its say."""
        urls = remote.urls if wanted.base is None else (wanted.base,)
        for url in sorted(urls, key=lambda url: self._silent[url] >= _SILENT):
            try:
                data = _download(_below(url, wanted.location), remote, wanted.limit)
            except TimeoutError:
                self._silent[url] += 1
                continue
            if data is not None:
                if len(data) <= wanted.limit:
                    keep(wanted.path, data)
                return data
        return None

    def _base_urls(self, repo: str) -> Sequence[str]:
        return tuple(filter(None, re.split(r"[,\s]+", self._settings("baseurl", repo) or "")))

    def _mirrors(self, repo: str) -> Sequence[str]:
        """Some of a mirror list or metalink, as it was when libdnf5 last asked for metadata."""
        if not self._settings("metalink", repo) and not self._settings("mirrorlist", repo):
            return ()
        with contextlib.suppress(MetadataError, UnreadableError):
            for name, parse in (("metalink.xml", mirrors_of_metalink), ("mirrorlist", mirrors_of_list)):
                data = read_cached(os.path.join(self.folder(repo), name), MAX_LIST)
                if data is not None:
                    return parse(data)[:_MOST_MIRRORS]
        return ()

    def _ask_for_remote(self, repo: str) -> Remote:
        def setting(name: str) -> str:
            return self._settings(name, repo) or ""

        urls = (*self._base_urls(repo), *self._mirrors(repo)) if repo and not repo.startswith("@") else ()
        handlers: List[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=_context(setting))]
        proxy = setting("proxy")
        if proxy:
            user, password = setting("proxy_username"), setting("proxy_password")
            proxy = _with_user(proxy, user, password) if user else proxy
            handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
        user = setting("username")
        pair = base64.b64encode(f"{user}:{setting('password')}".encode()).decode("ascii") if user else None
        authorization = f"Basic {pair}" if pair else None
        return Remote(urls, urllib.request.build_opener(*handlers), authorization)


def local_path(url: str) -> Optional[str]:
    """The path that a URL of this machine's own files names; None for any other URL."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url if os.path.isabs(url) else None


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


def _download(url: str, remote: Remote, limit: int) -> Optional[bytes]:
    """What lies at the URL, at most ``limit`` bytes and one more; None where it cannot be had, for whatever reason.

    Raises TimeoutError where the server says nothing, or not all of it in time.
    """
    path = local_path(url)
    if path is not None:
        return read_cached(path, limit)
    ends = time.monotonic() + _DEADLINE + limit / _SLOWEST
    parts: List[bytes] = []
    size = 0
    try:
        request = urllib.request.Request(url)
        if remote.authorization is not None:
            request.add_unredirected_header("Authorization", remote.authorization)
        with remote.opener.open(request, timeout=_TIMEOUT) as response:
            while size <= limit and time.monotonic() < ends:
                part = response.read1(min(_BLOCK, limit + 1 - size))
                if not part:
                    return None if response.length else b"".join(parts)  # cut off: read1 does not say so
                parts.append(part)
                size += len(part)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            raise TimeoutError from None
        return None
    if size > limit:
        return b"".join(parts)
    raise TimeoutError


def keep(path: str, data: bytes) -> None:
    """Into the cache, which may be full, or another's. Not synced: what a crash leaves half written is of no use, and
    fetched afresh."""
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        fd, arriving = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(fd, "wb") as stream:
                os.fchmod(fd, 0o644)
                stream.write(data)
            os.replace(arriving, path)
        except OSError:
            os.unlink(arriving)


def _below(url: str, location: str) -> str:
    return f"{url.rstrip('/')}/{quote(location)}"


def _with_user(proxy: str, user: str, password: str) -> str:
    parts = urlsplit(proxy)
    pair = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{pair}@{parts.netloc.rpartition('@')[2]}"))
