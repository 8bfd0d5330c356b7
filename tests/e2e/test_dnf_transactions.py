# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever way a package comes into a transaction, it is installed with three signatures and not with two."""

from __future__ import annotations

from typing import Sequence

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.policy import rule, write_policy
from fixtures.running import Result
from fixtures.workshop import TEAM
from tests.e2e.conftest import THREE, TWO, Stage

SIGNERS = pytest.mark.parametrize("signers", [THREE, TWO], ids=["three-signed", "two-signed"])


def files(*packages: str) -> set[str]:
    return {f"{package}.noarch" for package in packages}


def check(result: Result, system: Installroot, signers: Sequence[str], after: set[str], before: set[str]) -> None:
    """The transaction went through where three signed; where fewer did, it was refused and nothing changed."""
    if len(signers) >= 3:
        assert result.rc == 0, result.text
        assert system.installed() == after
    else:
        assert result.rc != 0
        assert system.installed() == before
        assert "refused" in result.text
        assert "rafal" in result.text  # who could still sign


@SIGNERS
def test_install(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": signers}))
    result = system.dnf("install", "hello")
    check(result, system, signers, files("hello-1.0-1"), set())
    assert system.holds("/var/hello-pre") is (len(signers) == 3)


@SIGNERS
def test_upgrade(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"hello-2.0-1": signers})])
    check(system.dnf("upgrade"), system, signers, files("hello-2.0-1"), files("hello-1.0-1"))


@SIGNERS
def test_downgrade(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-2.0-1")
    system.set_repos([stage.publish({"hello-1.0-1": signers})])
    check(system.dnf("downgrade", "hello"), system, signers, files("hello-1.0-1"), files("hello-2.0-1"))


@SIGNERS
def test_reinstall(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"hello-1.0-1": signers})])
    (system.root / "usr/share/hello/greeting").unlink()
    check(system.dnf("reinstall", "hello"), system, signers, files("hello-1.0-1"), files("hello-1.0-1"))
    assert system.holds("/usr/share/hello/greeting") is (len(signers) == 3)


@SIGNERS
def test_a_dependency_is_held_to_the_same(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system(stage.publish({"greet-1.0-1": THREE, "hello-1.0-1": signers}))
    check(system.dnf("install", "greet"), system, signers, files("greet-1.0-1", "hello-1.0-1"), set())


@SIGNERS
def test_a_package_that_obsoletes_another(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"world-1.0-1": signers})])
    check(system.dnf("upgrade"), system, signers, files("world-1.0-1"), files("hello-1.0-1"))


@SIGNERS
def test_distro_sync(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-2.0-1")
    system.set_repos([stage.publish({"hello-1.0-1": signers})])
    check(system.dnf("distro-sync"), system, signers, files("hello-1.0-1"), files("hello-2.0-1"))


@SIGNERS
def test_swap(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"world-1.0-1": signers})])
    check(system.dnf("swap", "hello", "world"), system, signers, files("world-1.0-1"), files("hello-1.0-1"))


@SIGNERS
def test_a_package_with_an_epoch(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system(stage.publish({"hello-1.0-3": signers}))
    result = system.dnf("install", "hello")
    check(result, system, signers, files("hello-1.0-3"), set())
    assert len(signers) == 3 or "hello-1:1.0-3.noarch" in result.text


@SIGNERS
def test_a_repository_on_disk(stage: Stage, signers: Sequence[str]) -> None:
    repo = stage.publish({"hello-1.0-1": signers}, name="disk")
    folder = stage.web / stage.folder.name / "disk"
    system = stage.system(Repo(repo.id, f"file://{folder}"))
    check(system.dnf("install", "hello"), system, signers, files("hello-1.0-1"), set())


@SIGNERS
def test_history_undo(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"hello-2.0-1": THREE, "hello-1.0-1": signers})])
    assert system.dnf("upgrade").rc == 0
    check(system.dnf("history", "undo", "last"), system, signers, files("hello-1.0-1"), files("hello-2.0-1"))


@SIGNERS
def test_history_redo(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    assert system.dnf("install", "hello").rc == 0
    system.remove("hello")
    system.set_repos([stage.publish({"hello-1.0-1": signers})])
    system.dnf("clean", "all")
    check(system.dnf("history", "redo", "1"), system, signers, files("hello-1.0-1"), set())


def test_autoremove_needs_no_policy(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}))
    assert system.dnf("install", "greet").rc == 0
    system.remove("greet")
    stage.policy.unlink()
    result = system.dnf("autoremove")
    assert result.rc == 0 and system.installed() == set(), result.text


