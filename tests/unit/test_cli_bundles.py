# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig manifest, merge, sign and history: nothing is lost, and nothing unfit is signed."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Callable, Dict, List, Set

import pytest

from multisig.bundle import Attestation, Bundle, encode, parse
from multisig.journal import Entry, Journal
from multisig.statement import Subject
from multisig.verdict import Code, refuse
from tests.unit.cli_bench import (
    NAMES,
    NEVRA,
    Bench,
    Ran,
    call,
    empty,
    malformed_bundle,
    one_line,
    start,
    tampered_payload,
    text,
    truncated,
    unknown_tag,
)
from tests.unit.core import CHANNEL, digests, statement

# --- manifest --------------------------------------------------------------------------------------------------------


def test_manifest_prints_exactly_the_bytes_that_are_digested(bench: Bench) -> None:
    import hashlib

    done = start("manifest", bench.rpm)
    assert (done.returncode, done.stderr) == (0, b"")
    sha256, sha512 = hashlib.sha256(done.stdout).hexdigest(), hashlib.sha512(done.stdout).hexdigest()
    ran = call("manifest", "--digest", bench.rpm)
    assert (ran.rc, ran.out) == (0, f"sha256:{sha256} sha512:{sha512}\n")


def test_the_manifest_of_a_tree(bench: Bench) -> None:
    (bench.folder / "tree").mkdir()
    bench.write("tree/a", b"")
    assert call("manifest", bench.folder / "tree").out.startswith("DATA a 0 SHA256 e3b0c442")


@pytest.mark.parametrize("name", ["nothing", "empty.rpm", "text.rpm", "image.iso", "fifo", "tree"])
def test_what_has_no_manifest_is_2_and_prints_nothing(bench: Bench, name: str) -> None:
    for file in ("empty.rpm", "image.iso"):
        bench.write(file, b"")
    bench.write("text.rpm", b"text" * 999)
    os.mkfifo(bench.folder / "fifo")
    (bench.folder / "tree").mkdir()
    (bench.folder / "tree" / "link").symlink_to("nowhere")
    ran = call("manifest", bench.folder / name)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, name)


# --- merge -----------------------------------------------------------------------------------------------------------


FLOOD = [statement(Subject(f"junk-0:{number}-1.noarch", digests())) for number in range(80)]


def signatures(path: Path) -> Set[str]:
    return {armored for item in parse(path.read_bytes()).attestations for armored in item.signatures}


def parts(bench: Bench) -> List[Path]:
    return [bench.write(f"{name}.msig", bench.bundle(name)) for name in NAMES]


def test_merging_is_a_union_whatever_the_order_and_adds_to_what_is_there(bench: Bench) -> None:
    marek, joanna, rafal = parts(bench)
    out = bench.folder / "out.msig"
    results = set()
    for order in ([marek, joanna, rafal], [rafal, marek, joanna], [joanna, joanna, rafal, marek]):
        out.unlink(missing_ok=True)
        assert call("merge", "-o", out, *order).rc == 0
        results.add(out.read_bytes())
    out.unlink()
    for step in ([marek], [rafal], [joanna], [marek, out], [out]):
        assert call("merge", "-o", out, *step).rc == 0
    results.add(out.read_bytes())
    assert len(results) == 1
    (merged,) = results
    assert signatures(out) == signatures(marek) | signatures(joanna) | signatures(rafal)
    assert merged == out.read_bytes()
    assert bench.verify("--bundle", out, bench.rpm)["rc"] == 0


BAD = [b"", b"[" * 20_000, b"nonsense", b'{"multisig":"bundle/v1"}', b"x" * (2 << 20)]
BAD_NAMES = ["empty", "nested", "text", "half", "oversized"]


@pytest.mark.parametrize("bad", BAD, ids=BAD_NAMES)
def test_a_bad_bundle_is_dropped_by_name_and_the_others_are_merged(bench: Bench, bad: bytes) -> None:
    good = bench.write("good.msig", bench.bundle("marek"))
    before = bench.bundle("joanna")
    out = bench.write("out.msig", before)
    broken = bench.write("bad.msig", bad)
    ran = call("merge", "-o", out, broken, good)
    assert (ran.rc, ran.out) == (0, "")
    one_line(ran.err, f"{broken}: dropped: ")
    assert signatures(out) == signatures(good) | signatures(bench.write("before", before))


@pytest.mark.parametrize("bad", BAD, ids=BAD_NAMES)
def test_nothing_is_written_over_what_is_no_bundle(bench: Bench, bad: bytes) -> None:
    good = bench.write("good.msig", bench.bundle("marek"))
    out = bench.write("out.msig", bad)
    ran = call("merge", "-o", out, good)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, out)
    assert out.read_bytes() == bad


