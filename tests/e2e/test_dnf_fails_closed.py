# SPDX-License-Identifier: GPL-2.0-or-later
"""Where multisig itself cannot work, nothing is installed."""

from __future__ import annotations

from typing import Mapping

import pytest

from fixtures.running import multisig
from tests.e2e.conftest import THREE, TWO, Stage

PACKAGES: Mapping[str, str] = {
    "nothing in it": "",
    "an exception": "raise RuntimeError('broken')",
    "no Python": "def (:",
    "a module that is not there": "import no_such_module_at_all",
    "an exit": "raise SystemExit(0)",
    "endless recursion": "def f():\n    f()\nf()",
}


@pytest.mark.parametrize("code", PACKAGES.values(), ids=PACKAGES.keys())
def test_a_package_that_does_not_import(stage: Stage, code: str) -> None:
    broken = stage.folder / "broken" / "multisig"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(code, encoding="ascii")
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = system.dnf("install", "hello", env={"PYTHONPATH": str(broken.parent)})
    assert system.installed() == set() and not system.holds("/var/hello-pre"), result.text
    assert result.rc != 0 or code == PACKAGES["an exit"]
    assert "Failed loading plugin" not in result.text  # after which dnf would go on without it


POLICIES: Mapping[str, str] = {
    "no YAML": "rules: [",
    "empty": "",
    "of another version": "multisig: policy/v9\n",
    "a billion laughs": "a: &a [x]\nb: &b [*a, *a]\n",
    "deep": "[" * 20_000,
}


@pytest.mark.parametrize("text", POLICIES.values(), ids=POLICIES.keys())
def test_a_broken_policy(stage: Stage, text: str) -> None:
    policy = stage.folder / "broken.yaml"
    policy.write_text(text, encoding="ascii")
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=policy)
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text
    assert str(policy) in result.text and "Traceback" not in result.text


def test_a_missing_policy(stage: Stage) -> None:
    policy = stage.folder / "nowhere" / "policy.yaml"
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=policy)
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text
    assert str(policy) in result.text


def test_a_missing_key_file(stage: Stage) -> None:
    (stage.policy.parent / "keys" / "simon.asc").unlink()
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text
    assert "simon.asc" in result.text


@pytest.mark.parametrize("obstacle", ["a file for its folder", "a folder in its place", "no database"])
def test_a_journal_that_cannot_be_written(stage: Stage, obstacle: str) -> None:
    journal = stage.folder / "journal"
    if obstacle == "a file for its folder":
        journal.write_text("", encoding="ascii")
        journal = journal / "journal.sqlite"
    elif obstacle == "a folder in its place":
        journal.mkdir()
    else:
        journal.write_bytes(b"this is no database " * 400)
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), journal=str(journal))
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text
    assert str(journal) in result.text and "Traceback" not in result.text
    assert not system.holds("/var/hello-pre")


def test_warn_mode_installs_and_says_what_it_would_have_refused(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}), mode="warn")
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text
    assert "hello-0:1.0-1.noarch" in result.text and "rafal" in result.text
    assert "hello-0:1.0-1.noarch" in multisig("history", "--journal", system.journal).out


def test_warn_mode_counts_in_the_journal_what_it_would_have_refused(stage: Stage) -> None:
    packages = {
        "hello-1.0-1": TWO,
        "greet-1.0-1": THREE,
        "team-01-1.0-1": THREE,
        "team-02-1.0-1": None,
        "team-03-1.0-1": None,
    }
    system = stage.system(stage.publish(packages), mode="warn")
    first = system.dnf("install", "greet", "hello")
    assert first.rc == 0, first.text
    assert "multisig: would have refused 1 of 2 packages (mode = warn)" in first.text, first.text
    system.dnf("install", "team-01")
    second = system.dnf("install", "team-02")
    assert "multisig: would have refused 1 of 1 package (mode = warn)" in second.text, second.text
    lines = multisig("history", "--journal", system.journal).out.splitlines()
    headings = [line for line in lines if line[0].isdigit()]
    assert ["would have refused" in line for line in headings] == [True, False, True], lines
    assert "would have refused 1 of 2 packages  (at hand;" in headings[0], lines
    assert lines[-1] == (
        "mode = warn: would have refused 2 of 4 packages, in 2 of 3 transactions (1 below-threshold, 1 no-bundle)"
    )
    system.configure(policy=str(stage.policy))
    assert system.dnf("install", "team-03").rc != 0
    assert multisig("history", "--journal", system.journal).out.splitlines()[-1] == lines[-1]


@pytest.mark.parametrize("mode", ["Warn", "WARN", "", "permissive", "no", "warn warn"])
def test_a_mode_that_is_not_exactly_warn_enforces(stage: Stage, mode: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}), mode=mode)
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text


BAD_CONF: Mapping[str, str] = {
    "no sections": "policy = /etc/multisig/policy.yaml\n",
    "a broken line": "[main]\nenabled = 1\nthis is not a setting\n",
    "a key twice": "[main]\nmode = warn\nmode = warn\n",
    "a policy with an empty name": "[main]\nenabled = 1\npolicy =\n",
    "an unknown engine": "[main]\nenabled = 1\nopenpgp = none\n",
}


@pytest.mark.parametrize("text", BAD_CONF.values(), ids=BAD_CONF.keys())
def test_a_configuration_that_cannot_be_used(stage: Stage, text: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    (system.folder / "plugins.d" / "multisig.conf").write_text(text, encoding="ascii")
    result = system.dnf("install", "hello")
    assert system.installed() == set(), result.text
    assert result.rc != 0


def test_no_configuration_at_all_enforces(stage: Stage) -> None:
    """Its defaults hold: a policy in /etc, which a machine that runs this test has no reason to have for ``demo``."""
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    (system.folder / "plugins.d" / "multisig.conf").unlink()
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text
