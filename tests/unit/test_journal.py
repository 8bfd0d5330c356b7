# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal: whole decisions or none, and no silence where it cannot be written."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from fixtures.running import CHECKOUT
from multisig.errors import JournalError
from multisig.journal import _STEPS, Decision, Entry, Journal
from multisig.statement import Subject, statement_id
from multisig.verdict import Code, HeldBack, RuleOutcome, Verdict
from tests.unit.core import attest, digests, statement

ACCEPTED = Verdict(
    "hello-0:1.0-1.noarch",
    "fedora",
    True,
    Code.OK,
    "3 of 3 builders signed",
    (RuleOutcome("our packages", True), RuleOutcome("names", True)),
    ("marek", "joanna"),
    statements=("a" * 64,),
)
REFUSED = Verdict("world-0:1.0-1.noarch", "@commandline", False, Code.NO_BUNDLE, "no bundle")


def record(journal: Journal, *entries: Entry, accepted: bool = True, time: int = 1000, serial: int = 7) -> int:
    return journal.record(
        entries, time=time, stage="at hand", mode="enforce", accepted=accepted, serial=serial, policy="f" * 64
    )


def history(path: Path) -> List[Decision]:
    return list(Journal(str(path)).history())


def test_what_was_recorded_is_history(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.sqlite"
    journal = Journal(str(path))
    first = record(journal, Entry(ACCEPTED, "1" * 64, "2" * 128, b"bundle"), Entry(REFUSED), accepted=False)
    second = record(journal, Entry(ACCEPTED), time=2000)
    journal.finish(second, time=2001)
    one, two = history(path)
    assert (one.id, one.time, one.stage, one.mode, one.accepted) == (first, 1000, "at hand", "enforce", False)
    assert (one.policy_serial, one.policy_sha256, one.finished) == (7, "f" * 64, None)
    assert (two.id, two.accepted, two.finished) == (second, True, 2001)
    hello, world = one.packages
    assert (hello.name, hello.origin, hello.accepted, hello.code) == ("hello-0:1.0-1.noarch", "fedora", True, "ok")
    assert hello.rules == ("our packages", "names")
    assert hello.signers == ("marek", "joanna")
    assert (world.name, world.accepted, world.code, world.rules, world.bundle) == (
        "world-0:1.0-1.noarch", False, "no-bundle", (), None,
    )  # fmt: skip


def test_the_bundle_that_decided_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for _ in range(3):
        record(Journal(str(path)), Entry(ACCEPTED, bundle=b"one"), Entry(ACCEPTED, bundle=b"two"))
    with closing(sqlite3.connect(path)) as database, database:
        assert {row[0] for row in database.execute("SELECT content FROM bundles")} == {b"one", b"two"}
        assert database.execute("SELECT count(*) FROM bundles").fetchone() == (2,)


def test_what_counted_from_elsewhere_is_kept_once_for_all_its_packages(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    text = statement(*(Subject(f"p{number}-0:1-1.noarch", digests(str(number))) for number in range(1000, 3000)))
    batch = attest(text, "marek", "joanna")
    counted = ACCEPTED._replace(statements=(statement_id(text),))
    for _ in range(3):
        record(Journal(str(path)), *(Entry(counted, attestations=(batch,)) for _ in range(1000)))
    with closing(sqlite3.connect(path)) as database, database:
        ((name, of, content),) = database.execute("SELECT * FROM attestations").fetchall()
        rows = database.execute("SELECT DISTINCT statements FROM packages").fetchall()
    line = zlib.decompress(content)
    assert name == hashlib.sha256(line).hexdigest()
    assert rows == [(of,)] == [(statement_id(text),)]
    assert json.loads(line) == {"statement": text, "signatures": list(batch.signatures)}
    assert path.stat().st_size < 2_000_000


def test_what_is_held_back_is_held_back_since_it_first_was(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal.sqlite"))
    one, two = (HeldBack(name, "demo", "needs 1 more of: rafal") for name in ("a-0:1-1.noarch", "b-0:1-1.noarch"))
    assert journal.hold_back([one], time=1000) == {one: 1000}
    assert journal.hold_back([one, two], time=2000) == {one: 1000, two: 2000}
    elsewhere = one._replace(origin="other")
    again = one._replace(message="needs 2 more of: rafal, simon")
    assert journal.hold_back([elsewhere, again], time=3000) == {elsewhere: 3000, again: 1000}
    assert journal.hold_back([], time=4000) == {}
    with pytest.raises(JournalError):
        Journal("/dev/full").hold_back([one], time=1)


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\udc80", "'; DROP TABLE decisions; --", "é" * 9000, ""])
def test_odd_text_is_kept_and_breaks_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "journal.sqlite"
    odd = Verdict(name, name, False, Code.NO_RULE, name, ignored=(name,))
    record(Journal(str(path)), Entry(odd))
    record(Journal(str(path)), Entry(ACCEPTED))
    first, second = history(path)
    assert first.packages[0].name == name.encode("utf-8", "backslashreplace").decode()
    assert second.packages[0].name == ACCEPTED.name


def test_a_decision_of_a_thousand_packages_is_one_row_with_a_thousand(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    record(Journal(str(path)), *(Entry(ACCEPTED, bundle=b"%d" % number) for number in range(1000)))
    (decision,) = history(path)
    assert len(decision.packages) == 1000


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: record(Journal(str(path)), Entry(ACCEPTED), time=number), range(24)))
    assert sorted(numbers) == list(range(1, 25))
    assert sorted(decision.time for decision in history(path)) == list(range(24))


def a_folder(path: Path) -> None:
    path.mkdir()


def text(path: Path) -> None:
    path.write_text("not a database, and long enough to be looked at\n" * 99)


def other_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 99")


def other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 1")


def truncated(path: Path) -> None:
    record(Journal(str(path)), Entry(ACCEPTED, bundle=os.urandom(9000)))
    path.write_bytes(path.read_bytes()[:5000])


def behind_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("in the way")


BROKEN: Dict[str, Callable[[Path], None]] = {
    function.__name__: function for function in (a_folder, text, other_version, other_tables, truncated, behind_a_file)
}


@pytest.mark.parametrize("how", sorted(BROKEN))
def test_a_journal_that_cannot_be_used_is_an_error_for_writer_and_reader(tmp_path: Path, how: str) -> None:
    path = tmp_path / "folder" / "journal.sqlite"
    path.parent.mkdir()
    BROKEN[how](path)
    with pytest.raises(JournalError) as caught:
        record(Journal(str(path)), Entry(ACCEPTED))
    assert str(path) in str(caught.value)
    with pytest.raises(JournalError):
        history(path)
    with pytest.raises(JournalError):
        Journal(str(path)).finish(1, time=1)


@pytest.mark.parametrize("place", ["/dev/full", "/dev/null", "/proc/nothing/journal", "/proc/journal"])
def test_a_place_where_nothing_can_be_kept_is_an_error(place: str) -> None:
    with pytest.raises(JournalError):
        record(Journal(place), Entry(ACCEPTED))


def test_no_journal_is_an_error_for_the_reader_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        history(tmp_path / "journal.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_reading_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    record(Journal(str(path)), Entry(ACCEPTED))
    before = path.read_bytes()
    history(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import resource, signal, sys
sys.path.insert(0, {checkout!r})
from multisig.errors import JournalError
from tests.unit.test_journal import ACCEPTED, Entry, Journal, record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    record(Journal({path!r}), *(Entry(ACCEPTED, bundle=b"%d" % number * 500) for number in range(300)))
except JournalError as error:
    print(error)
    sys.exit(3)
"""


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    record(Journal(str(path)), Entry(ACCEPTED))
    script = WRITER.format(checkout=str(CHECKOUT), limit=100_000, path=str(path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr.decode()
    assert str(path).encode() in done.stdout
    assert [decision.id for decision in history(path)] == [1]
    assert record(Journal(str(path)), Entry(REFUSED), accepted=False) == 2


# --- releases of repositories ----------------------------------------------------------------------------------------


def remember(journal: Journal, serial: int, repo: str = "demo", channel: str = "stable") -> None:
    journal.remember_release(repo, channel, serial, time=1000, statement="a" * 64, bundle=b"bundle")


def test_the_highest_release_of_each_repository_and_channel_is_remembered(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal.sqlite"))
    assert journal.newest_release("demo", "stable") == 0
    for serial in (5, 7, 6, 7):
        remember(journal, serial)
    remember(journal, 9, channel="testing")
    remember(journal, 11, repo="other")
    assert journal.newest_release("demo", "stable") == 7
    assert journal.newest_release("demo", "testing") == 9
    assert journal.newest_release("Demo", "stable") == 0


def test_the_highest_policy_of_each_channel_is_remembered(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "folder" / "journal.sqlite"))
    assert journal.newest_policy("demo") == 0
    assert list(tmp_path.iterdir()) == []
    for serial in (5, 10**18 - 1, 6):
        journal.remember_policy("demo", serial, time=1000, sha256="a" * 64)
    journal.remember_policy("", 3, time=1000, sha256="b" * 64)
    assert journal.newest_policy("demo") == 10**18 - 1
    assert journal.newest_policy("") == 3
    assert journal.newest_policy("other") == 0


def test_asking_for_a_release_makes_no_journal(tmp_path: Path) -> None:
    assert Journal(str(tmp_path / "folder" / "journal.sqlite")).newest_release("demo", "stable") == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", sorted(set(BROKEN) - {"behind_a_file"}))
def test_a_journal_that_cannot_tell_what_was_seen_is_an_error(tmp_path: Path, how: str) -> None:
    """Taken for an empty one it would let an old release in."""
    path = tmp_path / "folder" / "journal.sqlite"
    path.parent.mkdir()
    BROKEN[how](path)
    if how == "other_tables":
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA user_version = 2")
    with pytest.raises(JournalError):
        Journal(str(path)).newest_release("demo", "stable")
    if how == "other_tables":
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA user_version = 5")
    with pytest.raises(JournalError):
        Journal(str(path)).newest_policy("demo")


def first_version(path: Path) -> None:
    """A journal as the first version of the schema had it, with a decision."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_STEPS[0])
        database.execute("PRAGMA user_version = 1")
        database.execute("INSERT INTO decisions VALUES (1, 1000, 'at hand', 'enforce', 1, 7, 'f', NULL)")
        database.execute(
            "INSERT INTO packages VALUES (1, 'hello-0:1.0-1.noarch', 'demo', 1, 'ok', '', '', '', '', NULL, NULL, NULL)"
        )


def test_an_older_journal_is_read_as_it_is_and_grows_when_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first_version(path)
    before = path.read_bytes()
    assert [row.name for decision in history(path) for row in decision.packages] == ["hello-0:1.0-1.noarch"]
    assert Journal(str(path)).newest_release("demo", "stable") == 0
    assert path.read_bytes() == before
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda serial: remember(Journal(str(path)), serial), range(1, 9)))
    assert Journal(str(path)).newest_release("demo", "stable") == 8
    assert len(history(path)) == 1


def test_an_upgraded_journal_has_the_schema_of_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    first_version(old)
    for path in (old, new):
        record(Journal(str(path)), Entry(ACCEPTED))
    schemas = []
    for path in (old, new):
        with closing(sqlite3.connect(path)) as database, database:
            schemas.append(database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall())
    assert schemas[0] == schemas[1]
