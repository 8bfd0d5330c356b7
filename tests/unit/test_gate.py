# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate on a package at hand: who counts, and that what is installed is what was judged."""

from __future__ import annotations

import hashlib
from typing import Dict

import pytest

from fixtures.rpmedit import STRING, STRING_ARRAY, Rpm
from fixtures.rpmjudge import edited, judged
from fixtures.tamper import FAKE_GREETING, GREETING
from multisig.bundle import MAX_BUNDLE, Attestation
from multisig.policy import ContentSelector
from multisig.statement import Kind, Subject
from multisig.verdict import Code
from tests.unit.core import (
    NEVRA,
    PEOPLE,
    attest,
    bundle,
    digests,
    exemption,
    leaf,
    policy,
    rule,
    signature,
    statement,
)
from tests.unit.gate_bench import at_hand, build_packages, code, planned, signed, text_for


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    return build_packages(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"]


# --- a package at hand -----------------------------------------------------------------------------------------------


def test_three_of_five_are_enough_and_two_are_not(hello: Rpm) -> None:
    found = at_hand(hello, signed(hello, "marek", "rafal", "simon"))
    assert code(found) is Code.OK
    assert found.verdict.signers == ("marek", "rafal", "simon")
    assert found.digests == judged(hello).digests
    assert found.bundle == signed(hello, "marek", "rafal", "simon")
    found = at_hand(hello, signed(hello, "marek", "rafal"))
    assert code(found) is Code.BELOW_THRESHOLD
    assert "needs 1 more of: joanna, simon, wiktor" in found.verdict.message


def test_people_may_sign_statements_of_their_own_that_list_different_sets(hello: Rpm) -> None:
    content = judged(hello).digests
    extra = Subject("other-0:1-1.noarch", digests())
    texts = [
        statement(Subject(NEVRA, content)),
        statement(Subject(NEVRA, content), extra),
        statement(Subject(NEVRA, content), source="git+https://example.org@1"),
    ]
    raw = bundle(*(attest(text, name) for text, name in zip(texts, PEOPLE)))
    assert code(at_hand(hello, raw)) is Code.OK


def test_one_person_signing_three_statements_is_one(hello: Rpm) -> None:
    texts = [statement(Subject(NEVRA, judged(hello).digests), source=f"git+https://x@{number}") for number in range(3)]
    assert code(at_hand(hello, bundle(*(attest(text, "marek") for text in texts)))) is Code.BELOW_THRESHOLD


def test_no_bundle(hello: Rpm) -> None:
    assert code(at_hand(hello)) is Code.NO_BUNDLE


@pytest.mark.parametrize("raw", [b"", b"\0", b"[" * 20_000, b"{" * 20_000, b"x" * (MAX_BUNDLE + 1)])
def test_a_malformed_bundle(hello: Rpm, raw: bytes) -> None:
    assert code(at_hand(hello, raw)) is Code.MALFORMED_BUNDLE


def test_an_empty_bundle_is_below_the_threshold(hello: Rpm) -> None:
    assert code(at_hand(hello, bundle())) is Code.BELOW_THRESHOLD


def test_the_bundle_of_other_content_of_the_name(hello: Rpm) -> None:
    other = edited(hello, lambda copy: copy.set(1020, STRING, "https://example.org/elsewhere"))
    found = at_hand(other, signed(hello, *PEOPLE))
    assert code(found) is Code.CONTENT_MISMATCH
    assert "marek's signature is over other content (multisig diff shows what differs)" in found.verdict.ignored


def test_the_bundle_of_another_package(built: Dict[str, Rpm]) -> None:
    found = at_hand(built["hello"], signed(built["world"], *PEOPLE))
    assert code(found) is Code.BELOW_THRESHOLD


def test_statements_of_another_channel_or_kind_do_not_count(hello: Rpm) -> None:
    subject = Subject(NEVRA, judged(hello).digests)
    for text in (statement(subject, channel="demo-testing"), statement(subject, kind=Kind.FILE)):
        assert code(at_hand(hello, bundle(attest(text, *PEOPLE)))) is Code.BELOW_THRESHOLD


def test_signatures_over_other_bytes_do_not_count(hello: Rpm) -> None:
    text = text_for(hello)
    bad = [signature(name, text, over="other") for name in PEOPLE]
    found = at_hand(hello, bundle(Attestation(text, tuple(bad))))
    assert code(found) is Code.BELOW_THRESHOLD
    assert found.verdict.signers == ()


def test_bad_signatures_take_nothing_away_from_good_ones(hello: Rpm) -> None:
    text = text_for(hello)
    bad = [signature(name, text, over="other") for name in PEOPLE]
    good = [signature(name, text) for name in PEOPLE[:3]]
    assert code(at_hand(hello, bundle(Attestation(text, ("junk", *bad, *good))))) is Code.OK


# --- what is installed is what is judged -----------------------------------------------------------------------------


def test_a_header_that_differs_from_the_plan_is_refused(built: Dict[str, Rpm]) -> None:
    raw = signed(built["world"], *PEOPLE)
    found = at_hand(built["world"], raw, plan=planned())
    assert code(found) is Code.CONTENT_MISMATCH
    assert "world-0:1.0-1.noarch" in found.verdict.message


@pytest.mark.parametrize("nevra", ["hello-0:1.0-2.noarch", "hello-1:1.0-1.noarch", "hello-0:1.0-1.x86_64"])
def test_a_version_that_differs_from_the_plan_is_refused(hello: Rpm, nevra: str) -> None:
    found = at_hand(hello, signed(hello, *PEOPLE), plan=planned(nevra=nevra))
    assert code(found) is Code.CONTENT_MISMATCH


def test_rules_are_chosen_by_the_header_not_by_the_plan(hello: Rpm) -> None:
    by = policy(exemption(repos=["lab"]), rule(leaf(3), packages=["hello"]))
    assert code(at_hand(hello, by=by, plan=planned("innocent", "lab"))) is Code.NO_BUNDLE


def test_what_a_package_obsoletes_it_may_replace_only_as_well_approved(built: Dict[str, Rpm]) -> None:
    by = policy(exemption(repos=["lab"]), rule(leaf(3), packages=["hello"]))
    plan = planned("world", "lab", "world-0:1.0-1.noarch")
    assert code(at_hand(built["world"], by=by, plan=plan)) is Code.NO_BUNDLE
    assert code(at_hand(built["world"], signed(built["world"], *PEOPLE), by=by, plan=plan)) is Code.OK


@pytest.mark.parametrize(
    "content",
    [
        ContentSelector(False, True, (), ()),
        ContentSelector(False, False, ("/usr/share/hello/**",), ()),
        ContentSelector(False, False, (), ("greeter",)),
    ],
)
def test_rules_by_content_bind_once_the_header_is_at_hand(hello: Rpm, content: ContentSelector) -> None:
    by = policy(exemption(), rule(leaf(3), name="content", content=content))
    assert code(at_hand(hello, signed(hello, "marek"), by=by)) is Code.BELOW_THRESHOLD
    assert code(at_hand(hello, signed(hello, *PEOPLE), by=by)) is Code.OK


def test_a_payload_that_is_not_the_signed_one(hello: Rpm) -> None:
    evil = edited(
        hello, lambda copy: copy.set_archive(hello.archive.replace(GREETING, FAKE_GREETING)), Rpm.fix_payload_digest
    )
    assert evil.payload != hello.payload
    assert judged(evil).digests == judged(hello).digests
    assert code(at_hand(evil, signed(hello, *PEOPLE))) is Code.PAYLOAD_MISMATCH


def test_a_truncated_payload(hello: Rpm) -> None:
    short = edited(hello, lambda copy: setattr(copy, "payload", copy.payload[:-20]))
    assert code(at_hand(short, signed(hello, *PEOPLE))) is Code.PAYLOAD_MISMATCH


def payload_digest(package: Rpm) -> str:
    return hashlib.sha256(package.payload).hexdigest()


def junk_payload(package: Rpm) -> Rpm:
    """A payload that begins as gzip does and cannot be decompressed; nothing in the header tells."""

    def edit(copy: Rpm) -> None:
        copy.payload = b"\x1f\x8b\x08" + b"not gzip at all" * 9
        copy.set(5092, STRING_ARRAY, payload_digest(copy))

    return edited(package, edit)


def test_a_payload_that_enough_people_vouch_for_to_the_byte_is_not_decompressed(hello: Rpm) -> None:
    junk = junk_payload(hello)
    digest = payload_digest(junk)
    assert code(at_hand(junk, bundle(attest(text_for(junk, digest), *PEOPLE)))) is Code.OK
    assert code(at_hand(junk, bundle(attest(text_for(junk), *PEOPLE)))) is Code.PAYLOAD_MISMATCH
    assert code(at_hand(junk, bundle(attest(text_for(junk, "0" * 64), *PEOPLE)))) is Code.PAYLOAD_MISMATCH


def test_fewer_than_the_threshold_cannot_vouch_for_a_payload(hello: Rpm) -> None:
    junk = junk_payload(hello)
    some = attest(text_for(junk, payload_digest(junk)), *PEOPLE[:2])
    others = attest(text_for(junk), *PEOPLE[2:])
    assert code(at_hand(junk, bundle(some, others))) is Code.PAYLOAD_MISMATCH


def test_every_rule_must_be_satisfied_by_those_who_vouch(hello: Rpm) -> None:
    junk = junk_payload(hello)
    by = policy(rule(leaf(2)), rule(leaf(1, ("wiktor",), "release"), name="release"))
    some = attest(text_for(junk, payload_digest(junk)), "marek", "joanna")
    assert code(at_hand(junk, bundle(some, attest(text_for(junk), "wiktor")), by=by)) is Code.PAYLOAD_MISMATCH


def test_a_vouched_payload_must_still_begin_as_the_compressor_says(hello: Rpm) -> None:
    def edit(copy: Rpm) -> None:
        copy.payload = b"\xfd7zXZ\0" + copy.payload
        copy.set(5092, STRING_ARRAY, payload_digest(copy))

    package = edited(hello, edit)
    raw = bundle(attest(text_for(package, payload_digest(package)), *PEOPLE))
    assert code(at_hand(package, raw)) is Code.PAYLOAD_MISMATCH


def test_no_rule(hello: Rpm) -> None:
    by = policy(rule(leaf(1), repos=["other"]), rule(leaf(1), name="files", kind="file"))
    assert code(at_hand(hello, signed(hello, *PEOPLE), by=by)) is Code.NO_RULE


@pytest.mark.parametrize("repo", ["@commandline", "@rpm", "evil", ""])
def test_local_files_and_strange_repositories_need_a_rule_that_names_them(hello: Rpm, repo: str) -> None:
    by = policy(rule(leaf(1), repos=["fedora"]))
    assert code(at_hand(hello, signed(hello, *PEOPLE), by=by, plan=planned(repo=repo))) is Code.NO_RULE
