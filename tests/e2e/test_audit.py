# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig audit: what came in around the plugin, and what would no longer be accepted."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Sequence

import pytest

from fixtures.installroot import AS_ROOT, Installroot
from fixtures.policy import rule, write_policy
from fixtures.running import PYTHON, Argument, Result, run
from fixtures.vendor import make_vendor
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode, parse
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-0:1.0-1.noarch"
ALL = (*THREE, "simon")


def audit(system: Installroot, policy: Path, *words: Argument) -> Result:
    where: Sequence[Argument] = ["--root", system.root, "--policy", policy, "--journal", system.journal]
    command: list[Argument] = [*AS_ROOT, PYTHON, "-m", "multisig", "audit", *where, *words]
    # Debian's rpm has its database below HOME, as this system's dnf had.
    return run(command, env=system.environment, check=False)


def answer(system: Installroot, policy: Path, *words: Argument) -> "dict[str, Any]":
    result = audit(system, policy, "--json", *words)
    found: "dict[str, Any]" = json.loads(result.out)
    assert list(found) == ["accepted", "error", "subjects"]
    assert found["accepted"] is (result.rc == 0) and (found["error"] is not None) is (result.rc == 2)
    return found


@pytest.fixture
def system(stage: Stage) -> Installroot:
    """Two packages that came in by dnf: hello by four people's word, greet by three."""
    system = stage.system(stage.publish({"hello-1.0-1": ALL, "greet-1.0-1": THREE}))
    assert system.dnf("install", "greet").rc == 0
    return system


def test_what_came_in_by_the_policy_is_approved(stage: Stage, system: Installroot) -> None:
    result = audit(system, stage.policy)
    assert result.rc == 0 and "2 of 2 installed packages are approved" in result.out, result.text
    found = answer(system, stage.policy)
    assert [subject["name"] for subject in found["subjects"]] == ["greet-0:1.0-1.noarch", HELLO]
    assert found["subjects"][1]["code"] == "ok" and len(found["subjects"][1]["signers"]) >= 3


def test_what_came_in_around_the_plugin_is_found(stage: Stage, system: Installroot) -> None:
    system.put(stage.shop.rpm("team-01-1.0-1"))
    result = audit(system, stage.policy)
    assert result.rc == 1 and "2 of 3 installed packages are approved" in result.out, result.text
    assert "around it\n  team-01-0:1.0-1.noarch" in result.out
    (bad,) = [subject for subject in answer(system, stage.policy)["subjects"] if not subject["accepted"]]
    assert bad["name"] == "team-01-0:1.0-1.noarch" and bad["code"] == "no-bundle"


def test_what_a_mirror_padded_is_audited_as_if_it_had_not(stage: Stage) -> None:
    """The journal keeps the words that decided, those of who was not needed, and not a megabyte of junk."""
    own = parse(stage.shop.bundle("hello-1.0-1", ALL).read_bytes())
    text, signature = own.attestations[0].statement, own.attestations[0].signatures[0]
    junk = tuple(Attestation(f"{text}{' ' * 15_000}{number}", (signature,)) for number in range(55))
    padded = encode(Bundle((*junk, *own.attestations)))
    assert len(padded) > MAX_BUNDLE * 4 // 5
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), padded))
    assert system.dnf("install", "hello").rc == 0
    assert system.journal.stat().st_size < 200_000
    for name in ALL:
        assert audit(system, stage.policy, "--without", name).rc == 0
    assert audit(system, stage.policy, "--without", "marek", "--without", "joanna").rc == 1


def test_other_content_under_a_name_that_was_approved_is_found(stage: Stage, system: Installroot) -> None:
    tampered = stage.shop.with_tampered_script()
    run([*AS_ROOT, "rpm", "--root", system.root, "-U", "--force", "--nodeps", tampered], env=system.environment)
    result = audit(system, stage.policy)
    assert result.rc == 1 and HELLO in result.out and "not in the journal" in result.out, result.text


def test_without_a_signer_or_a_key(stage: Stage, system: Installroot) -> None:
    for name in ("marek", stage.shop.people["marek"].fingerprint, stage.shop.people["marek"].fingerprint.lower()):
        found = answer(system, stage.policy, "--without", name)
        # hello has a fourth signature; greet has no other.
        assert {subject["name"]: subject["accepted"] for subject in found["subjects"]} == {
            HELLO: True,
            "greet-0:1.0-1.noarch": False,
        }
        assert found["subjects"][0]["code"] == "below-threshold"
    found = answer(system, stage.policy, "--without", "marek", "--without", "joanna")
    assert [subject["accepted"] for subject in found["subjects"]] == [False, False]
    told = audit(system, stage.policy, "--without", "marek").out
    assert "needs 1 more of" in told
    assert "left out of this audit" in told and "compromised" not in told


