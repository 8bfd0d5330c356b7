# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts of which rpm takes more than their text from the header: no tag that nobody signs may decide what they do.

1. rpm fills in the header's tags into a script with the flag for query formats (``%post -q``; librpm, lib/rpmscript.c,
rpmScriptNew). Those that are left out of the manifest, as the build host, are whatever a mirror writes there: text that
the interpreter then runs. 2. rpm 4.20 and later end a Lua script at a function that was removed, if the header says
that an rpm built it to which that applies (rpmio/rpmlua.cc, check_deprecated). Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterator, List, Optional, Tuple

from multisig.errors import MalformedRpmError
from multisig.namedtuples import NamedTuple
from multisig.subjects.header import SHAPES_KEPT, Header, Shape
from multisig.subjects.tags import TAGS, Klass

EXPAND, QUERY_FORMAT = 1, 2  # rpmscript.h, RPMSCRIPT_FLAG_EXPAND and RPMSCRIPT_FLAG_QFORMAT
RPMVERSION = 1064

# Script, program, flags; of triggers they are arrays, one element a script.
_SINGLE = (
    *((1023, 1085, 5020), (1024, 1086, 5021), (1025, 1087, 5022), (1026, 1088, 5023), (1079, 1091, 5026)),
    *((1151, 1153, 5024), (1152, 1154, 5025), (5103, 5105, 5107), (5104, 5106, 5108)),
)
_TRIGGERS = ((1065, 1092, 5027), (5066, 5067, 5068), (5076, 5077, 5078))

# What a format asks for, by whatever name, as parseFormat and parseExpression of lib/headerfmt.c find it. Text that is
# escaped is taken for a format too.
_ASKED = rb"%[0-9-]*\{[=#]?([^}:]*)|%\|[=#]?([^?]*)"
# Computed from the identity alone (lib/tagexts.c).
_COMPUTED = frozenset({"EPOCHNUM", "EVR", "NVR", "NVRA", "NEVR", "NEVRA"})
_SIGNED = frozenset(tag.name for tag in TAGS.values() if tag.klass is Klass.SIGNED) | _COMPUTED
# As members of a table (posix, rpm), so that words of a comment are none.
_REMOVED = rb"(?:\w\.|\[[\"'])(?:fork|exec|wait|redirect2null)\b"
# Before 5.99, from which on they are removed; without an epoch, which rpm would compare first.
_BEFORE_REMOVAL = rb"0*(?:[0-4]\.[0-9]|5\.[0-8]?[0-9](?![0-9])|5\.9[0-8](?![0-9]))[0-9A-Za-z.~^+_-]*\0\Z"


class _Script(NamedTuple):
    tag: int
    body: bytes
    program: bytes
    flags: int


def check_scripts(header: Header) -> None:
    """Raises MalformedRpmError for a script that rpm completes from tags which are not part of the manifest."""
    for script in _scripts(header):
        if script.flags & QUERY_FORMAT and b"%" in script.body:
            _check_format(script)
        if script.program == b"<lua>" and re.search(_REMOVED, script.body) and not _is_before_removal(header):
            raise MalformedRpmError(
                "a Lua script with functions that later rpms run only for packages built by an rpm before 6",
                tag=RPMVERSION, got=_built_by(header),
            )  # fmt: skip


def _check_format(script: _Script) -> None:
    """Raises MalformedRpmError where rpm would fill in more than signed tags."""
    if script.flags & EXPAND:
        raise MalformedRpmError("a script whose macros may ask for tags that nobody signs (-e and -q)", tag=script.tag)
    for found in re.finditer(_ASKED, script.body):
        asked = (found[1] or found[2] or b"").decode("ascii", "replace")
        # No tag's name begins so, a macro's may: to rpm the format is in error, and the script empty.
        if asked.upper() not in _SIGNED and not asked.startswith("_"):
            raise MalformedRpmError(
                "a script into which rpm fills in a tag that nobody signs (-q)", tag=script.tag, got=ascii(asked[:40])
            )


def _is_before_removal(header: Header) -> bool:
    place = header.shape.places.get(RPMVERSION)
    return place is not None and re.match(_BEFORE_REMOVAL, header.data[place]) is not None


def _built_by(header: Header) -> Optional[str]:
    place = header.shape.places.get(RPMVERSION)
    return None if place is None else ascii(header.data[place][:40])


def _scripts(header: Header) -> Iterator[_Script]:
    for script, program, flags in _present(header.shape):
        bodies = header.texts(script)
        programs = header.texts(program) if program is not None else [b""]
        numbers = header.numbers(flags) if flags is not None else (0,) * len(bodies)
        # A scriptlet's program is followed by its arguments; of triggers there is one for each script.
        for body, interpreter, number in zip(bodies, programs, numbers):
            yield _Script(script, body, interpreter, number)


@lru_cache(SHAPES_KEPT)
def _present(shape: Shape) -> Tuple[Tuple[int, Optional[int], Optional[int]], ...]:
    """The scripts that headers of a shape have, with the tags of their programs and flags, None where there is none."""
    found: List[Tuple[int, Optional[int], Optional[int]]] = []
    for script, program, flags in (*_SINGLE, *_TRIGGERS):
        if script in shape.places:
            found.append(
                (script, program if program in shape.places else None, flags if flags in shape.places else None)
            )
    return tuple(found)
