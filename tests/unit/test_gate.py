# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate: what is collected, tried, decided, with real packages and made-up signatures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Sequence

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import BIN, INT32, STRING, STRING_ARRAY, Rpm
from fixtures.rpmjudge import Edit, Package as File, edited, judged, opened
from fixtures.tamper import FAKE_GREETING, GREETING
from multisig.bundle import MAX_BUNDLE, Attestation, parse
from multisig.errors import EngineError, MultisigError, UncheckedSignatureError
from multisig.gate import Gate, Judged, Package
from multisig.openpgp import Checked, Engine, Outcome, PublicKey, Signature
from multisig.policy import ContentSelector, Policy, Rule
from multisig.statement import Digests, Kind, Subject
from multisig.verdict import Code
from tests.unit.core import (
    CHANNEL,
    NEVRA,
    NOW,
    PEOPLE,
    FakeEngine,
    FakeSource,
    attest,
    bundle,
    digests,
    exemption,
    fingerprint,
    leaf,
    policy,
    rule,
    signature,
    signer,
    statement,
)

POLICY = policy(rule(leaf(3)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    cache = tmp_path_factory.mktemp("built")
    specs = {"hello": "hello.spec", "world": "world.spec"}
    return {name: Rpm.read(build(Recipe(spec), BUILDERS["marek"], cache)[0]) for name, spec in specs.items()}


@pytest.fixture(scope="module")
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"]


def planned(name: str = "hello", repo: str = "fedora", nevra: str = NEVRA, key: int = 1) -> Package:
    return Package(key, nevra, name, repo)


def text_for(package: File, payload: Optional[str] = None, channel: str = CHANNEL) -> str:
    subject = judged(package)
    return statement(Subject(subject.name, subject.digests, payload), channel=channel)


def signed(package: File, *names: str) -> bytes:
    return bundle(attest(text_for(package), *names))


def at_hand(
    package: File,
    raw: Optional[bytes] = None,
    *,
    by: Policy = POLICY,
    plan: Optional[Package] = None,
    engine: Optional[Engine] = None,
    source: Optional[FakeSource] = None,
    gate: Optional[Gate] = None,
) -> Judged:
    plan = plan or planned()
    source = source or FakeSource({} if raw is None else {plan.key: raw})
    gate = gate or Gate(by, engine or FakeEngine(), now=NOW, workers=2)
    with opened(package) as fd:
        return gate.judge_file(fd, "hello.rpm", plan, source)


def code(found: Judged) -> Code:
    assert found.verdict.accepted is (found.verdict.code in (Code.OK, Code.EXEMPT))
    return found.verdict.code


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
    assert "marek's signature is over other content" in found.verdict.ignored


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


# --- packages that break the rules -----------------------------------------------------------------------------------

MALFORMED: Mapping[str, File] = {
    "an empty file": b"",
    "text": b"not a package at all\n" * 99,
    "the lead alone": b"\xed\xab\xee\xdb" + b"\0" * 92,
    "a lead and zeros": b"\xed\xab\xee\xdb" + b"\0" * 9000,
}


@pytest.mark.parametrize("what", sorted(MALFORMED))
def test_what_is_no_package_is_malformed_under_every_rule(what: str) -> None:
    for by in (POLICY, policy(exemption()), policy()):
        assert code(at_hand(MALFORMED[what], by=by, plan=planned(nevra=""))) is Code.MALFORMED_RPM


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6])
def test_a_truncated_package_is_malformed(hello: Rpm, share: float) -> None:
    whole = hello.pack()
    assert code(at_hand(whole[: int(len(whole) * share)], signed(hello, *PEOPLE))) is Code.MALFORMED_RPM


def unknown_tag(copy: Rpm) -> None:
    copy.add(60_000, INT32, 1)


def test_a_malformed_package_is_refused_whoever_signed(hello: Rpm) -> None:
    assert code(at_hand(edited(hello, unknown_tag), signed(hello, *PEOPLE))) is Code.MALFORMED_RPM


