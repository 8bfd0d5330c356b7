# SPDX-License-Identifier: GPL-2.0-or-later
"""Public keys: reading them, and saying why one cannot count.

The parser reads what self-signatures say without verifying them. That is the engine's job, and it is given only those
that were read here (``keyring_for``): whatever it then finds good rests on the very self-signatures that flags and
expiry dates were taken from. So a forged self-signature can end a key, as a forged revocation can, and lets nothing in.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Dict, List, Optional, Sequence, Tuple, Union

from multisig.errors import KeyFormatError
from multisig.namedtuples import NamedTuple
from multisig.openpgp.armor import MAX_KEY_FILE, PUBLIC_KEY, dearmor
from multisig.openpgp.model import PublicKey, Signature, Subkey
from multisig.openpgp.packets import (
    DSA,
    ECDH,
    ECDSA,
    EDDSA,
    ELGAMAL,
    ELGAMAL_BOTH,
    RSA,
    RSA_ENCRYPT,
    RSA_SIGN,
    TAG_SIGNATURE,
    Packet,
    Reader,
    read_packets,
)
from multisig.openpgp.selfsigs import (
    APPROVAL,
    BINDING,
    CERTIFICATION_REVOCATION,
    CERTIFICATIONS,
    DIRECT,
    KEY_REVOCATION,
    SUBKEY_REVOCATION,
    KeySignature,
    Material,
    latest,
    read_claims,
    read_key_signature,
)
from multisig.times import DAY

_PRIMARY, _SUBKEY, _USER_ID, _USER_ATTRIBUTE = 6, 14, 13, 17
_SECRET_TAGS = frozenset({5, 7})

#: Integers of a public key by algorithm, for those that begin with their size.
_KEY_MPIS = {RSA: 2, RSA_ENCRYPT: 2, RSA_SIGN: 2, ELGAMAL: 3, DSA: 4, ELGAMAL_BOTH: 3}
_SIGNING = frozenset({RSA, RSA_SIGN, ECDSA, EDDSA})
_WEAK = {DSA: "DSA", ELGAMAL: "ElGamal", ELGAMAL_BOTH: "ElGamal"}
_ENCRYPTION_ONLY = frozenset({RSA_ENCRYPT, ELGAMAL, ECDH})

#: Names and field sizes by the DER body of a curve's object identifier (RFC 9580, 9.2).
_CURVES = {
    bytes.fromhex("2b06010401da470f01"): ("Ed25519", 256),
    bytes.fromhex("2b060104019755010501"): ("Curve25519", 256),
    bytes.fromhex("2a8648ce3d030107"): ("NIST P-256", 256),
    bytes.fromhex("2b81040022"): ("NIST P-384", 384),
    bytes.fromhex("2b81040023"): ("NIST P-521", 521),
    bytes.fromhex("2b2403030208010107"): ("brainpoolP256r1", 256),
    bytes.fromhex("2b240303020801010b"): ("brainpoolP384r1", 384),
    bytes.fromhex("2b240303020801010d"): ("brainpoolP512r1", 512),
    bytes.fromhex("2b8104000a"): ("secp256k1", 256),
}


class KeyRequirements(NamedTuple):
    """What the policy asks of a key. ``max_validity_days`` None: any time, or none."""

    min_rsa_bits: int = 3072
    max_validity_days: Optional[int] = None


class _Component:
    """A key, user id or subkey packet, and the signatures after it that matter."""

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.signatures: List[KeySignature] = []

    def own(self, classes: Sequence[int]) -> List[KeySignature]:
        return [sig for sig in self.signatures if sig.own and sig.signature_class in classes]

    def revoked(self, revocation: int) -> bool:
        """Whoever issued it: who may revoke a key is not looked into, because any revocation ends it."""
        return any(sig.signature_class == revocation for sig in self.signatures)


def parse_public_key(data: bytes, *, path: str = "") -> PublicKey:
    """Read one transferable public key (RFC 4880, 11.1), armored or binary, of at most 256 KiB.

    Exactly one version 4 primary key, then its user ids, then its subkeys, each with its signatures; other packets are
    refused. The cryptographic validity of self-signatures is the engine's to check: this only narrows what may count.
    Any revocation of a key or subkey, by whomever, marks it as revoked. Of all self-signatures on the key and on user
    ids that are not revoked the latest decides flags and expiry, from its hashed subpackets alone. Those on
    photographs say nothing.

    ``path`` goes into the KeyFormatError that is raised for everything else.
    """
    try:
        return _parsed(data)
    except KeyFormatError as error:
        if path:
            error.at(path)
        raise


@lru_cache(maxsize=256)  # dnf reads the policy anew for each transaction
def _parsed(data: bytes) -> PublicKey:
    return _parse(_binary(data))


def keyring_for(key: PublicKey, signature: Signature) -> bytes:
    """The part of ``key`` that verifying ``signature`` needs, as a keyring: the primary and the issuing subkey with the
    self-signatures that ``parse_public_key`` took their flags and expiry from, and with all revocations.

    An engine that had older self-signatures too could fall back on them where the latest is forged, and would then
    vouch for something else than was read. And gpgv spends most of its time on self-signatures: it verifies each twice.
    """
    components = _components(key.binary)
    speaking = {sig.packet for sig in latest(_speaking(components))}
    packets: List[Packet] = []
    for component in components:
        if component.packet.tag == _SUBKEY:
            wanted = _material(component.packet.body).fingerprint[-16:] == signature.issuer_keyid
            speaking.update(sig.packet for sig in latest(component.own((BINDING,))))
        else:
            wanted = component is components[0] or any(sig.packet in speaking for sig in component.signatures)
        if wanted:
            packets.append(component.packet)
            packets += [sig.packet for sig in component.signatures if sig.packet in speaking or sig.ends_a_key]
    return b"".join(key.binary[packet.start : packet.end] for packet in packets)


def key_problem(part: Union[PublicKey, Subkey], primary: PublicKey, requirements: KeyRequirements) -> Optional[str]:
    """Why signatures by ``part``, which is ``primary`` or one of its subkeys, cannot count; None if they can.

    Expiry is not judged here, since it depends on when the question is asked; see ``expires`` of both.
    """
    if primary.revoked or part.revoked:
        return "is revoked"
    for key in (primary, part):
        problem = _algorithm_problem(key, requirements.min_rsa_bits)
        if problem:
            return problem
    if not part.can_sign:
        if isinstance(part, Subkey):
            return "is not for signing: its binding lacks the flag, or the subkey's own signature back"
        return "is not for signing: its latest self-signature lacks the flag"
    if primary.weakly_signed or part.weakly_signed:
        return "has a self-signature by too weak a digest; its owner should renew it (gpg --quick-set-expire)"
    return _validity_problem(primary, requirements.max_validity_days)


def _algorithm_problem(key: Union[PublicKey, Subkey], min_rsa_bits: int) -> Optional[str]:
    if key.algorithm in _WEAK:
        return f"is a {_WEAK[key.algorithm]} key, which is too weak"
    if key.algorithm in (RSA, RSA_SIGN, RSA_ENCRYPT):
        return f"is an RSA key of {key.bits} bits; {min_rsa_bits} are needed" if key.bits < min_rsa_bits else None
    if key.algorithm not in _SIGNING:
        return f"is of an algorithm that cannot sign or is not known ({key.algorithm})"
    return None if key.bits else "is on an unknown elliptic curve"


def _validity_problem(primary: PublicKey, max_days: Optional[int]) -> Optional[str]:
    """A subkey cannot outlive its primary, so the primary's end is the one that matters."""
    if max_days is None:
        return None
    if primary.expires is None:
        return f"never expires; keys may be valid for at most {max_days} days"
    if primary.expires - primary.self_signed > max_days * DAY:
        days = -((primary.self_signed - primary.expires) // DAY)
        return f"is valid for {days} days from its latest self-signature; at most {max_days} are allowed"
    return None


def _binary(data: bytes) -> bytes:
    if len(data) > MAX_KEY_FILE:
        raise KeyFormatError(f"longer than {MAX_KEY_FILE} bytes, which no key needs")
    if not data:
        raise KeyFormatError("empty; expected an OpenPGP public key")
    if b"-----BEGIN PGP PRIVATE KEY" in data:
        raise _secret_key()
    return data if data[0] & 0x80 else dearmor(data, PUBLIC_KEY)


def _secret_key() -> KeyFormatError:
    return KeyFormatError("this file holds a SECRET key; remove it at once, and put only the public key here")


def _parse(binary: bytes) -> PublicKey:
    components = _components(binary)
    primary, user_ids, subkeys = components[0], [], []
    material = _material(primary.packet.body)
    for component in components[1:]:
        if component.packet.tag == _SUBKEY:
            subkeys.append(_subkey(component, material))
        elif subkeys:
            raise KeyFormatError("a user id after a subkey")
        elif component.packet.tag == _USER_ID:
            user_ids.append(_printable(component.packet.body))
    fingerprints = [material.fingerprint, *(subkey.fingerprint for subkey in subkeys)]
    if len(set(fingerprints)) != len(fingerprints):
        raise KeyFormatError("the same key twice")
    claims = read_claims(_speaking(components), material, material)
    return PublicKey(
        fingerprint=material.fingerprint,
        algorithm=material.algorithm,
        bits=material.bits,
        created=material.created,
        expires=claims.expires if claims else None,
        can_sign=bool(claims and claims.can_sign) and material.algorithm not in _ENCRYPTION_ONLY,
        revoked=any(component.revoked(KEY_REVOCATION) for component in components),
        user_ids=tuple(user_ids),
        subkeys=tuple(subkeys),
        self_signed=claims.created if claims else 0,
        binary=binary,
        curve=material.curve,
        modulus=material.modulus,
        numbers=material.numbers,
        weakly_signed=bool(claims and claims.weak),
    )


def _components(binary: bytes) -> List[_Component]:
    """Group the packets: each signature goes with the key, user id or subkey before it."""
    components: List[_Component] = []
    fingerprint = ""
    for packet in read_packets(binary, KeyFormatError):
        if packet.tag in _SECRET_TAGS:
            raise _secret_key()
        if packet.tag == TAG_SIGNATURE and components:
            signature = read_key_signature(packet, fingerprint)
            if signature is not None:
                _check_place(signature, components[-1].packet.tag)
                components[-1].signatures.append(signature)
        elif packet.tag == _PRIMARY and not components:
            fingerprint = _material(packet.body).fingerprint
            components.append(_Component(packet))
        elif packet.tag in (_USER_ID, _USER_ATTRIBUTE, _SUBKEY) and components:
            components.append(_Component(packet))
        elif packet.tag == _PRIMARY:
            raise KeyFormatError("more than one key; a file holds one person's one key")
        else:
            raise KeyFormatError("a packet that does not belong in a public key", got=f"tag {packet.tag}")
    return components


def _check_place(signature: KeySignature, tag: int) -> None:
    """A self-signature or revocation at the wrong place would be read differently by different programs."""
    places: Dict[int, Tuple[int, ...]] = {
        DIRECT: (_PRIMARY,),
        KEY_REVOCATION: (_PRIMARY,),
        BINDING: (_SUBKEY,),
        SUBKEY_REVOCATION: (_SUBKEY,),
        CERTIFICATION_REVOCATION: (_USER_ID, _USER_ATTRIBUTE),
        APPROVAL: (_USER_ID, _USER_ATTRIBUTE),
    }
    places.update(dict.fromkeys(CERTIFICATIONS, (_USER_ID, _USER_ATTRIBUTE)))
    if tag not in places.get(signature.signature_class, ()):
        raise KeyFormatError("a signature where it does not belong", got=f"class {signature.signature_class:02x}")


def _material(body: bytes) -> Material:
    """Read a key packet (RFC 4880, 5.5.2). The fingerprint is that of 12.2, SHA-1 by definition."""
    reader = Reader(body, KeyFormatError)
    version = reader.number(1, "key")
    if version != 4:
        raise KeyFormatError("a key of another version", expected=4, got=version)
    created, algorithm = reader.number(4, "key"), reader.number(1, "key")
    curve, bits, modulus = "", 0, 0
    integers: List[int] = []
    if algorithm in _KEY_MPIS:
        integers = [reader.mpi("key") for _ in range(_KEY_MPIS[algorithm])]
        bits = integers[0].bit_length()
        modulus = integers[0] if algorithm in (RSA, RSA_ENCRYPT, RSA_SIGN) else 0
    elif algorithm in (ECDH, ECDSA, EDDSA):
        curve, bits = _CURVES.get(reader.take(reader.number(1, "key"), "key"), ("", 0))
        integers = [reader.mpi("key")]
        if algorithm == ECDH:
            reader.take(reader.number(1, "key"), "key")
    else:
        reader.rest()
    if reader or len(body) > 0xFFFF:
        raise KeyFormatError("bytes after a key's end")
    framed = b"\x99" + len(body).to_bytes(2, "big") + body
    fingerprint = hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()
    return Material(fingerprint, algorithm, bits, created, curve, modulus, _numbers(curve, integers, body))


def _numbers(curve: str, integers: List[int], body: bytes) -> bytes:
    """A digest of what is the same wherever the same secret key stands: not the date, nor which of RSA's numbers the
    algorithm has. Of keys that are not understood it is one of everything after the date."""
    said = repr((curve, integers)).encode("ascii") if integers and (curve or len(integers) > 1) else body[5:]
    return hashlib.sha256(said).digest()


def _speaking(components: List[_Component]) -> List[KeySignature]:
    """The self-signatures that speak for the primary: direct ones, and those on user ids not revoked since.

    Those on photographs are left out, because not every engine takes a key's flags and expiry from there.
    """
    found: List[KeySignature] = []
    for component in components:
        if component.packet.tag in (_SUBKEY, _USER_ATTRIBUTE):
            continue
        revocations = [sig.created for sig in component.own((CERTIFICATION_REVOCATION,))]
        for sig in component.own((DIRECT, *CERTIFICATIONS)):
            if not any(sig.created <= date for date in revocations):
                found.append(sig)
    return found


def _subkey(component: _Component, primary: Material) -> Subkey:
    material = _material(component.packet.body)
    claims = read_claims(component.own((BINDING,)), material, primary)
    back_signed = bool(claims and claims.back_signed)
    flagged = bool(claims and claims.can_sign) and material.algorithm not in _ENCRYPTION_ONLY
    return Subkey(
        fingerprint=material.fingerprint,
        algorithm=material.algorithm,
        bits=material.bits,
        created=material.created,
        expires=claims.expires if claims else None,
        can_sign=flagged and back_signed,
        back_signed=back_signed,
        revoked=component.revoked(SUBKEY_REVOCATION),
        curve=material.curve,
        modulus=material.modulus,
        numbers=material.numbers,
        bound=claims.settled if claims else 0,
        weakly_signed=bool(claims and claims.weak),
    )


def _printable(user_id: bytes) -> str:
    """A user id fit for a terminal: what is not UTF-8 or not printable is replaced."""
    text = user_id.decode("utf-8", errors="replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
