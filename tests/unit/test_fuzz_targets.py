# SPDX-License-Identifier: GPL-2.0-or-later
"""The fuzzer's targets, without the fuzzer: they run, pass what is fine or refused, and would notice what is not."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from fixtures.fuzz import policy_target, rpm_target
from fixtures.fuzz.__main__ import TARGETS
from fixtures.fuzz.rpm_mutator import mutator
from fixtures.fuzz.seeds import write_seeds
from fixtures.vectors.base import base
from multisig import bundle, index, openpgp
from multisig.errors import MalformedRpmError, MultisigError
from multisig.subjects import manifest

Check = Callable[[bytes], None]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dict[str, List[bytes]]]:
    folder = tmp_path_factory.mktemp("fuzz")
    write_seeds(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_target, "KEYS", folder / "keys")
        policy_target._key.cache_clear()
        yield {name: [path.read_bytes() for path in sorted((folder / "seeds" / name).iterdir())] for name in TARGETS}


def _check(target: str) -> Check:
    check: Check = importlib.import_module(f"fixtures.fuzz.{target}_target").check
    return check


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_passes_whole_cut_off_and_with_flipped_bytes(target: str, seeds: Dict[str, List[bytes]]) -> None:
    check, chance = _check(target), random.Random(target)
    assert seeds[target]
    for seed in seeds[target][:60]:
        assert len(seed) <= TARGETS[target]
        check(seed)
        check(seed[: chance.randrange(len(seed) + 1)])
        at = chance.randrange(len(seed) or 1)
        check(seed[:at] + bytes([chance.randrange(256)]) + seed[at + 1 :])


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_are_not_all_refused(target: str, seeds: Dict[str, List[bytes]]) -> None:
    fine = 0
    for seed in seeds[target]:
        try:
            _understood(target, seed)
        except MultisigError:
            continue
        fine += 1
    assert fine >= 2


def _understood(target: str, seed: bytes) -> None:
    if target == "rpm":
        from fixtures.rpmjudge import proven

        proven(seed)
    elif target == "bundle":
        bundle.parse(seed)
    elif target == "openpgp":
        openpgp.parse_public_key(seed, path="x") if b"PUBLIC" in seed else openpgp.parse_signature(seed)
    elif target == "index":
        assert list(index.attestations([seed], pytest.fail))
    elif target == "metadata":
        from multisig.metadata import listed_packages, parse_repomd

        assert list(listed_packages([seed])) if b"<package" in seed else parse_repomd(seed)
    else:
        from multisig.policy import parse_policy

        parse_policy(seed, path="x", read_file=policy_target._read_file)


def test_an_exception_that_is_no_refusal_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(rpm_target, "prove_payload", fail)
    with pytest.raises(KeyError):
        rpm_target.check(base().pack())


def test_a_manifest_that_loses_a_byte_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_the_last(text: bytes) -> object:
        return manifest.split_records(text)[:-1]

    monkeypatch.setattr(rpm_target, "split_records", without_the_last)
    with pytest.raises(ValueError):
        rpm_target.check(base().pack())


def test_an_error_of_the_disk_is_a_finding_where_there_is_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise MultisigError("planted")

    monkeypatch.setattr(rpm_target, "read_rpm", fail)
    with pytest.raises(MultisigError) as caught:
        rpm_target.check(base().pack())
    assert not isinstance(caught.value, MalformedRpmError)


def test_the_mutator_gives_packages_that_get_past_the_frame_and_never_fails() -> None:
    chance = random.Random(1)

    def mutate(data: bytes, size: int) -> bytes:
        at = chance.randrange(len(data) + 1)
        return (data[:at] + bytes([chance.randrange(256)]) + data[at + chance.randrange(2) :])[:size]

    change, seed = mutator(mutate), base().pack()
    outcomes = set()
    for number in range(300):
        changed = change(seed, 1 << 16, number)
        assert len(changed) <= 1 << 16
        rpm_target.check(changed)
        outcomes.add(_outcome(changed))
    assert {"accepted", "malformed-rpm", "payload-mismatch"} <= outcomes
    for text in (b"", b"x", seed[:200], seed[:-200]):
        for number in range(20):
            change(text, 1 << 16, number)


def _outcome(blob: bytes) -> str:
    from fixtures.vectors.indexing import judge

    return judge(blob).klass


def test_the_fuzzer_is_pinned_and_its_findings_are_not_in_the_repository() -> None:
    root = Path(__file__).resolve().parents[2]
    pinned = (root / "tests" / "requirements-fuzz.txt").read_text(encoding="ascii").split()
    assert all("==" in line for line in pinned) and pinned[0].startswith("atheris==")
    assert "/build/" in (root / ".gitignore").read_text(encoding="ascii").split()
