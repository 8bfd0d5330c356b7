# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on a package's file list: each is refused, or changes the digest."""

from __future__ import annotations

from typing import Dict

import pytest

from fixtures.rpmedit import INT32, INT64, STRING_ARRAY, Rpm, Value
from fixtures.rpmjudge import Edit, adding, digest, edited, judged, patching, removing, setting
from multisig.errors import WeakDigestError
from multisig.policy.globs import path_globs
from multisig.traits import rpm_traits
from tests.unit.rpm_samples import NUMBER_OF, at, built, refused, refused_or_different


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("built"))[0]


@pytest.fixture(scope="module")
def original(everything: Rpm) -> str:
    """The digest of the package as it was built."""
    return digest(everything)


@pytest.mark.parametrize(
    ("link", "target", "expected"),
    [("/opt/x", "/etc/sudoers.d", True), ("/usr/lib64", "/etc", True), ("/lib64", "usr/lib64", False)],
)
def test_a_path_below_a_link_of_the_same_package_could_be_anywhere(
    everything: Rpm, link: str, target: str, expected: bool
) -> None:
    """An update of a package whose link is there already writes through it: rules by path must not be led astray."""
    folder, name = link.rsplit("/", 1)
    renamed = {b"/opt/everything/d/": f"{link}/".encode(), b"/opt/everything/": f"{folder}/".encode()}
    dirnames = [renamed.get(bytes(name), name) for name in everything.values(1118) if isinstance(name, bytes)]
    below = edited(
        everything, setting(1118, STRING_ARRAY, dirnames),
        lambda p: p.patch(1117, at(p, b"symlink"), name), lambda p: p.patch(1036, at(p, name.encode()), target),
    )  # fmt: skip
    for package, anywhere in ((everything, False), (below, expected)):
        content = rpm_traits(judged(package), "repo").content
        assert content is not None
        assert path_globs(("/usr/libexec/sudo/**", "/boot/*")).match_any(content.paths) is anywhere


FLAG_GHOST = 64  # RPMFILE_GHOST, rpmfiles.h


def unghost(package: Rpm) -> None:
    place = at(package, b"ghost")
    package.patch(1037, place, 0)
    package.patch(1035, place, "0" * 64)


FILE_CHANGES: Dict[str, Edit] = {
    "GHOST set": lambda p: p.patch(1037, at(p, b"one"), FLAG_GHOST),
    "GHOST taken away": unghost,
    "CONFIG set": lambda p: p.patch(1037, at(p, b"one"), 1),
    "NOREPLACE taken away": lambda p: p.patch(1037, at(p, b"everything.conf"), 1),
    "MISSINGOK set": lambda p: p.patch(1037, at(p, b"one"), 8),
    "LANG": lambda p: p.patch(1097, at(p, b"text.de"), "fr"),
    "LANG set": lambda p: p.patch(1097, at(p, b"one"), "xx"),
    "capabilities": lambda p: p.patch(5010, at(p, b"caps"), "cap_sys_admin=ep"),
    "capabilities set": lambda p: p.patch(5010, at(p, b"one"), "cap_sys_admin=ep"),
    "capabilities taken away": lambda p: p.remove(5010),
    "mode": lambda p: p.patch(1030, at(p, b"one"), 0o100666),
    "setuid set": lambda p: p.patch(1030, at(p, b"sh"), 0o104755),
    "setgid on a directory": lambda p: p.patch(1030, at(p, b"d"), 0o042755),
    "sticky": lambda p: p.patch(1030, at(p, b"d"), 0o041755),
    "fifo for a file": lambda p: p.patch(1030, at(p, b"one"), 0o010644),
    "owner": lambda p: p.patch(1039, at(p, b"one"), "nobody"),
    "group": lambda p: p.patch(1040, at(p, b"one"), "nobody"),
    "device": lambda p: p.patch(1033, at(p, b"null"), 0x0101),
    "block for character device": lambda p: p.patch(1030, at(p, b"null"), 0o060666),
    "link target": lambda p: p.patch(1036, at(p, b"symlink"), "/etc/shadow"),
    "content": lambda p: p.patch(1035, at(p, b"one"), "0" * 64),
    "size": lambda p: p.patch(1028, at(p, b"one"), 5),
    "verify flags": lambda p: p.patch(1045, at(p, b"one"), 0),
    "color": lambda p: p.patch(1140, at(p, b"program"), 1),
    "order": lambda p: p.set(1117, STRING_ARRAY, p.values(1117)[:-2] + p.values(1117)[-1:] + p.values(1117)[-2:-1]),
    "prefix": lambda p: p.set(1098, STRING_ARRAY, ["/etc"]),
}


@pytest.mark.parametrize("what", sorted(FILE_CHANGES))
def test_ghost_config_lang_capabilities_modes_owners_devices_links_are_signed(
    everything: Rpm, original: str, what: str
) -> None:
    assert digest(edited(everything, FILE_CHANGES[what])) != original


