# SPDX-License-Identifier: GPL-2.0-or-later
"""How a repository stands: who signed, who is asked to, who signed another content; in a table, in lines, as JSON."""

from __future__ import annotations

import json
from typing import List

import pytest

from multisig.cli import statustext
from multisig.cli.statusjson import survey_json
from multisig.survey import Cell, Content, State, Survey
from tests.unit.core import NOW, PEOPLE, any_of, digests, exemption, leaf, policy, rule, signer
from tests.unit.survey_bench import DAY, broken, many, package, some_policy, survey

BY = some_policy()
OTHER = Content(digests("other"), ("joanna",))


def cells(found: Survey, row: int = 0) -> List[str]:
    return [found.rows[row].cells[name].name for name in PEOPLE]


# --- cells and states ------------------------------------------------------------------------------------------------


def test_who_signed_who_is_asked_and_who_cannot_sign_any_more() -> None:
    found = survey(BY, [package(BY, "hello-0:1-1.noarch", ["marek"])])
    assert cells(found) == ["SIGNED", "MISSING", "MISSING", "UNABLE", "UNABLE"]
    assert found.rows[0].state is State.LACKING


def test_nobody_is_asked_for_what_is_approved_already() -> None:
    found = survey(BY, [package(BY, "hello-0:1-1.noarch", ["marek", "rafal", "simon"])])
    assert cells(found) == ["SIGNED", "OPEN", "SIGNED", "SIGNED", "UNABLE"]
    assert found.rows[0].state is State.APPROVED


def test_who_signed_another_content_is_told_from_who_signed_nothing() -> None:
    found = survey(BY, [package(BY, "hello-0:1-1.noarch", ["marek"], [OTHER])])
    assert cells(found) == ["SIGNED", "OTHER", "MISSING", "UNABLE", "UNABLE"]
    assert (found.rows[0].disputed, found.disputed) == (True, 1)


def test_where_only_another_content_was_signed_that_is_the_state() -> None:
    found = survey(BY, [package(BY, "hello-0:1-1.noarch", [], [OTHER])])
    assert found.rows[0].state is State.OTHER_CONTENT


def test_a_dispute_does_not_take_an_approval_away() -> None:
    row = package(BY, "hello-0:1-1.noarch", ["marek", "rafal", "simon"], [OTHER])
    assert (row.state, row.disputed) == (State.APPROVED, True)


def test_people_whom_no_rule_asks_are_left_out() -> None:
    by = policy(rule(leaf(1, ("marek",))), signers=[signer("stranger")])
    row = package(by, "hello-0:1-1.noarch", [])
    assert row.cells["stranger"] is Cell.UNASKED
    assert row.people(Cell.MISSING) == ("marek",)


def test_what_cannot_be_read_asks_nobody() -> None:
    row = broken(BY, "broken.rpm", "no package")
    assert row.state is State.PROBLEM
    assert set(row.cells.values()) == {Cell.UNASKED}


def test_every_persons_counts_are_those_of_their_column() -> None:
    found = many(300)
    for person in found.people:
        column = [row.cells[person.name] for row in found.rows]
        assert person.signed == column.count(Cell.SIGNED)
        assert person.missing == column.count(Cell.MISSING)
        assert person.other == column.count(Cell.OTHER)
    assert sum(found.count(state) for state in State) == 300


def test_whose_key_is_about_to_end_is_said() -> None:
    standings = {person.name: (person.standing, person.able) for person in survey(BY, []).people}
    assert standings == {
        "marek": ("", True),
        "joanna": ("key expires soon", True),
        "rafal": ("", True),
        "simon": ("key expired", False),
        "wiktor": ("retired", False),
    }


def test_a_compromised_person_is_not_asked() -> None:
    by = policy(rule(leaf(3)), signers=[signer("rafal", compromised=True)])
    found = survey(by, [package(by, "hello-0:1-1.noarch", ["marek"])])
    assert found.rows[0].cells["rafal"] is Cell.UNABLE
    assert [person.standing for person in found.people] == ["", "", "compromised", "", ""]


def test_an_approved_package_asks_nobody_for_what_else_would_have_done() -> None:
    by = policy(rule(any_of(leaf(1, ("marek",)), leaf(3))))
    row = package(by, "hello-0:1-1.noarch", ["marek"])
    assert row.verdict.accepted
    assert row.people(Cell.MISSING) == ()


