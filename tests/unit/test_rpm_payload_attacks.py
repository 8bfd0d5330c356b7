# SPDX-License-Identifier: GPL-2.0-or-later
"""What an attacker may put into a payload's archive, or leave out of it: it does not pass.

Payload digests and sizes in both headers are made to fit, so that only the content tells.
"""

from __future__ import annotations

from itertools import permutations
from typing import List

import pytest

from fixtures.cpio import Member
from fixtures.rpmedit import STRING_ARRAY, Rpm
from fixtures.rpmjudge import edited, judged, proven, setting
from tests.unit.rpm_samples import (
    NAMED_COMPRESSORS,
    built,
    recompressed,
    refused_payload,
    refused_payload_as_it_is,
    replaced,
    with_members,
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> List[Rpm]:
    return built(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def everything(packages: List[Rpm]) -> Rpm:
    return packages[0]


@pytest.fixture(scope="module")
def empty(packages: List[Rpm]) -> Rpm:
    """A package without files."""
    return packages[1]


# --- content ---------------------------------------------------------------------------------------------------------


def test_the_package_as_built_passes_and_so_do_its_siblings(packages: List[Rpm]) -> None:
    for package in packages:
        assert proven(package).manifest


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_the_package_passes_with_every_compressor(everything: Rpm, compressor: str) -> None:
    package = recompressed(everything, compressor)
    assert package.values(1125) == [compressor.encode()]
    assert proven(package).sha256 == judged(everything).sha256


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_content_that_differs_from_the_file_digest_is_refused(everything: Rpm, compressor: str) -> None:
    package = recompressed(replaced(everything, b"./opt/everything/one", data=b"oNe\n"), compressor)
    assert judged(package).sha256 == judged(everything).sha256
    refused_payload(package)


@pytest.mark.parametrize("name", [b"one", b"program", b"long", b"link2", "nämé".encode(), b"caps", b"text.de"])
def test_one_changed_byte_in_any_file_is_refused(everything: Rpm, name: bytes) -> None:
    path = b"./opt/everything/" + name
    data = next(member.data for member in everything.members if member.name == path)
    for place in (0, len(data) // 2, len(data) - 1):
        refused_payload(replaced(everything, path, data=data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]))


@pytest.mark.parametrize("data", [b"", b"one", b"one\n\0", b"one\none\n", b"one\n" + b"\0" * 4000])
def test_content_of_another_size_is_refused(everything: Rpm, data: bytes) -> None:
    refused_payload(replaced(everything, b"./opt/everything/one", data=data))


def test_swapped_contents_are_refused(everything: Rpm) -> None:
    names = {b"./opt/everything/one": b"./opt/everything/two", b"./opt/everything/two": b"./opt/everything/one"}
    members = [member.but(name=names.get(member.name, member.name)) for member in everything.members]
    refused_payload(with_members(everything, members))


@pytest.mark.parametrize("target", [b"two", b"", b"../../../etc/shadow", b"one\0", b"onE"])
def test_another_link_target_is_refused(everything: Rpm, target: bytes) -> None:
    refused_payload(replaced(everything, b"./opt/everything/symlink", data=target))


@pytest.mark.parametrize("name", [b"./opt/everything/d", b"./opt/everything/null", b"./opt/everything/empty"])
def test_content_where_there_is_none_is_refused(everything: Rpm, name: bytes) -> None:
    refused_payload(replaced(everything, name, data=b"content"))


def test_a_wrong_digest_of_the_uncompressed_payload_hides_nothing(everything: Rpm) -> None:
    """rpm does not look at PAYLOADDIGESTALT where PAYLOADDIGEST matches."""
    wrong = edited(everything, setting(5097, STRING_ARRAY, "0" * 64))
    assert proven(wrong).sha256 == judged(everything).sha256
    tampered = replaced(everything, b"./opt/everything/one", data=b"evil")
    true_alternative = everything.values(5097)
    tampered.fix_payload_digest()
    tampered.set(5097, STRING_ARRAY, true_alternative)
    refused_payload_as_it_is(tampered)


def test_payload_digests_that_fit_do_not_make_up_for_the_content(everything: Rpm) -> None:
    tampered = replaced(everything, b"./opt/everything/two", data=b"TWO\n")
    for number, length in ((5121, 128), (5122, 128), (5123, 64), (5124, 64)):
        tampered.set(number, 6, "0" * length)
    refused_payload(tampered)


# --- members ---------------------------------------------------------------------------------------------------------


def test_every_missing_member_is_refused(everything: Rpm) -> None:
    members = everything.members
    assert len(members) == 17
    for member in members:
        refused_payload(with_members(everything, [one for one in members if one is not member]))


def test_an_archive_without_members_is_refused(everything: Rpm) -> None:
    refused_payload(with_members(everything, []))


ADDED = [
    *(b"./opt/everything/evil", b"./etc/passwd", b"/etc/passwd", b"etc/passwd", b"./../../etc/passwd", b"..", b"."),
    *(b"./opt/everything/./one", b"./opt//everything/one", b"./opt/everything/one/", b"./opt/everything/d/../one"),
    *(b"./", b"/", b"./opt/everything/ghost", b"TRAILER", b"./TRAILER!!!", b"\xff\xfe", b"./a\nb", b"x" * 5000),
]


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("place", [0, 5, 99])
def test_an_added_member_is_refused(everything: Rpm, name: bytes, place: int) -> None:
    members = everything.members
    members.insert(place, Member(name, b"evil"))
    refused_payload(with_members(everything, members))


@pytest.mark.parametrize("name", [b"./opt/everything/one", b"opt/everything/one", b"/opt/everything/one"])
@pytest.mark.parametrize("place", [0, 99])
def test_a_member_twice_is_refused(everything: Rpm, name: bytes, place: int) -> None:
    members = everything.members
    members.insert(place, Member(name, b"one\n"))
    refused_payload(with_members(everything, members))


def test_a_member_in_a_package_without_files_is_refused(empty: Rpm) -> None:
    refused_payload(with_members(empty, [Member(b"./etc/evil", b"evil")]))
    refused_payload(with_members(empty, [Member(b"", index=0)]))


def test_renamed_members_are_refused(everything: Rpm) -> None:
    refused_payload(replaced(everything, b"./opt/everything/one", name=b"./opt/everything/One"))
    refused_payload(replaced(everything, b"./opt/everything/one", name=b"./opt/everything/one\0x"))


def test_a_member_named_by_an_index_that_is_not_its_own_is_refused(everything: Rpm) -> None:
    names = [bytes(name) for name in everything.values(1117) if isinstance(name, bytes)]
    place = next(at for at, one in enumerate(everything.members) if one.name == b"./opt/everything/one")
    for index in (names.index(b"two"), names.index(b"ghost"), len(names), 2**32 - 1):
        members = everything.members
        members[place] = Member(b"", b"one\n", index=index)
        refused_payload(with_members(everything, members))


def test_members_named_by_their_index_pass(everything: Rpm) -> None:
    """As rpm writes them where a file is over 4 GiB; the control of the test above."""
    place = next(at for at, one in enumerate(everything.members) if one.name == b"./opt/everything/one")
    members = everything.members
    members[place] = Member(b"", b"one\n", index=everything.values(1117).index(b"one"))
    assert proven(with_members(everything, members)).manifest


LINKS = [b"./opt/everything/d/link3", b"./opt/everything/link1", b"./opt/everything/link2"]


def test_hard_links_whose_content_is_another_or_comes_with_another_link_are_refused(everything: Rpm) -> None:
    """rpm takes the content from the last of the header's group, and would leave an empty file otherwise."""
    contents = {member.name: member.data for member in everything.members if member.name in LINKS}
    last = next(name for name, data in contents.items() if data)
    assert last == LINKS[-1]
    refused_payload(replaced(everything, last, data=b""))
    refused_payload(replaced(everything, last, data=b"LINKED\n"))
    refused_payload(replaced(everything, LINKS[0], data=b"linked\n"))
    moved = [member.but(data=b"linked\n" if member.name == LINKS[0] else member.data) for member in everything.members]
    refused_payload(
        with_members(everything, [member.but(data=b"") if member.name == last else member for member in moved])
    )


def test_names_of_a_hard_link_that_do_not_stand_together_are_refused(everything: Rpm) -> None:
    """rpm takes the next regular file for one more name of the link that waits for its content."""
    linked = [member for member in everything.members if member.name in LINKS]
    others = [member for member in everything.members if member.name not in LINKS]
    assert [member.name for member in linked] == LINKS
    for place in range(len(others) + 1):
        assert proven(with_members(everything, [*others[:place], *linked, *others[place:]])).manifest
    for between in others:
        rest = [member for member in others if member is not between]
        for place in (1, 2):
            refused_payload(with_members(everything, [*rest, *linked[:place], between, *linked[place:]]))
            refused_payload(with_members(everything, [*linked[:place], *rest, between, *linked[place:]]))


def test_names_of_a_hard_link_after_its_content_are_refused(everything: Rpm) -> None:
    """rpm would leave them empty, or take the next regular file for one more name of theirs."""
    others = [member for member in everything.members if member.name not in LINKS]
    for order in permutations(member for member in everything.members if member.name in LINKS):
        package = with_members(everything, [*others[:3], *order, *others[3:]])
        if order[-1].data:
            assert proven(package).manifest
        else:
            refused_payload(package)
            refused_payload(with_members(everything, [*others, *order]))


@pytest.mark.parametrize("magic", [b"070707", b"070702", b"07070Y", b"\0" * 6, b"ustar\0", b"!<arch"])
def test_members_of_another_archive_format_are_refused(everything: Rpm, magic: bytes) -> None:
    refused_payload(replaced(everything, b"./opt/everything/one", magic=magic))


FIELDS = [
    "ino",
    "mode",
    "uid",
    "gid",
    "nlink",
    "mtime",
    "size",
    "devmajor",
    "devminor",
    "rdevmajor",
    "rdevminor",
    "namesize",
]


@pytest.mark.parametrize(
    "value", [b"-0000001", b"+0000001", b"0x000001", b" 0000001", b"0000_001", b"gggggggg", b"\xef\xbc\x91     "]
)
@pytest.mark.parametrize("field", ["size", "namesize"])
def test_numbers_that_are_not_hex_are_refused(everything: Rpm, field: str, value: bytes) -> None:
    archive = everything.archive
    start = 6 + 8 * FIELDS.index(field)
    broken = archive[:start] + value + archive[start + 8 :]
    refused_payload(edited(everything, lambda copy: copy.set_archive(broken)))


@pytest.mark.parametrize("value", [0, 1, 2, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("field", ["size", "namesize"])
def test_lengths_that_are_not_the_members_are_refused(everything: Rpm, field: str, value: int) -> None:
    archive = everything.archive
    start = 6 + 8 * FIELDS.index(field)
    broken = archive[:start] + b"%08x" % value + archive[start + 8 :]
    refused_payload(edited(everything, lambda copy: copy.set_archive(broken)))
