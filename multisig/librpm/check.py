# SPDX-License-Identifier: GPL-2.0-or-later
"""One transaction of rpm's before the gate, file by file as the plugin has rpm's front end open them.

The plugin says nothing of where a file lies or what repository it comes from: rpm itself does not know. So the
repository's id is ``@rpm``, and signatures lie beside the file, whose path the kernel tells.

rpm opens the file again later. The plugin sees to it that this is the same file then, unchanged; that nobody but root
can bring other bytes into it in the meantime is looked at here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from concurrent.futures import Future
from typing import Deque, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import rpm

from multisig import approvals, report
from multisig.approvals import Approved
from multisig.config import Config
from multisig.errors import RefusedError, UnreadableError
from multisig.gate import Gate, Judged, Package
from multisig.held import Find, Look
from multisig.journal import Entry, Journal
from multisig.local import find_local
from multisig.openpgp import open_engine
from multisig.pin import Pinner
from multisig.policy import load_policy
from multisig.rpmsettings import examine
from multisig.subjects import Progress
from multisig.verdict import Code, Verdict, refuse

REPOSITORY = "@rpm"
NO_DIGEST = "0" * 64
_AHEAD = 16


class Check:
    """One transaction. ``approved`` is what dnf has judged in it already; ``progress`` is told of work, from threads.

    Any method raises MultisigError where it cannot do its part.
    """

    def __init__(self, config: Config, approved: FrozenSet[Approved], progress: Progress) -> None:
        self._config = config
        self._approved = set(approved)
        self._progress = progress
        self._started = time.monotonic()
        self._source = _Beside()
        self._pinner = Pinner("/", user=0)
        self._running: Deque[Tuple["Future[Judged]", int]] = deque()
        self._judged: List[Judged] = []
        self._decision: Optional[int] = None
        self._journal = Journal(config.journal)
        policy = load_policy(config.policy)
        self._engine = open_engine(config.openpgp)
        self._gate = Gate(policy, self._engine, now=int(time.time()), workers=len(os.sched_getaffinity(0)) + 1)

    def close(self) -> None:
        """End what runs."""
        self._gate.close()
        self._engine.close()

    def present(self, name: str, fd: int) -> str:
        """Begin to judge the file that rpm takes for the package ``name``; the digest of its header.

        ``fd`` is closed here, when all is known of it.
        """
        identity = approvals.identify(fd)
        if identity is not None and identity in self._approved:
            self._approved.discard(identity)
            os.close(fd)
            return identity.header
        package = Package(len(self._judged) + len(self._running), full_name(name), "", REPOSITORY)
        self._running.append((self._begin(package, fd), fd))
        while len(self._running) > _AHEAD:
            self._settle()
        return identity.header if identity is not None else NO_DIGEST

    def conclude(self, flags: int) -> Tuple[bool, str]:
        """Wait for what runs, and record it; whether all is approved, and what there is to say.

        ``flags`` are those of rpm's transaction. Raises RefusedError where it would leave out what was signed.
        """
        settings = examine(flags, rpm.expandMacro)
        if settings.refused:
            raise RefusedError("; ".join(settings.refused))
        while self._running:
            self._settle()
        if not self._judged:
            return True, ""  # dnf has recorded and said what it approved
        verdicts = [item.verdict for item in self._judged]
        accepted = all(verdict.accepted for verdict in verdicts)
        self._record(accepted, settings.recorded)
        if accepted:
            return True, report.acceptance(verdicts, time.monotonic() - self._started)
        return False, report.refusal(verdicts) if self._config.enforcing else report.warning(verdicts)

    def finished(self) -> None:
        """Note in the journal that the transaction went through."""
        if self._decision is not None:
            self._journal.finish(self._decision, time=int(time.time()))

    def _begin(self, package: Package, fd: int) -> "Future[Judged]":
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
            if not self._pinner.is_safe(path, fd):
                return _known(_replaceable(package, path))
            self._source.paths[package.key] = path
            return self._gate.judge_file(fd, path, package, self._source, progress=self._progress)
        except (OSError, UnreadableError) as error:
            return _known(refuse(package.nevra, REPOSITORY, Code.UNREADABLE, str(error)))

    def _settle(self) -> None:
        future, fd = self._running.popleft()
        try:
            self._judged.append(future.result())
        finally:
            os.close(fd)

    def _record(self, accepted: bool, notes: Sequence[str]) -> None:
        entries = [
            Entry(
                item.verdict, getattr(item.digests, "sha256", None), getattr(item.digests, "sha512", None), item.bundle,
                item.attestations,
            )  # fmt: skip
            for item in self._judged
        ]
        policy = self._gate.policy
        self._decision = self._journal.record(
            entries, time=int(time.time()), stage="at hand", mode="enforce" if self._config.enforcing else "warn",
            accepted=accepted, serial=policy.serial, policy=policy.sha256, notes=notes,
        )  # fmt: skip


class _Beside:
    """Bundles beside the files, by the path that each was opened by, and in them."""

    def __init__(self) -> None:
        self.paths: Dict[int, str] = {}

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        found: Dict[int, Find] = {}
        for package in packages if look is Look.BESIDE else ():
            with contextlib.suppress(UnreadableError):
                found[package.key] = find_local(self.paths[package.key])
        return found


def full_name(name: str) -> str:
    """rpm's NAME-[EPOCH:]VERSION-RELEASE.ARCH with the epoch that rpm leaves out."""
    front, _, release = name.rpartition("-")
    front, _, version = front.rpartition("-")
    return f"{front}-{version if ':' in version else '0:' + version}-{release}"


def _replaceable(package: Package, path: str) -> Verdict:
    message = f"others than root could replace {path} before rpm opens it; copy it to where only root can write"
    return refuse(package.nevra, REPOSITORY, Code.UNREADABLE, message)


def _known(verdict: Verdict) -> "Future[Judged]":
    future: "Future[Judged]" = Future()
    future.set_result(Judged(verdict))
    return future
