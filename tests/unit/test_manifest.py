# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest: no two contents share one, and what varies between honest builds does not show."""

from __future__ import annotations

import stat
from typing import Dict, List, Optional, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.errors import MalformedRpmError
from multisig.subjects.header import INT16, INT32, INT64, STRING, STRING_ARRAY, Entries, Entry, integers, pack_integers
from multisig.subjects.header import strings as values_of
from multisig.subjects.manifest import PROFILE, encode_manifest, split_records
from multisig.subjects.structure import NO_FILES, Files
from multisig.subjects.tags import TAGS, Klass

EXAMPLES = settings(max_examples=50, deadline=None)
SIGNED = sorted(number for number, tag in TAGS.items() if tag.klass is Klass.SIGNED)
LEFT_OUT = sorted(number for number, tag in TAGS.items() if tag.klass in (Klass.LEFT_OUT, Klass.ASSERTED))
REQUIREFLAGS, REQUIRENAME, REQUIREVERSION, DEPENDSDICT = 1048, 1049, 1050, 1145
FILESIZES, FILEMODES, FILEDEVICES, FILEINODES, LONGFILESIZES = 1028, 1030, 1095, 1096, 5008
RPMLIB = 0x100000A


def array(*values: bytes) -> Entry:
    return (STRING_ARRAY, len(values), b"\0".join(values) + b"\0")


def text(value: bytes) -> Entry:
    return (STRING, 1, value + b"\0")


def records(entries: Entries, files: Files = NO_FILES, compressor: Optional[bytes] = b"gzip") -> Entries:
    return dict(split_records(encode_manifest(entries, files, compressor)))


def test_the_form_is_the_specified_one() -> None:
    entries = {1001: text(b"1.0"), 1000: text(b"hello"), 1003: pack_integers(INT32, [7])}
    assert encode_manifest(entries, NO_FILES, b"xz") == (
        b"multisig manifest rpm/v1\n1000 6 1 6:hello\0\n1001 6 1 4:1.0\0\n1003 4 1 4:\0\0\0\x07\n"
    )


def test_a_package_without_tags_still_says_what_it_is() -> None:
    assert encode_manifest({}, NO_FILES, None) == PROFILE


def test_tags_that_cannot_change_what_is_installed_do_not_show() -> None:
    for number in LEFT_OUT:
        assert encode_manifest({number: text(b"x")}, NO_FILES, b"gzip") == PROFILE


VALUES = st.binary(max_size=6) | st.sampled_from([b"1000 6 1 0:\n", b"\n1000 6 1 2:a\0\n", b":", b"\0\n", PROFILE])
ENTRIES = st.dictionaries(st.sampled_from(SIGNED), st.tuples(st.integers(1, 9), st.integers(1, 99), VALUES), max_size=5)


@EXAMPLES
@given(ENTRIES)
def test_records_can_be_taken_apart_again(entries: Entries) -> None:
    found = split_records(encode_manifest(entries, NO_FILES, b"gzip"))
    assert [number for number, _ in found] == sorted(entries)
    assert dict(found) == entries


@EXAMPLES
@given(ENTRIES, ENTRIES)
def test_no_two_contents_share_a_manifest(one: Entries, other: Entries) -> None:
    same = encode_manifest(one, NO_FILES, b"gzip") == encode_manifest(other, NO_FILES, b"gzip")
    assert same is (one == other)


@EXAMPLES
@given(ENTRIES.filter(bool), st.sampled_from(["type", "count", "value", "tag"]))
def test_tag_type_count_and_value_all_show(entries: Entries, what: str) -> None:
    number, entry = next(iter(entries.items()))
    changed = dict(entries)
    if what == "tag":
        del changed[number]
        changed[next(other for other in SIGNED if other not in entries)] = entry
    else:
        kind, count, value = entry
        changed[number] = (
            kind + (what == "type"),
            count + (what == "count"),
            value + (b"\0" if what == "value" else b""),
        )
    assert encode_manifest(changed, NO_FILES, b"gzip") != encode_manifest(entries, NO_FILES, b"gzip")


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        PROFILE[:-1],
        b"x" + PROFILE,
        PROFILE + b"1000",
        PROFILE + b"1000 6 1 5:abc\n",
        PROFILE + b"1000 6 1 2:abc\n",
    ],
)
def test_what_is_no_manifest_cannot_be_taken_apart(manifest: bytes) -> None:
    with pytest.raises(ValueError):
        split_records(manifest)


