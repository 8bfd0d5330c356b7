# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/checking.py: signatures over one statement are verified together where the engine can, and count no more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import List, Optional, Sequence, Tuple

import pytest

from multisig.bundle import Attestation, Bundle
from multisig.checking import Case, Checker, Question
from multisig.errors import EngineError
from multisig.evidence import Wanted, collect
from multisig.held import Held
from multisig.openpgp import Checked, Outcome, PublicKey, Signature
from multisig.statement import Kind
from tests.unit.core import (
    CHANNEL,
    NEVRA,
    NOW,
    PEOPLE,
    FakeEngine,
    attest,
    digests,
    leaf,
    policy,
    rule,
    statement,
)

POLICY = policy(rule(leaf(3)))


class Together(FakeEngine):
    """An engine that can be asked about several at once; it knows nothing of the keys called ``unsure`` then."""

    def __init__(self, *unsure: str, bad: Sequence[str] = ()) -> None:
        super().__init__(dict.fromkeys(bad, Outcome.BAD))
        self.unsure = unsure
        self.groups: List[Tuple[bytes, List[str]]] = []
        self.alone: List[str] = []

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        self.alone.append(key.user_ids[0])
        return super().verify(data, signature, key)

    def verify_together(self, data: bytes, asked: Sequence[Tuple[Signature, PublicKey]]) -> List[Optional[Checked]]:
        self.groups.append((data, [key.user_ids[0] for _, key in asked]))
        return [
            None if key.user_ids[0] in self.unsure else super(Together, self).verify(data, signature, key)
            for signature, key in asked
        ]


ONE, ANOTHER = statement(), statement(source="git+https://example.org/hello@1")


def case(*attestations: Attestation) -> Case:
    bundle = Bundle(attestations)
    evidence = collect(bundle, POLICY, Wanted(Kind.RPM, NEVRA, digests(), frozenset({CHANNEL})), NOW)
    question = Question(Kind.RPM, NEVRA, digests(), "current", POLICY.rules, Held(together=bundle))
    return Case(question, evidence)


def check(engine: FakeEngine, *cases: Case) -> List[List[str]]:
    """Who approved each."""
    with ThreadPoolExecutor(2) as pool:
        checker = Checker(POLICY, engine, pool, now=NOW)
        for item in cases:
            checker.begin(item)
        checker.verify(cases)
    return [[found.signer for found in item.approvals] for item in cases]


def test_signatures_over_one_statement_are_verified_together() -> None:
    engine = Together()
    assert check(engine, case(attest(ONE, *PEOPLE))) == [list(PEOPLE[:3])]
    assert engine.groups == [(ONE.encode(), list(PEOPLE[:3]))]
    assert engine.alone == []


def test_signatures_over_different_statements_are_not() -> None:
    engine = Together()
    parts = attest(ONE, "marek", "joanna"), attest(ANOTHER, "rafal", "simon")
    assert check(engine, case(*parts)) == [["marek", "joanna", "rafal"]]
    assert engine.groups == [(ONE.encode(), ["marek", "joanna"])]
    assert engine.alone == ["rafal"]


def test_what_is_not_found_together_is_asked_about_alone() -> None:
    engine = Together("marek", "rafal")
    assert check(engine, case(attest(ONE, *PEOPLE[:3]))) == [list(PEOPLE[:3])]
    assert sorted(engine.alone) == ["marek", "rafal"]


def test_a_bad_signature_is_made_up_for_by_the_next_person() -> None:
    engine = Together("marek", "joanna", "rafal", bad=["joanna"])
    assert check(engine, case(attest(ONE, *PEOPLE))) == [["marek", "rafal", "simon"]]
    assert engine.groups == [(ONE.encode(), list(PEOPLE[:3]))]
    assert engine.alone == ["marek", "joanna", "rafal", "simon"]


def test_a_signature_is_asked_about_once_in_a_run_however_many_packages_it_approves() -> None:
    engine = Together()
    assert check(engine, *(case(attest(ONE, *PEOPLE)) for _ in range(5))) == [list(PEOPLE[:3])] * 5
    assert len(engine.groups) == 1
    assert engine.alone == []


def test_an_engine_that_cannot_take_several_is_asked_about_each() -> None:
    engine = FakeEngine()
    assert check(engine, case(attest(ONE, *PEOPLE))) == [list(PEOPLE[:3])]
    assert len(engine.tried) == 3


def test_an_engine_that_cannot_be_used_at_all_is_no_finding() -> None:
    class Broken(Together):
        def verify_together(self, data: bytes, asked: object) -> List[Optional[Checked]]:
            raise EngineError("there is no gpgv here")

    with pytest.raises(EngineError, match="no gpgv"):
        check(Broken(), case(attest(ONE, *PEOPLE)))
