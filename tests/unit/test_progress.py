# SPDX-License-Identifier: GPL-2.0-or-later
"""The progress bar: only on a terminal, only for what takes long, and never in the way of the work."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from types import ModuleType
from typing import Dict, Iterator, List, Optional, TextIO, Tuple

import pytest

from fixtures.running import CHECKOUT, CLEAN, PYTHON
from multisig.cli.progress import Bar, progress
from tests.unit.cli_bench import NAMES, Bench


class Screen:
    """A terminal of its own, and all that was written to it."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self._parts: List[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        # EIO: the last one to write has closed it.
        with contextlib.suppress(OSError):
            while True:
                part = os.read(self._master, 1 << 16)
                if not part:
                    break
                self._parts.append(part)

    def close(self) -> str:
        self.stream.close()
        self._reader.join(30)
        os.close(self._master)
        return b"".join(self._parts).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    yield


@pytest.mark.usefixtures("terminal")
def test_what_takes_long_is_shown_with_its_share() -> None:
    screen = Screen()
    with progress("hashing", 200, stream=screen.stream, patience=0) as bar:
        bar(50)
    shown = screen.close()
    assert "hashing" in shown
    assert "25%" in shown
    # Taken away in the end: the line is wiped, the cursor is back.
    assert shown.endswith("\x1b[2K")
    assert "\x1b[?25h" in shown


@pytest.mark.usefixtures("terminal")
def test_what_is_done_in_a_moment_is_not_shown() -> None:
    screen = Screen()

    def never() -> int:
        raise AssertionError("the total was asked for")

    with progress("hashing", never, stream=screen.stream, patience=60) as bar:
        bar(50)
    assert screen.close() == ""


def test_where_there_is_no_terminal_nothing_is_drawn_nor_counted() -> None:
    stream = io.StringIO()

    def never() -> int:
        raise AssertionError("a size was asked for")

    with progress("hashing", never, stream=stream, patience=0) as bar:
        bar(50)
        with bar.part("b.iso", never) as advance:
            advance(7)
    assert stream.getvalue() == ""


@pytest.mark.usefixtures("terminal")
def test_a_part_is_done_in_full_when_it_ends_and_never_counts_for_more() -> None:
    screen = Screen()
    with progress("checking", lambda: 300, stream=screen.stream, patience=0) as bar:
        with bar.part("one.rpm", 100):
            bar._due = 0
        with bar.part("two.rpm", lambda: 100) as advance:
            bar._due = 0
            advance(1000)
            bar._due = 0
            advance(1000)
    shown = screen.close()
    assert [word for word in ("one.rpm", "33%", "two.rpm", "67%") if word not in shown] == []
    assert "100%" not in shown


@pytest.mark.usefixtures("terminal")
def test_names_from_elsewhere_do_not_command_the_terminal() -> None:
    screen = Screen()
    with progress("x", 9, stream=screen.stream, patience=0) as bar, bar.part("[red]\x1b[2J\x07evil[/]\n.rpm", 9):
        pass
    shown = screen.close()
    assert "[red]\\x1b[2J\\x07evil[/]\\n.rpm" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown


@pytest.mark.usefixtures("terminal")
def test_a_missing_rich_means_no_bar_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: Dict[str, Optional[ModuleType]] = sys.modules  # type: ignore[assignment]
    monkeypatch.setitem(modules, "rich.console", None)
    screen = Screen()
    with progress("hashing", 200, stream=screen.stream, patience=0) as bar:
        bar(50)
        bar(50)
    assert screen.close() == ""


@pytest.mark.usefixtures("terminal")
def test_a_terminal_that_has_gone_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    done = 0
    with progress("hashing", 200, stream=screen.stream, patience=0) as bar:
        bar(50)
        monkeypatch.setattr(screen.stream, "write", _fail)
        bar._due = 0
        bar(50)
        done = 1
    monkeypatch.undo()
    screen.close()
    assert done == 1


def _fail(text: str) -> int:
    raise OSError(5, "Input/output error")


def test_a_dumb_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    with progress("hashing", 200, stream=screen.stream, patience=0) as bar:
        bar(50)
    assert screen.close() == ""


@pytest.mark.usefixtures("terminal")
def test_any_thread_may_tell_and_nothing_is_lost() -> None:
    screen = Screen()
    with progress("hashing", 4000, stream=screen.stream, patience=0) as bar:
        threads = [threading.Thread(target=_tell, args=(bar, 500)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bar._due = 0
        bar(0)
    assert " 50%" in screen.close()


def _tell(bar: Bar, times: int) -> None:
    for _ in range(times):
        bar(1)


def test_an_exception_takes_the_bar_away_and_goes_on() -> None:
    screen = Screen()
    with pytest.raises(KeyboardInterrupt), progress("hashing", 200, stream=screen.stream, patience=0) as bar:
        bar(50)
        raise KeyboardInterrupt
    screen.close()


# --- the commands ----------------------------------------------------------------------------------------------------


def on_a_terminal(*words: object) -> Tuple[int, bytes, str]:
    """Exit code and output of the program where its error output is a terminal, which sees what is drawn at once."""
    screen = Screen()
    impatient = (
        "import sys, multisig.cli.progress as p; p.PATIENCE = 0; from multisig.cli import main; sys.exit(main())"
    )
    env: Dict[str, str] = {**CLEAN, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [PYTHON, "-B", "-c", impatient, *map(str, words)],
        env=env, stdout=subprocess.PIPE, stderr=screen.stream, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, screen.close()


def test_verify_and_manifest_show_how_far_they_are_and_print_the_same(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    tree = bench.folder / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(bytes(100))
    for words in (["verify", "--policy", bench.policy, bench.rpm], ["manifest", tree], ["diff", bench.rpm, bench.rpm]):
        rc, out, shown = on_a_terminal(*words)
        assert rc == 0, shown
        assert "%" in shown
        plain = subprocess.run(
            [PYTHON, "-B", "-m", "multisig", *map(str, words)],
            env={**CLEAN, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (plain.returncode, plain.stdout, plain.stderr) == (0, out, b"")
