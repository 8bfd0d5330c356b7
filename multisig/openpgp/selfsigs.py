# SPDX-License-Identifier: GPL-2.0-or-later
"""The signatures within a public key, and what they claim about it (RFC 4880, 5.2.1 and 5.2.3.3).

Claims are read, not verified; see keys.py for why that is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from multisig.errors import KeyFormatError
from multisig.openpgp.packets import (
    SUB_EMBEDDED,
    SUB_EXPIRES,
    SUB_KEY_EXPIRES,
    SUB_KEY_FLAGS,
    SignatureBody,
    creation_time,
    issuer_hints,
    read_signature_body,
)

CERTIFICATIONS = (0x10, 0x11, 0x12, 0x13)
#: The owner's word on which certifications by others may be passed on; says nothing about the key.
APPROVAL = 0x16
DIRECT, BINDING, BACK_SIGNATURE = 0x1F, 0x18, 0x19
KEY_REVOCATION, SUBKEY_REVOCATION, CERTIFICATION_REVOCATION = 0x20, 0x28, 0x30

_FLAG_SIGN = 0x02


@dataclass(frozen=True)
class Material:
    """A key packet's own contents."""

    fingerprint: str
    algorithm: int
    bits: int
    created: int


@dataclass(frozen=True)
class KeySignature:
    """A signature within a key. ``own``: it names the primary as its issuer. Version 3 ones have no ``body``."""

    signature_class: int
    created: int
    own: bool
    body: Optional[SignatureBody]


@dataclass(frozen=True)
class Claims:
    """What the latest self-signature says; where several are of the same second, what they all allow."""

    created: int
    can_sign: bool
    expires: Optional[int]
    back_signed: bool


def read_key_signature(body: bytes, fingerprint: str) -> Optional[KeySignature]:
    """Read a signature within a key; None for other people's, which may be of any form and are never used.

    Revocations are kept whoever issued them.
    """
    if body[:2] == b"\x03\x05" and len(body) >= 15:
        # Version 3 (RFC 4880, 5.2.2): class, date, key id, and no subpackets.
        own = body[7:15].hex().upper() == fingerprint[-16:]
        old = KeySignature(body[2], int.from_bytes(body[3:7], "big"), own, None)
        return old if own or old.signature_class in (KEY_REVOCATION, SUBKEY_REVOCATION) else None
    try:
        parsed = read_signature_body(body, KeyFormatError)
        issuer, keyid = issuer_hints(parsed, KeyFormatError)
    except KeyFormatError:
        # Not even readable. It may have been meant to end the key, so the class at its usual place decides.
        if body[1:2] in (b"\x20", b"\x28"):
            return KeySignature(body[1], 0, False, None)
        return None
    own = issuer == fingerprint if issuer is not None else keyid == fingerprint[-16:]
    if own:
        return KeySignature(parsed.signature_class, creation_time(parsed, KeyFormatError), True, parsed)
    if parsed.signature_class in (KEY_REVOCATION, SUBKEY_REVOCATION):
        return KeySignature(parsed.signature_class, 0, False, parsed)
    return None


def read_claims(signatures: List[KeySignature], material: Material) -> Optional[Claims]:
    """What the latest of a key's own self-signatures, or of a subkey's bindings, says; None if there is none."""
    if not signatures:
        return None
    created = max(sig.created for sig in signatures)
    latest = [sig for sig in signatures if sig.created == created]
    ends = [end for end in (_expires(sig, material) for sig in latest) if end is not None]
    return Claims(
        created=created,
        can_sign=all(_flagged_for_signing(sig) for sig in latest),
        expires=min(ends) if ends else None,
        back_signed=all(_back_signed(sig, material.fingerprint) for sig in latest),
    )


def _flagged_for_signing(signature: KeySignature) -> bool:
    flags = signature.body.bodies(SUB_KEY_FLAGS) if signature.body else []
    return bool(flags) and all(value and value[0] & _FLAG_SIGN for value in flags)


def _expires(signature: KeySignature, material: Material) -> Optional[int]:
    """The key's end as one self-signature gives it: the key's own, or the self-signature's if that is earlier."""
    if signature.body is None:
        return None
    ends = []
    for kind, start in ((SUB_KEY_EXPIRES, material.created), (SUB_EXPIRES, signature.created)):
        for value in signature.body.bodies(kind):
            if len(value) != 4:
                raise KeyFormatError("an expiration time that is not 4 octets long")
            seconds = int.from_bytes(value, "big")
            if seconds:
                ends.append(start + seconds)
    return min(ends) if ends else None


def _back_signed(signature: KeySignature, fingerprint: str) -> bool:
    """Whether the binding holds the subkey's own signature over the primary (RFC 4880, 5.2.1, class 19).

    Without it anybody could bind another person's signing subkey to their own key, and claim that person's signatures.
    """
    for value in signature.body.bodies(SUB_EMBEDDED, hashed_only=False) if signature.body else []:
        try:
            embedded = read_signature_body(value, KeyFormatError)
            issuer, keyid = issuer_hints(embedded, KeyFormatError)
        except KeyFormatError:
            continue
        by_subkey = issuer in (None, fingerprint) and keyid in (None, fingerprint[-16:])
        if embedded.signature_class == BACK_SIGNATURE and by_subkey:
            return True
    return False
