# SPDX-License-Identifier: GPL-2.0-or-later
"""Real dnf5, over HTTP, with the actions of dnf5-plugins/. Run in a chroot by tests/chroot/test_dnf5.py."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

import pytest

from fixtures.dnf5 import Dnf5
from fixtures.installroot import Installroot
from fixtures.policy import rule, write_policy
from fixtures.rpmplugin import RpmPlugin
from fixtures.running import multisig
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-1.0-1.noarch"
REFUSED = "multisig: refused; nothing was"


def decisions(system: Installroot) -> list[tuple[str, bool, bool]]:
    with closing(sqlite3.connect(system.journal)) as database:
        rows = database.execute("SELECT stage, accepted, finished FROM decisions ORDER BY id").fetchall()
    return [(stage, bool(accepted), finished is not None) for stage, accepted, finished in rows]


def laid(stage: Stage, name: str, signers: Optional[Sequence[str]]) -> Path:
    folder = stage.folder / "files"
    folder.mkdir(exist_ok=True)
    rpm = folder / f"{name}.noarch.rpm"
    shutil.copyfile(stage.shop.rpm(name), rpm)
    if signers:
        shutil.copyfile(stage.shop.bundle(name, signers), f"{rpm}.msig")
    return rpm


def test_what_enough_people_signed_goes_in(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}))
    result = Dnf5(system)("install", "greet")
    assert result.rc == 0 and len(system.installed()) == 2, result.text
    assert "multisig: 2 packages, 3 of 5 builders signed each" in result.text
    assert decisions(system) == [("at hand", True, True)]


def test_what_too_few_signed_is_refused_before_the_download(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": TWO}))
    dnf5 = Dnf5(system)
    result = dnf5("install", "greet")
    assert result.rc == 1 and system.installed() == set() and dnf5.downloaded() == [], result.text
    assert "multisig: refused; nothing was downloaded or installed." in result.text
    assert "greet-0:1.0-1.noarch" in result.text and "rafal" in result.text and "1 of 2 packages" in result.text
    assert decisions(system) == [("planned", False, False)]


def test_without_any_bundle(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": None}))
    result = Dnf5(system)("install", "hello")
    assert result.rc == 1 and system.installed() == set() and "no bundle" in result.text, result.text


TAMPERED: Mapping[str, Callable[[Stage], Path]] = {
    "another script": lambda stage: stage.shop.with_tampered_script(),
    "another file": lambda stage: stage.shop.with_tampered_content(),
    "another payload": lambda stage: stage.shop.with_tampered_payload(),
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_package_that_was_tampered_with(stage: Stage, tampered: Callable[[Stage], Path]) -> None:
    system = stage.system(stage.publish_file(tampered(stage), stage.shop.bundle("hello-1.0-1", THREE)))
    result = Dnf5(system)("install", "hello")
    assert result.rc == 1 and system.installed() == set() and not system.holds("/var/hello-pre"), result.text
    assert REFUSED in result.text


def test_upgrade_downgrade_reinstallation_and_removal(stage: Stage) -> None:
    both = {"hello-1.0-1": THREE, "hello-1.0-2": THREE}
    system = stage.system(stage.publish(both))
    dnf5 = Dnf5(system)
    for words in (["install", "hello-1.0-1"], ["upgrade", "hello"], ["reinstall", "hello"], ["downgrade", "hello"]):
        result = dnf5(*words)
        assert result.rc == 0, result.text
    assert system.installed() == {HELLO} and len(decisions(system)) == 4
    system.set_repos([stage.publish({"hello-1.0-1": TWO, "hello-1.0-2": TWO})])
    shutil.rmtree(dnf5.cache)
    for words in (["upgrade", "hello"], ["reinstall", "hello"]):
        result = dnf5(*words)
        assert result.rc == 1 and system.installed() == {HELLO}, result.text
    stage.policy.write_text("rules: [", encoding="ascii")
    result = dnf5("remove", "hello")
    assert result.rc == 0 and system.installed() == set(), result.text


def test_what_was_stored_in_a_folder_does_not_pass_for_its_repository(stage: Stage) -> None:
    by_repository = write_policy(stage.folder / "by-repo", stage.shop.people, [rule(repos=["demo"], packages=())])
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=by_repository)
    dnf5, stored = Dnf5(system), stage.folder / "stored"
    assert dnf5("install", f"--store={stored}", "hello").rc == 0
    result = dnf5("replay", stored)
    assert result.rc == 1 and system.installed() == set() and "no rule of the policy" in result.text, result.text
    system.configure(policy=str(stage.policy))
    result = dnf5("replay", stored)
    assert result.rc == 0 and system.installed() == {HELLO}, result.text


def test_local_files(stage: Stage) -> None:
    system = stage.system()
    dnf5 = Dnf5(system)
    result = dnf5("install", laid(stage, "team-01-1.0-1", TWO))
    assert result.rc == 1 and system.installed() == set(), result.text
    good = laid(stage, "hello-1.0-1", THREE)
    result = dnf5("install", f"./{good.name}", cwd=good.parent)
    assert result.rc == 0 and system.installed() == {HELLO}, result.text


def test_a_local_file_that_others_could_replace(stage: Stage) -> None:
    system = stage.system()
    rpm = laid(stage, "hello-1.0-1", THREE)
    rpm.parent.chmod(0o777)
    result = Dnf5(system)("install", rpm)
    assert result.rc == 1 and system.installed() == set() and "others than root" in result.text, result.text


def test_another_package_than_the_metadata_says(stage: Stage) -> None:
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE))
    repository.finish().falsify('ver="1.0" rel="1"', 'ver="9.0" rel="1"')
    system = stage.system(stage.repo(repository))
    result = Dnf5(system)("install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text


def test_metadata_that_name_an_approved_file_of_this_machine_and_a_server_that_sends_another(stage: Stage) -> None:
    approved = laid(stage, "hello-1.0-1", THREE)
    repository = stage.repository()
    tampered = stage.shop.with_tampered_script()
    repository.add(tampered)
    sent = Path(f"{repository.folder}{approved}")
    sent.parent.mkdir(parents=True)
    shutil.copyfile(tampered, sent)
    repository.finish().falsify(f'href="{approved.name}"', f'href="{approved}"')
    system = stage.system(stage.repo(repository))
    result = Dnf5(system)("install", "hello")
    assert result.rc == 1 and system.installed() == set() and REFUSED in result.text, result.text


def test_a_removal_that_only_the_metadata_ask_for(stage: Stage) -> None:
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-2"), stage.shop.bundle("hello-1.0-2", THREE))
    forged = '<rpm:obsoletes><rpm:entry name="team-01"/></rpm:obsoletes><rpm:provides>'
    repository.finish().falsify("<rpm:provides>", forged)
    system = stage.system_with("hello-1.0-1", "team-01-1.0-1")
    before = system.installed()
    system.set_repos([stage.repo(repository)])
    result = Dnf5(system)("upgrade")
    assert result.rc == 1 and system.installed() == before, result.text
    assert "obsoletes team-01-0:1.0-1.noarch, which would be removed" in result.text


def test_what_a_signed_header_obsoletes_goes(stage: Stage) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([stage.publish({"world-1.0-1": THREE})])
    result = Dnf5(system)("install", "world")
    assert result.rc == 0 and system.installed() == {"world-1.0-1.noarch"}, result.text


def test_from_the_cache_with_the_server_gone(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    system = stage.system(repo)
    dnf5 = Dnf5(system)
    assert dnf5("install", "--setopt=keepcache=1", "--downloadonly", "hello").rc == 0
    assert system.installed() == set() and dnf5.downloaded() == [f"{HELLO}.rpm"]
    shutil.rmtree(stage.web / stage.folder.name)
    result = dnf5("install", "--setopt=keepcache=1", "-C", "hello")
    assert result.rc == 0 and system.installed() == {HELLO}, result.text


PROGRAMS: Mapping[str, str] = {
    "it fails": "#!/bin/sh\nexit 1\n",
    "it is killed": "#!/bin/sh\nkill -9 $$\n",
    "it is no program": "nothing\n",
    "it cannot be imported": "#!/usr/bin/python3 -I\nimport multisig.no_such_module\n",
    "it talks nonsense": "#!/bin/sh\necho nonsense\n",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_with_a_program_that_does_not_work_nothing_is_installed(stage: Stage, program: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = Dnf5(system, other=program)("install", "hello")
    assert result.rc == 1 and system.installed() == set(), result.text


def test_without_the_program_nothing_is_installed(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    dnf5 = Dnf5(system)
    dnf5.program.unlink()
    result = dnf5("install", "hello")
    assert result.rc == 1 and system.installed() == set(), result.text


def test_a_broken_policy_and_a_broken_journal(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    dnf5 = Dnf5(system)
    system.configure(policy=str(stage.policy), journal=str(stage.policy))
    result = dnf5("install", "hello")
    assert result.rc == 1 and "journal" in result.text and "Traceback" not in result.text, result.text
    stage.policy.write_text("rules: [", encoding="ascii")
    result = dnf5("install", "hello")
    assert result.rc == 1 and str(stage.policy) in result.text and "Traceback" not in result.text, result.text
    assert system.installed() == set()


def test_warn_mode(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}), mode="warn")
    result = Dnf5(system)("install", "hello")
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert "would have refused" in result.text and "rafal" in result.text


def test_nobody_talks_rpm_out_of_what_was_signed(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = Dnf5(system)("install", "--setopt=tsflags=justdb", "hello")
    assert result.rc == 1 and system.installed() == set() and "justdb" in result.text, result.text


# With rpm's plugin behind it


def test_what_dnf5_approved_is_not_judged_twice(stage: Stage) -> None:
    by_repository = write_policy(stage.folder / "by-repo", stage.shop.people, [rule(repos=["demo"], packages=())])
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=by_repository)
    RpmPlugin(system)
    result = Dnf5(system)("install", "hello")
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert decisions(system) == [("at hand", True, True)]


def test_without_the_action_rpms_plugin_judges(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    RpmPlugin(system)
    dnf5 = Dnf5(system)
    result = dnf5("install", "--disable-plugin=actions", "hello")
    assert result.rc == 1 and system.installed() == set(), result.text
    # dnf5 keeps to itself what rpm says.
    log = (dnf5.folder / "dnf5.log").read_text(encoding="utf-8")
    assert "no bundle of signatures" in log and "@rpm" in log
    good = laid(stage, "hello-1.0-1", THREE)
    result = dnf5("install", "--disable-plugin=actions", good)
    assert result.rc == 0 and system.installed() == {HELLO}, result.text


def test_its_decisions_are_in_the_history(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    Dnf5(system)("install", "hello")
    shown = multisig("history", "--journal", system.journal).out
    assert "hello-0:1.0-1.noarch" in shown and "demo" in shown
    assert os.getuid() == 0
