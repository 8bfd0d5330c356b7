# SPDX-License-Identifier: GPL-2.0-or-later
"""What is found in RPMs of thirty years, rpm 2.2 to 6.0, has an answer: a manifest, or a refusal with its reason.

Real packages are of several kinds at once, so these are too; each kind by itself is a conformance vector
(test_vectors.py). All are variations of the vectors' base package.
"""

from __future__ import annotations

import hashlib
import time
from typing import List

import pytest

from fixtures.cpio import Member, write_cpio
from fixtures.rpmedit import BIN, I18NSTRING, INT8, INT16, INT32, INT64, STRING, STRING_ARRAY, Rpm
from fixtures.vectors.base import (
    ACCEPTED,
    FILES,
    MALFORMED,
    MISMATCH,
    WEAK,
    Edit,
    edited,
    members,
    named,
    put_archive,
    put_payload,
)
from fixtures.vectors.everything import committed_index
from fixtures.vectors.families import removing, setting, together
from fixtures.vectors.filelist import without_files
from fixtures.vectors.indexing import Judgement, judge


def _judged(*edits: Edit) -> Judgement:
    return judge(edited(*edits).pack())


def _md5(package: Rpm) -> None:
    package.remove(5011)
    digests = [hashlib.sha256(file.data).hexdigest()[:32] if file.data else "" for file in FILES]
    package.set(1035, STRING_ARRAY, digests)


def _without_payload_digest(package: Rpm) -> None:
    for tag in (5092, 5093, 5097):
        package.remove(tag)


def _without_region(package: Rpm) -> None:
    package.header.region = None


def _source(package: Rpm) -> None:
    """A source package: a spec file and a tarball, without folders."""
    for tag in (1044, 1116, 1118):
        package.remove(tag)
    without_files(package)
    package.set(1018, STRING_ARRAY, ["vector.tar.gz"])
    package.set(1089, STRING_ARRAY, ["noarch"])
    package.set(1106, INT32, 1)


def _compressed(compressor: str) -> Edit:
    def edit(package: Rpm) -> None:
        named(package, compressor)
        put_archive(package, write_cpio(members()), compressor)

    return edit


def _rpm_4_4(compressor: str) -> Edit:
    """As rpm 4.4 built it for RHEL 5: MD5, RHNPLATFORM, no digest of the payload."""
    return together(_md5, setting(1131, STRING, "noarch"), _without_payload_digest, _compressed(compressor))


# --- digests, regions, tags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressor", ["gzip", "bzip2", "lzma"])
def test_a_package_of_rpm_4_4_is_refused_for_its_md5_digests_alone(compressor: str) -> None:
    judgement = _judged(_rpm_4_4(compressor))
    assert (judgement.klass, judgement.error and judgement.error.tag) == (WEAK, 5011)
    # With digests of today the same package is fine.
    assert _judged(_without_payload_digest, setting(1131, STRING, "x"), _compressed(compressor)).klass == ACCEPTED


@pytest.mark.parametrize("compressor", ["gzip", "bzip2", "lzma"])
def test_an_old_package_without_files_has_no_digests_to_be_weak(compressor: str) -> None:
    def empty(package: Rpm) -> None:
        without_files(package)
        put_archive(package, write_cpio([]), compressor)

    assert _judged(_rpm_4_4(compressor), empty).klass == ACCEPTED


def test_a_package_of_rpm_5_with_its_own_list_of_algorithms_is_refused_for_md5() -> None:
    # Mandriva's rpm: tag 1177 says an algorithm for each file. It is nobody's word but its own.
    judgement = _judged(_md5, setting(1131, STRING, "i586"), setting(1177, INT32, [8] * len(FILES)))
    assert (judgement.klass, judgement.error and judgement.error.tag) == (WEAK, 5011)


def test_a_package_of_rpm_3_is_refused_for_its_missing_region() -> None:
    judgement = _judged(_without_region, _md5, setting(1105, INT32, 0), _without_payload_digest)
    assert judgement.klass == MALFORMED and judgement.error is not None
    assert "immutable region" in judgement.error.message


@pytest.mark.parametrize("number", [1105, 1203, 5117, 5118, 5119])
def test_a_tag_that_has_no_meaning_here_is_refused_by_its_number(number: int) -> None:
    judgement = _judged(setting(number, STRING_ARRAY, ["value"]))
    assert (judgement.klass, judgement.error and judgement.error.tag) == (MALFORMED, number)


def test_a_package_of_rpm_6_has_the_manifest_of_its_twin_but_for_what_is_signed() -> None:
    later: Edit = together(
        *(setting(5112, INT64, 1), setting(5113, INT64, 2), setting(5115, INT32, [0] * len(FILES))),
        *(setting(5116, STRING_ARRAY, ["text/plain"]), setting(5121, STRING, "a" * 128)),
        *(setting(5122, STRING, "b" * 128), setting(5123, STRING, "c" * 64), setting(5124, STRING, "d" * 64)),
    )
    plain, twin = _judged(), _judged(later)
    assert plain.klass == twin.klass == ACCEPTED
    assert plain.subject and twin.subject and plain.subject.manifest == twin.subject.manifest
    signed = _judged(later, setting(5114, INT32, 6), setting(5120, STRING, "vector-1.0-1"))
    assert signed.klass == ACCEPTED and signed.subject
    assert signed.subject.manifest != plain.subject.manifest


