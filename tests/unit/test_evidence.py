# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a bundle is worth trying for a subject; the rest is set aside with a reason and never raises."""

from __future__ import annotations

import contextlib
from typing import FrozenSet, List, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.bundle import Attestation, Bundle
from multisig.evidence import MAX_TRIES, Evidence, Wanted, collect, content_variants
from multisig.openpgp.armor import SIGNATURE, armor
from multisig.openpgp.premises import FUTURE_ALLOWANCE
from multisig.policy import Policy
from multisig.statement import Digests, Kind, Subject, statement_id
from tests.unit.core import (
    CHANNEL,
    EARLIER,
    NEVRA,
    NOW,
    PEOPLE,
    attest,
    digests,
    key,
    leaf,
    policy,
    public_key,
    rule,
    signature,
    signer,
    statement,
    subkey,
)
from tests.unit.openpgp_keys import packet, subpacket

TEXT = statement()
POLICY = policy(rule(leaf(3)))


def wanted(
    name: str = NEVRA,
    content: Optional[Digests] = None,
    kind: Kind = Kind.RPM,
    channels: FrozenSet[str] = frozenset({CHANNEL}),
) -> Wanted:
    return Wanted(kind, name, content or digests(), channels)


def found(*attestations: Attestation, of: Optional[Wanted] = None, by: Policy = POLICY, now: int = NOW) -> Evidence:
    return collect(Bundle(attestations), by, of or wanted(), now)


def signers(evidence: Evidence) -> List[str]:
    return [candidate.signer for candidate in evidence.candidates]


def one(armored: str, **changes: object) -> Evidence:
    """The evidence of one signature over TEXT."""
    return found(Attestation(TEXT, (armored,)), **changes)  # type: ignore[arg-type]


def test_signatures_are_tried_in_the_bundles_order() -> None:
    evidence = found(attest(TEXT, "rafal", "marek"), attest(statement(source="git+https://x@1"), "joanna"))
    assert signers(evidence) == ["rafal", "marek", "joanna"]
    assert evidence.ignored == ()
    assert not evidence.named_otherwise
    first = evidence.candidates[0]
    assert (first.data, first.statement, first.channel) == (TEXT.encode(), statement_id(TEXT), CHANNEL)
    assert first.subject == Subject(NEVRA, digests())


def test_a_statement_may_list_other_subjects_too() -> None:
    text = statement(Subject("aaa-0:1-1.noarch", digests("other")), Subject(NEVRA, digests()))
    assert signers(found(attest(text, "marek"))) == ["marek"]


# --- statements that do not speak of the subject ---------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{}", "[" * 20_000, TEXT + "\n", TEXT.replace("rpm:v1", "rpm:v9"), "ü", "\0"])
def test_a_statement_that_is_none_is_ignored_with_a_reason_and_vetoes_nothing(text: str) -> None:
    evidence = found(attest(text, "joanna"), attest(TEXT, "marek"))
    assert signers(evidence) == ["marek"]
    assert len(evidence.ignored) == 1
    assert evidence.ignored[0].startswith("a statement: ")


def test_a_statement_for_another_channel_is_no_approval() -> None:
    evidence = found(attest(statement(channel="demo-testing"), "marek"))
    assert evidence.candidates == ()
    assert evidence.ignored == ("a statement for the channel demo-testing",)


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.TREE])
def test_a_statement_of_another_kind_is_no_approval(kind: Kind) -> None:
    text = statement(Subject(NEVRA, digests()), kind=kind)
    evidence = found(attest(text, "marek"))
    assert evidence.candidates == evidence.others == ()
    assert found(attest(TEXT, "marek"), of=wanted(kind=kind)).candidates == ()


def test_a_statement_on_other_content_of_the_name_is_no_approval_and_is_remembered() -> None:
    text = statement(Subject(NEVRA, digests("other")))
    evidence = found(attest(text, "marek"))
    assert evidence.candidates == ()
    assert [candidate.signer for candidate in evidence.others] == ["marek"]
    assert evidence.named_otherwise


