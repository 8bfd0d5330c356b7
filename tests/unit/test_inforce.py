# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy in force, as every front end looks at it: put back, or not to be reached much longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from multisig.errors import JournalError, RefusedError
from multisig.inforce import look_at, remember
from multisig.journal import Journal
from tests.unit.core import NOW, key, leaf, policy, public_key, rule, signer

DAY = 86400
KEPT = policy(rule(leaf(1)), quorum=leaf(1), channel="p")._replace(serial=7)
OWN = KEPT._replace(quorum=None, channel=None)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal.sqlite"))


def test_an_older_policy_with_a_quorum_is_refused_and_in_warn_mode_said(journal: Journal) -> None:
    remember(KEPT, journal, now=NOW)
    for serial in (7, 8):
        assert look_at(KEPT._replace(serial=serial), journal, now=NOW, enforcing=True) == ()
    with pytest.raises(RefusedError, match="the policy has the serial 6, but here a later one was in force, with 7"):
        look_at(KEPT._replace(serial=6), journal, now=NOW, enforcing=True)
    (text,) = look_at(KEPT._replace(serial=6), journal, now=NOW, enforcing=False)
    assert "somebody has put an old one back" in text


def test_an_administrators_older_policy_is_said(journal: Journal) -> None:
    remember(OWN, journal, now=NOW)
    (text,) = look_at(OWN._replace(serial=6), journal, now=NOW, enforcing=True)
    assert "if that is meant, give it a higher serial than 7" in text


def test_channels_have_serials_of_their_own(journal: Journal) -> None:
    remember(KEPT, journal, now=NOW)
    assert look_at(KEPT._replace(serial=1, channel="q"), journal, now=NOW, enforcing=True) == ()


def test_an_older_policy_is_not_remembered_in_place_of_a_later_one(journal: Journal) -> None:
    for serial in (7, 3, 5):
        remember(KEPT._replace(serial=serial), journal, now=NOW)
    assert journal.newest_policy("p") == 7


def test_a_threshold_that_goes_out_of_reach_is_said(journal: Journal) -> None:
    ending = [signer("marek", key(public_key("marek", expires=NOW + DAY)))]
    soon = policy(rule(leaf(1, ["marek"])), signers=ending)
    (text,) = look_at(soon, journal, now=NOW, enforcing=True)
    assert "nobody can reach 1 of builders" in text


def test_a_journal_that_cannot_tell_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_text("no database" * 100)
    with pytest.raises(JournalError):
        look_at(KEPT, Journal(str(tmp_path / "journal.sqlite")), now=NOW, enforcing=True)
