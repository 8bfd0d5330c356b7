# SPDX-License-Identifier: GPL-2.0-or-later
"""Release statements: of the metadata that a front end resolved by, from the repository's cache or its mirrors."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Set, Tuple

from multisig.bundle import SUFFIX
from multisig.fetching import CACHE, Fetcher, Wanted, read_cached
from multisig.gate import Package
from multisig.held import Look
from multisig.journal import Journal
from multisig.policy import ReleaseRequirement
from multisig.verdict import ReleaseStanding

if TYPE_CHECKING:
    from multisig.metadata import Metadata

_PREFIX = "release-"


class Releases:
    """See repositories.ReleaseSource. ``journal`` is what remembers the releases seen."""

    def __init__(self, fetcher: Fetcher, journal: Journal) -> None:
        self._fetcher = fetcher
        self._journal = journal
        self._repos: Dict[int, str] = {}
        self._metadata: Dict[str, Metadata] = {}
        # What the network has answered once in this transaction is not asked of it again.
        self._asked: Set[str] = set()
        self._noted: List[ReleaseStanding] = []

    def add(self, package: Package) -> None:
        """To be told of every package; no repository is called ``@…``."""
        if not package.repo.startswith("@"):
            self._repos[package.key] = package.repo

    def metadata(self, key: int) -> Optional[Metadata]:
        """Read once in a transaction, from where the front end keeps what it resolved by; or UnreadableError."""
        repo = self._repos.get(key)
        return None if repo is None else self.metadata_of(repo)

    def metadata_of(self, repo: str) -> Metadata:
        """The same for a repository by its id, whether or not any package of it is asked about."""
        if repo not in self._metadata:
            from multisig.metadata import read_metadata

            self._metadata[repo] = read_metadata(self._fetcher.folder(repo), repo)
        return self._metadata[repo]

    def read(self) -> Sequence[Metadata]:
        """What ``metadata`` has read so far."""
        return list(self._metadata.values())

    def release_bundles(self, metadata: Metadata, look: Look) -> Sequence[bytes]:
        """Kept in the cache under the digest of the repomd.xml that they were fetched for, by mirrors as well.

        A front end goes on to the next mirror where one has nothing, or breaks off; where one answers with what is of
        no use, the others have to be asked by name.
        """
        from multisig.metadata import REPOMD

        name = hashlib.sha256(metadata.repomd).hexdigest() + SUFFIX
        folder = os.path.join(metadata.folder, CACHE)
        if look is not Look.MIRRORS:
            kept = read_cached(os.path.join(folder, _PREFIX + name)) if look is Look.BESIDE else None
            if kept is not None or metadata.repo in self._asked:
                return () if kept is None else (kept,)
            self._asked.add(metadata.repo)
            wanted = [Wanted(None, REPOMD + SUFFIX, os.path.join(folder, _PREFIX + name))]
        else:
            wanted = [
                Wanted(mirror, REPOMD + SUFFIX, os.path.join(folder, f"{_PREFIX}{number}-{name}"))
                for number, mirror in enumerate(self._fetcher.mirrors(metadata.repo))
            ]
        found = self._fetcher.fetch(metadata.repo, wanted, f"release statement of {metadata.repo}") if wanted else ()
        raw = [data for data in found if data is not None]
        if raw:
            _forget_others(folder, name)
        return raw

    def note(self, standings: Sequence[Tuple[ReleaseStanding, ReleaseRequirement]], now: int) -> List[str]:
        """Remember the good ones, so that no older one is taken again; what to say of those that are about to end.

        Each once, however often it is called in a transaction. Raises JournalError.
        """
        texts = []
        for standing, asked in standings:
            if standing.good and standing not in self._noted:
                self._noted.append(standing)
                if standing.serial > self.newest_release(standing.repo, standing.channel):
                    self._journal.remember_release(
                        standing.repo, standing.channel, standing.serial, time=now, statement=standing.statement,
                        bundle=standing.bundle,
                    )  # fmt: skip
                from multisig.release import warning

                texts.append(warning(standing, asked, now))
        return [text for text in texts if text is not None]

    def newest_release(self, repo: str, channel: str) -> int:
        """From the journal."""
        return self._journal.newest_release(repo, channel)


def _forget_others(folder: str, name: str) -> None:
    """Remove the statements of metadata that the front end's cache does not hold any more."""
    with contextlib.suppress(OSError):  # what came may have been of no use, and not been kept
        for other in os.listdir(folder):
            if other.startswith(_PREFIX) and not other.endswith(name):
                os.unlink(os.path.join(folder, other))
