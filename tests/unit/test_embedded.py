# SPDX-License-Identifier: GPL-2.0-or-later
"""A bundle within an RPM: the package stays the package that it was, and what is embedded is evidence and no more."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Callable, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.rpmedit import BIN, INT32, STRING, Entry, Rpm
from fixtures.rpmjudge import judged, opened
from fixtures.running import CHECKOUT, PYTHON, run
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode, merge, parse
from multisig.errors import MalformedRpmError
from multisig.indexing import gather
from multisig.local import find_embedded
from multisig.subjects.embedded import BUNDLE_TAG, read_embedded, with_bundle
from tests.unit.cli_bench import NAMES, Bench, Ran, call, one_line, tampered_payload, truncated, unknown_tag
from tests.unit.core import attest, statement


def embedded(package: bytes, bundle: bytes) -> bytes:
    with opened(package) as fd:
        beginning, rest = with_bundle(fd, bundle)
    return beginning + package[rest:]


def inside(package: bytes) -> "bytes | None":
    with opened(package) as fd:
        return read_embedded(fd)


def signatures(package: bytes) -> Dict[int, bytes]:
    return {entry.tag: entry.data for entry in Rpm.parse(package).signature.entries}


# --- the package stays what it was ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 8, 854, MAX_BUNDLE])
def test_header_and_payload_stay_byte_for_byte_and_so_do_all_other_tags(bench: Bench, size: int) -> None:
    package, bundle = bench.rpm.read_bytes(), os.urandom(size)
    carrying = embedded(package, bundle)
    before, after = Rpm.parse(package), Rpm.parse(carrying)
    assert (after.lead, after.header.pack(), after.payload) == (before.lead, before.header.pack(), before.payload)
    assert signatures(carrying) == {**signatures(package), BUNDLE_TAG: bundle}
    assert after.signature.region == before.signature.region == 62
    assert after.signature.dribble == []
    assert inside(carrying) == bundle
    assert inside(package) is None
    assert judged(carrying)._replace(payload_offset=0) == judged(package)._replace(payload_offset=0)


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=300))
def test_embedding_another_bundle_is_the_same_as_embedding_it_first(bench: Bench, one: bytes, other: bytes) -> None:
    package = bench.rpm.read_bytes()
    assert embedded(embedded(package, one), other) == embedded(package, other)


@pytest.mark.parametrize("size", [0, MAX_BUNDLE + 1])
def test_no_more_than_a_bundle_is_embedded(bench: Bench, size: int) -> None:
    with opened(bench.rpm.read_bytes()) as fd, pytest.raises(ValueError, match="size"):
        with_bundle(fd, bytes(size))


def dribble(rpm: Rpm) -> None:
    rpm.signature.dribble.append(Entry.of(1010, STRING, "outside"))


def no_region(rpm: Rpm) -> None:
    rpm.signature.region = None


def other_region(rpm: Rpm) -> None:
    rpm.signature.region = 63


def false_trailer(rpm: Rpm) -> None:
    rpm.signature.trailer = struct.pack(">IIiI", 62, BIN, -16, 16)


def twice(rpm: Rpm) -> None:
    rpm.signature.entries.append(rpm.signature.entries[-1])


def bundle_in_the_middle(rpm: Rpm) -> None:
    rpm.signature.add(BUNDLE_TAG, BIN, b"bundle", at=0)


def bundle_of_text(rpm: Rpm) -> None:
    rpm.signature.add(BUNDLE_TAG, STRING, "bundle")


def full(rpm: Rpm) -> None:
    while len(rpm.signature.entries) < 31:
        rpm.signature.add(2000 + len(rpm.signature.entries), INT32, 1)


ODD = [dribble, no_region, other_region, false_trailer, twice, bundle_in_the_middle, bundle_of_text, full]


@pytest.mark.parametrize("edit", ODD)
def test_into_an_odd_signature_header_nothing_is_embedded(bench: Bench, edit: Callable[[Rpm], None]) -> None:
    rpm = Rpm.read(bench.rpm)
    edit(rpm)
    with opened(rpm.pack()) as fd, pytest.raises(MalformedRpmError):
        with_bundle(fd, b"bundle")


@pytest.mark.parametrize("at", [0, 50, 96, 100, 111, 120, 300])
def test_a_file_that_is_cut_off_is_malformed(bench: Bench, at: int) -> None:
    for read in (read_embedded, lambda fd: with_bundle(fd, b"x")):
        with opened(bench.rpm.read_bytes()[:at]) as fd, pytest.raises(MalformedRpmError):
            read(fd)


@pytest.mark.parametrize("count", [33, 0xFFFFFFFF])
@pytest.mark.parametrize("where", [104, 108])
def test_sizes_are_bounded_before_anything_is_read(bench: Bench, count: int, where: int) -> None:
    package = bytearray(bench.rpm.read_bytes())
    package[where : where + 4] = struct.pack(">I", count if where == 104 else max(count, (16 << 20) + 1))
    with opened(bytes(package)) as fd, pytest.raises(MalformedRpmError, match="too large"):
        read_embedded(fd)


# --- what is read --------------------------------------------------------------------------------------------------


def bundle_twice(rpm: Rpm) -> None:
    for _ in range(2):
        rpm.signature.add(BUNDLE_TAG, BIN, b"bundle")


# librpm takes the last two for no packages at all.
MALFORMED: Dict[str, Callable[[Rpm], None]] = {
    "twice": bundle_twice,
    "a text": bundle_of_text,
    "over a megabyte": lambda rpm: rpm.signature.add(BUNDLE_TAG, BIN, bytes(MAX_BUNDLE + 1)),
    "no bundle": lambda rpm: rpm.signature.add(BUNDLE_TAG, BIN, b"[" * 20_000),
    "nothing": lambda rpm: rpm.signature.entries.append(Entry(BUNDLE_TAG, BIN, 0, b"")),
    "longer than its data": lambda rpm: rpm.signature.entries.append(Entry(BUNDLE_TAG, BIN, 1 << 19, b"x")),
}


@pytest.mark.parametrize("what", sorted(MALFORMED))
def test_what_is_no_bundle_is_noted_and_takes_nothing_away(bench: Bench, what: str) -> None:
    rpm = Rpm.read(bench.rpm)
    MALFORMED[what](rpm)
    package = rpm.pack()
    with opened(package) as fd:
        found = find_embedded(fd)
    assert found.attestations == ()
    assert len(found.notes) == 1 and found.notes[0].startswith("the embedded bundle: ")
    if what not in list(MALFORMED)[-2:]:
        bench.write("hello.rpm", package)
        bench.write("hello.rpm.msig", bench.bundle("marek", "joanna"))
        assert bench.verify(bench.rpm)["rc"] == 0
        (bench.folder / "hello.rpm.msig").unlink()
        found_alone = bench.verify(bench.rpm)
        assert (found_alone["rc"], found_alone["subjects"][0]["code"]) == (1, "no-bundle")
        assert any("the embedded bundle" in note for note in found_alone["subjects"][0]["ignored"])


def test_verify_counts_the_embedded_signatures_and_those_beside_together(bench: Bench) -> None:
    bench.write("hello.rpm", embedded(bench.rpm.read_bytes(), bench.bundle("marek")))
    found = bench.verify(bench.rpm)
    assert (found["rc"], found["subjects"][0]["signers"]) == (1, ["marek"])
    bench.write("hello.rpm.msig", bench.bundle("joanna"))
    found = bench.verify(bench.rpm)
    assert (found["rc"], sorted(found["subjects"][0]["signers"])) == (0, ["joanna", "marek"])
    bench.write("hello.rpm", embedded(bench.rpm.read_bytes(), bench.bundle(*NAMES)))
    (bench.folder / "hello.rpm.msig").write_bytes(b"nonsense")
    assert bench.verify(bench.rpm)["rc"] == 0


# --- embed and extract -----------------------------------------------------------------------------------------------


def test_a_bundle_goes_in_and_comes_out_again(bench: Bench) -> None:
    beside = bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    bench.rpm.chmod(0o640)
    before = bench.rpm.read_bytes()
    assert call("embed", bench.rpm) == Ran(0, "", "")
    assert inside(bench.rpm.read_bytes()) == encode(_union(beside.read_bytes()))
    assert bench.rpm.stat().st_mode & 0o777 == 0o640
    assert call("manifest", "--digest", bench.rpm).out == call("manifest", "--digest", bench.write("b", before)).out
    bundle = beside.read_bytes()
    beside.unlink()
    assert bench.verify(bench.rpm)["rc"] == 0
    assert call("extract", bench.rpm) == Ran(0, "", "")
    assert _union(beside.read_bytes()) == _union(bundle)
    assert sorted(os.listdir(bench.folder)) == ["b", "hello.rpm", "hello.rpm.msig"]


def _union(bundle: bytes) -> Bundle:
    """In merging's order."""
    return merge([parse(bundle)])


