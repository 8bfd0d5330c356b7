# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements as evidence uses them: one line is looked up by its name, however many thousand others there are. Pure.

A batch's statement lists up to 2,000 packages and is asked about one of them at a time. Parsing it into values takes
15 ms; making sure that it is canonical, and noting where each line is, takes 4. Both say the same of every text: what
``statement.parse`` raises, ``claims`` raises.
"""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from itertools import accumulate
from typing import Callable, Dict, List, Mapping, Optional, Protocol, Tuple

from multisig.errors import StatementError
from multisig.namedtuples import NamedTuple
from multisig.statement import MAX_NAME, MAX_SUBJECTS, Digests, Kind, Statement, Subject, parse, statement_id

#: Longer texts are left to the parser, so that every step here is bounded.
_LONGEST = 4 << 20
# What stands before the list is short: only a source in it, of at most statement.MAX_SOURCE characters, may be long.
_HEADS_KEPT = 64
# Where an RPM statement's list begins. Within a JSON string each quote has a backslash before it, so this cannot be
# part of one: the first occurrence is the one that counts.
_LIST_AT = f'"predicateType":"{Kind.RPM.value}","subject":['.encode()
_END = b"]}"
# NAME-EPOCH:VERSION-RELEASE.ARCH as in multisig.statement, without the two characters that JSON escapes. There is one
# way to take it apart, so a search for it that fails does not take long.
_NEVRA = rb"[!#-.0-\[\]-~]+-(?:0|[1-9][0-9]{0,9}):[!#-,.0-9;-\[\]-~]+-[!#-,.0-9;-\[\]-~]+\.[A-Za-z0-9_]+"
_NAME = re.compile(rb'"name":"([^"]+)"')
_DIGITS = b"0123456789abcdef"
_FOLD = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))


def _line(digit: bytes, name: bytes, literal: Callable[[bytes], bytes]) -> bytes:
    """The pattern of one line of a list, its literal parts put through ``literal``."""

    def part(text: bytes) -> bytes:
        return re.escape(literal(text))

    payload = part(b'"payload-sha256":"') + b"(?P<payload>" + digit + b"{64})" + part(b'",')
    return (
        part(b'{"digest":{') + b"(?:" + payload + b")?"
        + part(b'"sha256":"') + b"(?P<sha256>" + digit + b"{64})"
        + part(b'","sha512":"') + b"(?P<sha512>" + digit + b"{128})"
        + part(b'"},"name":"') + name + part(b'"}')
    )  # fmt: skip


def _list(digit: bytes, name: bytes, literal: Callable[[bytes], bytes]) -> "re.Pattern[bytes]":
    line = re.sub(rb"\?P<\w+>", b"?:", _line(digit, name, literal))
    return re.compile(b"(?:" + line + b",)*" + line, re.DOTALL)


# Two quick searches in place of a slow one. The first leaves open what the digests are made of; the second is over the
# text with each hexadecimal digit folded into 0, and so leaves open what the literal parts say. Both can find their
# lines in the same places only.
_SHAPE = _list(b".", _NEVRA, lambda text: text)
_FOLDED = _list(b"0", b'[^"]+', lambda text: text.translate(_FOLD))
_FIELDS = re.compile(_line(b"[0-9a-f]", b'[^"]+', lambda text: text))
_SAMPLE = b'{"digest":{"sha256":"%s","sha512":"%s"},"name":"a-0:0-0.noarch"}' % (b"0" * 64, b"0" * 128)
_LINE_SIZE = len(_SAMPLE) - len(b"a-0:0-0.noarch")
_WITH_PAYLOAD = b'{"digest":{"payload-sha256":"'
_PAYLOAD_SIZE = len(b'"payload-sha256":"",') + 64


class _Lines(Protocol):
    def named(self, name: str) -> Optional[Subject]: ...

    def holding(self, digests: Digests) -> Optional[Subject]: ...


class Claims(NamedTuple):
    """A statement, ready to be asked. ``data`` is the exact bytes that were signed, ``identifier`` their SHA-256."""

    kind: Kind
    channel: str
    data: bytes
    identifier: str
    lines: _Lines

    def named(self, name: str) -> Optional[Subject]:
        """The line about a subject of this name."""
        return self.lines.named(name)

    def holding(self, digests: Digests) -> Optional[Subject]:
        """The first line with both these digests, whatever its name."""
        return self.lines.holding(digests)

    def whole(self) -> Statement:
        """All that the statement says, parsed anew."""
        return parse(self.data.decode("utf-8"))


def claims(text: str) -> Claims:
    """What a statement's exact text claims; raises StatementError where ``statement.parse`` does."""
    found = _quickly(text)
    if found is None:
        statement = parse(text)
        found = Claims(statement.kind, statement.channel, text.encode(), statement_id(text), _Parsed(statement))
    return found


