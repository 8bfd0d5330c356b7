# SPDX-License-Identifier: GPL-2.0-or-later
"""Strict ASCII armor (RFC 4880, 6.2; RFC 9580, 6): one block and nothing else.

gpg and its relatives skip over what surrounds a block and read several blocks one after the other. Whatever two readers
could disagree about is refused here instead, and what goes on to the engine is the binary packet, never the text.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from typing import Dict, List, Tuple, Type, Union

from multisig.errors import KeyFormatError, OpenPGPError, SignatureFormatError

SIGNATURE = "SIGNATURE"
PUBLIC_KEY = "PUBLIC KEY BLOCK"

#: Bytes of the longest armored signature that is looked at, and of the longest key file.
MAX_ARMORED_SIGNATURE = 8192
MAX_KEY_FILE = 256 * 1024

#: Errors and size limits by kind of block.
_KINDS: Dict[str, Tuple[Type[OpenPGPError], int]] = {
    SIGNATURE: (SignatureFormatError, MAX_ARMORED_SIGNATURE),
    PUBLIC_KEY: (KeyFormatError, MAX_KEY_FILE),
}

#: Harmless headers. Hash belongs to clear-signed messages, MessageID to multi-part ones, and Charset to text.
_HEADERS = frozenset({"Version", "Comment"})

_LONGEST_LINE = 76
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_CHECKSUM_LINE = re.compile(r"=[A-Za-z0-9+/]{4}")


def dearmor(text: Union[str, bytes], kind: str) -> bytes:
    """Return the bytes within exactly one armor block of ``kind``, SIGNATURE or PUBLIC_KEY.

    Nothing may precede the block, and nothing but one line end may follow it. Lines end in LF, or all of them in CRLF.
    Headers other than Version and Comment are refused, and so is anything that is not ASCII, except in the headers of
    a key block, where some programs write the user id. The checksum may be missing but not wrong.

    Raises SignatureFormatError or KeyFormatError, whichever fits ``kind``.
    """
    error, limit = _KINDS[kind]
    lines = _lines(_decode(text, kind, error, limit), error)
    if lines[0] != f"-----BEGIN PGP {kind}-----":
        raise error(f"does not begin with an OpenPGP {kind.lower()}", got=repr(lines[0][:40]))
    if lines[-1] != f"-----END PGP {kind}-----" or len(lines) < 2:
        raise error(f"does not end where its OpenPGP {kind.lower()} ends", got=repr(lines[-1][:40]))
    body = _after_headers(lines[1:-1], error)
    checksum = body.pop()[1:] if body and _CHECKSUM_LINE.fullmatch(body[-1]) else None
    data = _decode_base64(body, error)
    if checksum is not None and binascii.a2b_base64(checksum) != crc24(data).to_bytes(3, "big"):
        raise error("the checksum of the armor is wrong")
    return data


def armor(data: bytes, kind: str) -> str:
    """Return ``data`` as one armor block, with checksum and without headers, as gpg writes it."""
    encoded = base64.b64encode(data).decode("ascii")
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    checksum = "=" + base64.b64encode(crc24(data).to_bytes(3, "big")).decode("ascii")
    return "\n".join([f"-----BEGIN PGP {kind}-----", "", *lines, checksum, f"-----END PGP {kind}-----", ""])


def crc24(data: bytes) -> int:
    """The checksum of RFC 4880, 6.1."""
    one, two, three = _crc24_tables()
    register = 0xB704CE
    whole = len(data) - len(data) % 3
    for first, second, third in zip(data[0:whole:3], data[1:whole:3], data[2:whole:3]):
        register = three[register >> 16 ^ first] ^ two[register >> 8 & 0xFF ^ second] ^ one[register & 0xFF ^ third]
    for byte in data[whole:]:
        register = register << 8 & 0xFFFFFF ^ one[register >> 16 ^ byte]
    return register


@functools.lru_cache(maxsize=1)
def _crc24_tables() -> Tuple[Tuple[int, ...], ...]:
    """What a byte makes of the register when it leaves it, and when one or two more have left it after that."""
    tables = [tuple(value << 16 for value in range(256))]
    for _ in range(3):
        tables.append(tuple(_shifted(register) for register in tables[-1]))
    return tuple(tables[1:])


def _shifted(register: int) -> int:
    for _ in range(8):
        register <<= 1
        if register & 0x1000000:
            register ^= 0x1864CFB
    return register


def _decode(text: Union[str, bytes], kind: str, error: Type[OpenPGPError], limit: int) -> str:
    """Size and characters first, so that nothing below reads more than the limit."""
    if len(text) > limit:
        raise error(f"longer than {limit} bytes")
    if isinstance(text, str) and text.isascii():
        return text
    encoding = "utf-8" if kind == PUBLIC_KEY else "ascii"
    try:
        # Text goes through the encoder for the sake of lone surrogates, and because the limit is one of bytes.
        raw = text.encode(encoding) if isinstance(text, str) else text
        if len(raw) > limit:
            raise error(f"longer than {limit} bytes")
        return raw.decode(encoding)
    except UnicodeError:
        raise error(f"holds characters that are not {encoding.upper()}") from None


def _lines(text: str, error: Type[OpenPGPError]) -> List[str]:
    end = "\r\n" if "\r" in text else "\n"
    if text.endswith(end):
        text = text[: -len(end)]
    lines = text.split(end)
    # What is left of mixed line ends, and every other control character.
    if not "".join(lines).isprintable():
        raise error("holds control characters, or line ends of two kinds")
    return lines


def _after_headers(lines: List[str], error: Type[OpenPGPError]) -> List[str]:
    """Check the headers; return the lines after the blank one that ends them."""
    if "" not in lines:
        raise error("no blank line after the armor's headers")
    blank = lines.index("")
    for line in lines[:blank]:
        name, colon, _ = line.partition(": ")
        if not colon or name not in _HEADERS:
            raise error("an armor header that does not belong here", got=repr(line[:40]))
    return lines[blank + 1 :]


def _decode_base64(lines: List[str], error: Type[OpenPGPError]) -> bytes:
    for line in lines:
        if len(line) > _LONGEST_LINE or not _BASE64_LINE.fullmatch(line):
            raise error("a line of the armor is not base64", got=repr(line[:40]))
    text = "".join(lines)
    try:
        data = binascii.a2b_base64(text)
    except ValueError:
        raise error("the armor is not base64") from None
    # Padding within, and set bits that the padding hides: one content has one encoding.
    if binascii.b2a_base64(data, newline=False).decode("ascii") != text:
        raise error("the armor is not canonical base64")
    if not data:
        raise error("the armor is empty")
    return data
