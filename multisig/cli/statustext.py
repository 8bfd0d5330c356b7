# SPDX-License-Identifier: GPL-2.0-or-later
"""``multisig status`` in a terminal: a matrix of packages by people, drawn by rich; lines where there is none."""

from __future__ import annotations

import importlib
import sys
from typing import Any, List, Optional, Sequence

from multisig.cli.statusjson import totals
from multisig.release import warning
from multisig.report import packages
from multisig.survey import Cell, Person, Row, State, Survey
from multisig.text import plain
from multisig.times import told_span, told_time

WHOLE = 40
"""So many packages are all shown; of more, only those that need somebody."""

_MARKS = {
    Cell.SIGNED: ("✓", "green"),
    Cell.OTHER: ("≠", "bold red"),
    Cell.MISSING: ("…", "bold yellow"),
    Cell.OPEN: ("·", "dim"),
    Cell.UNABLE: ("-", "dim"),
    Cell.UNASKED: ("", ""),
}
_STYLES = {
    State.APPROVED: "green",
    State.EXEMPT: "cyan",
    State.LACKING: "yellow",
    State.OTHER_CONTENT: "red",
    State.PROBLEM: "red",
}
_LEGEND = "✓ signed   ≠ signed other content   … asked to sign   · could sign   - cannot"


def show(survey: Survey, *, every: bool) -> None:
    """Print it; ``every`` package, or only those that need somebody where there are many."""
    rows = [row for row in survey.rows if every or len(survey.rows) <= WHOLE or _needs_somebody(row)]
    console = _console() if sys.stdout.isatty() else None
    if console is None or console.width < _width(survey, rows):
        _print_lines(survey, rows)
        return
    console.print(_summary(survey), markup=False, highlight=False)
    for text, style in _releases(survey):
        console.print(text, style=style, markup=False, highlight=False)
    if rows:
        console.print()
        console.print(_matrix(survey, rows))
        console.print()
        console.print(_LEGEND, style="dim", markup=False, highlight=False)
    hidden = len(survey.rows) - len(rows)
    if hidden:
        console.print(f"{hidden} more, which need nobody (--all shows them)", style="dim", highlight=False)
    for text in [*_remarks(rows), *_people(survey), *map(plain, survey.notes)]:
        console.print(text, markup=False, highlight=False)


def _needs_somebody(row: Row) -> bool:
    return not row.verdict.accepted or row.disputed


def _console() -> Optional[Any]:
    """rich's console; None where it is not installed or the terminal is not up to it."""
    try:
        console = importlib.import_module("rich.console").Console()
    except Exception:
        return None
    return None if console.is_dumb_terminal or not console.encoding.lower().startswith("utf") else console


def _summary(survey: Survey) -> str:
    counts = totals(survey)
    parts = [_counted(counts[state.value], state) for state in State if counts[state.value]]
    disputed = f" ({counts['disputed']} disputed)" if counts["disputed"] else ""
    return plain(f"{survey.repository}: {packages(counts['packages'])}: {', '.join(parts) or 'none'}{disputed}")


def _counted(number: int, state: State) -> str:
    return f"{number} {'lack signatures' if state is State.LACKING and number > 1 else state.value}"


def _releases(survey: Survey) -> List["tuple[str, str]"]:
    """A line and its style for each rule that asks for a release."""
    lines = []
    for rule, (standing, asked) in survey.releases.items():
        soon = warning(standing, asked, survey.now)
        text = soon or standing.text
        if standing.good and soon is None:
            text += f"; good until {told_time(standing.ends)}, for {told_span(standing.ends - survey.now)}"
        style = "red" if not standing.good else "yellow" if soon else "green"
        lines.append((plain(f'rule "{rule}": {text}'), style))
    return lines


def _shown_people(survey: Survey, rows: Sequence[Row]) -> List[str]:
    """Those whose signatures some rule could use."""
    names = [person.name for person in survey.people]
    return [name for name in names if any(row.cells[name] is not Cell.UNASKED for row in rows)]


def _width(survey: Survey, rows: Sequence[Row]) -> int:
    """The columns that the matrix takes; names of packages may fold beyond their first 40."""
    longest = max((len(plain(row.verdict.name)) for row in rows), default=0)
    states = max((len(row.state.value) for row in rows), default=0)
    return min(40, longest) + 2 + states + sum(2 + len(name) for name in _shown_people(survey, rows))


def _matrix(survey: Survey, rows: Sequence[Row]) -> Any:
    """Packages by people."""
    table_module = importlib.import_module("rich.table")
    text_module = importlib.import_module("rich.text")
    box = importlib.import_module("rich.box").SIMPLE_HEAD
    table = table_module.Table(box=box, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("package", overflow="fold")
    table.add_column("state", no_wrap=True)
    people = _shown_people(survey, rows)
    for name in people:
        table.add_column(name, justify="center", no_wrap=True)
    for row in rows:
        cells = [text_module.Text(*_MARKS[row.cells[name]]) for name in people]
        table.add_row(
            text_module.Text(plain(row.verdict.name)), text_module.Text(row.state.value, _STYLES[row.state]), *cells
        )
    return table


def _remarks(rows: Sequence[Row]) -> List[str]:
    """What the matrix cannot say."""
    lines = []
    for row in rows:
        for content in row.others:
            who = ", ".join(content.signers)
            lines.append(f"{row.verdict.name}: {who} signed other content, {content.digests.sha256[:12]}…")
        if row.state is State.PROBLEM:
            lines.append(f"{row.verdict.name}: {row.verdict.message}")
        lines += [f"{row.verdict.name}: {text}" for text in row.verdict.ignored]
    return [plain(line) for line in lines]


def _people(survey: Survey) -> List[str]:
    """Those whose keys need looking after."""
    return [plain(_told(person, survey.now)) for person in survey.people if person.standing]


def _told(person: Person, now: int) -> str:
    if person.ends is None or not person.standing.startswith("key"):
        return f"{person.name}: {person.standing}"
    when = told_time(person.ends)
    left = f", in {told_span(person.ends - now)}" if person.ends > now else ""
    return f"{person.name}: {person.standing} ({when}{left})"


def _print_lines(survey: Survey, rows: Sequence[Row]) -> None:
    """For a pipe, or a terminal that cannot show the matrix: a line a package."""
    print(_summary(survey))
    for text, _ in _releases(survey):
        print(text)
    for row in rows:
        parts = [row.state.value]
        for cell, word in ((Cell.SIGNED, "signed"), (Cell.OTHER, "other content"), (Cell.MISSING, "missing")):
            names = row.people(cell)
            if names:
                parts.append(f"{word}: {', '.join(names)}")
        print(plain(f"{row.verdict.name}  " + "; ".join(parts)))
    hidden = len(survey.rows) - len(rows)
    if hidden:
        print(f"{hidden} more, which need nobody (--all shows them)")
    for text in [*_remarks(rows), *_people(survey), *map(plain, survey.notes)]:
        print(text)