def test_the_signature_headers_of_all_ages_do_not_count() -> None:
    def signed(package: Rpm) -> None:
        for tag in (267, 268, 1002, 1005):
            package.signature.add(tag, BIN, b"\x88\x3f no signature of anybody")
        package.signature.add(1004, BIN, bytes(16))
        package.signature.add(1008, BIN, bytes(32))
        package.signature.add(278, STRING_ARRAY, ["iHUE", "iHUF"])

    judgement = _judged(signed)
    assert judgement.klass == ACCEPTED
    assert judgement.subject and judgement.subject.sha256 == committed_index()[0]["manifest"]["sha256"]


def test_ima_signatures_are_noticed_for_each_file_of_a_zstd_package() -> None:
    def signed(package: Rpm) -> None:
        package.signature.add(274, STRING_ARRAY, ["03020445" + "ab" * 70 if file.data else "" for file in FILES])
        package.signature.add(275, INT32, 156)

    judgement = _judged(_compressed("zstd"), signed)
    assert judgement.klass == ACCEPTED
    assert judgement.subject and judgement.subject.file_signatures


# --- texts ---------------------------------------------------------------------------------------------------------


def test_bytes_of_old_encodings_in_every_text_are_signed_and_can_be_asked_for() -> None:
    latin = "Příliš žluťoučký kůň".encode("iso8859-2")
    judgement = _judged(
        setting(1004, I18NSTRING, [latin]),
        setting(1005, I18NSTRING, [latin]),
        lambda p: p.patch(1049, 0, latin),
        lambda p: p.patch(1047, 0, latin),
        setting(1090, STRING_ARRAY, [latin]),
        setting(1114, INT32, [0]),
        setting(1115, STRING_ARRAY, [""]),
        setting(1081, STRING_ARRAY, [latin]),
    )
    assert judgement.klass == ACCEPTED and judgement.subject
    assert judgement.subject.manifest.count(latin) == 5  # all but the change log's
    assert latin in [name.encode("utf-8", "surrogateescape") for name in judgement.subject.provides]
    assert judgement.subject.obsoletes == (latin.decode("utf-8", "surrogateescape"),)


def test_bytes_of_old_encodings_in_paths_are_proven_in_the_payload() -> None:
    latin = b"pr\xf8vodce"

    def renamed(package: Rpm) -> None:
        package.patch(1117, 1, latin)
        kept = [m.but(name=b"./usr/bin/" + latin) if m.name == b"./usr/bin/vector" else m for m in members()]
        put_archive(package, write_cpio(kept), "bzip2")
        named(package, "bzip2")

    judgement = _judged(renamed)
    assert judgement.klass == ACCEPTED and judgement.subject
    assert b"/usr/bin/" + latin in judgement.subject.files.paths
    assert _judged(renamed, lambda p: p.patch(1117, 1, b"pr\xf9vodce")).klass == MISMATCH


# --- sizes ---------------------------------------------------------------------------------------------------------


