# SPDX-License-Identifier: GPL-2.0-or-later
"""The reader of header regions: one layout, every byte of which belongs to one tag."""

from __future__ import annotations

import struct
from typing import Callable, Dict, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.rpmedit import Entry as Raw
from fixtures.rpmedit import Header
from multisig.errors import MalformedRpmError
from multisig.subjects.header import (
    BIN,
    CHAR,
    I18NSTRING,
    IMMUTABLE,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    STRING_ARRAY,
    integers,
    pack_integers,
    parse_region,
    strings,
)

EXAMPLES = settings(max_examples=30, deadline=None)
TAGS = [
    Raw.of(1000, STRING, "name"),
    Raw.of(1003, INT32, 7),
    Raw.of(1010, INT64, [1, 2**64 - 1]),
    Raw.of(1020, CHAR, [1, 2, 3]),
    Raw.of(1030, INT16, [0o100644, 0xFFFF]),
    Raw.of(1040, STRING_ARRAY, ["a", "", "c"]),
    Raw.of(1050, BIN, b"\0\1\2"),
    Raw.of(1060, I18NSTRING, ["text", "Text"]),
    Raw.of(1070, INT8, [255]),
]


def region(entries: List[Raw]) -> bytes:
    """What librpm hands over as the immutable region: lengths, index, data; without the magic."""
    return Header(list(entries), region=IMMUTABLE).pack()[8:]


def refused(blob: bytes) -> MalformedRpmError:
    with pytest.raises(MalformedRpmError) as caught:
        parse_region(blob)
    return caught.value


def test_every_tag_comes_out_as_it_is_stored() -> None:
    found = parse_region(region(TAGS))
    assert found == {raw.tag: (raw.type, raw.count, raw.data) for raw in TAGS}
    assert strings(found[1040]) == [b"a", b"", b"c"]
    assert strings(found[1000]) == [b"name"]
    assert integers(found[1010]) == (1, 2**64 - 1)
    assert integers(found[1030]) == (0o100644, 0xFFFF)


def test_a_region_without_tags_is_read() -> None:
    assert parse_region(region([])) == {}


@pytest.mark.parametrize("kind", [CHAR, INT8, INT16, INT32, INT64])
def test_integers_survive_being_packed(kind: int) -> None:
    assert integers(pack_integers(kind, [0, 1, 255])) == (0, 1, 255)


# --- damage ----------------------------------------------------------------------------------------------------------

GOOD = region(TAGS)
DATA = 8 + 16 * (len(TAGS) + 1)


def line(number: int, **changes: int) -> bytes:
    """GOOD with other fields in the index's line of that number; the region's own is 0."""
    start = 8 + 16 * number
    values = dict(zip(("tag", "type", "offset", "count"), struct.unpack_from(">IIII", GOOD, start)))
    values.update(changes)
    return GOOD[:start] + struct.pack(">IIII", *values.values()) + GOOD[start + 16 :]


def lengths(tags: int, size: int) -> bytes:
    return struct.pack(">II", tags, size) + GOOD[8:]


DAMAGED: Dict[str, bytes] = {
    "nothing": b"",
    "seven bytes": GOOD[:7],
    "no index": struct.pack(">II", 0, 16) + bytes(16),
    "more tags than there are": lengths(len(TAGS) + 2, len(GOOD) - DATA),
    "fewer tags than there are": lengths(len(TAGS), len(GOOD) - DATA),
    "more data than there is": lengths(len(TAGS) + 1, len(GOOD) - DATA + 1),
    "four billion tags": lengths(0xFFFFFFFF, len(GOOD) - DATA),
    "four billion bytes": lengths(len(TAGS) + 1, 0xFFFFFFFF),
    "a byte too many": GOOD + b"\0",
    "a byte too few": GOOD[:-1],
    "the signatures' region": line(0, tag=62),
    "a region of another type": line(0, type=INT32),
    "a region of another size": line(0, count=17),
    "a region elsewhere": line(0, offset=0),
    "a trailer of zeros": GOOD[:-16] + bytes(16),
    "a trailer that covers less": GOOD[:-8] + struct.pack(">iI", -16 * len(TAGS), 16),
    "a trailer that covers more": GOOD[:-8] + struct.pack(">iI", -16 * (len(TAGS) + 2), 16),
    "a tag twice": region([*TAGS, Raw.of(1070, INT8, [255])]),
    "a tag twice with other values": region([*TAGS, Raw.of(1000, STRING, "other")]),
    "a second region": region([*TAGS, Raw.of(IMMUTABLE, BIN, bytes(16)), Raw.of(IMMUTABLE, BIN, bytes(16))]),
    "two tags on one place": line(9, offset=struct.unpack_from(">I", GOOD, 8 + 16 * 8 + 8)[0]),
    "no values": line(1, count=0),
    "four billion values": line(2, count=0xFFFFFFFF),
    "two values of a string": line(1, count=2),
    "a string too few": line(6, count=2),
    "a string too many": line(6, count=4),
    "an offset past the end": line(9, offset=0x7FFFFFFF),
    "a negative offset": line(1, offset=0xFFFFFFFF),
    "an offset that is not aligned": line(2, offset=7),
    "a gap before the first": line(1, offset=1),
    "the type NULL": line(1, type=0),
    "the type 10": line(1, type=10),
    "the type of four billions": line(1, type=0xFFFFFFFF),
}


