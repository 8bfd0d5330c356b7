# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams a compressed payload, and insists that the one compressed stream ends where the file does.

rpm's own readers ignore what follows a stream's end, so a payload could carry bytes that nobody looked at; Python's
decompressors say where a stream ended. zstd is decompressed by librpm, whose frame is walked first.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from typing import Callable, Iterator, Mapping, Optional, Protocol

from multisig.errors import PayloadMismatchError
from multisig.files import chunks
from multisig.subjects import Progress
from multisig.subjects.rpmlib import librpm

# Large enough that handing chunks over between threads is nothing beside unpacking them; eight are 4 MiB.
CHUNK = 1 << 19
_INPUT = 1 << 16
_XZ_MEMORY = 96 << 20

_MAGIC = {
    b"gzip": b"\x1f\x8b\x08",
    b"bzip2": b"BZh",
    b"xz": b"\xfd7zXZ\x00",
    b"lzma": b"\x5d\x00\x00",
    b"zstd": b"\x28\xb5\x2f\xfd",
}
_CPIO_MAGIC = b"07070"
_LONGEST_MAGIC = 6


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the interface of its newer siblings: it keeps input it has not used itself."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _lzma_alone() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY)


_DECOMPRESSORS: "Mapping[bytes, Callable[[], _Decompressor]]" = {
    b"gzip": _Zlib,
    b"bzip2": bz2.BZ2Decompressor,
    b"xz": _xz,
    b"lzma": _lzma_alone,
}


def compression(fd: int) -> Optional[bytes]:
    """How the file at ``fd`` is compressed, by its first bytes; None where that is no way known here."""
    start = os.pread(fd, _LONGEST_MAGIC, 0)
    return next((name for name, magic in _MAGIC.items() if start.startswith(magic)), None)


def check_magic(fd: int, offset: int, compressor: Optional[bytes]) -> bytes:
    """The compression of the payload at ``offset``: the header's word for it, which the first bytes must confirm.

    A header without PAYLOADCOMPRESSOR means gzip to rpm, which then also reads plain cpio (``w.ufdio``): b"" here.
    """
    start = os.pread(fd, _LONGEST_MAGIC, offset)
    if compressor is None and start.startswith(_CPIO_MAGIC):
        return b""
    name = compressor or b"gzip"
    if not start.startswith(_MAGIC[name]):
        raise PayloadMismatchError(
            "the payload is not compressed as the header says", expected=name.decode(), got=f"bytes {start.hex()}"
        )
    return name


def decompressed(
    fd: int, offset: int, compressor: Optional[bytes], *, progress: Optional[Progress] = None
) -> Iterator[bytes]:
    """The payload at ``offset`` to the end of the file, decompressed, in chunks of at most CHUNK bytes.

    ``progress`` is told of compressed bytes, as they are read. Raises PayloadMismatchError where the magic, the stream
    or its end is not as it must be: one stream that ends with the file. The consumer bounds how much it takes.
    """
    name = check_magic(fd, offset, compressor)
    if name == b"":
        return chunks(fd, offset, size=CHUNK, progress=progress)
    if name == b"zstd":
        _check_single_zstd_frame(fd, offset)
        return _by_librpm(fd, offset, progress)
    return _by_python(fd, offset, _DECOMPRESSORS[name], progress)


def _by_python(
    fd: int, offset: int, make: "Callable[[], _Decompressor]", progress: Optional[Progress]
) -> Iterator[bytes]:
    stream = make()
    hungry = True
    try:
        while not stream.eof:
            data = b""
            if hungry or stream.needs_input:
                data = os.pread(fd, _INPUT, offset)
                offset += len(data)
                if progress is not None:
                    progress(len(data))
            output = stream.decompress(data, CHUNK)
            if output:
                yield output
            elif hungry and not data and not stream.eof:
                raise PayloadMismatchError("the payload's compressed stream is cut off")
            # What is left of the input may give nothing without more of it, whatever needs_input says.
            hungry = not output
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise PayloadMismatchError(f"the payload does not decompress: {error}") from None
    if stream.unused_data or os.pread(fd, 1, offset):
        raise PayloadMismatchError("bytes follow the payload's compressed stream")


def _by_librpm(fd: int, offset: int, progress: Optional[Progress]) -> Iterator[bytes]:
    os.lseek(fd, offset, os.SEEK_SET)
    stream = librpm().fd(fd, "r", "zstdio")
    try:
        while True:
            try:
                data = stream.read(CHUNK)
            except OSError as error:
                raise PayloadMismatchError(f"the payload does not decompress: {error}") from None
            if not data:
                return
            if progress is not None:
                # librpm reads through a descriptor of its own, which shares this one's position.
                before, offset = offset, os.lseek(fd, 0, os.SEEK_CUR)
                progress(offset - before)
            yield data
    finally:
        stream.close()


def _check_single_zstd_frame(fd: int, offset: int) -> None:
    """Walk the frame's blocks without decompressing them (RFC 8878, 3.1.1): the last must end with the file."""
    descriptor = _bytes_at(fd, offset + 4, 1)[0]
    single_segment = descriptor >> 5 & 1
    if descriptor & 0x08:
        raise PayloadMismatchError("the zstd frame uses a reserved bit")
    size_field = (single_segment, 2, 4, 8)[descriptor >> 6]
    offset += 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3] + size_field
    last = False
    while not last:
        block = int.from_bytes(_bytes_at(fd, offset, 3), "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        if kind == 3:
            raise PayloadMismatchError("the zstd frame has a reserved block type")
        if not size and not last:
            raise PayloadMismatchError("the zstd frame has empty blocks, which could be without number")
        offset += 3 + (1 if kind == 1 else size)
    offset += 4 if descriptor & 0x04 else 0
    end = os.fstat(fd).st_size
    if offset != end:
        what = "bytes follow the payload's compressed stream" if offset < end else "the payload's stream is cut off"
        raise PayloadMismatchError(what, expected=f"an end at byte {offset}", got=f"byte {end}")


def _bytes_at(fd: int, offset: int, size: int) -> bytes:
    data = os.pread(fd, size, offset)
    if len(data) != size:
        raise PayloadMismatchError("the payload's compressed stream is cut off")
    return data
