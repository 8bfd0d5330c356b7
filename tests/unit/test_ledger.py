# SPDX-License-Identifier: GPL-2.0-or-later
"""A signer's ledger: whatever was signed is in it, whatever happened on the way."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict

import pytest

from multisig.errors import LedgerError, UnreadableError
from multisig.ledger import Entry, append, entry_for, read_ledger, signed_statements
from multisig.statement import Kind, Subject, make, statement_id
from tests.unit.core import CHANNEL, NEVRA, NOW, digests, fingerprint, statement

KEY = fingerprint("marek")


def entry(number: int = 0, key: str = KEY) -> Entry:
    return Entry("2026-01-31T12:00:00Z", key, "rpm", CHANNEL, f"{number:064x}", (NEVRA,))


def test_what_is_appended_is_read_again_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ledger.jsonl"
    for number in range(3):
        append(str(path), entry(number))
    assert read_ledger(str(path)) == tuple(entry(number) for number in range(3))
    assert path.read_text().splitlines()[0] == '{"multisig": "ledger/v1"}'


def test_it_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "ledger.jsonl"
    append(str(path), entry())
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_an_entry_says_what_was_signed_when_with_which_key_and_for_what() -> None:
    text = statement()
    found = entry_for(make(Kind.RPM, CHANNEL, [Subject(NEVRA, digests())]), text, KEY, NOW)
    assert found == Entry("2024-07-03T09:46:40Z", KEY, "rpm", CHANNEL, statement_id(text), (NEVRA,))


def test_processes_at_once_lose_no_entry_and_mix_no_lines(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(path, entry(number)), range(100)))
    assert sorted(item.statement for item in read_ledger(path)) == [f"{number:064x}" for number in range(100)]


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_a_line_that_a_crash_cut_off_stays_alone(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    append(str(path), entry(1))
    append(str(path), entry(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    append(str(path), entry(3))
    kept = [entry(1), *([entry(2)] if cut == 1 else []), entry(3)]
    assert list(read_ledger(str(path))) == kept


BROKEN: Dict[str, Callable[[str], str]] = {
    "nothing": lambda text: "",
    "no header": lambda text: text.partition("\n")[2],
    "another header": lambda text: text.replace("ledger/v1", "ledger/v2"),
    "a key too many": lambda text: text.replace('"kind"', '"more": "x", "kind"'),
    "a key too few": lambda text: text.replace('"kind": "rpm", ', ""),
    "a short fingerprint": lambda text: text.replace(KEY, KEY[1:]),
    "a number for a name": lambda text: text.replace(f'"{NEVRA}"', "1"),
    "names that are no list": lambda text: text.replace(f'["{NEVRA}"]', f'"{NEVRA}"'),
    "a list": lambda text: text + "[]\n",
    "two entries on a line": lambda text: text.rstrip("\n") + text.splitlines()[1] + "\n",
    "text": lambda text: "a diary\n",
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_what_is_no_ledger_is_not_read_as_an_empty_one(tmp_path: Path, what: str) -> None:
    path = tmp_path / "ledger.jsonl"
    append(str(path), entry())
    path.write_text(BROKEN[what](path.read_text()))
    with pytest.raises(LedgerError) as caught:
        read_ledger(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_ledger_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        read_ledger(str(tmp_path / "ledger.jsonl"))


@pytest.mark.parametrize("place", ["file/ledger.jsonl", "folder", "fifo"])
def test_where_nothing_can_be_written_nothing_may_be_signed(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(LedgerError) as caught:
        append(str(tmp_path / place), entry())
    assert place in str(caught.value)


def test_statements_are_told_apart_by_key() -> None:
    other = fingerprint("joanna")
    entries = [entry(1), entry(2), entry(2), entry(3, other)]
    assert signed_statements(entries) == {KEY: {f"{1:064x}", f"{2:064x}"}, other: {f"{3:064x}"}}


def test_an_entry_is_one_line_of_ascii_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    odd = Entry("x", KEY, "file", CHANNEL, "0" * 64, ("line\nbreak \u2028 é.iso",))
    append(str(path), odd)
    assert len(path.read_bytes().splitlines()) == 2
    assert read_ledger(str(path)) == (odd,)
    assert json.loads(path.read_text(encoding="ascii").splitlines()[1])["names"] == list(odd.names)
