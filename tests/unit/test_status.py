# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/status.py: good only if everything that gpgv says fits together."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import pytest

from multisig.openpgp.model import Outcome, PublicKey, Signature
from multisig.openpgp.status import judge, judge_together

PRIMARY = "0123456789ABCDEF0123456789ABCDEF01234567"
SUBKEY = "76543210FEDCBA9876543210FEDCBA9876543210"
KEY = PublicKey(PRIMARY, 22, 256, 0, None, True, False, (), (), 0, b"")
SIGNATURE = Signature(b"", 22, 10, 1_700_000_000, PRIMARY, PRIMARY[-16:])
NEW = "NEWSIG"
GOOD = f"GOODSIG {PRIMARY[-16:]} Marek"
EXPIRED = f"EXPKEYSIG {PRIMARY[-16:]} Marek"
VALID = f"VALIDSIG {PRIMARY} 2023-11-14 1700000000 0 4 0 22 10 00 {PRIMARY}"


def outcome(*lines: str, code: int = 0) -> Outcome:
    status = "".join(f"[GNUPG:] {line}\n" for line in lines)
    return judge(code, status.encode(), "", SIGNATURE, KEY).outcome


@pytest.mark.parametrize(
    "lines, expected",
    [
        ([NEW, GOOD, VALID], Outcome.GOOD),
        ([NEW + " marek@example.org", GOOD, VALID], Outcome.GOOD),
        ([NEW, "KEY_CONSIDERED x 0", "SIG_ID x 2023-11-14 1", GOOD, VALID], Outcome.GOOD),
        ([NEW, f"GOODSIG {PRIMARY} Marek", VALID], Outcome.GOOD),
        ([NEW, GOOD, VALID.replace(" 0 4 ", " 1800000000 4 ")], Outcome.GOOD),
        ([NEW, "KEYEXPIRED 1", GOOD, VALID], Outcome.GOOD),
        ([NEW, EXPIRED, VALID], Outcome.EXPIRED_KEY),
        ([NEW, "KEYEXPIRED 1", EXPIRED, VALID], Outcome.EXPIRED_KEY),
        ([NEW, f"REVKEYSIG {PRIMARY[-16:]} Marek", VALID], Outcome.REVOKED_KEY),
        ([NEW, "KEYREVOKED", GOOD, VALID], Outcome.REVOKED_KEY),
    ],
)
def test_what_is_believed(lines: list[str], expected: Outcome) -> None:
    assert outcome(*lines) is expected


FAILURES = ["BADSIG", "ERRSIG", "EXPSIG", "NO_PUBKEY", "NODATA", "FAILURE", "UNEXPECTED", "SIGEXPIRED", "REVKEYSIG"]
OTHERS = ["KEYREVOKED", "TRUST_ULTIMATE", "PLAINTEXT", "WARNING", "ERROR", "BADARMOR", "ASSERT_SIGNER", "SUCCESS"]


@pytest.mark.parametrize("keyword", FAILURES + OTHERS)
@pytest.mark.parametrize("place", range(4))
def test_no_failure_and_no_unknown_keyword_beside_a_good_signature(keyword: str, place: int) -> None:
    lines = [NEW, GOOD, VALID]
    lines.insert(place, f"{keyword} {PRIMARY[-16:]} x")
    assert outcome(*lines) is not Outcome.GOOD
    assert outcome(*[line.replace("GOODSIG", "EXPKEYSIG") for line in lines]) is not Outcome.EXPIRED_KEY


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [NEW],
        [GOOD, VALID],
        [NEW, VALID],
        [NEW, GOOD],
        [NEW, NEW, GOOD, VALID],
        [NEW, GOOD, GOOD, VALID],
        [NEW, GOOD, VALID, VALID],
        [NEW, GOOD, EXPIRED, VALID],
        [NEW, EXPIRED, EXPIRED, VALID],
        [NEW, GOOD.lower(), VALID],
        [NEW, "GOODSIG", VALID],
        [NEW, f"GOODSIG {SUBKEY[-16:]} Marek", VALID],
        [NEW, GOOD, "VALIDSIG"],
        [NEW, GOOD, VALID + " x"],
        [NEW, GOOD, VALID.replace(" 4 0 ", " 3 0 ")],
        [NEW, GOOD, VALID.replace(" 00 ", " 01 ")],
        [NEW, GOOD, VALID.replace(" 22 ", " 1 ")],
        [NEW, GOOD, VALID.replace(" 10 00", " 2 00")],
        [NEW, GOOD, VALID.replace(" 10 00", " 8 00")],
        [NEW, GOOD, VALID.replace("1700000000", "1700000001")],
        [NEW, GOOD, VALID.replace("1700000000", "20231114T221320")],
        [NEW, GOOD, VALID[: -len(PRIMARY) - 1]],
        [NEW, GOOD, VALID[: -len(PRIMARY)] + SUBKEY],
        [NEW, GOOD, VALID.replace(PRIMARY, SUBKEY, 1)],
        [NEW, GOOD, VALID.replace(PRIMARY, PRIMARY.lower())],
        [NEW, GOOD, VALID.replace("4567", "456\uff17")],
    ],
)
def test_what_is_not_believed(lines: list[str]) -> None:
    assert outcome(*lines) is Outcome.BAD


@pytest.mark.parametrize("code", [1, 2])
def test_a_good_signature_with_another_exit_code_is_bad(code: int) -> None:
    assert outcome(NEW, GOOD, VALID, code=code) is Outcome.BAD
    assert outcome(NEW, EXPIRED, VALID, code=code) is Outcome.BAD


