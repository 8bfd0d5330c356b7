# SPDX-License-Identifier: GPL-2.0-or-later
"""How a comparison of two packages reads. Pure; yields lines, prints nothing."""

from __future__ import annotations

import itertools
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

from multisig.subjects.compare import Comparison
from multisig.subjects.difference import Difference, Group, bytes_of, text_of
from multisig.subjects.filelists import CONTENT, PRESENCE
from multisig.subjects.places import Opened, Place
from multisig.text import counted, plain

# A person reads the first few; --json has them all.
_MAX_THINGS = 30
_MAX_DIFF = 30
_MAX_WIDTH = 200
_INDENT = "    "
_WHOLE = (PRESENCE, "entry", "script", "value")
_Places = Mapping[bytes, Place]


def lines_of(a: Opened, b: Opened, comparison: Comparison, places: _Places) -> Iterator[str]:
    """The whole answer."""
    if comparison.same:
        yield f"same content: {plain(a.subject.name)}, sha256:{a.subject.sha256}"
    else:
        yield f"different content: {counted(len(comparison.differences), 'difference')}"
        for letter, package in (("A", a), ("B", b)):
            yield f"  {letter}  {plain(package.path)}  {plain(package.subject.name)}"
        for group, differences in itertools.groupby(comparison.differences, key=lambda item: item.group):
            yield ""
            yield group.value
            yield from _group(list(differences), places)
    if comparison.ignored:
        yield from ([] if comparison.same else [""])
        yield "ignored (no part of the content): " + ", ".join(tag.name for tag in comparison.ignored)


def _group(differences: Sequence[Difference], places: _Places) -> Iterator[str]:
    things = [(what, list(found)) for what, found in itertools.groupby(differences, key=lambda item: item.what)]
    left = _MAX_THINGS
    for what, found in things:
        if left <= 0:
            break
        shown = found[:left]
        left -= len(shown)
        if len(shown) == 1 and not shown[0].diff and shown[0].aspect in _WHOLE:
            yield from _pair(f"  {_cut(what)}", shown[0])
            continue
        yield f"  {_cut(what)}"
        for item in shown:
            yield from _difference(item, places)
    if len(differences) > _MAX_THINGS:
        yield f"  … {len(differences) - _MAX_THINGS:,} more (--json lists all)"


def _difference(item: Difference, places: _Places) -> Iterator[str]:
    place = places.get(bytes_of(item.what)) if item.aspect == CONTENT else None
    if place is not None:
        yield f"{_INDENT}{item.aspect}: first difference at {_where(place)}"
        yield from _sides(place)
    elif item.diff:
        only = " only in A" if item.b is None else " only in B" if item.a is None else ""
        yield f"{_INDENT}{item.aspect}{only}" + (":" if not only else "")
        yield from (f"{_INDENT * 2}{_cut(line)}" for line in item.diff[:_MAX_DIFF])
        if len(item.diff) > _MAX_DIFF:
            yield f"{_INDENT * 2}… {len(item.diff) - _MAX_DIFF:,} more lines (--json has them)"
    elif item.group is Group.DEPENDENCIES and item.aspect == "entry":
        yield f"{_INDENT}only in {'A' if item.b is None else 'B'}: {_cut(item.a or item.b or '')}"
    else:
        yield from _pair(f"{_INDENT}{item.aspect}", item)


def _pair(head: str, item: Difference) -> Iterator[str]:
    """A property with both values, in one line where they are short."""
    if item.a is None or item.b is None:
        side, value = ("A", item.a) if item.b is None else ("B", item.b)
        # A property without a value, as no capability, is none; a thing without a value is not there.
        if item.aspect in _WHOLE:
            yield f"{head}  only in {side}: {_cut(value or '')}"
            return
    a, b = (_cut("none" if value is None else value if value else '""') for value in (item.a, item.b))
    if len(a) + len(b) <= 90:
        yield f"{head}: A {a}, B {b}"
    else:
        yield f"{head}:"
        yield f"{_INDENT * 2}A  {a}"
        yield f"{_INDENT * 2}B  {b}"


def _where(place: Place) -> str:
    offset = f"byte {place.offset:,} (counted from 0)"
    return offset if place.line is None else f"line {place.line:,}, {offset}"


def _sides(place: Place) -> Iterator[str]:
    values: List[Tuple[str, Optional[bytes]]] = [("A", place.a), ("B", place.b)]
    for letter, value in values:
        if value is None:
            text = "(ends here)"
        elif place.line is None:
            text = _dump(place.start, value)
        else:
            text = _cut(text_of(value))
        yield f"{_INDENT * 2}{letter}  {text}".rstrip()
    if place.line is not None and place.a == place.b:
        yield f"{_INDENT * 2}(only one of them has a line end here)"


def _dump(start: int, row: bytes) -> str:
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{start:08x}  {row.hex(' '):<47}  |{shown}|"


def _cut(text: str) -> str:
    shown = plain(text[:_MAX_WIDTH])
    return shown if len(text) <= _MAX_WIDTH else f"{shown} … ({len(text):,} characters)"