@pytest.mark.parametrize("what", sorted(DAMAGED))
def test_a_layout_that_rpmbuild_does_not_write_is_refused(what: str) -> None:
    assert DAMAGED[what] != GOOD
    refused(DAMAGED[what])


def padded(before: bytes, after: bytes) -> bytes:
    """A string, so many bytes of padding, and a number, each where the index says."""
    data = b"ab\0" + before + struct.pack(">I", 7) + after
    index = [(IMMUTABLE, BIN, len(data), 16), (1000, STRING, 0, 1), (1003, INT32, 3 + len(before), 1)]
    trailer = struct.pack(">IIiI", IMMUTABLE, BIN, -16 * len(index), 16)
    return (
        struct.pack(">II", len(index), len(data) + 16)
        + b"".join(struct.pack(">IIII", *item) for item in index)
        + (data + trailer)
    )


@pytest.mark.parametrize(
    ("before", "after", "fine"),
    [
        (b"\0", b"", True),
        (b"\0", b"\0", False),
        (b"\0", b"\0" * 7, False),
        (b"x", b"", False),
        (b"\0" * 5, b"", False),
        (b"", b"", False),
        (b"\0", b"\0" * 8, False),
        (b"\0", b"x", False),
        (b"\0", b"\0\0x", False),
    ],
)
def test_between_two_tags_stand_only_the_zeros_that_alignment_needs(before: bytes, after: bytes, fine: bool) -> None:
    if fine:
        assert integers(parse_region(padded(before, after))[1003]) == (7,)
    else:
        refused(padded(before, after))


# --- properties ------------------------------------------------------------------------------------------------------

BYTES = st.binary(max_size=5).map(lambda value: value.replace(b"\0", b"x"))
VALUES = st.one_of(
    st.tuples(st.just(STRING), st.lists(BYTES, min_size=1, max_size=1)),
    st.tuples(st.sampled_from([STRING_ARRAY, I18NSTRING]), st.lists(BYTES, min_size=1, max_size=4)),
    st.tuples(
        st.sampled_from([CHAR, INT8, INT16, INT32, INT64]), st.lists(st.integers(0, 255), min_size=1, max_size=4)
    ),
    st.tuples(st.just(BIN), st.binary(min_size=1, max_size=5)),
)
REGIONS = st.dictionaries(st.integers(100, 9999), VALUES, max_size=6).map(
    lambda chosen: [Raw.of(tag, kind, values) for tag, (kind, values) in chosen.items()]
)


@EXAMPLES
@given(REGIONS)
def test_what_was_laid_out_is_read_back(entries: List[Raw]) -> None:
    assert parse_region(region(entries)) == {raw.tag: (raw.type, raw.count, raw.data) for raw in entries}


@EXAMPLES
@given(REGIONS, REGIONS)
def test_two_regions_are_read_alike_only_if_they_hold_the_same(one: List[Raw], other: List[Raw]) -> None:
    same = {raw.tag: raw for raw in one} == {raw.tag: raw for raw in other}
    assert (parse_region(region(one)) == parse_region(region(other))) is same


def survives(blob: bytes) -> bool:
    """Anything but a MalformedRpmError comes out as it is."""
    try:
        parse_region(blob)
    except MalformedRpmError:
        return False
    return True


@EXAMPLES
@given(REGIONS, st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=3))
def test_whatever_bytes_change_nothing_but_a_malformed_rpm_comes_out(
    entries: List[Raw], changes: "List[Tuple[float, bytes]]"
) -> None:
    blob = bytearray(region(entries))
    for place, new in changes:
        at = int(place * len(blob))
        blob[at : at + len(new)] = new
    survives(bytes(blob))


@EXAMPLES
@given(st.binary(max_size=120))
def test_no_random_bytes_are_a_region(blob: bytes) -> None:
    assert not survives(blob)
    assert not survives(struct.pack(">II", len(blob) // 16, len(blob) % 16) + blob)


BOMBS: Dict[str, Callable[[], bytes]] = {
    "65,535 tags": lambda: region([Raw.of(1000 + number, INT8, 1) for number in range(65_534)]),
    "a million strings": lambda: region([Raw.of(1000, STRING_ARRAY, [""] * 1_000_000)]),
    "a string of 16 MiB": lambda: region([Raw.of(1000, STRING, b"x" * (16 << 20))]),
}


@pytest.mark.parametrize("what", sorted(BOMBS))
def test_large_regions_are_read_in_linear_time(what: str) -> None:
    assert parse_region(BOMBS[what]())
