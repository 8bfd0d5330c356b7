# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf 4's side of the gate: what the transaction holds, where bundles come from, what rpm is told to open.

Facts about dnf that this leans on (dnf 4.14, libdnf 0.69): hooks ``resolved`` and ``pre_transaction`` of dnf.Plugin;
``base.transaction.install_set``; ``libdnf.repo.PackageTarget`` with a byte range, which downloads through the
repository's own librepo handle; rpm opens ``pkg.localPkg()`` again after ``pre_transaction``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from concurrent.futures import Future
from typing import Callable, Deque, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import dnf
import dnf.callback
import dnf.repo
import libdnf
import rpm

from multisig import report
from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.config import Config, load_config
from multisig.errors import RefusedError, UnreadableError
from multisig.files import read_if_there
from multisig.gate import Gate, Judged, Package
from multisig.journal import Entry, Journal
from multisig.openpgp import GpgvEngine
from multisig.pin import Pinned, Pinner
from multisig.policy import load_policy
from multisig.text import plain

CACHE = "multisig"
_A_MOMENT = 0.7
_AHEAD = 16


class Hooks:
    """What the plugin calls: dnf's hooks, under the mode that multisig.conf sets.

    Enforcing, every error is the caller's to turn into a refusal. In warn mode nothing is refused: what would have
    been, and whatever went wrong on the way, is said.
    """

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._base = base
        self._urls = urls
        self._say = say
        self._config = load_config(base.conf.pluginconfpath)
        self._transaction: Optional[Transaction] = None
        self._said: Set[str] = set()

    def resolved(self) -> None:
        """The transaction is planned, nothing downloaded."""
        self._call(lambda transaction: transaction.judge_planned())

    def pre_transaction(self) -> None:
        """The files are there; rpm opens them next."""
        self._call(lambda transaction: transaction.judge_files())

    def finished(self) -> None:
        """The transaction went through."""
        self._call(lambda transaction: transaction.finished())

    def close(self) -> None:
        """Give up temporary files and pinned copies."""
        if self._transaction is not None:
            self._transaction.close()

    def _call(self, step: Callable[["Transaction"], None]) -> None:
        try:
            if self._transaction is None:
                self._transaction = Transaction(self._base, self._config, self._urls, self._say)
            step(self._transaction)
        except Exception as error:
            if self._config.enforcing:
                raise
            text = f"multisig: would have refused (mode = warn): {plain(str(error))}"
            if text not in self._said:
                self._said.add(text)
                self._say(text)


