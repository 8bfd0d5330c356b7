# SPDX-License-Identifier: GPL-2.0-or-later
"""``multisig status --html``: one page that needs nothing but itself, and can do nothing but filter its own table.

Texts are made plain (multisig.text) and escaped by jinja2; style and script are fixed, in the page, and the only ones
that its content security policy lets run, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from multisig import __version__
from multisig.cli.statusjson import totals
from multisig.errors import UsageError
from multisig.release import warning
from multisig.survey import Cell, Person, Row, State, Survey
from multisig.text import plain
from multisig.times import timestamp, told_span, told_time

_PACKAGE = "multisig.web"
_STYLES = {
    State.APPROVED: "good",
    State.EXEMPT: "info",
    State.LACKING: "warn",
    State.OTHER_CONTENT: "bad",
    State.PROBLEM: "bad",
}
_CELLS = {Cell.SIGNED: "s", Cell.OTHER: "o", Cell.MISSING: "m", Cell.OPEN: "p", Cell.UNABLE: "u", Cell.UNASKED: "n"}
_ATTENTION, _DISPUTED = "attention", "disputed"


@dataclass(frozen=True)
class _Tile:
    label: str
    value: object
    hint: str
    style: str


def page(survey: Survey) -> str:
    """The page's text. Raises UsageError where jinja2 is not installed."""
    try:
        jinja2: Any = importlib.import_module("jinja2")
        fixed: Any = importlib.import_module("markupsafe").Markup  # not escaped: this package's own texts alone
    except ImportError:
        raise UsageError("--html needs jinja2: apt install python3-jinja2, or dnf install python3-jinja2") from None
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = _resource("status.css"), _resource("status.js")
    text: str = environment.from_string(_resource("status.html")).render(
        style=fixed(style), script=fixed(script), style_hash=_digest(style), script_hash=_digest(script),
        version=__version__, **_overview(survey), **_people(survey), **_matrix(survey),
    )  # fmt: skip
    return text


def _resource(name: str) -> str:
    data = pkgutil.get_data(_PACKAGE, name)
    if data is None:
        raise UsageError(f"multisig is not installed whole: {_PACKAGE} lacks {name}")
    return data.decode("utf-8")


def _digest(text: str) -> str:
    """As a content security policy names an inline style or script (CSP Level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


# The overview


def _overview(survey: Survey) -> Dict[str, object]:
    counts = totals(survey)
    total = counts["packages"]
    approved = counts[State.APPROVED.value] + counts[State.EXEMPT.value]
    return {
        "title": plain(survey.repo or survey.repository),
        "where": plain(survey.repository) if survey.repo else "",
        "headline": f"{approved} of {total} approved",
        "time": told_time(survey.now),
        "time_iso": timestamp(survey.now),
        "serial": survey.policy.serial,
        "approved": approved,
        "total": total,
        "parts": _parts(counts),
        "tiles": [*_tiles(counts), *_release_tiles(survey)],
        "releases": _releases(survey),
        "notes": [plain(note) for note in survey.notes],
    }


def _parts(counts: Mapping[str, int]) -> List[Dict[str, object]]:
    """The bar's pieces, in hundredths."""
    parts: List[Dict[str, object]] = []
    start = 0.0
    for state in State:
        width = 100 * counts[state.value] / max(1, counts["packages"])
        if width:
            parts.append({"style": _STYLES[state], "start": f"{start:.3f}", "width": f"{width:.3f}"})
        start += width
    return parts


def _tiles(counts: Mapping[str, int]) -> List[_Tile]:
    lacking, problems = counts[State.LACKING.value], counts[State.PROBLEM.value]
    other = counts["disputed"]
    return [
        _Tile("lack signatures", lacking, "", "warn" if lacking else "good"),
        _Tile("disputed", other, "other content was signed" if other else "", "bad" if other else "good"),
        _Tile("cannot be approved", problems, "look into them" if problems else "", "bad" if problems else "good"),
    ]


