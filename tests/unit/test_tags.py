# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of header tags is whole, agrees with librpm, and fits what rpmbuild writes."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import pytest
import rpm

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import Rpm
from multisig.subjects import tags
from multisig.subjects.tags import GROUPS, INDEXES, SHAPES, TAGS, Klass

# Of rpm 4.19 to 6.1, which the installed librpm need not know (rpmtag.h of 6.x).
LATER = {
    5103: "PREUNTRANS",
    5104: "POSTUNTRANS",
    5105: "PREUNTRANSPROG",
    5106: "POSTUNTRANSPROG",
    5107: "PREUNTRANSFLAGS",
    5108: "POSTUNTRANSFLAGS",
    5109: "SYSUSERS",
    5112: "PAYLOADSIZE",
    5113: "PAYLOADSIZEALT",
    5114: "RPMFORMAT",
    5115: "FILEMIMEINDEX",
    5116: "MIMEDICT",
    5118: "PACKAGEDIGESTS",
    5120: "SOURCENEVR",
    5121: "PAYLOADSHA512",
    5123: "PAYLOADSHA3_256",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> List[Rpm]:
    cache = tmp_path_factory.mktemp("packages")
    return [Rpm.read(path) for path in build(Recipe("everything.spec"), BUILDERS["rafal"], cache)]


def test_no_tag_is_in_the_table_twice() -> None:
    numbers = [line[0] for line in tags._TABLE] + [number for _, many in tags._REFUSED for number, _ in many]
    names = [tag.name for tag in TAGS.values()]
    assert len(numbers) == len(set(numbers)) == len(TAGS)
    assert len(names) == len(set(names))
    assert list(TAGS) == sorted(TAGS)
    assert [line[0] for line in tags._TABLE] == sorted(line[0] for line in tags._TABLE)


def test_every_tag_that_librpm_knows_is_in_the_table() -> None:
    assert not set(rpm.tagnames) - set(TAGS)


def test_every_name_is_librpms_name_for_the_number() -> None:
    known = [tag for tag in TAGS.values() if tag.number in rpm.tagnames]
    assert len(known) > 200
    assert {tag.name: getattr(rpm, f"RPMTAG_{tag.name}") for tag in known} == {tag.name: tag.number for tag in known}


@pytest.mark.parametrize(("number", "name"), sorted(LATER.items()))
def test_tags_of_later_rpms_have_their_numbers(number: int, name: str) -> None:
    assert TAGS[number].name == name


def test_every_class_is_used_and_says_why() -> None:
    assert {tag.klass for tag in TAGS.values()} == set(Klass)
    for tag in TAGS.values():
        assert tag.why
        assert "\n" not in tag.why


def test_a_refused_tag_has_no_allowed_type_and_any_other_has_one() -> None:
    for tag in TAGS.values():
        assert (tag.klass is Klass.REFUSED) == (not tag.types), tag
        assert tags.NULL not in tag.types


def test_a_string_has_the_count_one_and_several_strings_are_an_array() -> None:
    for tag in TAGS.values():
        if tag.types == (tags.STRING,):
            assert tag.arity == "one", tag


def test_groups_name_their_own_members_and_every_group_has_an_anchor() -> None:
    members: Dict[str, List[int]] = {}
    for tag in TAGS.values():
        if tag.arity not in ("one", "any"):
            members.setdefault(tag.arity, []).append(tag.number)
    assert set(members) == set(GROUPS)
    for group, needed in GROUPS.items():
        assert set(needed) <= set(members[group]), group


def test_indexes_point_from_numbers_to_arrays() -> None:
    for index, array in INDEXES.items():
        assert TAGS[index].types == (tags.INT32,)
        assert TAGS[array].types == (tags.STRING_ARRAY,)


def test_every_asserted_tag_says_what_is_asserted(packages: List[Rpm]) -> None:
    assert {number for number, tag in TAGS.items() if tag.klass is Klass.ASSERTED} == {63, *SHAPES}
    for package in packages:
        for number in set(SHAPES) & {entry.tag for entry in package.header.entries}:
            entry = package.get(number)
            assert entry is not None
            assert SHAPES[number].match(entry.data)
            assert not SHAPES[number].match(entry.data + b"\0")
            assert not SHAPES[number].match(b"x" + entry.data)


def test_real_packages_carry_only_tags_of_the_table_with_its_types_and_counts(packages: List[Rpm]) -> None:
    for package in packages:
        counts: Dict[str, int] = {}
        for entry in package.header.entries:
            tag = TAGS[entry.tag]
            assert tag.klass is not Klass.REFUSED, tag
            assert entry.type in tag.types, tag
            if tag.arity == "one":
                assert entry.count == 1, tag
            elif tag.arity != "any":
                assert counts.setdefault(tag.arity, entry.count) == entry.count, tag
        present = {entry.tag for entry in package.header.entries}
        assert all(set(GROUPS[group]) <= present for group in counts)
        for index, array in INDEXES.items():
            assert all(int(value) < len(package.values(array)) for value in package.values(index))


def test_the_sample_carries_scripts_triggers_files_and_dependencies_of_every_kind(packages: List[Rpm]) -> None:
    present = {entry.tag for entry in packages[0].header.entries}
    wanted = {number for number, tag in TAGS.items() if tag.klass is Klass.SIGNED and number < 5103}
    rare = {1012, 1013, 1026, 1059, 1060, 1061, 1062, 1123, 1131, 1147, 1150, 1177, 5009, *range(1156, 1162)}
    flags = {5020, 5021, 5023, 5024, 5025, 5026}
    policies = {5030, 5031, 5032, 5033}
    assert wanted - present == rare | flags | policies


def test_the_compressor_does_not_move_the_dictionary_of_dependencies(packages: List[Rpm], tmp_path: Path) -> None:
    """Why DEPENDSDICT is signed as it is: rpmbuild fills it in before it adds the requirement for the compressor."""
    gzip = Rpm.read(build(Recipe("everything.spec"), BUILDERS["marek"], tmp_path)[0])
    assert packages[0].values(1125) == [b"zstd"]
    assert gzip.values(1125) == [b"gzip"]
    assert b"rpmlib(PayloadIsZstd)" in packages[0].values(1049)
    assert packages[0].values(1049)[-1] == b"rtld(GNU_HASH)"
    assert packages[0].values(1145) == gzip.values(1145) != []
