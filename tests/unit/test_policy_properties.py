# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds whatever the policy and whatever is in the bundle: all the way through evidence, engine and verdict.

The policies are random in everything that decides: nested requirements, people retired in every way, compromised, with
several keys, keys that do not count or have expired. So are the bundles: statements for other channels, of other kinds
and contents, signatures that are good, bad, of strangers, from the future, and all of it more than once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random
from typing import Dict, FrozenSet, List, Sequence, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.bundle import Attestation
from multisig.evidence import MAX_TRIES
from multisig.gate import Gate
from multisig.openpgp.premises import FUTURE_ALLOWANCE
from multisig.policy import AllOf, AnyOf, Exemption, Leaf, Policy, Requirement, Rule, Signer
from multisig.statement import Digests, Kind, Subject, statement_id
from multisig.verdict import Code, Verdict
from tests.unit.core import (
    NOW,
    FakeEngine,
    bundle,
    digests,
    key,
    leaf,
    policy,
    public_key,
    rule,
    signature,
    signer,
    statement,
)
from tests.unit.openpgp_keys import subpacket

EXAMPLES = settings(max_examples=100, deadline=None, database=None)
DAY = 86400
PEOPLE = ("ann", "bob", "cat", "dan", "eve")
CHANNELS = ("stable", "testing")
CONTENT, OTHER = digests("content"), digests("other")


@dataclass(frozen=True)
class Signed:
    """A signature in a bundle: whose, by which of their keys, over which statement, dated when, and whether it is good.

    ``again`` tells signatures apart that are the same but for the randomness in them.
    """

    person: str
    key: int
    statement: int
    created: int
    good: bool = True
    again: int = 0

    @property
    def name(self) -> str:
        return f"{self.person}{self.key}"

    def armored(self) -> str:
        text, over = STATEMENTS[self.statement], None if self.good else "x"
        other = subpacket(100, bytes([self.again]))  # of no meaning: another packet, as good as the first
        return signature(self.name, text, created=self.created, over=over, hashed=other)


def _texts() -> Tuple[str, ...]:
    texts = [
        statement(Subject("a.iso", content), kind=kind, channel=channel)
        for kind in (Kind.FILE, Kind.TREE)
        for channel in (*CHANNELS, "elsewhere")
        for content in (CONTENT, OTHER)
    ]
    return (*texts, statement(Subject("a.iso", CONTENT), kind=Kind.FILE, channel="stable", source="git+https://x@1"))


STATEMENTS = _texts()
#: What each statement says, in the order of STATEMENTS: its kind, channel and content.
SAID: Tuple[Tuple[Kind, str, Digests], ...] = tuple(
    [(kind, channel, content) for kind in (Kind.FILE, Kind.TREE) for channel in (*CHANNELS, "elsewhere")
     for content in (CONTENT, OTHER)] + [(Kind.FILE, "stable", CONTENT)]
)  # fmt: skip

_WANTED = [(Kind.FILE, channel, CONTENT) for channel in CHANNELS]
FITTING = [number for number, said in enumerate(SAID) if said in _WANTED]
KINDS = st.sampled_from(["file"] * 8 + ["tree", "rpm"])
REPOS = st.sampled_from([None, None, None, None, ["here", "h*"], ["elsewhere"]])
_LATEST = NOW + FUTURE_ALLOWANCE
DATES = st.sampled_from([NOW - 3 * DAY] * 3 + [NOW - DAY, NOW - DAY, NOW, _LATEST, _LATEST + 1])
SIGNED = st.builds(
    Signed, st.sampled_from([*PEOPLE, *PEOPLE, "stranger"]), st.sampled_from([0, 0, 1]),
    st.sampled_from(FITTING * 6 + list(range(len(SAID)))), DATES, st.sampled_from([True] * 7 + [False]),
    st.integers(0, 1),
)  # fmt: skip
EXEMPT = st.builds(
    lambda until, kind, repos: rule(exempt=Exemption("why", until), kind=kind, repos=repos),
    st.sampled_from([None, NOW, NOW + DAY]), KINDS, REPOS,
)  # fmt: skip