def test_weak_digests_are_refused(hello: Rpm) -> None:
    def md5(copy: Rpm) -> None:
        copy.set(1035, STRING_ARRAY, [bytes(value)[:32] for value in copy.values(1035)])  # type: ignore[arg-type]
        copy.remove(5011)

    assert code(at_hand(edited(hello, md5), signed(hello, *PEOPLE))) is Code.WEAK_DIGEST


def test_where_only_exempt_rules_match_a_readable_header_is_enough(hello: Rpm) -> None:
    odd = edited(hello, unknown_tag)
    assert code(at_hand(odd, by=policy(exemption()))) is Code.EXEMPT
    assert code(at_hand(odd, by=policy(exemption()), plan=planned(nevra="hello-0:2-1.noarch"))) is Code.MALFORMED_RPM
    assert code(at_hand(odd, by=policy(exemption(), rule(leaf(1), packages=["hello"])))) is Code.MALFORMED_RPM
    assert code(at_hand(odd, by=policy(exemption(until=1)))) is Code.EXPIRED
    scripts = rule(leaf(1), content=ContentSelector(False, True, (), ()))
    assert code(at_hand(odd, by=policy(exemption(), scripts))) is Code.MALFORMED_RPM


NAME, VERSION, RELEASE, EPOCH, ARCH, SOURCERPM, OBSOLETENAME = 1000, 1001, 1002, 1003, 1022, 1044, 1090
ODD_TYPES: List[Edit] = [
    *(lambda copy, tag=tag: copy.set(tag, INT32, [7]) for tag in (NAME, VERSION, RELEASE, ARCH, OBSOLETENAME)),
    *(lambda copy, tag=tag: copy.set(tag, BIN, b"\0\1\2\3") for tag in (NAME, VERSION, EPOCH, OBSOLETENAME)),
    *(lambda copy, type_=type_: copy.set(EPOCH, type_, "x") for type_ in (STRING, STRING_ARRAY, 9)),
    lambda copy: copy.set(EPOCH, 1, [0]),
    lambda copy: copy.set(EPOCH, 5, [2**63]),
    lambda copy: copy.set(NAME, STRING, b"\xff\xfe"),
    lambda copy: copy.set(NAME, STRING, b""),
]


@pytest.mark.parametrize("number", range(len(ODD_TYPES)))
def test_no_odd_identity_is_more_than_a_refusal_even_where_exempt(hello: Rpm, number: int) -> None:
    found = at_hand(edited(hello, ODD_TYPES[number]), by=policy(exemption()))
    assert not found.verdict.accepted


@pytest.mark.parametrize(("tag", "type_"), [(274, STRING_ARRAY), (275, INT32), (276, STRING_ARRAY), (277, INT32)])
def test_file_signatures_are_refused_unless_a_rule_takes_them(hello: Rpm, tag: int, type_: int) -> None:
    package = edited(hello, lambda copy: copy.signature.add(tag, type_, [7]))
    raw = signed(package, *PEOPLE)
    assert judged(package).digests == judged(hello).digests
    assert code(at_hand(package, raw)) is Code.MALFORMED_RPM
    assert code(at_hand(package, raw, by=policy(rule(leaf(3), file_signatures=True)))) is Code.OK
    assert code(at_hand(package, raw, by=policy(exemption()))) is Code.EXEMPT


def shipping(package: Rpm, directory: str, name: str) -> Rpm:
    """The package with its configuration file at another place, header and payload."""

    def edit(copy: Rpm) -> None:
        place = copy.values(1117).index(b"hello.conf")
        index = int(copy.values(1116)[place])
        copy.patch(1118, index, directory)
        copy.patch(1117, place, name)
        members = [
            member.but(name=f".{directory}{name}".encode()) if member.name.endswith(b"hello.conf") else member
            for member in copy.members
        ]
        copy.set_members(members)
        copy.fix_payload_digest()

    return edited(package, edit)