def test_without_nobody_that_the_policy_knows(stage: Stage, system: Installroot) -> None:
    for name in ("marke", "0" * 40, ""):
        result = audit(system, stage.policy, "--without", name)
        assert result.rc == 2 and "neither signer nor key" in result.err, result.text


def test_under_a_policy_that_has_become_stricter(stage: Stage, system: Installroot) -> None:
    stricter = write_policy(stage.folder / "stricter", stage.shop.people, [rule("4 of builders")])
    found = answer(system, stricter)
    assert [subject["accepted"] for subject in found["subjects"]] == [False, True]
    other = write_policy(stage.folder / "other", stage.shop.people, [rule(channel="other-stable")])
    assert not any(subject["accepted"] for subject in answer(system, other)["subjects"])


def test_a_rule_by_repository_goes_by_where_it_came_from(stage: Stage, system: Installroot) -> None:
    here = write_policy(stage.folder / "here", stage.shop.people, [rule(repos=["demo"], packages=())])
    assert audit(system, here).rc == 0
    elsewhere = write_policy(stage.folder / "elsewhere", stage.shop.people, [rule(repos=["other"], packages=())])
    assert {subject["code"] for subject in answer(system, elsewhere)["subjects"]} == {"no-rule"}


def test_what_warn_mode_let_in(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}), mode="warn")
    assert system.dnf("install", "hello").rc == 0
    result = audit(system, stage.policy)
    assert result.rc == 1 and "rafal" in result.out, result.text


def test_exempt_packages(stage: Stage) -> None:
    exempt = "  - {name: lab, packages: ['*'], exempt: built here, until: never}\n"
    policy = write_policy(stage.folder / "lab", stage.shop.people, [exempt])
    system = stage.system(stage.publish({"hello-1.0-1": None}), policy=policy)
    assert system.dnf("install", "hello").rc == 0
    (found,) = answer(system, policy)["subjects"]
    assert found["accepted"] and found["code"] == "exempt"
    assert audit(system, stage.policy).rc == 1


@pytest.mark.parametrize("what", ["journal", "policy", "root", "packages"])
def test_what_cannot_be_judged_is_never_taken_for_accepted(stage: Stage, system: Installroot, what: str) -> None:
    policy = stage.policy
    if what == "journal":
        system.journal.unlink()
    elif what == "policy":
        policy = stage.folder / "nowhere.yaml"
    elif what == "root":
        system.root.rename(system.folder / "elsewhere")
    else:
        assert system.dnf("remove", "hello", "greet").rc == 0
    found = answer(system, policy)
    assert found["error"]["message"] and audit(system, policy).rc == 2


def test_evidence_that_came_with_an_index(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}, index=True)
    system = stage.system(repo)
    assert system.dnf("install", "greet").rc == 0
    assert stage.server.count("*.rpm.msig") == 0
    assert audit(system, stage.policy).rc == 0
    assert audit(system, stage.policy, "--without", "joanna").rc == 1


def test_a_vendor_s_signature_is_taken_from_rpm_s_database(stage: Stage) -> None:
    home = Path(tempfile.mkdtemp(prefix="msv-", dir="/tmp"))
    vendor = make_vendor(home, "Fedora (43) <fedora@example.org>")
    try:
        vendor.export(stage.folder / "rules" / "keys" / "fedora.asc")
        key = f'{{fingerprint: "{vendor.fingerprint}", file: keys/fedora.asc}}'
        rules = [f"  - {{name: fedora, packages: ['*'], signed-by: [{key}]}}\n"]
        policy = write_policy(stage.folder / "rules", stage.shop.people, rules)
        signed = vendor.signed(stage.shop.rpm("hello-1.0-1"), stage.folder / "signed")
        system = stage.system(stage.publish_file(signed, None), policy=policy)
        assert system.dnf("install", "hello").rc == 0
        assert audit(system, policy).rc == 0, audit(system, policy).text
        assert audit(system, policy, "--without", vendor.fingerprint).rc == 1
    finally:
        vendor.close()
        shutil.rmtree(home, ignore_errors=True)
