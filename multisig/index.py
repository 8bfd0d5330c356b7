# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a repository: the evidence for all its packages in one file, as lines of JSON (docs/formats.md). Pure.

An index carries evidence and nothing else: whoever wrote it can leave out, and cannot add what nobody signed. A line
that is no attestation is passed over with a reason; what is no index at all is an IndexFormatError.
"""

from __future__ import annotations

import bisect
import json
import re
from typing import Callable, Collection, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from multisig import bundle, strictjson
from multisig.bundle import MAX_ATTESTATIONS, MAX_SIGNATURES, Attestation
from multisig.errors import BundleError, IndexFormatError
from multisig.fetching import RECORD as RECORD
from multisig.namedtuples import NamedTuple

INDEX_TYPE = "index/v1"
#: Bytes, when unpacked.
MAX_INDEX = 64 << 20
#: No attestation fits into less than the 256 bytes that this leaves it; lines could be as many as bytes otherwise.
MAX_LINES = MAX_INDEX >> 8
#: A statement of 2,000 subjects with the longest of names, and all the signatures that may be on it, take less.
MAX_LINE = 8 << 20
_SHOWN = 5

# The name of an RPM in a statement, and in the line that the statement stands in. In a canonical statement it has one
# spelling, with a backslash before two characters only; and that has one in the line, unless the line uses \uXXXX.
_NAME_IN_STATEMENT = re.compile(rb'"name":"([^"\\]*)"')
_NAME_IN_LINE = re.compile(rb'\\"name\\":\\"([^"\\]*)\\"')
_NAME_KEY, _NAME_END = rb"\"name\":\"", rb"\""
_OTHER_SPELLING = b"\\u"
# Where a statement begins and ends in the usual line, and the first subject in it. In a string, quotes have backslashes
# before them, so none of this can be a part of one.
_BEFORE_STATEMENT, _AFTER_LIST = b'{"statement":"{', b']}","signatures":['
_FIRST = re.compile(
    rb'\\"subject\\":\[\{\\"digest\\":\{(?:\\"payload-sha256\\":\\"[0-9a-f]{64}\\",)?\\"sha256\\":\\"[0-9a-f]{64}\\",'
    rb'\\"sha512\\":\\"[0-9a-f]{128}\\"\},\\"name\\":\\"([^"\\]*)\\"\}'
)
_LAST = re.compile(rb'\\"name\\":\\"([^"\\]*)\\"\}')
# A source of its 4,096 characters, each escaped twice, ends before this.
_FIRST_ENDS = 1 << 17
# So many names are quicker looked for one by one than gathered from all of the list.
_FEW = 3
_ESCAPED = re.compile(r'["\\]')


class Found(NamedTuple):
    """What an index says of the names that were asked for: attestations in its order, each parsed once and shared.

    ``ignored`` says in words what was passed over.
    """

    attestations: Mapping[str, Tuple[Attestation, ...]]
    ignored: Tuple[str, ...] = ()


def encode(attestations: Iterable[Attestation]) -> Iterator[bytes]:
    """The lines of an index, each with its end. Raises IndexFormatError once they exceed what a reader would take."""
    size = 0
    for text in _lines(attestations):
        data = text + b"\n"
        size += len(data)
        if len(data) > MAX_LINE:
            raise IndexFormatError("a statement with its signatures is too long for a line of an index",
                                   expected=f"at most {MAX_LINE} bytes", got=len(data))  # fmt: skip
        if size > MAX_INDEX:
            raise IndexFormatError("too much evidence for one index", expected=f"at most {MAX_INDEX} bytes unpacked")
        yield data


def unite(attestations: Iterable[Attestation]) -> List[Attestation]:
    """The set union, in the order of ``bundle.united``: publishing puts what counts first, and so it stays.

    More signatures than one attestation may hold go into further ones of the same statement.
    """
    return [
        Attestation(statement, signatures[start : start + MAX_SIGNATURES])
        for statement, signatures in bundle.united(attestations).items()
        for start in range(0, len(signatures), MAX_SIGNATURES)
    ]


def search(chunks: Iterable[bytes], names: Collection[str]) -> Found:
    """Find what an index says of RPMs of these names; of each name at most as much as a bundle may hold.

    ``chunks`` are the unpacked bytes; no more than MAX_INDEX of them are taken. A line that names none of the packages
    is not parsed. Raises IndexFormatError where this is no index, or too large a one.
    """
    wanted = _Wanted(names)
    found: Dict[str, List[Attestation]] = {name: [] for name in names}
    notes = _Notes()
    for number, line in _split(chunks, notes.add):
        possible = wanted.in_line(line)
        named = [name for name in possible or () if len(found[name]) < MAX_ATTESTATIONS]
        if possible is not None and not named:
            continue
        try:
            attestation = parse_line(line)
        except BundleError as error:
            notes.add(_malformed(number, error))
            continue
        if possible is None:
            present = wanted.in_statement(attestation.statement)
            named = [name for name in present if len(found[name]) < MAX_ATTESTATIONS]
        for name in named:
            found[name].append(attestation)
    return Found({name: tuple(items) for name, items in found.items() if items}, notes.texts())


def attestations(chunks: Iterable[bytes], ignored: Callable[[str], None]) -> Iterator[Attestation]:
    """Every attestation of an index, in its order; ``ignored`` is told of each line that is none.

    Raises IndexFormatError where this is no index, or too large a one.
    """
    for number, line in _split(chunks, ignored):
        try:
            yield parse_line(line)
        except BundleError as error:
            ignored(_malformed(number, error))


class _Notes:
    """Some of what was passed over, and how much more there was: whoever wrote the index could fill the screen."""

    def __init__(self) -> None:
        self._texts: List[str] = []
        self._more = 0

    def add(self, text: str) -> None:
        if len(self._texts) < _SHOWN:
            self._texts.append(text)
        else:
            self._more += 1

    def texts(self) -> Tuple[str, ...]:
        return (*self._texts, *([f"{self._more} more lines of the index"] if self._more else []))


class _Wanted:
    """Names that are looked for, and how they are spelled in statements and in lines."""

    def __init__(self, names: Collection[str]) -> None:
        self._usual = {name.encode("utf-8", "surrogatepass"): name for name in names if not _ESCAPED.search(name)}
        self._sorted = sorted(self._usual)
        # As they stand in a statement, and as that stands in a line.
        inner = {name: f'"name":{json.dumps(name)}' for name in names if _ESCAPED.search(name)}
        self._escaped = {name: (text, json.dumps(text)[1:-1].encode("ascii")) for name, text in inner.items()}

    def in_line(self, line: bytes) -> Optional[Collection[str]]:
        """The names that a line is about; None where its spelling hides them, and its statement has to be asked."""
        within = self._within(line)
        if within is not None and not within:
            return ()
        if _OTHER_SPELLING in line:
            return None
        if within is not None and len(within) <= _FEW:
            return [self._usual[name] for name in within if _NAME_KEY + name + _NAME_END in line]
        named = [self._usual[name] for name in self._usual.keys() & set(_NAME_IN_LINE.findall(line))]
        return named + [name for name, (_, text) in self._escaped.items() if text in line]

    def _within(self, line: bytes) -> Optional[Sequence[bytes]]:
        """The names from the first to the last one of a statement's list, which is sorted; None where that is not to
        be seen at once."""
        end = line.rfind(_AFTER_LIST) if line.startswith(_BEFORE_STATEMENT) and not self._escaped else -1
        first = _FIRST.search(line, 0, min(end, _FIRST_ENDS)) if end >= 0 else None
        last = _LAST.fullmatch(line, max(0, line.rfind(_NAME_KEY, 0, end)), end) if first is not None else None
        if first is None or last is None:
            return None
        return self._sorted[bisect.bisect_left(self._sorted, first[1]) : bisect.bisect_right(self._sorted, last[1])]

    def in_statement(self, statement: str) -> Collection[str]:
        """The names that a canonical statement is about."""
        present = set(_NAME_IN_STATEMENT.findall(statement.encode("utf-8", "surrogatepass")))
        named = {self._usual[name] for name in self._usual.keys() & present}
        return named | {name for name, (text, _) in self._escaped.items() if text in statement}


def _malformed(number: int, error: BundleError) -> str:
    return f"line {number} of the index: {error}"


def line(attestation: Attestation) -> bytes:
    """An attestation's line, without its end."""
    return _dumps({"statement": attestation.statement, "signatures": attestation.signatures})


