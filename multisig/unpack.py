# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a file that may be compressed, in chunks, so that the reader can stop a bomb long before it is unpacked."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from typing import Iterator

from multisig.errors import UnreadableError
from multisig.files import open_regular
from multisig.subjects.rpmlib import librpm

CHUNK = 1 << 18
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
# librpm's binding puts a read together from small pieces, copying what it has each time: no more than this.
_LIBRPM_READ = 1 << 16


def unpacked(path: str) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it begins as gzip or zstd do, in chunks of at most CHUNK bytes.

    How much it takes is the consumer's to bound. Raises UnreadableError, also where what was compressed is cut off.
    """
    fd = open_regular(path)
    try:
        start = os.pread(fd, len(_ZSTD), 0)
        if start.startswith(_GZIP):
            yield from _gunzipped(fd)
        elif start == _ZSTD:
            yield from _by_librpm(fd)
        else:
            yield from iter(lambda: os.read(fd, CHUNK), b"")
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"cannot be unpacked: {error}", path=path) from None
    finally:
        os.close(fd)


def _gunzipped(fd: int) -> Iterator[bytes]:
    with open(fd, "rb", closefd=False) as packed, gzip.GzipFile(fileobj=packed, mode="rb") as stream:
        yield from iter(lambda: stream.read1(CHUNK), b"")


def _by_librpm(fd: int) -> Iterator[bytes]:
    """Python has no zstd before 3.14; librpm, which dnf has loaded anyhow, has."""
    stream = librpm().fd(fd, "r", "zstdio")
    try:
        yield from iter(lambda: bytes(stream.read(_LIBRPM_READ)), b"")
    finally:
        stream.close()


def zstd(data: bytes) -> bytes:
    """A zstd frame of these bytes, made by librpm.

    At its lowest level: digests do not get smaller by more work, and what was packed in a hurry is unpacked in one.
    """
    with tempfile.TemporaryFile() as packed:
        stream = librpm().fd(packed.fileno(), "w1", "zstdio")
        try:
            for start in range(0, len(data), CHUNK):
                stream.write(data[start : start + CHUNK])
        finally:
            stream.close()
        packed.seek(0)
        return packed.read()
