# SPDX-License-Identifier: GPL-2.0-or-later
"""What an attacker may do to the tags of a header and to the region that holds them.

It is refused, or the digest is another one; only what is left out by the table may change. The signature header always
fits the main header, so that rpm itself would see nothing wrong.
"""

from __future__ import annotations

import struct
from typing import Dict, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.rpmedit import BIN, INT16, INT32, STRING, STRING_ARRAY, Entry, Rpm, Value, Values
from fixtures.rpmjudge import adding, digest, edited, framing, having, judged, proven, removing, storing
from multisig.errors import MalformedRpmError
from multisig.subjects.tags import GROUPS, TAGS, Klass, Tag
from tests.unit.rpm_samples import (
    NUMBER_OF,
    built,
    by_class,
    changed,
    named,
    other,
    refused,
    refused_or_different,
    with_tag,
)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("built"))[0]


@pytest.fixture(scope="module")
def original(everything: Rpm) -> str:
    """The digest of the package as it was built."""
    return digest(everything)


def test_the_edited_package_is_accepted_before_any_edit(everything: Rpm, original: str) -> None:
    assert digest(edited(everything)) == original
    assert proven(everything).name == "everything-3:1.0-1.test.x86_64"


CHECKED_APART = {"FILEDIGESTALGO", "PAYLOADFORMAT"}


