# SPDX-License-Identifier: GPL-2.0-or-later
"""What the journal has kept of a package's content: where it came from, and the evidence that there was for it."""

from __future__ import annotations

import sqlite3
import zlib
from typing import Dict, List, Optional

from multisig import index
from multisig.bundle import Attestation
from multisig.errors import BundleError, JournalError
from multisig.held import Held, hold
from multisig.namedtuples import NamedTuple
from multisig.statement import Digests

_MAX_ATTESTATION = 64 << 20


class Kept(NamedTuple):
    """``origin``: the repository's id at the last decision that was carried out, or where none is known to be, the last
    of all.

    ``held``: all the evidence of all decisions, as one. ``exempted``: nothing was checked at the decision that
    ``origin`` is of, as the policy said then.
    """

    origin: str
    held: Held
    exempted: bool


class Recall:
    """Asks a journal that is open for reading, of the version that the program writes. Raises JournalError."""

    def __init__(self, database: sqlite3.Connection, path: str) -> None:
        self._database = database
        self._path = path
        self._statements: Dict[str, List[Attestation]] = {}

    def content(self, nevra: str, digests: Digests) -> Optional[Kept]:
        """Of content that was judged at hand; None where none of these digests was."""
        where = "packages.name = ? AND packages.sha256 = ? AND packages.sha512 = ?"
        return self._kept(where, nevra, digests.sha256, digests.sha512)

    def unread(self, nevra: str) -> Optional[Kept]:
        """Of a package that went in by an exemption without its content being read, by its name alone."""
        return self._kept("packages.name = ? AND packages.sha256 IS NULL AND packages.code = 'exempt'", nevra)

    def _kept(self, where: str, *values: str) -> Optional[Kept]:
        plain = [value.encode("utf-8", "backslashreplace").decode("utf-8") for value in values]
        query = (
            "SELECT packages.origin, packages.code, packages.statements, bundles.content FROM packages"
            " JOIN decisions ON decisions.id = packages.decision LEFT JOIN bundles ON bundles.sha256 = packages.bundle"
            f" WHERE decisions.stage = 'at hand' AND {where}"
            # What was refused, or never carried out, says nothing of where the package came from.
            " ORDER BY decisions.finished IS NULL, packages.rowid DESC"
        )
        try:
            rows = self._database.execute(query, plain).fetchall()
            if not rows:
                return None
            raw = tuple(dict.fromkeys(row[3] for row in rows if row[3] is not None))
            shared: Dict[Attestation, None] = {}
            for identifier in dict.fromkeys(word for row in rows for word in str(row[2]).split("\n") if word):
                shared.update(dict.fromkeys(self._attestations(identifier)))
            # Which of them came together is not kept: each has its own tries.
            held = hold(raw, tuple(shared), starts=tuple(range(len(shared))))
            return Kept(str(rows[0][0]), held, rows[0][1] == "exempt")
        except (sqlite3.Error, TypeError) as error:
            raise JournalError(f"the journal cannot be read: {error}", path=self._path) from None

    def _attestations(self, identifier: str) -> List[Attestation]:
        """Those of one statement; what the journal holds of another form is passed over, as anywhere."""
        if identifier not in self._statements:
            found = []
            query = "SELECT content FROM attestations WHERE statement = ? ORDER BY sha256"
            for (content,) in self._database.execute(query, (identifier,)):
                try:
                    line = zlib.decompressobj().decompress(content, _MAX_ATTESTATION)
                    found.append(index.parse_line(line))
                except (zlib.error, BundleError):
                    continue
            self._statements[identifier] = found
        return self._statements[identifier]
