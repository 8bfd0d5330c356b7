# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys and signatures for the OpenPGP tests: by the real gpg where it lets itself be used so, else by hand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Callable, Dict, List, Optional, Sequence, Union, cast

import pytest

from multisig.errors import KeyFormatError
from multisig.openpgp.armor import SIGNATURE, dearmor
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import PublicKey, Signature
from multisig.openpgp.packets import parse_signature, read_packets

DATA = b'{"_type":"https://in-toto.io/Statement/v1"}'
PAST = "20240101T000000"


class Home:
    """A gpg home of its own, with an agent. The folder is short, because a socket's path may be."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="msk-", dir="/tmp")
        self.fingerprints: Dict[str, str] = {}

    def close(self) -> None:
        subprocess.run(["gpgconf", "--kill", "all"], env=self._environment(), check=False, timeout=120)
        shutil.rmtree(self.path, ignore_errors=True)

    def gpg(self, *arguments: str, data: bytes = b"", at: Optional[str] = None) -> bytes:
        """Run gpg without a terminal, as if it were ``at``; return its output."""
        command = ["gpg", "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        command += [f"--faked-system-time={at}!"] if at else []
        done = subprocess.run(
            [*command, *arguments], input=data, capture_output=True, env=self._environment(), timeout=300, check=False
        )
        if done.returncode:
            raise RuntimeError(f"gpg {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def _environment(self) -> Dict[str, str]:
        return {"GNUPGHOME": self.path, "HOME": self.path, "PATH": "/usr/bin:/bin", "LC_ALL": "C"}

    def ask(self, *arguments: str, answers: str) -> bytes:
        """Run one of gpg's dialogues."""
        command = ["gpg", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--command-fd", "0"]
        done = subprocess.run(
            [*command, *arguments],
            input=answers.encode(),
            capture_output=True,
            env=self._environment(),
            timeout=300,
            check=True,
        )
        return done.stdout

    def create(
        self,
        name: str,
        algorithm: str = "ed25519",
        usage: str = "sign",
        expire: str = "never",
        at: Optional[str] = None,
    ) -> str:
        """Make a key whose user id is ``name``; return its fingerprint."""
        self.gpg("--quick-gen-key", name, algorithm, usage, expire, at=at)
        self.fingerprints[name] = self.listed(name)[0]
        return self.fingerprints[name]

    def add(self, name: str, algorithm: str, usage: str, expire: str = "never", at: Optional[str] = None) -> str:
        """Add a subkey; return its fingerprint."""
        known = set(self.listed(name))
        self.gpg("--quick-add-key", self.fingerprints[name], algorithm, usage, expire, at=at)
        return next(fingerprint for fingerprint in self.listed(name) if fingerprint not in known)

    def listed(self, name: str) -> List[str]:
        """The fingerprints of a key's parts."""
        listing = self.gpg("--with-colons", "--list-keys", f"={name}").decode()
        return re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)

    def revoke(self, name: str, reason: str) -> None:
        """Revoke by a certificate; ``reason`` as in gpg's dialogue: 1 compromised, 2 superseded, 3 no longer used."""
        certificate = self.ask("--gen-revoke", self.fingerprints[name], answers=f"y\n{reason}\n\ny\n")
        self.gpg("--import", data=certificate)

    def export(self, name: str, *options: str) -> bytes:
        return self.gpg(*options, "--export", self.fingerprints[name])

    def key(self, name: str) -> PublicKey:
        return parse_public_key(self.export(name))

    def sign(self, user: str, *options: str, data: bytes = DATA, at: Optional[str] = None) -> str:
        """A detached, armored signature by exactly the key or subkey ``user``, a name or a fingerprint."""
        exact = self.fingerprints.get(user, user) + "!"
        return self.gpg("--armor", *options, "--local-user", exact, "--detach-sign", data=data, at=at).decode("ascii")


