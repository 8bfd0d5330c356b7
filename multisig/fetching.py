# SPDX-License-Identifier: GPL-2.0-or-later
"""What front ends fetch small files of evidence with: each has its own means, and all of them keep to this."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence

from multisig.bundle import MAX_BUNDLE
from multisig.errors import UnreadableError
from multisig.files import read_if_there
from multisig.held import MAX_MIRRORS
from multisig.namedtuples import NamedTuple

CACHE = "multisig"
"""The folder in a front end's cache, or in a repository's there, that is multisig's."""

RECORD = "multisig"
"""The type of an index in repomd.xml."""


class Wanted(NamedTuple):
    """A file to fetch, of at most ``limit`` bytes, and the ``path`` at which it is kept from then on.

    ``location`` is below the URL ``base``; where that is None, below whichever of its repository's URLs is taken first.
    """

    base: Optional[str]
    location: str
    path: str
    limit: int = MAX_BUNDLE


class Fetcher(Protocol):
    """A front end's own means, by its own settings. What cannot be had is not there, and never an error."""

    def folder(self, repo: str) -> str:
        """Where the metadata lie that the front end uses of the repository; ``repodata`` is in there."""
        ...

    def mirrors(self, repo: str) -> Sequence[str]:
        """Some other URLs of the repository, at most MAX_MIRRORS: see ``others``."""
        ...

    def fetch(self, repo: Optional[str], wanted: Sequence[Wanted], what: str) -> Sequence[Optional[bytes]]:
        """What comes of each file, at most one byte more than its limit, or None; what is within its limit is kept.

        Fetched as from the repository, or where that is None from anywhere. ``what`` is shown where it takes long.
        Where nothing may be asked of the network, what was kept before.
        """
        ...


def others(urls: Sequence[str]) -> Sequence[str]:
    """Those of a repository's URLs to ask by name, where there is more than one: the first one, most likely asked
    already, last."""
    web = list(dict.fromkeys(url.rstrip("/") for url in urls if url.startswith(("http://", "https://"))))
    return [*web[1:], *web[:1]][:MAX_MIRRORS] if len(web) > 1 else []


def read_cached(path: str, limit: int = MAX_BUNDLE) -> Optional[bytes]:
    """A file's bytes, at most one more than ``limit``; None where there is none that can be read."""
    try:
        return read_if_there(path, limit)
    except UnreadableError:
        return None