GUARDED = [
    ("/etc/multisig/", "policy.yaml"), ("/etc/", "multisig"), ("/etc/multisig/keys/", "marek.asc"),
    ("/etc/dnf/plugins/", "multisig.conf"), ("/etc/rpm/", "macros.x"), ("/usr/lib/rpm/", "macros"),
    ("/usr/lib/rpm/macros.d/", "macros.x"), ("/usr/lib/python3/dist-packages/multisig/", "gate.py"),
    ("/usr/lib/python3.11/site-packages/dnf-plugins/", "multisig.py"), ("/usr/bin/", "multisig"),
    ("/usr/lib64/rpm-plugins/", "multisig.so"), ("/lib/rpm/macros.d/", "macros.x"), ("/bin/", "multisig"),
    ("/sbin/", "multisig"), ("/lib64/rpm-plugins/", "multisig.so"), ("/etc/", "rpm"), ("/root/", ".rpmmacros"),
    ("/usr/lib/python3/dist-packages/", "multisig"), ("/root/.config/rpm/", "macros"), ("/usr/lib/rpm/fileattrs/", "evil.attr"),
]  # fmt: skip


@pytest.mark.parametrize(("directory", "name"), GUARDED)
def test_whoever_could_switch_the_checks_off_needs_the_policys_quorum_too(
    hello: Rpm, directory: str, name: str
) -> None:
    package = shipping(hello, directory, name)
    by = policy(rule(leaf(1)), quorum=leaf(2, ("marek", "joanna"), "release"), channel="policies")
    builders = attest(text_for(package), *PEOPLE)
    assert code(at_hand(package, bundle(builders), by=by)) is Code.BELOW_THRESHOLD
    quorum = attest(text_for(package, channel="policies"), "marek", "joanna")
    assert code(at_hand(package, bundle(builders, quorum), by=by)) is Code.OK
    exempt = replace(by, rules=(exemption(),))
    assert code(at_hand(package, by=exempt)) is Code.NO_BUNDLE


def test_other_packages_do_not_need_the_quorum(hello: Rpm) -> None:
    by = policy(rule(leaf(1)), quorum=leaf(2), channel="policies")
    for package in (hello, shipping(hello, "/etc/multisigned/", "x"), shipping(hello, "/opt/etc/multisig/", "x")):
        assert code(at_hand(package, signed(package, "marek"), by=by)) is Code.OK


def test_no_rule(hello: Rpm) -> None:
    by = policy(rule(leaf(1), repos=["other"]), rule(leaf(1), name="files", kind="file"))
    assert code(at_hand(hello, signed(hello, *PEOPLE), by=by)) is Code.NO_RULE


@pytest.mark.parametrize("repo", ["@commandline", "@rpm", "evil", ""])
def test_local_files_and_strange_repositories_need_a_rule_that_names_them(hello: Rpm, repo: str) -> None:
    by = policy(rule(leaf(1), repos=["fedora"]))
    assert code(at_hand(hello, signed(hello, *PEOPLE), by=by, plan=planned(repo=repo))) is Code.NO_RULE


# --- what is tried ---------------------------------------------------------------------------------------------------


def test_no_more_signatures_are_tried_once_the_rules_are_satisfied(hello: Rpm) -> None:
    engine = FakeEngine()
    assert code(at_hand(hello, signed(hello, *PEOPLE), engine=engine)) is Code.OK
    assert sorted(engine.tried) == sorted(map(fingerprint, PEOPLE[:3]))


def test_signatures_by_strangers_are_not_tried(hello: Rpm) -> None:
    engine = FakeEngine()
    assert code(at_hand(hello, signed(hello, "stranger", "another"), engine=engine)) is Code.BELOW_THRESHOLD
    assert engine.tried == []


def test_at_most_four_signatures_of_a_signer_and_statement_are_tried(hello: Rpm) -> None:
    text = text_for(hello)
    flood = [signature("marek", text, created=number, over="other") for number in range(60)]
    engine = FakeEngine()
    at_hand(hello, bundle(*(Attestation(text, tuple(flood)) for _ in range(9))), engine=engine)
    assert len(engine.tried) == 4


