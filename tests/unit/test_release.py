# SPDX-License-Identifier: GPL-2.0-or-later
"""Release statements: which one decides, and why none does; which one a person signs."""

from __future__ import annotations

from typing import List, Optional, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.bundle import MAX_ATTESTATIONS, Attestation, Bundle, encode
from multisig.errors import ReleaseError
from multisig.policy import ReleaseRequirement
from multisig.release import (
    KEPT,
    PLAUSIBLE_SERIAL,
    judge_release,
    releases,
    to_sign,
    warning,
    without_old,
)
from multisig.statement import Digests, Kind, Subject, make
from multisig.statement import encode as encode_statement
from multisig.times import DAY, told_span
from multisig.verdict import Code, ReleaseStanding, Verdict
from tests.unit.core import CHANNEL, NOW, digests, leaf, statement

CURRENT = digests("repomd")
ASKED = ReleaseRequirement(leaf(2), 14 * DAY)


def text(
    serial: int = 5,
    content: Digests = CURRENT,
    *,
    channel: str = CHANNEL,
    issued: int = NOW - DAY,
    expires: int = NOW + DAY,
    name: str = "repomd.xml",
) -> str:
    subject = Subject(name, content)
    return encode_statement(make(Kind.RELEASE, channel, [subject], serial=serial, issued=issued, expires=expires))


def signed(statement_text: str, *names: str) -> Attestation:
    """With the signers' names in place of their signatures: the quorum here reads these."""
    return Attestation(statement_text, names)


def quorum(bundle: Bundle) -> Verdict:
    people = sorted({name for item in bundle.attestations for name in item.signatures})
    good = len(people) >= 2
    return Verdict(
        "repomd.xml", "", good, Code.OK if good else Code.BELOW_THRESHOLD, f"{len(people)} of 2", signers=tuple(people)
    )


def judged(*attestations: Attestation, seen: int = 0, now: int = NOW, content: Digests = CURRENT) -> ReleaseStanding:
    return judge_release(
        Bundle(attestations), content, repo="demo", channel=CHANNEL, asked=ASKED, seen=seen, now=now, quorum=quorum
    )


# --- which one decides -----------------------------------------------------------------------------------------------


def test_a_statement_that_the_quorum_signed_and_that_is_current_is_good() -> None:
    found = judged(signed(text(), "marek", "joanna"))
    assert (found.good, found.code, found.serial, found.signers) == (True, Code.OK, 5, ("joanna", "marek"))
    assert found.ends == NOW + DAY
    assert found.text == "release 5 of demo, signed by joanna, marek"


def test_it_ends_when_it_expires_or_is_older_than_the_rule_allows_whatever_comes_first() -> None:
    assert judged(signed(text(expires=NOW + 99 * DAY), "a", "b")).ends == NOW - DAY + 14 * DAY


