# SPDX-License-Identifier: GPL-2.0-or-later
"""``dnf multisig``, through real dnf."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import THREE, TWO, Stage


def test_status_says_who_signed_and_who_could_still(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "world-1.0-1": TWO}))
    good = system.dnf("multisig", "status", "hello")
    assert good.rc == 0, good.text
    assert "hello-0:1.0-1.noarch: 3 of 3 builders signed (marek, joanna, rafal)" in good.out
    both = system.dnf("multisig", "status", "hello", "world")
    assert both.rc == 1, both.text
    assert "needs 1 more of: rafal, simon, wiktor" in both.out
    assert "multisig: 1 of 2 could be installed" in both.out
    assert system.installed() == set()


def test_status_without_names_is_about_what_could_be_upgraded(stage: Stage) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"hello-2.0-1": TWO})])
    result = system.dnf("multisig", "status")
    assert result.rc == 1, result.text
    assert "hello-0:2.0-1.noarch" in result.out and "rafal" in result.out


def test_status_of_an_unknown_package_is_an_error_and_no_approval(stage: Stage) -> None:
    result = stage.system(stage.publish({"hello-1.0-1": THREE})).dnf("multisig", "status", "nosuch")
    assert result.rc == 1
    assert "no enabled repository has a package 'nosuch'" in result.text


def test_verify_judges_files_by_the_policy_that_dnf_goes_by(stage: Stage, tmp_path: Path) -> None:
    system = stage.system()
    for package, signers, code in (("hello-1.0-1", THREE, 0), ("world-1.0-1", TWO, 1)):
        rpm = stage.shop.rpm(package)
        copy = tmp_path / rpm.name
        copy.write_bytes(rpm.read_bytes())
        Path(f"{copy}.msig").write_bytes(stage.shop.bundle(package, signers).read_bytes())
        result = system.dnf("multisig", "verify", copy)
        assert result.rc == code, result.text


def test_audit_is_of_the_system_that_dnf_installs_into(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    assert system.dnf("install", "hello").rc == 0
    result = system.dnf("multisig", "audit")
    assert result.rc == 0 and "1 of 1 installed packages are approved" in result.out, result.text
    result = system.dnf("multisig", "audit", "joanna")
    assert result.rc == 1 and "needs 1 more of" in result.out, result.text


def test_a_broken_configuration_is_an_error_and_no_approval(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=Path("/nonexistent/policy.yaml"))
    result = system.dnf("multisig", "status", "hello")
    assert result.rc == 1
    assert "multisig: /nonexistent/policy.yaml: cannot read the policy" in result.text
