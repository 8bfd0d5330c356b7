# SPDX-License-Identifier: GPL-2.0-or-later
"""Where two contents first differ is found whatever their lengths, the archives' orders and the links between them."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from typing import Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.cpio import Member
from fixtures.rpmedit import INT32, STRING_ARRAY, Rpm
from fixtures.rpmjudge import edited, opened
from multisig.errors import PayloadMismatchError
from multisig.subjects import places
from multisig.subjects.payload import prove_payload
from multisig.subjects.places import Opened, Place, first_places
from multisig.subjects.rpm import read_rpm
from tests.unit.rpm_samples import at, built, recompressed

LONG, ONE = b"/opt/everything/long", b"/opt/everything/one"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("built"))[0]


def holding(package: Rpm, contents: Dict[bytes, bytes]) -> Rpm:
    """The package with other contents in these files, and a header that is true of them."""
    copy = edited(package)
    members = list(copy.members)
    sizes, digests = list(copy.values(1028)), list(copy.values(1035))
    for name, data in contents.items():
        place = at(copy, name)
        sizes[place], digests[place] = len(data), hashlib.sha256(data).hexdigest()
        members = [member.but(data=data) if member.name.endswith(b"/" + name) else member for member in members]
    copy.set(1028, INT32, sizes)
    copy.set(1035, STRING_ARRAY, digests)
    copy.set_members(members)
    copy.fix_payload_digest()
    return copy


def found(a: Rpm, b: Rpm, *paths: bytes) -> Dict[bytes, Place]:
    """The places, in packages that are proven beforehand as the command does it."""
    with ExitStack() as stack:
        sides = []
        for package in (a, b):
            fd = stack.enter_context(opened(package))
            subject = read_rpm(fd)
            prove_payload(fd, subject)
            sides.append(Opened(fd, subject, "x.rpm"))
        return dict(first_places(sides[0], sides[1], paths))


def between(package: Rpm, a: bytes, b: bytes) -> Optional[Place]:
    return found(holding(package, {b"long": a}), holding(package, {b"long": b}), LONG).get(LONG)


BLOCK = places.BLOCK
LINES = b"x\n" * (BLOCK // 2)  # one block of them
CASES: List[Tuple[str, bytes, bytes, Place]] = [
    ("text", b"one\ntwo\nthree\n", b"one\ntvo\nthree\n", Place(5, 2, 0, b"two", b"tvo")),
    ("first line", b"a\n", b"b\n", Place(0, 1, 0, b"a", b"b")),
    ("a line more", b"a\n", b"a\nb\n", Place(2, 2, 0, None, b"b")),
    ("no line end", b"a\nb", b"a\nb\n", Place(3, 2, 0, b"b", b"b")),
    ("empty", b"", b"a\n", Place(0, 1, 0, None, b"a")),
    ("UTF-8", "Grüße\n".encode(), "Grüsse\n".encode(), Place(4, 1, 0, "Grüße".encode(), "Grüsse".encode())),
    ("binary", bytes(40), bytes(39) + b"x", Place(39, None, 32, bytes(8), bytes(7) + b"x")),
    ("binary ends", bytes(16), bytes(17), Place(16, None, 16, None, b"\0")),
    ("no UTF-8", b"\xff\n", b"\xfe\n", Place(0, None, 0, b"\xff\n", b"\xfe\n")),
    ("one is text", b"text", b"te\0t", Place(2, None, 0, b"text", b"te\0t")),
    ("at a block's end", LINES, LINES[:-1] + b"y", Place(BLOCK - 1, BLOCK // 2, 0, b"x", b"xy")),
    ("behind a block", LINES + b"a\n", LINES + b"b\n", Place(BLOCK, BLOCK // 2 + 1, BLOCK - 256, b"a", b"b")),
    ("a block more", bytes(BLOCK), bytes(BLOCK + 1), Place(BLOCK, None, BLOCK, None, b"\0")),
    ("blocks more", bytes(BLOCK), bytes(3 * BLOCK), Place(BLOCK, None, BLOCK, None, bytes(16))),
    ("a line over a block's end", b"a" * (BLOCK - 3) + b"bcdefgh\n", b"a" * (BLOCK - 3) + b"bcdxfgh\n",
     Place(BLOCK, 1, BLOCK - 256, b"a" * 253 + b"bcdefgh", b"a" * 253 + b"bcdxfgh")),
    ("an endless line", b"a" * 1000, b"a" * 500 + b"b" + b"a" * 499,
     Place(500, 1, 0, b"a" * 512, b"a" * 256 + b"b" + b"a" * 255)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_first_differing_place(everything: Rpm, a: bytes, b: bytes, expected: Place) -> None:
    forth, back = between(everything, a, b), between(everything, b, a)
    assert forth is not None and back is not None
    assert (forth.offset, forth.line, forth.a, forth.b) == (expected.offset, expected.line, expected.a, expected.b)
    assert forth.line is not None or forth.start == expected.start
    assert (back.offset, back.line, back.a, back.b) == (forth.offset, forth.line, forth.b, forth.a)


_CONTENT = st.lists(st.sampled_from([b"a", b"b\n", b"\n", b"aaaaaaa", b"\0"]), max_size=40).map(b"".join)


@settings(max_examples=60)
@given(prefix=_CONTENT, a=_CONTENT, b=_CONTENT)
def test_the_place_is_where_a_reader_of_both_would_find_it(everything: Rpm, prefix: bytes, a: bytes, b: bytes) -> None:
    a, b = prefix + a, prefix + b
    with pytest.MonkeyPatch.context() as patch:
        # Blocks so short that contents have many of them.
        patch.setattr(places, "BLOCK", 16)
        patch.setattr(places, "_AROUND", 16)
        place = between(everything, a, b)
    if a == b:
        assert place is None
        return
    offset = len(os.path.commonprefix([a, b]))
    assert place is not None and place.offset == offset
    if place.line is not None:
        assert place.line == a[:offset].count(b"\n") + 1
    else:
        assert place.start == offset - offset % 16
        assert (place.a or b"", place.b or b"") == (a[place.start :][:16] if offset < len(a) else b"",
                                                    b[place.start :][:16] if offset < len(b) else b"")  # fmt: skip


def reversed_members(package: Rpm) -> Rpm:
    """The other way round, but for the names of hard links, which stand together and in their order."""
    copy = edited(package)
    linked = [member for member in copy.members if member.nlink > 1]
    others = [member for member in copy.members if member.nlink == 1]
    copy.set_members([*linked, *others[::-1]])
    copy.fix_payload_digest()
    return copy


def by_index(package: Rpm) -> Rpm:
    """The archive as packages with files of more than 4 GiB have it."""
    copy = edited(package)
    with opened(package) as fd:
        places_of = {path: place for place, path in enumerate(read_rpm(fd).files.paths)}
    copy.set_members([Member(b"", member.data, index=places_of[member.name[1:]]) for member in copy.members])
    copy.fix_payload_digest()
    return copy


@pytest.mark.parametrize("other", [reversed_members, by_index, lambda package: recompressed(package, "zstd")])
def test_the_archives_need_not_be_alike(everything: Rpm, other: object) -> None:
    assert callable(other)
    a = holding(everything, {b"long": b"a" * 100_000, b"one": b"1\n"})
    b = other(holding(everything, {b"long": b"a" * 99_999 + b"b", b"one": b"2\n"}))
    for pair in ((a, b), (b, a)):
        result = found(*pair, ONE, LONG)
        assert {path: place.offset for path, place in result.items()} == {ONE: 0, LONG: 99_999}


def test_hard_links_share_their_place(everything: Rpm) -> None:
    links = [b"/opt/everything/d/link3", b"/opt/everything/link1", b"/opt/everything/link2"]
    other = edited(everything)
    members = [member.but(data=b"linkeD\n") if member.data == b"linked\n" else member for member in other.members]
    digests = [
        hashlib.sha256(b"linkeD\n").hexdigest() if value == hashlib.sha256(b"linked\n").hexdigest().encode() else value
        for value in other.values(1035)
    ]
    other.set(1035, STRING_ARRAY, digests)
    other.set_members(members)
    other.fix_payload_digest()
    expected = {path: Place(5, 1, 0, b"linked", b"linkeD") for path in links}
    assert found(everything, other, *links) == expected


def test_what_has_no_content_has_no_place(everything: Rpm) -> None:
    paths = [b"/opt/everything", b"/opt/everything/symlink", b"/opt/everything/ghost", b"/nowhere"]
    assert found(everything, everything, *paths, LONG) == {}


def test_no_more_files_are_looked_into_than_fit_into_memory(everything: Rpm) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "MAX_FILES", 1)
        a = holding(everything, {b"long": b"a", b"one": b"1\n"})
        b = holding(everything, {b"long": b"b", b"one": b"2\n"})
        assert set(found(a, b, ONE, LONG)) == {ONE}


@pytest.mark.parametrize("damage", ["empty", "other names", "other sizes", "junk"])
def test_a_payload_that_is_exchanged_after_the_proof_ends_the_comparison(everything: Rpm, damage: str) -> None:
    other = edited(everything)
    members = other.members
    if damage == "empty":
        other.set_members([], end=False)
    elif damage == "other names":
        other.set_members([member.but(name=b"./elsewhere") for member in members])
    elif damage == "other sizes":
        other.set_members([member.but(data=member.data + b"x") for member in members])
    else:
        other.set_archive(b"junk" * 1000)
    with opened(everything) as good, opened(other) as bad:
        a = Opened(good, read_rpm(good), "a.rpm")
        b = Opened(bad, read_rpm(bad), "b.rpm")
        for pair in ((a, b), (b, a)):
            with pytest.raises(PayloadMismatchError) as caught:
                first_places(*pair, [LONG])
            assert caught.value.path == "b.rpm"
