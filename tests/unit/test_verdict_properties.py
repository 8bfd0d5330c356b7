# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds of every verdict, whatever the policy and whoever signed."""

from __future__ import annotations

import itertools
from random import Random
from typing import FrozenSet, List

from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.evidence import Candidate
from multisig.policy import (
    AllOf,
    AnyOf,
    Key,
    Leaf,
    Requirement,
    Rule,
)
from multisig.vendor import HeaderEvidence
from multisig.verdict import Approval, Code, plan
from tests.unit.core import (
    PEOPLE,
    exemption,
    key,
    leaf,
    public_key,
    rule,
)
from tests.unit.test_verdict import approvals, candidates, verdict

EXAMPLES = settings(max_examples=25, deadline=None)
MEMBERS = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5, unique=True)
LEAVES = st.builds(lambda members, share: leaf(1 + int(share * len(members)), members), MEMBERS, st.floats(0, 0.99))
REQUIREMENTS: "st.SearchStrategy[Requirement]" = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda parts: st.sampled_from([AllOf(tuple(parts)), AnyOf(tuple(parts))])
    ),
    max_leaves=5,
)
CHANNELS = st.sampled_from(["a", "b"])
REQUIRING = st.builds(lambda require, channel: rule(require, channel=channel), REQUIREMENTS, CHANNELS)
OTHERS = st.sampled_from(
    [exemption(), exemption(until=1), rule(signed_by=(key(public_key("fedora")),)), rule(signed_by=())]
)
RULES = st.lists(REQUIRING | OTHERS, max_size=4)
APPROVALS = st.lists(
    st.builds(
        lambda name, channel, number: Approval(name, channel, None, str(number), str(number)),
        st.sampled_from([*PEOPLE, "nobody"]), CHANNELS, st.integers(0, 9),
    ),
    max_size=8,
)  # fmt: skip


def enough(requirement: Requirement, people: FrozenSet[str]) -> bool:
    """The specification once more, in other words: the smallest sets of people that satisfy a requirement."""
    if isinstance(requirement, Leaf):
        return any(people >= set(some) for some in itertools.combinations(requirement.members, requirement.threshold))
    parts = [enough(part, people) for part in requirement.parts]
    return False not in parts if isinstance(requirement, AllOf) else True in parts


@EXAMPLES
@given(REQUIREMENTS, APPROVALS)
def test_the_verdict_is_what_the_words_of_the_policy_say(requirement: Requirement, signed: List[Approval]) -> None:
    people = frozenset(item.signer for item in signed if item.channel == "a")
    assert verdict([rule(requirement, channel="a")], signed).accepted is enough(requirement, people)


@EXAMPLES
@given(RULES, APPROVALS, APPROVALS)
def test_another_approval_never_turns_accepted_into_refused(
    rules: List[Rule], signed: List[Approval], more: List[Approval]
) -> None:
    if verdict(rules, signed).accepted:
        assert verdict(rules, signed + more).accepted


@EXAMPLES
@given(RULES, REQUIRING | OTHERS, APPROVALS)
def test_another_rule_never_turns_refused_into_accepted_but_where_there_was_none(
    rules: List[Rule], extra: Rule, signed: List[Approval]
) -> None:
    if rules and not verdict(rules, signed).accepted:
        assert not verdict([*rules, extra], signed).accepted
        assert not verdict([extra, *rules], signed).accepted


VENDORS = [key(public_key(f"vendor {number}"), "is revoked" if number == 3 else None) for number in range(4)]
SIGNED_BY = st.lists(st.sampled_from(VENDORS), min_size=1, max_size=3, unique_by=VENDORS.index).map(
    lambda keys: rule(signed_by=tuple(keys))
)
HEADERS = st.lists(st.sampled_from(VENDORS), max_size=3, unique_by=VENDORS.index)


@EXAMPLES
@given(st.lists(REQUIRING | SIGNED_BY | OTHERS, min_size=1, max_size=4), APPROVALS, HEADERS, HEADERS)
def test_each_signed_by_rule_needs_a_good_key_of_its_own_and_more_keys_never_turn_accepted_into_refused(
    rules: List[Rule], signed: List[Approval], good: List[Key], more: List[Key]
) -> None:
    found = verdict(rules, signed, header=HeaderEvidence(tuple(good)))
    for one, outcome in zip(rules, found.rules):
        if one.signed_by is not None:
            assert outcome.satisfied is any(item in one.signed_by and item.problem is None for item in good)
    if found.accepted:
        assert verdict(rules, signed, header=HeaderEvidence((*more, *good), ("is signed by a stranger",))).accepted
        assert not any(one.signed_by for one in rules) or not verdict(rules, signed).accepted


@EXAMPLES
@given(RULES, APPROVALS, st.randoms(use_true_random=False))
def test_the_order_of_approvals_and_rules_never_matters(
    rules: List[Rule], signed: List[Approval], random: Random
) -> None:
    found = verdict(rules, signed)
    random.shuffle(signed)
    random.shuffle(rules)
    again = verdict(rules, signed)
    assert (again.accepted, again.code) == (found.accepted, found.code)


@EXAMPLES
@given(RULES, APPROVALS)
def test_one_person_never_counts_twice(rules: List[Rule], signed: List[Approval]) -> None:
    doubled = [item._replace(issuer="other", statement="other") for item in signed]
    assert verdict(rules, signed + doubled).accepted is verdict(rules, signed).accepted
    for outcome in verdict(rules, signed + doubled).rules:
        for progress in outcome.leaves:
            assert len(set(progress.counted)) == len(progress.counted)
            assert not set(progress.counted) & set(progress.available)


@EXAMPLES
@given(RULES, APPROVALS)
def test_a_verdict_is_never_vacuous(rules: List[Rule], signed: List[Approval]) -> None:
    found = verdict(rules, signed)
    assert len(found.rules) == len(rules)
    assert found.accepted is (bool(rules) and all(outcome.satisfied for outcome in found.rules))
    assert found.accepted is (found.code in (Code.OK, Code.EXEMPT))
    assert found.message


POOL = candidates(*(name for name in PEOPLE for _ in range(2)))


@EXAMPLES
@given(
    st.lists(REQUIREMENTS, min_size=1, max_size=3),
    st.lists(st.sampled_from(POOL), unique_by=POOL.index, max_size=10),
    st.sets(st.sampled_from(POOL).map(POOL.index)),
)
def test_planning_ends_tries_nothing_twice_and_finds_whatever_acceptance_there_is(
    requirements: List[Requirement], untried: List[Candidate], good: "set[int]"
) -> None:
    rules = [rule(requirement) for requirement in requirements]
    expected = verdict(rules, approvals(*(item.signer for item in untried if POOL.index(item) in good))).accepted
    counted: List[Approval] = []
    rounds = 0
    while True:
        trying = plan(rules, counted, untried)
        if not trying:
            break
        rounds += 1
        assert rounds <= len(POOL)
        assert [item for item in untried if item in trying] == list(trying)
        assert len({item.signer for item in trying}) == len(trying)
        untried = [item for item in untried if item not in trying]
        counted += approvals(*(item.signer for item in trying if POOL.index(item) in good))
    assert verdict(rules, counted).accepted is expected
