# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching small files of evidence by a repository's own librepo handle, within bounds, into its cache."""

from __future__ import annotations

import contextlib
import os
from typing import Optional, Sequence

import dnf
import dnf.repo
import libdnf

from multisig.bundle import MAX_BUNDLE
from multisig.dnf4.meter import Meter
from multisig.fetching import RECORD, Wanted, others, read_cached


class Fetcher:
    """See fetching.Fetcher: by librepo, as dnf fetches packages."""

    def __init__(self, base: "dnf.Base") -> None:
        self._base = base

    def folder(self, repo: str) -> str:
        """See fetching.Fetcher."""
        return str(self._base.repos[repo]._repo.getCachedir())

    def mirrors(self, repo: str) -> Sequence[str]:
        """See fetching.Fetcher."""
        return mirrors_of(self._base.repos[repo])

    def fetch(self, repo: Optional[str], wanted: Sequence[Wanted], what: str) -> Sequence[Optional[bytes]]:
        """See fetching.Fetcher."""
        if self._base.conf.cacheonly:
            return [read_cached(item.path, item.limit) for item in wanted]
        handle = self._base.conf._config if repo is None else self._base.repos[repo]._repo
        downloads = [Download(handle, item.base, item.location, item.path, item.limit) for item in wanted]
        fetch_all(self._base, downloads, what)
        return [download.take() for download in downloads]


def mirrors_of(repo: "dnf.repo.Repo") -> Sequence[str]:
    """Some of the repository's URLs, where it has more than one."""
    return others([*repo.baseurl, *repo._repo.getMirrors()])


def index_path(repo: "dnf.repo.Repo") -> Optional[str]:
    """The index that came with the repository's metadata; None where none did."""
    return repo.get_metadata_path(RECORD) or None


def fetch_all(base: "dnf.Base", downloads: Sequence["Download"], what: str) -> None:
    """Fetch side by side, within dnf's limits of time; ``what`` is shown where that takes long."""
    meter = Meter(base, what)
    targets = []
    for download in downloads:
        os.makedirs(os.path.dirname(download.path), exist_ok=True)
        targets.append(download.target(meter))
    # Not fail-fast: the downloads that worked are there; what is missing is judged as missing.
    with contextlib.suppress(RuntimeError):
        libdnf.repo.PackageTarget.downloadPackages(libdnf.repo.VectorPPackageTarget(targets), False)
    meter.end()


class Download:
    """One file on its way: ``location`` below a repository, into a file of the cache; at most ``limit`` bytes."""

    def __init__(
        self, handle: object, base_url: Optional[str], location: str, path: str, limit: int = MAX_BUNDLE
    ) -> None:
        self._handle = handle
        self._base_url = base_url
        self._location = location
        self._limit = limit
        self.path = path
        # libdnf keeps no reference to a target's callbacks.
        self._callbacks: Optional["_Callbacks"] = None

    def target(self, meter: "Meter") -> "libdnf.repo.PackageTarget":
        self._callbacks = _Callbacks(meter)
        # The range is librepo's only limit on size; one byte more than allowed shows what is too long.
        return libdnf.repo.PackageTarget(
            self._handle, self._location, self._arriving, 0, None, 0, self._base_url, False, 0, self._limit,
            self._callbacks,
        )  # fmt: skip

    def take(self) -> Optional[bytes]:
        """What arrived, kept in the cache if it is within the limit; None where nothing did."""
        if self._callbacks is None or not self._callbacks.succeeded:
            _remove(self._arriving)
            return None
        data = read_cached(self._arriving, self._limit)
        if data is not None and len(data) <= self._limit:
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


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # not there, or of a name that no file can have
        os.unlink(path)
