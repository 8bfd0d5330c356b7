# SPDX-License-Identifier: GPL-2.0-or-later
"""Exact reads from an archive that arrives in chunks of any size."""

from __future__ import annotations

from typing import Iterator

from multisig.errors import PayloadMismatchError


class Stream:
    """Counts what is taken of ``chunks``. Where they end too early: PayloadMismatchError with the words ``cut_off``."""

    def __init__(self, chunks: Iterator[bytes], cut_off: str) -> None:
        self._chunks = chunks
        self._cut_off = cut_off
        self._rest = memoryview(b"")
        self._position = 0

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next ``size`` bytes, in whatever pieces they come."""
        while size:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    raise PayloadMismatchError(self._cut_off)
            piece = self._rest[:size]
            self._rest = self._rest[len(piece) :]
            self._position += len(piece)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        return b"".join(self.pieces(size))

    def align(self) -> None:
        """Step to the next multiple of four; what lies between must be zero."""
        if self.read(-self._position % 4).strip(b"\0"):
            raise PayloadMismatchError("padding in the payload's archive is not zero")

    def ends(self) -> bool:
        """Whether nothing is left."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._rest = memoryview(chunk)
        return False
