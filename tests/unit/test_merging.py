# SPDX-License-Identifier: GPL-2.0-or-later
"""Merging what anybody may have uploaded: what counts is never crowded out, and nothing false comes along."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, List, Sequence, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.bundle import MAX_ATTESTATIONS, MAX_BUNDLE, MAX_SIGNATURES, Attestation, Bundle, encode
from multisig.errors import UncheckedSignatureError
from multisig.merging import MAX_BAD, Dropped, Graded, Grader, Pool, fit, sound_parts
from multisig.needs import needs
from multisig.openpgp import Checked, Outcome, PublicKey, Signature, parse_signature
from multisig.policy import Policy, ReleaseRequirement
from multisig.policy.publishing import publishing_policy
from multisig.statement import Kind, Subject, make
from multisig.statement import encode as encode_statement
from tests.unit import core
from tests.unit.core import FakeEngine, attest, digests, leaf, policy, rule, signature, signer, statement
from tests.unit.openpgp_keys import subpacket

TEXT = statement()
POLICY = policy(rule(leaf(3)))


def graded(
    *offers: Tuple[str, Sequence[Attestation]], engine: "FakeEngine | None" = None, under: Policy = POLICY
) -> Tuple[List[Graded], List[Dropped]]:
    pool = Pool()
    for source, attestations in offers:
        pool.add(Bundle(tuple(attestations)), source)
    with ThreadPoolExecutor(2) as threads:
        grader = Grader(under, engine or FakeEngine(), threads, now=core.NOW)
        return grader.grade(pool), grader.dropped


def signers(found: Iterable[Graded]) -> List[str]:
    return sorted(word.approval.signer for item in found for word in item.words)


def forged(name: str, count: int) -> Tuple[str, ...]:
    """Signatures that claim somebody's key and are over something else."""
    return tuple(signature(name, TEXT, over=f"something else {number}") for number in range(count))


def test_a_signature_counts_once_whoever_sent_it() -> None:
    found, dropped = graded(("a", [attest(TEXT, "marek")]), ("b", [attest(TEXT, "marek", "joanna")]))
    assert (signers(found), dropped) == (["joanna", "marek"], [])
    assert len(fit(found).bundle.attestations[0].signatures) == 2


def test_false_signatures_are_dropped_by_name_and_the_true_one_after_them_counts() -> None:
    found, dropped = graded(("junk", [Attestation(TEXT, forged("marek", 40))]), ("real", [attest(TEXT, "marek")]))
    assert signers(found) == ["marek"]
    assert len(found[0].others) + len(dropped) == 40  # those after the true one were not looked at
    assert {item.source for item in dropped} <= {"junk"}
    assert fit(found).bundle.attestations[0].signatures[0] == signature("marek", TEXT)


def test_a_file_of_false_signatures_does_not_keep_the_engine_busy_and_taints_no_copy() -> None:
    """The true signature is repeated among the false ones; the clean file's copy of it is still tried."""
    texts = [statement(Subject(f"p-0:{number}-1.noarch", digests())) for number in range(60)]
    junk = [
        Attestation(text, tuple(signature("marek", text, over=f"{text}{number}") for number in range(60)))
        for text in texts
    ]
    true = attest(texts[0], "marek")
    junk[0] = Attestation(texts[0], junk[0].signatures[:59] + true.signatures)
    engine = FakeEngine()
    found, dropped = graded(("junk", junk), ("real", [true]), engine=engine)
    assert signers(found) == ["marek"]
    assert len(engine.tried) < 4 * MAX_BAD
    assert any("were not tried" in item.reason for item in dropped)
    assert len([item for item in dropped if item.part == ""]) == 1


def test_variants_of_one_signature_are_one_word_and_come_last() -> None:
    variants = [signature("marek", TEXT, unhashed=subpacket(100, bytes([number]))) for number in range(30)]
    found, _ = graded(("a", [Attestation(TEXT, tuple(variants))]), ("b", [attest(TEXT, "joanna", "rafal")]))
    assert signers(found) == ["joanna", "marek", "rafal"]
    (item,) = fit(found).bundle.attestations
    assert len(item.signatures) == 32
    assert len({parse_signature(armored).issuer_fingerprint for armored in item.signatures[:3]}) == 3


def test_a_good_signature_that_does_not_count_now_is_kept_but_is_nobodys() -> None:
    engine = FakeEngine({"marek": Outcome.EXPIRED_KEY, "joanna": Outcome.REVOKED_KEY})
    found, dropped = graded(("a", [attest(TEXT, "marek", "joanna", "rafal")]), engine=engine)
    assert (signers(found), dropped) == (["rafal"], [])
    assert set(found[0].others) == {signature("marek", TEXT), signature("joanna", TEXT)}


