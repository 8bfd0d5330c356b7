# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as people and programs use it: exit codes, JSON, and signatures that gpg itself confirms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Sequence

import pytest

from fixtures.policy import CHANNEL
from fixtures.running import CHECKOUT, PYTHON, Argument, multisig, run
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-0:1.0-1.noarch"


def published(stage: Stage, signers: Sequence[str]) -> Path:
    return stage.repository().add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", signers))


@pytest.mark.parametrize(("signers", "code"), [(THREE, 0), (TWO, 1)], ids=["three-signed", "two-signed"])
def test_verify_says_what_dnf_would(stage: Stage, signers: Sequence[str], code: int) -> None:
    result = multisig("verify", "--policy", stage.policy, "--json", published(stage, signers), check=False)
    answer = json.loads(result.out)
    assert result.rc == code and answer["accepted"] is (code == 0) and answer["error"] is None
    [subject] = answer["subjects"]
    assert subject["name"] == HELLO and subject["code"] == ("ok" if code == 0 else "below-threshold")
    assert sorted(subject["signers"]) == sorted(signers)


@pytest.mark.parametrize("missing", ["policy", "file"])
def test_what_cannot_be_judged_is_not_accepted(stage: Stage, missing: str) -> None:
    policy = stage.folder / "none.yaml" if missing == "policy" else stage.policy
    file = published(stage, THREE) if missing == "policy" else stage.folder / "none.rpm"
    result = multisig("verify", "--policy", policy, "--json", file, check=False)
    answer = json.loads(result.out)
    assert result.rc == 2 and answer["accepted"] is False and answer["error"]["message"]
    assert "none." in answer["error"]["message"] and "Traceback" not in result.err


@pytest.mark.parametrize("tampered", ["payload", "script", "content"])
def test_verify_refuses_what_was_tampered_with(stage: Stage, tampered: str) -> None:
    rpm = getattr(stage.shop, f"with_tampered_{tampered}")()
    file = stage.repository().add(rpm, stage.shop.bundle("hello-1.0-1", THREE))
    result = multisig("verify", "--policy", stage.policy, "--json", file, check=False)
    [subject] = json.loads(result.out)["subjects"]
    assert result.rc == 1
    assert subject["code"] == ("payload-mismatch" if tampered == "payload" else "content-mismatch")


def test_gpg_confirms_a_signature_by_hand(stage: Stage) -> None:
    bundle = json.loads(stage.shop.bundle("hello-1.0-1", THREE).read_bytes())
    people = stage.shop.people
    confirmed = set()
    for attestation in bundle["attestations"]:
        statement = stage.folder / "statement"
        statement.write_bytes(attestation["statement"].encode())
        for signature in attestation["signatures"]:
            file = stage.folder / "signature.asc"
            file.write_text(signature, encoding="ascii")
            for name in THREE:
                if f"VALIDSIG {people[name].fingerprint}" in _status(stage, name, file, statement):
                    confirmed.add(name)
    assert confirmed == set(THREE)


def _status(stage: Stage, name: str, signature: Path, statement: Path) -> str:
    try:
        return stage.shop.people[name].gpg("--status-fd", "1", "--verify", signature, statement).out
    except Exception as error:  # another person's signature: this gpg does not know the key
        return str(error) if "NO_PUBKEY" in str(error) else ""


def test_signing_does_not_take_a_package_whose_payload_is_not_the_signed_one(stage: Stage) -> None:
    rpm = stage.repository().add(stage.shop.with_tampered_payload())
    marek = stage.shop.people["marek"]
    key = ["--key", marek.fingerprint, "--gnupghome", str(marek.home)]
    result = multisig("sign", *key, "--channel", CHANNEL, rpm, check=False)
    assert result.rc != 0 and not rpm.with_name(rpm.name + ".msig").exists()
    assert "Traceback" not in result.text


def test_signing_adds_to_the_bundle_that_is_there(stage: Stage) -> None:
    rpm = stage.repository().add(stage.shop.rpm("hello-1.0-1"))
    for name in THREE:
        person = stage.shop.people[name]
        multisig("sign", "--key", person.fingerprint, "--gnupghome", person.home, "--channel", CHANNEL, rpm)
    assert multisig("verify", "--policy", stage.policy, rpm).rc == 0


def test_merging_is_a_union_in_any_order(stage: Stage) -> None:
    parts = [stage.shop.bundle("hello-1.0-1", [name]) for name in THREE]
    merged = []
    for number, order in enumerate([parts, parts[::-1], [*parts, parts[0]]]):
        out = stage.folder / f"{number}.msig"
        multisig("merge", "-o", out, *order)
        merged.append(out.read_bytes())
    assert len(set(merged)) == 1


def test_the_policy_of_the_fixtures_is_sound(stage: Stage) -> None:
    assert multisig("policy", "check", "--policy", stage.policy).rc == 0


def test_a_disk_without_room_loses_nothing(stage: Stage) -> None:
    """Files may grow to 1,000 bytes here and no further: where a full disk fails, so does this."""
    rpm = published(stage, TWO)
    bundle = rpm.with_name(rpm.name + ".msig")
    before = bundle.read_bytes()
    assert len(before) > 1000
    words: list[Argument] = ["prlimit", "--fsize=1000", PYTHON, "-B", "-m", "multisig", "merge", "-o", bundle]
    more = stage.shop.bundle("hello-1.0-1", THREE)
    result = run([*words, more], env={"PYTHONPATH": str(CHECKOUT)}, check=False)
    assert result.rc == 2 and bundle.name in result.err and "Traceback" not in result.err, result.text
    assert bundle.read_bytes() == before
    assert sorted(rpm.parent.iterdir()) == [rpm, bundle]  # and leaves nothing behind