class Transaction:
    """One dnf transaction. ``urls`` maps a downloaded file's path to its URL; ``say`` takes a line for the user."""

    def __init__(self, base: "dnf.Base", config: Config, urls: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._base = base
        self._config = config
        self._say = say
        self._source = Bundles(base, urls)
        self._packages: Dict[int, Package] = {}
        self._handles: Dict[int, "dnf.package.Package"] = {}
        self._pinned: List[Pinned] = []
        self._warned: Set[Tuple[str, str]] = set()
        self._decision: Optional[int] = None
        self._journal = Journal(config.journal)
        policy = load_policy(config.policy)
        self._engine = GpgvEngine()
        self._gate = Gate(policy, self._engine, now=int(time.time()), workers=_workers())

    def judge_planned(self) -> None:
        """Judge what is planned; raises RefusedError before anything is downloaded."""
        judged = self._gate.judge_planned(self._planned(), self._source)
        if all(item.verdict.accepted for item in judged):
            return
        if self._config.enforcing:
            self._record("planned", judged)
        self._refuse_or_warn(judged, "nothing was downloaded or installed")

    def judge_files(self) -> None:
        """Judge the files that rpm is going to open, pin them, record the decision; raises RefusedError."""
        started = time.monotonic()
        packages = self._planned()
        self._check_elements(packages)
        judged = self._judge_files(packages)
        self._decision = self._record("at hand", judged)
        if all(item.verdict.accepted for item in judged):
            self._say(report.acceptance([item.verdict for item in judged], time.monotonic() - started))
        else:
            self._refuse_or_warn(judged, "nothing was installed")

    def finished(self) -> None:
        """Note in the journal that the transaction went through."""
        if self._decision is not None:
            self._journal.finish(self._decision, time=int(time.time()))

    def close(self) -> None:
        """End what runs, and give up temporary files and pinned copies."""
        self._gate.close()
        self._engine.close()
        while self._pinned:
            self._pinned.pop().close()

    def _planned(self) -> List[Package]:
        """Every package that goes in, whatever the transaction calls it; for the same one always the same Package."""
        for handle in self._base.transaction.install_set:
            key = id(handle)
            if key not in self._packages:
                self._packages[key] = _package(key, handle)
                self._handles[key] = handle
                self._source.add(self._packages[key], handle)
        current = {id(handle) for handle in self._base.transaction.install_set}
        return sorted((self._packages[key] for key in current), key=lambda package: package.nevra)

    def _judge_files(self, packages: Sequence[Package]) -> List[Judged]:
        copies = self._base.conf.cachedir
        os.makedirs(copies, exist_ok=True)
        pinner = Pinner(copies, user=os.geteuid())
        sizes = [self._size(package) for package in packages]
        meter = _Meter(self._base, "verifying packages", sum(sizes))
        judged: List[Judged] = []
        running: "Deque[Tuple[Future[Judged], Pinned, int]]" = deque()

        def settle() -> None:
            future, pinned, size = running.popleft()
            judged.append(future.result())
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
            running.append((self._gate.judge_file(pinned.fd, path, package, self._source), pinned, size))
            if len(running) > _AHEAD:
                settle()
        while running:
            settle()
        meter.end()
        return judged

    def _size(self, package: Package) -> int:
        try:
            return os.stat(self._handles[package.key].localPkg()).st_size
        except OSError:
            return 0

    def _check_elements(self, packages: Sequence[Package]) -> None:
        """What rpm was told to install, by headers it read before now, is what is about to be judged."""
        expected = sorted(package.nevra for package in packages)
        found = sorted(_element_nevra(element) for element in self._base._ts if element.Type() == _TR_ADDED)
        if found != expected:
            odd = sorted(set(found) ^ set(expected)) or found
            raise RefusedError(
                f"multisig: refused; rpm's transaction is not the one that was planned: {plain(', '.join(odd))}"
            )

    def _record(self, stage: str, judged: Sequence[Judged]) -> int:
        entries = [
            Entry(
                item.verdict, getattr(item.digests, "sha256", None), getattr(item.digests, "sha512", None), item.bundle
            )
            for item in judged
        ]
        policy = self._gate.policy
        return self._journal.record(
            entries, time=int(time.time()), stage=stage, mode="enforce" if self._config.enforcing else "warn",
            accepted=all(item.verdict.accepted for item in judged), serial=policy.serial, policy=policy.sha256,
        )  # fmt: skip

    def _refuse_or_warn(self, judged: Sequence[Judged], consequence: str) -> None:
        verdicts = [item.verdict for item in judged]
        if self._config.enforcing:
            raise RefusedError(report.refusal(verdicts, consequence=consequence))
        refused = {(verdict.name, verdict.message) for verdict in verdicts if not verdict.accepted}
        if not refused <= self._warned:
            self._say(report.warning(verdicts))
        self._warned |= refused


class Bundles:
    """Bundles by dnf's own means: beside local files, from the repository's cache, or through its librepo handle."""

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str]) -> None:
        self._base = base
        self._urls = urls
        self._handles: Dict[int, "dnf.package.Package"] = {}
        self._paths: Dict[int, str] = {}
        # What the network has answered once in this transaction is not asked of it again.
        self._asked: Set[int] = set()

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        self._handles[package.key] = handle
        # Before anything is pinned: the bundle lies beside the file itself.
        self._paths[package.key] = handle.localPkg()

    def fetch(self, packages: Sequence[Package], *, fresh: bool) -> Mapping[int, bytes]:
        """See gate.BundleSource. Local ones are read where they lie; others from the cache, or if ``fresh`` anew."""
        found: Dict[int, bytes] = {}
        remote: List[Tuple[int, "_Download"]] = []
        for package in packages:
            handle = self._handles[package.key]
            beside = self._local_path(handle, self._paths[package.key])
            if beside is not None:
                _keep(found, package.key, None if fresh else _read(beside))
                continue
            download = self._download(handle, self._paths[package.key])
            if not fresh:
                _keep(found, package.key, _read(download.path))
            if package.key not in found and package.key not in self._asked and not self._base.conf.cacheonly:
                self._asked.add(package.key)
                remote.append((package.key, download))
        self._fetch_all([download for _, download in remote])
        for key, download in remote:
            _keep(found, key, download.take())
        return found

    def _local_path(self, handle: "dnf.package.Package", path: str) -> Optional[str]:
        """Where the bundle of a local file lies; None for packages that come over the network."""
        if handle._from_cmdline:
            return None if path in self._urls else path + SUFFIX
        return path + SUFFIX if handle._is_local_pkg() else None

    def _download(self, handle: "dnf.package.Package", path: str) -> "_Download":
        if handle._from_cmdline:
            url = self._urls[path]
            return _Download(self._base.conf._config, os.path.dirname(url), os.path.basename(url), path + SUFFIX)
        checksum_type, checksum = handle.returnIdSum()
        directory = os.path.join(handle.repo._repo.getCachedir(), CACHE)
        name = f"{checksum_type}-{checksum}-{os.path.basename(handle.location)}{SUFFIX}"
        return _Download(handle.repo._repo, handle.baseurl, handle.location, os.path.join(directory, name))

    def _fetch_all(self, downloads: Sequence["_Download"]) -> None:
        if not downloads:
            return
        meter = _Meter(self._base, f"signatures of {len(downloads)} package{'s' if len(downloads) > 1 else ''}")
        targets = []
        for download in downloads:
            os.makedirs(os.path.dirname(download.path), exist_ok=True)
            targets.append(download.target(meter))
        # Not fail-fast: the downloads that worked are there; what is missing is judged as missing.
        with contextlib.suppress(RuntimeError):
            libdnf.repo.PackageTarget.downloadPackages(libdnf.repo.VectorPPackageTarget(targets), False)
        meter.end()


