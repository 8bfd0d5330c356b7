# SPDX-License-Identifier: GPL-2.0-or-later
"""A strict reader of the immutable region of an RPM header (librpm: lib/header.c, hdrblobInit and regionSwab).

librpm has accepted the bytes before this module sees them; this one accepts only the single way in which rpmbuild
lays a region out, so that every byte of it belongs to exactly one tag or is zero padding, and none is unaccounted for.
Pure: bytes in, values out.

A repository's packages hold mostly the same tags in the same order, and half of what there is to check or to write
about a header follows from that alone. It is worked out once for each such ``Shape`` and kept, here and in the modules
above, for the shapes met last. What is kept is a function of its key, which is all of the tags and types byte for byte;
no count, offset or value goes into it. So a kept answer is the answer, whoever made the header that it was first
worked out for. Nothing is kept of headers that are refused for their shape.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Callable, Dict, Iterator, List, Sequence, Tuple, TypeVar

from multisig.errors import MalformedRpmError

NULL, CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRING_ARRAY, I18NSTRING = range(10)
IMMUTABLE = 63
REGION_TRAILER = 16
MAX_TAGS = 0xFFFF
MAX_DATA = 64 << 20

SHAPES_KEPT = 512
"""Shapes of which something is kept; each takes some 10 KB."""
_MOST_TAGS_KEPT = 512

_INTRO = struct.Struct(">II")
_ENTRY_SIZE = 16
_TRAILER = struct.Struct(">IIiI")
# Bytes of one value, to which rpm also aligns them (lib/header.c, typeAlign).
_WIDTH = {CHAR: 1, INT8: 1, INT16: 2, INT32: 4, INT64: 8, BIN: 1}
_TYPES = frozenset({*_WIDTH, STRING, STRING_ARRAY, I18NSTRING})
_ONE = frozenset({1})
_ZEROS = bytes(16)
_FORMAT = {CHAR: "B", INT8: "B", INT16: "H", INT32: "I", INT64: "Q"}


# One tag's data: librpm's type number, the count, the value as stored (big-endian; strings with their NULs).
Entry = Tuple[int, int, bytes]
Entries = Mapping[int, Entry]
_T = TypeVar("_T")


class Shape:
    """Which tags of which types a header holds, in its order; the region's own is not among them.

    ``places`` says where in that order a tag stands; ``widths`` how many bytes a value of the tag in each place takes,
    0 for text.
    """

    __slots__ = ("kinds", "places", "rooms", "strings", "tags", "widths")

    def __init__(self, tags: Tuple[int, ...], kinds: Tuple[int, ...]) -> None:
        self.tags = tags
        self.kinds = kinds
        self.places: Dict[int, int] = dict(zip(tags, range(len(tags))))
        self.widths = tuple([_WIDTH.get(kind, 0) for kind in kinds])
        self.rooms = (*[width or 1 for width in self.widths[1:]], 1)
        self.strings = picker([place for place, kind in enumerate(kinds) if kind == STRING])


class Header(Mapping[int, Entry]):
    """A header's tags and their data, in the header's order.

    For speed they stand in columns, ``counts`` and ``data`` (values as stored), by the places of the header's shape; as
    a mapping it gives the entry of each tag.
    """

    __slots__ = ("counts", "data", "shape")

    def __init__(self, shape: Shape, counts: Sequence[int], data: Sequence[bytes]) -> None:
        self.shape = shape
        self.counts = counts
        self.data = data

    @classmethod
    def of(cls, entries: "Entries") -> "Header":
        """A header that holds these entries."""
        kinds, counts, values = zip(*entries.values()) if entries else ((), (), ())
        return cls(Shape(tuple(entries), tuple(kinds)), counts, values)

    def texts(self, tag: int) -> List[bytes]:
        """The values of a string, string array or i18n string; KeyError where there is no such tag."""
        return self.data[self.shape.places[tag]][:-1].split(b"\0")

    def numbers(self, tag: int) -> Tuple[int, ...]:
        """The values of an integer tag, unsigned; KeyError where there is no such tag."""
        place = self.shape.places[tag]
        return unpacked(self.shape.kinds[place], self.data[place])

    def __getitem__(self, tag: int) -> Entry:
        place = self.shape.places[tag]
        return (self.shape.kinds[place], self.counts[place], self.data[place])

    def __contains__(self, tag: object) -> bool:
        return tag in self.shape.places

    def __iter__(self) -> Iterator[int]:
        return iter(self.shape.places)

    def __len__(self) -> int:
        return len(self.shape.places)


def parse_region(blob: bytes) -> Header:
    """Every tag of an immutable region, without the region's own tag.

    ``blob`` is what ``header[HEADERIMMUTABLE]`` gives: index length, data length, index, data. Steps:
    1. The lengths span the blob exactly. 2. The first entry is tag 63 and its trailer, at the very end of the data,
    covers the whole index. 3. No tag stands twice. 4. The entries' data follow each other in the index's order, without
    overlap, and with no more than the zero bytes that alignment needs between them. Raises MalformedRpmError.
    """
    start = _INTRO.size + _ENTRY_SIZE * _index_length(blob)
    index, data = blob[_INTRO.size : start], blob[start:]
    fields = unpacked(INT32, index)  # tag, type, offset and count of each entry in turn
    # The region's own entry is left out; every other one's data reaches to where the next one's begins.
    counts, offsets = fields[7::4], (*fields[6::4], _check_trailer(index, data))
    shape = _shape_of(index[_ENTRY_SIZE:])
    if offsets[0] != 0:
        raise MalformedRpmError("the first tag's data does not begin at the beginning", tag=[*shape.tags, IMMUTABLE][0])
    if 0 in counts or not _ONE.issuperset(shape.strings(counts)):
        raise _impossible_count(shape, counts)
    values: List[bytes] = []
    append = values.append
    for offset, following, count, width, room in zip(offsets, offsets[1:], counts, shape.widths, shape.rooms):
        value = data[offset:following]
        if width:
            padding = following - offset - width * count
            if padding or offset % width:
                if offset % width or not 0 < padding < room or value[-padding:] != _ZEROS[:padding]:
                    raise _wrong_length(shape, offsets, len(values), count)
                value = value[:-padding]
        else:
            # Whatever NULs there are beyond the count must be padding at the end.
            padding = value.count(0) - count
            if padding or value[-1]:
                if not 0 < padding < room or value[~padding:] != _ZEROS[: padding + 1]:
                    raise _wrong_length(shape, offsets, len(values), count)
                value = value[:-padding]
        append(value)
    return Header(shape, counts, values)


def strings(entry: Entry) -> List[bytes]:
    """The values of a string, string array or i18n string entry."""
    return entry[2][:-1].split(b"\0")


def integers(entry: Entry) -> Tuple[int, ...]:
    """The values of an integer entry; unsigned, as librpm reads them."""
    return unpacked(entry[0], entry[2])


def unpacked(kind: int, stored: bytes) -> Tuple[int, ...]:
    """The numbers that are stored so, for an integer type; unsigned, as librpm reads them."""
    numbers = array(_FORMAT[kind], stored)
    if sys.byteorder == "little":
        numbers.byteswap()
    return tuple(numbers)


def pack_integers(kind: int, values: "List[int] | Tuple[int, ...]") -> Entry:
    """An integer entry of librpm's type ``kind`` that holds the values."""
    return (kind, len(values), struct.pack(f">{len(values)}{_FORMAT[kind]}", *values))