def test_embedding_adds_to_what_is_embedded_and_extracting_to_what_is_there(bench: Bench) -> None:
    one, other = bench.write("one.msig", bench.bundle("marek")), bench.write("other.msig", bench.bundle("joanna"))
    out = bench.folder / "out.rpm"
    assert call("embed", "--bundle", one, "-o", out, bench.rpm).rc == 0
    assert inside(bench.rpm.read_bytes()) is None
    assert call("embed", "--bundle", other, out).rc == 0
    third = bench.write("third.msig", bench.bundle("rafal"))
    assert call("extract", "-o", third, out).rc == 0
    (item,) = parse(third.read_bytes()).attestations
    assert len(item.signatures) == 3
    assert bench.verify("--bundle", third, bench.rpm)["rc"] == 0


UNFIT: Dict[str, Callable[[Bench], object]] = {
    "tampered header": unknown_tag,
    "cut off": truncated,
    "a signature header of two parts": lambda bench: bench.write("hello.rpm", _edited(bench, dribble)),
}


def _edited(bench: Bench, edit: Callable[[Rpm], None]) -> bytes:
    rpm = Rpm.read(bench.rpm)
    edit(rpm)
    return rpm.pack()


@pytest.mark.parametrize("what", sorted(UNFIT))
def test_into_what_is_malformed_nothing_is_embedded(bench: Bench, what: str) -> None:
    bench.write("hello.rpm.msig", bench.bundle("marek"))
    UNFIT[what](bench)
    before = bench.rpm.read_bytes()
    ran = call("embed", bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, bench.rpm)
    assert bench.rpm.read_bytes() == before
    assert sorted(os.listdir(bench.folder)) == ["hello.rpm", "hello.rpm.msig"]


