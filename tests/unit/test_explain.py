# SPDX-License-Identifier: GPL-2.0-or-later
"""verify --explain: what was looked at on the way to a verdict, all of it, and nothing that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Tuple

import pytest

from fixtures.rpmedit import Rpm
from fixtures.rpmjudge import judged
from multisig.bundle import Attestation, Bundle, encode
from multisig.evidence import shown_fingerprint
from multisig.explain import explain
from multisig.gate import Gate
from multisig.policy import Policy
from multisig.statement import Kind, Subject, statement_id
from tests.unit.cli_bench import Bench, call, malformed_bundle, tampered_payload, unknown_tag
from tests.unit.core import (
    NEVRA,
    NOW,
    FakeEngine,
    all_of,
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
from tests.unit.gate_bench import at_hand, build_packages, signed

LAB = exemption("lab", repos=["lab"])


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return build_packages(tmp_path_factory.mktemp("built"))["hello"]


def told(package: Rpm, raw: bytes, by: Policy) -> List[str]:
    gate = Gate(by, FakeEngine(), now=NOW, workers=1, thorough=True)
    return [line.strip() for line in explain(at_hand(package, raw, by=by, gate=gate), by, "hello.rpm")]


def test_each_statement_and_signature_is_told_with_what_it_is_worth(hello: Rpm) -> None:
    content = judged(hello).digests
    text, other = statement(Subject(NEVRA, content)), statement(Subject(NEVRA, digests()))
    elsewhere = statement(Subject(NEVRA, content), channel="testing")
    stranger = statement(Subject("x-0:1-1.noarch", content))
    raw = bundle(
        attest(other, "simon"),
        Attestation(text, (signature("eve", text), "junk", signature("marek", text), signature("marek", text))),
        Attestation(text, (signature("joanna", text, over="other"), signature("rafal", text, created=NOW + 999))),
        attest(elsewhere, "joanna"),
        attest(stranger, "joanna"),
        Attestation("{}", ()),
    )
    by = policy(rule(leaf(2), name="ours"), LAB, rule(leaf(1), kind="file", name="images"), signers=[signer("wiktor")])
    lines = told(hello, raw, by)
    assert lines[0] == "hello.rpm:"
    assert lines[1] == f"1. {NEVRA} is an RPM, from fedora"
    assert lines[2] == f"what counts is its content: sha256:{content.sha256}"
    assert lines[4:8] == [
        "2. rules of the policy (serial 1); all that match have to be satisfied",
        '"ours" matches, and asks for: 2 of builders for demo-stable',
        '"lab" does not match: it is for the repositories lab',
        '"images" does not match: it is for kind file',
    ]
    assert lines[8] == "3. evidence: 6 statements with signatures"
    assert [line.partition(", with the key")[0].partition(", 1")[0] for line in lines[9:-3]] == [
        f"statement {statement_id(other)[:16]}, for the channel demo-stable: {NEVRA}",
        "does not count: simon",
        f"statement {statement_id(text)[:16]}, for the channel demo-stable: {NEVRA}",
        "does not count: a key nobody here knows, " + _short("eve"),
        "does not count: a signature: does not begin with an OpenPGP signature, found 'junk'",
        "counts: marek",
        "does not count: the same signature once more",
        f"statement {statement_id(text)[:16]}, for the channel demo-stable: {NEVRA}",
        "does not count: joanna: the signature is not valid",
        "does not count: rafal: a signature dated in the future",
        f"statement {statement_id(elsewhere)[:16]}, for the channel testing: {NEVRA}",
        "not used: a statement for the channel testing",
        f"statement {statement_id(stranger)[:16]}, for the channel demo-stable: x-0:1-1.noarch",
        "not used: a statement that does not name it",
        f"statement {statement_id('{}')[:16]}",
        "not used: a statement: the statement lacks _type, predicate, predicateType, subject",
    ]
    assert lines[10].endswith("a good signature, but over other content")
    assert lines[-3] == "4. the rules that match"
    assert lines[-2].startswith('"ours" is NOT satisfied: 1 of 2 builders signed (marek); needs 1 more of: joanna')
    assert lines[-1].startswith("REFUSED (below-threshold): ")


def _short(name: str) -> str:
    return shown_fingerprint(fingerprint(name))


def test_all_signatures_are_tried_and_the_verdict_is_the_same(hello: Rpm) -> None:
    raw = signed(hello, "marek", "joanna", "rafal", "simon", "wiktor")
    by = policy(rule(leaf(2)))
    usual, thorough = FakeEngine(), FakeEngine()
    plain = at_hand(hello, raw, by=by, engine=usual)
    gate = Gate(by, thorough, now=NOW, workers=1, thorough=True)
    whole = at_hand(hello, raw, by=by, gate=gate)
    assert (len(usual.tried), len(thorough.tried)) == (2, 5)
    assert (plain.verdict.accepted, whole.verdict.accepted) == (True, True)
    assert plain.case is None
    lines = [line.strip() for line in explain(whole, by, "hello.rpm")]
    assert len([line for line in lines if line.startswith("counts: ")]) == 5
    assert lines[-2] == "5. the payload: unpacked, and each file is the one that the header says"
    assert lines[-1].startswith("accepted (ok): ")


def test_what_is_beyond_a_signers_tries_is_tried_and_told_and_does_not_change_the_verdict(hello: Rpm) -> None:
    text = statement(Subject(NEVRA, judged(hello).digests))
    bad = [signature("marek", text, over=str(number)) for number in range(5)]
    raw = bundle(Attestation(text, (*bad, signature("marek", text), signature("joanna", text))))
    by = policy(rule(leaf(2)))
    lines = told(hello, raw, by)
    of_marek = [line for line in lines if "count" in line and ": marek" in line]
    assert of_marek[:5] == ["does not count: marek: the signature is not valid"] * 5
    assert of_marek[5].startswith("does not count: marek, with the key ")
    assert of_marek[5].endswith("a good signature, but behind 4 others of theirs on the statement; no more are tried")
    assert len(of_marek) == 6
    assert lines[-1].startswith("REFUSED (below-threshold): 1 of 2 builders signed (joanna)")
    assert not at_hand(hello, raw, by=by).verdict.accepted


def test_files_and_what_no_rule_matches(hello: Rpm) -> None:
    by = policy(rule(leaf(1), name="ours"))
    with Gate(by, FakeEngine(), now=NOW, workers=1, thorough=True) as gate:
        found = gate.judge_digests(Kind.FILE, "a.iso", digests(), "@commandline", None)
    lines = [line.strip() for line in explain(found, by, "a.iso")]
    assert '"ours" does not match: it is for kind rpm' in lines
    assert "none matches, so it is refused" in lines
    assert not [line for line in lines if line.startswith("3. ")]
    assert lines[-1] == "REFUSED (no-rule): no rule of the policy matches it"


def test_a_nested_requirement_and_an_exemption(hello: Rpm) -> None:
    by = policy(rule(all_of(leaf(1), leaf(1, group="release")), name="both"), exemption())
    lines = told(hello, signed(hello, "marek"), by)
    assert '"both" matches, and asks for: 1 of builders and 1 of release for demo-stable' in lines
    assert '"lab" matches, and asks for: exempt (built here)' in lines
    assert '"lab" is satisfied: exempt: built here' in lines


def test_names_from_a_bundle_cannot_write_on_the_terminal(hello: Rpm) -> None:
    odd = Attestation('{"\\u001b[2J": 1}\x1b[2J', ())
    assert "\x1b" not in "\n".join(told(hello, encode(Bundle((odd,))), policy(rule(leaf(1)))))


HARM: List[Tuple[Callable[[Bench], None], str]] = [
    (malformed_bundle, "evidence: a bundle is one JSON object"),
    (tampered_payload, "REFUSED (payload-mismatch): "),
    (unknown_tag, "REFUSED (malformed-rpm): "),
]


@pytest.mark.parametrize(("harm", "expected"), HARM)
def test_on_the_command_line(bench: Bench, harm: Callable[[Bench], None], expected: str, tmp_path: Path) -> None:
    bench.write("hello.rpm.msig", bench.bundle("marek", "joanna", "rafal"))
    ran = call("verify", "--policy", bench.policy, "--explain", bench.rpm)
    assert (ran.rc, ran.err) == (0, "")
    assert ran.out.count("       counts: ") == 3
    harm(bench)
    ran = call("verify", "--policy", bench.policy, "--explain", bench.rpm, tmp_path / "nothing")
    assert ran.rc == 2
    assert expected in ran.out
    assert ", from @commandline\n  REFUSED (unreadable): cannot be opened" in ran.out
