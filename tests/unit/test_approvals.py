# SPDX-License-Identifier: GPL-2.0-or-later
"""Approvals that dnf's plugin leaves for librpm's: for one process, once, for one unchanged file, for root's eyes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator, Mapping

import pytest

from fixtures.building import BUILDERS, Recipe, build
from multisig.approvals import Approved, grant, identify, revoke, take
from multisig.errors import UnreadableError
from multisig.subjects.rpm import header_digest

ME = os.getpid()
ONE = Approved("ab" * 32, 1, 2, 3)
TWO = Approved("cd" * 32, 4, 5, 6)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "run")


@pytest.fixture
def other() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n")


def the_file(folder: str) -> Path:
    (file,) = Path(folder).iterdir()
    return file


def test_what_is_granted_is_taken_once(folder: str) -> None:
    grant(folder, [ONE, TWO], process=ME)
    assert take(folder, process=ME) == {ONE, TWO}
    assert take(folder, process=ME) == frozenset()
    assert list(Path(folder).iterdir()) == []


def test_nobody_but_its_owner_can_look(folder: str) -> None:
    grant(folder, [ONE], process=ME)
    assert Path(folder).stat().st_mode & 0o777 == 0o700 and the_file(folder).stat().st_mode & 0o777 == 0o600


def test_they_are_for_one_process(folder: str, other: int) -> None:
    grant(folder, [ONE], process=ME)
    assert take(folder, process=other) == frozenset()
    assert take(folder, process=ME) == {ONE}


def test_a_number_that_comes_round_again_is_another_process(folder: str, other: int) -> None:
    grant(folder, [ONE], process=ME)
    mine = the_file(folder)
    grant(folder, [TWO], process=other)
    started = next(file for file in Path(folder).iterdir() if file != mine).name.partition("-")[2]
    mine.rename(mine.with_name(f"{ME}-{int(started) + 1}"))
    assert take(folder, process=ME) == frozenset()


def test_a_later_grant_replaces_an_earlier_one(folder: str) -> None:
    grant(folder, [ONE], process=ME)
    grant(folder, [TWO], process=ME)
    assert take(folder, process=ME) == {TWO}


def test_what_was_not_taken_can_be_revoked(folder: str) -> None:
    grant(folder, [ONE], process=ME)
    revoke(folder, process=ME)
    assert take(folder, process=ME) == frozenset()
    revoke(folder, process=ME)


def test_without_a_folder_there_are_none(folder: str) -> None:
    assert take(folder, process=ME) == frozenset()
    revoke(folder, process=ME)


def test_a_process_that_is_not_there(folder: str) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(UnreadableError):
        grant(folder, [ONE], process=gone.pid)
    assert take(folder, process=gone.pid) == frozenset()


def _open_folder(file: Path) -> None:
    file.parent.chmod(0o755)


def _open_file(file: Path) -> None:
    file.chmod(0o644)


def _a_link(file: Path) -> None:
    target = file.parent.parent / "target"
    file.rename(target)
    file.symlink_to(target)


def _a_linked_folder(file: Path) -> None:
    elsewhere = file.parent.parent / "elsewhere"
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)


def _a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)


@pytest.mark.parametrize("change", [_open_folder, _open_file, _a_link, _a_linked_folder, _a_fifo, _a_folder])
def test_what_others_could_have_left_there_is_none(folder: str, change: Callable[[Path], None]) -> None:
    grant(folder, [ONE], process=ME)
    change(the_file(folder))
    assert take(folder, process=ME) == frozenset()


ONES = [ONE.header, 1, 2, 3]
CONTENTS: Mapping[str, bytes] = {
    "empty": b"",
    "no JSON": b"[[",
    "deep": b"[" * 100_000,
    "not a list": b"3",
    "an item that is none": b"[3]",
    "a short one": json.dumps([ONES[:3]]).encode(),
    "a long one": json.dumps([[*ONES, 4]]).encode(),
    "a number for the digest": json.dumps([[1, 1, 2, 3]]).encode(),
    "texts for numbers": json.dumps([[ONE.header, "1", "2", "3"]]).encode(),
    "true for a number": json.dumps([[ONE.header, True, 2, 3]]).encode(),
    "not ASCII": b'["\xff"]',
    "one good among bad": json.dumps([ONES, []]).encode(),
    "too large": b" " * (16 << 20) + json.dumps([ONES]).encode(),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_what_is_not_as_it_was_written_is_none(folder: str, content: bytes) -> None:
    grant(folder, [ONE], process=ME)
    the_file(folder).write_bytes(content)
    assert take(folder, process=ME) == frozenset()
    assert list(Path(folder).iterdir()) == []


def test_a_folder_of_others_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    for place in (tmp_path / "run", tmp_path / "file" / "run"):
        (tmp_path / "file").touch()
        with pytest.raises(UnreadableError):
            grant(str(place), [ONE], process=ME)


# What identifies a file


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(Recipe("greet.spec"), BUILDERS["marek"], tmp_path_factory.mktemp("builds"))[0]


def identity(path: Path) -> "Approved | None":
    with open(path, "rb") as stream:
        return identify(stream.fileno())


def test_the_digest_is_the_one_that_rpm_itself_has_for_the_header(rpm: Path) -> None:
    query = ["rpm", "--query", "--package", "--queryformat", "%{SHA256HEADER}", str(rpm)]
    shown = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    with open(rpm, "rb") as stream:
        assert header_digest(stream.fileno()) == shown


def test_a_copy_a_change_and_a_change_of_mode_are_other_files(rpm: Path, tmp_path: Path) -> None:
    here = tmp_path / "a.rpm"
    shutil.copyfile(rpm, here)
    first = identity(here)
    assert first is not None and identity(here) == first
    shutil.copyfile(rpm, tmp_path / "b.rpm")
    second = identity(tmp_path / "b.rpm")
    assert second is not None and second != first and second.header == first.header
    status = here.stat()
    here.write_bytes(here.read_bytes())
    os.utime(here, ns=(status.st_atime_ns, status.st_mtime_ns))  # as whoever hides a change would
    assert identity(here) != first


def test_what_is_no_rpm_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    assert identity(tmp_path / "x") is None
