# SPDX-License-Identifier: GPL-2.0-or-later
"""The decision: people are counted, not keys; evidence only adds; no rule at all is a refusal."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import pytest

from multisig.bundle import Attestation, Bundle
from multisig.evidence import Candidate, Evidence, Wanted, collect
from multisig.openpgp import Checked, KeyRequirements, Outcome
from multisig.policy import (
    Policy,
    ReleaseRequirement,
    Rule,
)
from multisig.statement import Kind, Subject
from multisig.vendor import UNSEEN, HeaderEvidence
from multisig.verdict import Approval, Code, Verdict, approval, judge, plan
from tests.unit.core import (
    CHANNEL,
    EARLIER,
    NEVRA,
    NOW,
    PEOPLE,
    all_of,
    any_of,
    digests,
    exemption,
    fingerprint,
    key,
    leaf,
    policy,
    public_key,
    rule,
    signature,
    signer,
    statement,
    subkey,
)

NO_EVIDENCE = Evidence((), (), (), False)


def approvals(*names: str, channel: str = CHANNEL) -> List[Approval]:
    return [Approval(name, channel, None, "0" * 64, fingerprint(name)) for name in names]


def verdict(
    rules: Sequence[Rule],
    signed: Sequence[Approval] = (),
    *,
    by: Optional[Policy] = None,
    now: int = NOW,
    evidence: Optional[Evidence] = NO_EVIDENCE,
    header: HeaderEvidence = UNSEEN,
) -> Verdict:
    return judge(
        by or policy(*rules), rules, signed, name=NEVRA, origin="fedora", now=now, evidence=evidence,
        header=header,
    )  # fmt: skip


# --- thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", range(1, 6))
def test_m_of_n_is_m_people_and_not_one_less(threshold: int) -> None:
    rules = [rule(leaf(threshold))]
    for count in range(6):
        found = verdict(rules, approvals(*PEOPLE[:count]))
        assert found.accepted is (count >= threshold)
        assert found.code is (Code.OK if count >= threshold else Code.BELOW_THRESHOLD)
        assert found.signers == PEOPLE[:count]


def test_a_person_has_one_vote_whatever_the_keys_and_statements() -> None:
    many = [
        item._replace(issuer=fingerprint(str(number)), statement=str(number))
        for number, item in enumerate(approvals(*["marek"] * 9))
    ]
    found = verdict([rule(leaf(2))], many)
    assert not found.accepted
    assert found.signers == ("marek",)


def test_people_outside_the_group_do_not_count() -> None:
    rules = [rule(leaf(2, ("marek", "joanna")))]
    assert not verdict(rules, approvals("marek", "rafal", "simon", "nobody")).accepted
    assert verdict(rules, approvals("marek", "rafal", "joanna")).accepted


def test_approvals_for_another_channel_do_not_count() -> None:
    rules = [rule(leaf(2))]
    signed = approvals("marek") + approvals("joanna", "rafal", channel="demo-testing")
    found = verdict(rules, signed)
    assert not found.accepted
    assert found.signers == ("marek",)


def test_two_channels_are_never_added_up() -> None:
    rules = [rule(leaf(2), name="a", channel="a"), rule(leaf(2), name="b", channel="b")]
    half = approvals("marek", "joanna", channel="a") + approvals("rafal", channel="b")
    assert not verdict(rules, half).accepted
    assert verdict(rules, half + approvals("marek", channel="b")).accepted


def test_where_rules_ask_for_several_channels_each_says_for_which_it_lacks_whom() -> None:
    rules = [rule(leaf(2), name="a", channel="a"), rule(leaf(2), name="b", channel="b")]
    found = verdict(rules, approvals("marek", "joanna", channel="a"))
    assert found.message.startswith("for b, 0 of 2 builders signed; needs 2 more of: ")
    assert "for a" not in found.message
    assert not verdict(rules[:1]).message.startswith("for ")


def test_a_person_may_satisfy_several_leaves_and_counts_once_in_each() -> None:
    release = leaf(1, ("marek", "joanna"), "release")
    rules = [rule(all_of(leaf(2), release))]
    assert verdict(rules, approvals("marek", "rafal")).accepted
    assert not verdict(rules, approvals("marek")).accepted
    assert not verdict(rules, approvals("rafal", "simon")).accepted


@pytest.mark.parametrize(
    ("names", "accepted"),
    [
        ((), False),
        (("marek",), False),
        (("marek", "joanna"), True),
        (("rafal", "simon"), False),
        (("rafal", "simon", "wiktor"), True),
        (("marek", "simon", "wiktor"), False),
    ],
)
def test_any_of_nested_requirements_suffices(names: Tuple[str, ...], accepted: bool) -> None:
    either = any_of(leaf(2, PEOPLE[:2]), all_of(leaf(1, ("rafal",)), leaf(1, ("simon",)), leaf(1, ("wiktor",))))
    assert verdict([rule(either)], approvals(*names)).accepted is accepted


def test_every_matching_rule_must_be_satisfied() -> None:
    rules = [rule(leaf(1), name="one"), rule(leaf(3), name="three")]
    found = verdict(rules, approvals("marek", "joanna"))
    assert not found.accepted
    assert [(outcome.rule, outcome.satisfied) for outcome in found.rules] == [("one", True), ("three", False)]
    assert verdict(rules, approvals(*PEOPLE[:3])).accepted


def test_no_rule_at_all_is_a_refusal_whoever_signed() -> None:
    found = verdict([], approvals(*PEOPLE))
    assert (found.accepted, found.code) == (False, Code.NO_RULE)


# --- what is said ----------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named() -> None:
    found = verdict([rule(leaf(3, PEOPLE[:4]))], approvals("marek"))
    assert found.message == "1 of 3 builders signed (marek); needs 2 more of: joanna, rafal, simon"


def test_of_any_nobody_is_asked_for_what_another_part_has_satisfied_already() -> None:
    either = any_of(leaf(1, PEOPLE[:2], group="release"), leaf(4, PEOPLE))
    found = verdict([rule(either)], approvals("marek"))
    assert found.accepted
    assert found.message == "1 of 1 release signed (marek)"
    found = verdict([rule(all_of(leaf(2, PEOPLE[:3]), either))], approvals("marek"))
    assert found.message == "1 of 2 builders signed (marek); needs 1 more of: joanna, rafal"
    assert {name for leaf_ in found.rules[0].leaves for name in leaf_.available} == {"joanna", "rafal"}


def test_of_any_the_parts_are_told_as_a_choice() -> None:
    either = any_of(leaf(1, PEOPLE[:1], group="release"), all_of(leaf(2, PEOPLE[:3]), leaf(1, PEOPLE[3:4], group="qa")))
    found = verdict([rule(either)], approvals("joanna"))
    assert found.rules[0].lacks == (
        "0 of 1 release signed; needs 1 more of: marek; or else: 1 of 2 builders signed (joanna); needs 1 more of: "
        "marek, rafal; and 0 of 1 qa signed; needs 1 more of: simon",
    )


def test_nobody_is_asked_who_could_not_count() -> None:
    by = policy(signers=[signer("joanna", compromised=True), signer("rafal", retired=EARLIER)])
    found = verdict([rule(leaf(2, PEOPLE[:4]))], approvals("marek"), by=by)
    assert found.message == "1 of 2 builders signed (marek); needs 1 more of: simon"
    by = policy(signers=[signer(name, compromised=True) for name in PEOPLE[1:]])
    found = verdict([rule(leaf(2))], approvals("marek"), by=by)
    assert found.message == "1 of 2 builders signed (marek); needs 1 more, but nobody else can sign"
    by = policy(signers=[signer(name, compromised=True) for name in PEOPLE[2:]])
    found = verdict([rule(leaf(3))], approvals("marek"), by=by)
    assert found.message == "1 of 3 builders signed (marek); needs 2 more of: joanna (nobody else can sign)"


def test_without_a_bundle_the_reason_is_that() -> None:
    found = verdict([rule(leaf(1))], evidence=None)
    assert (found.accepted, found.code) == (False, Code.NO_BUNDLE)
    assert "needs 1 more of: marek" in found.message


def test_content_mismatch_only_where_nobody_counts() -> None:
    otherwise = NO_EVIDENCE._replace(named_otherwise=True)
    rules = [rule(leaf(2))]
    assert verdict(rules, evidence=otherwise).code is Code.CONTENT_MISMATCH
    assert verdict(rules, approvals("marek"), evidence=otherwise).code is Code.BELOW_THRESHOLD
    assert verdict(rules, approvals("marek", "joanna"), evidence=otherwise).code is Code.OK
    elsewhere = approvals("marek", channel="demo-testing")
    assert verdict(rules, elsewhere, evidence=otherwise).code is Code.CONTENT_MISMATCH


def test_what_was_ignored_is_told_once_each() -> None:
    evidence = NO_EVIDENCE._replace(ignored=("one", "two"))
    found = judge(
        policy(), [rule(leaf(1))], [], name=NEVRA, origin="", now=NOW, evidence=evidence, ignored=["two", "three"]
    )
    assert found.ignored == ("one", "two", "three")


# --- exemptions, signed-by, release ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "accepted", "code"),
    [
        (None, True, Code.EXEMPT),
        (NOW + 1, True, Code.EXEMPT),
        (NOW, False, Code.EXPIRED),
        (NOW - 1, False, Code.EXPIRED),
    ],
)
def test_an_exemption_satisfies_until_it_ends(until: Optional[int], accepted: bool, code: Code) -> None:
    found = verdict([exemption(until=until)], evidence=None)
    assert (found.accepted, found.code) == (accepted, code)


def test_an_exemption_takes_nothing_away_from_another_rule() -> None:
    rules = [exemption(), rule(leaf(2))]
    assert verdict(rules, approvals("marek"), evidence=None).code is Code.NO_BUNDLE
    found = verdict(rules, approvals("marek", "joanna"))
    assert (found.accepted, found.code) == (True, Code.OK)


def test_an_ended_exemption_beside_a_rule_that_is_not_satisfied_is_below_threshold() -> None:
    rules = [exemption(until=1), rule(leaf(2))]
    assert verdict(rules, approvals("marek")).code is Code.BELOW_THRESHOLD
    assert verdict(rules, approvals("marek", "joanna")).code is Code.EXPIRED


def test_signed_by_needs_a_verified_signature_on_the_header_by_that_key() -> None:
    fedora = key(public_key("fedora"))
    rules = [rule(name="fedora", signed_by=(fedora,))]
    assert not verdict(rules, approvals(*PEOPLE)).accepted
    assert not verdict(rules, header=HeaderEvidence((key(public_key("marek")),))).accepted
    assert verdict(rules, header=HeaderEvidence((fedora,)), evidence=None).accepted


def test_signed_by_a_key_that_fails_a_requirement_does_not_count() -> None:
    weak = key(public_key("fedora"), "is an RSA key of 1024 bits")
    assert not verdict([rule(signed_by=(weak,))], header=HeaderEvidence((weak,))).accepted


def test_a_release_statement_that_is_asked_for_and_not_checked_is_not_taken_for_granted() -> None:
    asking = rule(leaf(1), release=ReleaseRequirement(leaf(1), 86400))
    assert not verdict([asking], approvals(*PEOPLE)).accepted


# --- from a finding to an approval -----------------------------------------------------------------------------------

TEXT = statement(Subject(NEVRA, digests(), "c" * 64))


def candidate(by: Policy, issuer: str = "marek", created: int = EARLIER) -> Candidate:
    bundle = Bundle((Attestation(TEXT, (signature(issuer, TEXT, created=created),)),))
    (found,) = collect(bundle, by, Wanted(Kind.RPM, NEVRA, digests(), frozenset({CHANNEL})), NOW).candidates
    return found


def checked(
    outcome: Outcome = Outcome.GOOD, primary: str = "marek", issuer: str = "marek", created: int = EARLIER
) -> Checked:
    return Checked(outcome, "", fingerprint(primary), fingerprint(issuer), created)


def test_a_good_signature_is_an_approval_that_carries_its_statement() -> None:
    by = policy()
    tried = candidate(by)
    assert approval(tried, checked(), by, NOW) == Approval(
        "marek", CHANNEL, "c" * 64, tried.statement, fingerprint("marek")
    )


@pytest.mark.parametrize("outcome", set(Outcome) - {Outcome.GOOD})
def test_no_other_outcome_is_an_approval(outcome: Outcome) -> None:
    by = policy()
    assert isinstance(approval(candidate(by), checked(outcome), by, NOW), str)


@pytest.mark.parametrize("finding", [checked(primary="joanna"), checked(issuer="joanna"), checked(issuer="nobody")])
def test_a_finding_about_another_key_is_no_approval(finding: Checked) -> None:
    by = policy()
    assert isinstance(approval(candidate(by), finding, by, NOW), str)


@pytest.mark.parametrize("outcome", [Outcome.REVOKED_KEY, Outcome.BAD])
def test_revoked_and_bad_do_not_count_for_the_retired_either(outcome: Outcome) -> None:
    public = public_key("marek", expires=NOW)
    by = policy(signers=[signer("marek", key(public), retired=NOW)])
    assert isinstance(approval(candidate(by), checked(outcome), by, NOW), str)


@pytest.mark.parametrize("outcome", [Outcome.GOOD, Outcome.EXPIRED_KEY])
@pytest.mark.parametrize(
    ("expires", "retired", "counts"),
    [
        (EARLIER + 1, True, True),  # made before the key's end, and the retirement
        (EARLIER, True, False),  # made at the key's end
        (EARLIER + 1, False, False),  # the person is not retired
    ],
)
def test_an_expired_key_counts_only_for_the_retired_before_its_end(
    outcome: Outcome, expires: int, retired: bool, counts: bool
) -> None:
    public = public_key("marek", expires=expires)
    by = policy(signers=[signer("marek", key(public), retired=NOW if retired else None)])
    assert isinstance(approval(candidate(by), checked(outcome), by, NOW), Approval) is counts


def test_what_the_engine_calls_expired_and_the_key_does_not_is_no_approval() -> None:
    by = policy(signers=[signer("marek", retired=NOW)])
    assert isinstance(approval(candidate(by), checked(Outcome.EXPIRED_KEY), by, NOW), str)


@pytest.mark.parametrize(("part", "primary"), [(NOW, None), (None, NOW), (NOW + 9, NOW)])
def test_neither_an_expired_subkey_nor_an_expired_primary_counts(part: Optional[int], primary: Optional[int]) -> None:
    public = public_key("marek", expires=primary, subkeys=[subkey("sub", expires=part)])
    by = policy(signers=[signer("marek", key(public))])
    tried = candidate(by, "sub")
    assert isinstance(approval(tried, checked(issuer="sub"), by, NOW), str)
    assert isinstance(approval(tried, checked(issuer="sub"), by, NOW - 1), Approval)


def test_the_end_of_another_subkey_does_not_matter() -> None:
    public = public_key("marek", subkeys=[subkey("sub"), subkey("old", expires=1)])
    by = policy(signers=[signer("marek", key(public))])
    assert isinstance(approval(candidate(by, "sub"), checked(issuer="sub"), by, NOW), Approval)


def test_the_very_part_that_signed_must_meet_the_requirements_of_keys() -> None:
    """The key as a whole is fine, since its primary is; the weak subkey is not."""
    public = public_key("marek", subkeys=[subkey("weak", algorithm=1, bits=1024), subkey("dsa", algorithm=17)])
    by = policy(signers=[signer("marek", key(public))], requirements=KeyRequirements(min_rsa_bits=3072))
    for part in ("weak", "dsa"):
        assert isinstance(approval(candidate(by, part), checked(issuer=part), by, NOW), str)
    assert isinstance(approval(candidate(by), checked(), by, NOW), Approval)


# --- what is tried next ----------------------------------------------------------------------------------------------


def candidates(*names: str) -> List[Candidate]:
    """One candidate a name, in order; several of a name differ."""
    by = policy()
    return [candidate(by, name, EARLIER + number) for number, name in enumerate(names)]


def test_no_more_is_tried_than_would_satisfy_the_rules() -> None:
    tried = candidates("rafal", "rafal", "marek", "joanna", "simon")
    assert plan([rule(leaf(2))], [], tried) == (tried[0], tried[2])
    assert plan([rule(leaf(2))], approvals("rafal"), tried) == (tried[2],)
    assert plan([rule(leaf(2))], approvals("simon", "wiktor"), tried) == ()


def test_who_could_not_help_is_not_tried() -> None:
    tried = candidates("simon", "marek")
    assert plan([rule(leaf(1, ("marek",)))], [], tried) == (tried[1],)
    assert plan([rule(leaf(1), channel="other")], [], tried) == ()
    assert plan([exemption()], [], tried) == ()
    assert plan([], [], tried) == ()
