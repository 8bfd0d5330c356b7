# SPDX-License-Identifier: GPL-2.0-or-later
"""One dnf transaction before the gate: what is planned, the files that rpm is going to open, what is recorded."""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Callable, Deque, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

import dnf
import rpm

from multisig import paths, report
from multisig.config import Config
from multisig.dnf4.fetch import Fetcher
from multisig.dnf4.meter import Meter
from multisig.dnf4.obsoleted import unfounded
from multisig.dnf4.packages import package_of
from multisig.dnf4.sources import Sources
from multisig.errors import RefusedError, UnreadableError
from multisig.gate import Gate, Judged, Package
from multisig.inforce import look_at, record
from multisig.journal import Journal
from multisig.openpgp import open_engine
from multisig.pin import Pinned, Pinner
from multisig.policy import load_policy
from multisig.releasing import Releases
from multisig.rpmsettings import examine
from multisig.text import plain
from multisig.threads import workers
from multisig.verdict import Code

if TYPE_CHECKING:
    from multisig.approvals import Approved

_AHEAD = 16


class Transaction:
    """One dnf transaction. ``urls`` maps a downloaded file's path to its URL; ``say`` takes a line for the user."""

    def __init__(self, base: "dnf.Base", config: Config, urls: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._base = base
        self._config = config
        self._say = say
        self._source = Sources(base, urls, config.bundles)
        self._packages: Dict[int, Package] = {}
        self._handles: Dict[int, "dnf.package.Package"] = {}
        self._pinned: List[Pinned] = []
        self._approved: List[Approved] = []
        self._warned: Set[Tuple[str, str]] = set()
        self._decision: Optional[int] = None
        self._journal = Journal(config.journal)
        self._now = int(time.time())
        policy = load_policy(config.policy)
        self._notices = list(look_at(policy, self._journal, now=self._now, enforcing=config.enforcing))
        self._engine = open_engine(config.openpgp)
        self._releases = Releases(Fetcher(base), self._journal)
        self._gate = Gate(policy, self._engine, now=self._now, workers=workers(), releases=self._releases)

    def judge_planned(self) -> None:
        """Judge what is planned; raises RefusedError before anything is downloaded."""
        while self._notices:
            self._say(f"multisig: {plain(self._notices.pop(0))}")
        judged = self._gate.judge_planned(self._planned(), self._source)
        # dnf's plugin system-upgrade downloads by a test transaction, and goes on after a reboot.
        if self._base.conf.downloadonly or "test" in self._base.conf.tsflags:
            self._gate.look_ahead(self._planned(), self._source)
        self._note_releases()
        if all(item.verdict.accepted for item in judged):
            return
        if self._config.enforcing:
            self._record("planned", judged)
        self._refuse_or_warn(judged, "nothing was downloaded or installed")

    def judge_repositories(self) -> None:
        """Say which repositories' releases are not good, whatever is planned; remember those that are."""
        from multisig.dnf4.overdue import unreleased

        for text in unreleased(self._base, self._gate, self._releases):
            self._say(f"multisig: {plain(text)}")
        self._note_releases()

    def judge_available(self, handles: Iterable["dnf.package.Package"]) -> List[Judged]:
        """What a transaction with these packages would hear before its download. Records and refuses nothing."""
        return self._gate.judge_planned(self._known(handles), self._source)

    def judge_files(self) -> None:
        """Judge the files that rpm is going to open, pin them, record the decision; raises RefusedError."""
        started = time.monotonic()
        packages = self._planned()
        left_out = self._check_rpm(packages)
        judged = self._with_obsoleted(packages, self._judge_files(packages))
        self._note_releases()
        self._decision = self._record("at hand", judged, left_out)
        if left_out:
            self._say(f"multisig: rpm installs {', '.join(left_out)}, as it was told to")
        if all(item.verdict.accepted for item in judged):
            self._say(report.acceptance([item.verdict for item in judged], time.monotonic() - started))
        else:
            self._refuse_or_warn(judged, "nothing was installed")
        self._hand_on()

    def finished(self) -> None:
        """Note in the journal that the transaction went through."""
        if self._decision is not None:
            self._journal.finish(self._decision, time=int(time.time()))

    def close(self) -> None:
        """End what runs, and give up temporary files, pinned copies and what rpm has not taken of the approvals."""
        if self._approved:
            from multisig import approvals

            approvals.revoke(paths.APPROVALS, process=os.getpid())
        self._gate.close()
        self._engine.close()
        while self._pinned:
            self._pinned.pop().close()

    def _planned(self) -> List[Package]:
        """Every package that goes in, whatever the transaction calls it."""
        return self._known(self._base.transaction.install_set)

    def _known(self, handles: Iterable["dnf.package.Package"]) -> List[Package]:
        """The gate's packages for dnf's, sorted by name; for the same one always the same Package."""
        current = {id(handle): handle for handle in handles}
        for key, handle in current.items():
            if key not in self._packages:
                self._packages[key] = package_of(key, handle)
                self._handles[key] = handle
                self._source.add(self._packages[key], handle)
                self._releases.add(self._packages[key])
        return sorted((self._packages[key] for key in current), key=lambda package: package.nevra)

    def _judge_files(self, packages: Sequence[Package]) -> List[Judged]:
        copies = self._base.conf.cachedir
        os.makedirs(copies, exist_ok=True)
        pinner = Pinner(copies, user=os.geteuid())
        sizes = [self._size(package) for package in packages]
        meter = Meter(self._base, "verifying packages", sum(sizes))
        judged: List[Judged] = []
        running: "Deque[Tuple[Future[Judged], Pinned, Optional[Approved], int]]" = deque()
        self._approved = []
        asked_again = _has_rpm_plugin()

        def settle() -> None:
            future, pinned, identity, size = running.popleft()
            judged.append(future.result())
            if identity is not None and judged[-1].verdict.accepted:
                self._approved.append(identity)
            if not pinned.copied:
                pinned.close()
                self._pinned.remove(pinned)
            meter.add(size)

        for package, size in zip(packages, sizes):
            handle = self._handles[package.key]
            path = handle.localPkg()
            pinned = pinner.pin(path)
            self._pinned.append(pinned)
            # From here on dnf, and rpm through it, opens what is judged below, and nothing else.
            handle.localPkg = lambda pinned=pinned: pinned.path
            identity = _identify(pinned) if asked_again else None
            future = self._gate.judge_file(pinned.fd, path, package, self._source)
            running.append((future, pinned, identity, size))
            if len(running) > _AHEAD:
                settle()
        while running:
            settle()
        meter.end()
        return judged

    def _with_obsoleted(self, packages: Sequence[Package], judged: Sequence[Judged]) -> List[Judged]:
        """The same, with refusals where dnf is about to remove something that no package obsoletes by its own header,
        of those that the metadata say do."""
        found = list(judged)
        for gone in unfounded(self._base, (self._handles[package.key].localPkg() for package in packages)):
            text = f"the metadata say that it obsoletes {gone}, which would be removed; the package itself does not"
            blamed = [place for place, package in enumerate(packages) if gone.name in package.obsoletes]
            for place in blamed or range(len(packages)):
                found[place] = found[place].refused(Code.CONTENT_MISMATCH, text)
        return found

    def _hand_on(self) -> None:
        """Tell librpm's plugin what was approved: of the repositories that packages come from it knows nothing."""
        if self._approved:
            from multisig import approvals

            try:
                approvals.grant(paths.APPROVALS, self._approved, process=os.getpid())
            except UnreadableError as error:
                self._say(f"multisig: rpm's plugin will judge once more, as approvals cannot be left for it: {error}")

    def _size(self, package: Package) -> int:
        try:
            return os.stat(self._handles[package.key].localPkg()).st_size
        except OSError:
            return 0

    def _check_rpm(self, packages: Sequence[Package]) -> Tuple[str, ...]:
        """What rpm is about to do is what was planned, and it does all of it; says what is left out on purpose.

        1. No flag and no macro leaves out signed files, or rpm's own checks. 2. What rpm was told to install, by
        headers that it read before now, is what is about to be judged. 3. It takes nothing away but what dnf planned
        to: rpm adds what a package's header obsoletes by itself.
        """
        transaction = self._base._ts
        settings = examine(transaction.getTsFlags(), rpm.expandMacro)
        if settings.refused:
            raise RefusedError(f"multisig: refused; nothing was installed: {plain('; '.join(settings.refused))}")
        expected = sorted(package.nevra for package in packages)
        found = sorted(_element_nevra(element) for element in transaction if element.Type() == _TR_ADDED)
        if found != expected:
            odd = sorted(set(found) ^ set(expected)) or found
            raise RefusedError(
                f"multisig: refused; rpm's transaction is not the one that was planned: {plain(', '.join(odd))}"
            )
        planned = {handle.idx for handle in self._base.transaction.remove_set}
        removed = [element for element in transaction if element.Type() == _TR_REMOVED]
        odd = sorted(_element_nevra(element) for element in removed if element.DBOffset() not in planned)
        if odd:
            raise RefusedError(
                f"multisig: refused; rpm would also remove what dnf did not announce: {plain(', '.join(odd))}"
            )
        return settings.recorded

    def _note_releases(self) -> None:
        for text in self._releases.note(self._gate.release_standings(), self._now):
            self._say(f"multisig: {plain(text)}")

    def _record(self, stage: str, judged: Sequence[Judged], notes: Sequence[str] = ()) -> int:
        return record(
            self._journal, self._gate, judged, stage=stage, enforcing=self._config.enforcing, time=int(time.time()),
            notes=notes,
        )  # fmt: skip

    def _refuse_or_warn(self, judged: Sequence[Judged], consequence: str) -> None:
        verdicts = [item.verdict for item in judged]
        if self._config.enforcing:
            raise RefusedError(report.refusal(verdicts, consequence=consequence))
        refused = {(verdict.name, verdict.message) for verdict in verdicts if not verdict.accepted}
        if not refused <= self._warned:
            self._say(report.warning(verdicts))
        self._warned |= refused


_TR_ADDED, _TR_REMOVED = 1, 2  # rpmte.h


def _element_nevra(element: "rpm.te") -> str:
    return f"{element.N()}-{element.E() or 0}:{element.V()}-{element.R()}.{element.A()}"


def _identify(pinned: Pinned) -> Optional[Approved]:
    from multisig.approvals import identify

    return identify(pinned.fd)


def _has_rpm_plugin() -> bool:
    """Whether librpm is going to ask its plugin of this project (rpm-plugin/) as well."""
    return bool(rpm.expandMacro("%{?__transaction_multisig}"))
