# SPDX-License-Identifier: GPL-2.0-or-later
"""Release statements under dnf: of the metadata that it resolved by, from the repository's cache or its mirrors."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Dict, List, Optional, Sequence, Set, Tuple

import dnf
import dnf.repo

from multisig.bundle import SUFFIX
from multisig.dnf4.fetch import CACHE, Download, fetch_all, mirrors_of, read_cached
from multisig.gate import Package
from multisig.held import Look
from multisig.journal import Journal
from multisig.metadata import REPOMD, Metadata, read_metadata
from multisig.policy import ReleaseRequirement
from multisig.release import warning
from multisig.verdict import ReleaseStanding

_PREFIX = "release-"


class Releases:
    """See repositories.ReleaseSource. ``journal`` is what remembers the releases seen."""

    def __init__(self, base: "dnf.Base", journal: Journal) -> None:
        self._base = base
        self._journal = journal
        self._repos: Dict[int, "dnf.repo.Repo"] = {}
        self._metadata: Dict[str, Metadata] = {}
        # What the network has answered once in this transaction is not asked of it again.
        self._asked: Set[str] = set()
        self._noted: List[ReleaseStanding] = []

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        if not handle._from_cmdline:
            self._repos[package.key] = handle.repo

    def metadata(self, key: int) -> Optional[Metadata]:
        """Read once in a transaction, from where dnf keeps what it resolved by; or UnreadableError."""
        repo = self._repos.get(key)
        if repo is None:
            return None
        if repo.id not in self._metadata:
            self._metadata[repo.id] = read_metadata(repo._repo.getCachedir(), repo.id)
        return self._metadata[repo.id]

    def release_bundles(self, metadata: Metadata, look: Look) -> Sequence[bytes]:
        """Kept in the cache under the digest of the repomd.xml that they were fetched for, by mirrors as well.

        librepo goes on to the next mirror where one has nothing, or breaks off; where one answers with what is of no
        use, the others have to be asked by name.
        """
        repo = self._base.repos[metadata.repo]
        name = hashlib.sha256(metadata.repomd).hexdigest() + SUFFIX
        folder = os.path.join(metadata.folder, CACHE)
        if look is not Look.MIRRORS:
            kept = read_cached(os.path.join(folder, _PREFIX + name)) if look is Look.BESIDE else None
            if kept is not None or metadata.repo in self._asked:
                return () if kept is None else (kept,)
            self._asked.add(metadata.repo)
            downloads = [Download(repo._repo, None, REPOMD + SUFFIX, os.path.join(folder, _PREFIX + name))]
        else:
            downloads = [
                Download(repo._repo, mirror, REPOMD + SUFFIX, os.path.join(folder, f"{_PREFIX}{number}-{name}"))
                for number, mirror in enumerate(mirrors_of(repo))
            ]
        if not downloads:
            return ()
        if self._base.conf.cacheonly:
            found = [read_cached(download.path) for download in downloads]
        else:
            fetch_all(self._base, downloads, f"release statement of {metadata.repo}")
            found = [download.take() for download in downloads]
            _forget_others(folder, name)
        return [raw for raw in found if raw is not None]

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
                texts.append(warning(standing, asked, now))
        return [text for text in texts if text is not None]

    def newest_release(self, repo: str, channel: str) -> int:
        """From the journal."""
        return self._journal.newest_release(repo, channel)


def _forget_others(folder: str, name: str) -> None:
    """Remove the statements of metadata that dnf's cache does not hold any more."""
    for other in os.listdir(folder):
        if other.startswith(_PREFIX) and not other.endswith(name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, other))
