# SPDX-License-Identifier: GPL-2.0-or-later
"""A strict reader of the immutable region of an RPM header (librpm: lib/header.c, hdrblobInit and regionSwab).

librpm has accepted the bytes before this module sees them; this one accepts only the single way in which rpmbuild
lays a region out, so that every byte of it belongs to exactly one tag or is zero padding, and none is unaccounted for.
Pure: bytes in, values out.
"""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Tuple

from multisig.errors import MalformedRpmError

NULL, CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRING_ARRAY, I18NSTRING = range(10)
IMMUTABLE = 63
REGION_TRAILER = 16
MAX_TAGS = 0xFFFF
MAX_DATA = 64 << 20

_INTRO = struct.Struct(">II")
_INDEX = struct.Struct(">IIII")
_SIZE = {CHAR: 1, INT8: 1, INT16: 2, INT32: 4, INT64: 8, BIN: 1}
_ALIGNMENT = {INT16: 2, INT32: 4, INT64: 8}
_FORMAT = {CHAR: "B", INT8: "B", INT16: "H", INT32: "I", INT64: "Q"}


class Entry(NamedTuple):
    """One tag's data: librpm's type number, the count, the value as stored (big-endian; strings with their NULs)."""

    type: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    value: bytes


Entries = Dict[int, Entry]


def parse_region(blob: bytes) -> Entries:
    """Every tag of an immutable region, without the region's own tag.

    ``blob`` is what ``header[HEADERIMMUTABLE]`` gives: index length, data length, index, data. Steps:
    1. The lengths span the blob exactly. 2. The first entry is tag 63 and its trailer, at the very end of the data,
    covers the whole index. 3. No tag stands twice. 4. Sorted by offset, the entries' data follow each other without
    overlap, and with no more than the zero bytes that alignment needs between them. Raises MalformedRpmError.
    """
    index_count, data_size = _lengths(blob)
    start = _INTRO.size + _INDEX.size * index_count
    index: List[Tuple[int, int, int, int]] = list(_INDEX.iter_unpack(blob[_INTRO.size : start]))
    end = _check_trailer(index, blob[start:])
    del index[0]
    entries: Entries = {}
    index.sort(key=_by_offset)
    if index and index[-1][2] > end:
        raise MalformedRpmError("the tag's data lies outside the region", tag=index[-1][0], got=index[-1][2])
    offsets = [entry[2] for entry in index]
    offsets.append(end)
    position = 0
    for (tag, kind, offset, count), limit in zip(index, offsets[1:]):
        aligned = position + -position % _ALIGNMENT.get(kind, 1)
        if offset != aligned or offset > limit:
            raise MalformedRpmError(
                "the tag's data does not follow the one before", tag=tag, expected=aligned, got=offset
            )
        if aligned != position and blob[start + position : start + aligned].strip(b"\0"):
            raise MalformedRpmError("bytes between two tags' data", tag=tag)
        position = offset + _length(blob, start + offset, start + limit, tag, kind, count)
        if position > limit:
            raise MalformedRpmError("the tag's data runs into the next one's", tag=tag)
        entries[tag] = Entry(kind, count, blob[start + offset : start + position])
    if position != end and (end - position >= 8 or blob[start + position : start + end].strip(b"\0")):
        raise MalformedRpmError("bytes between the last tag's data and the region's trailer")
    if IMMUTABLE in entries:
        raise MalformedRpmError("a second immutable region", tag=IMMUTABLE)
    if len(entries) != len(index):
        raise MalformedRpmError("a tag stands in the header twice", tag=_first_repeated(index))
    return entries


def strings(entry: Entry) -> List[bytes]:
    """The values of a string, string array or i18n string entry."""
    return entry.value[:-1].split(b"\0")


def integers(entry: Entry) -> Tuple[int, ...]:
    """The values of an integer entry; unsigned, as librpm reads them."""
    return struct.unpack(f">{entry.count}{_FORMAT[entry.type]}", entry.value)


def pack_integers(kind: int, values: "List[int] | Tuple[int, ...]") -> Entry:
    """An integer entry of librpm's type ``kind`` that holds the values."""
    return Entry(kind, len(values), struct.pack(f">{len(values)}{_FORMAT[kind]}", *values))


def _by_offset(entry: Tuple[int, int, int, int]) -> int:
    return entry[2]


def _lengths(blob: bytes) -> Tuple[int, int]:
    if len(blob) < _INTRO.size:
        raise MalformedRpmError("the header is truncated")
    index_count, data_size = _INTRO.unpack_from(blob)
    if not 1 <= index_count <= MAX_TAGS or not REGION_TRAILER <= data_size <= MAX_DATA:
        raise MalformedRpmError("the header's size is out of bounds", got=f"{index_count} tags, {data_size} bytes")
    if len(blob) != _INTRO.size + _INDEX.size * index_count + data_size:
        raise MalformedRpmError("the header's length is not what it says")
    return index_count, data_size


def _check_trailer(index: List[Tuple[int, int, int, int]], data: bytes) -> int:
    """The offset at which the region's data ends and its trailer begins."""
    tag, kind, offset, count = index[0]
    if tag != IMMUTABLE:
        raise MalformedRpmError(
            "the header has no immutable region", expected=f"tag {IMMUTABLE} first", got=f"tag {tag}"
        )
    if kind != BIN or count != REGION_TRAILER or offset != len(data) - REGION_TRAILER:
        raise MalformedRpmError("the immutable region does not span the header", tag=tag)
    # The trailer is an index entry whose offset points back over the whole index, as a negative number.
    trailer = struct.pack(">IIiI", IMMUTABLE, BIN, -_INDEX.size * len(index), REGION_TRAILER)
    if data[offset:] != trailer:
        raise MalformedRpmError("the immutable region does not span the header", tag=tag)
    return offset


def _length(blob: bytes, start: int, limit: int, tag: int, kind: int, count: int) -> int:
    """Bytes that the entry's values take; the blob beyond ``limit`` belongs to others."""
    if count < 1:
        raise MalformedRpmError("the tag has no values", tag=tag)
    size = _SIZE.get(kind)
    if size is not None:
        return size * count
    if kind == STRING:
        if count != 1:
            raise MalformedRpmError("a string must have the count 1", tag=tag, got=count)
        return _string_length(blob, start, limit, tag)
    if kind in (STRING_ARRAY, I18NSTRING):
        return _array_length(blob, start, limit, tag, count)
    raise MalformedRpmError("the tag has a type that no package uses", tag=tag, got=f"type {kind}")


def _string_length(blob: bytes, start: int, limit: int, tag: int) -> int:
    end = blob.find(b"\0", start, limit)
    if end < 0:
        raise MalformedRpmError("a string does not end", tag=tag)
    return end + 1 - start


def _array_length(blob: bytes, start: int, limit: int, tag: int, count: int) -> int:
    # Whatever NULs there are beyond the count must be padding at the end, which the caller checks against alignment.
    surplus = blob.count(b"\0", start, limit) - count
    end = limit - surplus
    if surplus < 0 or end <= start or blob[end - 1] or blob[end:limit].strip(b"\0"):
        raise MalformedRpmError("the strings are not as many as the tag says", tag=tag, expected=count)
    return end - start


def _first_repeated(index: List[Tuple[int, int, int, int]]) -> int:
    seen = set()
    for tag, _, _, _ in index:
        if tag in seen:
            return tag
        seen.add(tag)
    return 0