def _release_tiles(survey: Survey) -> List[_Tile]:
    """How long it is until the first release statement ends."""
    standings = [standing for standing, _ in survey.releases.values()]
    if not standings:
        return []
    if not all(standing.good for standing in standings):
        there = any(standing.serial for standing in standings)
        return [_Tile("release", "not good" if there else "none", "its packages are refused", "bad")]
    ends = min(standing.ends for standing in standings)
    soon = any(warning(standing, asked, survey.now) for standing, asked in survey.releases.values())
    return [_Tile("release good for", told_span(ends - survey.now), told_time(ends), "warn" if soon else "good")]


def _releases(survey: Survey) -> List[Dict[str, str]]:
    shown = []
    for rule, (standing, asked) in survey.releases.items():
        soon = warning(standing, asked, survey.now)
        if not standing.good:
            head, text, style = "Not released:", standing.text, "bad"
        else:
            head, style = f"Release {standing.serial},", "warn" if soon else "good"
            text = f"signed by {', '.join(standing.signers)}, good until {told_time(standing.ends)}"
        shown.append({"rule": plain(rule), "head": head, "text": plain(text), "style": style})
    return shown


# People


def _people(survey: Survey) -> Dict[str, object]:
    people = [
        {
            "name": plain(person.name),
            "groups": ", ".join(person.groups),
            "able": person.able,
            "signed": person.signed,
            "missing": person.missing,
            "other": person.other,
            "key": plain(_key_text(person, survey.now)),
            "style": _key_style(person),
        }
        for person in survey.people
    ]
    return {"people": people, "awaited": [person.name for person in survey.people if person.missing]}


def _key_text(person: Person, now: int) -> str:
    if person.standing and not person.standing.startswith("key"):
        return person.standing
    if person.ends is None:
        return "does not expire"
    if person.ends <= now:
        return f"expired {told_span(now - person.ends)} ago, {told_time(person.ends)}"
    return f"expires in {told_span(person.ends - now)}, {told_time(person.ends)}"


def _key_style(person: Person) -> str:
    if not person.standing:
        return ""
    if person.standing == "retired":
        return "soft"
    return "warn" if person.able else "bad"


# Packages


def _matrix(survey: Survey) -> Dict[str, object]:
    """Those that need somebody first."""
    rows = sorted(survey.rows, key=lambda row: (not _needs_attention(row), row.verdict.name, row.file))
    columns = [
        person.name for person in survey.people if any(row.cells[person.name] is not Cell.UNASKED for row in rows)
    ]
    return {
        "columns": columns,
        "rows": [_row(row, columns) for row in rows],
        "choices": _choices(rows),
    }


def _needs_attention(row: Row) -> bool:
    return not row.verdict.accepted or row.disputed


def _choices(rows: Sequence[Row]) -> List[Dict[str, object]]:
    """What can be shown: everything, what needs somebody, and each state that there is."""
    choices: List[Tuple[str, str, int]] = [
        ("", "all", len(rows)),
        (_ATTENTION, "need somebody", sum(map(_needs_attention, rows))),
        (_DISPUTED, "disputed", sum(row.disputed for row in rows)),
    ]
    choices += [(state.name.lower(), state.value, sum(row.state is state for row in rows)) for state in State]
    return [{"value": value, "label": label, "count": count} for value, label, count in choices if count or not value]


def _row(row: Row, columns: Sequence[str]) -> Dict[str, object]:
    group = [row.state.name.lower()]
    group += [_ATTENTION] if _needs_attention(row) else []
    group += [_DISPUTED] if row.disputed else []
    return {
        "name": plain(row.verdict.name),
        "state": row.state.value,
        "style": _STYLES[row.state],
        "group": " ".join(group),
        "awaited": " ".join(row.people(Cell.MISSING)),
        "details": [(term, plain(text)) for term, text in _details(row)],
        "cells": [{"style": _CELLS[row.cells[name]], "text": row.cells[name].value} for name in columns],
    }


def _details(row: Row) -> List[Tuple[str, str]]:
    found = [("verdict", row.verdict.message), ("file", row.file)]
    if row.verdict.rules:
        found.append(("rules", ", ".join(outcome.rule for outcome in row.verdict.rules)))
    if row.digests is not None:
        found.append(("content", f"sha256:{row.digests.sha256}"))
    for content in row.others:
        found.append(("other content", f"sha256:{content.digests.sha256}, signed by {', '.join(content.signers)}"))
    found += [("ignored", text) for text in row.verdict.ignored]
    return found
