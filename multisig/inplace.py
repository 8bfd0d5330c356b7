# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges files where they lie, for front ends that cannot be told to open a private copy instead.

So a file that others than root could change or replace before rpm opens it is refused. What is approved is identified
as well, so that it can be handed on, or compared with what rpm opens (see approvals.py).
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future
from typing import Deque, List, Optional, Sequence, Tuple

from multisig import approvals
from multisig.approvals import Approved
from multisig.errors import UnreadableError
from multisig.gate import EvidenceSource, Gate, Judged, Package
from multisig.namedtuples import NamedTuple
from multisig.pin import Pinner
from multisig.subjects import Progress
from multisig.verdict import Code, Verdict, refuse

_AHEAD = 16


class Outcome(NamedTuple):
    """What was found of a file, and which file it is; without an identity, it is no RPM that rpm accepts."""

    judged: Judged
    identity: Optional[Approved]


class InPlace:
    """The files of one transaction. ``progress`` is told of work, from threads."""

    def __init__(self, gate: Gate, source: EvidenceSource, *, progress: Optional[Progress] = None) -> None:
        self._gate = gate
        self._source = source
        self._progress = progress
        self._pinner = Pinner("/", user=0)
        self._running: Deque[Tuple["Future[Judged]", int, Optional[Approved]]] = deque()
        self._outcomes: List[Outcome] = []

    def begin(self, package: Package, fd: int, path: str) -> Optional[Approved]:
        """Begin to judge the file at ``fd``, which is closed when that is done; what identifies the file.

        ``path`` is where the file really lies, no link on the way. Raises UnreadableError where another file, begun
        before, cannot be read to its end.
        """
        identity = approvals.identify(fd)
        self._running.append((self._judge(package, fd, path), fd, identity))
        while len(self._running) > _AHEAD:
            self._settle()
        return identity

    def outcomes(self) -> Sequence[Outcome]:
        """Wait for all that was begun; in its order. Raises UnreadableError."""
        while self._running:
            self._settle()
        return self._outcomes

    def _judge(self, package: Package, fd: int, path: str) -> "Future[Judged]":
        try:
            if not self._pinner.is_safe(path, fd):
                return _known(_replaceable(package, path))
            return self._gate.judge_file(fd, path, package, self._source, progress=self._progress)
        except (OSError, UnreadableError) as error:
            return _known(refuse(package.nevra, package.repo, Code.UNREADABLE, str(error)))

    def _settle(self) -> None:
        future, fd, identity = self._running.popleft()
        try:
            self._outcomes.append(Outcome(future.result(), identity))
        finally:
            os.close(fd)


def real_path(fd: int) -> str:
    """Where the kernel says that an open file lies; raises OSError without /proc."""
    return os.readlink(f"/proc/self/fd/{fd}")


def _replaceable(package: Package, path: str) -> Verdict:
    message = f"others than root could replace {path} before rpm opens it; copy it to where only root can write"
    return refuse(package.nevra, package.repo, Code.UNREADABLE, message)


def _known(verdict: Verdict) -> "Future[Judged]":
    future: "Future[Judged]" = Future()
    future.set_result(Judged(verdict))
    return future
