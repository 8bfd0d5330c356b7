# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/armor.py: one block, one encoding, nothing around it."""

from __future__ import annotations

import subprocess
from typing import Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.errors import KeyFormatError, OpenPGPError, SignatureFormatError
from multisig.openpgp.armor import (
    MAX_ARMORED_SIGNATURE,
    MAX_KEY_FILE,
    PUBLIC_KEY,
    SIGNATURE,
    armor,
    crc24,
    dearmor,
)
from tests.unit.openpgp_keys import People

# "\x00\x01\x02" four times, with its checksum.
BEGIN = "-----BEGIN PGP SIGNATURE-----\n"
END = "-----END PGP SIGNATURE-----\n"
DATA = bytes(range(3)) * 4
BODY = "AAECAAECAAECAAEC\n"
GOOD = armor(DATA, SIGNATURE)
CHECKSUM = GOOD.splitlines()[-2]


def test_a_block_is_read_as_gpg_writes_it(people: People) -> None:
    text = people.sign("marek")
    packet = dearmor(text, SIGNATURE)
    enarmored = subprocess.run(["gpg", "--dearmor"], input=text.encode(), capture_output=True, check=True, timeout=120)
    assert packet == enarmored.stdout
    assert armor(packet, SIGNATURE) == text


def test_the_checksum_is_that_of_the_specification() -> None:
    # RFC 4880, 6.1: the register's initial value for no data; the other value is gpg's own for these bytes.
    assert crc24(b"") == 0xB704CE
    assert crc24(b"123456789") == 0x21CF02


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD, id="as written"),
        pytest.param(GOOD.encode(), id="bytes"),
        pytest.param(GOOD.rstrip("\n"), id="no line end after it"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="CRLF throughout"),
        pytest.param(BEGIN + "\n" + BODY + END, id="no checksum"),
        pytest.param(BEGIN + "Version: GnuPG v2\nComment: a b: c\n\n" + BODY + END, id="harmless headers"),
        pytest.param(BEGIN + "\n" + "AAEC\nAAECAAEC\nAAEC\n" + CHECKSUM + "\n" + END, id="short lines"),
    ],
)
def test_accepted(text: Union[str, bytes]) -> None:
    assert dearmor(text, SIGNATURE) == DATA


