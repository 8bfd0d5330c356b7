# SPDX-License-Identifier: GPL-2.0-or-later
"""Replacing the policy: the people of the one in force decide, by its ``policy-quorum``, on the next (docs/policy.md).

In the manner of the root role of The Update Framework (TUF specification, 5.3): the old quorum says that the change is
theirs, the new one that its people hold their keys and agree, and a serial that only grows that nobody goes back.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple

from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.errors import PolicyError
from multisig.files import locked, read_if_there
from multisig.gate import Gate
from multisig.openpgp import Engine
from multisig.policy import Policy, PolicyFiles, Requirement, Retirement, Signer, read_policy
from multisig.policy.store import finish_update, install_policy
from multisig.statement import Digests, Kind, Statement, Subject, digests_of, make
from multisig.verdict import Code, RuleOutcome, Verdict, refuse


def policy_statement(draft: PolicyFiles) -> Statement:
    """What the people sign who want ``draft`` to be the policy: its text and every file that it names, and no other.

    Raises PolicyError where no quorum decides about such a policy.
    """
    policy = draft.policy
    if policy.quorum is None or policy.channel is None:
        message = "a policy without policy-quorum is replaced by hand, and nobody's signature counts for it"
        raise PolicyError(message, path=draft.name, hint="add policy-quorum: and channel:")
    return make(Kind.POLICY, policy.channel, _subjects(draft), serial=policy.serial)


def update_policy(path: str, new_path: str, engine: Engine, *, now: int) -> Verdict:
    """Put the policy at ``new_path`` in place of the one at ``path``, if the quorums of both have signed it.

    ``engine`` has to be one that tells a signature from after a key's end from a bad one: GpgvEngine(late=True).

    The signatures are those in the bundle beside ``new_path``. Raises PolicyError where either cannot be used, or where
    the one in force leaves the choice to whoever administers the machine; UnreadableError where something cannot be
    read or written.
    """
    with locked(path):
        finish_update(path)  # one that was cut short
        current, draft = read_policy(path), read_policy(new_path)
        if current.policy.quorum is None:
            message = "has no policy-quorum, so no signatures decide about it; it is the administrator's own"
            raise PolicyError(message, path=path, hint="replace it by hand: copy the new policy and its keys over it")
        bundle = read_if_there(new_path + SUFFIX, MAX_BUNDLE)
        verdict = judge_successor(current.policy, draft, bundle, engine, now=now)
        if verdict.accepted and bundle is not None:
            install_policy(path, draft, current, evidence=bundle)
        return verdict


def rolled_back(policy: Policy, newest: int) -> Optional[str]:
    """What is wrong with a policy in whose place one of the serial ``newest`` has been seen; None if nothing.

    With a quorum this is a reason to refuse whatever it would let in: an old policy brings people and keys back that
    its successors have put out. Without, it is the administrator's own business, and a word to them.
    """
    if policy.serial >= newest:
        return None
    text = f"the policy has the serial {policy.serial}, but here a later one was in force, with {newest}"
    if policy.quorum is None:
        return f"{text}; if that is meant, give it a higher serial than {newest}"
    return f"{text}: somebody has put an old one back. Get the newest, or have its quorum sign one with a higher serial"


def judge_successor(
    current: Policy, draft: PolicyFiles, bundle: Optional[bytes], engine: Engine, *, now: int
) -> Verdict:
    """Whether ``draft`` may replace ``current``, a policy with a quorum, at ``now`` (seconds since the epoch).

    Steps: 1. It has a quorum itself. 2. It is for the same channel. 3. Its serial is higher. 4. Statements count that
    are for this channel and serial and name exactly this text and the files that it names. 5. The quorum of the policy
    in force has signed such statements: keys that have merely expired count, or a renewal that comes late would come
    never; people already retired do not, since who holds their key can date a signature as they like. 6. So has the
    draft's own quorum, by its own keys and the usual rules.
    """
    new, name = draft.policy, draft.name
    if current.quorum is None or current.channel is None:
        raise TypeError("a policy without a quorum has no successor")
    if new.quorum is None or new.channel is None:
        return _no(name, Code.POLICY_ERROR, "the new policy has no policy-quorum; whoever comes next could not be held")
    if new.channel != current.channel:
        message = f"the new policy is for the channel {new.channel}; the one in force is for {current.channel}"
        return _no(name, Code.POLICY_ERROR, message)
    if new.serial <= current.serial:
        message = f"the new policy's serial is {new.serial}; it has to be higher than {current.serial}, the present one"
        return _no(name, Code.ROLLBACK, message)
    digests = {subject.name: subject.digests for subject in _subjects(draft)}
    own = digests.pop(name)

    def objection(statement: Statement) -> Optional[str]:
        return _objection(statement, new.serial, own, digests)

    def judged(policy: Policy, quorum: Requirement, lapsed_count: bool) -> Verdict:
        gate = Gate(policy, engine, now=now, workers=2)
        try:
            return gate.judge_quorum(
                Kind.POLICY, name, own, quorum, current.channel or "", bundle,
                objection=objection, lapsed_count=lapsed_count,
            ).verdict  # fmt: skip
        finally:
            gate.close()

    by_old = judged(_without_the_retired(current, now), current.quorum, True)
    by_new = judged(new, new.quorum, False)
    return _joined(name, current.serial, by_old, new.serial, by_new)


def _subjects(draft: PolicyFiles) -> Tuple[Subject, ...]:
    contents = {**draft.files, draft.name: draft.text}
    return tuple(Subject(name, digests_of(data)) for name, data in contents.items())


def _objection(statement: Statement, serial: int, own: Digests, files: Mapping[str, Digests]) -> Optional[str]:
    """What keeps a statement from being about exactly this policy.

    A file is named by its path, or by its base name alone: the policy's text, which is signed with it, says what it is.
    That text may have been renamed since.
    """
    if statement.serial != serial:
        return f"for serial {statement.serial}"
    named: Dict[str, Digests] = {subject.name: subject.digests for subject in statement.subjects}
    left = set(named)
    for name, digests in files.items():
        told = name if name in named else name.rpartition("/")[2]
        if told not in named:
            return f"that does not name {name}"
        if named[told] != digests:
            return f"over another {name} than the one at hand"
        left.discard(told)
    if [named[name] for name in left] != [own]:
        extra = sorted(name for name in left if named[name] != own)
        return f"that names more than the policy reads: {', '.join(extra or sorted(left)[1:])}"
    return None


def _without_the_retired(policy: Policy, now: int) -> Policy:
    """The policy, with everybody who is retired at ``now`` retired since ever."""
    people: Dict[str, Signer] = dict(policy.signers)
    for name, signer in people.items():
        if signer.retired is not None and signer.retired.since <= now:
            people[name] = signer._replace(retired=Retirement(0, None))
    return policy._replace(signers=people)


def _no(name: str, code: Code, message: str) -> Verdict:
    return refuse(name, "the policy in force", code, message)


def _joined(name: str, old_serial: int, by_old: Verdict, new_serial: int, by_new: Verdict) -> Verdict:
    """One verdict of two. What one of them set aside is told where it refused, or where both did."""
    told = {f"the policy in force (serial {old_serial})": by_old, f"the new policy (serial {new_serial})": by_new}
    refused = {who: verdict for who, verdict in told.items() if not verdict.accepted}
    texts = {who: f"by {who}: {verdict.message}" for who, verdict in told.items()}
    outcomes: List[RuleOutcome] = [
        outcome._replace(rule=f"policy-quorum of {who}", lacks=(texts[who],) if outcome.lacks else ())
        for who, verdict in told.items()
        for outcome in verdict.rules
    ]
    ignored = [text for verdict in refused.values() for text in verdict.ignored]
    ignored += [text for text in by_old.ignored if text in by_new.ignored]
    return Verdict(
        name,
        "the policy in force",
        accepted=not refused,
        code=next((verdict.code for verdict in refused.values()), Code.OK),
        message="; ".join(texts[who] for who in refused or told),
        rules=tuple(outcomes),
        signers=tuple(dict.fromkeys((*by_old.signers, *by_new.signers))),
        ignored=tuple(dict.fromkeys(ignored)),
        statements=tuple(dict.fromkeys((*by_old.statements, *by_new.statements))),
    )
