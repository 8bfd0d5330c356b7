# SPDX-License-Identifier: GPL-2.0-or-later
"""The signatures within a public key, and what they claim about it (RFC 4880, 5.2.1 and 5.2.3.3).

Claims are read, not verified; see keys.py for why that is enough.
"""

from __future__ import annotations

from typing import List, Optional

from multisig.errors import KeyFormatError
from multisig.namedtuples import NamedTuple
from multisig.openpgp.packets import (
    ECDSA,
    LAST_SECOND,
    STRONG_HASHES,
    SUB_EMBEDDED,
    SUB_EXPIRES,
    SUB_KEY_BLOCK,
    SUB_KEY_EXPIRES,
    SUB_KEY_FLAGS,
    Packet,
    SignatureBody,
    creation_time,
    digest_too_short,
    issuer_hints,
    read_signature_body,
)

CERTIFICATIONS = (0x10, 0x11, 0x12, 0x13)
#: The owner's word on which certifications by others may be passed on; says nothing about the key.
APPROVAL = 0x16
DIRECT, BINDING, BACK_SIGNATURE = 0x1F, 0x18, 0x19
KEY_REVOCATION, SUBKEY_REVOCATION, CERTIFICATION_REVOCATION = 0x20, 0x28, 0x30

_FLAG_SIGN = 0x02
#: Subpackets that gpgv refuses where they are marked critical, and Sequoia does not: key server preferences, signer's
#: user id, approved certifications, preferred AEAD ciphersuites.
_NOT_CRITICAL = frozenset({23, 28, 37, 39})


class Material(NamedTuple):
    """A key packet's own contents; ``curve``, ``modulus`` and ``numbers`` are as in model.Subkey."""

    fingerprint: str
    algorithm: int
    bits: int
    created: int
    curve: str
    modulus: int
    numbers: bytes


class KeySignature(NamedTuple):
    """A signature within a key. ``own``: it names the primary as its issuer. Version 3 ones have no ``body``."""

    packet: Packet
    signature_class: int
    created: int
    own: bool
    body: Optional[SignatureBody]

    @property
    def ends_a_key(self) -> bool:
        """Whether it revokes the key or a subkey."""
        return self.signature_class in (KEY_REVOCATION, SUBKEY_REVOCATION)


class BackSignature(NamedTuple):
    """A subkey's own signature over the primary."""

    created: int
    weak: bool


class Claims(NamedTuple):
    """What the latest self-signature says; where several are of the same second, what they all allow.

    ``created`` is its date. ``settled`` is that, or the date of the subkey's signature back if that is later. ``weak``:
    one of them is by a digest that is not good enough.
    """

    created: int
    settled: int
    can_sign: bool
    expires: Optional[int]
    back_signed: bool
    weak: bool


def read_key_signature(packet: Packet, fingerprint: str) -> Optional[KeySignature]:
    """Read a signature within a key; None for other people's, which may be of any form and are never used.

    Revocations are kept whoever issued them.
    """
    body = packet.body
    if body[:2] == b"\x03\x05" and len(body) >= 15:
        # Version 3 (RFC 4880, 5.2.2): class, date, key id, and no subpackets.
        own = body[7:15].hex().upper() == fingerprint[-16:]
        old = KeySignature(packet, body[2], int.from_bytes(body[3:7], "big"), own, None)
        return old if own or old.ends_a_key else None
    try:
        parsed = read_signature_body(body, KeyFormatError)
        issuer, keyid = issuer_hints(parsed, KeyFormatError)
    except KeyFormatError:
        # Not even readable. It may have been meant to end the key, so the class at its usual place decides.
        if body[1:2] in (b"\x20", b"\x28"):
            return KeySignature(packet, body[1], 0, False, None)
        return None
    own = issuer == fingerprint if issuer is not None else keyid == fingerprint[-16:]
    if own:
        return KeySignature(packet, parsed.signature_class, creation_time(parsed, KeyFormatError), True, parsed)
    foreign = KeySignature(packet, parsed.signature_class, 0, False, parsed)
    return foreign if foreign.ends_a_key else None


def latest(signatures: List[KeySignature]) -> List[KeySignature]:
    """Those of the latest second."""
    created = max((sig.created for sig in signatures), default=0)
    return [sig for sig in signatures if sig.created == created]


def read_claims(signatures: List[KeySignature], material: Material, issuer: Material) -> Optional[Claims]:
    """What the latest of a key's own self-signatures, or of a subkey's bindings, says; None if there is none.

    ``material`` is that of the key or subkey in question, ``issuer`` the primary's.
    """
    if not signatures:
        return None
    last = latest(signatures)
    ends = [end for end in (_expires(sig, material) for sig in last) if end is not None]
    backs = [_back_signature(sig, material) for sig in last]
    return Claims(
        created=last[0].created,
        settled=max([last[0].created, *(back.created for back in backs if back)]),
        can_sign=all(_flagged_for_signing(sig) for sig in last),
        expires=min(ends) if ends else None,
        back_signed=all(backs),
        weak=any(_weak(sig.body, issuer) for sig in last) or any(back.weak for back in backs if back),
    )


def _weak(body: Optional[SignatureBody], issuer: Material) -> bool:
    """Whether a self-signature's digest is not good enough. Version 3 ones have no flags, and allow nothing anyhow."""
    if body is None:
        return False
    too_short = issuer.algorithm == ECDSA and digest_too_short(body.hash_algorithm, issuer.bits)
    return too_short or body.hash_algorithm not in STRONG_HASHES


def _flagged_for_signing(signature: KeySignature) -> bool:
    """A self-signature with contents of which one engine makes this and another that gives no flags."""
    if signature.body is None:
        return False
    for sub in signature.body.subpackets:
        misplaced = sub.type == SUB_KEY_BLOCK or (sub.type == SUB_EMBEDDED and signature.signature_class != BINDING)
        if sub.hashed and (misplaced or not sub.well_formed or (sub.critical and sub.type in _NOT_CRITICAL)):
            return False
    flags = signature.body.bodies(SUB_KEY_FLAGS)
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
                # An end that cannot be told in 32 bits is none to rely on: gpgv takes it for one long ago.
                ends.append(start + seconds if start + seconds <= LAST_SECOND else start)
    return min(ends) if ends else None


def _back_signature(signature: KeySignature, subkey: Material) -> Optional[BackSignature]:
    """The subkey's own signature over the primary (RFC 4880, 5.2.1, class 19) that the binding holds.

    None where there is none, or several, of which engines may choose different ones. Without it anybody could bind
    another person's signing subkey to their own key, and claim that person's signatures.
    """
    values = signature.body.bodies(SUB_EMBEDDED, hashed_only=False) if signature.body else []
    if len(values) != 1:
        return None
    try:
        embedded = read_signature_body(values[0], KeyFormatError)
        issuer, keyid = issuer_hints(embedded, KeyFormatError)
        created = creation_time(embedded, KeyFormatError)
    except KeyFormatError:
        return None
    by_subkey = issuer in (None, subkey.fingerprint) and keyid in (None, subkey.fingerprint[-16:])
    if embedded.signature_class != BACK_SIGNATURE or not by_subkey:
        return None
    return BackSignature(created, _weak(embedded, subkey))
