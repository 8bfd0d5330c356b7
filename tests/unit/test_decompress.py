# SPDX-License-Identifier: GPL-2.0-or-later
"""One compressed stream, of the kind that the header names, that ends where the file does."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import struct
import tracemalloc
import zlib
from contextlib import contextmanager, suppress
from typing import Callable, Dict, Iterator, List, Optional

import pytest

from fixtures.rpmedit import COMPRESSORS
from multisig.errors import PayloadMismatchError
from multisig.subjects.decompress import CHUNK, check_magic, decompressed

NAMES = ["bzip2", "gzip", "lzma", "xz", "zstd"]
COMPRESS: Dict[str, Callable[[bytes], bytes]] = {name: COMPRESSORS[name][1] for name in NAMES}
BEFORE = b"headers of the package"
TEXT = b"".join(b"%d " % number for number in range(100_000))
INPUT = 1 << 16  # what is read at a time
RANDOM = random.Random(1).randbytes(INPUT)


@contextmanager
def placed(payload: bytes) -> Iterator[int]:
    """A descriptor on a file with the payload behind the headers."""
    fd = os.memfd_create("payload")
    try:
        os.write(fd, BEFORE + payload)
        yield fd
    finally:
        os.close(fd)


def chunks(payload: bytes, compressor: Optional[str]) -> List[bytes]:
    with placed(payload) as fd:
        return list(decompressed(fd, len(BEFORE), None if compressor is None else compressor.encode()))


def refused(payload: bytes, compressor: Optional[str]) -> PayloadMismatchError:
    with pytest.raises(PayloadMismatchError) as caught:
        chunks(payload, compressor)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"x", TEXT, bytes(3 * CHUNK), os.urandom(1000)], ids=len)
def test_what_was_compressed_comes_out_in_bounded_chunks(name: str, content: bytes) -> None:
    found = chunks(COMPRESS[name](content), name)
    assert b"".join(found) == content
    assert all(0 < len(chunk) <= CHUNK for chunk in found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trailing", [b"\0", b"\0" * 512, b"x", b"07070100000000"])
def test_bytes_after_the_stream_are_refused(name: str, trailing: bytes) -> None:
    refused(COMPRESS[name](TEXT) + trailing, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("second", ["same", "empty"])
def test_two_streams_in_a_row_are_refused(name: str, second: str) -> None:
    """rpm's readers would go on with the second, or ignore it; either way two programs see two contents."""
    refused(COMPRESS[name](TEXT) + COMPRESS[name](TEXT if second == "same" else b""), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_is_cut_off_anywhere_is_refused(name: str) -> None:
    whole = COMPRESS[name](TEXT)
    for end in (0, 1, 3, 5, 10, 17, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        refused(whole[:end], name)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_is_refused_or_changes_nothing(name: str) -> None:
    """Bytes of gzip's header (time, operating system), unused codes of bzip2 and the like carry no content."""
    whole = COMPRESS[name](TEXT[:3000])
    for place, byte in enumerate(whole):
        with suppress(PayloadMismatchError):
            out = chunks(whole[:place] + bytes([byte ^ 0x40]) + whole[place + 1 :], name)
            assert b"".join(out) == TEXT[:3000], place


@pytest.mark.parametrize("actual", [*NAMES, "none"])
@pytest.mark.parametrize("named", NAMES)
def test_another_compression_than_the_header_names_is_refused(named: str, actual: str) -> None:
    if actual != named:
        refused(COMPRESSORS[actual][1](b"070701" + TEXT), named)


def test_without_a_name_it_is_gzip_or_plain_cpio() -> None:
    assert b"".join(chunks(gzip.compress(TEXT), None)) == TEXT
    plain = b"070701" + TEXT
    assert b"".join(chunks(plain, None)) == plain
    for payload in (b"", b"TRAILER", lzma.compress(TEXT), bz2.compress(TEXT)):
        refused(payload, None)


def test_plain_cpio_under_the_name_gzip_is_refused() -> None:
    refused(b"070701" + TEXT, "gzip")


def test_the_magic_alone_is_no_stream() -> None:
    for name in NAMES:
        refused(COMPRESSORS[name][0], name)


def test_the_check_of_the_magic_reads_nothing_but_the_magic() -> None:
    with placed(b"\x1f\x8b\x08junk") as fd:
        assert check_magic(fd, len(BEFORE), b"gzip") == b"gzip"
        with pytest.raises(PayloadMismatchError):
            check_magic(fd, len(BEFORE), b"xz")


def stream_of(name: str, incompressible: int) -> bytes:
    """Of exactly one chunk of output: so many random bytes, then zeros."""
    return COMPRESS[name](RANDOM[:incompressible] + bytes(CHUNK - incompressible))


@pytest.mark.parametrize("name", ["lzma", "xz"])
def test_a_stream_whose_last_bytes_come_with_the_next_read_is_whole(name: str) -> None:
    """The output is full just when the input runs out between content and the stream's end: more has to be read."""
    low, high = 0, INPUT
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if len(stream_of(name, middle)) <= INPUT else (low, middle)
    for incompressible in range(low, low + 40, 2):
        assert len(b"".join(chunks(stream_of(name, incompressible), name))) == CHUNK


# --- gzip ------------------------------------------------------------------------------------------------------------


def padded_gzip(content: bytes, length: int) -> bytes:
    """A gzip stream whose trailer begins at ``length``: a file name in its header (RFC 1952) fills it up."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    name = b"n" * (length - 10 - len(body) - 1) + b"\0"
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + name + body + trailer


@pytest.mark.parametrize("before", range(-10, 3))
def test_a_gzip_stream_whose_checksum_comes_with_the_next_read_is_whole(before: int) -> None:
    """The output is full just when the input runs out between content and checksum: more has to be read."""
    content = bytes(CHUNK)
    assert b"".join(chunks(padded_gzip(content, INPUT + before), "gzip")) == content


@pytest.mark.parametrize("place", [-1, -5])
def test_a_wrong_checksum_or_length_is_refused(place: int) -> None:
    stream = bytearray(gzip.compress(TEXT))
    stream[place] ^= 1
    refused(bytes(stream), "gzip")


# --- zstd ------------------------------------------------------------------------------------------------------------

FRAME = COMPRESS["zstd"](TEXT[:500])
MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = [struct.pack("<II", 0x184D2A50 + number, 4) + b"junk" for number in (0, 7, 15)]


@pytest.mark.parametrize("frame", SKIPPABLE)
def test_skippable_frames_are_refused(frame: bytes) -> None:
    """A decompressor steps over them, so they could hold anything."""
    for payload in (frame + FRAME, FRAME + frame, frame):
        refused(payload, "zstd")


def raw_block(content: bytes, last: bool, kind: int = 0, size: Optional[int] = None) -> bytes:
    header = (len(content) if size is None else size) << 3 | kind << 1 | last
    return header.to_bytes(3, "little") + content


def frame(*blocks: bytes, descriptor: int = 0, window: bytes = b"\0") -> bytes:
    return MAGIC + bytes([descriptor]) + window + b"".join(blocks)


def test_a_frame_of_raw_and_repeated_blocks_is_read() -> None:
    payload = frame(raw_block(b"one", False), raw_block(b"x", False, kind=1, size=5), raw_block(b"two", True))
    assert b"".join(chunks(payload, "zstd")) == b"onexxxxxtwo"


BAD_FRAMES: Dict[str, bytes] = {
    "no last block": frame(raw_block(b"one", False)),
    "a reserved block": frame(raw_block(b"one", False), raw_block(b"", True, kind=3)),
    "a block after the last": frame(raw_block(b"one", True), raw_block(b"two", True)),
    "the reserved bit": frame(raw_block(b"one", True), descriptor=0x08),
    "a checksum announced and missing": frame(raw_block(b"one", True), descriptor=0x04),
    "a wrong checksum": frame(raw_block(b"one", True), b"\0\0\0\0", descriptor=0x04),
    "a checksum nobody announced": frame(raw_block(b"one", True), b"\0\0\0\0"),
    "a dictionary": frame(raw_block(b"one", True), descriptor=0x01, window=b"\0\x01"),
    "a content size that is none": frame(raw_block(b"one", True), descriptor=0x20, window=b"\x09"),
    "a window of terabytes": frame(raw_block(b"one", True), window=b"\xff"),
    "a compressed block of junk": frame(raw_block(b"\xff" * 40, True, kind=2)),
    "a block longer than the file": frame(raw_block(b"one", True, size=1 << 20)),
}


@pytest.mark.parametrize("what", sorted(BAD_FRAMES))
def test_odd_zstd_frames_are_refused(what: str) -> None:
    refused(BAD_FRAMES[what], "zstd")


# --- bombs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bzip2", "gzip", "xz", "zstd"])
def test_who_stops_reading_a_bomb_has_paid_for_what_was_read(name: str) -> None:
    bomb = COMPRESS[name](bytes(40 << 20))
    tracemalloc.start()
    try:
        with placed(bomb) as fd:
            stream = decompressed(fd, len(BEFORE), name.encode())
            assert len(next(stream)) <= CHUNK
            del stream
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_xz_stream_that_asks_for_gigabytes_of_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 << 20}]
    refused(lzma.compress(TEXT, format=lzma.FORMAT_XZ, filters=filters), "xz")
