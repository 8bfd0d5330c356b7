# SPDX-License-Identifier: GPL-2.0-or-later
"""A signer's own record of every statement that they signed: what misuse of their key is told by (docs/formats.md).

JSON Lines, only ever appended to, synced before a signature is given out. Kept where only the signer writes; it proves
nothing to anybody else.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, List, Tuple

from multisig import strictjson
from multisig.errors import LedgerError, UnreadableError
from multisig.files import open_regular, sync_directory
from multisig.statement import Statement, statement_id
from multisig.times import timestamp

LEDGER_TYPE = "ledger/v1"
_HEADER = json.dumps({"multisig": LEDGER_TYPE}) + "\n"
_KEYS = frozenset({"time", "key", "kind", "channel", "statement", "names"})
_FINGERPRINT = re.compile(r"[0-9A-F]{40}\Z")
_STATEMENT = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Entry:
    """One statement that was signed: when (``2026-01-31T12:00:00Z``), with which key (its primary's fingerprint), for
    what, the SHA-256 of its text, and the names of its subjects."""

    time: str
    key: str
    kind: str
    channel: str
    statement: str
    names: Tuple[str, ...]


def entry_for(statement: Statement, text: str, key: str, now: int) -> Entry:
    """The entry of a statement and its text, signed with ``key`` at ``now`` (seconds since the epoch)."""
    names = tuple(subject.name for subject in statement.subjects)
    return Entry(timestamp(now), key, statement.kind.word, statement.channel, statement_id(text), names)


def append(path: str, entry: Entry) -> None:
    """Add an entry and sync; the file and its folder are made where they are missing, for their owner alone.

    Two processes at once wait for each other. Raises LedgerError, and nothing may be signed then.
    """
    line = json.dumps({**vars(entry), "names": list(entry.names)}) + "\n"
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            size = os.fstat(fd).st_size
            if size == 0:
                line = _HEADER + line
            elif os.pread(fd, 1, size - 1) != b"\n":
                line = "\n" + line  # a line that was cut off, by a crash, stays alone
            data = line.encode("ascii")
            if os.write(fd, data) != len(data):
                raise LedgerError("no room for an entry", path=path)
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_directory(folder)
    except OSError as error:
        raise LedgerError(f"the ledger cannot be written: {error.strerror}", path=path) from None


def read_ledger(path: str) -> Tuple[Entry, ...]:
    """Every entry, in order. Lines that a crash cut off are passed over; anything else that is no entry is an error.

    Raises UnreadableError where the file is not there, LedgerError where it is no ledger.
    """
    fd = open_regular(path)
    try:
        with os.fdopen(fd, encoding="utf-8", errors="surrogateescape") as stream:
            return tuple(_entries(stream, path))
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None


def signed_statements(entries: Iterable[Entry]) -> Dict[str, FrozenSet[str]]:
    """The statements (by SHA-256) that were signed with each key (by its primary's fingerprint)."""
    found: Dict[str, set[str]] = {}
    for entry in entries:
        found.setdefault(entry.key, set()).add(entry.statement)
    return {key: frozenset(statements) for key, statements in found.items()}


def _entries(lines: Iterable[str], path: str) -> List[Entry]:
    found: List[Entry] = []
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            value = strictjson.loads(line)
        except ValueError:
            if number > 1 and not line.rstrip("\n").endswith("}"):
                continue
            raise LedgerError(f"line {number} is no JSON", path=path) from None
        if number == 1:
            if value != {"multisig": LEDGER_TYPE}:
                raise LedgerError("is no ledger", path=path, expected=_HEADER.strip(), got=ascii(line)[:80])
        else:
            found.append(_entry(value, number, path))
    if number == 0:
        raise LedgerError("is empty, and so no ledger", path=path)
    return found


def _entry(value: object, number: int, path: str) -> Entry:
    if isinstance(value, dict) and value.keys() == _KEYS:
        names = value["names"]
        texts = [value[key] for key in sorted(_KEYS - {"names"})]
        if isinstance(names, list) and all(isinstance(text, str) for text in (*texts, *names)):
            found = Entry(**{**value, "names": tuple(names)})
            if _FINGERPRINT.match(found.key) and _STATEMENT.match(found.statement):
                return found
    raise LedgerError(f"line {number} is no entry", path=path)
