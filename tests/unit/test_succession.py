# SPDX-License-Identifier: GPL-2.0-or-later
"""Rotations of the policy as tables, in the manner of python-tuf's tests/test_updater_key_rotations.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import pytest

from multisig.bundle import Attestation
from multisig.errors import PolicyError
from multisig.openpgp import Checked, Outcome, PublicKey, Signature
from multisig.policy import AllOf, Leaf, Policy, PolicyFiles, Retirement, Signer
from multisig.statement import Kind, Statement, Subject, encode, make
from multisig.succession import judge_successor, policy_statement, rolled_back
from multisig.verdict import Code, Verdict
from tests.unit.core import (
    NOW,
    FakeEngine,
    attest,
    bundle,
    digests,
    key,
    leaf,
    policy,
    public_key,
    rule,
    signer,
    statement,
)

CHANNEL = "demo-policy"
DAY = 86400


@dataclass(frozen=True)
class Step:
    """The next policy: ``threshold`` of these people, who sign it with which keys, and what comes of it.

    A person is a letter, and their key is called the same; ``keys`` says otherwise.
    """

    threshold: int
    people: str
    signed: Sequence[str]
    code: Code = Code.OK
    serial: Optional[int] = None
    channel: str = CHANNEL
    keys: Mapping[str, str] = field(default_factory=dict)
    expired: str = ""
    revoked: str = ""
    compromised: str = ""
    retired: Mapping[str, int] = field(default_factory=dict)
    created: int = NOW - DAY


def member(name: str, step: Step) -> Signer:
    used = step.keys.get(name, name)
    public = public_key(used, expires=NOW - 2 * DAY if name in step.expired else None, revoked=name in step.revoked)
    problem = "is revoked" if name in step.revoked else None
    retired = step.retired.get(name)
    return signer(name, key(public, problem), retired=retired, compromised=name in step.compromised)


def draft(step: Step, serial: int) -> PolicyFiles:
    quorum = leaf(step.threshold, step.people, "release")
    made = policy(rule(quorum), signers=[member(name, step) for name in step.people], quorum=quorum)
    made = made._replace(serial=step.serial or serial, channel=step.channel)
    files = {f"keys/{name}.asc": step.keys.get(name, name).encode() for name in step.people}
    return PolicyFiles(made, "policy.yaml", repr((made.serial, step)).encode(), files)


class Watchful(FakeEngine):
    """As engines do, it also looks at the key that it is given: the same one may have expired in one policy only."""

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        found = super().verify(data, signature, key)
        if found.outcome is Outcome.GOOD and key.revoked:
            return found._replace(outcome=Outcome.REVOKED_KEY)
        if found.outcome is Outcome.GOOD and key.expires is not None and key.expires <= NOW:
            return found._replace(outcome=Outcome.EXPIRED_KEY)
        return found


def signed(new: PolicyFiles, step: Step) -> bytes:
    return bundle(attest(encode(policy_statement(new)), *step.signed, created=step.created))


def judged(old: Policy, new: PolicyFiles, raw: Optional[bytes]) -> Verdict:
    return judge_successor(old, new, raw, Watchful(), now=NOW)


AB = ["a", "b"]
ROTATIONS: Dict[str, List[Step]] = {
    "nothing but the serial changes": [Step(2, "abc", []), Step(2, "abc", AB), Step(2, "abc", ["b", "c"])],
    "nobody signs": [Step(1, "ab", []), Step(1, "ab", [], Code.BELOW_THRESHOLD)],
    "too few sign": [Step(2, "abc", []), Step(2, "abc", ["a"], Code.BELOW_THRESHOLD)],
    "the same person twice": [Step(2, "abc", []), Step(2, "abc", ["a", "a"], Code.BELOW_THRESHOLD)],
    "strangers": [Step(2, "abc", []), Step(2, "abc", ["x", "y"], Code.BELOW_THRESHOLD)],
    "threshold up": [Step(1, "abc", []), Step(2, "abc", AB), Step(3, "abc", ["a", "b", "c"])],
    "threshold up, by the old one's number alone": [Step(1, "abc", []), Step(2, "abc", ["a"], Code.BELOW_THRESHOLD)],
    "threshold down": [Step(3, "abc", []), Step(2, "abc", ["a", "b", "c"]), Step(1, "abc", AB)],
    "threshold down, by the new one's number alone": [Step(2, "abc", []), Step(1, "abc", ["a"], Code.BELOW_THRESHOLD)],
    "somebody joins": [Step(2, "ab", []), Step(2, "abc", AB), Step(3, "abc", ["a", "b", "c"])],
    "somebody leaves": [Step(2, "abc", []), Step(2, "ab", AB), Step(2, "ab", ["b", "c"], Code.BELOW_THRESHOLD)],
    "nobody stays": [Step(2, "ab", []), Step(2, "cd", ["a", "b", "c", "d"]), Step(2, "cd", ["c", "d"])],
    "nobody stays, and the old ones are missing": [Step(2, "ab", []), Step(2, "cd", ["c", "d"], Code.BELOW_THRESHOLD)],
    "nobody stays, and the new ones are missing": [Step(2, "ab", []), Step(2, "cd", AB, Code.BELOW_THRESHOLD)],
    "nobody stays, and half of each": [Step(2, "ab", []), Step(2, "cd", ["a", "c"], Code.BELOW_THRESHOLD)],
    "a key is replaced": [Step(2, "abc", []), Step(2, "abc", AB, keys={"c": "c2"})],
    "a key is replaced, its owner signs with both": [
        Step(2, "ab", []),
        Step(2, "ab", ["a", "b", "b2"], keys={"b": "b2"}),
        Step(2, "ab", ["a", "b2"], keys={"b": "b2"}),
    ],
    "a key is replaced, its owner signs with the old one alone": [
        Step(2, "ab", []), Step(2, "ab", AB, Code.BELOW_THRESHOLD, keys={"b": "b2"}),
    ],
    "a key is replaced, its owner signs with the new one alone": [
        Step(2, "ab", []), Step(2, "ab", ["a", "b2"], Code.BELOW_THRESHOLD, keys={"b": "b2"}),
    ],
    "two people swap their keys": [Step(2, "ab", []), Step(2, "ab", AB, keys={"a": "b", "b": "a"})],
    "one person takes over another's name": [
        Step(2, "abc", []), Step(2, "abc", ["a", "a2"], Code.BELOW_THRESHOLD, keys={"b": "a2"}),
    ],
    "serials are skipped": [Step(1, "a", []), Step(1, "a", ["a"], serial=9), Step(1, "a", ["a"], serial=10**18 - 1)],
    "a serial comes again": [Step(1, "a", [], serial=5), Step(1, "a", ["a"], Code.ROLLBACK, serial=5)],
    "a serial goes back": [Step(1, "a", [], serial=5), Step(1, "a", ["a"], Code.ROLLBACK, serial=4)],
    "another product's channel": [Step(1, "a", []), Step(1, "a", ["a"], Code.POLICY_ERROR, channel="other-policy")],
    "someone compromised is put out by the others": [
        Step(2, "abc", []), Step(2, "abc", AB, compromised="c"), Step(2, "abc", ["a", "c"], Code.BELOW_THRESHOLD,
                                                                    compromised="c"),
    ],
    "someone compromised cannot come back by their own word": [
        Step(2, "abc", [], compromised="c"), Step(2, "abc", ["a", "c"], Code.BELOW_THRESHOLD),
    ],
    "someone compromised comes back by the others'": [
        Step(2, "abc", [], compromised="c"), Step(2, "abc", AB), Step(2, "abc", ["b", "c"]),
    ],
    "an expired key of the old policy counts for its renewal": [
        Step(2, "ab", [], expired="b"), Step(2, "ab", AB),
    ],
    "an expired key that the new policy has as well does not": [
        Step(2, "ab", [], expired="b"), Step(2, "ab", AB, Code.BELOW_THRESHOLD, expired="b"),
    ],
    "a revoked key of the old policy does not": [
        Step(2, "ab", [], revoked="b"), Step(2, "ab", AB, Code.BELOW_THRESHOLD),
    ],
    "a key that the new policy has as revoked does not": [
        Step(2, "abc", []), Step(2, "abc", ["a", "c"], Code.BELOW_THRESHOLD, revoked="c"),
    ],
    "someone retired may not decide about the future by an old date": [
        Step(2, "abc", [], retired={"c": NOW - DAY}),
        Step(2, "abc", ["a", "c"], Code.BELOW_THRESHOLD, created=NOW - 3 * DAY, retired={"c": NOW - DAY}),
    ],
    "someone retires by their own signature": [
        Step(2, "ab", []), Step(2, "ab", AB, retired={"b": NOW}), Step(2, "abc", AB, Code.BELOW_THRESHOLD),
    ],
    "someone who retires next month still decides": [
        Step(2, "ab", [], retired={"b": NOW + 30 * DAY}), Step(2, "ab", AB, retired={"b": NOW + 30 * DAY}),
    ],
    "a signature from the future": [Step(1, "a", []), Step(1, "a", ["a"], Code.BELOW_THRESHOLD, created=NOW + DAY)],
}  # fmt: skip


@pytest.mark.parametrize("name", ROTATIONS)
def test_rotation(name: str) -> None:
    first, *rest = ROTATIONS[name]
    current = draft(first, 1)
    for step in rest:
        new = draft(step, current.policy.serial + 1)
        found = judged(current.policy, new, signed(new, step))
        assert found.code is step.code, found.message
        assert found.accepted is (step.code is Code.OK)
        if found.accepted:
            current = new


def two() -> Tuple[PolicyFiles, PolicyFiles]:
    return draft(Step(2, "ab", []), 1), draft(Step(2, "ab", AB), 2)


def other(new: PolicyFiles, change: Callable[[Statement], Statement]) -> Verdict:
    """What comes of a statement that is not quite the right one."""
    old, _ = two()
    text = encode(change(policy_statement(new)))
    return judged(old.policy, new, bundle(attest(text, "a", "b")))


def with_subjects(*subjects: Subject) -> Callable[[Statement], Statement]:
    return lambda made: make(made.kind, made.channel, subjects, serial=made.serial)


def test_the_statement_names_the_policy_and_each_file_by_its_path() -> None:
    made = policy_statement(two()[1])
    assert (made.kind, made.channel, made.serial) == (Kind.POLICY, CHANNEL, 2)
    assert [subject.name for subject in made.subjects] == ["keys/a.asc", "keys/b.asc", "policy.yaml"]


def test_a_renamed_policy_is_the_same() -> None:
    old, new = two()
    raw = bundle(attest(encode(policy_statement(new._replace(name="serial-2.yaml"))), "a", "b"))
    assert judged(old.policy, new, raw).accepted


def test_files_may_be_named_by_their_base_names() -> None:
    _, new = two()
    key_a, key_b, own = policy_statement(new).subjects
    short = [key_a._replace(name="a.asc"), key_b._replace(name="b.asc"), own]
    assert other(new, with_subjects(*short)).accepted
    assert not other(new, with_subjects(*short, key_a)).accepted
    assert not other(new, with_subjects(short[0]._replace(digests=digests("evil")), *short[1:])).accepted


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("another channel", "for the channel other-policy"),
        ("another serial", "for serial 3"),
        ("a key file left out", "that does not name keys/b.asc"),
        ("a key file changed", "over another keys/a.asc than the one at hand"),
        ("a file too many", "that names more than the policy reads: keys/z.asc"),
        ("the policy under two names", "that names more than the policy reads: "),
        ("a key file alone", ""),
        ("another policy", ""),
        ("a file's statement", ""),
    ],
)
def test_a_statement_about_anything_but_exactly_this_policy_does_not_count(name: str, told: str) -> None:
    _, new = two()
    made = policy_statement(new)
    key_a, key_b, own = made.subjects
    extra = Subject("keys/z.asc", digests())
    changes: Dict[str, Callable[[Statement], Statement]] = {
        "another channel": lambda made: made._replace(channel="other-policy"),
        "another serial": lambda made: made._replace(serial=3),
        "a key file left out": with_subjects(key_a, own),
        "a key file changed": with_subjects(key_a._replace(digests=digests("evil")), key_b, own),
        "a file too many": with_subjects(key_a, key_b, own, extra),
        "the policy under two names": with_subjects(key_a, key_b, own, own._replace(name="z.yaml")),
        "a key file alone": with_subjects(key_a),
        "another policy": with_subjects(key_a, key_b, own._replace(digests=digests("evil"))),
        "a file's statement": lambda made: make(Kind.FILE, made.channel, [own]),
    }
    found = other(new, changes[name])
    assert not found.accepted
    assert not found.signers
    assert any(told in text for text in found.ignored) or not told


def test_a_signature_over_the_wrong_statement_takes_nothing_from_those_over_the_right_one() -> None:
    old, new = two()
    right = encode(policy_statement(new))
    wrong = encode(policy_statement(new)._replace(serial=7))
    junk = Attestation(statement(), ("junk",))
    raw = bundle(attest(wrong, "a", "b", "x"), junk, attest(right, "x", "a"), attest(right, "b"))
    assert judged(old.policy, new, raw).accepted


@pytest.mark.parametrize("raw", [None, b"", b"[" * 20_000, b"{}"])
def test_without_a_bundle_that_can_be_read_it_is_refused(raw: Optional[bytes]) -> None:
    old, new = two()
    found = judged(old.policy, new, raw)
    assert found.code is (Code.NO_BUNDLE if raw is None else Code.MALFORMED_BUNDLE)
    assert "the policy in force (serial 1)" in found.message


def test_a_successor_without_a_quorum_would_be_the_last_one() -> None:
    old, new = two()
    bare = new._replace(policy=new.policy._replace(quorum=None))
    found = judged(old.policy, bare, signed(new, Step(2, "ab", AB)))
    assert found.code is Code.POLICY_ERROR
    assert "no policy-quorum" in found.message
    with pytest.raises(PolicyError, match="replaced by hand"):
        policy_statement(bare)


def test_the_verdict_says_who_is_missing_by_which_policy() -> None:
    old, new = draft(Step(2, "ab", []), 6), draft(Step(2, "cd", []), 7)
    found = judged(old.policy, new, signed(new, Step(2, "cd", ["a", "c", "d"])))
    assert found.message == (
        "by the policy in force (serial 6): 1 of 2 release signed (a); needs 1 more of: b"
    )
    assert found.signers == ("a", "c", "d")
    assert [outcome.rule for outcome in found.rules] == [
        "policy-quorum of the policy in force (serial 6)",
        "policy-quorum of the new policy (serial 7)",
    ]


def test_people_whose_keys_have_expired_are_named_as_those_to_ask() -> None:
    old = draft(Step(2, "abc", [], expired="abc"), 1)
    new = draft(Step(2, "abc", []), 2)
    found = judged(old.policy, new, signed(new, Step(2, "abc", ["a"])))
    assert "needs 1 more of: b, c" in found.message


def test_a_requirement_of_several_groups_needs_them_all() -> None:
    old, new = two()
    quorum = old.policy.quorum
    assert isinstance(quorum, Leaf)
    strict = old.policy._replace(quorum=AllOf((quorum, Leaf(1, "security", ("simon",)))))
    assert not judged(strict, new, signed(new, Step(2, "ab", AB))).accepted
    assert judged(strict, new, signed(new, Step(2, "ab", ["a", "b", "simon"]))).accepted


def test_retirement_counts_from_its_day_on() -> None:
    old, new = two()
    people = dict(old.policy.signers)
    people["b"] = people["b"]._replace(retired=Retirement(NOW, None))
    assert not judged(old.policy._replace(signers=people), new, signed(new, Step(2, "ab", AB))).accepted
    people["b"] = people["b"]._replace(retired=Retirement(NOW + 1, None))
    assert judged(old.policy._replace(signers=people), new, signed(new, Step(2, "ab", AB))).accepted


@pytest.mark.parametrize(("serial", "newest", "bad"), [(1, 0, False), (7, 7, False), (8, 7, False), (6, 7, True)])
def test_an_old_policy_that_a_package_puts_back_is_noticed(serial: int, newest: int, bad: bool) -> None:
    kept = two()[0].policy._replace(serial=serial)
    found = rolled_back(kept, newest)
    assert (found is not None) is bad
    own = rolled_back(kept._replace(quorum=None), newest)
    assert (own is not None) is bad
    if found is not None and own is not None:
        assert "somebody has put an old one back" in found
        assert "give it a higher serial than 7" in own