class _Download:
    """One bundle on its way: ``<rpm's URL>.msig`` into a file of the cache."""

    def __init__(self, handle: object, base_url: Optional[str], location: str, path: str) -> None:
        self._handle = handle
        self._base_url = base_url
        self._location = location
        self.path = path
        # libdnf keeps no reference to a target's callbacks.
        self._callbacks: Optional["_Callbacks"] = None

    def target(self, meter: "_Meter") -> "libdnf.repo.PackageTarget":
        self._callbacks = _Callbacks(meter)
        # The range is librepo's only limit on size; one byte more than allowed shows what is too long.
        return libdnf.repo.PackageTarget(
            self._handle, self._location + SUFFIX, self._arriving, 0, None, 0, self._base_url, False, 0, MAX_BUNDLE,
            self._callbacks,
        )  # fmt: skip

    def take(self) -> Optional[bytes]:
        """What arrived, kept in the cache if a bundle could look like it; None where nothing did."""
        if self._callbacks is None or not self._callbacks.succeeded:
            _remove(self._arriving)
            return None
        data = _read(self._arriving)
        if data is not None and len(data) <= MAX_BUNDLE:
            # Not synced: what a crash leaves half written is malformed, and fetched afresh.
            os.replace(self._arriving, self.path)
        else:
            _remove(self._arriving)
        return data

    @property
    def _arriving(self) -> str:
        return self.path + ".part"


class _Callbacks(libdnf.repo.PackageTargetCB):  # type: ignore[misc]
    def __init__(self, meter: "_Meter") -> None:
        super().__init__()
        self._meter = meter
        self._done = 0
        self.succeeded = False

    def end(self, status: int, message: str) -> int:
        self.succeeded = status == self.TransferStatus_SUCCESSFUL
        return 0

    def progress(self, total: float, done: float) -> int:
        self._meter.add(int(done) - self._done)
        self._done = int(done)
        return 0

    def mirrorFailure(self, message: str, url: str) -> int:
        return 0


class _Meter(dnf.callback.Payload):  # type: ignore[misc]
    """dnf's own progress bar, one line for many small things; shown only where they take longer than a moment.

    ``size`` is the total in bytes, 0 where it is not known.
    """

    def __init__(self, base: "dnf.Base", text: str, size: int = 0) -> None:
        output = getattr(base, "output", None)
        super().__init__(output.progress if output is not None else dnf.callback.NullDownloadProgress())
        self._text = f"multisig: {text}"
        self._size = size
        self._done = 0
        self._since = time.monotonic()
        self._shown = False

    def __str__(self) -> str:
        return self._text

    @property
    def download_size(self) -> int:
        return max(self._size, self._done)

    def add(self, size: int) -> None:
        self._done += size
        if not self._shown and time.monotonic() - self._since > _A_MOMENT:
            self._shown = True
            self.progress.start(1, self._size)
        if self._shown:
            self.progress.progress(self, self._done)

    def end(self) -> None:
        if self._shown:
            self.progress.end(self, dnf.callback.STATUS_OK, None)


_TR_ADDED = 1  # rpmte.h


def _package(key: int, handle: "dnf.package.Package") -> Package:
    nevra = f"{handle.name}-{handle.epoch or 0}:{handle.version}-{handle.release}.{handle.arch}"
    obsoletes = tuple(str(relation).split(" ")[0] for relation in handle.obsoletes)
    return Package(key, nevra, handle.name, handle.reponame, obsoletes)


def _element_nevra(element: "rpm.te") -> str:
    return f"{element.N()}-{element.E() or 0}:{element.V()}-{element.R()}.{element.A()}"


def _keep(found: Dict[int, bytes], key: int, data: Optional[bytes]) -> None:
    if data is not None:
        found[key] = data


def _read(path: str) -> Optional[bytes]:
    try:
        return read_if_there(path, MAX_BUNDLE)
    except UnreadableError:
        return None


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _workers() -> int:
    # One more than there are processors: each waits for its gpgv's start and end.
    return len(os.sched_getaffinity(0)) + 1
