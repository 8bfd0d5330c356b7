# SPDX-License-Identifier: GPL-2.0-or-later
"""What is produced in another thread arrives as it was, in its order, and not without bound."""

from __future__ import annotations

import itertools
import threading
from typing import Iterator

import pytest

from multisig.subjects.prefetch import prefetched

FEW = 8


def producing() -> bool:
    return any(thread.name == "multisig-prefetch" for thread in threading.enumerate())


def test_every_chunk_arrives_in_its_order_and_the_thread_ends() -> None:
    chunks = [str(number).encode() for number in range(1000)]
    assert list(prefetched(iter(chunks))) == chunks
    assert not producing()


def test_nothing_comes_of_nothing() -> None:
    assert list(prefetched(iter(()))) == []


def test_an_error_is_raised_where_its_chunk_was_due() -> None:
    def failing() -> Iterator[bytes]:
        yield b"one"
        yield b"two"
        raise ValueError("three")

    stream = prefetched(failing())
    assert [next(stream), next(stream)] == [b"one", b"two"]
    with pytest.raises(ValueError, match="three"):
        next(stream)
    assert not producing()


def test_a_consumer_that_stops_ends_an_endless_producer() -> None:
    stream = prefetched(b"x" for _ in itertools.count())
    assert next(stream) == b"x"
    stream.close()
    assert not producing()


def test_only_a_few_chunks_are_there_at_a_time() -> None:
    made, taken, furthest = 0, 0, 0
    second = threading.Event()

    def chunks() -> Iterator[bytes]:
        nonlocal made, furthest
        for _ in range(100):
            made += 1
            furthest = max(furthest, made - taken)
            if made == 2:
                second.set()
            yield b"x"

    for _ in prefetched(chunks()):
        # The producer is ahead while its first chunk is being looked at.
        assert second.wait(60)
        taken += 1
    assert made == taken == 100
    assert furthest <= FEW