# --- the requirement for the compressor ------------------------------------------------------------------------------

FEATURES: Dict[bytes, Tuple[bytes, bytes]] = {
    b"bzip2": (b"rpmlib(PayloadIsBzip2)", b"3.0.5-1"),
    b"xz": (b"rpmlib(PayloadIsXz)", b"5.2-1"),
    b"lzma": (b"rpmlib(PayloadIsLzma)", b"4.4.6-1"),
    b"zstd": (b"rpmlib(PayloadIsZstd)", b"5.4.18-1"),
}
Requirement = Tuple[bytes, bytes, int]
OTHERS: Sequence[Requirement] = (
    (b"bash", b"", 0),
    (b"rpmlib(FileDigests)", b"4.6.0-1", RPMLIB),
    (b"rtld(GNU_HASH)", b"", 0),
)


def requiring(*requirements: Requirement) -> Entries:
    if not requirements:
        return {}
    return {
        REQUIRENAME: array(*(name for name, _, _ in requirements)),
        REQUIREVERSION: array(*(version for _, version, _ in requirements)),
        REQUIREFLAGS: pack_integers(INT32, [flags for _, _, flags in requirements]),
    }


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("compressor", sorted(FEATURES))
def test_the_compressors_own_requirement_is_left_out_wherever_it_stands(compressor: bytes, place: int) -> None:
    feature: Requirement = (*FEATURES[compressor], RPMLIB)
    listed = [*OTHERS[:place], feature, *OTHERS[place:]]
    plain = encode_manifest(requiring(*OTHERS), NO_FILES, b"gzip")
    assert encode_manifest(requiring(*listed), NO_FILES, compressor) == plain


def test_a_package_that_requires_nothing_else_is_as_one_that_requires_nothing() -> None:
    entries = requiring((*FEATURES[b"xz"], RPMLIB))
    assert encode_manifest(entries, NO_FILES, b"xz") == encode_manifest({}, NO_FILES, b"gzip") == PROFILE


WRONG: List[Tuple[Optional[bytes], List[Requirement]]] = [
    (b"gzip", [(*FEATURES[b"xz"], RPMLIB)]),
    (None, [(*FEATURES[b"xz"], RPMLIB)]),
    (b"zstd", [(*FEATURES[b"xz"], RPMLIB)]),
    (b"xz", [(b"rpmlib(PayloadIsXz)", b"5.2-2", RPMLIB)]),
    (b"xz", [(b"rpmlib(PayloadIsXz)", b"", RPMLIB)]),
    (b"xz", [(b"rpmlib(PayloadIsXz)", b"5.2-1", 0)]),
    (b"xz", [(b"rpmlib(PayloadIsXz)", b"5.2-1", RPMLIB | 64)]),
    (b"xz", [(b"rpmlib(PayloadIsXz)x", b"5.2-1", RPMLIB)]),
    (b"xz", [(b"rpmlib(PayloadIs", b"5.2-1", RPMLIB)]),
    (b"xz", [(*FEATURES[b"xz"], RPMLIB), (*FEATURES[b"xz"], RPMLIB)]),
    (b"xz", [(*FEATURES[b"xz"], RPMLIB), (*FEATURES[b"zstd"], RPMLIB)]),
]


@pytest.mark.parametrize(("compressor", "requirements"), WRONG)
def test_any_other_requirement_of_that_kind_is_refused(
    compressor: Optional[bytes], requirements: List[Requirement]
) -> None:
    with pytest.raises(MalformedRpmError):
        encode_manifest(requiring(*OTHERS, *requirements), NO_FILES, compressor)


