# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the gate share: real packages, made-up signatures, and one call that judges."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import Rpm
from fixtures.rpmjudge import Package as File
from fixtures.rpmjudge import judged, opened
from multisig.gate import Gate, Judged, Package
from multisig.openpgp import Engine
from multisig.policy import Policy
from multisig.statement import Subject
from multisig.verdict import Code
from tests.unit.core import (
    CHANNEL,
    NEVRA,
    NOW,
    FakeEngine,
    FakeSource,
    attest,
    bundle,
    leaf,
    policy,
    rule,
    statement,
)

POLICY = policy(rule(leaf(3)))


def planned(name: str = "hello", repo: str = "fedora", nevra: str = NEVRA, key: int = 1) -> Package:
    return Package(key, nevra, name, repo)


def text_for(package: File, payload: Optional[str] = None, channel: str = CHANNEL) -> str:
    subject = judged(package)
    return statement(Subject(subject.name, subject.digests, payload), channel=channel)


def signed(package: File, *names: str) -> bytes:
    return bundle(attest(text_for(package), *names))


def at_hand(
    package: File,
    raw: Optional[bytes] = None,
    *,
    by: Policy = POLICY,
    plan: Optional[Package] = None,
    engine: Optional[Engine] = None,
    source: Optional[FakeSource] = None,
    gate: Optional[Gate] = None,
) -> Judged:
    plan = plan or planned()
    source = source or FakeSource({} if raw is None else {plan.key: raw})
    gate = gate or Gate(by, engine or FakeEngine(), now=NOW, workers=2)
    with opened(package) as fd:
        return gate.judge_file(fd, "hello.rpm", plan, source).result()


def code(found: Judged) -> Code:
    assert found.verdict.accepted is (found.verdict.code in (Code.OK, Code.EXEMPT))
    return found.verdict.code


def build_packages(cache: Path) -> Dict[str, Rpm]:
    """By real rpmbuild."""
    specs = {"hello": "hello.spec", "world": "world.spec"}
    return {name: Rpm.read(build(Recipe(spec), BUILDERS["marek"], cache)[0]) for name, spec in specs.items()}