def test_hard_link_groups_are_content(everything: Rpm, original: str) -> None:
    def separate(copy: Rpm) -> None:
        copy.patch(1096, at(copy, b"link1"), 90)

    def join(copy: Rpm) -> None:
        copy.patch(1096, at(copy, b"link2"), copy.values(1096)[at(copy, b"symlink")])

    def renumber(copy: Rpm) -> None:
        copy.set(1096, INT32, [int(value) + 1000 for value in copy.values(1096)])
        copy.set(1095, INT32, [7] * len(copy.values(1117)))

    assert digest(edited(everything, separate)) != original
    refused_or_different(edited(everything, join), original)
    assert digest(edited(everything, renumber)) == original


@pytest.mark.parametrize(("tag", "value"), [(1035, "0" * 64), (1028, 99)])
def test_hard_links_whose_digests_or_sizes_differ_are_refused(everything: Rpm, tag: int, value: Value) -> None:
    refused(edited(everything, patching(tag, at(everything, b"link1"), value)))


def test_files_made_hard_links_of_each_other_are_refused(everything: Rpm) -> None:
    refused(edited(everything, patching(1096, at(everything, b"one"), everything.values(1096)[at(everything, b"two")])))


def test_the_size_of_a_directory_is_left_out_and_that_of_a_file_is_not(everything: Rpm, original: str) -> None:
    assert digest(edited(everything, patching(1028, at(everything, b"d"), 4096))) == original
    assert digest(edited(everything, patching(1028, at(everything, b"empty"), 1))) != original


@pytest.mark.parametrize(
    "mode", [0o000644, 0o030644, 0o050755, 0o070755, 0o110644, 0o130644, 0o150644, 0o160644, 0o170777]
)
def test_a_file_of_no_known_type_is_refused(everything: Rpm, mode: int) -> None:
    refused(edited(everything, patching(1030, at(everything, b"one"), mode)))


@pytest.mark.parametrize("name", ["FILESIZES", "FILEMODES", "FILEDIGESTS", "FILEFLAGS", "FILEUSERNAME", "DIRNAMES"])
def test_a_file_list_with_holes_is_refused(everything: Rpm, name: str) -> None:
    refused(edited(everything, removing(NUMBER_OF[name])))


def test_two_lists_of_sizes_are_refused(everything: Rpm) -> None:
    refused(edited(everything, adding(NUMBER_OF["LONGFILESIZES"], INT64, everything.values(1028))))


@pytest.mark.parametrize("algorithm", [0, 1, 2, 3, 5, 6, 7, 11, 99])
def test_weak_and_unknown_file_digest_algorithms_are_refused(everything: Rpm, algorithm: int) -> None:
    with pytest.raises(WeakDigestError):
        judged(edited(everything, setting(5011, INT32, algorithm)))


def test_a_message_names_a_file_as_a_person_would(everything: Rpm) -> None:
    with pytest.raises(WeakDigestError, match=r"^the digest of '/[^']+' is too weak"):
        judged(edited(everything, setting(5011, INT32, 1)))


@pytest.mark.parametrize(("algorithm", "length"), [(1, 32), (2, 40), (11, 56)])
def test_md5_sha1_and_sha224_digests_are_refused(everything: Rpm, algorithm: int, length: int) -> None:
    def weaken(copy: Rpm) -> None:
        copy.set(5011, INT32, algorithm)
        copy.set(1035, STRING_ARRAY, [bytes(value)[:length] for value in copy.values(1035) if isinstance(value, bytes)])

    with pytest.raises(WeakDigestError):
        judged(edited(everything, weaken))
    with pytest.raises(WeakDigestError):
        judged(edited(everything, weaken, removing(5011)))


@pytest.mark.parametrize("name", [b"one", b"empty", b"link1", b"everything.conf"])
def test_a_regular_file_without_a_digest_is_refused(everything: Rpm, name: bytes) -> None:
    with pytest.raises(WeakDigestError):
        judged(edited(everything, patching(1035, at(everything, name), "")))


@pytest.mark.parametrize(
    "value", ["0" * 63, "0" * 65, "A" * 64, "g" * 64, " " * 64, "0" * 32, "0" * 128, "\n" + "0" * 63]
)
def test_a_digest_of_another_shape_is_refused(everything: Rpm, value: str) -> None:
    refused(edited(everything, patching(1035, at(everything, b"one"), value)))


@pytest.mark.parametrize(("algorithm", "length"), [(9, 96), (10, 128)])
def test_the_algorithm_of_the_digests_is_signed(everything: Rpm, original: str, algorithm: int, length: int) -> None:
    def strengthen(copy: Rpm) -> None:
        copy.set(5011, INT32, algorithm)
        copy.set(1035, STRING_ARRAY, [b"0" * length if value else b"" for value in copy.values(1035)])

    assert digest(edited(everything, strengthen)) != original
