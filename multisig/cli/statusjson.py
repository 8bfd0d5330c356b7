# SPDX-License-Identifier: GPL-2.0-or-later
"""``multisig status --json``: one object (docs/formats.md)."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional

from multisig.errors import MultisigError
from multisig.survey import Cell, Person, Row, State, Survey
from multisig.times import LAST_SECOND, timestamp
from multisig.verdict import ReleaseStanding


def survey_json(survey: Survey) -> str:
    """The whole survey."""
    return json.dumps(
        {
            "error": None,
            "repository": survey.repository,
            "repo": survey.repo,
            "time": _time(survey.now),
            "policy": {"serial": survey.policy.serial, "sha256": survey.policy.sha256},
            "totals": totals(survey),
            "releases": [_release(rule, standing) for rule, (standing, _) in survey.releases.items()],
            "people": [_person(person) for person in survey.people],
            "packages": [_row(row) for row in survey.rows],
            "notes": list(survey.notes),
        }
    )


def error_text(error: MultisigError) -> str:
    """The same object where nothing could be told."""
    empty: Dict[str, Any] = {"error": {"code": error.code, "message": str(error)}}
    for key in ("repository", "repo", "time", "policy", "totals"):
        empty[key] = None
    for key in ("releases", "people", "packages", "notes"):
        empty[key] = []
    return json.dumps(empty)


def totals(survey: Survey) -> Mapping[str, int]:
    """How many packages there are of each state, and how many that somebody signed with another content."""
    counts = {state.value: survey.count(state) for state in State}
    return {"packages": len(survey.rows), **counts, "disputed": survey.disputed}


def _release(rule: str, standing: ReleaseStanding) -> Mapping[str, object]:
    return {
        "rule": rule,
        "good": standing.good,
        "code": standing.code.value,
        "serial": standing.serial or None,
        "ends": _time(standing.ends or None),
        "signers": list(standing.signers),
        "message": standing.text,
    }


def _person(person: Person) -> Mapping[str, object]:
    return {
        "name": person.name,
        "groups": list(person.groups),
        "keys": list(person.fingerprints),
        "able": person.able,
        "ends": _time(person.ends),
        "standing": person.standing,
        "signed": person.signed,
        "other": person.other,
        "missing": person.missing,
    }


def _row(row: Row) -> Mapping[str, object]:
    verdict = row.verdict
    return {
        "name": verdict.name,
        "file": row.file,
        "accepted": verdict.accepted,
        "state": row.state.value,
        "code": verdict.code.value,
        "message": verdict.message,
        "rules": [outcome.rule for outcome in verdict.rules],
        "sha256": None if row.digests is None else row.digests.sha256,
        "signed": list(row.people(Cell.SIGNED)),
        "missing": list(row.people(Cell.MISSING)),
        "others": [
            {"sha256": content.digests.sha256, "sha512": content.digests.sha512, "signers": list(content.signers)}
            for content in row.others
        ],
        "ignored": list(verdict.ignored),
    }


def _time(second: Optional[int]) -> Optional[str]:
    return None if second is None else timestamp(min(second, LAST_SECOND))
