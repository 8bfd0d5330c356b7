# SPDX-License-Identifier: GPL-2.0-or-later
"""A strict reader of the immutable region of an RPM header (librpm: lib/header.c, hdrblobInit and regionSwab).

librpm has accepted the bytes before this module sees them; this one accepts only the single way in which rpmbuild
lays a region out, so that every byte of it belongs to exactly one tag or is zero padding, and none is unaccounted for.
Pure: bytes in, values out.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Tuple

from multisig.errors import MalformedRpmError

NULL, CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRING_ARRAY, I18NSTRING = range(10)
IMMUTABLE = 63
REGION_TRAILER = 16
MAX_TAGS = 0xFFFF
MAX_DATA = 64 << 20

_INTRO = struct.Struct(">II")
_INDEX = struct.Struct(">IIII")
# Bytes of one value, to which rpm also aligns them (lib/header.c, typeAlign).
_WIDTH = {CHAR: 1, INT8: 1, INT16: 2, INT32: 4, INT64: 8, BIN: 1}
_ARRAYS = frozenset({STRING_ARRAY, I18NSTRING})
_ZEROS = bytes(8)
_FORMAT = {CHAR: "B", INT8: "B", INT16: "H", INT32: "I", INT64: "Q"}


# One tag's data: librpm's type number, the count, the value as stored (big-endian; strings with their NULs).
# A plain tuple: reading the header is most of what an RPM costs, and anything with names costs a third more.
Entry = Tuple[int, int, bytes]
Entries = Dict[int, Entry]
_Index = Tuple[int, int, int, int]


def parse_region(blob: bytes) -> Entries:
    """Every tag of an immutable region, without the region's own tag.

    ``blob`` is what ``header[HEADERIMMUTABLE]`` gives: index length, data length, index, data. Steps:
    1. The lengths span the blob exactly. 2. The first entry is tag 63 and its trailer, at the very end of the data,
    covers the whole index. 3. No tag stands twice. 4. The entries' data follow each other in the index's order, without
    overlap, and with no more than the zero bytes that alignment needs between them. Raises MalformedRpmError.
    """
    index_count, _ = _lengths(blob)
    start = _INTRO.size + _INDEX.size * index_count
    index: List[_Index] = list(_INDEX.iter_unpack(blob[_INTRO.size : start]))
    data = blob[start:]
    end = _check_trailer(index, data)
    index = [*index[1:], (IMMUTABLE, BIN, end, 0)]
    offsets = [entry[2] for entry in index]
    if offsets[0] != 0:
        raise MalformedRpmError("the first tag's data does not begin at the beginning", tag=index[0][0])
    if offsets != sorted(offsets):
        out_of_order = next(entry[0] for entry, after in zip(index, index[1:]) if entry[2] > after[2])
        raise MalformedRpmError("the tag's data does not lie where the index's order has it", tag=out_of_order)
    entries: Entries = {}
    for (tag, kind, offset, count), following in zip(index, index[1:]):
        # Every entry's data reaches to the next one's: whatever lies between two belongs to the first, or is padding.
        value = data[offset : following[2]]
        if kind == STRING:
            length = value.find(b"\0") + 1 if count == 1 else 0
        elif kind in _WIDTH:
            width = _WIDTH[kind]
            length = 0 if offset % width else width * count
        elif kind in _ARRAYS:
            # Whatever NULs there are beyond the count must be padding at the end.
            length = len(value) - value.count(b"\0") + count
            if not count or value[length - 1 : length] != b"\0":
                length = 0
        else:
            length = 0
        if length != len(value):
            value = _without_padding(value, length, following)
        if not value:
            raise _wrong_length((tag, kind, offset, count))
        entries[tag] = (kind, count, value)
    if IMMUTABLE in entries:
        raise MalformedRpmError("a second immutable region", tag=IMMUTABLE)
    if len(entries) != len(index) - 1:
        raise MalformedRpmError("a tag stands in the header twice", tag=_first_repeated(index))
    return entries


def strings(entry: Entry) -> List[bytes]:
    """The values of a string, string array or i18n string entry."""
    return entry[2][:-1].split(b"\0")


def integers(entry: Entry) -> Tuple[int, ...]:
    """The values of an integer entry; unsigned, as librpm reads them."""
    kind, count, value = entry
    return struct.unpack(f">{count}{_FORMAT[kind]}", value)


def pack_integers(kind: int, values: "List[int] | Tuple[int, ...]") -> Entry:
    """An integer entry of librpm's type ``kind`` that holds the values."""
    return (kind, len(values), struct.pack(f">{len(values)}{_FORMAT[kind]}", *values))


def _lengths(blob: bytes) -> Tuple[int, int]:
    if len(blob) < _INTRO.size:
        raise MalformedRpmError("the header is truncated")
    index_count, data_size = _INTRO.unpack_from(blob)
    if not 1 <= index_count <= MAX_TAGS or not REGION_TRAILER <= data_size <= MAX_DATA:
        raise MalformedRpmError("the header's size is out of bounds", got=f"{index_count} tags, {data_size} bytes")
    if len(blob) != _INTRO.size + _INDEX.size * index_count + data_size:
        raise MalformedRpmError("the header's length is not what it says")
    return index_count, data_size


def _check_trailer(index: List[_Index], data: bytes) -> int:
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


def _without_padding(value: bytes, length: int, following: _Index) -> bytes:
    """The first ``length`` bytes, where the others are zeros that align what follows; b"" where anything else is so."""
    padding = len(value) - length
    if 0 < padding < _WIDTH.get(following[1], 1) and value.endswith(_ZEROS[:padding]):
        return value[:length]
    return b""


def _wrong_length(entry: _Index) -> MalformedRpmError:
    tag, kind, offset, count = entry
    if kind not in _WIDTH and kind not in _ARRAYS and kind != STRING:
        return MalformedRpmError("the tag has a type that no package uses", tag=tag, got=f"type {kind}")
    if count < 1 or (kind == STRING and count != 1):
        return MalformedRpmError("the tag has an impossible count", tag=tag, got=f"count {count}")
    if offset % _WIDTH.get(kind, 1):
        return MalformedRpmError("the tag's data is not aligned", tag=tag, got=f"offset {offset}")
    return MalformedRpmError("the tag's data is not as long as its count says", tag=tag, expected=f"count {count}")


def _first_repeated(index: List[_Index]) -> int:
    seen = set()
    for tag, _, _, _ in index:
        if tag in seen:
            return tag
        seen.add(tag)
    return 0
