# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON as the formats here use it: objects, lists, strings and non-negative integers; everything else is an error."""

from __future__ import annotations

import json
import re
from typing import Any, List, Mapping, NoReturn, Tuple

_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER_DIGITS = 18


def loads(text: str) -> Any:
    """Parse one JSON text; raises ValueError for anything else, duplicate keys, floats, negative or huge numbers,
    and nesting too deep to parse.

    ``true``, ``false`` and ``null`` come out as they are: no caller's shape has a place for them.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_int=_integer,
            parse_float=_not_a_number_here,
            parse_constant=_not_a_number_here,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def has_lone_surrogate(text: str) -> bool:
    r"""Whether a string came from half of a ``\ud83d\ude00`` pair: it could not be written as UTF-8."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Mapping[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has the same key twice")
    return value


def _integer(text: str) -> int:
    # Bounded before int(): older Pythons need quadratic time for a megabyte of digits.
    if text.startswith("-") or len(text) > _INTEGER_DIGITS:
        raise ValueError("a number is negative or too large")
    return int(text)


def _not_a_number_here(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is not an integer")
