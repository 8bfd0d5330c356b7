# SPDX-License-Identifier: GPL-2.0-or-later
"""Strict reader of OpenPGP packets (RFC 4880, 4.2 and 5.2), and of detached signatures.

Only the form is checked. Whether a signature is valid, an engine says; what passes here holds nothing that two engines
could read in two ways: one packet, every length definite, every byte accounted for.
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, FrozenSet, List, Optional, Tuple, Type, Union

from multisig.errors import OpenPGPError, SignatureFormatError
from multisig.namedtuples import NamedTuple
from multisig.openpgp.armor import MAX_ARMORED_SIGNATURE, SIGNATURE, dearmor
from multisig.openpgp.model import Signature

TAG_SIGNATURE = 2

RSA, RSA_ENCRYPT, RSA_SIGN = 1, 2, 3
ELGAMAL, DSA, ECDH, ECDSA, ELGAMAL_BOTH, EDDSA = 16, 17, 18, 19, 20, 22

#: MPIs of a signature by algorithm, of those that can count.
_SIGNATURE_MPIS = {RSA: 1, RSA_SIGN: 1, ECDSA: 2, EDDSA: 2}
#: Bits of the digests that can count: SHA-256, SHA-384, SHA-512.
STRONG_HASHES = {8: 256, 9: 384, 10: 512}
#: Dates have 32 bits. Some engines count on, others begin again in 1970.
LAST_SECOND = 2**32 - 1
_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
_WEAK_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 11: "SHA-224"}

_CLASSES = {
    0x01: "text document (class 01)",
    0x02: "standalone (class 02)",
    0x10: "certification (class 10)",
    0x11: "certification (class 11)",
    0x12: "certification (class 12)",
    0x13: "certification (class 13)",
}

# Signature subpackets, RFC 4880, 5.2.3.1, and RFC 9580, 5.2.3.7.
SUB_CREATED, SUB_EXPIRES, SUB_KEY_EXPIRES = 2, 3, 9
SUB_ISSUER, SUB_KEY_FLAGS, SUB_EMBEDDED, SUB_ISSUER_FINGERPRINT, SUB_KEY_BLOCK = 16, 27, 32, 33, 38

#: What a detached signature may mark critical: what is understood here or by the engine.
_CRITICAL: FrozenSet[int] = frozenset({SUB_CREATED, SUB_EXPIRES, SUB_ISSUER, SUB_ISSUER_FINGERPRINT})


def _is_flag(body: bytes) -> bool:
    return body in (b"\0", b"\1")


def _is_notation(body: bytes) -> bool:
    """RFC 4880, 5.2.3.16; a name there must be."""
    name, value = int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big")
    return len(body) > 8 and name > 0 and len(body) == 8 + name + value


#: What the contents of subpackets must be like, of those that engines read (RFC 9580, 5.2.3.7). gpgv and Sequoia do not
#: refuse the same malformed ones, and gpgv crashes on some. Others pass, since both ignore what they do not know.
_SHAPES: Dict[int, Callable[[bytes], bool]] = {
    4: _is_flag,  # exportable certification
    5: lambda body: len(body) == 2,  # trust signature
    6: lambda body: body[-1:] == b"\0",  # regular expression
    7: _is_flag,  # revocable
    SUB_KEY_EXPIRES: lambda body: len(body) == 4,
    12: lambda body: len(body) == 22 and body[0] & 0x80 != 0,  # revocation key
    20: _is_notation,
    25: _is_flag,  # primary user id
    29: lambda body: len(body) >= 1,  # reason for revocation
    31: lambda body: len(body) >= 2,  # signature target
    35: lambda body: (body[:1], len(body)) in ((b"\4", 21), (b"\6", 33)),  # intended recipient
    37: lambda body: len(body) % 32 == 0,  # approved certifications
    39: lambda body: len(body) % 2 == 0,  # preferred AEAD ciphersuites
}


#: Subpackets that hold packets for engines to read, and have no place in a detached signature.
_HOLDING = {SUB_EMBEDDED: "another signature", SUB_KEY_BLOCK: "a key (gpg's --include-key-block)"}


# Where the parts of a usual signature's body are: version and class; algorithms; length of the hashed area, and its
# first subpacket up to the fingerprint; the second one up to the date; the other area up to the key id; left bits of
# the hash.
_USUAL = struct.Struct(">2sBB5s20s2sI4s8s2s")
_USUAL_PARTS = bytes((4, 0x00, 0, 29, 22, SUB_ISSUER_FINGERPRINT, 4, 5, SUB_CREATED, 0, 10, 9, SUB_ISSUER))


class Reader:
    """Takes bytes off the front of a buffer; raises ``error`` where they run out."""

    def __init__(self, data: bytes, error: Type[OpenPGPError]) -> None:
        self.data = data
        self.position = 0
        self.error = error

    def __bool__(self) -> bool:
        return self.position < len(self.data)

    def take(self, count: int, what: str) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise self.error(f"{what} is cut short")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, octets: int, what: str) -> int:
        return int.from_bytes(self.take(octets, what), "big")

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position, "packet")

    def mpi(self, what: str) -> int:
        """Take a multiprecision integer (RFC 4880, 3.2) and return it.

        Leading zero bits within the stated length pass, because some programs write elliptic-curve values as they come;
        bits beyond it do not.
        """
        bits = self.number(2, what)
        value = int.from_bytes(self.take((bits + 7) // 8, what), "big")
        if not bits or value.bit_length() > bits:
            raise self.error(f"{what} is not what its length says")
        return value


class Packet(NamedTuple):
    """One packet: its tag, its body without the packet header, and where it lies in what was read."""

    tag: int
    body: bytes
    start: int
    end: int


class Subpacket(NamedTuple):
    """One signature subpacket; ``hashed`` says whether the signature covers it."""

    type: int
    critical: bool
    hashed: bool
    body: bytes

    @property
    def well_formed(self) -> bool:
        """Whether the contents are what the type asks for; true of unknown types."""
        shape = _SHAPES.get(self.type)
        return shape is None or shape(self.body)


class SignatureBody(NamedTuple):
    """A version 4 signature packet's body, read but not judged. ``material`` is what follows the hash's left bits."""

    signature_class: int
    pubkey_algorithm: int
    hash_algorithm: int
    subpackets: Tuple[Subpacket, ...]
    material: bytes

    def bodies(self, kind: int, *, hashed_only: bool = True) -> List[bytes]:
        """The bodies of the subpackets of one type; by default of those that the signature covers."""
        return [sub.body for sub in self.subpackets if sub.type == kind and (sub.hashed or not hashed_only)]


def read_packets(data: bytes, error: Type[OpenPGPError]) -> List[Packet]:
    """Split ``data`` into packets, of the old and the new header format, that span it exactly.

    Partial and indeterminate lengths are refused; nothing that is read here needs them.
    """
    packets = []
    start, size = 0, len(data)
    while start < size:
        first = data[start]
        if not first & 0x80:
            raise error("not an OpenPGP packet")
        if first & 0x40:
            tag, (body, length) = first & 0x3F, _new_length(data, start + 1, error)
        else:
            tag, (body, length) = first >> 2 & 0x0F, _old_length(data, start + 1, first & 3, error)
        if tag == 0:
            raise error("a packet of the reserved tag 0")
        end = body + length
        if end > size:
            raise error("packet is cut short")
        packets.append(Packet(tag, data[body:end], start, end))
        start = end
    return packets


# Each gives the place after a length, and the length.


def _old_length(data: bytes, start: int, length_type: int, error: Type[OpenPGPError]) -> Tuple[int, int]:
    if length_type == 3:
        raise error("a packet of indeterminate length")
    end = start + (1 << length_type)
    if end > len(data):
        raise error("packet length is cut short")
    return end, int.from_bytes(data[start:end], "big")


def _new_length(data: bytes, start: int, error: Type[OpenPGPError]) -> Tuple[int, int]:
    if start == len(data):
        raise error("packet length is cut short")
    if 224 <= data[start] < 255:
        raise error("a packet of partial length")
    return _octets_length(data, start, error)


def _octets_length(data: bytes, start: int, error: Type[OpenPGPError]) -> Tuple[int, int]:
    first = data[start]
    if first < 192:
        return start + 1, first
    end = start + (2 if first < 255 else 5)
    if end > len(data):
        raise error("length is cut short")
    if first < 255:
        return end, (first - 192 << 8) + data[start + 1] + 192
    return end, int.from_bytes(data[start + 1 : end], "big")


def read_subpackets(area: bytes, hashed: bool, error: Type[OpenPGPError]) -> List[Subpacket]:
    """The subpackets of one area, which they must fill exactly."""
    found = []
    start, size = 0, len(area)
    while start < size:
        start, length = _octets_length(area, start, error)
        if length == 0:
            raise error("a signature subpacket without a type")
        end = start + length
        if end > size:
            raise error("subpacket is cut short")
        kind = area[start]
        found.append(Subpacket(kind & 0x7F, kind > 0x7F, hashed, area[start + 1 : end]))
        start = end
    return found


def read_signature_body(body: bytes, error: Type[OpenPGPError]) -> SignatureBody:
    """Read a version 4 signature packet's body up to its algorithm-specific part."""
    if body[:1] not in (b"", b"\x04"):
        raise error("a signature packet of another version", expected=4, got=body[0])
    middle, end = _areas(body, error)
    hashed = read_subpackets(body[6:middle], True, error)
    unhashed = read_subpackets(body[middle + 2 : end], False, error)
    return SignatureBody(body[1], body[2], body[3], (*hashed, *unhashed), body[end + 2 :])