def _lines(attestations: Iterable[Attestation]) -> Iterator[bytes]:
    yield _dumps({"multisig": INDEX_TYPE})
    for item in attestations:
        yield line(item)


def _dumps(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def parse_line(line: bytes) -> Attestation:
    """An attestation from its line; raises BundleError."""
    try:
        value = strictjson.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BundleError(f"not UTF-8 (byte {error.start})") from None
    except ValueError as error:
        raise BundleError(f"not JSON: {error}") from None
    return bundle.attestation(value)


def _split(chunks: Iterable[bytes], ignored: Callable[[str], None]) -> Iterator[Tuple[int, bytes]]:
    """The lines after the first, numbered from 2, without their ends."""
    lines = _whole_lines(chunks, ignored)
    _check_first(next(lines, (1, b""))[1])
    return lines


def _check_first(line: bytes) -> None:
    try:
        value = strictjson.loads(line.decode("utf-8"))
    except ValueError:
        value = None
    if value != {"multisig": INDEX_TYPE}:
        raise IndexFormatError(
            "not an index", expected=f'a first line of {{"multisig":"{INDEX_TYPE}"}}', got=ascii(line[:60])[1:]
        )


def _whole_lines(chunks: Iterable[bytes], ignored: Callable[[str], None]) -> Iterator[Tuple[int, bytes]]:
    number, size = 1, 0
    begun: List[bytes] = []
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_INDEX:
            raise IndexFormatError("the index is too large", expected=f"at most {MAX_INDEX} bytes unpacked")
        *ended, rest = chunk.split(b"\n")
        if number + len(ended) > MAX_LINES:
            raise IndexFormatError("the index has too many lines", expected=f"at most {MAX_LINES}")
        for part in ended:
            whole = b"".join([*begun, part])
            if len(whole) <= MAX_LINE:
                yield number, whole
            else:
                ignored(f"line {number} of the index: longer than {MAX_LINE} bytes")
            number += 1
            begun = []
        begun.append(rest)
    rest = b"".join(begun)
    if rest:
        yield number, rest