def hide_pysequoia(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make importing pysequoia fail, as where it is not installed."""
    modules: Dict[str, Any] = cast(Dict[str, Any], sys.modules)
    monkeypatch.setitem(modules, "pysequoia", None)


def altered(signature: Signature, change: Callable[[bytearray], None]) -> Signature:
    """The same signature with other bytes in its packet; the fields that were read from it stay."""
    packet = bytearray(signature.packet)
    change(packet)
    return Signature(
        bytes(packet),
        signature.pubkey_algorithm,
        signature.hash_algorithm,
        signature.created,
        signature.issuer_fingerprint,
        signature.issuer_keyid,
    )


def parts_of(armored: str) -> List[bytes]:
    """A version 4 signature's body, cut up: head, hashed area, unhashed area, and the rest."""
    body = read_packets(dearmor(armored, SIGNATURE), KeyFormatError)[0].body
    hashed = int.from_bytes(body[4:6], "big")
    unhashed = int.from_bytes(body[6 + hashed : 8 + hashed], "big")
    middle = 8 + hashed
    return [body[:4], body[6 : 6 + hashed], body[middle : middle + unhashed], body[middle + unhashed :]]


def join(head: bytes, hashed: bytes, unhashed: bytes, rest: bytes) -> bytes:
    """The reverse of parts_of, with a packet header."""
    areas = b"".join(len(area).to_bytes(2, "big") + area for area in (hashed, unhashed))
    return packet(2, head + areas + rest)


def packet(tag: int, body: bytes, *, old: bool = False) -> bytes:
    """A packet of the old or the new format, with a four-octet length."""
    first = bytes([0x82 | tag << 2]) if old else bytes([0xC0 | tag, 0xFF])
    return first + len(body).to_bytes(4, "big") + body


def subpacket(kind: int, body: bytes, *, critical: bool = False) -> bytes:
    return bytes([len(body) + 1, kind | (0x80 if critical else 0)]) + body


def mpi(value: int) -> bytes:
    return value.bit_length().to_bytes(2, "big") + value.to_bytes((value.bit_length() + 7) // 8, "big")


def key_body(algorithm: int, integers: Sequence[int], *, created: int = 1_700_000_000, curve: bytes = b"") -> bytes:
    """A version 4 key packet's body."""
    oid = bytes([len(curve)]) + curve if curve else b""
    return b"\x04" + created.to_bytes(4, "big") + bytes([algorithm]) + oid + b"".join(map(mpi, integers))


def self_signature(
    signature_class: int,
    issuer: Union[str, None],
    *,
    created: int = 1_700_000_000,
    flags: Optional[int] = 0x03,
    extra: bytes = b"",
    unhashed: bytes = b"",
) -> bytes:
    """A signature packet within a key, of the right form and not valid: only engines look at that."""
    hashed = subpacket(2, created.to_bytes(4, "big")) + extra
    if issuer is not None:
        hashed += subpacket(33, b"\x04" + bytes.fromhex(issuer))
    if flags is not None:
        hashed += subpacket(27, bytes([flags]))
    head = bytes([4, signature_class, 22, 8])
    return join(head, hashed, unhashed, b"\x00\x00" + mpi(3) + mpi(3))


class People:
    """The keys that the tests share, made when they are first asked for, and their parsed forms."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.keys: Dict[str, PublicKey] = {}
        self.subkeys: Dict[str, str] = {}

    def key(self, name: str) -> PublicKey:
        if name not in self.keys:
            getattr(self, f"_make_{name}")()
            self.keys[name] = self.home.key(name)
        return self.keys[name]

    def sign(self, name: str, *options: str, data: bytes = DATA, at: Optional[str] = None) -> str:
        self.key(name)
        return self.home.sign(self.subkeys.get(name, name), *options, data=data, at=at)

    def signature(self, name: str, *options: str, data: bytes = DATA, at: Optional[str] = None) -> Signature:
        return parse_signature(self.sign(name, *options, data=data, at=at))

    def _make_marek(self) -> None:
        self.home.create("marek", at=PAST)
        self.home.add("marek", "cv25519", "encr", "10d", at=PAST)

    def _make_joanna(self) -> None:
        """Certifies with the primary, signs with a subkey."""
        self.home.create("joanna", usage="cert", at=PAST)
        self.subkeys["joanna"] = self.home.add("joanna", "ed25519", "sign", at=PAST)

    def _make_rafal(self) -> None:
        self.home.create("rafal", algorithm="nistp256")

    def _make_rsa2048(self) -> None:
        self.home.create("rsa2048", algorithm="rsa2048")

    def _make_rsa1024(self) -> None:
        self.home.create("rsa1024", algorithm="rsa1024")

    def _make_dsa(self) -> None:
        self.home.create("dsa", algorithm="dsa1024")

    def _make_expired(self) -> None:
        self.home.create("expired", expire="20d", at=PAST)

    def _make_lapsing(self) -> None:
        """Signs with a subkey that has expired by now; the primary has not."""
        self.home.create("lapsing", at=PAST)
        self.subkeys["lapsing"] = self.home.add("lapsing", "ed25519", "sign", "10d", at=PAST)

    def _make_compromised(self) -> None:
        self.home.create("compromised")

    def _make_superseded(self) -> None:
        self.home.create("superseded", at=PAST)