def _areas(body: bytes, error: Type[OpenPGPError]) -> Tuple[int, int]:
    """Where the hashed subpackets end in a version 4 signature's body, and where the others do."""
    middle = 6 + int.from_bytes(body[4:6], "big")
    end = middle + 2 + int.from_bytes(body[middle : middle + 2], "big")
    if len(body) < end + 2:
        raise error("a signature is cut short")
    return middle, end


def creation_time(body: SignatureBody, error: Type[OpenPGPError]) -> int:
    """The date that the signer gave, seconds since the epoch: exactly one, and covered by the signature."""
    dates = body.bodies(SUB_CREATED)
    if len(dates) != 1 or len(dates[0]) != 4:
        raise error("a signature needs exactly one creation time", got=len(dates))
    return int.from_bytes(dates[0], "big")


def expiration_time(body: SignatureBody, created: int, error: Type[OpenPGPError]) -> Optional[int]:
    """The moment from which the signature does not count, seconds since the epoch; 0 seconds of validity mean none."""
    periods = body.bodies(SUB_EXPIRES)
    if len(periods) > 1 or any(len(period) != 4 for period in periods):
        raise error("a signature needs at most one expiration time", got=len(periods))
    seconds = int.from_bytes(periods[0], "big") if periods else 0
    if created + seconds > LAST_SECOND:
        raise error("an expiration time after February 2106, when OpenPGP's dates end")
    return created + seconds if seconds else None


