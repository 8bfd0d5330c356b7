# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence from an index: it adds to what lies beside a package, and is parsed and verified once for all packages."""

from __future__ import annotations

import json
import time
from typing import Dict, List

import pytest

from fixtures.rpmedit import Rpm
from multisig import bundle as bundles
from multisig.bundle import Attestation, Bundle
from multisig.gate import Gate, Judged, Package
from multisig.held import Find, Held, extend, join
from multisig.openpgp import Checked, Outcome, PublicKey, Signature
from multisig.statement import Subject
from multisig.verdict import Code
from tests.unit.core import EARLIER, NOW, PEOPLE, FakeEngine, FakeSource, attest, digests, statement
from tests.unit.gate_bench import POLICY, at_hand, build_packages, code, planned, signed, text_for


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return build_packages(tmp_path_factory.mktemp("built"))["hello"]


def plan(packages: List[Package], source: FakeSource, engine: FakeEngine) -> List[Judged]:
    with Gate(POLICY, engine, now=NOW, workers=2) as gate:
        return gate.judge_planned(packages, source)


def batch(count: int, *names: str) -> "tuple[List[Package], Attestation]":
    """So many packages, and one statement about all of them."""
    nevras = [f"p{number:04d}-0:1-1.noarch" for number in range(count)]
    text = statement(*(Subject(nevra, digests(nevra)) for nevra in nevras))
    return [planned(nevra[:5], nevra=nevra, key=key) for key, nevra in enumerate(nevras)], attest(text, *names)


def test_what_the_index_suffices_for_is_not_looked_for_beside_the_package(hello: Rpm) -> None:
    source = FakeSource({1: b"junk"}, elsewhere={1: (attest(text_for(hello), *PEOPLE[:3]),)})
    found = at_hand(hello, source=source)
    assert code(found) is Code.OK
    assert source.asked == []
    assert (found.bundle, len(found.attestations)) == (None, 1)


def test_the_index_and_the_bundle_beside_the_package_add_up(hello: Rpm) -> None:
    source = FakeSource(
        {1: signed(hello, "joanna")}, {1: signed(hello, "rafal")}, {1: (attest(text_for(hello), "marek"),)}
    )
    found = at_hand(hello, source=source)
    assert code(found) is Code.OK
    assert set(found.verdict.signers) == {"marek", "joanna", "rafal"}


@pytest.mark.parametrize("raw", [b"", b"[" * 20_000, b"\xff"], ids=["nothing", "brackets", "no UTF-8"])
def test_a_malformed_bundle_takes_nothing_from_the_index_nor_the_other_way_round(hello: Rpm, raw: bytes) -> None:
    two = attest(text_for(hello), *PEOPLE[:2])
    assert code(at_hand(hello, source=FakeSource({1: raw}, elsewhere={1: (two,)}))) is Code.BELOW_THRESHOLD
    nonsense = (Attestation("", ("x",)), Attestation("[" * 9000, ()), attest(statement(), "stranger"))
    assert code(at_hand(hello, source=FakeSource({1: signed(hello, *PEOPLE)}, elsewhere={1: nonsense}))) is Code.OK


def test_an_index_about_other_content_approves_nothing(hello: Rpm) -> None:
    other = attest(statement(Subject("hello-0:1.0-1.noarch", digests("other"))), *PEOPLE)
    assert code(at_hand(hello, source=FakeSource({}, elsewhere={1: (other,)}))) is Code.CONTENT_MISMATCH


def test_one_persons_word_counts_once_wherever_it_stands(hello: Rpm) -> None:
    one = attest(text_for(hello), "marek")
    source = FakeSource({1: signed(hello, "marek")}, elsewhere={1: (one, attest(text_for(hello), "marek", created=1))})
    found = at_hand(hello, source=source)
    assert code(found) is Code.BELOW_THRESHOLD
    assert found.verdict.signers == ("marek",)