def picker(places: Sequence[int]) -> Callable[[Sequence[_T]], Tuple[_T, ...]]:
    """A function that gives the elements of a sequence that stand in these places."""
    if len(places) > 1:
        return itemgetter(*places)
    chosen = tuple(places)
    return lambda elements: tuple([elements[place] for place in chosen])


def _index_length(blob: bytes) -> int:
    if len(blob) < _INTRO.size:
        raise MalformedRpmError("the header is truncated")
    index_count, data_size = _INTRO.unpack_from(blob)
    if not 1 <= index_count <= MAX_TAGS or not REGION_TRAILER <= data_size <= MAX_DATA:
        raise MalformedRpmError("the header's size is out of bounds", got=f"{index_count} tags, {data_size} bytes")
    if len(blob) != _INTRO.size + _ENTRY_SIZE * index_count + data_size:
        raise MalformedRpmError("the header's length is not what it says")
    return int(index_count)


def _check_trailer(index: bytes, data: bytes) -> int:
    """The offset at which the region's data ends and its trailer begins."""
    tag, kind, offset, count = _TRAILER.unpack_from(index)
    if tag != IMMUTABLE:
        raise MalformedRpmError(
            "the header has no immutable region", expected=f"tag {IMMUTABLE} first", got=f"tag {tag}"
        )
    if kind != BIN or count != REGION_TRAILER or offset != len(data) - REGION_TRAILER:
        raise MalformedRpmError("the immutable region does not span the header", tag=tag)
    # The trailer is an index entry whose offset points back over the whole index, as a negative number.
    if data[offset:] != _TRAILER.pack(IMMUTABLE, BIN, -len(index), REGION_TRAILER):
        raise MalformedRpmError("the immutable region does not span the header", tag=tag)
    return int(offset)


