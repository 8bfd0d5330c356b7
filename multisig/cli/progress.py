# SPDX-License-Identifier: GPL-2.0-or-later
"""A progress bar for what takes more than a moment.

    with progress("verifying", total_bytes) as bar:
        hash_file(fd, progress=bar)                    # bar(n): n more are done
        with bar.part("verifying b.rpm", size) as advance:
            ...                                        # advance(n); at the end of the part all of its size is done

It is drawn by rich on the error output, so that what a command prints can be piped on; where that is no terminal, or
rich is not installed, nothing is drawn and nothing else differs. A bar that cannot be drawn never fails the work.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, TextIO, Union

from multisig.subjects import Progress
from multisig.text import plain

PATIENCE = 0.7
"""Seconds before a bar shows: what is done by then needs none, nor the tenth of a second that importing rich takes."""
_INTERVAL = 0.1

Size = Union[int, Callable[[], int]]


class Bar:
    """Counts what is done, from any thread, and draws it once that has taken a while. ``progress`` makes one."""

    def __init__(self, label: str, total: Optional[Size], stream: Optional[TextIO], patience: float) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        # None: there is nowhere to draw (any more).
        self._stream = stream
        self._due = time.monotonic() + patience
        self._drawn: Any = None

    def __call__(self, done: int) -> None:
        """``done`` more is done, in whatever the total counts."""
        self._tell(done, None)

    @contextmanager
    def part(self, label: str, size: Size) -> Iterator[Progress]:
        """One of several things that make up the total: ``label`` is shown from here on, and when the block ends
        ``size`` is done, however much of it was told by then. The block is given the function to tell it with."""
        left = _number(size) if self._stream is not None else 0

        def advance(done: int) -> None:
            nonlocal left
            # Never more than was announced: the total is the sum of the parts.
            counted = min(done, left)
            left -= counted
            self._tell(counted, None)

        self._tell(0, label)
        try:
            yield advance
        finally:
            self._tell(left, None)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._drawn is not None:
                self._attempt(self._drawn.stop)
            self._drawn = self._stream = None

    def _tell(self, done: int, label: Optional[str]) -> None:
        if self._stream is None:
            return
        with self._lock:
            self._done += done
            self._label = self._label if label is None else label
            if self._stream is not None and time.monotonic() >= self._due:
                self._attempt(self._draw)

    def _draw(self) -> None:
        if self._drawn is None:
            self._drawn = _rich_progress(self._stream)
            total = None if self._total is None else _number(self._total)
            self._drawn.add_task(plain(self._label), total=total, completed=self._done)
            self._drawn.start()
        else:
            self._drawn.update(0, completed=self._done, description=plain(self._label))
            self._drawn.refresh()
        self._due = time.monotonic() + _INTERVAL

    def _attempt(self, action: Callable[[], None]) -> None:
        """What goes wrong with the terminal, or with a rich that is missing or another one than we know, ends the bar
        and not the work."""
        try:
            action()
        except Exception:
            self._stream = None


@contextmanager
def progress(
    label: str, total: Optional[Size] = None, *, stream: Optional[TextIO] = None, patience: Optional[float] = None
) -> Iterator[Bar]:
    """A bar for the time of the block. ``total`` counts bytes or things, None where it is not known. If a size takes
    work to find out it can be a function, which is called only where there may be a bar. ``stream``: standard error
    where not given. ``patience``: seconds, PATIENCE where not given."""
    where = sys.stderr if stream is None else stream
    bar = Bar(label, total, where if where.isatty() else None, PATIENCE if patience is None else patience)
    try:
        yield bar
    finally:
        bar.close()


def remark(text: str, *, stream: Optional[TextIO] = None) -> None:
    """One line on what came of it, on standard error where that is a terminal: a person wants to know, a script reads
    the exit code."""
    where = sys.stderr if stream is None else stream
    if where.isatty():
        print(plain(f"multisig: {text}"), file=where)


def _number(size: Size) -> int:
    return size() if callable(size) else size


def _rich_progress(stream: Optional[TextIO]) -> Any:
    """rich's progress display; drawn when told to, so that no thread of its own can fail behind our back."""
    console = importlib.import_module("rich.console").Console(file=stream)
    if not console.is_terminal or console.is_dumb_terminal:
        raise ValueError("the terminal cannot show it")
    rich = importlib.import_module("rich.progress")
    return rich.Progress(
        rich.TextColumn("multisig: {task.description}", markup=False),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(compact=True),
        console=console,
        auto_refresh=False,
        transient=True,
        # What is printed meanwhile appears above the bar; what is piped elsewhere must get there.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
    )