def junk(hello: Rpm, *names: str) -> Attestation:
    """Twenty bad signatures of each, over the very statement that they did sign."""
    text = text_for(hello)
    numbers = range(1, 1 + 60 // len(names))
    return Attestation(text, tuple(attest(text, name, created=at).signatures[0] for name in names for at in numbers))


def test_the_same_statement_twice_in_one_place_gets_its_four_tries_once(hello: Rpm) -> None:
    many = junk(hello, "marek")
    engine = FakeEngine({"marek": Outcome.BAD})
    at_hand(hello, source=FakeSource({1: signed(hello, "marek")}, elsewhere={1: (many, many)}), engine=engine)
    assert len(engine.tried) == 4 + 1


class Dated(FakeEngine):
    """Finds those signatures good that are dated as people's are here, and not as junk is."""

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        checked = super().verify(data, signature, key)
        return checked if signature.created >= EARLIER else Checked(Outcome.BAD, "made up")


def test_bad_signatures_in_an_index_take_no_ones_vote_away(hello: Rpm) -> None:
    """Who may put an index anywhere could else keep a package out that enough people have signed."""
    people = PEOPLE[:3]
    source = FakeSource({1: signed(hello, *people)}, elsewhere={1: (junk(hello, *people),)})
    found = at_hand(hello, source=source, engine=Dated())
    assert (code(found), set(found.verdict.signers)) == (Code.OK, set(people))
    with Gate(POLICY, Dated(), now=NOW, workers=2) as gate:
        source = FakeSource({1: signed(hello, *people)}, elsewhere={1: (junk(hello, *people),)})
        assert gate.judge_planned([planned("hello")], source)[0].verdict.accepted


def test_bad_signatures_in_a_cached_bundle_take_no_ones_vote_away(hello: Rpm) -> None:
    people = PEOPLE[:3]
    cached = bundles.encode(Bundle((junk(hello, *people),)))
    found = at_hand(hello, source=FakeSource({1: cached}, {1: signed(hello, *people)}), engine=Dated())
    assert (code(found), set(found.verdict.signers)) == (Code.OK, set(people))


def test_a_place_that_sends_a_persons_signature_after_bad_ones_does_not_hide_it_elsewhere(hello: Rpm) -> None:
    people = PEOPLE[:3]
    bad, good = junk(hello, *people), bundles.parse(signed(hello, *people)).attestations[0]
    mixed = Attestation(bad.statement, bad.signatures + good.signatures)
    found = at_hand(hello, source=FakeSource({1: signed(hello, *people)}, elsewhere={1: (mixed,)}), engine=Dated())
    assert code(found) is Code.OK


def test_made_up_contents_of_a_name_neither_take_for_ever_nor_hide_the_true_one(hello: Rpm) -> None:
    """As many as an index and a bundle may hold: each had all signatures of all others read once more."""
    name = "hello-0:1.0-1.noarch"

    def made_up(kind: str, names: List[str]) -> List[Attestation]:
        texts = [statement(Subject(name, digests(f"{kind} {number}"))) for number in range(63)]
        dated = [(who, at) for who in names for at in range(1, 32)]
        return [
            Attestation(text, tuple(attest(text, who, created=at).signatures[0] for who, at in dated)) for text in texts
        ]

    index = tuple(made_up("index", ["joanna", "marek"]))
    beside = [*made_up("beside", ["joanna", "rafal"])[:61], attest(text_for(hello), *PEOPLE[:3])]
    items = [{"statement": item.statement, "signatures": item.signatures} for item in beside]
    raw = json.dumps({"multisig": "bundle/v1", "attestations": items}).encode()
    source = FakeSource({1: raw}, elsewhere={1: index})
    started = time.process_time()
    with Gate(POLICY, Dated(), now=NOW, workers=2) as gate:
        verdict = gate.judge_planned([planned("hello")], source)[0].verdict
    assert verdict.accepted
    assert time.process_time() - started < 6


def test_each_mirror_and_each_place_has_its_own_tries(hello: Rpm) -> None:
    people = PEOPLE[:3]
    bad, good = junk(hello, *people), attest(text_for(hello), *people)
    both = join(join(Find(), Find(attestations=(bad,))), Find(attestations=(good,)))
    held = extend(extend(Held(), Find(attestations=(bad,))), both)
    assert held.shared == (bad, good)
    assert set(held.starts) == {0, 1}


def test_a_batch_is_verified_once_for_all_its_packages() -> None:
    packages, item = batch(500, *PEOPLE)
    engine = FakeEngine()
    judged = plan(packages, FakeSource({}, elsewhere={package.key: (item,) for package in packages}), engine)
    assert all(found.verdict.accepted for found in judged)
    assert len(engine.tried) == 3


class Counting(FakeEngine):
    """Keeps what it was given, to see that it is the same bytes each time."""

    def __init__(self) -> None:
        super().__init__()
        self.data: Dict[int, bytes] = {}

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        self.data[id(data)] = data
        return super().verify(data, signature, key)


def test_a_batch_is_in_memory_once() -> None:
    packages, item = batch(50, *PEOPLE)
    engine = Counting()
    plan(packages, FakeSource({}, elsewhere={package.key: (item,) for package in packages}), engine)
    assert len(engine.data) == 1


def test_packages_that_the_index_leaves_out_are_looked_for_beside_them() -> None:
    packages, item = batch(4, *PEOPLE)
    source = FakeSource({}, elsewhere={package.key: (item,) for package in packages[1:]})
    judged = plan(packages, source, FakeEngine())
    assert [found.verdict.accepted for found in judged] == [False, True, True, True]
    assert source.asked == [(False, {0}), (True, {0})]