def _shape_of(index: bytes) -> Shape:
    """The shape of the header with this index; the region's own entry is left out already."""
    # Entries of sixteen bytes, of which the first eight are tag and type.
    key = array("Q", index)[::2].tobytes()
    # No header of so many tags is accepted in the end: it would only take room.
    return _kept_shape(key) if len(index) <= _ENTRY_SIZE * _MOST_TAGS_KEPT else _shape(key)


def _shape(key: bytes) -> Shape:
    fields = unpacked(INT32, key)
    shape = Shape(fields[::2], fields[1::2])
    if not _TYPES.issuperset(shape.kinds):
        tag, kind = next((tag, kind) for tag, kind in zip(shape.tags, shape.kinds) if kind not in _TYPES)
        raise MalformedRpmError("the tag has a type that no package uses", tag=tag, got=f"type {kind}")
    if IMMUTABLE in shape.places:
        raise MalformedRpmError("a second immutable region", tag=IMMUTABLE)
    if len(shape.places) != len(shape.tags):
        # ``places`` has the last of each.
        repeated = next(tag for place, tag in enumerate(shape.tags) if shape.places[tag] != place)
        raise MalformedRpmError("a tag stands in the header twice", tag=repeated)
    return shape


_kept_shape = lru_cache(SHAPES_KEPT)(_shape)


def _wrong_length(shape: Shape, offsets: Sequence[int], place: int, count: int) -> MalformedRpmError:
    """Why the data of the tag in this place are not from its offset to the next one's."""
    for before, offset in enumerate(offsets[:-1]):
        if offset > offsets[before + 1]:
            return MalformedRpmError(
                "the tag's data does not lie where the index's order has it", tag=shape.tags[before]
            )
    tag, offset = shape.tags[place], offsets[place]
    if offset % (shape.widths[place] or 1):
        return MalformedRpmError("the tag's data is not aligned", tag=tag, got=f"offset {offset}")
    return MalformedRpmError("the tag's data is not as long as its count says", tag=tag, expected=f"count {count}")


def _impossible_count(shape: Shape, counts: Sequence[int]) -> MalformedRpmError:
    tag, count = next(
        (tag, count)
        for tag, kind, count in zip(shape.tags, shape.kinds, counts)
        if count < 1 or (kind == STRING and count != 1)
    )
    return MalformedRpmError("the tag has an impossible count", tag=tag, got=f"count {count}")