def test_a_signature_is_verified_once_for_plan_and_file(hello: Rpm) -> None:
    engine = FakeEngine()
    gate = Gate(POLICY, engine, now=NOW, workers=2)
    source = FakeSource({1: signed(hello, *PEOPLE)})
    (first,) = gate.judge_planned([planned()], source)
    assert code(first) is Code.OK
    assert len(engine.tried) == 3
    assert code(at_hand(hello, gate=gate, source=source)) is Code.OK
    assert len(engine.tried) == 3


def test_a_plan_that_was_accepted_is_no_approval_of_the_file(hello: Rpm) -> None:
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2)
    source = FakeSource({1: signed(hello, *PEOPLE)})
    (first,) = gate.judge_planned([planned()], source)
    assert first.verdict.accepted
    other = edited(hello, lambda copy: copy.set(1020, STRING, "https://example.org/elsewhere"))
    assert code(at_hand(other, gate=gate, source=source)) is Code.CONTENT_MISMATCH


@pytest.mark.parametrize("outcome", set(Outcome) - {Outcome.GOOD})
def test_a_signature_that_is_not_good_does_not_count(hello: Rpm, outcome: Outcome) -> None:
    engine = FakeEngine({"marek": outcome})
    found = at_hand(hello, signed(hello, "marek", "joanna", "rafal"), engine=engine)
    assert code(found) is Code.BELOW_THRESHOLD
    assert any(text.startswith("marek: ") for text in found.verdict.ignored)


class Failing(FakeEngine):
    """An engine that fails on marek's signatures."""

    def __init__(self, error: MultisigError) -> None:
        super().__init__()
        self._error = error

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        if key.user_ids == ("marek",):
            raise self._error
        return super().verify(data, signature, key)


def test_a_signature_that_the_engine_chokes_on_neither_counts_nor_vetoes(hello: Rpm) -> None:
    engine = Failing(UncheckedSignatureError("gpgv took longer than 20 seconds"))
    assert code(at_hand(hello, signed(hello, *PEOPLE), engine=engine)) is Code.OK
    found = at_hand(hello, signed(hello, *PEOPLE[:3]), engine=engine)
    assert code(found) is Code.BELOW_THRESHOLD
    assert "marek: gpgv took longer than 20 seconds" in found.verdict.ignored


def test_without_an_engine_nothing_is_judged(hello: Rpm) -> None:
    with pytest.raises(EngineError):
        at_hand(hello, signed(hello, *PEOPLE), engine=Failing(EngineError("there is no gpgv on this system")))


def test_people_marked_compromised_do_not_count(hello: Rpm) -> None:
    by = policy(rule(leaf(3)), signers=[signer("marek", compromised=True)])
    assert code(at_hand(hello, signed(hello, *PEOPLE[:3]), by=by)) is Code.BELOW_THRESHOLD


# --- where bundles come from -----------------------------------------------------------------------------------------


def test_a_cached_bundle_that_does_not_suffice_is_fetched_afresh_once(hello: Rpm) -> None:
    source = FakeSource({1: signed(hello, "marek")}, {1: signed(hello, "joanna", "rafal")})
    found = at_hand(hello, source=source)
    assert code(found) is Code.OK
    assert set(found.verdict.signers) == {"marek", "joanna", "rafal"}
    assert source.asked == [(False, {1}), (True, {1})]
    assert found.bundle is not None
    assert {item for part in parse(found.bundle).attestations for item in part.signatures} == {
        signature(name, text_for(hello)) for name in PEOPLE[:3]
    }


@pytest.mark.parametrize("cached", [b"", b"[" * 20_000, b"x" * (MAX_BUNDLE + 1)])
def test_a_bad_cached_bundle_is_fetched_afresh(hello: Rpm, cached: bytes) -> None:
    source = FakeSource({1: cached}, {1: signed(hello, *PEOPLE)})
    assert code(at_hand(hello, source=source)) is Code.OK


