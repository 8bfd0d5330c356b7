# SPDX-License-Identifier: GPL-2.0-or-later
"""What is settled about a signature and a key before an engine is asked, and after: the same for every engine. Pure.

Engines differ in what they make of a key's history. gpgv judges a key as it is now, Sequoia as it was on the
signature's date; one lets a key that was retired in good order sign for the time before, the other does not. So they
are asked one thing only, whether the signature is valid by the key as its latest self-signatures describe it. The rest
is decided here, from what ``parse_public_key`` and ``parse_signature`` read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Union

from multisig.openpgp.model import Checked, Outcome, PublicKey, Signature, Subkey
from multisig.openpgp.packets import ECDSA, digest_too_short

#: Seconds that a signer's clock may be ahead of ours.
FUTURE_ALLOWANCE = 300

#: A policy cannot ask for less.
LEAST_RSA_BITS = 2048

Part = Union[PublicKey, Subkey]


def settle(signature: Signature, key: PublicKey, now: int, *, late: bool = False) -> Optional[Checked]:
    """The finding where none needs an engine's word; None where the engine has to be asked. ``now`` is the real clock.

    ``late``: a signature from after the key's end is one of an expired key, of which the caller makes what it will.

    1. The key is not revoked, and neither is the part that the signature names; by whom or why does not matter.
    2. That part is for signing, and its and its primary's latest self-signatures are by a strong digest.
    3. The signature is not older than the part or its primary, and not from after their end.
    4. RSA's modulus has 2048 bits at least, whatever the policy says; Sequoia's standard policy refuses less.
       ECDSA's digest is as long as the curve; not every engine takes a shorter one.
    5. RSA's integer is below the modulus (RFC 8017, 5.2.2); not every engine sees to it.
    6. It is not dated in the future, and has not expired.
    """
    parts = key.parts_named(signature)
    if key.revoked or any(part.revoked for part in parts):
        return Checked(Outcome.REVOKED_KEY, "the key is revoked")
    if not parts:
        return _bad("the signature is not by this key, or by a part of it that is not for signing")
    if any(part.weakly_signed for part in (key, *parts)):
        return _bad("the key's latest self-signature is by too weak a digest")
    if any(0 < part.modulus.bit_length() < LEAST_RSA_BITS for part in (key, *parts)):
        return _bad("the key is too short")
    if any(_too_short(signature.hash_algorithm, part) for part in parts):
        return _bad("the signature's digest is shorter than the key's curve")
    if any(part.modulus and signature.values and signature.values[0] >= part.modulus for part in parts):
        return _bad("the signature's value is not below the key's modulus")
    if any(signature.created < part.created for part in (key, *parts)):
        return _bad("the signature is older than the key")
    end = _end(key, *parts)
    if not late and end is not None and signature.created >= end:
        return _bad("the key had expired when it signed")
    if signature.created > now + FUTURE_ALLOWANCE:
        return _bad("the signature is dated in the future")
    if signature.expires is not None and signature.expires <= now:
        return _bad("the signature has expired")
    return None


def conclude(checked: Checked, key: PublicKey, now: int) -> Checked:
    """The engine's finding, as one of an expired key where a part that it rests on has ended by ``now``."""
    if checked.outcome is not Outcome.GOOD:
        return checked
    end = _end(key, *(part for part in key.signing_parts() if part.fingerprint == checked.issuer))
    if end is None or end > now:
        return checked
    return replace(checked, outcome=Outcome.EXPIRED_KEY, reason=Outcome.EXPIRED_KEY.value)


def settled_since(signature: Signature, key: PublicKey) -> int:
    """From when on all that the key's file says of the parts in question holds; a signature may well be older."""
    parts = key.parts_named(signature)
    return max([key.self_signed, *(part.bound for part in parts if isinstance(part, Subkey))])


def _too_short(digest: int, part: Part) -> bool:
    return part.algorithm == ECDSA and digest_too_short(digest, part.bits)


def _end(*parts: Part) -> Optional[int]:
    return min((part.expires for part in parts if part.expires is not None), default=None)


def _bad(reason: str) -> Checked:
    return Checked(Outcome.BAD, reason)