def _quickly(text: str) -> Optional[Claims]:
    """For a canonical statement on RPMs with names of the usual characters; None leaves the text to the parser.

    Steps: 1. The list is nothing but lines in their one spelling. 2. There are not too many, no name is too long, and
    they are in order. 3. The statement around the list is parsed, with one made-up line in its place.
    """
    if len(text) > _LONGEST or not text.isascii():
        return None
    data = text.encode("ascii")
    start = data.find(_LIST_AT) + len(_LIST_AT)
    end = len(data) - len(_END)
    if start < len(_LIST_AT) or not data.endswith(_END):
        return None
    if _SHAPE.fullmatch(data, start, end) is None or _FOLDED.fullmatch(data.translate(_FOLD), start, end) is None:
        return None
    names = _NAME.findall(data, start, end)
    if len(names) > MAX_SUBJECTS or len(max(names, key=len)) > MAX_NAME:
        return None
    if not all(map(operator.lt, names, names[1:])):
        return None
    try:
        kind, channel = _around(data[:start])
    except StatementError:
        return None
    return Claims(kind, channel, data, statement_id(text), _Located(data, start, names))


@lru_cache(maxsize=_HEADS_KEPT)
def _around(head: bytes) -> Tuple[Kind, str]:
    """Kind and channel of a canonical statement that begins so, up to its list: most statements begin like others.

    Raises StatementError where nothing canonical does.
    """
    around = parse((head + _SAMPLE + _END).decode("ascii"))
    return around.kind, around.channel


class _Parsed:
    """The lines of a statement that was parsed."""

    def __init__(self, statement: Statement) -> None:
        self._by_name: Mapping[str, Subject] = {subject.name: subject for subject in statement.subjects}

    def named(self, name: str) -> Optional[Subject]:
        return self._by_name.get(name)

    def holding(self, digests: Digests) -> Optional[Subject]:
        return next((subject for subject in self._by_name.values() if subject.digests == digests), None)


class _Located:
    """The lines of a text that is known to be canonical: where each begins, and what is in it once it is asked for."""

    def __init__(self, data: bytes, start: int, names: List[bytes]) -> None:
        self._data = data
        self._starts: Dict[bytes, int] = {}
        # Asked for the content that it gives a name, and then what it says of that content: the same line.
        self._latest: Optional[Subject] = None
        payloads = data.count(_WITH_PAYLOAD, start)
        if payloads in (0, len(names)):
            size = _LINE_SIZE + 1 + (_PAYLOAD_SIZE if payloads else 0)
            self._starts = dict(zip(names, accumulate((len(name) + size for name in names), initial=start)))
            return
        for name in names:
            self._starts[name] = start
            start += _LINE_SIZE + 1 + len(name) + (_PAYLOAD_SIZE if data.startswith(_WITH_PAYLOAD, start) else 0)

    def named(self, name: str) -> Optional[Subject]:
        latest = self._latest
        if latest is not None and latest.name == name:
            return latest
        start = self._starts.get(name.encode("utf-8", "surrogatepass"))
        fields = _FIELDS.match(self._data, start) if start is not None else None
        if fields is None:
            return None
        payload = fields["payload"]
        digests = Digests(fields["sha256"].decode("ascii"), fields["sha512"].decode("ascii"))
        # Handed out as it is here: the text is shared, and another thread may have asked for another line meanwhile.
        found = Subject(name, digests, None if payload is None else payload.decode("ascii"))
        self._latest = found
        return found

    def holding(self, digests: Digests) -> Optional[Subject]:
        subjects = (self.named(name.decode("ascii")) for name in self._starts)
        return next((subject for subject in subjects if subject is not None and subject.digests == digests), None)
