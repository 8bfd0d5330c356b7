# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate: which signatures are tried, where bundles come from, and what is said of a plan."""

from __future__ import annotations

import json
from typing import Dict, List, Optional, Sequence

import pytest

from fixtures.rpmedit import STRING, Rpm
from fixtures.rpmjudge import edited
from multisig.bundle import MAX_BUNDLE, Attestation, parse
from multisig.errors import EngineError, MultisigError, UncheckedSignatureError
from multisig.gate import Gate, Judged, Package
from multisig.openpgp import Checked, Outcome, PublicKey, Signature
from multisig.policy import ContentSelector, Policy, Rule
from multisig.statement import Digests, Kind, Subject
from multisig.verdict import Code
from tests.unit.core import (
    NEVRA,
    NOW,
    PEOPLE,
    FakeEngine,
    FakeSource,
    attest,
    bundle,
    digests,
    exemption,
    fingerprint,
    leaf,
    policy,
    rule,
    signature,
    signer,
    statement,
)
from tests.unit.gate_bench import POLICY, at_hand, build_packages, code, planned, signed, text_for


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    return build_packages(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"]


# --- what is tried ---------------------------------------------------------------------------------------------------


def test_no_more_signatures_are_tried_once_the_rules_are_satisfied(hello: Rpm) -> None:
    engine = FakeEngine()
    assert code(at_hand(hello, signed(hello, *PEOPLE), engine=engine)) is Code.OK
    assert sorted(engine.tried) == sorted(map(fingerprint, PEOPLE[:3]))


def test_signatures_by_strangers_are_not_tried(hello: Rpm) -> None:
    engine = FakeEngine()
    assert code(at_hand(hello, signed(hello, "stranger", "another"), engine=engine)) is Code.BELOW_THRESHOLD
    assert engine.tried == []


def test_at_most_four_signatures_of_a_signer_and_statement_are_tried(hello: Rpm) -> None:
    text = text_for(hello)
    flood = [signature("marek", text, created=number, over="other") for number in range(60)]
    engine = FakeEngine()
    at_hand(hello, bundle(*(Attestation(text, tuple(flood)) for _ in range(9))), engine=engine)
    assert len(engine.tried) == 4


def test_a_signature_is_verified_once_for_plan_and_file(hello: Rpm) -> None:
    engine = FakeEngine()
    gate = Gate(POLICY, engine, now=NOW, workers=2)
    source = FakeSource({1: signed(hello, *PEOPLE)})
    (first,) = gate.judge_planned([planned()], source)
    assert code(first) is Code.OK
    assert len(engine.tried) == 3
    assert code(at_hand(hello, gate=gate, source=source)) is Code.OK
    assert len(engine.tried) == 3


def test_a_plan_that_was_accepted_is_no_approval_of_the_file(hello: Rpm) -> None:
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2)
    source = FakeSource({1: signed(hello, *PEOPLE)})
    (first,) = gate.judge_planned([planned()], source)
    assert first.verdict.accepted
    other = edited(hello, lambda copy: copy.set(1020, STRING, "https://example.org/elsewhere"))
    assert code(at_hand(other, gate=gate, source=source)) is Code.CONTENT_MISMATCH


def test_a_plan_that_was_accepted_answers_no_rule_that_only_the_header_chose(hello: Rpm) -> None:
    everything = ContentSelector(setuid=False, scripts=False, paths=("/**",), provides=())
    by = policy(rule(leaf(1)), rule(leaf(4), name="strict", content=everything))
    gate = Gate(by, FakeEngine(), now=NOW, workers=2)
    source = FakeSource({1: signed(hello, *PEOPLE[:3])})
    (first,) = gate.judge_planned([planned()], source)
    assert first.verdict.accepted
    found = at_hand(hello, gate=gate, source=source)
    assert code(found) is Code.BELOW_THRESHOLD
    assert [outcome.rule for outcome in found.verdict.rules if not outcome.satisfied] == ["strict"]


@pytest.mark.parametrize("outcome", set(Outcome) - {Outcome.GOOD})
def test_a_signature_that_is_not_good_does_not_count(hello: Rpm, outcome: Outcome) -> None:
    engine = FakeEngine({"marek": outcome})
    found = at_hand(hello, signed(hello, "marek", "joanna", "rafal"), engine=engine)
    assert code(found) is Code.BELOW_THRESHOLD
    assert any(text.startswith("marek: ") for text in found.verdict.ignored)


class Failing(FakeEngine):
    """An engine that fails on marek's signatures."""

    def __init__(self, error: MultisigError) -> None:
        super().__init__()
        self._error = error

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        if key.user_ids == ("marek",):
            raise self._error
        return super().verify(data, signature, key)


def test_a_signature_that_the_engine_chokes_on_neither_counts_nor_vetoes(hello: Rpm) -> None:
    engine = Failing(UncheckedSignatureError("gpgv took longer than 20 seconds"))
    assert code(at_hand(hello, signed(hello, *PEOPLE), engine=engine)) is Code.OK
    found = at_hand(hello, signed(hello, *PEOPLE[:3]), engine=engine)
    assert code(found) is Code.BELOW_THRESHOLD
    assert "marek: gpgv took longer than 20 seconds" in found.verdict.ignored


