# SPDX-License-Identifier: GPL-2.0-or-later
"""A comparison of two packages as JSON (docs/formats.md, "diff --json"). Pure."""

from __future__ import annotations

import json
from typing import Dict, Mapping, Optional

from multisig.subjects.compare import Comparison
from multisig.subjects.difference import Difference, bytes_of, text_of
from multisig.subjects.filelists import CONTENT
from multisig.subjects.places import Opened, Place


def answer(a: Opened, b: Opened, comparison: Comparison, places: Mapping[bytes, Place]) -> str:
    """One object; bytes of the packages that are no UTF-8 are lone surrogates, as Python's surrogateescape has them."""
    return json.dumps(
        {
            "same": comparison.same,
            "error": None,
            "a": _package(a),
            "b": _package(b),
            "differences": [_difference(item, places) for item in comparison.differences],
            "ignored": [tag.name for tag in comparison.ignored],
        }
    )


def _package(package: Opened) -> Dict[str, str]:
    subject = package.subject
    return {"name": subject.name, "sha256": subject.sha256, "sha512": subject.sha512}


def _difference(item: Difference, places: Mapping[bytes, Place]) -> Dict[str, object]:
    place = places.get(bytes_of(item.what)) if item.aspect == CONTENT else None
    return {
        "group": item.group.value,
        "what": item.what,
        "aspect": item.aspect,
        "a": item.a,
        "b": item.b,
        "diff": list(item.diff),
        "where": None if place is None else _where(place),
    }


def _where(place: Place) -> Dict[str, object]:
    sides = [_side(place, value) for value in (place.a, place.b)]
    return {"offset": place.offset, "line": place.line, "a": sides[0], "b": sides[1]}


def _side(place: Place, value: Optional[bytes]) -> Optional[str]:
    if value is None:
        return None
    return value.hex() if place.line is None else text_of(value)
