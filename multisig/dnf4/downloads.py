# SPDX-License-Identifier: GPL-2.0-or-later
"""Where bundles come from under dnf: beside local files, from the repository's cache, or by its librepo handle."""

from __future__ import annotations

import contextlib
import os
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

import dnf
import dnf.repo
import libdnf

from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.dnf4.meter import Meter
from multisig.errors import UnreadableError
from multisig.files import read_if_there
from multisig.gate import Package
from multisig.held import Find, Look

CACHE = "multisig"


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

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource. Local bundles are read where they lie; others from the cache, or AFRESH."""
        if look not in (Look.BESIDE, Look.AFRESH):
            return {}
        return {key: Find(bundle=raw) for key, raw in self._beside(packages, fresh=look is Look.AFRESH).items()}

    def _beside(self, packages: Sequence[Package], *, fresh: bool) -> Mapping[int, bytes]:
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
        meter = Meter(self._base, f"signatures of {len(downloads)} package{'s' if len(downloads) > 1 else ''}")
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

    def target(self, meter: "Meter") -> "libdnf.repo.PackageTarget":
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
    def __init__(self, meter: "Meter") -> None:
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