REFUSED = {
    "one signature where two are asked": (signed(text(), "marek"), 0, Code.BELOW_THRESHOLD, "lacks signatures: 1 of 2"),
    "expired": (signed(text(expires=NOW - 1), "a", "b"), 0, Code.EXPIRED, "serial 5) expired a moment ago"),
    "older than the rule allows": (
        signed(text(issued=NOW - 14 * DAY - 1), "a", "b"), 0, Code.EXPIRED, "is 14 days old, and the rule allows 14",
    ),
    "issued in the future": (signed(text(issued=NOW + 301), "a", "b"), 0, Code.EXPIRED, "in the future"),
    "older than what was seen": (signed(text(), "a", "b"), 6, Code.ROLLBACK, "is older than release 6"),
    "for another repomd.xml": (signed(text(5, digests("other")), "a", "b"), 0, Code.CONTENT_MISMATCH, "for another"),
    "for another channel": (
        signed(text(channel="demo-testing"), "a", "b"), 0, Code.BELOW_THRESHOLD, "there are some for demo-testing",
    ),
    "under another name": (signed(text(name="repomd.xmI"), "a", "b"), 0, Code.NO_BUNDLE, "no release statement"),
    "of a file": (
        signed(statement(Subject("repomd.xml", CURRENT), kind=Kind.FILE), "a", "b"), 0, Code.NO_BUNDLE, "there is no",
    ),
    "no statement at all": (signed("{}", "a", "b"), 0, Code.NO_BUNDLE, "there is no release statement"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_current_release_says_why(case: "tuple[Attestation, int, Code, str]") -> None:
    attestation, seen, code, words = case
    found = judged(attestation, seen=seen)
    assert (found.good, found.code) == (False, code)
    assert words in found.text


@pytest.mark.parametrize(
    ("issued", "expires", "now"),
    [
        (NOW + 300, NOW + DAY, NOW),
        (NOW - DAY, NOW, NOW),
        (NOW - 14 * DAY, NOW + DAY, NOW),
    ],
    ids=["300 s ahead", "in its last second", "as old as the rule allows"],
)
def test_limits_are_inclusive(issued: int, expires: int, now: int) -> None:
    assert judged(signed(text(issued=issued, expires=expires), "a", "b"), now=now).good


def test_the_serial_that_was_seen_may_be_seen_again() -> None:
    assert judged(signed(text(5), "a", "b"), seen=5).good


def test_two_people_who_signed_two_statements_signed_nothing_together() -> None:
    found = judged(signed(text(5), "marek"), signed(text(6), "joanna"))
    assert (found.good, found.code, found.serial) == (False, Code.BELOW_THRESHOLD, 6)


def test_signatures_of_one_statement_add_up_wherever_in_the_bundle_they_stand() -> None:
    assert judged(signed(text(), "marek"), signed(text(6), "joanna"), signed(text(), "joanna")).good


def test_a_newer_statement_without_quorum_takes_nothing_from_an_older_one() -> None:
    found = judged(signed(text(9), "mallory"), signed(text(5), "marek", "joanna"))
    assert (found.good, found.serial) == (True, 5)


def test_an_expired_one_does_not_stand_in_the_way_of_one_that_is_not() -> None:
    assert judged(signed(text(9, expires=NOW - 1), "a", "b"), signed(text(5), "a", "b")).good


def test_what_the_quorum_signed_explains_a_refusal_before_what_it_did_not() -> None:
    found = judged(signed(text(9), "mallory"), signed(text(5, expires=NOW - 60), "a", "b"))
    assert (found.code, found.serial) == (Code.EXPIRED, 5)


def test_the_statement_of_a_release_yet_to_come_may_lie_beside_the_present_one() -> None:
    """Bundles are published before the metadata, so that no mirror is without."""
    assert judged(signed(text(6, digests("next")), "a", "b"), signed(text(5), "a", "b")).serial == 5


DAYS = st.integers(-30, 30)


@given(st.lists(st.tuples(st.integers(1, 9), DAYS, DAYS, st.sampled_from("ab")), max_size=8))
def test_more_statements_never_turn_good_into_refused(extra: List["tuple[int, int, int, str]"]) -> None:
    additions = [
        signed(text(serial, issued=NOW + min(one, other) * DAY, expires=NOW + max(one, other) * DAY + 1), who)
        for serial, one, other, who in extra
    ]
    good = signed(text(5), "a", "b")
    assert judged(good, *additions).good
    assert judged(*additions, good).good


@given(st.permutations(range(4)))
def test_the_order_in_a_bundle_never_matters(order: Sequence[int]) -> None:
    items = [
        signed(text(7), "a"), signed(text(6, expires=NOW - 1), "a", "b"), signed(text(4), "a", "b"), signed("{}", "a"),
    ]  # fmt: skip
    assert judged(*(items[index] for index in order)) == judged(*items)


# --- the grace period ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "max_age", "words"),
    [
        (4 * DAY, 14 * DAY, None),
        (2 * DAY, 14 * DAY, "expires in 2 days"),
        (3600 * 5, 14 * DAY, "expires in 5 hours"),
        (2 * DAY, 4 * DAY, None),
        (DAY, 4 * DAY, "expires in 24 hours"),
    ],
)
def test_a_release_that_is_about_to_end_is_told_of_before_it_does(
    left: int, max_age: int, words: Optional[str]
) -> None:
    standing = ReleaseStanding("demo", CHANNEL, True, Code.OK, "", 5, ends=NOW + left)
    told = warning(standing, ReleaseRequirement(leaf(1), max_age), NOW)
    assert (told is None) if words is None else (told is not None and words in told)


def test_a_release_that_is_not_good_is_refused_and_not_warned_of() -> None:
    assert warning(ReleaseStanding("demo", CHANNEL, False, Code.EXPIRED, ""), ASKED, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "a moment"), (59, "a moment"), (60, "1 minute"), (119, "1 minute"), (120, "2 minutes"), (7199, "119 minutes"),
     (7200, "2 hours"), (47 * 3600, "47 hours"), (2 * DAY, "2 days"), (99 * DAY, "99 days")],
)  # fmt: skip
def test_spans_of_time_are_told_in_units_that_a_person_can_use(seconds: int, words: str) -> None:
    assert told_span(seconds) == words


