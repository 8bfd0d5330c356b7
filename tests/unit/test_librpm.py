# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker, spoken to over a socket as the librpm plugin speaks to it, and as nobody should."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import List

import pytest
import rpm

from fixtures.running import CHECKOUT, run
from multisig import approvals, inplace
from multisig.librpm import check
from multisig.librpm.check import NO_DIGEST, full_name
from multisig.librpm.talk import Channel, Checker
from multisig.pin import Pinner
from tests.unit.cli_bench import NAMES, Bench

HELLO = "hello-1.0-1.noarch"


class Machine:
    """A multisig.conf, a policy for ``@rpm``, a journal, a folder of approvals; ``talk`` is the plugin's part."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.policy = bench.folder / "policy.yaml"
        self.policy.write_text(bench.policy.read_text().replace('"@commandline"', '"@rpm"'))
        shutil.copytree(bench.policy.parent / "keys", bench.folder / "keys")
        self.journal = bench.folder / "journal.sqlite"
        self.approved = str(bench.folder / "run")
        self.configure()

    def configure(self, **settings: str) -> None:
        main = {"policy": str(self.policy), "journal": str(self.journal), **settings}
        lines = ["[main]", *(f"{name} = {value}" for name, value in main.items()), ""]
        (self.bench.folder / "multisig.conf").write_text("\n".join(lines))

    def talk(self, *files: Path, name: str = HELLO, flags: int = 0, finished: bool = True) -> List[str]:
        """One transaction of these files; each answer, signs of life left out."""
        theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        checker = Checker(Channel(theirs), [str(self.bench.folder)], self.approved, os.getpid())

        def serve() -> None:
            with theirs:
                checker.serve()

        thread = threading.Thread(target=serve)
        thread.start()
        answers = []
        try:
            with ours:
                ours.send(b"multisig-check 1 %d %x" % (len(files), flags))
                for file in files:
                    with open(file, "rb") as stream:
                        socket.send_fds(ours, [name.encode("utf-8", "surrogateescape")], [stream.fileno()])
                    answers.append(_heard(ours))
                answers.append(_heard(ours))
                if finished:
                    ours.send(b"finished")
                ours.shutdown(socket.SHUT_WR)
                while ours.recv(99):  # signs of life, until the checker ends
                    pass
        finally:
            thread.join(30)
            checker.close()
        return answers

    def decisions(self) -> List[object]:
        if not self.journal.exists():
            return []
        with closing(sqlite3.connect(self.journal)) as database:
            return database.execute("SELECT accepted, finished IS NOT NULL FROM decisions").fetchall()


def _heard(channel: socket.socket) -> str:
    word = b"."
    while word == b".":
        word = channel.recv(1 << 16)
    return word.decode()


@pytest.fixture
def machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Machine:
    # Whoever runs the tests is root here: theirs are the files.
    monkeypatch.setattr(inplace, "Pinner", lambda copies, user: Pinner(copies, user=os.geteuid()))
    return Machine(bench)


def digest_of(rpm: Path) -> str:
    return run(["rpm", "-qp", "--queryformat", "%{SHA256HEADER}", rpm]).out


def test_an_approved_package(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle(*NAMES))
    header, verdict = machine.talk(machine.bench.rpm)
    assert header == "H" + digest_of(machine.bench.rpm)
    assert verdict.startswith("Amultisig: 1 package, 2 of 3 builders signed")
    assert machine.decisions() == [(1, 1)]


def test_a_transaction_that_does_not_go_through(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle(*NAMES))
    machine.talk(machine.bench.rpm, finished=False)
    assert machine.decisions() == [(1, 0)]


def test_a_refused_package(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle("marek"))
    header, verdict = machine.talk(machine.bench.rpm)
    assert header == "H" + digest_of(machine.bench.rpm)
    assert verdict.startswith("Rmultisig: refused; nothing was installed.\n\n  hello-0:1.0-1.noarch: ")
    assert "needs 1 more of" in verdict and machine.decisions() == [(0, 1)]


def test_a_transaction_that_would_leave_out_what_was_signed(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle(*NAMES))
    for flag in ("JUSTDB", "NOFILEDIGEST", "NOCONFIGS", "NODB"):
        verdict = machine.talk(machine.bench.rpm, flags=getattr(rpm, f"RPMTRANS_FLAG_{flag}") & 0xFFFFFFFF)[-1]
        assert verdict.startswith("Rmultisig: refused") and flag.lower() in verdict
    assert machine.talk(machine.bench.rpm, flags=rpm.RPMTRANS_FLAG_NODOCS)[-1][0] == "A"


def test_a_package_that_is_not_the_one_that_rpm_takes_it_for(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle(*NAMES))
    for name in ("hello-1.0-2.noarch", "hello-1:1.0-1.noarch", "hell-o-1.0-1.noarch", "-", "\udc80"):
        assert machine.talk(machine.bench.rpm, name=name)[-1][0] == "R"


def test_bundles_in_a_folder_that_the_configuration_names(machine: Machine) -> None:
    medium = machine.bench.folder / "medium"
    medium.mkdir()
    (medium / "hello.rpm.msig").write_bytes(machine.bench.bundle("joanna", "rafal"))
    machine.bench.write("hello.rpm.msig", b"[" * 20_000)
    assert machine.talk(machine.bench.rpm)[-1][0] == "R"
    with open(machine.bench.folder / "multisig.conf", "a") as conf:
        conf.write(f"[bundles]\n@rpm = {medium} https://site.invalid/bundles\n")
    assert machine.talk(machine.bench.rpm)[-1][0] == "A"
    (medium / "hello.rpm.msig").write_bytes(b"junk")
    verdict = machine.talk(machine.bench.rpm)[-1]
    assert verdict[0] == "R" and str(medium) in verdict


def test_what_is_no_package(machine: Machine) -> None:
    header, verdict = machine.talk(machine.bench.write("x.rpm", b"nothing"))
    assert header == "H" + NO_DIGEST
    assert verdict.startswith("R") and "lead" in verdict


def test_many_packages_more_than_are_judged_at_once(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle(*NAMES))
    answers = machine.talk(*[machine.bench.rpm] * 40)
    assert len(answers) == 41 and set(answers[:-1]) == {"H" + digest_of(machine.bench.rpm)}
    assert answers[-1].startswith("Amultisig: 40 packages")


def test_an_unsafe_place(bench: Bench) -> None:
    """Here everything is as it is without root: nobody else's files are trusted."""
    machine = Machine(bench)
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    bench.folder.chmod(0o777)
    assert "others than root could replace" in machine.talk(bench.rpm)[-1]


