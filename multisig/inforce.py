# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy that is in force here: whether an older one was put back, whether it will do much longer, what it decided.

The same for all that asks the gate: dnf 4, dnf 5 and librpm's plugin.
"""

from __future__ import annotations

from typing import Sequence, Tuple

from multisig.errors import RefusedError
from multisig.gate import Gate, Judged
from multisig.journal import Entry, Journal
from multisig.policy import Policy, notice
from multisig.succession import rolled_back


def look_at(policy: Policy, journal: Journal, *, now: int, enforcing: bool) -> Tuple[str, ...]:
    """What there is to say of the policy itself, a line each, at ``now`` (seconds since the epoch).

    Raises RefusedError where an old policy with a quorum was put back and ``enforcing``; JournalError.
    """
    back = rolled_back(policy, journal.newest_policy(policy.channel or ""))
    if back is not None and policy.quorum is not None and enforcing:
        raise RefusedError(back)
    return tuple(text for text in (back, notice(policy, now)) if text is not None)


def remember(policy: Policy, journal: Journal, *, now: int) -> None:
    """Note that the policy was in force, unless a later one has been. Raises JournalError."""
    channel = policy.channel or ""
    if policy.serial > journal.newest_policy(channel):
        journal.remember_policy(channel, policy.serial, time=now, sha256=policy.sha256)


def record(
    journal: Journal, gate: Gate, judged: Sequence[Judged], *, stage: str, enforcing: bool, time: int,
    notes: Sequence[str] = (),
) -> int:  # fmt: skip
    """Write a decision into the journal, and remember the policy that it was by; its number there. Or JournalError."""
    remember(gate.policy, journal, now=time)
    entries = [
        Entry(
            item.verdict, getattr(item.digests, "sha256", None), getattr(item.digests, "sha512", None), item.bundle,
            item.attestations,
        )  # fmt: skip
        for item in judged
    ]
    return journal.record(
        entries, time=time, stage=stage, mode="enforce" if enforcing else "warn",
        accepted=all(item.verdict.accepted for item in judged), serial=gate.policy.serial, policy=gate.policy.sha256,
        notes=notes,
    )  # fmt: skip