@pytest.mark.parametrize("fresh", [b"", b"[" * 20_000, bundle()])
def test_a_bad_fresh_bundle_takes_nothing_away_from_the_cached_one(hello: Rpm, fresh: bytes) -> None:
    source = FakeSource({1: signed(hello, "marek", "joanna")}, {1: fresh})
    found = at_hand(hello, source=source)
    assert code(found) is Code.BELOW_THRESHOLD
    assert found.verdict.signers == ("marek", "joanna")


def test_a_bundle_that_suffices_is_not_fetched_again(hello: Rpm) -> None:
    source = FakeSource({1: signed(hello, *PEOPLE)})
    assert code(at_hand(hello, source=source)) is Code.OK
    assert source.asked == [(False, {1})]


def test_a_full_bundle_with_enough_good_signatures_is_accepted_as_it_was_received(hello: Rpm) -> None:
    """One that would be longer than a mebibyte if it were written again."""
    good = parse(signed(hello, *PEOPLE))
    value = {
        "multisig": "bundle/v1",
        "attestations": [{"statement": item.statement, "signatures": item.signatures} for item in good.attestations],
    }
    frame = json.dumps(value, ensure_ascii=False)
    junk = json.dumps({"statement": "ü" * ((MAX_BUNDLE - len(frame) - 60) // 2), "signatures": []}, ensure_ascii=False)
    raw = (frame[:-2] + "," + junk + "]}").encode()
    assert MAX_BUNDLE - 100 < len(raw) <= MAX_BUNDLE
    found = at_hand(hello, raw)
    assert code(found) is Code.OK
    assert found.bundle == raw


def test_nothing_is_fetched_for_what_is_exempt_or_has_no_rule(hello: Rpm) -> None:
    for by in (policy(exemption()), policy(rule(leaf(1), repos=["other"]))):
        source = FakeSource({1: signed(hello, *PEOPLE)})
        at_hand(hello, by=by, source=source)
        assert source.asked == []


# --- planned packages ------------------------------------------------------------------------------------------------


def judge_plan(
    packages: Sequence[Package],
    source: FakeSource,
    *,
    by: Policy = POLICY,
    engine: Optional[FakeEngine] = None,
) -> List[Judged]:
    return Gate(by, engine or FakeEngine(), now=NOW, workers=2).judge_planned(packages, source)


def named(*names: str, nevra: str = NEVRA, content: str = "content") -> bytes:
    return bundle(attest(statement(Subject(nevra, digests(content))), *names))


def test_a_plan_is_judged_by_name_before_anything_is_downloaded() -> None:
    packages = [planned(nevra=f"hello-0:{number}-1.noarch", key=number) for number in range(4)]
    source = FakeSource(
        {
            0: named(*PEOPLE[:3], nevra=packages[0].nevra),
            1: named(*PEOPLE[:2], nevra=packages[1].nevra),
            2: named(*PEOPLE, nevra="hello-0:9-9.noarch"),
        }
    )
    found = judge_plan(packages, source)
    assert [code(item) for item in found] == [
        Code.OK, Code.BELOW_THRESHOLD, Code.BELOW_THRESHOLD, Code.NO_BUNDLE,
    ]  # fmt: skip
    assert [item.verdict.name for item in found] == [package.nevra for package in packages]
    assert source.asked == [(False, {0, 1, 2, 3}), (True, {1, 2, 3})]


def test_signatures_over_two_contents_of_a_name_are_never_added_up() -> None:
    texts = [statement(Subject(NEVRA, digests(content))) for content in ("a", "b")]
    raw = bundle(attest(texts[0], *PEOPLE[:2]), attest(texts[1], *PEOPLE[2:4]))
    (found,) = judge_plan([planned()], FakeSource({1: raw}))
    assert code(found) is Code.BELOW_THRESHOLD


def test_one_approved_content_of_several_lets_the_download_begin() -> None:
    texts = [statement(Subject(NEVRA, digests(content))) for content in "abc"]
    raw = bundle(attest(texts[0], "marek"), attest(texts[1], "joanna"), attest(texts[2], *PEOPLE[:3]))
    (found,) = judge_plan([planned()], FakeSource({1: raw}))
    assert code(found) is Code.OK


def test_mixed_digests_are_a_content_of_their_own() -> None:
    texts = [
        statement(Subject(NEVRA, digests("a"))),
        statement(Subject(NEVRA, Digests(digests("a").sha256, digests("b").sha512))),
        statement(Subject(NEVRA, Digests(digests("b").sha256, digests("a").sha512))),
    ]
    raw = bundle(*(attest(text, name) for text, name in zip(texts, PEOPLE)))
    (found,) = judge_plan([planned()], FakeSource({1: raw}))
    assert code(found) is Code.BELOW_THRESHOLD


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], Code.NO_RULE),
        ([rule(leaf(1), repos=["other"])], Code.NO_RULE),
        ([exemption()], Code.EXEMPT),
        ([exemption(until=1)], Code.EXPIRED),
        ([exemption(until=1), rule(leaf(1))], Code.NO_BUNDLE),
        ([rule(leaf(1), packages=["hell?"])], Code.NO_BUNDLE),
        ([rule(leaf(1), content=ContentSelector(True, False, (), ()))], Code.OK),
    ],
)
def test_plans_without_a_bundle(rules: List[Rule], expected: Code) -> None:
    (found,) = judge_plan([planned()], FakeSource({}), by=policy(*rules))
    assert code(found) is expected


