# SPDX-License-Identifier: GPL-2.0-or-later
"""Surveys of made-up repositories, of any size: what the tests of ``multisig status``, its table and page share."""

from __future__ import annotations

import random
from typing import Dict, List, Mapping, Sequence, Tuple

from multisig.evidence import Evidence
from multisig.policy import Policy, ReleaseRequirement
from multisig.survey import Content, Row, Survey, make_people, make_row
from multisig.verdict import Approval, Code, ReleaseStanding, Verdict, judge, refuse
from tests.unit.core import CHANNEL, NOW, PEOPLE, digests, key, leaf, policy, public_key, rule, signer

DAY = 86400
NAMES = (
    "anvil", "atlas", "babel", "brook", "cargo", "delta", "ember", "flint", "grove", "harbor", "indigo", "juniper",
    "kernel", "lantern", "meadow", "nickel", "orchid", "pepper", "quartz", "ripple", "saffron", "timber", "umber",
    "velvet", "willow", "xenon", "yarrow", "zephyr",
)  # fmt: skip
SIGNERS = (
    signer("joanna", key(public_key("joanna", expires=NOW + 12 * DAY))),
    signer("simon", key(public_key("simon", expires=NOW - 40 * DAY))),
    signer("wiktor", retired=NOW - 90 * DAY),
)


def some_policy(*people: str) -> Policy:
    """Three of the builders, and a release that two of them sign."""
    asked = ReleaseRequirement(leaf(2), 14 * DAY)
    extra = tuple(signer(name) for name in people)
    return policy(rule(leaf(3, PEOPLE + people), release=asked), signers=(*SIGNERS, *extra))


def package(
    by: Policy, name: str, signed: Sequence[str], others: Sequence[Content] = (), file: str = "", note: str = ""
) -> Row:
    """A package that these people signed, and others with other content."""
    approvals = [Approval(person, CHANNEL, None, "0" * 64, "") for person in signed]
    found = Evidence((), (), (note,) if note else (), bool(others))
    rules = tuple(item for item in by.rules if item.require is not None)
    verdict = judge(
        by, rules, approvals, name=name, origin="demo", now=NOW, evidence=found,
        releases={item.name: standing(NOW + 9 * DAY) for item in rules},
    )  # fmt: skip
    return make_row(
        by, NOW, file=file or f"{name}.rpm", verdict=verdict, digests=digests(name), signers=signed, others=others
    )


def broken(by: Policy, file: str, message: str) -> Row:
    verdict: Verdict = refuse(file, "demo", Code.MALFORMED_RPM, message)
    return make_row(by, NOW, file=file, verdict=verdict)


def standing(ends: int, good: bool = True) -> ReleaseStanding:
    if not good:
        return ReleaseStanding("demo", CHANNEL, False, Code.EXPIRED, "the release statement of demo expired 3 days ago")
    text = "release 7 of demo, signed by joanna, marek"
    return ReleaseStanding("demo", CHANNEL, True, Code.OK, text, 7, "0" * 64, ends, ("joanna", "marek"))


def survey(by: Policy, rows: Sequence[Row], *, ends: int = NOW + 9 * DAY, notes: Tuple[str, ...] = ()) -> Survey:
    releases: Mapping[str, Tuple[ReleaseStanding, ReleaseRequirement]] = {
        item.name: (standing(ends, ends > NOW), item.release) for item in by.rules if item.release is not None
    }
    return Survey(
        "/srv/repos/demo",
        "demo-stable",
        by,
        "policy.yaml",
        NOW,
        tuple(rows),
        make_people(by, rows, NOW),
        releases,
        notes,
    )


def many(count: int, *people: str, seed: int = 1) -> Survey:
    """A repository as they are: most packages signed, some not yet, a few disputed or broken."""
    chance = random.Random(seed)
    by = some_policy(*people)
    everybody = [*PEOPLE, *people]
    rows: List[Row] = []
    seen: Dict[str, int] = {}
    for _ in range(count):
        base = "-".join(chance.sample(NAMES, chance.choice((1, 2, 2))))
        seen[base] = seen.get(base, 0) + 1
        arch = chance.choice(("x86_64", "noarch"))
        name = f"{base}-0:{chance.randint(0, 9)}.{chance.randint(0, 30)}-{seen[base]}.{arch}"
        luck = chance.random()
        if luck < 0.01:
            rows.append(broken(by, f"{name}.rpm", "an unknown tag; a package with it could mean anything (tag 60000)"))
            continue
        enough = 3 if luck < 0.9 else chance.randint(0, 2)
        signed = chance.sample(everybody, min(len(everybody), enough + chance.choice((0, 0, 1))))
        free = [person for person in everybody if person not in signed]
        others = [Content(digests("other"), tuple(free[:1]))] if free and chance.random() < 0.02 else []
        rows.append(package(by, name, [person for person in everybody if person in signed], others))
    return survey(by, rows)
