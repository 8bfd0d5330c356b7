# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on a package's identity, its paths and texts, and the tags that describe its payload.

Each is refused, or changes the digest.
"""

from __future__ import annotations

import pytest

from fixtures.rpmedit import INT32, STRING, STRING_ARRAY, Rpm, Value
from fixtures.rpmjudge import adding, digest, edited, having, judged, patching, removing, setting
from multisig.errors import MalformedRpmError
from tests.unit.rpm_samples import NUMBER_OF, built, refused, refused_or_different


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("built"))[0]


@pytest.fixture(scope="module")
def original(everything: Rpm) -> str:
    """The digest of the package as it was built."""
    return digest(everything)


ODD = [
    b"a\nb",
    b"a\0b",
    b"a\x1bb",
    b"a\x7fb",
    b"a\xffb",
    b"a b",
    b"\xc3\xa9",
    b"",
    b"a/b",
    b"\xe2\x80\xae",
    b"-a",
    b"a:b",
]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["NAME", "VERSION", "RELEASE", "ARCH"])
def test_odd_characters_in_name_version_release_arch_are_refused(everything: Rpm, name: str, value: bytes) -> None:
    if value == b"a/b" and name != "NAME":
        value = b"../b"
    try:
        subject = judged(edited(everything, setting(NUMBER_OF[name], STRING, value)))
    except MalformedRpmError:
        return
    # What is not refused must at least have one reading: a colon or a slash in a name is such a case.
    assert value in (b"a:b", b"a/b", b"../b")
    assert value in subject.name.encode()


@pytest.mark.parametrize("name", ["NAME", "VERSION", "RELEASE", "ARCH", "SOURCERPM"])
def test_a_package_without_an_identity_is_refused(everything: Rpm, name: str) -> None:
    refused(edited(everything, removing(NUMBER_OF[name])))


def test_two_splits_of_one_label_have_different_names_or_are_refused(everything: Rpm) -> None:
    """a-1 with version 2, and a with version 1-2."""
    first = edited(everything, setting(1000, STRING, "a-1"), setting(1001, STRING, "2"))
    second = edited(everything, setting(1000, STRING, "a"), setting(1001, STRING, "1-2"))
    assert judged(first).name == "a-1-3:2-1.test.x86_64"
    refused(second)


def test_an_absent_epoch_is_not_epoch_0(everything: Rpm) -> None:
    zero = judged(edited(everything, setting(1003, INT32, 0)))
    absent = judged(edited(everything, removing(1003)))
    assert zero.name == absent.name == "everything-0:1.0-1.test.x86_64"
    assert zero.sha256 != absent.sha256
    assert zero.sha512 != absent.sha512


@pytest.mark.parametrize("name", ["VENDOR", "URL", "POSTIN", "PREUN", "MODULARITYLABEL", "DISTTAG"])
def test_empty_is_not_missing(everything: Rpm, name: str) -> None:
    empty = edited(everything, setting(NUMBER_OF[name], STRING, ""))
    assert digest(empty) != digest(edited(everything, removing(NUMBER_OF[name])))


def test_the_header_decides_not_the_lead(everything: Rpm, original: str) -> None:
    name = edited(everything, having(lead=everything.lead[:10] + b"evil-9-9".ljust(66, b"\0") + everything.lead[76:]))
    assert digest(name) == original
    source = edited(everything, having(lead=everything.lead[:6] + b"\0\1" + everything.lead[8:]))
    assert judged(source).name == judged(everything).name
    machine = edited(everything, having(lead=everything.lead[:8] + b"\0\2" + everything.lead[10:]))
    assert digest(machine) == original


def test_a_file_without_the_lead_is_refused(everything: Rpm) -> None:
    for lead in (b"\0" * 96, b"PK\3\4" + everything.lead[4:], everything.lead[1:]):
        refused(edited(everything, having(lead=lead)))


def test_a_source_package_where_a_binary_one_is_due_is_refused(everything: Rpm) -> None:
    refused(edited(everything, removing(NUMBER_OF["SOURCERPM"])))
    refused(edited(everything, adding(NUMBER_OF["SOURCEPACKAGE"], INT32, 1)))


DIRECTORIES = [
    *(
        b"/opt/../etc/",
        b"/../etc/",
        b"/opt/..",
        b"/opt/../",
        b"..",
        b"../",
        b"",
        b"opt/",
        b"/opt",
        b"/opt//x/",
        b"//opt/",
    ),
    *(b"/./opt/", b"/opt/./", b"./", b"//", b"/opt/everything/../", b"/..", b"\n/opt/"),
]


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_dirnames_that_lead_elsewhere_are_refused(everything: Rpm, directory: bytes) -> None:
    for place in range(4):
        refused(edited(everything, patching(NUMBER_OF["DIRNAMES"], place, directory)))


@pytest.mark.parametrize("name", [b"a/b", b"/etc/passwd", b"../x", b"..", b".", b"", b"/", b"x/", b"./x"])
def test_basenames_that_lead_elsewhere_are_refused(everything: Rpm, name: bytes) -> None:
    for place in (0, 5, -1):
        refused(edited(everything, patching(NUMBER_OF["BASENAMES"], place, name)))


@pytest.mark.parametrize("index", [4, 5, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_file_in_a_directory_that_is_not_listed_is_refused(everything: Rpm, index: int) -> None:
    for place in (0, -1):
        refused(edited(everything, patching(NUMBER_OF["DIRINDEXES"], place, index)))


@pytest.mark.parametrize("name", ["TRIGGERINDEX", "FILETRIGGERINDEX", "TRANSFILETRIGGERINDEX"])
def test_a_trigger_that_names_no_script_is_refused_or_signed(everything: Rpm, original: str, name: str) -> None:
    refused_or_different(edited(everything, patching(NUMBER_OF[name], 0, 99)), original)


def test_one_path_listed_twice_is_refused(everything: Rpm) -> None:
    names = everything.values(NUMBER_OF["BASENAMES"])
    one, two = names.index(b"one"), names.index(b"two")
    refused(edited(everything, patching(NUMBER_OF["BASENAMES"], two, names[one])))


TEXTS = [
    b"a\nb",
    b"a\rb",
    b"\x1b[2Ja",
    b"\xff\xfe",
    b"n\xe4m\xe9",
    b"a\t",
    b"\n1000 6 1 2:x",
    b"\xe2\x80\xae",
    b"\x7f",
    b" ",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["BASENAMES", "REQUIRENAME", "SUMMARY", "FILEUSERNAME", "FILELINKTOS", "POSTIN"])
def test_odd_bytes_in_texts_are_encoded_so_that_no_two_contents_share_a_manifest(
    everything: Rpm, original: str, name: str, text: bytes
) -> None:
    place = -1 if name != "FILELINKTOS" else everything.values(1036).index(b"one")
    subject = judged(edited(everything, patching(NUMBER_OF[name], place, text)))
    cleaned = text.decode("utf-8", "replace").strip().encode() or b"-"
    cleaner = judged(edited(everything, patching(NUMBER_OF[name], place, cleaned)))
    assert text in subject.manifest
    assert f"{subject.sha256} {subject.sha512}" != original
    assert subject.sha256 != cleaner.sha256 or cleaned == text


@pytest.mark.parametrize("name", ["REQUIRENAME", "PROVIDENAME", "FILEUSERNAME", "TRIGGERSCRIPTS", "FILETRIGGERNAME"])
def test_a_byte_moved_from_one_value_to_the_next_changes_the_digest(everything: Rpm, name: str) -> None:
    entry = everything.get(NUMBER_OF[name])
    assert entry is not None
    first = [b"ab", b"c", *entry.values[2:]]
    second = [b"a", b"bc", *entry.values[2:]]
    digests = {digest(edited(everything, setting(entry.tag, entry.type, v))) for v in (first, second)}
    assert len(digests) == 2


def test_a_value_moved_from_one_tag_to_another_changes_the_digest(everything: Rpm, original: str) -> None:
    def swap(copy: Rpm) -> None:
        pre, post = copy.values(1023), copy.values(1024)
        copy.set(1023, STRING, post)
        copy.set(1024, STRING, pre)

    assert digest(edited(everything, swap)) != original


def test_one_string_and_an_array_of_it_differ(everything: Rpm, original: str) -> None:
    array = edited(everything, setting(1086, STRING_ARRAY, everything.values(1086)))
    assert digest(array) != original


@pytest.mark.parametrize("value", ["drpm", "CPIO", "", "cpio ", "ustar", "cpio\n"])
def test_a_payload_format_other_than_cpio_is_refused(everything: Rpm, value: str) -> None:
    refused(edited(everything, setting(1124, STRING, value)))
    refused(edited(everything, removing(1124)))


@pytest.mark.parametrize(
    "value", ["evil", "", "GZIP", "gzip ", "none", "identity", "ufdio", "xz\n", "gzip.ufdio", "lrzip"]
)
def test_a_compressor_that_is_not_on_the_list_is_refused(everything: Rpm, value: str) -> None:
    refused(edited(everything, setting(1125, STRING, value)))


@pytest.mark.parametrize(
    ("number", "type_", "value"),
    [
        *((5092, STRING_ARRAY, value) for value in ("", "x", "0" * 63, "0" * 65, "g" * 64, "A" * 64)),
        *((5093, INT32, value) for value in (0, 1, 2, 11, 99)),
        *((5121, STRING, value) for value in ("", "0" * 64, "0" * 127, "g" * 128)),
        *((5123, STRING, value) for value in ("", "0" * 63, "0" * 128, "g" * 64)),
    ],
)
def test_a_payload_digest_of_another_shape_is_refused(everything: Rpm, number: int, type_: int, value: Value) -> None:
    refused(edited(everything, setting(number, type_, value)))


@pytest.mark.parametrize(
    ("number", "type_", "length"), [(5092, STRING_ARRAY, 64), (5121, STRING, 128), (5123, STRING, 64)]
)
def test_payload_digests_follow_the_compressor(
    everything: Rpm, original: str, number: int, type_: int, length: int
) -> None:
    assert digest(edited(everything, setting(number, type_, "0" * length))) == original
