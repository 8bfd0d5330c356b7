# SPDX-License-Identifier: GPL-2.0-or-later
"""What the journal has kept of a package is found by its content, and whatever the journal holds is only evidence."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Iterator

import pytest

from multisig.bundle import Attestation, Bundle, encode
from multisig.errors import JournalError
from multisig.journal import Entry, Journal
from multisig.recall import Kept, Recall
from multisig.statement import Digests, Subject, statement_id
from multisig.verdict import Code, Verdict, refuse
from tests.unit.core import statement

NEVRA = "hello-0:1.0-1.noarch"
HERE = Digests("a" * 64, "b" * 128)
OTHER = Digests("c" * 64, "b" * 128)
ONE = Attestation(statement(Subject(NEVRA, HERE)), ("s1",))
TWO = Attestation(statement(Subject("other-0:1.0-1.noarch", OTHER)), ("s2",))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.sqlite")


def note(path: str, entry: Entry, *, stage: str = "at hand") -> None:
    Journal(path).record(
        [entry], time=1, stage=stage, mode="enforce", accepted=entry.verdict.accepted, serial=1, policy="p"
    )


def entry(*, bundle: "bytes | None" = None, origin: str = "demo", digests: "Digests | None" = HERE) -> Entry:
    verdict = Verdict(NEVRA, origin, True, Code.OK, "fine")
    return Entry(verdict, getattr(digests, "sha256", None), getattr(digests, "sha512", None), bundle)


@pytest.fixture
def recall(path: str) -> Iterator[Recall]:
    note(path, entry(bundle=encode(Bundle((ONE,)))))
    with Journal(path).reading() as database:
        yield Recall(database, path)


def found(kept: "Kept | None") -> "set[Attestation]":
    assert kept is not None
    return set(kept.held.together.attestations) if kept.held.together is not None else set()


def test_by_name_and_both_digests(recall: Recall) -> None:
    assert found(recall.content(NEVRA, HERE)) == {ONE}
    assert recall.content(NEVRA, OTHER) is None
    assert recall.content("other-0:1.0-1.noarch", HERE) is None
    assert recall.content(NEVRA, Digests(HERE.sha256, "d" * 128)) is None


def test_what_was_only_planned_was_not_judged(path: str, recall: Recall) -> None:
    note(path, entry(digests=OTHER), stage="planned")
    assert recall.content(NEVRA, OTHER) is None


def test_evidence_of_all_decisions_and_the_last_origin(path: str, recall: Recall) -> None:
    note(path, entry(bundle=encode(Bundle((TWO,))), origin="@rpm"))
    kept = recall.content(NEVRA, HERE)
    assert found(kept) == {ONE, TWO} and kept is not None and kept.origin == "@rpm"


def test_a_decision_that_was_not_carried_out_does_not_change_where_a_package_came_from(path: str) -> None:
    """One repository offers what came from another, together with what is refused: it would be judged by its rules."""
    note(path, entry(bundle=encode(Bundle((ONE,)))))
    Journal(path).finish(1, time=2)
    note(path, entry(bundle=encode(Bundle((TWO,))), origin="lab"))
    with Journal(path).reading() as database:
        kept = Recall(database, path).content(NEVRA, HERE)
    assert found(kept) == {ONE, TWO} and kept is not None and kept.origin == "demo"


def test_what_came_from_an_index_is_found_by_its_statement(path: str, recall: Recall) -> None:
    verdict = Verdict(NEVRA, "demo", True, Code.OK, "fine", statements=(statement_id(TWO.statement),))
    note(path, Entry(verdict, HERE.sha256, HERE.sha512, None, (TWO,)))
    assert found(recall.content(NEVRA, HERE)) == {ONE, TWO}


@pytest.mark.parametrize("junk", [b"", b"junk", b"[" * 20_000], ids=["none", "text", "deep"])
def test_junk_in_the_journal_takes_nothing_away(path: str, recall: Recall, junk: bytes) -> None:
    note(path, entry(bundle=junk))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO attestations VALUES ('x', ?, ?)", (statement_id(ONE.statement), junk))
    assert found(recall.content(NEVRA, HERE)) == {ONE}


def test_an_exemption_without_content_is_found_by_name(path: str, recall: Recall) -> None:
    assert recall.unread(NEVRA) is None
    note(path, Entry(Verdict(NEVRA, "lab", True, Code.EXEMPT, "built here")))
    kept = recall.unread(NEVRA)
    assert kept is not None and kept.exempted and kept.origin == "lab"
    note(path, Entry(refuse("bad-0:1-1.noarch", "lab", Code.MALFORMED_RPM, "no")))
    assert recall.unread("bad-0:1-1.noarch") is None


def test_a_journal_that_is_not_there_or_older(tmp_path: Path, path: str) -> None:
    with pytest.raises(JournalError), Journal(path).reading():
        pass
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 1")
    with pytest.raises(JournalError), Journal(path).reading():
        pass


def test_a_journal_that_breaks_while_it_is_read(path: str, recall: Recall) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE packages")
    with pytest.raises(JournalError):
        recall.content(NEVRA, HERE)