def issuer_hints(body: SignatureBody, error: Type[OpenPGPError]) -> Tuple[Optional[str], Optional[str]]:
    """The issuer's fingerprint and key id, from both areas; all that are given must agree."""
    fingerprint = keyid = None
    agree = True
    for sub in body.subpackets:
        if sub.type == SUB_ISSUER_FINGERPRINT:
            if len(sub.body) != 21 or sub.body[0] != 4:
                raise error("an issuer's fingerprint that is not of version 4")
            named = sub.body[1:].hex().upper()
            agree = agree and fingerprint in (None, named)
            fingerprint = named
        elif sub.type == SUB_ISSUER:
            if len(sub.body) != 8:
                raise error("an issuer's key id that is not 8 octets long")
            named = sub.body.hex().upper()
            agree = agree and keyid in (None, named)
            keyid = named
    if not agree or (fingerprint is not None and keyid not in (None, fingerprint[-16:])):
        raise error("a signature that names several issuers")
    return fingerprint, keyid if fingerprint is None else fingerprint[-16:]


def parse_signature(armored: Union[str, bytes]) -> Signature:
    """Read one armored, detached, version 4, binary-document signature, and nothing else.

    At most MAX_ARMORED_SIGNATURE bytes. Raises SignatureFormatError, saying what does not fit.
    """
    return parse_signature_packet(dearmor(armored, SIGNATURE))