# --- which one is signed ---------------------------------------------------------------------------------------------


def chosen(
    *attestations: Attestation, serial: Optional[int] = None, renew: bool = False, expires: int = NOW + 14 * DAY
) -> "tuple[int, bool]":
    release, joined = to_sign(
        Bundle(attestations), CURRENT, CHANNEL, now=NOW, expires=expires, serial=serial, renew=renew
    )
    assert release.digests == CURRENT
    assert joined or (release.issued, release.expires, release.signatures) == (NOW, expires, ())
    return release.serial, joined


def test_the_first_release_is_number_1() -> None:
    assert chosen() == (1, False)


def test_the_statement_that_is_there_for_this_repomd_xml_is_joined() -> None:
    assert chosen(signed(text(5), "marek")) == (5, True)
    assert chosen(signed(text(5), "marek"), serial=5) == (5, True)


@pytest.mark.parametrize(
    "there",
    [text(5, digests("other")), text(5, expires=NOW - 1)],
    ids=["for another repomd.xml", "expired"],
)
def test_otherwise_a_new_one_counts_on_from_the_highest(there: str) -> None:
    assert chosen(signed(there, "marek")) == (6, False)
    assert chosen(signed(there, "marek"), serial=9) == (9, False)


def test_content_that_comes_back_is_a_new_release() -> None:
    """Release 5 was this content, 6 another; signing 5 again would have every machine refuse it as a rollback."""
    assert chosen(signed(text(5), "a"), signed(text(6, digests("other")), "a")) == (7, False)


def test_renew_makes_a_new_one() -> None:
    assert chosen(signed(text(5), "marek"), renew=True) == (6, False)


def test_other_channels_have_serials_of_their_own() -> None:
    assert chosen(signed(text(5, channel="demo-testing"), "marek")) == (1, False)


def test_a_serial_that_is_taken_is_an_error() -> None:
    for taken in (4, 5):
        with pytest.raises(ReleaseError, match="serials only grow"):
            chosen(signed(text(5, digests("other")), "marek"), serial=taken)


def test_what_lasts_longer_than_the_signer_would_let_it_is_not_joined() -> None:
    """Whoever wrote the statement may not have been honest, and a signature is for all of it."""
    with pytest.raises(ReleaseError, match="longer than you would let it"):
        chosen(signed(text(5, expires=NOW + 999 * DAY)))
    assert chosen(signed(text(5, expires=NOW + 999 * DAY)), expires=NOW + 1000 * DAY) == (5, True)


def test_what_was_issued_in_the_future_is_not_joined() -> None:
    with pytest.raises(ReleaseError, match="in the future"):
        chosen(signed(text(5, issued=NOW + 301)))


def test_an_unsigned_statement_cannot_use_up_all_serials() -> None:
    junk = signed(text(10**18 - 1, digests("junk")))
    with pytest.raises(ReleaseError, match="nobody can have reached"):
        chosen(junk)
    assert chosen(signed(text(PLAUSIBLE_SERIAL - 1, digests("other")))) == (PLAUSIBLE_SERIAL, False)


def test_expired_statements_leave_a_bundle_that_would_overflow() -> None:
    """Otherwise the 65th release could not be signed."""
    bundle = Bundle(())
    for serial in range(1, 3 * MAX_ATTESTATIONS):
        expires = NOW - DAY + serial if serial < 180 else NOW + DAY
        new = signed(text(serial, digests(str(serial)), issued=NOW - 2 * DAY, expires=expires), "a")
        bundle = Bundle((*without_old(bundle, NOW).attestations, new))
        encode(bundle)
    serials = [release.serial for release in releases(bundle)]
    assert serials == list(range(191, 191 - len(serials), -1))
    assert KEPT <= len(serials) <= KEPT + 1


def test_nothing_that_could_count_leaves_a_bundle() -> None:
    items = [signed(text(serial, digests(str(serial))), "a") for serial in range(1, 30)]
    other = signed(statement(), "a")
    assert without_old(Bundle((*items, other)), NOW) == Bundle((*items, other))
    expired = [signed(text(serial, digests(str(serial)), expires=NOW - 1), "a") for serial in range(1, KEPT + 1)]
    assert without_old(Bundle(tuple(expired)), NOW) == Bundle(tuple(expired))
