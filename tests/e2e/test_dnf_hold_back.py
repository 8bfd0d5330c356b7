# SPDX-License-Identifier: GPL-2.0-or-later
"""hold-back = yes: dnf takes the newest approved version of each package, and goes on."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Mapping, Optional, Sequence

import pytest

from fixtures.building import SPECS, Recipe
from fixtures.installroot import Installroot, Repo
from fixtures.policy import CHANNEL, rule, write_policy
from fixtures.running import Result, multisig, run
from fixtures.server import Fault
from tests.e2e.conftest import THREE, TWO, Stage

RELEASE = "    release: {require: 2 of release, max-age: 14d}\n"
RELEASERS: Sequence[str] = ("simon", "wiktor")
HELLO2 = "hello-0:2.0-1.noarch"


class Mirror:
    """A repository with an index, whose metadata are signed."""

    def __init__(
        self, stage: Stage, packages: Mapping[str, Optional[Sequence[str]]], *, index: bool = True, comps: bool = False
    ) -> None:
        self.stage = stage
        self.options = ["--groupfile", str(SPECS / "comps.xml")] if comps else []
        self.repository = stage.repository("mirror")
        self.repo = stage.repo(self.repository)
        self.change(packages, index=index)

    def change(self, packages: Mapping[str, Optional[Sequence[str]]], *, index: bool = True) -> None:
        """Add packages, and who signed each; or more signatures."""
        for name, signers in packages.items():
            bundle = self.stage.shop.bundle(name, signers) if signers else None
            self.repository.add(self.stage.shop.rpm(name), bundle)
        options = ["--quiet", "--no-database", *self.options, "--revision", str(time.time_ns())]
        run(["createrepo_c", *options, self.repository.folder])
        if index:
            self.repository.index()
        self.sign()

    def sign(self) -> None:
        for name in RELEASERS:
            person = self.stage.shop.people[name]
            key = ["--key", person.fingerprint, "--gnupghome", str(person.home), "--channel", CHANNEL]
            multisig("release", "sign", *key, self.repository.folder)


def policy(stage: Stage, release: str = RELEASE) -> Path:
    groups = {"builders": ["marek", "joanna", "rafal"], "release": RELEASERS}
    return write_policy(stage.folder / "released", stage.shop.people, [rule() + release], groups=groups)


def system(stage: Stage, *repos: Repo, put: Sequence[str] = (), release: str = RELEASE, **settings: str) -> Installroot:
    """A system with these packages that holds back."""
    made = stage.system(*repos, policy=policy(stage, release), **{"hold-back": "yes", **settings})
    if put:
        made.put(*(stage.shop.rpm(name) for name in put))
    return made


def versions(on: Installroot) -> "set[str]":
    return {name.rpartition(".")[0] for name in on.installed()}


def refused(result: Result, *words: str) -> bool:
    return result.rc != 0 and "multisig: refused" in result.text and all(word in result.text for word in words)


def test_an_upgrade_takes_the_newest_approved_version_and_goes_on(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-1.0-2": THREE, "hello-2.0-1": TWO, "greet-1.0-1": THREE})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    result = on.dnf("upgrade")
    assert result.rc == 0 and versions(on) == {"hello-1.0-2"}, result.text
    assert "1 package held back, until more people have signed" in result.text
    assert f"{HELLO2}: 2 of 3 builders signed" in result.text and "needs 1 more of: rafal" in result.text, result.text
    assert stage.server.count("*.rpm.msig") == 0


def test_without_it_the_whole_transaction_is_refused(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-2": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"], **{"hold-back": "no"})
    result = on.dnf("upgrade")
    assert refused(result, HELLO2) and versions(on) == {"hello-1.0-1"}, result.text


def test_once_enough_have_signed_it_comes(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    result = on.dnf("upgrade")
    assert result.rc == 0 and versions(on) == {"hello-1.0-1"} and "Nothing to do" in result.text, result.text
    mirror.change({"hello-2.0-1": THREE})
    result = on.dnf("upgrade")
    assert result.rc == 0 and versions(on) == {"hello-2.0-1"}, result.text
    assert "held back" not in result.text


def test_an_installation_takes_the_newest_approved_version(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo)
    result = on.dnf("install", "hello")
    assert result.rc == 0 and versions(on) == {"hello-1.0-1"} and HELLO2 in result.text, result.text


@pytest.mark.parametrize("spec", ["hello-2.0", "hello-2.0-1", "hello-2.0-1.noarch", "hello-0:2.0-1.noarch"])
def test_a_version_that_was_asked_for_and_is_held_back_is_refused_with_the_reason(stage: Stage, spec: str) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo)
    result = on.dnf("install", spec)
    assert refused(result, HELLO2, "needs 1 more of: rafal") and not versions(on), result.text
    assert "No match" not in result.text and stage.server.count("*.rpm") == 0


@pytest.mark.parametrize("command", ["install", "upgrade"])
def test_a_package_of_which_nothing_is_approved_is_refused_with_the_reason(stage: Stage, command: str) -> None:
    mirror = Mirror(stage, {"hello-2.0-1": TWO, "greet-1.0-1": THREE})
    on = system(stage, mirror.repo, put=["hello-1.0-1"] if command == "upgrade" else [])
    result = on.dnf(command, "hello")
    assert refused(result, HELLO2, "needs 1 more of: rafal"), result.text
    assert "No match" not in result.text


def test_other_packages_that_were_asked_for_are_installed(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": None, "greet-1.0-1": THREE})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    result = on.dnf("install", "greet")
    assert result.rc == 0 and versions(on) == {"hello-1.0-1", "greet-1.0-1"}, result.text
    assert "held back" not in result.text  # nobody asked for hello


@pytest.mark.parametrize("command", [["group", "install", "team"], ["install", "@team"]])
def test_a_group_is_installed_without_the_members_that_are_held_back(stage: Stage, command: Sequence[str]) -> None:
    packages = {"team-01-1.0-1": THREE, "team-02-1.0-1": TWO, "team-03-1.0-1": THREE, "hello-2.0-1": TWO}
    mirror = Mirror(stage, packages, comps=True)
    on = system(stage, mirror.repo)
    result = on.dnf(*command)
    assert result.rc == 0 and versions(on) == {"team-01-1.0-1", "team-03-1.0-1"}, result.text
    assert "1 package held back" in result.text and "needs 1 more of: rafal" in result.text, result.text


@pytest.mark.parametrize("command", [["upgrade"], ["upgrade", "hello"], ["distro-sync"], ["upgrade", "--refresh"]])
def test_nothing_is_ever_resolved_below_what_is_installed(stage: Stage, command: Sequence[str]) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-2"])
    result = on.dnf(*command)
    assert versions(on) == {"hello-1.0-2"}, result.text


def test_a_downgrade_that_was_asked_for_is_what_it_was(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-2"])
    result = on.dnf("downgrade", "hello")
    assert result.rc == 0 and versions(on) == {"hello-1.0-1"}, result.text


# --- where it holds nothing back -------------------------------------------------------------------------------------


def test_without_a_rule_on_releases_nothing_is_held_back(stage: Stage) -> None:
    """Whoever serves the repository could take signatures out of its index, and so keep systems from updates."""
    mirror = Mirror(stage, {"hello-1.0-2": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"], release="")
    result = on.dnf("upgrade")
    assert refused(result, HELLO2) and "held back" not in result.text, result.text


def test_without_an_index_nothing_is_held_back(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-2": THREE, "hello-2.0-1": TWO}, index=False)
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    result = on.dnf("upgrade")
    assert refused(result, HELLO2) and "held back" not in result.text, result.text


def test_a_mirror_that_takes_signatures_out_of_the_index_freezes_nobody_unseen(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-2.0-1": THREE})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    (mirror.repository.folder / "hello-2.0-1.noarch.rpm.msig").unlink()
    release = mirror.repository.folder / "repodata" / "repomd.xml.msig"
    kept = release.read_bytes()
    release.unlink()
    mirror.repository.index()
    release.write_bytes(kept)
    result = on.dnf("upgrade")
    assert refused(result) and versions(on) == {"hello-1.0-1"} and "held back" not in result.text, result.text


def test_in_warn_mode_nothing_is_held_back(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-2": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"], mode="warn")
    result = on.dnf("upgrade")
    assert result.rc == 0 and versions(on) == {"hello-2.0-1"} and "would have refused" in result.text, result.text


def test_commands_that_install_nothing_are_left_alone(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    result = on.dnf("--quiet", "repoquery", "hello")
    assert result.out.split() == ["hello-0:1.0-1.noarch", HELLO2], result.text
    assert on.dnf("remove", "hello").rc == 0 and not versions(on)


@pytest.mark.parametrize("broken", ["policy", "journal", "engine"])
def test_where_it_cannot_be_done_it_is_refused_as_without_it(stage: Stage, broken: str) -> None:
    mirror = Mirror(stage, {"hello-1.0-2": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    settings = {"policy": str(policy(stage)), "hold-back": "yes"}
    settings.update({"policy": "/nowhere"} if broken == "policy" else {})
    settings.update({"journal": "/dev/full"} if broken == "journal" else {})
    settings.update({"openpgp": "none"} if broken == "engine" else {})
    on.configure(**settings)
    result = on.dnf("upgrade")
    assert result.rc != 0 and versions(on) == {"hello-1.0-1"} and "refused" in result.text, result.text
    assert "Traceback" not in result.text
    assert on.dnf("remove", "hello").rc == 0


# --- the bytes all the same ------------------------------------------------------------------------------------------


def test_what_is_taken_instead_is_judged_like_everything_else(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-2.0-1": TWO})
    tampered = stage.shop.with_tampered_script("hello-1.0-2")
    mirror.repository.add(tampered, stage.shop.bundle("hello-1.0-2", THREE))
    mirror.change({})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    result = on.dnf("upgrade")
    assert refused(result, "hello-0:1.0-2.noarch") and versions(on) == {"hello-1.0-1"}, result.text


def test_since_when_is_remembered(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    assert on.dnf("upgrade").rc == 0
    with closing(sqlite3.connect(on.journal)) as journal, journal:
        ((repo, name),) = journal.execute("SELECT repo, name FROM held_back").fetchall()
        journal.execute("UPDATE held_back SET time = 86400 * 365")
    assert (repo, name) == ("demo", HELLO2)
    result = on.dnf("upgrade")
    assert "from demo, since 1971-01-01 00:00 UTC" in result.text, result.text


# --- dependencies ----------------------------------------------------------------------------------------------------

NEEDS = {name: Recipe("needs.spec", (("ver", ver), ("needs", needs))) for name, ver, needs in (
    ("needs-1.0-1", "1.0", "hello"), ("needs-2.0-1", "2.0", "hello = 2.0"), ("needs-3.0-1", "3.0", "greet"),
)}  # fmt: skip


def with_needs(stage: Stage, mirror: Mirror, *names: str) -> None:
    """Packages that require others; approved by all three."""
    for name in names:
        rpm = stage.shop.built(NEEDS[name], f"{name}.noarch.rpm")
        published = mirror.repository.add(rpm)
        for signer in THREE:
            person = stage.shop.people[signer]
            key = ["--key", person.fingerprint, "--gnupghome", str(person.home), "--channel", CHANNEL]
            multisig("sign", *key, published)
    mirror.change({})


def test_what_needs_something_that_is_held_back_is_held_back_too(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    with_needs(stage, mirror, "needs-1.0-1", "needs-2.0-1")
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    on.put(stage.shop.built(NEEDS["needs-1.0-1"], "needs-1.0-1.noarch.rpm"))
    result = on.dnf("upgrade")
    assert result.rc == 0 and versions(on) == {"hello-1.0-1", "needs-1.0-1"}, result.text
    assert f"needs-0:2.0-1.noarch: needs {HELLO2}, which is held back" in result.text, result.text


def test_what_was_asked_for_and_needs_something_that_is_held_back_is_refused_with_the_reason(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-2.0-1": TWO})
    with_needs(stage, mirror, "needs-2.0-1")
    on = system(stage, mirror.repo)
    result = on.dnf("install", "needs")
    assert refused(result, HELLO2, "needs 1 more of: rafal") and not versions(on), result.text
    assert "No match" not in result.text


def test_an_upgrade_whose_new_dependency_lacks_signatures_waits(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-1": THREE, "hello-1.0-2": THREE, "greet-1.0-1": TWO})
    with_needs(stage, mirror, "needs-1.0-1", "needs-3.0-1")
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    on.put(stage.shop.built(NEEDS["needs-1.0-1"], "needs-1.0-1.noarch.rpm"))
    result = on.dnf("upgrade")
    assert result.rc == 0 and versions(on) == {"hello-1.0-2", "needs-1.0-1"}, result.text
    assert "needs-0:3.0-1.noarch: needs greet-0:1.0-1.noarch, which is held back" in result.text, result.text


def test_a_server_that_is_down_holds_nothing_back(stage: Stage) -> None:
    mirror = Mirror(stage, {"hello-1.0-2": THREE, "hello-2.0-1": TWO})
    on = system(stage, mirror.repo, put=["hello-1.0-1"])
    stage.server.fault("*", Fault(status=503))
    assert on.dnf("upgrade").rc != 0 and versions(on) == {"hello-1.0-1"}
    shutil.rmtree(on.root / "var/cache/dnf", ignore_errors=True)
    stage.server.heal()
    assert on.dnf("upgrade").rc == 0 and versions(on) == {"hello-1.0-2"}
