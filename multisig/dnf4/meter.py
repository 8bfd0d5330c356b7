# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf's own progress bar, for what multisig does."""

from __future__ import annotations

import time

import dnf
import dnf.callback

_A_MOMENT = 0.7


class Meter(dnf.callback.Payload):  # type: ignore[misc]
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
