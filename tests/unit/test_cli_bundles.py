# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig manifest, merge, sign and history: nothing is lost, and nothing unfit is signed."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from multisig.bundle import parse
from tests.unit.cli_bench import (
    NAMES,
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
from tests.unit.core import CHANNEL

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
    assert {signature for item in parse(merged).attestations for signature in item.signatures} == {
        signature for path in (marek, joanna, rafal) for item in parse(path.read_bytes()).attestations
        for signature in item.signatures
    }  # fmt: skip
    assert bench.verify("--bundle", out, bench.rpm)["rc"] == 0


@pytest.mark.parametrize("bad", [b"", b"[" * 20_000, b"nonsense", b'{"multisig":"bundle/v1"}', b"x" * (2 << 20)])
@pytest.mark.parametrize("where", ["input", "output"])
def test_a_bad_bundle_is_2_and_nothing_is_lost(bench: Bench, bad: bytes, where: str) -> None:
    good = bench.write("good.msig", bench.bundle("marek"))
    before = bench.bundle("joanna")
    out = bench.write("out.msig", before if where == "input" else bad)
    broken = bench.write("bad.msig", bad)
    ran = call("merge", "-o", out, good, *([broken] if where == "input" else []))
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, broken if where == "input" else out)
    assert out.read_bytes() == (before if where == "input" else bad)


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
    from multisig.journal import Journal

    Journal(str(path)).record([], time=0, stage="x", mode="x", accepted=True, serial=1, policy="x")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE decisions SET time = 999999999999999")


@pytest.mark.parametrize("make", [no_journal, not_a_journal, Path.mkdir, fifo, forged_journal])
def test_a_journal_that_cannot_be_read_is_2(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    ran = call("history", "--journal", path)
    assert ran.rc == 2
    one_line(ran.err, path)