def test_a_compromised_signer_s_signature_is_nobodys() -> None:
    found, dropped = graded(
        ("a", [attest(TEXT, "marek")]), under=policy(rule(leaf(3)), signers=[signer("marek", compromised=True)])
    )
    assert (signers(found), dropped) == ([], [])
    assert found[0].others == (signature("marek", TEXT),)


class Failing(FakeEngine):
    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        raise UncheckedSignatureError("crashed")


def test_a_signature_that_the_engine_fails_on_is_neither_false_nor_lost() -> None:
    found, dropped = graded(("a", [attest(TEXT, "marek")]), engine=Failing())
    assert (signers(found), dropped) == ([], [])
    assert found[0].others == (signature("marek", TEXT),)


def test_nobody_crowds_out_another_by_signing_much() -> None:
    """One signer has signed more statements than a bundle holds, all of them shorter; everybody's is still there."""
    flood = [attest(statement(Subject(f"a-0:{number}-1.x", digests())), "marek") for number in range(200)]
    found, _ = graded(("a", flood), ("b", [attest(TEXT, "joanna"), attest(statement(source="b" * 999), "rafal")]))
    fitted = fit(found)
    kept = {item.statement for item in fitted.bundle.attestations}
    assert {TEXT, statement(source="b" * 999)} < kept
    assert len(kept) == MAX_ATTESTATIONS
    assert fitted.statements_left_out == 202 - MAX_ATTESTATIONS


def test_one_long_statement_does_not_take_the_room_of_short_ones() -> None:
    long = statement(*(Subject(f"a-0:{number}-1.x", digests()) for number in range(2000)))
    other = statement(*(Subject(f"a-0:{number}-1.x", digests("other")) for number in range(2000)))
    found, _ = graded(("a", [attest(long, "marek"), attest(other, "marek")]), ("b", [attest(TEXT, "joanna", "marek")]))
    fitted = fit(found)
    assert fitted.bundle.attestations[0].statement == TEXT
    assert len(encode(fitted.bundle)) <= MAX_BUNDLE
    assert (fitted.statements_left_out, fitted.signatures_left_out) == (1, 1)


def test_what_is_nobodys_gets_the_room_that_is_left_and_no_more_than_it_is_given() -> None:
    strangers = tuple(signature(f"stranger {number}", TEXT) for number in range(70))
    found, dropped = graded(("a", [Attestation(TEXT, (*strangers, *attest(TEXT, "marek").signatures))]))
    assert dropped == []
    (item,) = fit(found).bundle.attestations
    assert len(item.signatures) == MAX_SIGNATURES
    assert item.signatures[0] == signature("marek", TEXT)
    (item,) = fit(found, spare=1500).bundle.attestations
    assert 1 < len(item.signatures) < 10
    assert item.signatures[0] == signature("marek", TEXT)


def test_the_better_rank_comes_first() -> None:
    other = statement(Subject(core.NEVRA, digests("other")))
    found, _ = graded(("a", [attest(other, "joanna"), attest(TEXT, "marek")]))
    for wanted, first in ((TEXT, TEXT), (other, other)):
        bundle = fit(found, rank=lambda item, wanted=wanted: int(item.text != wanted)).bundle  # type: ignore[misc]
        assert bundle.attestations[0].statement == first


NAMES = st.lists(st.sampled_from([*core.PEOPLE, "stranger", "nobody"]), max_size=4)
TEXTS = st.sampled_from([TEXT, statement(source="x"), statement(channel="testing"), statement(kind=Kind.FILE)])
BUNDLES = st.lists(st.tuples(TEXTS, NAMES).map(lambda item: attest(item[0], *item[1])), max_size=4)


@given(st.lists(BUNDLES, max_size=4), st.randoms())
def test_the_order_of_the_inputs_does_not_matter_and_merging_again_changes_nothing(
    bundles: List[List[Attestation]],
    random: "st.RandomType",  # type: ignore[name-defined]
) -> None:
    inputs = [(f"{number}", bundle) for number, bundle in enumerate(bundles)]
    first = encode(fit(graded(*inputs)[0]).bundle)
    random.shuffle(inputs)
    assert encode(fit(graded(*inputs)[0]).bundle) == first
    merged = fit(graded(*inputs)[0]).bundle
    assert encode(fit(graded(*inputs, ("out", merged.attestations))[0]).bundle) == first


