# SPDX-License-Identifier: GPL-2.0-or-later
"""Digests of a whole file, in one pass."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
from typing import Generator, Optional, Tuple

from multisig.errors import UnreadableError
from multisig.files import chunks
from multisig.statement import Digests
from multisig.subjects import Progress

_READ = 1 << 20
_BUFFERS = 4
# Below this the threads cost more than they save.
_LARGE = 8 << 20


def hash_file(fd: int, *, path: str = "", progress: Optional[Progress] = None) -> Tuple[int, Digests]:
    """The size in bytes and the digests of the file at ``fd``; ``progress`` is told how many bytes each step read.

    A large file takes as long as its SHA-512 alone: another thread reads it, and makes the SHA-256. Raises
    UnreadableError where the disk fails.
    """
    try:
        if os.fstat(fd).st_size >= _LARGE:
            return _by_two(fd, progress)
        sha256, sha512 = hashlib.sha256(), hashlib.sha512()
        size = 0
        for data in chunks(fd, progress=progress):
            sha256.update(data)
            sha512.update(data)
            size += len(data)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path or None) from None
    return size, Digests(sha256.hexdigest(), sha512.hexdigest())


class _Reader(threading.Thread):
    """Reads a file into buffers that go round, and makes its SHA-256 on the way.

    A buffer is read into again once ``chunks`` has moved on from it. hashlib and preadv let other threads run.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(name="multisig-read", daemon=True)
        self.sha256 = hashlib.sha256()
        self._fd = fd
        self._error: Optional[BaseException] = None
        self._empty: "queue.SimpleQueue[Optional[bytearray]]" = queue.SimpleQueue()
        self._full: "queue.SimpleQueue[Optional[memoryview]]" = queue.SimpleQueue()

    def run(self) -> None:
        position = 0
        try:
            # None: nobody wants any more.
            for buffer in iter(self._empty.get, None):
                count = os.preadv(self._fd, [buffer], position)
                if not count:
                    break
                part = memoryview(buffer)[:count]
                self._full.put(part)
                self.sha256.update(part)
                position += count
        except BaseException as error:
            self._error = error
        finally:
            self._full.put(None)

    def chunks(self) -> Generator[memoryview, None, None]:
        """The file's bytes, each part to be used before the next one is asked for; then ``sha256`` is that of all.

        Raises what went wrong in the thread. The thread has ended when this has, however it does.
        """
        for _ in range(_BUFFERS):
            self._empty.put(bytearray(_READ))
        self.start()
        try:
            for part in iter(self._full.get, None):
                yield part
                buffer = part.obj
                if isinstance(buffer, bytearray):
                    self._empty.put(buffer)
        finally:
            self._empty.put(None)
            self.join()
        if self._error is not None:
            raise self._error


def _by_two(fd: int, progress: Optional[Progress]) -> Tuple[int, Digests]:
    reader, sha512 = _Reader(fd), hashlib.sha512()
    size = 0
    with contextlib.closing(reader.chunks()) as parts:
        for part in parts:
            sha512.update(part)
            size += len(part)
            if progress is not None:
                progress(len(part))
    return size, Digests(reader.sha256.hexdigest(), sha512.hexdigest())
