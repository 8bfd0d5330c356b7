# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading within bounds; writing whole or not at all."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict

import pytest

from fixtures.running import CHECKOUT
from multisig.errors import UnreadableError
from multisig.files import LOCK, locked, open_regular, read_bounded, read_if_there, walk, write_whole


def test_at_most_one_byte_more_than_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert read_bounded(str(path), 100_000) == b"x" * 100_000
    assert len(read_bounded(str(path), 99_999)) == 100_000
    assert len(read_bounded(str(path), 10)) == 11


def linked_fifo(path: Path) -> None:
    os.mkfifo(f"{path}.fifo")
    path.symlink_to(f"{path}.fifo")


ODD: Dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a FIFO": lambda path: os.mkfifo(path),
    "a link to a FIFO": linked_fifo,
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
}


@pytest.mark.parametrize("what", sorted(ODD))
def test_only_regular_files_are_read_and_nothing_is_waited_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "odd"
    ODD[what](path)
    for read in (
        lambda: open_regular(str(path)),
        lambda: read_bounded(str(path), 9),
        lambda: read_if_there(str(path), 9),
    ):
        with pytest.raises(UnreadableError) as caught:
            read()
        assert str(path) in str(caught.value)


def test_what_is_not_there_is_none_and_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("nothing", "nothing/below", "file/below", "dangling"):
        assert read_if_there(str(tmp_path / name), 9) is None
        with pytest.raises(UnreadableError):
            read_bounded(str(tmp_path / name), 9)
    assert read_if_there(str(tmp_path / "file"), 9) == b"x"
    assert read_if_there("a\0b", 9) is None
    with pytest.raises(UnreadableError):
        open_regular("a\0b")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        read_bounded(str(tmp_path / "file"), 9)
        write_whole(str(tmp_path / "file"), b"x")
        with locked(str(tmp_path / "file")):
            pass
        with pytest.raises(UnreadableError):
            open_regular(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["file", "x" * 255, "é" * 127, "あ" * 85, "😀" * 63, "-rf", "a b\n"])
def test_a_file_is_written_whole_under_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_whole(str(path), b"one")
    write_whole(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o7777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


UNWRITABLE: Dict[str, Callable[[Path], Path]] = {
    "a folder that is not there": lambda top: top / "nothing" / "file",
    "a file for a folder": lambda top: (top / "old") / "file",
    "a folder in its place": lambda top: top / "folder",
    "a name that is too long": lambda top: top / ("x" * 256),
    "a place that takes no files": lambda top: Path("/proc/self/file"),
}


@pytest.mark.parametrize("what", sorted(UNWRITABLE))
def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path, what: str) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    path = UNWRITABLE[what](tmp_path)
    with pytest.raises(UnreadableError) as caught:
        write_whole(str(path), b"new")
    assert str(path) in str(caught.value)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["folder", "old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_whole(str(tmp_path / "link"), b"new")
    assert (tmp_path / "target").read_text() == "old"
    assert (tmp_path / "link").read_text() == "new"


def python(script: str) -> "subprocess.Popen[bytes]":
    code = f"import sys\nsys.path.insert(0, {str(CHECKOUT)!r})\n" + script
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_full_disk_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    done = python(
        "import resource, signal\nfrom multisig.errors import UnreadableError\nfrom multisig.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"try:\n write_whole({str(path)!r}, b'x' * 5000)\nexcept UnreadableError as error:\n print(error)\n"
    )
    out, err = done.communicate(timeout=120)
    assert (out.decode(), err) == (f"{path}: cannot be written: File too large\n", b"")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 1_000_000)
    writer = python(
        "from multisig.files import write_whole\nprint('go', flush=True)\n"
        f"while True:\n for letter in b'ab':\n  write_whole({str(path)!r}, bytes([letter]) * 1_000_000)\n"
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"go\n"
        for _ in range(50):
            found = path.read_bytes()
            assert found in (b"a" * 1_000_000, b"b" * 1_000_000)
        writer.send_signal(signal.SIGKILL)
    finally:
        writer.kill()
        writer.communicate(timeout=120)
    assert path.read_bytes() in (b"a" * 1_000_000, b"b" * 1_000_000)


# --- folders ---------------------------------------------------------------------------------------------------------


def test_what_lies_below_a_folder_is_found_in_one_order_without_links(tmp_path: Path) -> None:
    for name in ("b/two", "b/.hidden/three", "a/one", "repodata/four", "b/repodata/five", "a/.dotted"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b", target_is_directory=True)
    found = [(os.path.relpath(folder, tmp_path), names) for folder, names in walk(str(tmp_path), without=["repodata"])]
    assert found == [(".", []), ("a", [".dotted", "one"]), ("b", ["two"])]
    every = [os.path.relpath(folder, tmp_path) for folder, _ in walk(str(tmp_path), hidden=True)]
    assert every == [".", "a", "b", "b/.hidden", "b/repodata", "repodata"]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(UnreadableError) as caught:
            list(walk(str(path)))
        assert caught.value.path == str(path)


# --- locking ---------------------------------------------------------------------------------------------------------


def test_who_comes_second_waits(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    with locked(path):
        waiting = python(f"from multisig.files import locked\nwith locked({path!r}):\n print('in', flush=True)\n")
        try:
            time.sleep(0.3)
            assert waiting.poll() is None
        except BaseException:
            waiting.kill()
            raise
    out, _ = waiting.communicate(timeout=120)
    assert out == b"in\n"


def test_whoever_can_only_read_a_folder_cannot_keep_those_who_write_there_waiting(tmp_path: Path) -> None:
    """Anybody who can open something can lock it (flock(2)), a directory as well, and for ever."""
    path = str(tmp_path / "file")
    reader = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(reader, fcntl.LOCK_EX)
        writer = python(f"from multisig.files import locked\nwith locked({path!r}):\n print('in', flush=True)\n")
        try:
            out, _ = writer.communicate(timeout=60)
        finally:
            writer.kill()
    finally:
        os.close(reader)
    assert out == b"in\n"
    tmp_path.chmod(0o755)
    with locked(path):
        assert stat.S_IMODE((tmp_path / LOCK).stat().st_mode) == 0o600
    tmp_path.chmod(0o775)
    with locked(path):
        assert stat.S_IMODE((tmp_path / LOCK).stat().st_mode) == 0o660
    assert os.listdir(tmp_path) == []


def test_a_lock_that_somebody_left_behind_when_killed_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch(mode=0o600)
    with locked(str(tmp_path / "file")):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / LOCK).symlink_to(elsewhere)
    with pytest.raises(UnreadableError, match="cannot be locked"), locked(str(tmp_path / "file")):
        pass
    assert not elsewhere.exists()


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(str(tmp_path / "file")):
        raise ZeroDivisionError
    with locked(str(tmp_path / "file")):
        pass


@pytest.mark.parametrize("path", ["/nowhere/file", "/dev/null/file"])
def test_a_folder_that_is_none_cannot_be_locked(path: str) -> None:
    with pytest.raises(UnreadableError), locked(path):
        pass
