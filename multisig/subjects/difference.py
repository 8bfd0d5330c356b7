# SPDX-License-Identifier: GPL-2.0-or-later
"""One difference between two packages' contents, and how values of a header read. Pure."""

from __future__ import annotations

import difflib
import enum
import hashlib
from dataclasses import dataclass
from typing import FrozenSet, List, Mapping, Optional, Tuple

from multisig.subjects.header import BIN, I18NSTRING, STRING, STRING_ARRAY, Entry, integers, strings

Records = Mapping[int, Entry]
"""A manifest taken apart: tag number to the entry that stands in the manifest for it."""

_TYPE_NAMES = ("NULL", "CHAR", "INT8", "INT16", "INT32", "INT64", "STRING", "BIN", "STRING_ARRAY", "I18NSTRING")
# difflib's time grows with the product of the lengths; beyond this many pairs of lines only the first pair is shown.
_MAX_PAIRS = 2_000_000


class Group(enum.Enum):
    """What a person would have to mend."""

    IDENTITY = "identity"
    FILES = "files"
    SCRIPTS = "scripts"
    TRIGGERS = "triggers"
    DEPENDENCIES = "dependencies"
    TAGS = "tags"


@dataclass(frozen=True)
class Difference:
    """``aspect`` of ``what`` (a path, ``%post``, ``requires``, a tag's name) is ``a`` in one, ``b`` in the other.

    None stands for something that only the other package has. ``tags`` are the tags of the manifest that it explains;
    ``diff`` the lines of a unified diff where the values are texts of several lines. Texts come from the packages:
    bytes that are no UTF-8 are surrogate escapes, and control characters are as they were.
    """

    group: Group
    what: str
    aspect: str
    a: Optional[str]
    b: Optional[str]
    tags: FrozenSet[int]
    diff: Tuple[str, ...] = ()


def text_of(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes that ``text_of`` was given."""
    return text.encode("utf-8", "surrogateescape")


def unified(a: Optional[str], b: Optional[str]) -> Tuple[str, ...]:
    """A unified diff of two texts, without the lines that name files; nothing where neither has a second line."""
    if (a is None or "\n" not in a) and (b is None or "\n" not in b):
        return ()
    old, new = ([] if text is None else text.split("\n") for text in (a, b))
    if len(old) * len(new) > _MAX_PAIRS:
        return _first_lines(old, new)
    return tuple(difflib.unified_diff(old, new, lineterm=""))[2:]


def _first_lines(old: List[str], new: List[str]) -> Tuple[str, ...]:
    place = next((place for place, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    return (
        f"@@ -{place + 1} +{place + 1} @@ too long to compare further: {len(old)} and {len(new)} lines",
        *("-" + line for line in old[place : place + 1]),
        *("+" + line for line in new[place : place + 1]),
    )


def raw_difference(group: Group, name: str, number: int, a: Optional[Entry], b: Optional[Entry]) -> Difference:
    """What differs between two entries of one tag, whatever it means; they must not be equal."""
    tags = frozenset({number})
    if a is None or b is None:
        return Difference(group, name, "value", a and _whole(a), b and _whole(b), tags)
    if a[0] != b[0]:
        return Difference(group, name, "type", _typed(a), _typed(b), tags)
    old, new = values_of(a), values_of(b)
    if len(old) == len(new) == 1:
        return Difference(group, name, "value", old[0], new[0], tags, unified(old[0], new[0]))
    place = next((place for place, (x, y) in enumerate(zip(old, new)) if x != y), min(len(old), len(new)))
    pair = [values[place] if place < len(values) else None for values in (old, new)]
    aspect = f"value {place + 1}" if len(old) == len(new) else f"value {place + 1} of {len(old)} and {len(new)}"
    return Difference(group, name, aspect, pair[0], pair[1], tags, unified(pair[0], pair[1]))


def values_of(entry: Entry) -> List[str]:
    """An entry's values as texts; binary ones by their digest."""
    kind, count, value = entry
    if kind in (STRING, STRING_ARRAY, I18NSTRING):
        return [text_of(item) for item in strings(entry)]
    if kind == BIN:
        return [f"{count} bytes, SHA-256 {hashlib.sha256(value).hexdigest()}"]
    return [str(item) for item in integers(entry)]


def _whole(entry: Entry) -> str:
    values = values_of(entry)
    return values[0] if len(values) == 1 else f"{len(values)} values, the first: {values[0]}"


def _typed(entry: Entry) -> str:
    return f"{_TYPE_NAMES[entry[0]]}: {_whole(entry)}"
