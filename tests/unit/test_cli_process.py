# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as a process of its own: what its streams, its terminal and its user do to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import List, Mapping

import pytest

from fixtures.running import CHECKOUT, CLEAN, PYTHON
from tests.unit.cli_bench import (
    NAMES,
    Bench,
    checked_json,
    one_line,
    start,
)

# --- a process of its own --------------------------------------------------------------------------------------------


def test_exit_codes_and_streams_of_a_real_process(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    done = start("verify", "--json", "--policy", bench.policy, bench.rpm)
    assert (done.returncode, done.stderr) == (0, b"")
    assert checked_json(done.stdout.decode(), 0)["accepted"]
    done = start("verify", "--policy", bench.folder / "nothing", bench.rpm)
    assert (done.returncode, done.stdout) == (2, b"")
    one_line(done.stderr.decode())


def test_a_malformed_package_makes_nobody_else_speak(bench: Bench) -> None:
    """librpm has words of its own for a broken header; one clear line is enough."""
    whole = bytearray(bench.rpm.read_bytes())
    start_of_header = whole.index(b"\x8e\xad\xe8\x01", 100)
    whole[start_of_header + 16 + 16 + 7] = 0xEE
    bench.write("hello.rpm", bytes(whole))
    done = start("verify", "--json", "--policy", bench.policy, bench.rpm)
    assert (done.returncode, done.stderr) == (1, b"")
    assert checked_json(done.stdout.decode(), 1)["subjects"][0]["code"] == "malformed-rpm"
    done = start("manifest", bench.rpm)
    assert (done.returncode, done.stdout) == (2, b"")
    one_line(done.stderr.decode(), bench.rpm)


@pytest.mark.parametrize("command", ["verify", "verify --json", "manifest", "policy check", "--help"])
def test_a_full_disk_for_the_output_is_2_and_one_line(bench: Bench, command: str) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    words: List[object] = [*command.split()]
    words += ["--policy", bench.policy] if command.startswith(("verify", "policy")) else []
    words += [bench.rpm] if command.startswith(("verify", "manifest")) else []
    with open("/dev/full", "wb") as full:
        done = start(*words, stdout=full)
    assert done.returncode == 2
    one_line(done.stderr.decode(), "No space left on device")


def test_a_reader_that_has_gone_is_not_an_acceptance(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    reading, writing = os.pipe()
    os.close(reading)
    done = start("verify", "--policy", bench.policy, bench.rpm, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")


def test_a_closed_output_is_no_traceback(bench: Bench) -> None:
    command = f"exec {PYTHON} -m multisig policy check --policy {bench.policy} >&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**CLEAN, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 2)
    assert b"Traceback" not in done.stderr
    assert b"internal error" not in done.stderr


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_names_and_words_that_the_terminal_cannot_show_are_escaped(bench: Bench, env: Mapping[str, str]) -> None:
    odd = os.path.join(os.fsencode(bench.folder), "übung\n\x1b[2J".encode() + b"\xff.iso")
    with open(odd, "wb"):
        pass
    done = start("verify", "--policy", bench.policy, odd, env=env)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"\x1b" not in done.stdout
    done = start("--help", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    done = start("policy", "check", "--policy", odd, env=env)
    assert done.returncode == 2
    one_line(done.stderr.decode("ascii"))


def test_interrupted_is_neither_accepted_nor_refused(bench: Bench) -> None:
    large = sparse(bench)
    process = subprocess.Popen(
        [PYTHON, "-B", "-m", "multisig", "verify", "--kind", "file", "--policy", str(bench.policy), str(large)],
        env={**CLEAN, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not has_opened(process.pid, large) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode not in (0, 1)
    assert b"Traceback" not in err


def sparse(bench: Bench) -> Path:
    """A file that takes some seconds to read."""
    path = bench.folder / "large.iso"
    with open(path, "wb") as file:
        file.truncate(8 << 30)
    return path


def has_opened(process: int, path: Path) -> bool:
    """Whether a process is at work on the file by now: until then it has loaded its modules."""
    descriptors = Path(f"/proc/{process}/fd")
    with contextlib.suppress(FileNotFoundError):  # one that it has closed meanwhile
        return any(os.path.samefile(descriptor, path) for descriptor in descriptors.iterdir() if descriptor.exists())
    return False


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = start("--help")
    assert done.returncode == 0
    for word in ("manifest", "sign", "merge", "verify", "policy", "history", "0 accepted", "1 refused", "2 could not"):
        assert word.encode() in done.stdout
