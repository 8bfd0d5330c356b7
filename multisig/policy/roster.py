# SPDX-License-Identifier: GPL-2.0-or-later
"""The people of a policy and their keys, as a list: what each key is, and whether it counts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple, Union

from multisig.openpgp.keys import key_problem
from multisig.openpgp.model import PublicKey, Subkey
from multisig.openpgp.packets import DSA, ECDH, ECDSA, EDDSA, ELGAMAL, ELGAMAL_BOTH, RSA, RSA_ENCRYPT, RSA_SIGN
from multisig.policy.model import Key, Policy, Signer
from multisig.policy.standing import counts, key_end
from multisig.text import counted
from multisig.times import DAY, day

SOON = 30 * DAY
"""Seconds before a key's end from which on it is said to be near."""

_NAMES = {
    RSA: "RSA", RSA_SIGN: "RSA", RSA_ENCRYPT: "RSA", DSA: "DSA", ELGAMAL: "ElGamal", ELGAMAL_BOTH: "ElGamal",
    ECDSA: "ECDSA", ECDH: "ECDH", EDDSA: "EdDSA",
}  # fmt: skip
_SIZED = frozenset({RSA, RSA_SIGN, RSA_ENCRYPT, DSA, ELGAMAL, ELGAMAL_BOTH})


@dataclass(frozen=True)
class Part:
    """The primary key or a subkey. ``counts``: signatures by it can count, its end apart."""

    fingerprint: str
    algorithm: str
    bits: int
    created: int
    expires: Optional[int]
    signs: bool
    revoked: bool
    counts: bool


@dataclass(frozen=True)
class KeyLine:
    """A key of the policy. ``parts`` begin with the primary; ``algorithm`` is that of those that sign.

    ``counts``: a signature made now could; ``expires`` is when the last part that can ceases to, None for never or
    where there is a ``problem``. ``status`` says all of this in words, ``soon`` that its end is near.
    """

    fingerprint: str
    file: str
    user_ids: Tuple[str, ...]
    algorithm: str
    parts: Tuple[Part, ...]
    expires: Optional[int]
    counts: bool
    problem: Optional[str]
    status: str
    soon: bool


@dataclass(frozen=True)
class PersonLine:
    """A signer. ``standing``: active, retired or compromised, ``since`` the day of retirement, in seconds."""

    name: str
    standing: str
    since: Optional[int]
    groups: Tuple[str, ...]
    keys: Tuple[KeyLine, ...]


@dataclass(frozen=True)
class VendorLine:
    """A ``signed-by`` rule and its keys."""

    rule: str
    keys: Tuple[KeyLine, ...]


def people(policy: Policy, now: int) -> Tuple[PersonLine, ...]:
    """Everybody in the policy, in its order, at ``now`` (seconds since the epoch)."""
    return tuple(_person(signer, policy, now) for signer in policy.signers.values())


def vendors(policy: Policy, now: int) -> Tuple[VendorLine, ...]:
    """Every ``signed-by`` rule, in the policy's order."""
    return tuple(
        VendorLine(rule.name, tuple(key_line(key, policy, now) for key in rule.signed_by))
        for rule in policy.rules
        if rule.signed_by is not None
    )


def _person(signer: Signer, policy: Policy, now: int) -> PersonLine:
    retired = signer.retired is not None and signer.retired.since <= now
    return PersonLine(
        name=signer.name,
        standing="compromised" if signer.compromised else "retired" if retired else "active",
        since=None if signer.retired is None else signer.retired.since,
        groups=tuple(name for name, members in policy.groups.items() if signer.name in members),
        keys=tuple(key_line(key, policy, now) for key in signer.keys),
    )


def key_line(key: Key, policy: Policy, now: int) -> KeyLine:
    """What there is to say of one key."""
    parts: Tuple[Union[PublicKey, Subkey], ...] = (key.public, *key.public.subkeys)
    end = None if key.problem is not None else key_end(key, policy)
    soon = end is not None and now < end <= now + SOON
    return KeyLine(
        fingerprint=key.fingerprint,
        file=key.file,
        user_ids=key.public.user_ids,
        algorithm=" + ".join(dict.fromkeys(algorithm(part) for part in _signing(key, policy))),
        parts=tuple(_part(part, key, policy) for part in parts),
        expires=end,
        counts=counts(key, policy, now),
        problem=key.problem,
        status=_status(key, end, soon, now),
        soon=soon,
    )


def algorithm(part: Union[PublicKey, Subkey]) -> str:
    """``RSA 4096``, ``Ed25519``, ``ECDSA NIST P-256``; a number (RFC 9580, 9.1) for what is not known."""
    name = _NAMES.get(part.algorithm, f"algorithm {part.algorithm}")
    if part.algorithm in _SIZED:
        return f"{name} {part.bits}"
    if part.algorithm == EDDSA and part.curve:
        return part.curve
    return f"{name} {part.curve}".strip()


def _signing(key: Key, policy: Policy) -> Iterator[Union[PublicKey, Subkey]]:
    """The parts that can count; where none can, those that are for signing; where none is, the primary."""
    parts = tuple(key.public.signing_parts()) or (key.public,)
    able = [part for part in parts if key_problem(part, key.public, policy.key_requirements) is None]
    yield from able or parts


def _part(part: Union[PublicKey, Subkey], key: Key, policy: Policy) -> Part:
    return Part(
        part.fingerprint, algorithm(part), part.bits, part.created, part.expires, part.can_sign, part.revoked,
        key_problem(part, key.public, policy.key_requirements) is None,
    )  # fmt: skip


def _status(key: Key, end: Optional[int], soon: bool, now: int) -> str:
    if key.problem is not None:
        return key.problem
    if end is None:
        return "counts"
    if end <= now:
        return "has expired"
    return f"expires in {_days(end - now)}" if soon else "counts"


def _days(seconds: int) -> str:
    number = seconds // DAY
    return "less than a day" if number == 0 else counted(number, "day")


def standing_words(person: PersonLine) -> str:
    """What a person's standing is, in words; empty where there is nothing to say."""
    if person.standing == "compromised":
        return "compromised: nothing of theirs counts"
    if person.since is None:
        return ""
    return f"retired since {day(person.since)}" if person.standing == "retired" else f"retires on {day(person.since)}"