def test_the_planned_names_that_a_package_obsoletes_choose_rules_too() -> None:
    by = policy(exemption(repos=["lab"]), rule(leaf(3), packages=["hello"]))
    package = replace(planned("world", "lab", "world-0:1.0-1.noarch"), obsoletes=("hello",))
    (found,) = judge_plan([package], FakeSource({}), by=by)
    assert code(found) is Code.NO_BUNDLE


def test_every_member_of_a_transaction_is_judged() -> None:
    packages = [planned(nevra=f"p{number:02d}-0:1-1.noarch", key=number) for number in range(20)]
    source = FakeSource({item.key: named(*PEOPLE[:3], nevra=item.nevra) for item in packages[:-1]})
    found = judge_plan(packages, source)
    assert [item.verdict.accepted for item in found] == [True] * 19 + [False]


def test_nothing_planned_is_nothing_judged() -> None:
    assert judge_plan([], FakeSource({})) == []


# --- files and trees -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.TREE])
def test_files_and_trees_are_judged_by_their_own_rules(kind: Kind) -> None:
    gate = Gate(policy(rule(leaf(2), kind=kind.word)), FakeEngine(), now=NOW, workers=1)
    text = statement(Subject("image.iso", digests()), kind=kind)

    def judged_with(raw: Optional[bytes], content: str = "content", of: Kind = kind) -> Code:
        return code(gate.judge_digests(of, "image.iso", digests(content), "@commandline", raw))

    assert judged_with(bundle(attest(text, "marek", "joanna"))) is Code.OK
    assert judged_with(bundle(attest(text, "marek"))) is Code.BELOW_THRESHOLD
    assert judged_with(bundle(attest(text, "marek", "joanna")), "other") is Code.CONTENT_MISMATCH
    assert judged_with(None) is Code.NO_BUNDLE
    assert judged_with(b"nonsense") is Code.MALFORMED_BUNDLE
    other = Kind.TREE if kind is Kind.FILE else Kind.FILE
    assert judged_with(bundle(attest(text, "marek", "joanna")), of=other) is Code.NO_RULE


def test_the_policy_can_be_asked_for() -> None:
    assert Gate(POLICY, FakeEngine(), now=NOW, workers=0).policy is POLICY