REFUSED = {
    "empty": "",
    "one line end": "\n",
    "only a beginning": BEGIN,
    "only an end": END,
    "no end": BEGIN + "\n" + BODY,
    "no blank line": BEGIN + BODY + END,
    "no data": BEGIN + "\n" + END,
    "only a checksum": BEGIN + "\n=twTO\n" + END,
    "text before": "see below\n" + GOOD,
    "a line end before": "\n" + GOOD,
    "a blank before": " " + GOOD,
    "a BOM before": "\ufeff" + GOOD,
    "text after": GOOD + "bye\n",
    "two line ends after": GOOD + "\n",
    "a NUL after": GOOD + "\0",
    "two blocks": GOOD + GOOD,
    "two blocks, a blank line between": GOOD + "\n" + GOOD,
    "a block within a block": BEGIN + "\n" + GOOD + END,
    "another kind at the beginning": GOOD.replace("BEGIN PGP SIGNATURE", "BEGIN PGP MESSAGE"),
    "another kind at the end": GOOD.replace("END PGP SIGNATURE", "END PGP MESSAGE"),
    "an inline-signed message": armor(DATA, "MESSAGE"),
    "a multi-part message": armor(DATA, "MESSAGE, PART 1/2"),
    "a clear-signed message": "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhi\n" + GOOD,
    "a key": armor(DATA, PUBLIC_KEY),
    "lower case": GOOD.lower(),
    "four dashes": GOOD.replace("-----", "----"),
    "a blank after the beginning": GOOD.replace(BEGIN, BEGIN[:-1] + " \n"),
    "a blank in the blank line": GOOD.replace("\n\n", "\n \n"),
    "a blank after a line": GOOD.replace(BODY, BODY[:-1] + " \n"),
    "a tab in a header": BEGIN + "Comment: \t\n\n" + BODY + END,
    "a header for clear-signed text": BEGIN + "Hash: SHA512\n\n" + BODY + END,
    "a header for multi-part messages": BEGIN + "MessageID: 0\n\n" + BODY + END,
    "a header for text": BEGIN + "Charset: UTF-7\n\n" + BODY + END,
    "an unknown header": BEGIN + "X: y\n\n" + BODY + END,
    "a header without a blank": BEGIN + "Version:1\n\n" + BODY + END,
    "a blank line among the data": BEGIN + "\nAAEC\n\nAAEC\n" + END,
    "mixed line ends": GOOD.replace("\n", "\r\n", 1),
    "bare carriage returns": GOOD.replace("\n", "\r"),
    "a wrong checksum": GOOD.replace(CHECKSUM, "=AAAA"),
    "a short checksum": GOOD.replace(CHECKSUM, CHECKSUM[:-1]),
    "two checksums": GOOD.replace(CHECKSUM, CHECKSUM + "\n" + CHECKSUM),
    "data after the checksum": GOOD.replace(END, BODY + END),
    "the dash-escape of clear-signed text": GOOD.replace(BODY, "- " + BODY),
    "characters outside base64": GOOD.replace("AAEC", "AA_C", 1),
    "letters that only look alike": GOOD.replace("AAEC", "\u0410AEC", 1),
    "not a multiple of four": BEGIN + "\nAAECA\n" + END,
    "padding within": BEGIN + "\nAA==AAEC\n" + END,
    "padding at a line's end": BEGIN + "\nAA==\nAAEC\n" + END,
    "too much padding": BEGIN + "\nA===\n" + END,
    "bits hidden in the padding": BEGIN + "\nAAF=\n" + END,
    "a line over 76 characters": BEGIN + "\n" + "AAEC" * 20 + "\n" + END,
    "a comment that is not ASCII": BEGIN + "Comment: \u0141\n\n" + BODY + END,
    "a lone surrogate": GOOD.replace(BODY, "\ud800" + BODY),
    "over the size limit": BEGIN + "\n" + BODY * (MAX_ARMORED_SIGNATURE // len(BODY)) + END,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refused(text: str) -> None:
    with pytest.raises(SignatureFormatError):
        dearmor(text, SIGNATURE)
    if "\ud800" not in text:
        with pytest.raises(SignatureFormatError):
            dearmor(text.encode(), SIGNATURE)


def test_the_largest_signature_is_exactly_at_the_limit() -> None:
    filler = MAX_ARMORED_SIGNATURE - len(GOOD) - len("Comment: \n")
    text = GOOD.replace("\n\n", f"\nComment: {'x' * filler}\n\n", 1)
    assert len(text) == MAX_ARMORED_SIGNATURE
    assert dearmor(text, SIGNATURE) == DATA
    with pytest.raises(SignatureFormatError, match="longer than 8192 bytes"):
        dearmor(text.replace("x", "xx", 1), SIGNATURE)


def test_a_key_file_may_name_its_owner_in_their_own_letters() -> None:
    text = armor(DATA, PUBLIC_KEY).replace("\n\n", "\nComment: Rafał <rafal@example.org>\n\n", 1)
    assert dearmor(text, PUBLIC_KEY) == dearmor(text.encode(), PUBLIC_KEY) == DATA


@pytest.mark.parametrize("text", [b"\xff", b"", "x" * (MAX_KEY_FILE + 1), "ł" * (MAX_KEY_FILE // 2 + 1), GOOD])
def test_what_is_no_key_is_an_error_of_keys(text: Union[str, bytes]) -> None:
    with pytest.raises(KeyFormatError):
        dearmor(text, PUBLIC_KEY)


@given(st.binary(min_size=1, max_size=500))
def test_whatever_is_armored_comes_out_again(data: bytes) -> None:
    assert dearmor(armor(data, SIGNATURE), SIGNATURE) == data


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_no_change_of_one_character_goes_unseen(position: int, char: str) -> None:
    """Either the change is refused, or it changes no byte of the content; the checksum sees to the rest."""
    text = GOOD[:position] + char + GOOD[position + 1 :]
    try:
        assert dearmor(text, SIGNATURE) == DATA
    except SignatureFormatError:
        assert text != GOOD


@given(st.one_of(st.text(), st.binary()), st.sampled_from([SIGNATURE, PUBLIC_KEY]))
def test_arbitrary_input_raises_nothing_but_openpgp_errors(text: Union[str, bytes], kind: str) -> None:
    with pytest.raises(OpenPGPError):
        dearmor(text, kind)