def test_without_an_engine_nothing_is_judged(hello: Rpm) -> None:
    with pytest.raises(EngineError):
        at_hand(hello, signed(hello, *PEOPLE), engine=Failing(EngineError("there is no gpgv on this system")))


def test_people_marked_compromised_do_not_count(hello: Rpm) -> None:
    by = policy(rule(leaf(3)), signers=[signer("marek", compromised=True)])
    assert code(at_hand(hello, signed(hello, *PEOPLE[:3]), by=by)) is Code.BELOW_THRESHOLD


# --- where bundles come from -----------------------------------------------------------------------------------------


def test_a_cached_bundle_that_does_not_suffice_is_fetched_afresh_once(hello: Rpm) -> None:
    source = FakeSource({1: signed(hello, "marek")}, {1: signed(hello, "joanna", "rafal")})
    found = at_hand(hello, source=source)
    assert code(found) is Code.OK
    assert set(found.verdict.signers) == {"marek", "joanna", "rafal"}
    assert source.asked == [(False, {1}), (True, {1})]
    assert found.bundle is not None
    assert {item for part in parse(found.bundle).attestations for item in part.signatures} == {
        signature(name, text_for(hello)) for name in PEOPLE[:3]
    }


@pytest.mark.parametrize("cached", [b"", b"[" * 20_000, b"x" * (MAX_BUNDLE + 1)])
def test_a_bad_cached_bundle_is_fetched_afresh(hello: Rpm, cached: bytes) -> None:
    source = FakeSource({1: cached}, {1: signed(hello, *PEOPLE)})
    assert code(at_hand(hello, source=source)) is Code.OK


@pytest.mark.parametrize("fresh", [b"", b"[" * 20_000, bundle()])
def test_a_bad_fresh_bundle_takes_nothing_away_from_the_cached_one(hello: Rpm, fresh: bytes) -> None:
    source = FakeSource({1: signed(hello, "marek", "joanna")}, {1: fresh})
    found = at_hand(hello, source=source)
    assert code(found) is Code.BELOW_THRESHOLD
    assert found.verdict.signers == ("marek", "joanna")


def test_a_bundle_that_suffices_is_not_fetched_again(hello: Rpm) -> None:
    source = FakeSource({1: signed(hello, *PEOPLE)})
    assert code(at_hand(hello, source=source)) is Code.OK
    assert source.asked == [(False, {1})]


def test_a_full_bundle_with_enough_good_signatures_is_accepted(hello: Rpm) -> None:
    """One that would be longer than a mebibyte if it were written again."""
    good = parse(signed(hello, *PEOPLE))
    value = {
        "multisig": "bundle/v1",
        "attestations": [{"statement": item.statement, "signatures": item.signatures} for item in good.attestations],
    }
    frame = json.dumps(value, ensure_ascii=False)
    junk = json.dumps({"statement": "ü" * ((MAX_BUNDLE - len(frame) - 60) // 2), "signatures": []}, ensure_ascii=False)
    raw = (frame[:-2] + "," + junk + "]}").encode()
    assert MAX_BUNDLE - 100 < len(raw) <= MAX_BUNDLE
    found = at_hand(hello, raw)
    assert code(found) is Code.OK
    # What is kept of it is what was of use.
    assert found.bundle is not None and parse(found.bundle) == good


def test_nothing_is_fetched_for_what_is_exempt_or_has_no_rule(hello: Rpm) -> None:
    for by in (policy(exemption()), policy(rule(leaf(1), repos=["other"]))):
        source = FakeSource({1: signed(hello, *PEOPLE)})
        at_hand(hello, by=by, source=source)
        assert source.asked == []


# --- planned packages ------------------------------------------------------------------------------------------------


def judge_plan(
    packages: Sequence[Package],
    source: FakeSource,
    *,
    by: Policy = POLICY,
    engine: Optional[FakeEngine] = None,
) -> List[Judged]:
    return Gate(by, engine or FakeEngine(), now=NOW, workers=2).judge_planned(packages, source)


def named(*names: str, nevra: str = NEVRA, content: str = "content") -> bytes:
    return bundle(attest(statement(Subject(nevra, digests(content))), *names))


def test_a_plan_is_judged_by_name_before_anything_is_downloaded() -> None:
    packages = [planned(nevra=f"hello-0:{number}-1.noarch", key=number) for number in range(4)]
    source = FakeSource(
        {
            0: named(*PEOPLE[:3], nevra=packages[0].nevra),
            1: named(*PEOPLE[:2], nevra=packages[1].nevra),
            2: named(*PEOPLE, nevra="hello-0:9-9.noarch"),
        }
    )
    found = judge_plan(packages, source)
    assert [code(item) for item in found] == [
        Code.OK, Code.BELOW_THRESHOLD, Code.BELOW_THRESHOLD, Code.NO_BUNDLE,
    ]  # fmt: skip
    assert [item.verdict.name for item in found] == [package.nevra for package in packages]
    assert source.asked == [(False, {0, 1, 2, 3}), (True, {1, 2, 3})]


def test_signatures_over_two_contents_of_a_name_are_never_added_up() -> None:
    texts = [statement(Subject(NEVRA, digests(content))) for content in ("a", "b")]
    raw = bundle(attest(texts[0], *PEOPLE[:2]), attest(texts[1], *PEOPLE[2:4]))
    (found,) = judge_plan([planned()], FakeSource({1: raw}))
    assert code(found) is Code.BELOW_THRESHOLD


def test_one_approved_content_of_several_lets_the_download_begin() -> None:
    texts = [statement(Subject(NEVRA, digests(content))) for content in "abc"]
    raw = bundle(attest(texts[0], "marek"), attest(texts[1], "joanna"), attest(texts[2], *PEOPLE[:3]))
    (found,) = judge_plan([planned()], FakeSource({1: raw}))
    assert code(found) is Code.OK


def test_mixed_digests_are_a_content_of_their_own() -> None:
    texts = [
        statement(Subject(NEVRA, digests("a"))),
        statement(Subject(NEVRA, Digests(digests("a").sha256, digests("b").sha512))),
        statement(Subject(NEVRA, Digests(digests("b").sha256, digests("a").sha512))),
    ]
    raw = bundle(*(attest(text, name) for text, name in zip(texts, PEOPLE)))
    (found,) = judge_plan([planned()], FakeSource({1: raw}))
    assert code(found) is Code.BELOW_THRESHOLD


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], Code.NO_RULE),
        ([rule(leaf(1), repos=["other"])], Code.NO_RULE),
        ([exemption()], Code.EXEMPT),
        ([exemption(until=1)], Code.EXPIRED),
        ([exemption(until=1), rule(leaf(1))], Code.NO_BUNDLE),
        ([rule(leaf(1), packages=["hell?"])], Code.NO_BUNDLE),
        ([rule(leaf(1), content=ContentSelector(True, False, (), ()))], Code.OK),
    ],
)
def test_plans_without_a_bundle(rules: List[Rule], expected: Code) -> None:
    (found,) = judge_plan([planned()], FakeSource({}), by=policy(*rules))
    assert code(found) is expected


