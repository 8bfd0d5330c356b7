# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a producer of bytes in a thread of its own, so that decompressing and hashing use two processors.

zlib, liblzma, bzip2, librpm and hashlib all let go of Python's interpreter lock while they work.
"""

from __future__ import annotations

import queue
import threading
from typing import Iterator, Optional, Union

_AHEAD = 2


class _End:
    """The producer has ended; ``error`` is what it ended with."""

    def __init__(self, error: Optional[BaseException]) -> None:
        self.error = error


def prefetched(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, produced a few ahead; what the producer raises is raised where its next chunk was due.

    Closing the generator, or letting go of it, ends the thread.
    """
    ready: "queue.Queue[Union[bytes, _End]]" = queue.Queue(_AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(chunks, ready, stop), name="multisig-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        while thread.is_alive():
            _drain(ready)
            thread.join(0.01)


def _produce(chunks: Iterator[bytes], ready: "queue.Queue[Union[bytes, _End]]", stop: threading.Event) -> None:
    error: Optional[BaseException] = None
    try:
        for chunk in chunks:
            if stop.is_set():
                return
            ready.put(chunk)
    except BaseException as raised:  # handed over whole to the consumer, which raises it
        error = raised
    ready.put(_End(error))


def _drain(ready: "queue.Queue[Union[bytes, _End]]") -> None:
    while not ready.empty():
        ready.get_nowait()