def test_an_exempt_package_asks_nobody() -> None:
    by = policy(exemption())
    row = package(by, "hello-0:1-1.noarch", [])
    assert row.verdict.message
    assert Cell.MISSING not in row.cells.values()


# --- as JSON ---------------------------------------------------------------------------------------------------------


def test_json_says_all_of_it() -> None:
    rows = [package(BY, "hello-0:1-1.noarch", ["marek"], [OTHER], note="rafal: the key is revoked")]
    found = json.loads(survey_json(survey(BY, rows, notes=("a note",))))
    (hello,) = found["packages"]
    assert found["error"] is None
    assert found["totals"] == {
        "packages": 1, "approved": 0, "exempt": 0, "lacks signatures": 1, "other content": 0, "cannot be approved": 0,
        "disputed": 1,
    }  # fmt: skip
    assert (hello["state"], hello["code"], hello["accepted"]) == ("lacks signatures", "below-threshold", False)
    assert (hello["signed"], hello["missing"]) == (["marek"], ["rafal"])
    assert hello["others"] == [
        {"sha256": digests("other").sha256, "sha512": digests("other").sha512, "signers": ["joanna"]}
    ]
    assert hello["ignored"] == ["rafal: the key is revoked"]
    assert found["releases"][0]["serial"] == 7
    assert [person["ends"] for person in found["people"]][:2] == [None, "2024-07-15T09:46:40Z"]
    assert found["notes"] == ["a note"]


def test_json_survives_names_that_are_no_text() -> None:
    found = json.loads(survey_json(survey(BY, [broken(BY, "\udcff\u202e<script>.rpm", "broken")])))
    assert found["packages"][0]["name"] == "\udcff\u202e<script>.rpm"


# --- in a terminal ---------------------------------------------------------------------------------------------------


def test_lines_for_a_pipe_name_every_package_of_a_small_repository(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        package(BY, "hello-0:1-1.noarch", ["marek"], [OTHER]),
        package(BY, "a-0:1-1.noarch", ["marek", "rafal", "simon"]),
    ]
    statustext.show(survey(BY, rows), every=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "/srv/repos/demo: 2 packages: 1 approved, 1 lacks signatures (1 disputed)"
    assert lines[1].startswith('rule "our packages": release 7 of demo, signed by joanna, marek; good until 2024-07-12')
    assert "hello-0:1-1.noarch  lacks signatures; signed: marek; other content: joanna; missing: rafal" in lines
    assert "a-0:1-1.noarch  approved; signed: marek, rafal, simon" in lines
    assert any(line.startswith("hello-0:1-1.noarch: joanna signed other content, ") for line in lines)
    assert "joanna: key expires soon (2024-07-15 09:46 UTC, in 12 days)" in lines


def test_of_many_only_those_are_shown_that_need_somebody(capsys: pytest.CaptureFixture[str]) -> None:
    found = many(500)
    statustext.show(found, every=False)
    short = capsys.readouterr().out
    statustext.show(found, every=True)
    long = capsys.readouterr().out
    needing = [row.verdict.name for row in found.rows if not row.verdict.accepted or row.disputed]
    assert all(name in short for name in needing)
    assert f"{500 - len(needing)} more, which need nobody" in short
    assert all(row.verdict.name in long for row in found.rows)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202e", "\udcff", "[bold]"])
def test_nothing_that_a_terminal_obeys_is_shown(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    statustext.show(survey(BY, [broken(BY, text, text)], notes=(text,)), every=True)
    shown = capsys.readouterr().out
    assert not set("\x1b\u202e\udcff") & set(shown)
    assert shown.count("\n") == len(statustext._people(survey(BY, []))) + 5


def test_a_release_that_is_over_or_nearly_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    statustext.show(survey(BY, [], ends=NOW - DAY), every=False)
    first = capsys.readouterr().out.splitlines()[1]
    assert first == 'rule "our packages": the release statement of demo expired 3 days ago'
    statustext.show(survey(BY, [], ends=NOW + DAY), every=False)
    assert "expires in 24 hours" in capsys.readouterr().out.splitlines()[1]
