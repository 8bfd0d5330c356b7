# SPDX-License-Identifier: GPL-2.0-or-later
"""Real keys for the tests of policies, made once per run with gpg in a home of their own.

ann, bob, cat: ed25519, never expire. old: expired. soon: expires at ``SOON_ENDS``. weak: RSA of 2048 bits. gone:
revoked. sub: a primary key with a signing subkey; thief: another primary key that has bound sub's subkey to itself,
with the subkey's own signature back.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

BORN = "20240101T000000"
SOON_ENDS = 1704067200 + 400 * 86400  # 2025-02-04, as gpg counts from BORN
OLD_ENDS = 1704067200 + 10 * 86400
_SIMPLE = {"ann": "never", "bob": "never", "cat": "never", "old": "10d", "soon": "400d", "gone": "never"}


@dataclass(frozen=True)
class TestKey:
    """``armor``: the public key; ``fingerprint``: the primary's; ``subkeys``: fingerprints of its subkeys."""

    __test__ = False

    fingerprint: str
    subkeys: List[str]
    armor: bytes


class _Home:
    def __init__(self, path: Path) -> None:
        self.path = path

    def gpg(self, *args: str, stdin: str = "") -> str:
        command = ["gpg", "--homedir", str(self.path), "--no-tty", "--quiet", "--faked-system-time", BORN + "!"]
        command += ["--pinentry-mode", "loopback", "--passphrase", "", "--no-auto-check-trustdb", *args]
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"gpg {args}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def make(self, name: str, algorithm: str, expires: str) -> None:
        self.gpg("--batch", "--quick-gen-key", f"{name} <{name}@example.org>", algorithm, "sign", expires)

    def column(self, name: str, record: str, number: int) -> List[str]:
        listing = self.gpg("--batch", "--with-colons", "--with-keygrip", "--list-keys", f"{name}@example.org")
        return [line.split(":")[number] for line in listing.splitlines() if line.startswith(record + ":")]

    def revoke(self, name: str) -> None:
        fingerprint = self.column(name, "fpr", 9)[0]
        text = (self.path / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text(encoding="utf-8")
        self.gpg("--batch", "--import", stdin=text[text.index(":-----BEGIN") + 1 :])

    def steal_subkey(self, thief: str, victim: str) -> None:
        grip = self.column(victim, "grp", 9)[1]
        answers = ["addkey", "13", grip, "Q", "0", "save", ""]
        self.gpg("--expert", "--command-fd", "0", "--edit-key", f"{thief}@example.org", stdin="\n".join(answers))

    def key(self, name: str) -> TestKey:
        fingerprints = self.column(name, "fpr", 9)
        armor = self.gpg("--batch", "--armor", "--export", fingerprints[0]).encode()
        return TestKey(fingerprints[0], fingerprints[1:], armor)


@functools.lru_cache(maxsize=1)
def keys() -> Dict[str, TestKey]:
    """All of the keys, by name."""
    # Short, because a socket's path may be.
    folder = Path(tempfile.mkdtemp(prefix="mpk-", dir="/tmp"))
    home = _Home(folder)
    try:
        for name, expires in _SIMPLE.items():
            home.make(name, "ed25519", expires)
        home.make("weak", "rsa2048", "never")
        home.make("sub", "ed25519", "never")
        home.gpg("--batch", "--quick-add-key", home.column("sub", "fpr", 9)[0], "ed25519", "sign", "never")
        home.make("thief", "ed25519", "never")
        home.steal_subkey("thief", "sub")
        home.revoke("gone")
        return {name: home.key(name) for name in (*_SIMPLE, "weak", "sub", "thief")}
    finally:
        subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], timeout=120, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def read_file(name: str) -> bytes:
    """Stands in for the policy's folder: ``keys/ann.asc`` and so on, and a list of statements."""
    if name == "retired/ann.txt":
        return b"a" * 64 + b"\n" + b"0" * 64 + b"\n"
    for person, key in keys().items():
        if name == f"keys/{person}.asc":
            return key.armor
    raise FileNotFoundError(2, "No such file or directory", name)
