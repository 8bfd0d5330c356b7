# SPDX-License-Identifier: GPL-2.0-or-later
"""Transactions that dnf5 stores now and carries out after a restart, where there is no network.

Facts that this leans on (dnf 5.4): a stored transaction is resolved and downloaded like any other, and rpm is not
begun. ``dnf5 offline _execute`` replays it: repositories have their ids and no address then, packages lie in a folder
of its own, ``cacheonly`` is ``all``; goal_resolved and pre_transaction run as ever.
"""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import suppress
from typing import FrozenSet

from multisig.errors import UnreadableError
from multisig.fetching import CACHE
from multisig.metadata import REPOMD

# By these dnf5 downloads what is to be installed by another process; by all but the first as an offline transaction.
_DOWNLOADING = frozenset(("--downloadonly",))
_STORING = frozenset(("--offline", "--store", "offline-upgrade", "offline-distrosync", "system-upgrade"))
_REPLAYING = frozenset(("offline", "_execute"))
_MOST = 1 << 20


def words_of(process: int) -> FrozenSet[str]:
    """The words of a process's command line, options without their values; none where it cannot be read.

    Good for what to keep, and for no decision.
    """
    try:
        with open(f"/proc/{process}/cmdline", "rb") as stream:
            words = stream.read(_MOST).decode("utf-8", "replace").split("\0")
    except OSError:
        return frozenset()
    return frozenset(word.partition("=")[0] for word in words)


def downloads(words: FrozenSet[str]) -> bool:
    """Whether what is resolved now is to be installed later, by whatever transaction."""
    return bool(words & (_DOWNLOADING | _STORING))


def stores(words: FrozenSet[str]) -> bool:
    """Whether it is to be installed by an offline transaction."""
    return bool(words & _STORING)


def replays(words: FrozenSet[str]) -> bool:
    """Whether what was stored is being installed."""
    return words >= _REPLAYING


def kept_folder(cache: str, repo: str) -> str:
    """Where the metadata of a repository are kept, as they were when a transaction was stored."""
    return os.path.join(cache, CACHE, f"offline-{repo}")


def keep(folder: str, kept: str) -> None:
    """Keep what ``folder`` holds of a repository's metadata and of the evidence about them, in the place of what was
    kept before. By links: dnf5 replaces files and changes none. Raises UnreadableError.
    """
    try:
        shutil.rmtree(kept, ignore_errors=True)
        for name in (os.path.dirname(REPOMD), CACHE):
            there = os.path.join(folder, name)
            if os.path.isdir(there):
                os.makedirs(os.path.join(kept, name))
                for entry in os.scandir(there):
                    if entry.is_file(follow_symlinks=False):
                        os.link(entry.path, os.path.join(kept, name, entry.name))
    except OSError as error:
        raise UnreadableError(f"cannot be kept for later: {error.strerror}", path=folder) from None


def forget(cache: str) -> None:
    """What was stored is done."""
    if not os.path.isabs(cache):
        return
    for folder in glob.glob(os.path.join(glob.escape(cache), CACHE, "offline-*")):
        with suppress(OSError):
            shutil.rmtree(folder)
