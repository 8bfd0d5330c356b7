# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig status: a repository on disk, real signatures, and whatever else may lie there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from fixtures.repository import Repository
from fixtures.rpmedit import INT32, Rpm
from fixtures.rpmjudge import edited, judged
from fixtures.running import CHECKOUT, CLEAN, PYTHON, run
from multisig.bundle import Attestation, Bundle, encode
from multisig.statement import Subject, statement_id
from tests.unit.cli_bench import NEVRA, Bench, call, one_line
from tests.unit.core import digests, statement


class Shelf:
    """A repository of one package, hello.rpm, that two of three people have to sign."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folder = bench.folder / "repo"
        self.rpm = Repository(self.folder).add(bench.rpm, bench.bundle("marek"), name="hello.rpm")

    def status(self, *words: object) -> Dict[str, Any]:
        ran = call("status", "--policy", self.bench.policy, "--json", *words, self.folder)
        found = json.loads(ran.out)
        assert (ran.rc == 0) is (found["error"] is None)
        assert "Traceback" not in ran.err
        return {**found, "rc": ran.rc}

    def packages(self, *words: object) -> List[Dict[str, Any]]:
        return list(self.status(*words)["packages"])


@pytest.fixture
def shelf(bench: Bench) -> Shelf:
    return Shelf(bench)


def test_who_signed_and_who_is_asked(shelf: Shelf) -> None:
    (hello,) = shelf.packages()
    assert (hello["name"], hello["file"], hello["state"]) == (NEVRA, "hello.rpm", "lacks signatures")
    assert (hello["signed"], hello["missing"]) == (["marek"], ["joanna", "rafal"])
    assert hello["sha256"] == judged(shelf.rpm.read_bytes()).digests.sha256


def test_everybody_who_signed_is_named_and_not_only_as_many_as_are_needed(shelf: Shelf) -> None:
    Repository.bundle_of(shelf.rpm).write_bytes(shelf.bench.bundle("marek", "joanna", "rafal"))
    (hello,) = shelf.packages()
    assert (hello["state"], hello["signed"]) == ("approved", ["marek", "joanna", "rafal"])


def test_builders_who_disagree_are_told_apart_by_their_contents(shelf: Shelf) -> None:
    mine = shelf.bench.bundle("marek", "joanna")
    theirs = shelf.bench.bundle("rafal", text=statement(Subject(NEVRA, digests("another flag"))))
    Repository.bundle_of(shelf.rpm).write_bytes(mine)
    (shelf.folder / "batches").mkdir()
    (shelf.folder / "batches" / "rafal.msig").write_bytes(theirs)
    (hello,) = shelf.packages()
    assert (hello["state"], hello["signed"]) == ("approved", ["marek", "joanna"])
    assert [content["signers"] for content in hello["others"]] == [["rafal"]]
    assert hello["others"][0]["sha256"] == digests("another flag").sha256


def test_a_batch_counts_for_each_package_that_it_names(shelf: Shelf) -> None:
    content = judged(shelf.rpm.read_bytes()).digests
    others = [Subject(f"p{number:04}-0:1-1.noarch", digests()) for number in range(200)]
    text = statement(*others, Subject(NEVRA, content))
    (shelf.folder / "batches").mkdir()
    (shelf.folder / "batches" / f"{statement_id(text)}.msig").write_bytes(shelf.bench.bundle("rafal", text=text))
    (hello,) = shelf.packages()
    assert (hello["state"], hello["signed"]) == ("approved", ["marek", "rafal"])


def test_what_the_index_holds_counts_too(shelf: Shelf) -> None:
    Repository.bundle_of(shelf.rpm).write_bytes(shelf.bench.bundle("marek", "rafal"))
    run(["createrepo_c", "--quiet", "--no-database", shelf.folder])
    assert call("index", shelf.folder).rc == 0
    Repository.bundle_of(shelf.rpm).unlink()
    found = shelf.status()
    assert (found["packages"][0]["signed"], found["notes"]) == (["marek", "rafal"], [])
    next(shelf.folder.glob("repodata/*multisig*")).write_bytes(b"other")
    found = shelf.status()
    assert found["packages"][0]["signed"] == []
    assert found["notes"] == ["the index: is not the file that repomd.xml names"]


def test_a_signature_for_another_channel_is_said_and_does_not_count(shelf: Shelf) -> None:
    content = judged(shelf.rpm.read_bytes()).digests
    text = statement(Subject(NEVRA, content), channel="demo-testing")
    Repository.bundle_of(shelf.rpm).write_bytes(shelf.bench.bundle("marek", text=text))
    (hello,) = shelf.packages()
    assert (hello["signed"], hello["ignored"]) == ([], ["marek signed it for demo-testing"])


def unknown_tag(path: Path) -> None:
    edited(Rpm.read(path), lambda copy: copy.add(60_000, INT32, 1)).write(path)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def no_package(path: Path) -> None:
    path.write_text("no package")


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("how", [unknown_tag, cut_off, no_package, a_fifo, a_dangling_link])
def test_what_cannot_be_approved_is_a_row_that_says_why(shelf: Shelf, how: Callable[[Path], None]) -> None:
    other = shelf.folder / "other.rpm"
    shutil.copyfile(shelf.rpm, other)
    how(other)
    rows = {row["file"]: row for row in shelf.packages()}
    assert rows["other.rpm"]["state"] == "cannot be approved"
    assert rows["other.rpm"]["message"]
    assert rows["hello.rpm"]["signed"] == ["marek"]


def test_what_is_malformed_in_a_bundle_is_noted_and_takes_nothing_away(shelf: Shelf) -> None:
    (shelf.folder / "batches").mkdir()
    (shelf.folder / "batches" / "junk.msig").write_bytes(b"[" * 20_000)
    found = shelf.status()
    assert any("batches/junk.msig: dropped" in note for note in found["notes"])
    assert found["packages"][0]["signed"] == ["marek"]


def test_a_bundle_of_junk_alone_is_not_no_bundle(shelf: Shelf) -> None:
    Repository.bundle_of(shelf.rpm).write_bytes(encode(Bundle((Attestation(statement(), ()),))))
    assert shelf.packages()[0]["code"] == "below-threshold"
    Repository.bundle_of(shelf.rpm).unlink()
    assert shelf.packages()[0]["code"] == "no-bundle"


def test_folders_below_are_looked_into_and_hidden_ones_are_not(shelf: Shelf) -> None:
    for folder in ("h", ".multisig"):
        (shelf.folder / folder).mkdir()
        shutil.copyfile(shelf.rpm, shelf.folder / folder / "hello.rpm")
    assert [row["file"] for row in shelf.packages()] == ["h/hello.rpm", "hello.rpm"]


def test_an_empty_repository_has_no_packages(shelf: Shelf) -> None:
    shelf.rpm.unlink()
    found = shelf.status()
    assert (found["rc"], found["packages"], found["totals"]["packages"]) == (0, [], 0)


def test_rules_are_those_of_the_repositorys_id(shelf: Shelf) -> None:
    assert shelf.packages("--repo", "fedora")[0]["code"] == "no-rule"
    assert shelf.packages("--repo", "lab")[0]["state"] == "exempt"
    assert shelf.packages("--repo", "@commandline")[0]["state"] == "lacks signatures"


def test_at_is_the_clock(shelf: Shelf) -> None:
    assert shelf.packages("--repo", "lab", "--at", "2031-01-01")[0]["code"] == "expired"


def test_a_bundle_that_cannot_be_read_is_noted(shelf: Shelf) -> None:
    Repository.bundle_of(shelf.rpm).unlink()
    Repository.bundle_of(shelf.rpm).mkdir()
    found = shelf.status()
    assert found["notes"] == ["hello.rpm.msig: is not a regular file"]
    assert found["packages"][0]["signed"] == []


@pytest.mark.parametrize("what", ["folder", "policy", "option"])
def test_what_cannot_be_told_is_2_and_says_so(shelf: Shelf, what: str) -> None:
    words: List[object] = []
    if what == "folder":
        shutil.rmtree(shelf.folder)
    else:
        words = ["--policy", shelf.bench.folder / "none"] if what == "policy" else ["--nonsense"]
    ran = call("status", "--policy", shelf.bench.policy, "--json", *words, shelf.folder)
    found = json.loads(ran.out)
    assert (ran.rc, found["packages"]) == (2, [])
    one_line(ran.err, found["error"]["message"][-30:])


def test_a_page_is_written_whole_and_nothing_is_printed(shelf: Shelf) -> None:
    out = shelf.bench.folder / "status.html"
    ran = call("status", "--policy", shelf.bench.policy, "--html", out, shelf.folder)
    assert (ran.rc, ran.out, ran.err) == (0, "", "")
    text = out.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")
    assert NEVRA in text


def test_a_page_that_cannot_be_written_is_2(shelf: Shelf) -> None:
    ran = call("status", "--policy", shelf.bench.policy, "--html", "/proc/nothing/status.html", shelf.folder)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "status.html")


def in_a_terminal(columns: int, *words: object, term: str = "xterm-256color") -> str:
    """What the program shows in a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {**CLEAN, "PYTHONPATH": str(CHECKOUT), "TERM": term, "LC_ALL": "C.UTF-8"}
    command = [PYTHON, "-B", "-m", "multisig", *map(str, words)]
    shown = b""
    with subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            while part := os.read(ours, 1 << 16):
                shown += part
        except OSError:  # EIO: the other side has gone
            pass
        assert process.wait(60) == 0
    os.close(ours)
    return shown.decode()


def test_a_terminal_shows_a_matrix_where_it_is_wide_enough(shelf: Shelf) -> None:
    words = ("status", "--policy", shelf.bench.policy, shelf.folder)
    wide = in_a_terminal(120, *words)
    assert "✓" in wide
    assert "asked to sign" in wide
    for words_of in (in_a_terminal(30, *words), in_a_terminal(120, *words, term="dumb")):
        assert "✓" not in words_of
        assert "signed: marek; missing: joanna, rafal" in words_of