@st.composite
def signers(draw: st.DrawFn, name: str) -> Signer:
    """Somebody whose signatures count, or for one reason or another do not, or not all of them."""
    sort = draw(st.sampled_from(["sound"] * 4 + ["compromised", "retired", "listed", "expired", "both", "weak"]))
    end = draw(st.sampled_from([NOW - 2 * DAY, NOW, NOW + DAY])) if sort in ("expired", "both") else None
    since = draw(st.sampled_from([NOW - 2 * DAY, NOW, NOW + DAY])) if sort in ("retired", "listed", "both") else None
    listed = draw(st.lists(st.sampled_from(STATEMENTS), max_size=6)) if sort == "listed" else None
    problem = "is revoked" if sort == "weak" else None
    keys = [key(public_key(f"{name}{number}", expires=end), problem) for number in range(2)]
    return signer(
        name, *keys[: draw(st.integers(1, 2))], retired=since,
        statements=None if listed is None else [statement_id(text) for text in listed],
        compromised=sort == "compromised",
    )  # fmt: skip


@st.composite
def bundles(draw: st.DrawFn) -> List[Signed]:
    """Most people have signed what is wanted, and there is more; at most as much by one person as is tried."""
    found = [
        Signed(person, 0, draw(st.sampled_from(FITTING)), draw(DATES))
        for person in PEOPLE
        if draw(st.sampled_from([True, True, False]))
    ]
    for item in draw(st.lists(SIGNED, max_size=8)):
        alike = {other for other in found if (other.person, other.statement) == (item.person, item.statement)}
        if item in alike or len(alike) < MAX_TRIES - 1:
            found.append(item)
    return found


@st.composite
def requirements(draw: st.DrawFn, counted: FrozenSet[str], depth: int = 0) -> Requirement:
    """Thresholds are just within reach of those who count, or just out: there a mistake about one person shows."""
    if depth < 3 and draw(st.sampled_from([True, False, False])):
        inner = requirements(counted, depth + 1)
        parts = tuple(draw(st.lists(inner, min_size=1, max_size=3)))
        return AllOf(parts) if draw(st.booleans()) else AnyOf(parts)
    members = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5, unique=True))
    reached = len(counted.intersection(members)) + draw(st.integers(0, 1))
    return leaf(min(max(1, reached), len(members)), members)


@st.composite
def requiring(draw: st.DrawFn, people: Tuple[Signer, ...], signed: Sequence[Signed]) -> Rule:
    channel = draw(st.sampled_from(CHANNELS))
    by = policy(signers=people)
    counted = frozenset(item.person for item in signed if counts(by, item, channel))
    return rule(draw(requirements(counted)), channel=channel, kind=draw(KINDS), repos=draw(REPOS))


@dataclass(frozen=True)
class Drawn:
    """A policy, what is in a bundle, and one more rule."""

    by: Policy
    signed: List[Signed]
    more: Rule


@st.composite
def cases(draw: st.DrawFn) -> Drawn:
    people = tuple(draw(signers(name)) for name in PEOPLE)
    signed = draw(bundles())
    rules = st.one_of(requiring(people, signed), requiring(people, signed), requiring(people, signed), EXEMPT)
    made = policy(*draw(st.lists(rules, min_size=1, max_size=3)), signers=people)
    return Drawn(made, signed, draw(rules))


def verdict(by: Policy, signed: Sequence[Signed]) -> Verdict:
    """Through the whole of it: bytes of a bundle in, a verdict out."""
    attestations: Dict[int, List[str]] = {}
    for item in signed:
        attestations.setdefault(item.statement, []).append(item.armored())
    raw = bundle(*(Attestation(STATEMENTS[number], tuple(texts)) for number, texts in attestations.items()))
    with Gate(by, FakeEngine(), now=NOW, workers=1) as gate:
        return gate.judge_digests(Kind.FILE, "a.iso", CONTENT, "here", raw).verdict


def matches(item: Rule) -> bool:
    return item.kind == "file" and (item.repos is None or "here" in item.repos)


def counts(by: Policy, item: Signed, channel: str) -> bool:
    """The specification once more, in other words."""
    person = by.signers.get(item.person)
    if person is None or person.compromised or item.key >= len(person.keys) or not item.good:
        return False
    if SAID[item.statement] != (Kind.FILE, channel, CONTENT) or item.created > NOW + FUTURE_ALLOWANCE:
        return False
    held = person.keys[item.key]
    if held.problem is not None:
        return False
    retired, end = person.retired, held.public.expires
    if retired is not None:
        listed = retired.statements is None or statement_id(STATEMENTS[item.statement]) in retired.statements
        if item.created >= retired.since or not listed:
            return False
    return end is None or end > NOW or (retired is not None and item.created < end)