def test_both_digests_must_match() -> None:
    half = Digests(digests().sha256, digests("other").sha512)
    other_half = Digests(digests("other").sha256, digests().sha512)
    for mixed in (half, other_half):
        evidence = found(attest(statement(Subject(NEVRA, mixed)), "marek"))
        assert evidence.candidates == ()
        assert evidence.named_otherwise


def test_the_digests_of_an_rpm_under_another_name_are_no_approval() -> None:
    text = statement(Subject("hello-0:9.9-1.noarch", digests()))
    evidence = found(attest(text, "marek"))
    assert evidence.candidates == evidence.others == ()
    assert not evidence.named_otherwise


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.TREE])
def test_a_file_or_tree_may_have_been_renamed_since(kind: Kind) -> None:
    text = statement(Subject("old name.iso", digests()), kind=kind)
    evidence = found(attest(text, "marek"), of=wanted("new name.iso", kind=kind))
    assert signers(evidence) == ["marek"]


def test_a_renamed_file_counts_though_another_bore_its_name() -> None:
    text = statement(Subject("a.iso", digests("other")), Subject("b.iso", digests()), kind=Kind.FILE)
    evidence = found(attest(text, "marek"), of=wanted("a.iso", kind=Kind.FILE))
    assert signers(evidence) == ["marek"]
    assert not evidence.named_otherwise


def test_the_contents_that_statements_give_for_a_name_in_their_order() -> None:
    texts = [statement(Subject(NEVRA, digests(content))) for content in ("b", "a", "b")]
    bundle = Bundle((*(attest(text, "marek") for text in texts), Attestation("nonsense", ())))
    assert content_variants(bundle, Kind.RPM, NEVRA) == (digests("b"), digests("a"))
    assert content_variants(bundle, Kind.RPM, "hello") == ()
    assert content_variants(bundle, Kind.FILE, NEVRA) == ()


# --- signatures that cannot count ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "armored",
    [
        "",
        "no signature",
        "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
        signature("marek", TEXT) * 2,
        signature("marek", TEXT).replace("SIGNATURE", "MESSAGE"),
        "x" * 100_000,
        "\udc80".encode("utf-8", "backslashreplace").decode(),
        armor(packet(11, b"b\0\0\0\0\0text"), SIGNATURE),
    ],
)
def test_a_signature_that_is_none_is_ignored_with_a_reason_and_vetoes_nothing(armored: str) -> None:
    evidence = found(Attestation(TEXT, (armored, signature("marek", TEXT))))
    assert signers(evidence) == ["marek"]
    assert [text for text in evidence.ignored if text.startswith("a signature: ")]


def test_a_signature_over_8_kib_is_ignored() -> None:
    large = signature("marek", TEXT, unhashed=subpacket(20, b"x" * 180) * 40)
    assert len(large) > 8192
    assert one(large).candidates == ()


def test_a_key_that_nobody_here_has_is_named_and_not_tried() -> None:
    evidence = one(signature("stranger", TEXT))
    assert evidence.candidates == ()
    assert evidence.ignored[0].startswith("a key nobody here knows, ")


def test_nothing_of_a_compromised_signer_is_tried_whatever_its_date() -> None:
    by = policy(rule(leaf(1)), signers=[signer("marek", compromised=True)])
    assert one(signature("marek", TEXT, created=1), by=by).candidates == ()


def test_a_key_that_fails_the_policys_requirements_is_not_tried() -> None:
    by = policy(rule(leaf(1)), signers=[signer("marek", key(public_key("marek"), "is an RSA key of 1024 bits"))])
    evidence = one(signature("marek", TEXT), by=by)
    assert evidence.candidates == ()
    assert "1024 bits" in evidence.ignored[0]


@pytest.mark.parametrize(("ahead", "counts"), [(0, True), (FUTURE_ALLOWANCE, True), (FUTURE_ALLOWANCE + 1, False)])
def test_a_signature_may_be_dated_300_seconds_ahead_and_no_more(ahead: int, counts: bool) -> None:
    assert bool(one(signature("marek", TEXT, created=NOW + ahead)).candidates) is counts