def test_without_a_bundle_there_is_nothing_to_embed_or_extract(bench: Bench) -> None:
    for words in (["embed"], ["embed", "--bundle", bench.folder / "none.msig"], ["extract"]):
        ran = call(*words, bench.rpm)
        assert (ran.rc, ran.out) == (2, "")
        one_line(ran.err)
    one_line(call("extract", bench.rpm).err, "carries no bundle")


def test_two_bundles_that_no_bundle_holds_together_are_not_embedded(bench: Bench) -> None:
    texts = [statement(source=str(number)) for number in range(100)]
    halves = [encode(Bundle(tuple(attest(text) for text in some))) for some in (texts[:50], texts[50:])]
    bench.write("hello.rpm", embedded(bench.rpm.read_bytes(), halves[0]))
    ran = call("embed", "--bundle", bench.write("b.msig", halves[1]), bench.rpm)
    assert ran.rc == 2
    one_line(ran.err, "too many statements")
    assert inside(bench.rpm.read_bytes()) == halves[0]


def test_a_malformed_embedded_bundle_is_not_extracted(bench: Bench) -> None:
    bench.write("hello.rpm", embedded(bench.rpm.read_bytes(), b"nonsense"))
    ran = call("extract", bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, bench.rpm)
    assert not (bench.folder / "hello.rpm.msig").exists()


def test_the_payload_is_proven_as_always(bench: Bench) -> None:
    tampered_payload(bench)
    bench.write("hello.rpm", embedded(bench.rpm.read_bytes(), bench.bundle(*NAMES)))
    assert bench.verify(bench.rpm)["subjects"][0]["code"] == "payload-mismatch"


def test_an_upload_s_embedded_bundle_counts_for_publishing(bench: Bench) -> None:
    incoming = bench.folder / "incoming"
    incoming.mkdir()
    (incoming / "a.rpm").write_bytes(embedded(bench.rpm.read_bytes(), bench.bundle("marek", "joanna")))
    words = ("publish", "--incoming", incoming, "--repo", bench.folder / "repo", "--policy", bench.policy)
    assert "1 published" in call(*words).out
    published = parse((bench.folder / "repo" / "hello-1.0-1.noarch.rpm.msig").read_bytes())
    assert len(published.attestations[0].signatures) == 2


def test_attestations_come_out_as_they_went_in(bench: Bench) -> None:
    whole = Bundle((Attestation(statement(source="é\u2028"), ("x",)),))
    with opened(embedded(bench.rpm.read_bytes(), encode(whole))) as fd:
        assert find_embedded(fd).attestations == whole.attestations


def test_the_path_of_a_package_is_all_that_local_evidence_needs(bench: Bench, tmp_path: Path) -> None:
    from multisig.local import find_local

    bench.write("hello.rpm", embedded(bench.rpm.read_bytes(), bench.bundle("marek")))
    beside = bench.write("hello.rpm.msig", bench.bundle("joanna"))
    found = find_local(str(bench.rpm))
    assert found.bundle == beside.read_bytes()
    assert len(found.attestations) == 1 and found.notes == ()


def test_the_index_takes_in_what_packages_carry(bench: Bench) -> None:
    repo = bench.folder / "repo"
    (repo / "p").mkdir(parents=True)
    (repo / "p" / "a.rpm").write_bytes(embedded(bench.rpm.read_bytes(), bench.bundle("marek")))
    (repo / "b.rpm.msig").write_bytes(bench.bundle("joanna"))
    rpm = Rpm.read(bench.rpm)
    bundle_twice(rpm)
    (repo / "c.rpm").write_bytes(rpm.pack())
    (repo / "d.rpm").write_bytes(embedded(bench.rpm.read_bytes(), b"nonsense"))
    (repo / ".e.rpm").write_bytes(b"on its way")
    found = gather(str(repo))
    (item,) = found.attestations
    assert (len(item.signatures), found.bundles) == (2, 3)
    assert [(dropped.source, dropped.part) for dropped in found.dropped] == [
        ("c.rpm", "the embedded bundle"),
        ("d.rpm", ""),
    ]


def test_reading_what_a_package_carries_needs_no_librpm() -> None:
    code = "import sys, multisig.local; assert 'rpm' not in sys.modules, sorted(sys.modules)"
    run([PYTHON, "-c", code], env={"PYTHONPATH": str(CHECKOUT)})
