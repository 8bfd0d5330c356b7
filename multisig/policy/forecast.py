# SPDX-License-Identifier: GPL-2.0-or-later
"""What the policy asks for, and until when somebody can give it, as far as keys' ends and retirements tell. Pure."""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

from multisig.namedtuples import NamedTuple
from multisig.policy.model import Policy, Requirement, Rule, describe, satisfied_by
from multisig.policy.standing import can_sign, counts, key_end, signing_end
from multisig.times import DAY, day

#: How long before a threshold goes out of reach it is said: renewals of several people take a while.
AHEAD = 60 * DAY


class Outlook(NamedTuple):
    """From ``since`` on nobody can satisfy ``text`` any more, what ``subject`` asks for, because of ``reasons``."""

    subject: str
    text: str
    since: int
    reasons: Tuple[str, ...]

    def __str__(self) -> str:
        return f"from {day(self.since)} on nobody can reach {self.text}: {', '.join(self.reasons)}"


def requirements(policy: Policy) -> Iterator[Tuple[str, Requirement]]:
    """Every requirement of the policy, with what it belongs to."""
    if policy.quorum is not None:
        yield "policy-quorum", policy.quorum
    for rule in policy.rules:
        if rule.require is not None:
            yield f'rule "{rule.name}"', rule.require
        if rule.release is not None:
            yield f'release of rule "{rule.name}"', rule.release.require


def forecast(policy: Policy, now: int, ahead: int = AHEAD) -> Tuple[Outlook, ...]:
    """What can be satisfied at ``now`` (seconds since the epoch) and will not be any more within ``ahead`` seconds."""
    ends = {
        name: signing_end(signer, policy) for name, signer in policy.signers.items() if can_sign(signer, policy, now)
    }
    found: List[Outlook] = []
    for subject, requirement in requirements(policy):
        if not satisfied_by(requirement, frozenset(ends)):
            continue
        for moment in sorted({end for end in ends.values() if end is not None and end <= now + ahead}):
            left = frozenset(name for name, end in ends.items() if end is None or end > moment)
            if not satisfied_by(requirement, left):
                gone = {name: end for name, end in ends.items() if end is not None and end <= moment}
                reasons = tuple(_reason(name, end, policy) for name, end in sorted(gone.items()))
                found.append(Outlook(subject, describe(requirement), moment, reasons))
                break
    return (*found, *(outlook for rule in policy.rules for outlook in _vendor(rule, policy, now, ahead)))


def notice(policy: Policy, now: int) -> Optional[str]:
    """One line for whoever installs something meanwhile; None where there is nothing to say."""
    found = sorted(forecast(policy, now), key=lambda outlook: outlook.since)
    if not found:
        return None
    first = found[0]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{first.subject}: {first}{more} (see: multisig policy check)"


def _reason(name: str, end: int, policy: Policy) -> str:
    signer = policy.signers[name]
    if signer.retired is not None and signer.retired.since == end:
        return f"{name} retires on {day(end)}"
    return f"{name}'s key expires on {day(end)}"


def _vendor(rule: Rule, policy: Policy, now: int, ahead: int) -> Iterator[Outlook]:
    """A ``signed-by`` rule has no people, but keys that end."""
    counting = [key for key in rule.signed_by or () if counts(key, policy, now)]
    ends = [key_end(key, policy) for key in counting]
    known = [end for end in ends if end is not None]
    if counting and len(known) == len(ends) and max(known) <= now + ahead:
        reasons = tuple(f"{key.file} expires on {day(end)}" for key, end in zip(counting, known))
        yield Outlook(f'rule "{rule.name}"', "a signature by one of its keys", max(known), reasons)