# --- what is malformed -----------------------------------------------------------------------------------------------


def test_of_a_bundle_of_the_right_shape_the_malformed_parts_are_named() -> None:
    whole = Bundle((Attestation("{}", ()), Attestation(TEXT, ("text", *attest(TEXT, "marek").signatures))))
    found, dropped = sound_parts(encode(whole), "x.msig")
    assert found == Bundle((attest(TEXT, "marek"),))
    assert [(item.source, item.part) for item in dropped] == [
        ("x.msig", "attestation 1"),
        ("x.msig", "attestation 2, signature 1"),
    ]
    assert (
        str(dropped[0])
        == "x.msig: attestation 1: dropped: the statement lacks _type, predicate, predicateType, subject"
    )


def test_a_statement_without_any_sound_signature_goes_with_them() -> None:
    found, dropped = sound_parts(encode(Bundle((Attestation(TEXT, ("a", "b")),))), "x")
    assert (found.attestations, len(dropped)) == ((), 2)
    assert sound_parts(encode(Bundle((Attestation(TEXT, ()),))), "x")[0].attestations == (Attestation(TEXT, ()),)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.just(b"[" * 99_999))
def test_no_bytes_are_an_error(data: bytes) -> None:
    found, dropped = sound_parts(data, "x")
    assert found.attestations == () and len(dropped) == 1


@given(
    st.recursive(
        st.none() | st.text(max_size=9) | st.integers(),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=9), x),
        max_leaves=9,
    )
)
def test_no_json_within_a_bundle_is_an_error(value: object) -> None:
    inner = json.dumps(value)
    data = encode(Bundle((Attestation(inner, (inner,)),)))
    found, dropped = sound_parts(data, "x")
    assert found.attestations == () and len(dropped) == 1


# --- what is still needed --------------------------------------------------------------------------------------------


def test_each_content_of_a_name_is_told_apart_and_who_signed_the_other() -> None:
    other = statement(Subject(core.NEVRA, digests("other")))
    found, _ = graded(("a", [attest(TEXT, "marek", "joanna", "rafal"), attest(other, "simon")]))
    verdicts = {item.name: item for item in needs(found, POLICY, "demo", core.NOW)}
    good, bad = (verdicts[f"{core.NEVRA} (content {digests(what).sha256[:12]})"] for what in ("content", "other"))
    assert good.accepted and good.ignored == ("simon signed another content",)
    assert not bad.accepted
    assert "1 of 3 builders signed (simon); needs 2 more of: marek, joanna, rafal, wiktor" in bad.message
    assert bad.ignored == tuple(f"{name} signed another content" for name in ("joanna", "marek", "rafal"))


def test_releases_and_policies_need_nothing_from_the_rules() -> None:
    text = encode_statement(make(Kind.POLICY, core.CHANNEL, [Subject("policy.yaml", digests())], serial=1))
    found, _ = graded(("a", [attest(text, "marek")]))
    assert needs(found, POLICY, "demo", core.NOW) == []


def test_whoever_publishes_must_satisfy_the_rules_of_every_repository_unless_they_name_one() -> None:
    stable = rule(leaf(2), name="stable", repos=["stable"])
    testing = rule(leaf(1), name="testing", repos=["testing-*"], channel="testing")
    lab, vendor = core.exemption(repos=["lab"]), core.exemption("vendor")
    whole = policy(stable, testing, lab, vendor)
    anywhere = publishing_policy(whole, None)
    assert [(item.name, item.repos) for item in anywhere.rules] == [
        ("stable", None),
        ("testing", None),
        ("vendor", None),
    ]
    assert publishing_policy(whole, "stable").rules == whole.rules


def test_a_release_statement_cannot_be_asked_for_before_there_is_a_release() -> None:
    whole = policy(rule(leaf(2), release=ReleaseRequirement(leaf(1), 86400)))
    for repo in (None, "demo"):
        assert [item.release for item in publishing_policy(whole, repo).rules] == [None]


@pytest.mark.parametrize("people", [("marek",), ("marek", "joanna", "rafal")])
def test_needs_count_each_person_once(people: Sequence[str]) -> None:
    both = statement(source="again")
    found, _ = graded(("a", [attest(TEXT, *people), attest(both, *people)]))
    (verdict,) = needs(found, POLICY, "demo", core.NOW)
    assert verdict.accepted is (len(people) == 3)
    assert sorted(verdict.signers) == sorted(people)
