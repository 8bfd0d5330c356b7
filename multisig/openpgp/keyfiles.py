# SPDX-License-Identifier: GPL-2.0-or-later
"""Key files as vendors publish them: several keys in one file, with text around them. For setting up a policy alone.

What comes out of here still has to pass keys.py, which is strict; nothing is verified with what is read here.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import List, Tuple

from multisig.errors import KeyFormatError
from multisig.openpgp.armor import PUBLIC_KEY, crc24
from multisig.openpgp.packets import Packet, read_packets

MAX_FILE = 4 << 20

_PRIMARY, _MARKER, _TRUST = 6, 10, 12
_SECRET = frozenset({5, 7})
# What gpg keeps in its own keyrings, and what means nothing to anybody but its writer (RFC 9580, 5.13).
_DROPPED = frozenset({_MARKER, _TRUST, 60, 61, 62, 63})
_BLOCK = re.compile(
    rf"^-----BEGIN PGP {PUBLIC_KEY}-----[ \t]*$(.*?)^-----END PGP {PUBLIC_KEY}-----[ \t]*$", re.MULTILINE | re.DOTALL
)
_HEADER = re.compile(r"[A-Za-z][A-Za-z-]*: ?.*")
_CHECKSUM = re.compile(r"=[A-Za-z0-9+/]{4}")


def split_keys(data: bytes) -> Tuple[bytes, ...]:
    """Each key of a file of at most MAX_FILE bytes, in its order, as the binary packets of one transferable public key.

    Binary packets, or any number of armored blocks, with one or more keys in each and anything around them. Raises
    KeyFormatError where there is no key, a block cannot be read, or the file holds a secret key.
    """
    if len(data) > MAX_FILE:
        raise KeyFormatError(f"longer than {MAX_FILE} bytes, which no key needs")
    if b"-----BEGIN PGP PRIVATE KEY" in data:
        raise KeyFormatError("this file holds a SECRET key")
    blocks = [data] if data[:1] >= b"\x80" else _armored(data)
    return tuple(key for block in blocks for key in _keys(block))


def _armored(data: bytes) -> List[bytes]:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    blocks = [_dearmored(found[1]) for found in _BLOCK.finditer(text)]
    if not blocks:
        raise KeyFormatError("holds no OpenPGP public key")
    return blocks


def _dearmored(text: str) -> bytes:
    lines = [line.strip() for line in text.strip("\n").split("\n")]
    start = 0
    while start < len(lines) and _HEADER.fullmatch(lines[start]):
        start += 1
    body = [line for line in lines[start:] if line]
    checksum = body.pop()[1:] if body and _CHECKSUM.fullmatch(body[-1]) else None
    try:
        block = base64.b64decode("".join(body), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFormatError("the armor is not base64") from None
    if checksum is not None and base64.b64decode(checksum) != crc24(block).to_bytes(3, "big"):
        raise KeyFormatError("the checksum of the armor is wrong")
    return block


def _keys(block: bytes) -> List[bytes]:
    keys: List[List[Packet]] = []
    for packet in read_packets(block, KeyFormatError):
        if packet.tag in _SECRET:
            raise KeyFormatError("this file holds a SECRET key")
        if packet.tag == _PRIMARY:
            keys.append([packet])
        elif packet.tag in _DROPPED:
            continue
        elif not keys:
            raise KeyFormatError("does not begin with a public key", got=f"a packet of tag {packet.tag}")
        else:
            keys[-1].append(packet)
    if not keys:
        raise KeyFormatError("holds no OpenPGP public key")
    return [b"".join(block[packet.start : packet.end] for packet in packets) for packets in keys]
