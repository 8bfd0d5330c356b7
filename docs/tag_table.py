# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the tables of header tags in docs/rpm-v1.md from multisig/subjects/tags.py.

From the top of a checkout: ``/usr/bin/python3 -m docs.tag_table`` puts them into the page, between its two markers.
tests/unit/test_docs.py holds the page equal to the code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, List

from multisig.subjects.tags import GROUPS, INDEXES, SHAPES, TAGS, Klass, Tag

PAGE = Path(__file__).resolve().parent / "rpm-v1.md"
BEGIN, END = "<!-- tags: begin -->", "<!-- tags: end -->"
TYPE_NAMES = ("NULL", "CHAR", "INT8", "INT16", "INT32", "INT64", "STRING", "BIN", "STRING_ARRAY", "I18NSTRING")


def tables() -> str:
    """All tables, as Markdown."""
    known = [tag for tag in TAGS.values() if tag.klass is not Klass.REFUSED]
    parts = [
        "### Tags that a package may have",
        _known(known),
        "### Groups",
        _groups(),
        "### Places",
        _places(),
        "### Shapes",
        _shapes(),
        "### Tags that are known, and refused",
        _refused([tag for tag in TAGS.values() if tag.klass is Klass.REFUSED]),
    ]
    return "\n\n".join(parts)


def page_with(text: str, generated: str) -> str:
    """The page's text with ``generated`` between the markers; raises ValueError where a marker is missing."""
    before, _, rest = text.partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise ValueError(f"{PAGE} lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{generated}\n{END}{after}"


def _known(tags: List[Tag]) -> str:
    rows = ["| tag | name | type | count | class | why |", "|---|---|---|---|---|---|"]
    for tag in tags:
        types = ", ".join(f"{TYPE_NAMES[number]} {number}" for number in tag.types)
        rows.append(f"| {tag.number} | {tag.name} | {types} | {tag.arity} | {tag.klass.value} | {tag.why} |")
    return "\n".join(rows)


def _groups() -> str:
    rows = ["| group | tags that must be there where one of the group is |", "|---|---|"]
    rows += [f"| {name} | {', '.join(str(number) for number in members)} |" for name, members in GROUPS.items()]
    return "\n".join(rows)


def _places() -> str:
    rows = ["| tag | each of its values is less than the count of |", "|---|---|"]
    rows += [f"| {_named(number)} | {_named(target)} |" for number, target in sorted(INDEXES.items())]
    return "\n".join(rows)


def _shapes() -> str:
    rows = ["| tag | its value, as a regular expression over bytes |", "|---|---|"]
    for number, pattern in sorted(SHAPES.items()):
        shown = pattern.pattern.decode("ascii").replace("|", "\\|")
        rows.append(f"| {_named(number)} | `{shown}` |")
    return "\n".join(rows)


def _named(number: int) -> str:
    return f"{number} {TAGS[number].name}"


def _refused(tags: List[Tag]) -> str:
    reasons: Dict[str, List[Tag]] = {}
    for tag in tags:
        reasons.setdefault(tag.why, []).append(tag)
    rows = ["| why | tags |", "|---|---|"]
    rows += [f"| {why} | {', '.join(_named(tag.number) for tag in members)} |" for why, members in reasons.items()]
    return "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
    print(f"{PAGE}: written", file=sys.stderr)
