# SPDX-License-Identifier: GPL-2.0-or-later
"""As many public keys as somebody can name, made without gpg: of the form that policies read, and of no other use."""

from __future__ import annotations

import hashlib
import re
from functools import cache

from multisig.openpgp.keys import parse_public_key
from tests.unit.openpgp_keys import key_body, packet, self_signature

_ED25519 = bytes.fromhex("2b06010401da470f01")
_NAMED = re.compile(r'fingerprint: "[0-9A-Fa-f@]*"(,?\s+file: keys/)([\w.-]+)\.asc')


@cache
def made_key(name: str) -> bytes:
    """The Ed25519 key of somebody of this name, without an end."""
    point = 0x40 << 256 | int(hashlib.sha256(name.encode()).hexdigest(), 16)
    body = key_body(22, [point], curve=_ED25519)
    framed = b"\x99" + len(body).to_bytes(2, "big") + body
    fingerprint = hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()
    return packet(6, body) + packet(13, name.encode()) + self_signature(0x13, fingerprint)


def made_fingerprint(name: str) -> str:
    return parse_public_key(made_key(name)).fingerprint


def with_made_keys(text: str) -> str:
    """A policy's text with the fingerprints of made keys: those of ``keys/marek.asc`` are marek's."""
    return _NAMED.sub(lambda found: f'fingerprint: "{made_fingerprint(found[2])}"{found[1]}{found[2]}.asc', text)


def read_made(file: str) -> bytes:
    """Stands in for the policy's folder: any key, and any list of statements."""
    if file.startswith("retired/"):
        return b"a" * 64 + b"\n"
    return made_key(file[len("keys/") : -len(".asc")])