MODULES = """\
---
document: modulemd
version: 2
data:
  name: salute
  stream: "1"
  version: 1
  context: 00000001
  arch: noarch
  summary: Greets by the means of hello
  description: Greets by the means of hello
  license: {module: [GPL-2.0-or-later]}
  profiles: {default: {rpms: [hello]}}
  artifacts: {rpms: ["hello-0:1.0-1.noarch"]}
...
"""


@SIGNERS
def test_a_module(stage: Stage, signers: Sequence[str]) -> None:
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", signers))
    repository.finish().describe("modules", MODULES)
    system = stage.system(stage.repo(repository))
    result = system.dnf("--setopt=module_platform_id=platform:test", "module", "install", "salute:1/default")
    check(result, system, signers, files("hello-1.0-1"), set())
    if len(signers) == 3:
        assert "salute" in system.dnf("module", "list", "--enabled").out


@SIGNERS
def test_shell(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": signers}))
    script = stage.folder / "script"
    script.write_text("install hello\nts solve\nrun\nexit\n", encoding="ascii")
    result = system.dnf("shell", script)
    assert system.installed() == (files("hello-1.0-1") if len(signers) == 3 else set()), result.text


@SIGNERS
def test_a_local_file_with_its_bundle_beside_it(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system()
    rpm = stage.repository().add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", signers))
    check(system.dnf("install", rpm), system, signers, files("hello-1.0-1"), set())


def test_a_local_file_without_a_bundle(stage: Stage) -> None:
    system = stage.system()
    result = system.dnf("install", stage.shop.rpm("hello-1.0-1"))
    assert result.rc != 0 and "refused" in result.text and "hello-0:1.0-1.noarch" in result.text
    assert system.installed() == set()


@SIGNERS
def test_a_url(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system()
    repo = stage.publish({"hello-1.0-1": signers})
    check(system.dnf("install", f"{repo.url}/hello-1.0-1.noarch.rpm"), system, signers, files("hello-1.0-1"), set())


def test_a_group_of_twenty(stage: Stage) -> None:
    system = stage.system(stage.publish(dict.fromkeys(TEAM, THREE), comps=True))
    result = system.dnf("group", "install", "team")
    assert result.rc == 0, result.text
    assert system.installed() == files(*TEAM)


def test_one_short_member_refuses_the_group_of_twenty_and_is_the_one_named(stage: Stage) -> None:
    signers = {member: TWO if member == "team-13-1.0-1" else THREE for member in TEAM}
    system = stage.system(stage.publish(signers, comps=True))
    result = system.dnf("group", "install", "team")
    assert result.rc != 0 and "refused" in result.text
    assert system.installed() == set()
    assert "team-13-0:1.0-1.noarch" in result.text
    assert "team-12-0:1.0-1.noarch" not in result.text


def test_every_short_package_is_named_at_once(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO, "greet-1.0-1": TWO}))
    result = system.dnf("install", "greet")
    assert result.rc != 0 and system.installed() == set()
    assert "hello-0:1.0-1.noarch" in result.text and "greet-0:1.0-1.noarch" in result.text


def test_a_rule_for_a_repository_says_nothing_about_a_local_file(stage: Stage) -> None:
    policy = write_policy(stage.folder / "by-repo", stage.shop.people, [rule(repos=["demo"], packages=[])])
    rpm = stage.repository().add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE))
    system = stage.system(policy=policy)
    result = system.dnf("install", rpm)
    assert result.rc != 0 and "refused" in result.text and system.installed() == set()


def test_a_repository_that_no_rule_names(stage: Stage) -> None:
    policy = write_policy(stage.folder / "by-repo", stage.shop.people, [rule(repos=["demo"], packages=[])])
    repo = stage.publish({"hello-1.0-1": THREE})
    system = stage.system(policy=policy)
    result = system.dnf(f"--repofrompath=other,{repo.url}", "install", "hello")
    assert result.rc != 0 and "refused" in result.text and system.installed() == set()


@pytest.mark.parametrize("policy", ["good", "broken", "missing"])
def test_a_removal_needs_no_policy(stage: Stage, policy: str) -> None:
    system = stage.system_with("hello-1.0-1")
    paths = {"good": stage.policy, "broken": stage.folder / "broken.yaml", "missing": stage.folder / "none.yaml"}
    paths["broken"].write_text("rules: [", encoding="ascii")
    system.configure(policy=str(paths[policy]))
    result = system.dnf("remove", "hello")
    assert result.rc == 0, result.text
    assert system.installed() == set()