@pytest.mark.parametrize(("created", "counts"), [(EARLIER - 1, True), (EARLIER, False), (EARLIER + 1, False)])
def test_signatures_from_after_a_retirement_do_not_count(created: int, counts: bool) -> None:
    by = policy(rule(leaf(1)), signers=[signer("marek", retired=EARLIER)])
    assert bool(one(signature("marek", TEXT, created=created), by=by).candidates) is counts


@pytest.mark.parametrize(("listed", "counts"), [([statement_id(TEXT)], True), (["0" * 64], False), ([], False)])
def test_of_a_retired_signer_only_the_listed_statements_count(listed: List[str], counts: bool) -> None:
    by = policy(rule(leaf(1)), signers=[signer("marek", retired=EARLIER, statements=listed)])
    assert bool(one(signature("marek", TEXT, created=1), by=by).candidates) is counts


def test_a_subkey_signs_for_its_person() -> None:
    public = public_key("marek", can_sign=False, subkeys=[subkey("marek's subkey")])
    by = policy(rule(leaf(1)), signers=[signer("marek", key(public))])
    assert signers(one(signature("marek's subkey", TEXT), by=by)) == ["marek"]
    assert one(signature("marek", TEXT), by=by).candidates == ()


# --- floods ----------------------------------------------------------------------------------------------------------


def flood(name: str, count: int) -> List[str]:
    """Different signatures that name this issuer and are all bad."""
    return [signature(name, TEXT, created=EARLIER + number, over="something else") for number in range(count)]


def test_at_most_four_signatures_of_a_signer_and_statement_are_tried() -> None:
    evidence = found(Attestation(TEXT, (*flood("marek", 40), signature("joanna", TEXT))))
    assert signers(evidence) == ["marek"] * MAX_TRIES + ["joanna"]
    assert "marek: more than 4 signatures on one statement" in evidence.ignored


def test_repeating_the_statement_gives_no_more_tries() -> None:
    signatures = flood("marek", 40)
    parts = [Attestation(TEXT, tuple(signatures[start : start + 4])) for start in range(0, 40, 4)]
    assert signers(found(*parts)) == ["marek"] * MAX_TRIES


def test_two_keys_of_a_person_share_their_tries() -> None:
    by = policy(rule(leaf(1)), signers=[signer("marek", *(key(public_key(name)) for name in ("marek", "marek 2")))])
    evidence = found(Attestation(TEXT, (*flood("marek", 3), *flood("marek 2", 3))), by=by)
    assert signers(evidence) == ["marek"] * MAX_TRIES


def test_a_signature_that_stands_in_the_bundle_twice_is_tried_once() -> None:
    same = signature("marek", TEXT)
    assert signers(found(Attestation(TEXT, (same, same)), Attestation(TEXT, (same,)))) == ["marek"]


def test_reasons_are_given_once_each() -> None:
    evidence = found(Attestation(TEXT, ("nonsense",) * 64), Attestation(TEXT, ("nonsense",) * 64))
    assert len(evidence.ignored) == 1


def test_a_full_bundle_of_junk_costs_little() -> None:
    junk = tuple(f"junk {number}" for number in range(63))
    evidence = found(*(Attestation(f"{TEXT} {number}", junk) for number in range(63)), attest(TEXT, "marek"))
    assert signers(evidence) == ["marek"]


# --- whatever the bundle holds ---------------------------------------------------------------------------------------

STATEMENTS = st.sampled_from(
    [TEXT, statement(Subject(NEVRA, digests("other"))), statement(channel="other"), "nonsense", ""]
) | st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
SIGNATURES = st.builds(signature, st.sampled_from([*PEOPLE, "stranger"]), st.just(TEXT)) | st.text(
    st.characters(blacklist_categories=["Cs"]), max_size=20
)
BUNDLES = st.lists(st.builds(Attestation, STATEMENTS, st.lists(SIGNATURES, max_size=5).map(tuple)), max_size=5)


@settings(max_examples=40, deadline=None)
@given(BUNDLES, BUNDLES)
def test_more_in_a_bundle_never_means_less_to_try(attestations: List[Attestation], more: List[Attestation]) -> None:
    with contextlib.nullcontext():
        before, after = found(*attestations), found(*attestations, *more)
    assert after.candidates[: len(before.candidates)] == before.candidates
