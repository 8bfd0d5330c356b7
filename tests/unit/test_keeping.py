# SPDX-License-Identifier: GPL-2.0-or-later
"""What the journal gets of evidence that a mirror has padded: all that decided, and little besides."""

from __future__ import annotations

from typing import Dict, Tuple

import pytest

from fixtures.rpmedit import Rpm
from fixtures.rpmjudge import judged
from multisig.bundle import MAX_BUNDLE, Attestation, parse
from multisig.keeping import AS_READ
from multisig.statement import Subject
from multisig.verdict import Code
from tests.unit.core import FakeSource, attest, bundle, leaf, policy, rule, signature, statement
from tests.unit.gate_bench import at_hand, build_packages, code, signed, text_for

TWO = policy(rule(leaf(2)))
# Two signatures of about 5 KiB in armor for each statement: the filling of which a bundle takes most.
PADDING = b"\xff" + (3701).to_bytes(4, "big") + b"\x14" + bytes(3700)  # a notation (RFC 9580, 5.2.3.7)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    return build_packages(tmp_path_factory.mktemp("builds"))


@pytest.fixture
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"].copy()


def padding(hello: Rpm, number: int = 60) -> Tuple[Attestation, ...]:
    """Statements that nobody signed, on the very content, each with signatures that claim to be people's."""
    subject = judged(hello)
    made = []
    for count in range(number):
        text = statement(Subject(subject.name, subject.digests), source=f"https://example.org/{count}")
        false = [signature(name, text, over="something else", unhashed=PADDING) for name in ("simon", "wiktor")]
        made.append(Attestation(text, tuple(false)))
    return tuple(made)


def test_a_mirror_cannot_pad_what_the_journal_keeps(hello: Rpm) -> None:
    own = attest(text_for(hello), "marek", "joanna")
    raw = bundle(own, *padding(hello))
    assert len(raw) > MAX_BUNDLE // 2
    found = at_hand(hello, raw, by=TWO)
    assert code(found) is Code.OK and found.bundle is not None
    assert len(found.bundle) < 2 * AS_READ and own in parse(found.bundle).attestations
    # From what is kept the same verdict follows.
    again = at_hand(hello, found.bundle, by=TWO)
    assert again.verdict.signers == found.verdict.signers and code(again) is Code.OK


def test_padding_does_not_drive_out_the_signatures_of_those_who_were_not_needed(hello: Rpm) -> None:
    own = attest(text_for(hello), "marek", "joanna", "rafal")
    found = at_hand(hello, bundle(own, *padding(hello)), by=TWO)
    assert found.verdict.signers == ("marek", "joanna")
    assert found.bundle is not None and own in parse(found.bundle).attestations


def test_what_is_short_is_kept_as_it_was_read(hello: Rpm) -> None:
    raw = signed(hello, "marek", "joanna", "stranger")
    assert at_hand(hello, raw, by=TWO).bundle == raw


def test_two_padded_bundles_of_which_each_has_one_word_are_kept_as_both_words(hello: Rpm) -> None:
    """As one they would be larger than a bundle may be."""
    cached = bundle(attest(text_for(hello), "marek"), *padding(hello, 50))
    fresh = bundle(*padding(hello, 51)[20:], attest(text_for(hello), "joanna"))
    found = at_hand(hello, by=TWO, source=FakeSource({1: cached}, {1: fresh}))
    assert code(found) is Code.OK and found.bundle is not None and len(found.bundle) < 2 * AS_READ
    assert code(at_hand(hello, found.bundle, by=TWO)) is Code.OK


def test_many_tiny_statements_from_two_places_do_not_drive_out_what_counted(hello: Rpm) -> None:
    """Together they are more than a bundle may hold, and still short."""
    junk = [tuple(Attestation(f"{place}{count}", ()) for count in range(63)) for place in "ab"]
    cached = bundle(attest(text_for(hello), "marek"), *junk[0])
    fresh = bundle(attest(text_for(hello), "joanna"), *junk[1])
    found = at_hand(hello, by=TWO, source=FakeSource({1: cached}, {1: fresh}))
    assert code(found) is Code.OK and found.bundle is not None
    assert code(at_hand(hello, found.bundle, by=TWO)) is Code.OK


def test_a_refusal_keeps_the_words_that_there_were_and_no_padding(hello: Rpm) -> None:
    own = attest(text_for(hello), "marek")
    found = at_hand(hello, bundle(*padding(hello), own), by=TWO)
    assert code(found) is Code.BELOW_THRESHOLD and found.bundle is not None
    assert len(found.bundle) < 2 * AS_READ and own in parse(found.bundle).attestations


def test_a_bundle_of_nothing_but_padding_about_something_else_is_not_kept(hello: Rpm) -> None:
    other = statement(Subject("world-0:1.0-1.noarch", judged(hello).digests))
    raw = bundle(*(Attestation(other, (signature("marek", other, unhashed=PADDING),)) for _ in range(60)))
    found = at_hand(hello, raw, by=TWO)
    assert not found.verdict.accepted and found.bundle is None


def test_an_index_cannot_pad_what_the_journal_keeps(hello: Rpm) -> None:
    text = text_for(hello)
    false = [signature("simon", text, over=f"{count}", unhashed=PADDING) for count in range(61)]
    genuine = attest(text, "marek", "joanna").signatures
    line = Attestation(text, (*false[:20], *genuine, *false[20:]))
    found = at_hand(hello, by=TWO, source=FakeSource({}, elsewhere={1: (line,)}))
    assert code(found) is Code.OK and found.bundle is None
    (kept,) = found.attestations
    assert kept.statement == text and set(genuine) <= set(kept.signatures)
    assert sum(map(len, kept.signatures)) < 2 * AS_READ


def test_a_line_of_an_index_that_is_not_padded_is_kept_as_the_very_object(hello: Rpm) -> None:
    line = attest(text_for(hello), "marek", "joanna", "stranger")
    found = at_hand(hello, by=TWO, source=FakeSource({}, elsewhere={1: (line,)}))
    assert len(found.attestations) == 1 and found.attestations[0] is line
