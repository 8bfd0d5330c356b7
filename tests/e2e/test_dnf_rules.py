# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that protect a package hold whatever the metadata say, and exempt rules reach no further than they say."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest

from fixtures.installroot import Repo
from fixtures.policy import rule, write_policy
from fixtures.server import Fault
from tests.e2e.conftest import THREE, TWO, Stage

STRICT_HELLO = rule("4 of builders", name="hello itself", packages=["hello"])


def policy(stage: Stage, *rules: str) -> Path:
    return write_policy(stage.folder / "rules", stage.shop.people, rules)


def exempt(until: str) -> str:
    return f'  - name: lab\n    repos: ["lab"]\n    exempt: built here an hour ago\n    until: {until}\n'


@pytest.mark.parametrize("honest", [True, False], ids=["said in the metadata", "hidden in the header"])
def test_what_obsoletes_a_protected_package_is_held_to_its_rule(stage: Stage, honest: bool) -> None:
    repository = stage.repository()
    repository.add(stage.shop.rpm("world-1.0-1"), stage.shop.bundle("world-1.0-1", THREE))
    repository.finish()
    if not honest:
        repository.falsify("rpm:obsoletes", "rpm:suggests")
    system = stage.system(stage.repo(repository), policy=policy(stage, rule(), STRICT_HELLO))
    result = system.dnf("install", "world")
    assert result.rc != 0 and system.installed() == set(), result.text
    assert "refused" in result.text and "hello itself" in result.text


def test_without_that_rule_it_is_accepted(stage: Stage) -> None:
    system = stage.system(stage.publish({"world-1.0-1": THREE}), policy=policy(stage, rule()))
    result = system.dnf("install", "world")
    assert result.rc == 0, result.text


def test_an_exempt_repository_may_not_replace_a_protected_package(stage: Stage) -> None:
    lab = stage.repo(stage.repository(), "lab")
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-2.0-1"))
    lab = stage.repo(repository.finish(), "lab")
    system = stage.system(lab, policy=policy(stage, exempt("never"), STRICT_HELLO))
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set() and "refused" in result.text, result.text


@pytest.mark.parametrize("until", ["never", "2099-01-01", "2024-01-01"])
def test_an_exemption_holds_until_its_date(stage: Stage, until: str) -> None:
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-1"))
    system = stage.system(stage.repo(repository.finish(), "lab"), policy=policy(stage, exempt(until)))
    result = system.dnf("install", "hello")
    if until == "2024-01-01":
        assert result.rc != 0 and system.installed() == set() and "refused" in result.text, result.text
    else:
        assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


def test_an_exemption_is_for_its_repository_alone(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=policy(stage, exempt("never")))
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set() and "refused" in result.text, result.text


@pytest.mark.parametrize("selector", ["setuid: true", 'paths: ["/usr/libexec/**"]'])
def test_what_is_in_a_package_may_ask_for_more_signatures(stage: Stage, selector: str) -> None:
    rules = [
        rule(),
        f"  - name: risky\n    content: {{{selector}}}\n    channel: demo-stable\n    require: 4 of builders\n",
    ]
    repo = stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE})
    system = stage.system(repo, policy=policy(stage, *rules))
    result = system.dnf("install", "greet")
    assert result.rc != 0 and system.installed() == set() and "risky" in result.text, result.text
    assert system.dnf("install", "hello").rc == 0


@pytest.mark.parametrize("download", ["--downloadonly", "--setopt=tsflags=test"])
@pytest.mark.parametrize("signers", [THREE, TWO], ids=["three-signed", "two-signed"])
def test_what_is_in_a_package_decides_offline_too(stage: Stage, signers: Sequence[str], download: str) -> None:
    """Before the download only names are known: the evidence that the content may ask for is kept all the same."""
    risky = "  - name: risky\n    content: {setuid: true}\n    channel: demo-stable\n    require: 3 of builders\n"
    rules = [exempt("never"), risky]
    repo = stage.publish({"hello-1.0-1": None, "greet-1.0-1": signers})
    system = stage.system(Repo("lab", repo.url), policy=policy(stage, *rules))
    assert system.dnf(download, "install", "greet").rc == 0 and not system.installed()
    stage.server.fault("*", Fault(status=503))
    stage.server.reset()
    result = system.dnf("--cacheonly", "install", "greet")
    assert stage.server.count() == 0
    if len(signers) == 3:
        assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch", "greet-1.0-1.noarch"}, result.text
    else:
        assert result.rc != 0 and system.installed() == set() and "risky" in result.text, result.text
