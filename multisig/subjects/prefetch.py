# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a producer of bytes in a thread of its own, so that decompressing and hashing use two processors.

zlib, liblzma, bzip2, librpm and hashlib all let go of Python's interpreter lock while they work.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Generator, Iterator, Optional, Union

_AHEAD = 3


class _End:
    """The producer has ended; ``error`` is what it ended with."""

    def __init__(self, error: Optional[BaseException]) -> None:
        self.error = error


def prefetched(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same chunks, produced a few ahead; what the producer raises is raised where its next chunk was due.

    Closing the generator, or letting go of it, ends the thread.
    """
    ready: "SimpleQueue[Union[bytes, _End]]" = SimpleQueue()
    # What bounds it: a True for each chunk that may be produced; False ends it.
    room: "SimpleQueue[bool]" = SimpleQueue()
    for _ in range(_AHEAD):
        room.put(True)
    thread = threading.Thread(target=_produce, args=(chunks, ready, room), name="multisig-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            room.put(True)
            yield item
    finally:
        room.put(False)
        thread.join()


def _produce(chunks: Iterator[bytes], ready: "SimpleQueue[Union[bytes, _End]]", room: "SimpleQueue[bool]") -> None:
    error: Optional[BaseException] = None
    try:
        while room.get():
            chunk = next(chunks, None)
            if chunk is None:
                break
            ready.put(chunk)
    except BaseException as raised:  # handed over whole to the consumer, which raises it
        error = raised
    ready.put(_End(error))