def test_a_file_without_a_name(machine: Machine) -> None:
    with open(machine.bench.rpm, "rb") as stream:
        machine.bench.rpm.unlink()
        assert machine.talk(Path(f"/proc/self/fd/{stream.fileno()}"))[-1][0] == "R"


def test_what_dnf_approved_is_neither_judged_nor_recorded(machine: Machine) -> None:
    with open(machine.bench.rpm, "rb") as stream:
        identity = approvals.identify(stream.fileno())
    assert identity is not None
    approvals.grant(machine.approved, [identity], process=os.getpid())
    assert machine.talk(machine.bench.rpm) == ["H" + identity.header, "A"]
    assert machine.decisions() == []
    assert machine.talk(machine.bench.rpm)[-1][0] == "R"  # once


def test_an_approval_is_good_for_one_package_of_a_transaction(machine: Machine) -> None:
    with open(machine.bench.rpm, "rb") as stream:
        identity = approvals.identify(stream.fileno())
    assert identity is not None
    approvals.grant(machine.approved, [identity], process=os.getpid())
    assert machine.talk(machine.bench.rpm, machine.bench.rpm)[-1].startswith("R")


@pytest.mark.parametrize("mode", ["enforce", "warn"])
def test_whatever_goes_wrong_is_said(machine: Machine, mode: str) -> None:
    letter = "R" if mode == "enforce" else "W"
    machine.configure(mode=mode)
    machine.policy.write_text("rules: [")
    header, verdict = machine.talk(machine.bench.rpm)
    assert header == "H" + NO_DIGEST and verdict[0] == letter and str(machine.policy) in verdict
    machine.policy.unlink()
    assert machine.talk(machine.bench.rpm)[-1][0] == letter


@pytest.mark.parametrize("mode", ["enforce", "warn"])
def test_an_unexpected_error_is_a_refusal_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    machine.configure(mode=mode)

    def broken(*_: object) -> None:
        raise RuntimeError("out of order\x1b[2J")

    for method in ("present", "conclude"):
        with monkeypatch.context() as patched:
            patched.setattr(check.Check, method, broken)
            verdict = machine.talk(machine.bench.rpm)[-1]
            assert verdict[0] == ("R" if mode == "enforce" else "W")
            assert "RuntimeError: out of order\\x1b[2J" in verdict


def test_a_broken_configuration_is_never_warn_mode(machine: Machine) -> None:
    machine.configure(mode="warn", policy="relative")
    assert machine.talk(machine.bench.rpm)[-1][0] == "R"


def test_a_journal_that_cannot_be_written(machine: Machine) -> None:
    machine.bench.write("hello.rpm.msig", machine.bench.bundle(*NAMES))
    machine.journal.mkdir()
    assert machine.talk(machine.bench.rpm)[-1][0] == "R"


@pytest.mark.parametrize(
    "words",
    [
        [], [b""], [b"multisig-check 2 1 0"], [b"multisig-check 1 "], [b"multisig-check 1 x 0"], [b"\xff"],
        [b"multisig-check 1 1 0", HELLO.encode()], [b"multisig-check 1 1"], [b"multisig-check 1 1 0 0"],
    ],
)  # fmt: skip
def test_what_no_plugin_says_is_never_answered_with_an_approval(machine: Machine, words: List[bytes]) -> None:
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, ours, closing(Checker(Channel(theirs), [], machine.approved, os.getpid())) as checker:
        for word in words:
            ours.send(word)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises((ValueError, OSError)):
            checker.serve()
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(99)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("hello-1.0-1.noarch", "hello-0:1.0-1.noarch"),
        ("hello-3:1.0-1.noarch", "hello-3:1.0-1.noarch"),
        ("lib-c++-2-1~rc1-4.fc40.x86_64", "lib-c++-2-0:1~rc1-4.fc40.x86_64"),
    ],
)
def test_the_epoch_that_rpm_leaves_out(name: str, full: str) -> None:
    assert full_name(name) == full


def test_started_by_hand_it_says_what_it_is_for() -> None:
    script = CHECKOUT / "rpm-plugin" / "multisig-check"
    code = script.read_text(encoding="utf-8").partition("\n")[2]
    result = run(["/usr/bin/python3", "-c", code], env={"PYTHONPATH": str(CHECKOUT)}, check=False)
    assert result.rc == 2 and "started by rpm's plugin" in result.err


def test_a_sign_of_life_is_never_in_the_way(machine: Machine) -> None:
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(theirs)
    for _ in range(10_000):  # nobody listens
        channel._last = 0.0
        channel.alive(1)
    ours.close()
    channel._last = 0.0
    channel.alive(1)
    theirs.close()
