# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal: what was let in or refused, when, under which policy, and on whose word. SQLite, append-only.

One row a decision of a whole transaction, one a package within it, the evidence that decided, each piece of it once,
and the releases of repositories and the policies that have been seen, so that none older is taken again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import zlib
from contextlib import closing, contextmanager
from typing import Dict, Iterator, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from multisig.bundle import Attestation
from multisig.errors import JournalError
from multisig.namedtuples import NamedTuple
from multisig.statement import statement_id
from multisig.verdict import HeldBack, Verdict

_BUSY_MILLISECONDS = 10_000
_FIRST_SCHEMA = """
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    stage TEXT NOT NULL,
    mode TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    policy_serial INTEGER NOT NULL,
    policy_sha256 TEXT NOT NULL,
    finished INTEGER
);
CREATE TABLE bundles (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE packages (
    decision INTEGER NOT NULL REFERENCES decisions (id),
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    rules TEXT NOT NULL,
    signers TEXT NOT NULL,
    statements TEXT NOT NULL,
    sha256 TEXT,
    sha512 TEXT,
    bundle TEXT REFERENCES bundles (sha256)
);
CREATE INDEX packages_by_decision ON packages (decision);
CREATE INDEX packages_by_name ON packages (name);
"""
_RELEASES = """
CREATE TABLE releases (
    repo TEXT NOT NULL,
    channel TEXT NOT NULL,
    serial INTEGER NOT NULL,
    time INTEGER NOT NULL,
    statement TEXT NOT NULL,
    bundle TEXT REFERENCES bundles (sha256),
    PRIMARY KEY (repo, channel, serial)
) WITHOUT ROWID;
"""
_NOTES = """
ALTER TABLE decisions ADD COLUMN notes TEXT NOT NULL DEFAULT '';
"""
_ATTESTATIONS = """
CREATE TABLE attestations (sha256 TEXT PRIMARY KEY, statement TEXT NOT NULL, content BLOB NOT NULL);
CREATE INDEX attestations_by_statement ON attestations (statement);
"""
_POLICIES = """
CREATE TABLE policies (
    channel TEXT NOT NULL,
    serial INTEGER NOT NULL,
    time INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (channel, serial)
) WITHOUT ROWID;
"""
_HELD_BACK = """
CREATE TABLE held_back (
    repo TEXT NOT NULL,
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (repo, name)
) WITHOUT ROWID;
"""
# What made each version of the schema out of the one before it.
_STEPS = (_FIRST_SCHEMA, _RELEASES, _NOTES, _ATTESTATIONS, _POLICIES, _HELD_BACK)
_VERSION = len(_STEPS)
_SCHEMA = "".join(_STEPS)


class Entry(NamedTuple):
    """One package of one decision. Digests (hex) are of the content judged, absent where none was read.

    ``attestations``: what counted and came from elsewhere than the package's own bundle.
    """

    verdict: Verdict
    sha256: Optional[str] = None
    sha512: Optional[str] = None
    bundle: Optional[bytes] = None
    attestations: Tuple[Attestation, ...] = ()


class Decision(NamedTuple):
    """A row of history. Times are seconds since the epoch; ``finished`` is when dnf said the transaction was done.

    ``notes``: what rpm left out on purpose.
    """

    id: int
    time: int
    stage: str
    mode: str
    accepted: bool
    policy_serial: int
    policy_sha256: str
    finished: Optional[int]
    notes: Tuple[str, ...]
    packages: Tuple["Row", ...]


class Row(NamedTuple):
    """One package within a decision, as it was recorded."""

    name: str
    origin: str
    accepted: bool
    code: str
    message: str
    rules: Tuple[str, ...]
    signers: Tuple[str, ...]
    bundle: Optional[str]


