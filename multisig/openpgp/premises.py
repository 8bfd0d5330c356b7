# SPDX-License-Identifier: GPL-2.0-or-later
"""What is settled about a signature and a key before an engine is asked, and after: the same for every engine. Pure.

Engines differ in what they make of a key's history. gpgv judges a key as it is now, Sequoia as it was on the
signature's date; one lets a key that was retired in good order sign for the time before, the other does not. So they
are asked one thing only, whether the signature is valid by the key as its latest self-signatures describe it. The rest
is decided here, from what ``parse_public_key`` and ``parse_signature`` read.
"""

from __future__ import annotations

from typing import Optional

from multisig.openpgp.model import Checked, Issuer, Outcome, PublicKey, Signature
from multisig.openpgp.packets import ECDSA, digest_too_short

#: Seconds that a signer's clock may be ahead of ours.
FUTURE_ALLOWANCE = 300

#: A policy cannot ask for less.
LEAST_RSA_BITS = 2048


def settle(signature: Signature, key: PublicKey, now: int, *, late: bool = False) -> Optional[Checked]:
    """The finding where none needs an engine's word; None where the engine has to be asked. ``now`` is its clock.

    ``late``: a signature from after the key's end is one of an expired key, of which the caller makes what it will.

    1. The key is not revoked, and neither is the part that the signature names; by whom or why does not matter.
    2. That part is for signing, and its and its primary's latest self-signatures are by a strong digest.
    3. The signature is not older than the part or its primary, and not from after their end.
    4. RSA's modulus has 2048 bits at least, whatever the policy says; Sequoia's standard policy refuses less.
       ECDSA's digest is as long as the curve; not every engine takes a shorter one.
    5. RSA's integer is below the modulus (RFC 8017, 5.2.2); not every engine sees to it.
    6. It is not dated in the future, and has not expired.
    """
    issuer = key.issuer(signature)
    if key.revoked or (issuer is not None and issuer.revoked):
        return Checked(Outcome.REVOKED_KEY, "the key is revoked")
    reason = _objection(signature, issuer, now, late)
    return Checked(Outcome.BAD, reason) if reason else None


def _objection(signature: Signature, issuer: Optional[Issuer], now: int, late: bool) -> str:
    """Steps 2 to 6; empty where there is none."""
    if issuer is None:
        return "the signature is not by this key, or by a part of it that is not for signing"
    if issuer.weakly_signed:
        return "the key's latest self-signature is by too weak a digest"
    if signature.created < issuer.created:
        return "the signature is older than the key"
    if not late and issuer.expires is not None and signature.created >= issuer.expires:
        return "the key had expired when it signed"
    if issuer.rsa_bits is not None and issuer.rsa_bits < LEAST_RSA_BITS:
        return "the key is too short"
    for part in issuer.parts:
        if part.algorithm == ECDSA and digest_too_short(signature.hash_algorithm, part.bits):
            return "the signature's digest is shorter than the key's curve"
    for modulus in issuer.moduli:
        if signature.values and signature.values[0] >= modulus:
            return "the signature's value is not below the key's modulus"
    if signature.created > now + FUTURE_ALLOWANCE:
        return "the signature is dated in the future"
    if signature.expires is not None and signature.expires <= now:
        return "the signature has expired"
    return ""


def conclude(checked: Checked, signature: Signature, key: PublicKey, now: int) -> Checked:
    """The engine's finding, as one of an expired key where a part that it rests on has ended by ``now``."""
    issuer = key.issuer(signature)
    if checked.outcome is not Outcome.GOOD or issuer is None or issuer.expires is None or issuer.expires > now:
        return checked
    return checked._replace(outcome=Outcome.EXPIRED_KEY, reason=Outcome.EXPIRED_KEY.value)