@pytest.mark.parametrize("name", [b"x rpmlib(PayloadIsXz)", b"(rpmlib(PayloadIsXz) if x)", b"RPMLIB(PayloadIsXz)"])
def test_a_requirement_that_only_mentions_it_is_signed(name: bytes) -> None:
    found = records(requiring((name, b"5.2-1", RPMLIB), *OTHERS), compressor=b"xz")
    assert name in values_of(found[REQUIRENAME])


def test_the_dictionary_of_dependencies_is_signed_as_it_is() -> None:
    """rpmbuild fills it in before it adds the requirement for the compressor, so nothing in it moves."""
    dictionary = pack_integers(INT32, [ord("R") << 24 | place for place in (0, 1, 2)] + [ord("P") << 24 | 2])
    feature: Requirement = (*FEATURES[b"zstd"], RPMLIB)
    with_feature = {**requiring(OTHERS[0], feature, *OTHERS[1:]), DEPENDSDICT: dictionary}
    assert records(with_feature, compressor=b"zstd") == {**requiring(*OTHERS), DEPENDSDICT: dictionary}


# --- sizes and hard links --------------------------------------------------------------------------------------------

FILE, FOLDER, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def files(count: int, links: Sequence[Tuple[int, ...]] = ()) -> Files:
    empty = (b"",) * count
    paths = tuple(b"/%d" % number for number in range(count))
    groups = {index: group for group in links for index in group}
    return Files(paths, (FILE,) * count, (0,) * count, (0,) * count, empty, empty, 8, groups)


@pytest.mark.parametrize(("tag", "kind"), [(FILESIZES, INT32), (LONGFILESIZES, INT64)])
def test_the_sizes_of_directories_are_those_of_a_file_system_and_become_0(tag: int, kind: int) -> None:
    entries = {FILEMODES: pack_integers(INT16, [FILE, FOLDER, LINK]), tag: pack_integers(kind, [5, 4096, 7])}
    found = records(entries, files(3))[tag]
    assert found[0] == kind
    assert integers(found) == (5, 0, 7)


def inodes(*numbers: int) -> Entries:
    return {
        FILEMODES: pack_integers(INT16, [FILE] * len(numbers)),
        FILESIZES: pack_integers(INT32, [0] * len(numbers)),
        FILEINODES: pack_integers(INT32, list(numbers)),
        FILEDEVICES: pack_integers(INT32, [1] * len(numbers)),
    }


def test_device_and_inode_numbers_do_not_show_but_hard_links_do() -> None:
    without = encode_manifest(inodes(1, 2, 3, 4), files(4), b"gzip")
    assert encode_manifest(inodes(9, 8, 7, 6), files(4), b"gzip") == without
    assert FILEINODES not in records(inodes(1, 2, 3, 4), files(4))
    pair = records(inodes(5, 2, 5, 4), files(4, [(0, 2)]))
    assert integers(pair[FILEINODES]) == (0, 1, 0, 3)
    assert FILEDEVICES not in pair


def partitions(count: int) -> "st.SearchStrategy[List[int]]":
    return st.lists(st.integers(0, count - 1), min_size=count, max_size=count)


@EXAMPLES
@given(partitions(5), partitions(5))
def test_two_ways_to_link_files_share_a_manifest_only_if_they_are_one(one: List[int], other: List[int]) -> None:
    def groups(numbers: List[int]) -> List[Tuple[int, ...]]:
        by_number = [tuple(index for index, value in enumerate(numbers) if value == number) for number in set(numbers)]
        return sorted(group for group in by_number if len(group) > 1)

    def manifest(numbers: List[int]) -> bytes:
        return encode_manifest(inodes(*numbers), files(5, groups(numbers)), b"gzip")

    assert (manifest(one) == manifest(other)) is (groups(one) == groups(other))