def enough(requirement: Requirement, people: FrozenSet[str]) -> bool:
    """By the smallest sets of people that satisfy a requirement."""
    if isinstance(requirement, Leaf):
        return any(people >= set(some) for some in itertools.combinations(requirement.members, requirement.threshold))
    parts = [enough(part, people) for part in requirement.parts]
    return False not in parts if isinstance(requirement, AllOf) else True in parts


def satisfied(by: Policy, item: Rule, signed: Sequence[Signed]) -> bool:
    if item.exempt is not None:
        return item.exempt.until is None or item.exempt.until > NOW
    people = frozenset(one.person for one in signed if counts(by, one, item.channel or ""))
    return item.require is not None and enough(item.require, people)


@settings(EXAMPLES, max_examples=400)
@given(cases())
def test_the_verdict_is_what_the_words_of_the_policy_say(drawn: Drawn) -> None:
    matching = [item for item in drawn.by.rules if matches(item)]
    expected = bool(matching) and all(satisfied(drawn.by, item, drawn.signed) for item in matching)
    found = verdict(drawn.by, drawn.signed)
    assert found.accepted is expected
    assert (found.code is Code.NO_RULE) is (not matching)


@EXAMPLES
@given(cases(), SIGNED)
def test_another_signature_never_turns_accepted_into_refused(drawn: Drawn, more: Signed) -> None:
    signed = drawn.signed
    if verdict(drawn.by, signed).accepted:
        for place in {0, len(signed) // 2, len(signed)}:
            assert verdict(drawn.by, [*signed[:place], more, *signed[place:]]).accepted


@EXAMPLES
@given(cases())
def test_for_what_some_rule_matches_another_rule_never_turns_refused_into_accepted(drawn: Drawn) -> None:
    by, people = drawn.by, list(drawn.by.signers.values())
    if any(matches(item) for item in by.rules) and not verdict(by, drawn.signed).accepted:
        for place in range(len(by.rules) + 1):
            rules = (*by.rules[:place], drawn.more, *by.rules[place:])
            assert not verdict(policy(*rules, signers=people), drawn.signed).accepted


@EXAMPLES
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_rules_statements_and_signatures_never_matters(drawn: Drawn, random: Random) -> None:
    found = verdict(drawn.by, drawn.signed)
    rules, shuffled = list(drawn.by.rules), list(drawn.signed)
    random.shuffle(rules)
    random.shuffle(shuffled)
    again = verdict(policy(*rules, signers=list(drawn.by.signers.values())), shuffled)
    assert (again.accepted, again.code) == (found.accepted, found.code)


def twice(signed: Sequence[Signed]) -> List[Signed]:
    """Everything once more: with other randomness, by the person's other key, over a statement that says the same."""
    same = {number: [other for other, said in enumerate(SAID) if said == SAID[number]] for number in range(len(SAID))}
    return [
        Signed(item.person, number, other, item.created, item.good, again)
        for item in signed
        for number in range(2)
        for other in same[item.statement]
        for again in (item.again, item.again + 2)
    ]


@EXAMPLES
@given(cases())
def test_one_person_never_counts_twice(drawn: Drawn) -> None:
    """However many signatures one person makes, a rule is satisfied only if as many people as it says have signed."""
    found = verdict(drawn.by, twice(drawn.signed))
    people = frozenset(item.person for item in drawn.signed)
    for outcome in found.rules:
        for progress in outcome.leaves:
            assert len(set(progress.counted)) == len(progress.counted)
            assert set(progress.counted) <= people
            assert not set(progress.counted) & set(progress.available)
    for item in drawn.by.rules:
        if matches(item) and item.require is not None and not enough(item.require, people):
            assert not found.accepted


def test_the_examples_are_of_every_sort() -> None:
    """The strategies above make policies that accept and that refuse, by rules that ask for people."""
    seen: Dict[bool, int] = {True: 0, False: 0}

    @settings(max_examples=80, database=None, deadline=None, derandomize=True)
    @given(cases())
    def look(drawn: Drawn) -> None:
        asking = [item for item in drawn.by.rules if matches(item) and item.require is not None]
        if asking:
            seen[all(satisfied(drawn.by, item, drawn.signed) for item in asking)] += 1

    look()
    assert min(seen.values()) > 8, seen