@pytest.mark.parametrize("bad", BAD, ids=BAD_NAMES)
def test_where_no_input_is_a_bundle_nothing_is_written(bench: Bench, bad: bytes) -> None:
    broken = bench.write("bad.msig", bad)
    ran = call("merge", "-o", bench.folder / "out.msig", broken)
    assert ran.rc == 2
    assert "none of the inputs is a bundle" in ran.err
    assert not (bench.folder / "out.msig").exists()


def test_an_input_that_cannot_be_read_is_2_once_the_others_are_merged(bench: Bench) -> None:
    good = bench.write("good.msig", bench.bundle("marek"))
    ran = call("merge", "-o", bench.folder / "out.msig", bench.folder / "missing.msig", good)
    assert ran.rc == 2
    one_line(ran.err, "missing.msig")
    assert signatures(bench.folder / "out.msig") == signatures(good)


def test_malformed_parts_are_dropped_by_name_and_the_rest_of_the_bundle_is_taken(bench: Bench) -> None:
    whole = parse(bench.bundle("marek", "joanna")).attestations[0]
    junk = (
        Attestation(whole.statement.replace(",", ", ", 1), whole.signatures),
        Attestation(whole.statement, ("no signature", whole.signatures[0] + "x" * 9000, *whole.signatures)),
    )
    mixed = bench.write("mixed.msig", encode(Bundle(junk)))
    ran = call("merge", "-o", bench.folder / "out.msig", mixed)
    assert (ran.rc, ran.out) == (0, "")
    lines = ran.err.splitlines()
    assert len(lines) == 3
    assert f"{mixed}: attestation 1: dropped: the statement is not in canonical form" in lines[0]
    assert f"{mixed}: attestation 2, signature 1: dropped" in lines[1]
    assert f"{mixed}: attestation 2, signature 2: dropped: longer than 8192 bytes" in lines[2]
    assert signatures(bench.folder / "out.msig") == set(whole.signatures)


def test_a_union_that_no_bundle_holds_is_2_and_a_policy_keeps_what_counts(bench: Bench) -> None:
    real = bench.write("real.msig", bench.bundle("marek", "joanna"))
    junk = [
        bench.write(f"junk{half}.msig", encode(Bundle(tuple(Attestation(text, ()) for text in some))))
        for half, some in enumerate((FLOOD[:40], FLOOD[40:]))
    ]
    out = bench.folder / "out.msig"
    assert call("merge", "-o", out, *junk[:1]).rc == 0
    before = out.read_bytes()
    ran = call("merge", "-o", out, junk[1], real)
    assert ran.rc == 2
    one_line(ran.err, "--policy")
    assert out.read_bytes() == before
    ran = call("merge", "--policy", bench.policy, "-o", out, junk[1], real)
    assert ran.rc == 0
    assert "17 statements, 0 signatures: dropped" in ran.err
    assert signatures(out) == signatures(real)
    assert parse(out.read_bytes()).attestations[0].statement == parse(real.read_bytes()).attestations[0].statement
    again = out.read_bytes()
    assert call("merge", "--policy", bench.policy, "-o", out, real).rc == 0
    assert out.read_bytes() == again


def test_with_a_policy_merge_says_what_each_package_still_needs(bench: Bench) -> None:
    out = bench.folder / "out.msig"
    ran = call("merge", "--policy", bench.policy, "-o", out, bench.write("a.msig", bench.bundle("marek")))
    assert (ran.rc, ran.err) == (0, "")
    assert f"{NEVRA}: 1 of 2 builders signed (marek); needs 1 more of: joanna, rafal" in ran.out
    assert "0 of 1 have what the policy asks for" in ran.out
    ran = call("merge", "--policy", bench.policy, "-o", out, bench.write("b.msig", bench.bundle("rafal")))
    assert (ran.rc, ran.out, ran.err) == (0, "1 of 1 have what the policy asks for\n", "")
    ran = call("merge", "--policy", bench.policy, "--repo-id", "other", "-o", out, bench.folder / "a.msig")
    assert "no rule of the policy matches it" in ran.out


def test_a_repository_s_id_without_a_policy_is_2(bench: Bench) -> None:
    good = bench.write("good.msig", bench.bundle("marek"))
    ran = call("merge", "--repo-id", "x", "-o", bench.folder / "out.msig", good)
    assert ran.rc == 2
    one_line(ran.err, "--policy")


@pytest.mark.parametrize("out", ["nowhere/out.msig", "", ".", "hello.rpm/out.msig", "/dev/full", "/proc/out.msig"])
def test_a_place_that_cannot_be_written_is_2(bench: Bench, out: str) -> None:
    good = bench.write("good.msig", bench.bundle("marek"))
    ran = call("merge", "-o", os.path.join(bench.folder, out), good)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err)


def limited() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))


def test_a_full_disk_while_merging_is_2_and_loses_nothing(bench: Bench) -> None:
    before = bench.bundle("marek")
    out = bench.write("out.msig", before)
    more = bench.write("more.msig", bench.bundle("joanna"))
    done = start("merge", "-o", out, more, preexec_fn=limited)
    assert done.returncode == 2
    one_line(done.stderr.decode(), out)
    assert out.read_bytes() == before
    assert sorted(path.name for path in bench.folder.iterdir()) == ["hello.rpm", "more.msig", "out.msig"]