@pytest.mark.parametrize("tag", [tag for tag in by_class(Klass.SIGNED) if tag.name not in CHECKED_APART], ids=named)
def test_a_change_of_a_signed_tag_changes_the_digest(everything: Rpm, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    assert digest(changed(package, tag.number)) != digest(package)


@pytest.mark.parametrize("tag", by_class(Klass.SIGNED), ids=named)
def test_a_signed_tag_taken_out_or_put_in_changes_the_digest(everything: Rpm, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    refused_or_different(edited(package, removing(tag.number)), digest(package))


@pytest.mark.parametrize("tag", by_class(Klass.LEFT_OUT), ids=named)
def test_a_change_of_a_left_out_tag_does_not_change_the_digest(everything: Rpm, original: str, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    assert digest(package) == digest(changed(package, tag.number)) == original


@pytest.mark.parametrize("tag", by_class(Klass.LEFT_OUT), ids=named)
def test_a_left_out_tag_may_be_missing(everything: Rpm, original: str, tag: Tag) -> None:
    group = [tag.number] if tag.arity not in GROUPS or tag.arity == "file" else GROUPS[tag.arity]
    assert digest(edited(everything, *(removing(n) for n in group))) == original


@pytest.mark.parametrize("tag", by_class(Klass.REFUSED), ids=named)
def test_a_tag_that_has_no_place_in_a_package_is_refused(everything: Rpm, tag: Tag) -> None:
    for type_ in (INT32, STRING, STRING_ARRAY, BIN):
        value: Value = 1 if type_ == INT32 else b"value"
        refused(edited(everything, adding(tag.number, type_, value)))


UNKNOWN = [1, 60, 99, 101, 255, 280, 999, 1070, 1078, 1197, 1203, 4999, 5028, 5125, 5126, 9999, 1000000, 0x7FFFFFFF]


@pytest.mark.parametrize("number", UNKNOWN)
def test_unknown_tag_numbers_are_refused(everything: Rpm, number: int) -> None:
    refused(edited(everything, adding(number, STRING, "x")))
    refused(edited(everything, adding(number, INT32, 0)))


ALLOWED = [tag for tag in TAGS.values() if tag.klass is not Klass.REFUSED and tag.number != 63]


@pytest.mark.parametrize("tag", ALLOWED, ids=named)
def test_a_tag_of_another_type_is_refused(everything: Rpm, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    entry = package.get(tag.number)
    assert entry is not None
    for type_ in {1, 2, 3, 4, 5, 6, 7, 8, 9} - set(tag.types):
        count = 1 if type_ == STRING else entry.count
        value: Value = b"0" * count if type_ == BIN else 0 if type_ < STRING else b"x"
        wrong = Entry.of(tag.number, type_, value if type_ == BIN else [value] * count)
        refused(edited(package, storing(wrong)))


@pytest.mark.parametrize("tag", [tag for tag in ALLOWED if tag.types[0] not in (STRING, BIN)], ids=named)
def test_counts_of_parallel_arrays_that_differ_are_refused(everything: Rpm, tag: Tag) -> None:
    if tag.arity == "any" or tag.arity == "dir":
        return
    package = with_tag(everything, tag.number)
    entry = package.get(tag.number)
    assert entry is not None
    longer = Entry.of(tag.number, entry.type, [*entry.values, entry.values[0]])
    refused(edited(package, storing(longer)))
    if entry.count > 1:
        refused(edited(package, storing(Entry.of(tag.number, entry.type, entry.values[:-1]))))


@pytest.mark.parametrize("group", sorted(set(GROUPS) - {"dir", "changelog"}))
def test_an_array_without_those_that_belong_to_it_is_refused(everything: Rpm, group: str) -> None:
    package = with_tag(everything, GROUPS[group][0])
    for number in GROUPS[group]:
        if len(GROUPS[group]) > 1:
            refused(edited(package, removing(number)))


@pytest.mark.parametrize("name", ["NAME", "POSTIN", "EPOCH", "REQUIRENAME", "BASENAMES", "FILEDIGESTS", "BUILDHOST"])
@pytest.mark.parametrize("at", [0, None, 10_000])
def test_duplicate_tags_are_refused(everything: Rpm, name: str, at: int) -> None:
    entry = everything.get(NUMBER_OF[name])
    assert entry is not None
    second = other(entry)
    for values in (entry.values, second.values):
        refused(edited(everything, adding(entry.tag, entry.type, values, at=at)))


def test_a_duplicate_of_another_type_is_refused(everything: Rpm) -> None:
    refused(edited(everything, adding(NUMBER_OF["POSTIN"], STRING_ARRAY, ["evil"])))


@pytest.mark.parametrize("name", ["NAME", "POSTIN", "POSTINPROG", "FILEMODES", "VENDOR", "BUILDHOST", "INSTPREFIXES"])
def test_tags_outside_the_immutable_region_are_refused(everything: Rpm, name: str) -> None:
    outside = Entry.of(NUMBER_OF[name], STRING, "evil")
    refused(edited(everything, lambda copy: copy.header.dribble.append(outside)))
    moved = edited(everything, lambda copy: copy.header.dribble.append(outside), removing(outside.tag))
    refused(moved)


@pytest.mark.parametrize("name", ["POSTIN", "POSTINPROG", "PREIN", "FILECAPS", "VENDOR", "OBSOLETENAME"])
def test_tags_in_the_signature_header_do_not_count(everything: Rpm, original: str, name: str) -> None:
    package = edited(everything, lambda copy: copy.signature.add(NUMBER_OF[name], STRING, "evil"))
    try:
        subject = judged(package)
    except MalformedRpmError:
        return
    assert f"{subject.sha256} {subject.sha512}" == original
    assert b"evil" not in subject.manifest


@pytest.mark.parametrize("number", [274, 275, 276, 277])
def test_file_signatures_in_the_signature_header_are_noticed(everything: Rpm, number: int) -> None:
    assert not judged(everything).file_signatures
    value: Values = 8 if number in (275, 277) else ["00"] * len(everything.values(1117))
    type_ = INT32 if number in (275, 277) else STRING_ARRAY
    package = edited(everything, lambda copy: copy.signature.add(number, type_, value))
    assert judged(package).file_signatures


def test_a_header_without_an_immutable_region_is_refused(everything: Rpm) -> None:
    refused(edited(everything, having(region=False)))


@pytest.mark.parametrize("region", [61, 62, 64, 1000])
def test_a_region_of_another_kind_is_refused(everything: Rpm, region: int) -> None:
    refused(edited(everything, framing(region=region)))


def region_entries(size: int) -> Dict[str, Tuple[int, int, int, int]]:
    return {
        "offset beyond the data": (63, BIN, size + 16, 16),
        "offset inside the data": (63, BIN, 16, 16),
        "no offset": (63, BIN, 0, 16),
        "short": (63, BIN, size, 8),
        "no bytes": (63, BIN, size, 0),
        "a string": (63, STRING, size, 16),
        "numbers": (63, INT32, size, 4),
    }


@pytest.mark.parametrize("what", sorted(region_entries(0)))
def test_a_region_that_lies_about_its_place_is_refused(everything: Rpm, what: str) -> None:
    size = data_size(everything) - 16
    refused(edited(everything, framing(region_entry=region_entries(size)[what])))


@pytest.mark.parametrize("tags_less", [1, 2, 50, -1])
@pytest.mark.parametrize("name", ["trailer"])
def test_a_region_that_does_not_span_every_tag_is_refused(everything: Rpm, name: str, tags_less: int) -> None:
    spanned = len(everything.header.entries) + 1 - tags_less
    trailer = struct.pack(">IIiI", 63, BIN, -16 * spanned, 16)
    refused(edited(everything, framing(**{name: trailer})))


def data_size(package: Rpm) -> int:
    return int(struct.unpack_from(">I", package.header.pack(), 12)[0])


@pytest.mark.parametrize("padding", [b"\0", b"evil", b"\0" * 64])
def test_bytes_of_the_header_that_belong_to_no_tag_are_refused_or_signed(everything: Rpm, padding: bytes) -> None:
    def append(copy: Rpm) -> None:
        last = copy.header.entries[-1]
        copy.header.entries[-1] = Entry(last.tag, last.type, last.count, last.data + padding)

    refused(edited(everything, append))


@pytest.mark.parametrize("count", [0, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("name", ["NAME", "EPOCH", "FILEMODES", "BASENAMES", "SOURCEPKGID", "SUMMARY"])
def test_a_count_that_the_data_cannot_hold_is_refused(everything: Rpm, name: str, count: int) -> None:
    package = with_tag(everything, NUMBER_OF[name])
    entry = package.get(NUMBER_OF[name])
    assert entry is not None
    refused(edited(package, storing(Entry(entry.tag, entry.type, count, entry.data))))


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.05, 0.3, 0.7, 0.9, 0.999])
def test_a_truncated_header_is_refused(everything: Rpm, share: float) -> None:
    whole = everything.pack()
    header_end = len(whole) - len(everything.payload)
    with pytest.raises(MalformedRpmError):
        judged(whole[: int(header_end * share)])


@pytest.mark.parametrize("cut", [1, 15, 16, 100])
def test_a_header_that_ends_a_little_early_is_refused(everything: Rpm, cut: int) -> None:
    whole = everything.pack()
    with pytest.raises(MalformedRpmError):
        judged(whole[: len(whole) - len(everything.payload) - cut])


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_of_the_header_is_refused_or_changes_the_digest_or_lies_in_a_left_out_tag(
    everything: Rpm, original: str, place: float, flip: int
) -> None:
    packed = everything.pack()
    header = everything.header.pack()
    start = len(packed) - len(everything.payload) - len(header)
    position = start + int(place * len(header))
    broken = packed[:position] + bytes([packed[position] ^ flip]) + packed[position + 1 :]
    try:
        after = digest(broken)
    except MalformedRpmError:
        return
    if after == original:
        before = {entry.tag: entry for entry in everything.header.entries}
        for entry in Rpm.parse(broken).header.entries:
            assert entry == before[entry.tag] or harmless(before[entry.tag], entry)


def harmless(before: Entry, after: Entry) -> bool:
    """Whether the two may share a manifest: left out, or replaced by what both have in common."""
    if TAGS[before.tag].klass in (Klass.LEFT_OUT, Klass.ASSERTED):
        return before.type == after.type and before.count == after.count
    return before.tag in (1028, 1095, 1096) and before.type in (INT16, INT32)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), at_header=st.booleans())
def test_arbitrary_bytes_in_place_of_a_header_are_refused(everything: Rpm, data: bytes, at_header: bool) -> None:
    packed = everything.pack()
    start = len(packed) - len(everything.payload) - len(everything.header.pack()) if at_header else 96
    with pytest.raises(MalformedRpmError):
        judged(packed[:start] + data)
    with pytest.raises(MalformedRpmError):
        judged(data)
