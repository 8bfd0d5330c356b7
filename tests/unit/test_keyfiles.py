# SPDX-License-Identifier: GPL-2.0-or-later
"""Key files as vendors publish them: taken apart leniently, and never taken for what they are not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.errors import KeyFormatError
from multisig.openpgp.armor import PUBLIC_KEY, armor, dearmor
from multisig.openpgp.keyfiles import MAX_FILE, split_keys
from multisig.openpgp.keys import parse_public_key
from tests.unit.openpgp_keys import packet
from tests.unit.policy_keys import keys

ANN, BOB, SUB = (keys()[name].armor for name in ("ann", "bob", "sub"))


def fingerprints(data: bytes) -> "list[str]":
    return [parse_public_key(key).fingerprint for key in split_keys(data)]


def binary(armored: bytes) -> bytes:
    return dearmor(armored, PUBLIC_KEY)


EXPECTED = [keys()[name].fingerprint for name in ("ann", "sub", "bob")]


@pytest.mark.parametrize(
    "data",
    [
        ANN + SUB + BOB,
        binary(ANN) + binary(SUB) + binary(BOB),
        armor(binary(ANN) + binary(SUB), PUBLIC_KEY).encode() + BOB,
        b"pub   4096R/0123\nuid   Somebody\n\n" + ANN + b"\nand another\n" + SUB + b"\n\n" + BOB + b"the end",
        (ANN + SUB + BOB).replace(b"\n", b"\r\n"),
        ANN.replace(b"\n\n", b"\nVersion: GnuPG v1.4.5 (GNU/Linux)\nComment: a, b: c\n\n", 1) + SUB + BOB,
        ANN.replace(b"\n", b"  \n") + SUB + BOB,
        packet(10, b"PGP") + binary(ANN) + packet(12, b"\0\0") + binary(SUB) + packet(60, b"?") + binary(BOB),
    ],
    ids=["blocks", "binary", "two in a block", "text around", "CRLF", "headers", "blanks", "trust and marker packets"],
)
def test_each_key_of_a_file_comes_out_alone(data: bytes) -> None:
    assert fingerprints(data) == EXPECTED


def test_a_key_that_comes_out_can_stand_in_a_policy() -> None:
    for key in split_keys(ANN + SUB):
        assert parse_public_key(armor(key, PUBLIC_KEY).encode()).user_ids


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no OpenPGP public key"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "no OpenPGP public key"),
        (b"<html>404</html>", "no OpenPGP public key"),
        (ANN.replace(b"PUBLIC KEY BLOCK", b"SIGNATURE"), "no OpenPGP public key"),
        (ANN + b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "SECRET"),
        (packet(5, b"secret"), "SECRET"),
        (ANN[:60] + b"!" + ANN[60:], "not base64"),
        (ANN.replace(b"\n=", b"\n=A"[:2] + b"AAAA\n#"), "not base64"),
        (packet(13, b"a name") + binary(ANN), "does not begin with a public key"),
        (packet(10, b"PGP"), "no OpenPGP public key"),
        (binary(ANN)[:-3], "cut short"),
        (b"\x00" * (MAX_FILE + 1), "longer than"),
    ],
)
def test_what_holds_no_key_or_cannot_be_read_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(KeyFormatError, match=reason):
        split_keys(data)


def test_a_wrong_checksum_is_an_error() -> None:
    lines = ANN.split(b"\n")
    at = next(index for index, line in enumerate(lines) if line.startswith(b"="))
    lines[at] = b"=AAAA"
    with pytest.raises(KeyFormatError, match="checksum"):
        split_keys(b"\n".join(lines))


@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
       + text.encode("utf-8", "surrogatepass") + b"\n-----END PGP PUBLIC KEY BLOCK-----\n"))  # fmt: skip
def test_nonsense_is_an_error_and_no_crash(data: bytes) -> None:
    with contextlib.suppress(KeyFormatError):
        split_keys(data)