def test_the_planned_names_that_a_package_obsoletes_choose_rules_too() -> None:
    by = policy(exemption(repos=["lab"]), rule(leaf(3), packages=["hello"]))
    package = planned("world", "lab", "world-0:1.0-1.noarch")._replace(obsoletes=("hello",))
    (found,) = judge_plan([package], FakeSource({}), by=by)
    assert code(found) is Code.NO_BUNDLE


def test_every_member_of_a_transaction_is_judged() -> None:
    packages = [planned(nevra=f"p{number:02d}-0:1-1.noarch", key=number) for number in range(20)]
    source = FakeSource({item.key: named(*PEOPLE[:3], nevra=item.nevra) for item in packages[:-1]})
    found = judge_plan(packages, source)
    assert [item.verdict.accepted for item in found] == [True] * 19 + [False]


def test_nothing_planned_is_nothing_judged() -> None:
    assert judge_plan([], FakeSource({})) == []


# --- files and trees -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.TREE])
def test_files_and_trees_are_judged_by_their_own_rules(kind: Kind) -> None:
    gate = Gate(policy(rule(leaf(2), kind=kind.word)), FakeEngine(), now=NOW, workers=1)
    text = statement(Subject("image.iso", digests()), kind=kind)

    def judged_with(raw: Optional[bytes], content: str = "content", of: Kind = kind) -> Code:
        return code(gate.judge_digests(of, "image.iso", digests(content), "@commandline", raw))

    assert judged_with(bundle(attest(text, "marek", "joanna"))) is Code.OK
    assert judged_with(bundle(attest(text, "marek"))) is Code.BELOW_THRESHOLD
    assert judged_with(bundle(attest(text, "marek", "joanna")), "other") is Code.CONTENT_MISMATCH
    assert judged_with(None) is Code.NO_BUNDLE
    assert judged_with(b"nonsense") is Code.MALFORMED_BUNDLE
    other = Kind.TREE if kind is Kind.FILE else Kind.FILE
    assert judged_with(bundle(attest(text, "marek", "joanna")), of=other) is Code.NO_RULE


def test_what_cannot_be_compared_is_not_said_to_be() -> None:
    gate = Gate(policy(rule(leaf(1), kind="file")), FakeEngine(), now=NOW, workers=1)
    raw = bundle(attest(statement(Subject("image.iso", digests()), kind=Kind.FILE), "marek"))
    found = gate.judge_digests(Kind.FILE, "image.iso", digests("other"), "@commandline", raw)
    assert found.verdict.ignored == ("marek's signature is over other content",)


def test_the_policy_can_be_asked_for() -> None:
    assert Gate(POLICY, FakeEngine(), now=NOW, workers=0).policy is POLICY