class Journal:
    """A journal file; made with its directory when it is first written. Every method raises JournalError."""

    def __init__(self, path: str) -> None:
        self._path = path

    def record(
        self, entries: Sequence[Entry], *, time: int, stage: str, mode: str, accepted: bool, serial: int, policy: str,
        notes: Sequence[str] = (),
    ) -> int:  # fmt: skip
        """Write one decision whole, or not at all; returns its number. ``policy`` is the policy file's SHA-256."""
        try:
            with closing(self._open_for_writing()) as database, database:
                cursor = database.execute(
                    "INSERT INTO decisions (time, stage, mode, accepted, policy_serial, policy_sha256, notes)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (time, stage, mode, accepted, serial, policy, _plain("\n".join(notes))),
                )
                decision = int(cursor.lastrowid or 0)
                for entry in entries:
                    _insert(database, decision, entry)
                for item in dict.fromkeys(item for entry in entries for item in entry.attestations):
                    _keep_attestation(database, item)
                return decision
        except (sqlite3.Error, OSError) as error:
            raise self._error("cannot be written", error) from None

    def remember_release(
        self, repo: str, channel: str, serial: int, *, time: int, statement: str, bundle: Optional[bytes]
    ) -> None:
        """Note that a release of a repository was seen and found good. ``statement`` is the SHA-256 of its text."""
        try:
            with closing(self._open_for_writing()) as database, database:
                database.execute(
                    "INSERT OR IGNORE INTO releases VALUES (?, ?, ?, ?, ?, ?)",
                    (_plain(repo), channel, serial, time, statement, _keep(database, bundle)),
                )
        except (sqlite3.Error, OSError) as error:
            raise self._error("cannot be written", error) from None

    def newest_release(self, repo: str, channel: str) -> int:
        """The highest serial of a repository's releases that has been remembered; 0 where none has."""
        query = "SELECT max(serial) FROM releases WHERE repo = ? AND channel = ?"
        return self._highest(2, query, _plain(repo), channel)

    def remember_policy(self, channel: str, serial: int, *, time: int, sha256: str) -> None:
        """Note that a policy was in force. ``channel`` is empty where it has none, ``sha256`` that of its text."""
        try:
            with closing(self._open_for_writing()) as database, database:
                database.execute("INSERT OR IGNORE INTO policies VALUES (?, ?, ?, ?)", (channel, serial, time, sha256))
        except (sqlite3.Error, OSError) as error:
            raise self._error("cannot be written", error) from None

    def newest_policy(self, channel: str) -> int:
        """The highest serial of a channel's policies that has been remembered; 0 where none has."""
        return self._highest(5, "SELECT max(serial) FROM policies WHERE channel = ?", channel)

    def _highest(self, since: int, query: str, *values: str) -> int:
        """The number that a query gives, of tables that there are from version ``since`` of the schema on; or 0."""
        if not os.path.lexists(self._path):
            return 0
        self._check_regular()
        try:
            with closing(self._open_for_reading()) as database:
                if self._version(database) < since:
                    return 0
                return int(database.execute(query, values).fetchone()[0] or 0)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._error("cannot be read", error) from None

    def hold_back(self, held: Sequence[HeldBack], *, time: int) -> Mapping[HeldBack, int]:
        """Note which packages are held back; since when each has been, by what was noted first."""
        since: Dict[HeldBack, int] = {}
        try:
            with closing(self._open_for_writing()) as database, database:
                for item in held:
                    repo, name = _plain(item.origin), _plain(item.name)
                    fields = (repo, name, time, _plain(item.message))
                    database.execute("INSERT OR IGNORE INTO held_back VALUES (?, ?, ?, ?)", fields)
                    asked = "SELECT time FROM held_back WHERE repo = ? AND name = ?"
                    since[item] = int(database.execute(asked, (repo, name)).fetchone()[0])
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            raise self._error("cannot be written", error) from None
        return since

    def finish(self, decision: int, *, time: int) -> None:
        """Note that the transaction of a decision went through."""
        try:
            with closing(self._open_for_writing()) as database, database:
                database.execute("UPDATE decisions SET finished = ? WHERE id = ?", (time, decision))
        except (sqlite3.Error, OSError) as error:
            raise self._error("cannot be written", error) from None

    def history(self) -> Iterator[Decision]:
        """Every decision, the oldest first."""
        if not os.path.exists(self._path):
            raise JournalError("there is no journal yet", path=self._path)
        self._check_regular()
        try:
            with closing(self._open_for_reading()) as database:
                self._version(database)
                for row in database.execute("SELECT * FROM decisions ORDER BY id").fetchall():
                    packages = database.execute("SELECT * FROM packages WHERE decision = ? ORDER BY rowid", row[:1])
                    yield Decision(
                        row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6], row[7],
                        _lines(row[8]) if len(row) > 8 else (),  # not in a journal of before there were notes
                        tuple(_row(package) for package in packages),
                    )  # fmt: skip
        except sqlite3.Error as error:
            raise self._error("cannot be read", error) from None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, to be asked. Raises JournalError where there is none, or one of another version."""
        if not os.path.exists(self._path):
            raise JournalError("there is no journal yet", path=self._path)
        self._check_regular()
        try:
            with closing(self._open_for_reading()) as database:
                if self._version(database) < _VERSION:
                    raise JournalError("is of an earlier version; the next transaction brings it up", path=self._path)
                yield database
        except sqlite3.Error as error:
            raise self._error("cannot be read", error) from None

    def _open_for_writing(self) -> sqlite3.Connection:
        directory = os.path.dirname(os.path.abspath(self._path))
        os.makedirs(directory, mode=0o755, exist_ok=True)
        if os.path.lexists(self._path):
            self._check_regular()
        database = sqlite3.connect(self._path, timeout=_BUSY_MILLISECONDS / 1000)
        try:
            database.execute("PRAGMA synchronous = FULL")
            if self._version(database) < _VERSION:
                # Two processes may come here at once: the second finds the first one's tables after its lock.
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    for step in _STEPS[self._version(database) :]:
                        for statement in filter(str.strip, step.split(";")):
                            database.execute(statement)
                    database.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    def _open_for_reading(self) -> sqlite3.Connection:
        path = quote(os.fsencode(os.path.abspath(self._path)))
        return sqlite3.connect(f"file://{path}?mode=ro", uri=True)

    def _check_regular(self) -> None:
        # SQLite would wait for whoever opens the other end of a FIFO.
        if not stat.S_ISREG(os.stat(self._path).st_mode):
            raise JournalError("the journal is not a regular file", path=self._path)

    def _version(self, database: sqlite3.Connection) -> int:
        """The version of the schema, 0 where there is none yet; one of a later program is a JournalError."""
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if not 0 <= version <= _VERSION:
            raise JournalError(
                "was written by another version of multisig", path=self._path, expected=_VERSION, got=version
            )
        return version

    def _error(self, what: str, error: Exception) -> JournalError:
        return JournalError(f"the journal {what}: {error}", path=self._path)


def _insert(database: sqlite3.Connection, decision: int, entry: Entry) -> None:
    bundle = _keep(database, entry.bundle)
    verdict = entry.verdict
    fields = (
        decision, _plain(verdict.name), _plain(verdict.origin), verdict.accepted, verdict.code.value,
        _plain(verdict.message), "\n".join(outcome.rule for outcome in verdict.rules), "\n".join(verdict.signers),
        "\n".join(verdict.statements), entry.sha256, entry.sha512, bundle,
    )  # fmt: skip
    database.execute("INSERT INTO packages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", fields)


def _keep(database: sqlite3.Connection, bundle: Optional[bytes]) -> Optional[str]:
    """Store a bundle once; the name it has from then on."""
    if bundle is None:
        return None
    name = hashlib.sha256(bundle).hexdigest()
    database.execute("INSERT OR IGNORE INTO bundles VALUES (?, ?)", (name, bundle))
    return name


def _keep_attestation(database: sqlite3.Connection, item: Attestation) -> None:
    """Store an attestation once, whatever the number of packages that it is about. Most of it are the digests of other
    packages, in hexadecimal: half the size when packed."""
    from multisig import index

    line = index.line(item)
    name = hashlib.sha256(line).hexdigest()
    if database.execute("SELECT 1 FROM attestations WHERE sha256 = ?", (name,)).fetchone() is None:
        fields = (name, statement_id(item.statement), zlib.compress(line, 1))
        database.execute("INSERT INTO attestations VALUES (?, ?, ?)", fields)


def _plain(text: str) -> str:
    # SQLite stores UTF-8; a path may hold bytes that are none.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _row(fields: Sequence[object]) -> Row:
    _, name, origin, accepted, code, message, rules, signers, _, _, _, bundle = fields
    return Row(
        str(name), str(origin), bool(accepted), str(code), str(message), _lines(rules), _lines(signers),
        None if bundle is None else str(bundle),
    )  # fmt: skip


def _lines(text: object) -> Tuple[str, ...]:
    return tuple(str(text).split("\n")) if text else ()
