# SPDX-License-Identifier: GPL-2.0-or-later
"""Repositories as folders: the one that a file lies in, with its release statements beside its repomd.xml."""

from __future__ import annotations

import os
from typing import Dict, Optional, Sequence

from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.files import read_if_there
from multisig.held import Look
from multisig.journal import Journal
from multisig.metadata import REPOMD, Metadata, read_metadata


def repository_above(path: str) -> Optional[str]:
    """The nearest folder that the file lies in, at whatever depth, and that is a repository; None where none is."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.lexists(os.path.join(folder, REPOMD)):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


def release_path(folder: str) -> str:
    """Where the bundle of a repository's release statements lies."""
    return os.path.join(folder, REPOMD + SUFFIX)


class Folders:
    """Release statements of the repositories that files lie in; see repositories.ReleaseSource.

    ``repo`` is what the repositories are called, by their folders where it is None; ``journal`` remembers earlier
    releases, where one is given.
    """

    def __init__(self, repo: Optional[str], journal: Optional[Journal] = None) -> None:
        self._repo = repo
        self._journal = journal
        self._folders: Dict[int, Optional[str]] = {}
        self._metadata: Dict[str, Metadata] = {}

    def add(self, key: int, path: str) -> None:
        self._folders[key] = repository_above(path)

    def metadata(self, key: int) -> Optional[Metadata]:
        """Of the repository that the file added under ``key`` lies in; UnreadableError where it cannot be read."""
        folder = self._folders.get(key)
        if folder is None:
            return None
        if folder not in self._metadata:
            self._metadata[folder] = read_metadata(folder, self._repo or folder)
        return self._metadata[folder]

    def release_bundles(self, metadata: Metadata, look: Look) -> Sequence[bytes]:
        """The file beside repomd.xml; there is no other."""
        raw = read_if_there(release_path(metadata.folder), MAX_BUNDLE) if look is Look.BESIDE else None
        return () if raw is None else (raw,)

    def newest_release(self, repo: str, channel: str) -> int:
        return 0 if self._journal is None else self._journal.newest_release(repo, channel)
