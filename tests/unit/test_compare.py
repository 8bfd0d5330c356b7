# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes two packages differ is named, all of it, in the group where a person would look for it."""

from __future__ import annotations

import hashlib
from typing import Callable, Dict, FrozenSet, List, Tuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixtures.rpmedit import INT32, INT64, STRING, STRING_ARRAY, Rpm, Value
from fixtures.rpmjudge import Edit, edited, judged, patching, removing, setting
from multisig.errors import MalformedRpmError
from multisig.subjects import dependencies, difference, filelists
from multisig.subjects.compare import Comparison, compare
from multisig.subjects.difference import Difference, Group, Records, unified
from multisig.subjects.manifest import split_records
from multisig.subjects.tags import GROUPS, TAGS, Klass, Tag
from tests.unit.rpm_samples import NUMBER_OF, at, built, by_class, changed, named, with_tag

FILE_GROUP = [tag.number for tag in TAGS.values() if tag.arity == "file"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> List[Rpm]:
    return built(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def everything(packages: List[Rpm]) -> Rpm:
    return packages[0]


def compared(a: Rpm, b: Rpm) -> Comparison:
    return compare(judged(a), judged(b))


def records(package: Rpm) -> Records:
    return dict(split_records(judged(package).manifest))


def unnamed(a: Rpm, b: Rpm) -> FrozenSet[int]:
    """The tags of the manifests that differ and that no difference explains."""
    old, new = records(a), records(b)
    differing = {number for number in old.keys() | new.keys() if old.get(number) != new.get(number)}
    explained = {number for item in compared(a, b).differences for number in item.tags}
    return frozenset(differing - explained - filelists.renumbered(old, new))


def lines(item: Difference) -> Tuple[object, ...]:
    return (item.group.value, item.what, item.aspect, item.a, item.b)


def by_path(tag: str, path: bytes, value: Value) -> Callable[[Rpm], Edit]:
    return lambda package: patching(NUMBER_OF[tag], at(package, path), value)


def always(edit: Edit) -> Callable[[Rpm], Edit]:
    return lambda _: edit


def appending(**values: Value) -> Callable[[Rpm], Edit]:
    """One more entry in arrays that belong together."""

    def edit(package: Rpm) -> None:
        for name, value in values.items():
            entry = package.get(NUMBER_OF[name])
            assert entry is not None
            package.set(entry.tag, entry.type, [*entry.values, value])

    return always(edit)


def without_file(path: bytes) -> Callable[[Rpm], Edit]:
    def edit(package: Rpm) -> None:
        place = at(package, path)
        for number in FILE_GROUP:
            entry = package.get(number)
            if entry is not None:
                package.set(number, entry.type, [v for index, v in enumerate(entry.values) if index != place])

    return always(edit)


DIGEST, ONE_DIGEST = (hashlib.sha256(content).hexdigest() for content in (b"other", b"one\n"))
ONE = "/opt/everything/one"
# In B: the edit, then group, what, aspect, A's value, B's value.
EDITS: Dict[str, Tuple[Callable[[Rpm], Edit], Tuple[object, ...]]] = {
    "version": (always(setting(1001, STRING, "1.1")), ("identity", "VERSION", "value", "1.0", "1.1")),
    "no epoch": (always(removing(1003)), ("identity", "EPOCH", "value", "3", None)),
    "arch": (always(setting(1022, STRING, "i686")), ("identity", "ARCH", "value", "x86_64", "i686")),
    "mode": (
        by_path("FILEMODES", b"one", 0o104755),
        ("files", ONE, "mode", "rw-r--r-- (0644)", "rwsr-xr-x (4755)"),
    ),
    "type": (by_path("FILEMODES", b"null", 0o060666), (
        "files", "/opt/everything/null", "type", "character device", "block device")),
    "device": (by_path("FILERDEVS", b"null", 0x0105), ("files", "/opt/everything/null", "device", "1:3", "1:5")),
    "owner": (by_path("FILEUSERNAME", b"one", "mallory"), ("files", ONE, "owner", "root", "mallory")),
    "group": (by_path("FILEGROUPNAME", b"one", "wheel"), ("files", ONE, "group", "root", "wheel")),
    "config": (by_path("FILEFLAGS", b"one", 1), ("files", ONE, "flags", None, "config")),
    "no longer noreplace": (
        by_path("FILEFLAGS", b"everything.conf", 1),
        ("files", "/etc/everything.conf", "flags", "config, noreplace", "config"),
    ),
    "capability": (
        by_path("FILECAPS", b"caps", "cap_sys_admin=ep"),
        ("files", "/opt/everything/caps", "capability", "cap_net_raw=ep", "cap_sys_admin=ep"),
    ),
    "no capability": (
        always(removing(5010)), ("files", "/opt/everything/caps", "capability", "cap_net_raw=ep", None)),
    "link target": (
        by_path("FILELINKTOS", b"symlink", "two"), ("files", "/opt/everything/symlink", "link target", "one", "two")),
    "language": (by_path("FILELANGS", b"text.de", ""), ("files", "/opt/everything/text.de", "language", "de", None)),
    "verified": (by_path("FILEVERIFYFLAGS", b"one", 2), ("files", ONE, "verified", ..., "size")),
    "content": (
        by_path("FILEDIGESTS", b"one", DIGEST), ("files", ONE, "content", f"sha256:{ONE_DIGEST}", f"sha256:{DIGEST}")),
    "size": (by_path("FILESIZES", b"one", 5), ("files", ONE, "size", "4 bytes", "5 bytes")),
    "hard link": (
        # The group is called by its first path, which is the one that leaves it.
        by_path("FILEINODES", b"link3", 999_999),
        ("files", "/opt/everything/link1", "hard link to", "/opt/everything/d/link3", "/opt/everything/link1")),
    "file gone": (without_file(b"empty"), (
        "files", "/opt/everything/empty", "file",
        "regular file, mode rw-r--r-- (0644), root:root, 0 bytes, doc", None)),
    "dependencies of a file": (by_path("FILEDEPENDSN", b"program", 0), (
        "files", "/opt/everything/program", "dependencies found in it", ..., None)),
    "script": (always(setting(1023, STRING, "echo pre2")), ("scripts", "%pre", "script", "echo pre", "echo pre2")),
    "no script": (always(removing(1152)), ("scripts", "%posttrans", "script", "echo posttrans", None)),
    "interpreter": (always(setting(1085, STRING, "<lua>")), ("scripts", "%pre", "program", "/bin/sh", "<lua>")),
    "interpreter's arguments": (
        always(setting(1085, STRING_ARRAY, ["/bin/sh", "-x"])),
        ("scripts", "%pre", "program", "/bin/sh", "/bin/sh -x")),
    "interpreter alone": (
        always(setting(5106, STRING, "/bin/evil")), ("scripts", "%postuntrans", "program", None, "/bin/evil")),
    "script's flags": (
        always(setting(5020, INT32, 1)), ("scripts", "%pre", "flags", None, "macros are expanded (-e)")),
    "trigger's script": (
        always(patching(1065, 0, "echo other")),
        ("triggers", "%triggerin -- bar, foo > 1", "script", "echo triggerin", "echo other")),
    "trigger's package": (
        always(patching(1066, 0, "foo2")),
        ("triggers", "%triggerin -- bar, foo > 1", "heading", "%triggerin -- bar, foo > 1", ...)),
    "file trigger's program": (
        always(patching(5067, 0, "<lua>")), ("triggers", ..., "program", "/bin/sh", "<lua>")),
    "file trigger's priority": (
        always(patching(5084, 0, 7)), ("triggers", ..., "priority", ..., "7")),
    "transaction file trigger's flags": (
        always(patching(5078, 0, 8)), ("triggers", ..., "flags", None, "0x8")),
    "requires": (
        appending(REQUIRENAME="evil", REQUIREFLAGS=0x20C, REQUIREVERSION="2"),
        ("dependencies", "requires", "entry", None, "evil >= 2 (pre)")),
    "provides": (
        appending(PROVIDENAME="glibc", PROVIDEFLAGS=8, PROVIDEVERSION="9"),
        ("dependencies", "provides", "entry", None, "glibc = 9")),
    "conflicts": (
        always(patching(1055, 0, "3")), ("dependencies", "conflicts", "entry", "enemy < 2", None)),
    "obsoletes": (
        always(patching(1114, 0, 10)), ("dependencies", "obsoletes", "entry", None, "older <= 1")),
    "recommends": (
        always(patching(5046, 0, "more")), ("dependencies", "recommends", "entry", "recommended", None)),
    "order": (always(patching(5035, 0, "x")), ("dependencies", "order", "entry", None, "x")),
    "another tag": (
        always(setting(1020, STRING, "https://evil.example")),
        ("tags", "URL", "value", "https://example.org/", "https://evil.example")),
    "one value of several": (
        always(patching(1004, 1, "anders")), ("tags", "SUMMARY", "value 2", "Von allem eines", "anders")),
    "a tag put in": (always(setting(5009, INT64, 1)), ("tags", "LONGSIZE", "value", None, "1")),
    "a tag of another type": (always(setting(1088, STRING_ARRAY, ["/sbin/ldconfig"])), (
        "scripts", "POSTUNPROG", "type", "STRING: /sbin/ldconfig", "STRING_ARRAY: /sbin/ldconfig")),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_a_difference_is_named_in_its_group(everything: Rpm, name: str) -> None:
    make, expected = EDITS[name]
    changed_package = edited(everything, make(everything))
    result = compared(everything, changed_package)
    assert not result.same
    found = [lines(item) for item in result.differences]
    assert any(all(want in (..., got) for want, got in zip(expected, line)) for line in found), found
    assert {line[0] for line in found} == {expected[0]}
    assert not unnamed(everything, changed_package)


@pytest.mark.parametrize("name", EDITS)
def test_the_other_way_round_it_is_the_same_with_the_sides_exchanged(everything: Rpm, name: str) -> None:
    other = edited(everything, EDITS[name][0](everything))
    forth, back = compared(everything, other), compared(other, everything)
    # A trigger whose heading differs is called by A's.
    there = sorted((item.aspect, str(item.a), str(item.b)) for item in forth.differences)
    assert there == sorted((item.aspect, str(item.b), str(item.a)) for item in back.differences)


@pytest.mark.parametrize("tag", by_class(Klass.SIGNED), ids=named)
def test_a_change_of_any_signed_tag_is_named(everything: Rpm, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    try:
        other = changed(package, tag.number)
        result = compared(package, other)
    except MalformedRpmError:
        assert tag.name in ("FILEDIGESTALGO", "PAYLOADFORMAT")
        return
    assert not result.same and result.differences and not unnamed(package, other)


@pytest.mark.parametrize(
    "tag", [tag for tag in TAGS.values() if tag.klass in (Klass.SIGNED, Klass.REPLACED)], ids=named
)
def test_a_signed_tag_that_only_one_has_is_named(everything: Rpm, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    group = GROUPS.get(tag.arity, ())
    other = edited(package, removing(*(group if tag.number in group else (tag.number,))))
    try:
        result = compared(package, other)
    except MalformedRpmError:
        return  # refused, which is the other safe answer
    assert result.same == (judged(package).manifest == judged(other).manifest)
    assert result.same == (not result.differences) and not unnamed(package, other)


@pytest.mark.parametrize("tag", by_class(Klass.LEFT_OUT), ids=named)
def test_a_left_out_tag_that_differs_is_called_ignored(everything: Rpm, tag: Tag) -> None:
    package = with_tag(everything, tag.number)
    result = compared(package, changed(package, tag.number))
    assert result.same and not result.differences and [ignored.name for ignored in result.ignored] == [tag.name]


def test_a_replaced_tag_whose_canonical_value_is_the_same_is_called_ignored(everything: Rpm) -> None:
    other = edited(everything, patching(1028, at(everything, b"d"), 12345), patching(1095, 0, 77))
    result = compared(everything, other)
    # One file alone on another device changes no hard-link group.
    assert result.same and [tag.name for tag in result.ignored] == ["FILESIZES", "FILEDEVICES"]


def test_nothing_differs_from_itself(packages: List[Rpm]) -> None:
    for package in packages:
        assert compared(package, package) == Comparison(True, (), ())


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 2), (2, 0)])
def test_packages_that_have_nothing_in_common(packages: List[Rpm], first: int, second: int) -> None:
    assert not unnamed(packages[first], packages[second])
    paths = {item.what for item in compared(packages[first], packages[second]).differences if item.aspect == "file"}
    assert paths == set(map(_text, judged(packages[first]).files.paths)) ^ set(
        map(_text, judged(packages[second]).files.paths)
    )


def _text(path: bytes) -> str:
    return path.decode()


def reordered(package: Rpm, numbers: List[int]) -> Rpm:
    def edit(copy: Rpm) -> None:
        for number in numbers:
            entry = copy.get(number)
            if entry is not None:
                copy.set(number, entry.type, entry.values[::-1])

    return edited(package, edit)


@pytest.mark.parametrize(
    ("numbers", "group", "what"),
    [
        (FILE_GROUP, "files", "all files"),
        ([1047, 1112, 1113], "dependencies", "provides"),
        ([1066, 1067, 1068, 1069], "triggers", "%triggerin -- bar, foo > 1"),
    ],
    ids=["files", "provides", "conditions of triggers"],
)
def test_another_order_is_a_difference(everything: Rpm, numbers: List[int], group: str, what: str) -> None:
    # What number a file's dependencies have moves with the order of the dependencies; keep that out of it.
    package = edited(everything, removing(1143, 1144, 1145))
    result = compared(package, reordered(package, numbers))
    assert not result.same and {item.group.value for item in result.differences} == {group}
    assert what in {item.what for item in result.differences}


def test_a_file_that_is_gone_does_not_make_its_neighbours_differ(everything: Rpm) -> None:
    other = edited(everything, without_file(b"empty")(everything))
    assert [item.what for item in compared(everything, other).differences] == ["/opt/everything/empty"]


def test_a_new_requirement_does_not_make_files_differ_whose_dependencies_it_renumbers(everything: Rpm) -> None:
    def edit(copy: Rpm) -> None:
        for number, value in ((1049, b"aaa"), (1048, 0), (1050, b"")):
            entry = copy.get(number)
            assert entry is not None
            copy.set(number, entry.type, [value, *entry.values])
        numbers = [int(value) for value in copy.values(1145)]
        copy.set(1145, INT32, [number + (chr(number >> 24) == "R") for number in numbers])

    result = compared(everything, edited(everything, edit))
    assert [lines(item) for item in result.differences] == [("dependencies", "requires", "entry", None, "aaa")]


def test_another_digest_algorithm_is_not_another_content(everything: Rpm) -> None:
    digests = [bytes(value) * 2 if isinstance(value, bytes) else value for value in everything.values(1035)]
    other = edited(everything, setting(1035, STRING_ARRAY, digests), setting(5011, INT32, 10))
    found = [lines(item) for item in compared(everything, other).differences]
    assert found == [("files", "all files", "digest algorithm", "sha256", "sha512")]


def test_paths_and_dependencies_that_are_no_utf_8_are_compared_as_bytes(everything: Rpm) -> None:
    a = edited(everything, patching(1117, at(everything, b"empty"), b"\xff"))
    b = edited(everything, patching(1117, at(everything, b"empty"), b"\xfe"))
    result = compared(a, b)
    assert [item.what for item in result.differences] == ["/opt/everything/\udcfe", "/opt/everything/\udcff"]
    assert difference.bytes_of(result.differences[0].what) == b"/opt/everything/\xfe"


def test_dependencies_that_read_the_same_and_are_not_are_named_all_the_same(everything: Rpm) -> None:
    a = edited(everything, patching(5046, 0, b"x = 1"))
    b = edited(everything, patching(5046, 0, b"x"), patching(5048, 0, 8), patching(5047, 0, b"1"))
    assert not compared(a, b).same and not unnamed(a, b)


@pytest.mark.parametrize(
    ("flags", "version", "text"),
    [
        (0, b"", "n"),
        (2, b"1", "n < 1"),
        (10, b"1", "n <= 1"),
        (8, b"1", "n = 1"),
        (12, b"1", "n >= 1"),
        (4, b"1", "n > 1"),
        (14, b"1", "n (comparison 0xe) 1"),
        (8, b"", "n = (no version)"),
        (0, b"1", "n 1"),
        (1 << 9 | 1 << 10, b"", "n (pre, post)"),
        (1 << 8 | 1 << 30, b"", "n (interp, 0x40000000)"),
    ],
)
def test_how_a_dependency_reads(flags: int, version: bytes, text: str) -> None:
    assert dependencies.shown(b"n", flags, version) == text


def test_scripts_of_several_lines_come_as_a_unified_diff() -> None:
    assert unified("a\nb\nc\n", "a\nB\nc\n") == ("@@ -1,4 +1,4 @@", " a", "-b", "+B", " c", " ")
    assert unified("a\nb", "a\nb\n") == ("@@ -1,2 +1,3 @@", " a", " b", "+")
    assert unified(None, "a\nb") == ("@@ -0,0 +1,2 @@", "+a", "+b")
    assert unified("a", "b") == unified("a", None) == ()
    assert unified("a\r\nb", "a\nb")[:3] == ("@@ -1,2 +1,2 @@", "-a\r", "+a")


def test_scripts_of_a_million_lines_do_not_take_a_million_years() -> None:
    a = "\n".join(str(number % 7) for number in range(200_000))
    found = unified(a, a[:1000] + "x" + a[1000:])
    assert len(found) == 3 and "too long" in found[0] and found[1:] == ("-3", "+x3")


def test_a_cartesian_product_of_dependencies_and_files_is_not_spelled_out(everything: Rpm) -> None:
    many = 2_000
    package = edited(everything, setting(1145, INT32, [ord("R") << 24] * many))
    count = len(package.values(1117))
    crowded = edited(package, setting(1144, INT32, [many] * count), setting(1143, INT32, [0] * count))
    assert filelists._MAX_BROUGHT_IN < 2 * 10**6
    assert not compared(everything, crowded).same and not unnamed(everything, crowded)


def _edit(package: Rpm, number: int, choice: int) -> None:
    """Change, take out or shuffle one tag that is signed."""
    entry = package.get(number)
    if entry is None:
        return
    values = entry.values
    place = choice % len(values)
    if choice % 5 == 0:
        package.remove(number)
    elif choice % 5 == 1 and len(values) > 1:
        package.set(number, entry.type, values[::-1])
    else:
        value = values[place]
        new: Value = value ^ (1 << choice % 8) if isinstance(value, int) else b"other %d" % choice
        package.set(number, entry.type, [*values[:place], new, *values[place + 1 :]])


@settings(max_examples=60)
@given(data=st.data())
def test_whenever_the_manifests_differ_every_tag_that_differs_is_named(everything: Rpm, data: st.DataObject) -> None:
    present = [
        entry.tag for entry in everything.header.entries if TAGS[entry.tag].klass in (Klass.SIGNED, Klass.REPLACED)
    ]
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(present), st.integers(0, 1000)), min_size=1, max_size=4))
    other = edited(everything)
    for number, choice in chosen:
        _edit(other, number, choice)
    try:
        subject = judged(other)
    except MalformedRpmError:
        assume(False)
    result = compared(everything, other)
    assert result.same == (judged(everything).manifest == subject.manifest) == (not result.differences)
    assert not unnamed(everything, other)


def test_groups_come_in_the_order_in_which_a_person_would_look(everything: Rpm, packages: List[Rpm]) -> None:
    order = [item.group for item in compared(everything, packages[1]).differences]
    assert order == sorted(order, key=list(Group).index)