@pytest.mark.parametrize(
    "status",
    [
        b"\n",
        b"[GNUPG:] NEWSIG",
        b"[GNUPG:]  NEWSIG\n",
        b"[GNUPG:] NEWSIG\r\n\n",
        b" [GNUPG:] NEWSIG\n",
        b"gpgv: hello\n",
        b"[GNUPG:] \n",
        b"[GNUPG:] \xff\n",
    ],
)
def test_a_line_of_any_other_form_spoils_the_whole(status: bytes) -> None:
    good = "".join(f"[GNUPG:] {line}\n" for line in (NEW, GOOD, VALID)).encode()
    assert judge(0, good, "", SIGNATURE, KEY).outcome is Outcome.GOOD
    assert judge(0, good + status, "", SIGNATURE, KEY).outcome is Outcome.BAD


def test_a_user_id_that_speaks_of_memory_is_no_lack_of_it() -> None:
    status = b"[GNUPG:] NEWSIG\n[GNUPG:] BADSIG 0123456789ABCDEF memory\n"
    assert judge(1, status, 'BAD signature from "out of memory"', SIGNATURE, KEY).outcome is Outcome.BAD


def test_a_key_that_only_certifies_cannot_have_signed() -> None:
    status = "".join(f"[GNUPG:] {line}\n" for line in (NEW, GOOD, VALID)).encode()
    found = judge(0, status, "", SIGNATURE, KEY._replace(can_sign=False))
    assert (found.outcome, found.reason) == (
        Outcome.BAD,
        "the signature is by a part of the key that is not for signing",
    )


# Several signatures by one process.

OTHER_PRIMARY = PRIMARY[::-1]
OTHER_KEY = KEY._replace(fingerprint=OTHER_PRIMARY)
OTHER = SIGNATURE._replace(issuer_fingerprint=OTHER_PRIMARY, issuer_keyid=OTHER_PRIMARY[-16:], created=1_700_000_001)
FIRST = [NEW, GOOD, VALID]
SECOND = [
    NEW,
    f"GOODSIG {OTHER_PRIMARY[-16:]} Joanna",
    f"VALIDSIG {OTHER_PRIMARY} 2023-11-14 1700000001 0 4 0 22 10 00 {OTHER_PRIMARY}",
]
ASKED = [(SIGNATURE, KEY), (OTHER, OTHER_KEY)]


def together(*lines: str, code: int = 0, asked: Sequence[Tuple[Signature, PublicKey]] = ASKED) -> List[Outcome]:
    status = "".join(f"[GNUPG:] {line}\n" for line in lines)
    return [checked.outcome for checked in judge_together(code, status.encode(), asked)]


def test_good_signatures_are_told_apart_by_their_places() -> None:
    assert together(*FIRST, *SECOND) == [Outcome.GOOD, Outcome.GOOD]
    (one, two) = judge_together(0, "".join(f"[GNUPG:] {line}\n" for line in FIRST + SECOND).encode(), ASKED)
    assert (one.primary, two.primary) == (PRIMARY, OTHER_PRIMARY)
    expired = [line.replace("GOODSIG", "EXPKEYSIG") for line in SECOND]
    assert together(*FIRST, "KEY_CONSIDERED x 0", *expired) == [Outcome.GOOD, Outcome.EXPIRED_KEY]


NOT_TOGETHER = {
    "nothing": [],
    "in another order": [*SECOND, *FIRST],
    "the first twice": [*FIRST, *FIRST],
    "one of two": FIRST,
    "one more": [*FIRST, *SECOND, *FIRST],
    "a part without anything": [*FIRST, NEW],
    "an empty part between": [*FIRST, NEW, *SECOND],
    "two good ones in one part": [*FIRST, *SECOND[1:]],
    "parts that begin late": ["KEY_CONSIDERED x 0", *FIRST, *SECOND],
    "a good one before the first": [GOOD, VALID, *FIRST, *SECOND],
    "two verdicts in one part": [*FIRST, GOOD, *SECOND],
    "two descriptions in one part": [*FIRST, VALID, *SECOND],
    "another date": [*FIRST, *(line.replace("1700000001", "1700000000") for line in SECOND)],
    "another algorithm": [*FIRST, *(line.replace(" 22 10 ", " 1 10 ") for line in SECOND)],
    "another class": [*FIRST, *(line.replace(" 10 00 ", " 10 01 ") for line in SECOND)],
    "another primary": [*FIRST, *(line.replace(f"00 {OTHER_PRIMARY}", f"00 {PRIMARY}") for line in SECOND)],
    "words exchanged": [FIRST[0], SECOND[1], FIRST[2], SECOND[0], FIRST[1], SECOND[2]],
}


@pytest.mark.parametrize("lines", NOT_TOGETHER.values(), ids=NOT_TOGETHER.keys())
def test_where_anything_does_not_fit_nothing_is_said_about_any(lines: List[str]) -> None:
    assert together(*lines) == []


@pytest.mark.parametrize("keyword", FAILURES + OTHERS)
@pytest.mark.parametrize("place", range(7))
def test_no_failure_and_no_unknown_keyword_anywhere_among_several(keyword: str, place: int) -> None:
    lines = [*FIRST, *SECOND]
    lines.insert(place, f"{keyword} {PRIMARY[-16:]} x")
    assert together(*lines) == []


@pytest.mark.parametrize("code", [1, 2, 3, -9])
def test_no_exit_code_but_zero_among_several(code: int) -> None:
    assert together(*FIRST, *SECOND, code=code) == []


def test_output_that_is_cut_off_or_no_status_output_says_nothing_about_several() -> None:
    whole = "".join(f"[GNUPG:] {line}\n" for line in FIRST + SECOND).encode()
    for status in (whole[:-1], whole + b"hello\n", b"\n" + whole, whole.replace(b"[GNUPG:] VALIDSIG", b"VALIDSIG", 1)):
        assert judge_together(0, status, ASKED) == []