def parse_signature_packet(packet: bytes) -> Signature:
    """The same for the binary packet, with its packet header.

    1. exactly one packet, a signature, that spans the input;
    2. version 4, class 00 (binary document);
    3. RSA, ECDSA or EdDSA with SHA-256, SHA-384 or SHA-512;
    4. subpackets that fill their areas, among the hashed ones one creation time and at most one expiration time,
       nothing critical that is unknown, nothing hashed that is malformed;
    5. an issuer, and no two that differ;
    6. the algorithm's number of integers, which fill the rest; of EdDSA's the second is below the group's order.
    """
    error = SignatureFormatError
    if len(packet) > MAX_ARMORED_SIGNATURE:
        raise error(f"longer than {MAX_ARMORED_SIGNATURE} bytes")
    usual = _as_gpg_writes_it(packet)
    if usual is not None:
        return usual
    packets = read_packets(packet, error)
    if len(packets) != 1:
        raise error("not exactly one OpenPGP packet", expected=1, got=len(packets))
    if packets[0].tag != TAG_SIGNATURE:
        raise error("not a detached signature but another OpenPGP packet", expected="tag 2", got=packets[0].tag)
    body = read_signature_body(packets[0].body, error)
    _check_kind(body)
    for sub in body.subpackets:
        if sub.critical and sub.type not in _CRITICAL:
            raise error("a critical signature subpacket that is not understood", got=f"type {sub.type}")
        if sub.hashed and not sub.well_formed:
            raise error("a malformed signature subpacket", got=f"type {sub.type}")
        if sub.hashed and sub.type in _HOLDING:
            raise error(f"a signature that holds {_HOLDING[sub.type]}")
    created = creation_time(body, error)
    expires = expiration_time(body, created, error)
    fingerprint, keyid = issuer_hints(body, error)
    if keyid is None:
        raise error("a signature that does not say who issued it")
    values = _values(body.pubkey_algorithm, body.material)
    return Signature(packet, body.pubkey_algorithm, body.hash_algorithm, created, fingerprint, keyid, expires, values)


def _as_gpg_writes_it(packet: bytes) -> Optional[Signature]:
    """The signature where its packet is laid out as most are; None leaves it to the steps above, which read the same.

    An old-format header with one or two octets of length; covered by the signature: the issuer's fingerprint, then the
    date; and not covered: that key's id.
    """
    start = 2 if packet.startswith(b"\x88") else 3
    if packet[:1] not in (b"\x88", b"\x89") or len(packet) < start + _USUAL.size:
        return None
    kind, pubkey, digest, first, fingerprint, second, created, third, keyid, _ = _USUAL.unpack_from(packet, start)
    as_usual = kind + first + second + third == _USUAL_PARTS and fingerprint.endswith(keyid)
    if not as_usual or int.from_bytes(packet[1:start], "big") != len(packet) - start:
        return None
    if pubkey not in _SIGNATURE_MPIS or digest not in STRONG_HASHES:
        return None
    issuer = fingerprint.hex().upper()
    values = _values(pubkey, packet[start + _USUAL.size :])
    return Signature(packet, pubkey, digest, created, issuer, issuer[-16:], None, values)


def digest_too_short(digest: int, curve_bits: int) -> bool:
    """Whether ECDSA on a curve of this size should have a longer digest than this (RFC 6637, 13); SHA-512 is enough."""
    return STRONG_HASHES.get(digest, 0) < min(curve_bits, 512)