def _many_files(count: int) -> Edit:
    """A package of so many small files in folders of 50, each of another content."""

    def edit(package: Rpm) -> None:
        contents = [b"file %d\n" % place for place in range(count)]
        folders = [f"/usr/share/vector/folder-{place}/" for place in range((count + 49) // 50)]
        names = [f"a-name-that-is-not-too-short-{place}" for place in range(count)]
        empty: List[str] = [""] * count
        for tag, kind, values in (
            *((1028, INT32, [len(data) for data in contents]), (1030, INT16, [0o100644] * count)),
            *((1033, INT16, [0] * count), (1034, INT32, [1] * count), (1036, STRING_ARRAY, empty)),
            *((1037, INT32, [0] * count), (1039, STRING_ARRAY, ["root"] * count)),
            *((1040, STRING_ARRAY, ["root"] * count), (1045, INT32, [0xFFFFFFFF] * count)),
            *((1095, INT32, [1] * count), (1096, INT32, list(range(1, count + 1))), (1097, STRING_ARRAY, empty)),
            *((1116, INT32, [place // 50 for place in range(count)]), (1117, STRING_ARRAY, names)),
            *((1118, STRING_ARRAY, folders), (1140, INT32, [0] * count), (1141, INT32, [0] * count)),
            (1035, STRING_ARRAY, [hashlib.sha256(data).hexdigest() for data in contents]),
        ):
            package.set(tag, kind, values)
        paths = [f".{folders[place // 50]}{name}".encode() for place, name in enumerate(names)]
        put_archive(package, write_cpio(Member(path, data) for path, data in zip(paths, contents)))

    return edit


def test_a_package_of_15178_files_is_read_and_proven_within_seconds() -> None:
    blob = edited(_many_files(15178)).pack()
    begin = time.process_time()
    judgement = judge(blob)
    spent = time.process_time() - begin
    assert judgement.klass == ACCEPTED and judgement.subject
    assert len(judgement.subject.files.paths) == 15178
    assert len(judgement.subject.region) > 2 << 20
    assert spent < 10  # about a second; a quadratic step would take minutes


def test_one_missing_of_15178_files_is_noticed() -> None:
    listed, fewer = edited(_many_files(15178)), edited(_many_files(15177))
    put_payload(listed, fewer.payload, 1)
    assert judge(listed.pack()).klass == MISMATCH


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(setting(1005, I18NSTRING, ["d" * (2 << 20)]), id="a description"),
        pytest.param(setting(1024, STRING, "echo\n" * 500_000), id="a script"),
        pytest.param(setting(1142, STRING_ARRAY, ["", *[f"class {n}" for n in range(200_000)]]), id="file classes"),
        pytest.param(
            together(
                setting(1080, INT32, [1] * 20_000),
                setting(1081, STRING_ARRAY, ["Somebody <somebody@example.org>"] * 20_000),
                setting(1082, STRING_ARRAY, ["- changes that nobody remembers"] * 20_000),
            ),
            id="a change log",
        ),
    ],
)
def test_a_header_of_two_megabytes_is_read(edit: Edit) -> None:
    judgement = _judged(edit)
    assert judgement.klass == ACCEPTED and judgement.subject
    assert len(judgement.subject.region) > 1 << 20


# --- what is no binary package, or no whole one --------------------------------------------------------------------


def test_source_packages_of_all_ages_are_refused() -> None:
    assert _judged(_source).klass == MALFORMED
    for edit in (removing(1106), removing(1018), removing(1089), together(removing(1018), removing(1089, 1106))):
        assert _judged(_source, edit).klass == MALFORMED
    assert _judged(_source, _md5).klass == MALFORMED
    assert _judged(_source, setting(1044, STRING, "vector-1.0-1.src.rpm")).klass == MALFORMED


def test_a_delta_package_is_refused_by_its_format() -> None:
    judgement = _judged(_compressed("xz"), setting(1124, STRING, "drpm"))
    assert (judgement.klass, judgement.error and judgement.error.tag) == (MALFORMED, 1124)


def test_sizes_without_values_are_refused_and_do_not_crash() -> None:
    # Some rpm wrote it for packages without files; librpm does not read the header.
    for edits in ((without_files,), ()):
        assert _judged(*edits, setting(1028, INT32, [])).klass == MALFORMED
    assert _judged(without_files, setting(1029, INT8, [])).klass == MALFORMED


@pytest.mark.parametrize("compressor", ["gzip", "bzip2", "xz", "lzma", "zstd"])
def test_a_package_that_is_cut_off_anywhere_is_refused(compressor: str) -> None:
    blob = edited(_compressed(compressor)).pack()
    for end in range(0, len(blob), 97):
        assert judge(blob[:end]).klass in (MALFORMED, MISMATCH)


@pytest.mark.parametrize("compressor", ["gzip", "bzip2", "xz", "lzma", "zstd"])
@pytest.mark.parametrize("trailing", [b"\0", b"\n", bytes(512), b"\xed\xab\xee\xdb" + bytes(200)])
def test_a_package_with_bytes_at_its_end_is_refused_with_and_without_a_digest(compressor: str, trailing: bytes) -> None:
    for edits in ((), (_without_payload_digest,)):
        assert judge(edited(_compressed(compressor), *edits).pack() + trailing).klass == MISMATCH


@pytest.mark.parametrize("text", [b"", b"\n", b"<!DOCTYPE html>\n<title>404 Not Found</title>", b"\x1f\x8b\x08" * 100])
def test_what_a_mirror_sends_in_place_of_a_package_is_refused(text: bytes) -> None:
    judgement = judge(text)
    assert judgement.klass == MALFORMED and judgement.error is not None
    assert "lead" in judgement.error.message


def test_no_kind_of_package_lacks_a_vector() -> None:
    needed = {
        *("weak-md5", "weak-no-algorithm", "payload-digest-missing", "region-missing", "signed-rhnplatform"),
        *("refused-1105", "signed-digest-algorithms", "unknown-1203", "signed-rpm-6-whole", "file-signatures-ima"),
        *("path-not-utf-8", "signed-require-not-utf-8", "compressor-lzma", "compressor-bzip2", "compressor-missing"),
        *("payload-not-compressed", "format-delta", "source-package", "truncated-in-header-data", "gzip-cut-in-half"),
        *("gzip-trailing-zeros", "archive-trailing-4000", "size-none"),
    }
    assert needed <= {entry["name"] for entry in committed_index()}
