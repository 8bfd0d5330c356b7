# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables on a terminal by rich, where that is installed; anywhere else plain columns, one line a row."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Optional, Sequence, TextIO

from multisig.text import plain

#: What a row's colour says: all is well, look at this, this does not count.
GOOD, WARN, BAD, DIM = "green", "yellow", "red", "dim"


def show_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    styles: Sequence[str] = (),
    stream: Optional[TextIO] = None,
) -> None:
    """Print rows under their headings. ``styles`` has one of the styles above for the last cell of each row."""
    out = stream or sys.stdout
    cells = [[plain(cell) for cell in row] for row in rows]
    if out.isatty() and _by_rich(headings, cells, styles, out):
        return
    widths = [max(len(line[column]) for line in [list(headings), *cells]) for column in range(len(headings))]
    for line in [list(headings), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip(), file=out)


def show_text(text: str, part: str, style: str, *, stream: Optional[TextIO] = None) -> None:
    """Print lines that begin with ``part``, blanks apart, which has the style where the terminal has colours."""
    out = stream or sys.stdout
    begin = len(text) - len(text.lstrip(" "))
    if out.isatty():
        with suppress(ImportError):
            console, rich = map(import_module, ("rich.console", "rich.text"))
            shown = rich.Text(text)
            shown.stylize(style, begin, begin + len(part))
            console.Console(file=out, highlight=False).print(shown, soft_wrap=True)
            return
    print(text, file=out)


def _by_rich(headings: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str], out: TextIO) -> bool:
    try:
        box, console, table, text = map(import_module, ("rich.box", "rich.console", "rich.table", "rich.text"))
    except ImportError:
        return False
    shown = table.Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        shown.add_column(heading, overflow="fold", no_wrap=0 < number < len(headings) - 1)
    for number, row in enumerate(rows):
        *before, last = (text.Text(cell) for cell in row)
        shown.add_row(*before, text.Text(str(last), style=styles[number] if number < len(styles) else ""))
    console.Console(file=out, highlight=False).print(shown)
    return True