# --- sign ------------------------------------------------------------------------------------------------------------


def sign(bench: Bench, name: str, *words: object, channel: str = CHANNEL) -> Ran:
    key = bench.people.key(name).fingerprint
    return call("sign", "--key", key, "--gnupghome", bench.people.home.path, "--channel", channel, *words)


def test_signing_extends_the_bundle_beside_the_file_and_once_is_enough(bench: Bench) -> None:
    for name in ("marek", "joanna"):
        assert sign(bench, name, bench.rpm).rc == 0
    beside = bench.folder / "hello.rpm.msig"
    before = beside.read_bytes()
    ran = sign(bench, "marek", bench.rpm)
    assert ran.rc == 0
    assert "already signed" in ran.err
    assert beside.read_bytes() == before
    assert bench.verify(bench.rpm)["rc"] == 0


def test_a_batch_is_one_statement_of_each_kind(bench: Bench) -> None:
    image = bench.write("image.iso", b"image")
    out = bench.folder / "batch.msig"
    for name in ("marek", "rafal"):
        assert sign(bench, name, "--batch", out, bench.rpm, image, bench.rpm).rc == 0
    assert len(parse(out.read_bytes()).attestations) == 2
    assert bench.verify("--bundle", out, bench.rpm, image)["rc"] == 0


UNFIT: Dict[str, Callable[[Bench], None]] = {
    "tampered payload": tampered_payload,
    "unknown tag": unknown_tag,
    "truncated": truncated,
    "empty": empty,
    "text": text,
    "malformed bundle": malformed_bundle,
}


@pytest.mark.parametrize("what", sorted(UNFIT))
def test_what_is_unfit_is_not_signed_and_nothing_is_lost(bench: Bench, what: str) -> None:
    UNFIT[what](bench)
    before = {path.name: path.read_bytes() for path in bench.folder.iterdir()}
    ran = sign(bench, "marek", bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "hello.rpm")
    assert {path.name: path.read_bytes() for path in bench.folder.iterdir()} == before


@pytest.mark.parametrize("home", ["empty", "missing", "a file"])
def test_a_key_that_is_not_there_is_2(bench: Bench, home: str) -> None:
    place = bench.folder / "home"
    if home == "empty":
        place.mkdir(mode=0o700)
    elif home == "a file":
        place.write_text("")
    ran = call("sign", "--key", "A" * 40, "--gnupghome", place, "--channel", CHANNEL, bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err)
    assert not (bench.folder / "hello.rpm.msig").exists()


# --- history ---------------------------------------------------------------------------------------------------------


def fifo(path: Path) -> None:
    os.mkfifo(path)


def no_journal(path: Path) -> None:
    """Nothing there."""


def not_a_journal(path: Path) -> None:
    path.write_text("text" * 999)


def forged_journal(path: Path) -> None:
    Journal(str(path)).record([], time=0, stage="x", mode="x", accepted=True, serial=1, policy="x")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE decisions SET time = 999999999999999")


def recorded(path: Path, mode: str, *codes: Code) -> None:
    verdicts = [refuse(f"p{number}", "fedora", code, "x") for number, code in enumerate(codes)]
    entries = [Entry(verdict._replace(accepted=verdict.code is Code.OK)) for verdict in verdicts]
    accepted = all(entry.verdict.accepted for entry in entries)
    Journal(str(path)).record(entries, time=0, stage="at hand", mode=mode, accepted=accepted, serial=1, policy="0" * 64)


def test_warn_mode_is_counted_and_enforced_refusals_are_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    recorded(path, "enforce", Code.NO_BUNDLE)
    assert "mode = warn" not in call("history", "--journal", path).out
    recorded(path, "warn", *[Code.OK] * 200)
    assert call("history", "--journal", path).out.splitlines()[-1] == (
        "mode = warn: would have refused 0 of 200 packages, in 0 of 1 transaction"
    )
    recorded(path, "warn", Code.NO_RULE, Code.BELOW_THRESHOLD, Code.BELOW_THRESHOLD, *[Code.OK] * 9)
    lines = call("history", "--journal", path).out.splitlines()
    assert lines[-1] == (
        "mode = warn: would have refused 3 of 212 packages, in 1 of 2 transactions (2 below-threshold, 1 no-rule)"
    )
    (heading,) = [line for line in lines if line.startswith("3  ")]
    assert "would have refused 3 of 12 packages, not known to have finished  (at hand" in heading


@pytest.mark.parametrize("make", [no_journal, not_a_journal, Path.mkdir, fifo, forged_journal])
def test_a_journal_that_cannot_be_read_is_2(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    ran = call("history", "--journal", path)
    assert ran.rc == 2
    one_line(ran.err, path)
