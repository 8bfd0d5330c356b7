# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures over an RPM's header, as they stand in its signature header, and the bytes that they are over.

The signature header is signed by nobody: whatever it holds is a claim, to be verified over the main header. Only
signatures over the main header alone are looked at (librpm, lib/rpmvs.c, RPMSIG_HEADER): RSA and DSA, which also holds
ECDSA and EdDSA, one packet each, and rpm 6's OPENPGP, any number of packets in base64. Those over header and payload
together, from before rpm 4, and the bare digests count for nothing here.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING, Dict, List, Tuple

from multisig.errors import MalformedRpmError, UnreadableError
from multisig.namedtuples import NamedTuple
from multisig.subjects.framing import HEADER_MAGIC, LEAD_SIZE, MAX_SIGNATURE_DATA, MAX_SIGNATURE_TAGS, exactly
from multisig.subjects.header import BIN, STRING_ARRAY
from multisig.subjects.rpm import RpmSubject

if TYPE_CHECKING:
    import rpm

# rpmtag.h, rpmSigTag_e.
SIGTAG_DSA, SIGTAG_RSA, SIGTAG_OPENPGP = 267, 268, 278
_OVER_HEADER_AND_PAYLOAD = frozenset({1002, 1005, 1006})  # PGP, GPG, PGP5

MAX_SIGNATURES = 16
MAX_PACKET = 8192
_TYPES = {SIGTAG_OPENPGP: STRING_ARRAY, SIGTAG_RSA: BIN, SIGTAG_DSA: BIN}
_LONGEST_BASE64 = MAX_PACKET * 4 // 3 + 4

_PRELUDE = struct.Struct(">4s4xII")
_INDEX = struct.Struct(">IIII")
_Index = Tuple[int, int, int]  # type, offset, count


class HeaderSignatures(NamedTuple):
    """``packets``: binary OpenPGP packets of at most MAX_PACKET bytes, not looked into, each once.

    ``problems`` says in words what else there was that cannot count.
    """

    packets: Tuple[bytes, ...]
    problems: Tuple[str, ...]


def signed_bytes(subject: RpmSubject) -> bytes:
    """What a header signature is over: the header's magic, and the immutable region (librpm, hdrblobDigestUpdate)."""
    return HEADER_MAGIC + bytes(4) + subject.region


def read_header_signatures(fd: int) -> HeaderSignatures:
    """What the signature header of the RPM at ``fd``, which librpm has accepted, holds of signatures over its header.

    A tag that stands twice, of another type, beyond its data or over a limit, and base64 that is none, is a problem:
    it gives no packet more, and takes nothing away from other tags. Raises MalformedRpmError where there is no
    signature header, UnreadableError where the disk fails.
    """
    try:
        magic, index_count, data_size = _PRELUDE.unpack(exactly(fd, LEAD_SIZE, _PRELUDE.size))
        if magic != HEADER_MAGIC or index_count > MAX_SIGNATURE_TAGS or data_size > MAX_SIGNATURE_DATA:
            raise MalformedRpmError("the signature header does not begin as one, or is too large")
        blob = exactly(fd, LEAD_SIZE + _PRELUDE.size, _INDEX.size * index_count + data_size)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    return parse_signature_header(blob[: _INDEX.size * index_count], blob[_INDEX.size * index_count :])


def installed_signatures(package: "rpm.hdr") -> HeaderSignatures:
    """What rpm's database has kept of the signatures over an installed package's header.

    rpm puts them among the header's tags, outside the immutable region, where they are no more than claims either.
    """
    packets: Dict[bytes, None] = {}
    problems: List[str] = []
    for tag in (SIGTAG_RSA, SIGTAG_DSA):
        stored = package[tag]
        if isinstance(stored, bytes) and 1 <= len(stored) <= MAX_PACKET:
            packets[stored] = None
    listed = package[SIGTAG_OPENPGP]
    for text in listed[:MAX_SIGNATURES] if isinstance(listed, list) else ():
        try:
            packets[_decoded(str(text).encode("utf-8", "replace"), SIGTAG_OPENPGP)] = None
        except MalformedRpmError as error:
            problems.append(f"carries a signature that cannot be read: {error}")
    return HeaderSignatures(tuple(packets), tuple(problems))


def parse_signature_header(index: bytes, data: bytes) -> HeaderSignatures:
    """The same from a signature header's index, of whole entries, and its data."""
    entries: Dict[int, List[_Index]] = {}
    for tag, kind, offset, count in _INDEX.iter_unpack(index):
        entries.setdefault(tag, []).append((kind, offset, count))
    packets: Dict[bytes, None] = {}
    problems: List[str] = []
    for tag in _TYPES:
        if tag not in entries:
            continue
        try:
            for stored in _stored(tag, entries[tag], data):
                packets[stored if _TYPES[tag] == BIN else _decoded(stored, tag)] = None
        except MalformedRpmError as error:
            problems.append(f"carries a signature that cannot be read: {error}")
    if not packets and not problems and not _OVER_HEADER_AND_PAYLOAD.isdisjoint(entries):
        problems.append("is signed only over header and payload together, as before rpm 4, which does not count")
    return HeaderSignatures(tuple(packets), tuple(problems))


def _stored(tag: int, found: List[_Index], data: bytes) -> List[bytes]:
    """The values of one tag: packets, or their base64."""
    if len(found) > 1:
        raise MalformedRpmError("the tag stands in the signature header twice", tag=tag)
    kind, offset, count = found[0]
    if kind != _TYPES[tag]:
        raise MalformedRpmError("the tag has another type", tag=tag, expected=f"type {_TYPES[tag]}", got=f"type {kind}")
    if kind == BIN:
        if not 1 <= count <= MAX_PACKET or offset + count > len(data):
            raise MalformedRpmError("the tag has an impossible length", tag=tag, got=f"{count} bytes")
        return [data[offset : offset + count]]
    if not 1 <= count <= MAX_SIGNATURES:
        expected = f"at most {MAX_SIGNATURES} signatures"
        raise MalformedRpmError("the tag has an impossible count", tag=tag, expected=expected, got=count)
    values = []
    for _ in range(count):
        end = data.find(b"\0", offset, offset + _LONGEST_BASE64 + 1)
        if end < 0:
            raise MalformedRpmError("a signature is cut off, or too long", tag=tag)
        values.append(data[offset:end])
        offset = end + 1
    return values


def _decoded(text: bytes, tag: int) -> bytes:
    """The bytes of base64 as rpm writes it: without line breaks, padded, one encoding for one content."""
    try:
        packet = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        packet = b""
    if not packet or base64.b64encode(packet) != text:
        raise MalformedRpmError("a signature is not canonical base64", tag=tag)
    return packet
