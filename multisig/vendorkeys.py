# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of dnf's repositories: found where their gpgkey says, taken apart, and looked at as a policy would. Pure.

Only local files are read. A key that came over the network on the way proves nothing until somebody has compared its
fingerprint, and that is what the admin has to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple
from urllib.parse import unquote, urlsplit

from multisig.errors import KeyFormatError, MultisigError
from multisig.openpgp.armor import PUBLIC_KEY, armor
from multisig.openpgp.keyfiles import split_keys
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import PublicKey
from multisig.policy import parse_policy
from multisig.policy.standing import counts, key_end
from multisig.text import plain
from multisig.times import day

ReadFile = Callable[[str], bytes]

_SHOWN = 200


@dataclass(frozen=True)
class Repository:
    """A repository as dnf is configured with it. ``key_urls``: its gpgkey; ``gpgcheck``: whether dnf looks at keys."""

    id: str
    name: str
    enabled: bool
    gpgcheck: bool
    key_urls: Tuple[str, ...]


@dataclass(frozen=True)
class VendorKey:
    """A repository's key. ``source``: where it was found; ``file``: what it is to be called beside a policy.

    ``shortfall``: why no signature by it can count, under the requirements that hold where a policy gives none.
    """

    public: PublicKey
    source: str
    file: str
    armored: str
    shortfall: Optional[str]

    @property
    def fingerprint(self) -> str:
        return self.public.fingerprint


@dataclass(frozen=True)
class Findings:
    """A repository, its keys, and in words what is wrong with these or with keys that could not be had."""

    repository: Repository
    keys: Tuple[VendorKey, ...]
    problems: Tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether a signature by some key can count."""
        return any(key.shortfall is None for key in self.keys)


def find_keys(repositories: Sequence[Repository], read_file: ReadFile, now: int) -> Tuple[Findings, ...]:
    """What there is for each repository, at ``now`` (seconds since the epoch).

    ``read_file`` is given a local file's path and returns what it holds, or raises OSError or a MultisigError; it is
    asked once for each.
    """
    finder = _Finder(read_file, now)
    return tuple(finder.findings(repository) for repository in repositories)


def local_path(url: str) -> Optional[str]:
    """The path that a gpgkey names, which may be a URL or a path; None for what lies elsewhere."""
    if url.startswith("/"):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        return None
    return unquote(parts.path)


class _Finder:
    def __init__(self, read_file: ReadFile, now: int) -> None:
        self._read_file = read_file
        self._now = now
        self._sources: Dict[str, Tuple[List[VendorKey], List[str]]] = {}
        self._known: Dict[str, VendorKey] = {}

    def findings(self, repository: Repository) -> Findings:
        keys: Dict[str, VendorKey] = {}
        problems: Dict[str, None] = {}
        for url in dict.fromkeys(repository.key_urls):
            if url not in self._sources:
                self._sources[url] = self._read(url)
            found, wrong = self._sources[url]
            keys.update((key.fingerprint, key) for key in found)
            problems.update(dict.fromkeys(wrong))
        for key in keys.values():
            if key.shortfall is not None:
                problems[f"the key {key.fingerprint} in {key.source} {key.shortfall}"] = None
        return Findings(repository, tuple(keys.values()), tuple(problems))

    def _read(self, url: str) -> Tuple[List[VendorKey], List[str]]:
        path, shown = local_path(url), plain(url)[:_SHOWN]
        if path is None:
            return [], [f"its key is at {shown}, and nothing is fetched here"]
        try:
            pieces = split_keys(self._read_file(path))
        except OSError as error:
            return [], [f"its key {shown} cannot be read: {error.strerror or error}"]
        except MultisigError as error:
            return [], [f"its key {shown}: {error.message}"]
        found, wrong = [], []
        for piece in pieces:
            try:
                found.append(self._keep(piece, shown))
            except KeyFormatError as error:
                wrong.append(f"a key in {shown} cannot be used: {error}")
        return found, wrong

    def _keep(self, piece: bytes, source: str) -> VendorKey:
        """The key, with the same file and source wherever it turns up again."""
        armored = armor(piece, PUBLIC_KEY)
        public = parse_public_key(armored.encode("ascii"))
        if public.fingerprint not in self._known:
            file = f"keys/{_slug(public)}-{public.fingerprint[-8:].lower()}.asc"
            shortfall = _shortfall(public, armored, self._now)
            self._known[public.fingerprint] = VendorKey(public, source, file, armored, shortfall)
        return self._known[public.fingerprint]


def _slug(public: PublicKey) -> str:
    """Part of a file's name that says whose key it is."""
    owner = public.user_ids[0].partition(" <")[0] if public.user_ids else ""
    return re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:40].strip("-") or "key"


def _shortfall(public: PublicKey, armored: str, now: int) -> Optional[str]:
    """By the policy's own reading of a policy that names this key alone."""
    text = (
        "multisig: policy/v1\nserial: 1\nrules:\n"
        f'  - {{name: any, signed-by: [{{fingerprint: "{public.fingerprint}", file: key.asc}}]}}\n'
    )
    policy = parse_policy(text.encode("ascii"), path="key", read_file=lambda name: armored.encode("ascii"))
    for key in policy.rules[0].signed_by or ():
        if counts(key, policy, now):
            return None
        if key.problem is not None:
            return key.problem
        return f"expired on {day(key_end(key, policy) or 0)}"
    return "is not read as a key"