def canonical(signature: Signature) -> bytes:
    """The signature as engines are given it: the same in one packet of one form, without what it does not cover.

    Of the unhashed subpackets only the issuer's key id is left, as the one that every engine looks for. So what anybody
    may add there is nothing that an engine has to read; nor are packet headers and integers of unusual forms.

    Raises SignatureFormatError where ``packet`` is not the signature that the other fields describe.
    """
    error = SignatureFormatError
    packets = read_packets(signature.packet, error)
    if len(packets) != 1 or packets[0].tag != TAG_SIGNATURE:
        raise error("not exactly one signature")
    body = packets[0].body
    known = signature.pubkey_algorithm in _SIGNATURE_MPIS
    if not known or body[:4] != bytes((4, 0x00, signature.pubkey_algorithm, signature.hash_algorithm)):
        raise error("not the signature that it was read as")
    middle, end = _areas(body, error)
    issuer = bytes((9, SUB_ISSUER)) + bytes.fromhex(signature.issuer_keyid or "")
    material = body[end + 2 :]
    values = b"".join(map(_written, signature.values))
    if material != values or len(signature.values) != _SIGNATURE_MPIS[signature.pubkey_algorithm]:
        values = b"".join(map(_written, _values(signature.pubkey_algorithm, material)))
    whole = b"".join((body[:middle], len(issuer).to_bytes(2, "big"), issuer, body[end : end + 2], values))
    return bytes((0xC0 | TAG_SIGNATURE, 0xFF)) + len(whole).to_bytes(4, "big") + whole


def _written(value: int) -> bytes:
    """A multiprecision integer, without leading zeros (RFC 4880, 3.2)."""
    bits = value.bit_length()
    return bits.to_bytes(2, "big") + value.to_bytes((bits + 7) // 8, "big")


def _values(algorithm: int, material: bytes) -> Tuple[int, ...]:
    """The algorithm's integers. RFC 8032, 5.1.7, refuses EdDSA's S where it is not reduced; not every engine does."""
    start = 0
    values = []
    for _ in range(_SIGNATURE_MPIS[algorithm]):
        bits = int.from_bytes(material[start : start + 2], "big")
        end = start + 2 + (bits + 7) // 8
        if end > len(material):
            raise SignatureFormatError("signature value is cut short")
        value = int.from_bytes(material[start + 2 : end], "big")
        if not bits or value.bit_length() > bits:
            raise SignatureFormatError("signature value is not what its length says")
        values.append(value)
        start = end
    if start < len(material):
        raise SignatureFormatError("bytes after the signature's end")
    if algorithm == EDDSA and not _is_reduced(values[1]):
        raise SignatureFormatError("an EdDSA signature whose value is not below the group's order")
    return tuple(values)


def _is_reduced(value: int) -> bool:
    """Whether S, a string of 32 octets that OpenPGP writes as an integer, is below Ed25519's order."""
    if value.bit_length() > 256:
        return False
    return int.from_bytes(value.to_bytes(32, "big"), "little") < _ED25519_ORDER


def _check_kind(body: SignatureBody) -> None:
    """Class and algorithms, with words for those that people meet."""
    if body.signature_class != 0x00:
        kind = _CLASSES.get(body.signature_class, f"class {body.signature_class:02x}")
        raise SignatureFormatError("not a signature of a binary document", expected="class 00", got=kind)
    if body.pubkey_algorithm == DSA:
        raise SignatureFormatError("DSA signatures do not count: the algorithm is weak")
    if body.pubkey_algorithm not in _SIGNATURE_MPIS:
        raise SignatureFormatError("an unknown signature algorithm", got=body.pubkey_algorithm)
    if body.hash_algorithm not in STRONG_HASHES:
        weak = _WEAK_HASHES.get(body.hash_algorithm)
        if weak is not None:
            raise SignatureFormatError(f"{weak} signatures do not count; sign with SHA-256, SHA-384 or SHA-512")
        raise SignatureFormatError("an unknown digest algorithm", got=body.hash_algorithm)
