# SPDX-License-Identifier: GPL-2.0-or-later
"""From uploads to an installed package: what builders signed and multisig published is what real dnf accepts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Sequence

from fixtures.building import BUILDERS, build
from fixtures.installroot import Repo
from fixtures.policy import CHANNEL
from fixtures.running import Argument, Result, multisig
from fixtures.tamper import tampered_script
from fixtures.workshop import HELLO
from tests.e2e.conftest import THREE, Stage

NAMES = ("hello-1.0-1", "greet-1.0-1")


def upload(stage: Stage, who: str, *, batch: bool = False, names: Sequence[str] = NAMES) -> None:
    """One builder's folder: their own builds, signed each, or all by one statement."""
    folder = stage.folder / "incoming" / who
    folder.mkdir(parents=True)
    rpms: list[Argument] = []
    for name in names:
        rpms.append(folder / f"{name}.noarch.rpm")
        shutil.copyfile(stage.shop.rpm(name, who), rpms[-1])
    sign(stage, who, rpms, ["--batch", folder / "all.msig"] if batch else [])


def sign(stage: Stage, who: str, rpms: Sequence[Argument], options: Sequence[Argument] = ()) -> None:
    person = stage.shop.people[who]
    key: list[Argument] = ["--key", person.fingerprint, "--gnupghome", person.home, "--ledger", person.ledger]
    multisig("sign", *key, "--channel", CHANNEL, *options, *rpms)


def publish(stage: Stage) -> "tuple[Result, Repo]":
    folder = stage.web / stage.folder.name / "published"
    folder.parent.mkdir(exist_ok=True)
    words: list[Argument] = ["--incoming", stage.folder / "incoming", "--repo", folder, "--policy", stage.policy]
    return multisig("publish", *words), Repo("demo", f"{stage.server.url}/{stage.folder.name}/published")


def test_dnf_installs_what_three_builders_uploaded_each_in_a_way_of_their_own(stage: Stage) -> None:
    """One signs each package, two sign all of theirs by one statement; one package lacks a signature and stays out."""
    upload(stage, "marek")
    upload(stage, "joanna", batch=True)
    upload(stage, "rafal", batch=True, names=["hello-1.0-1"])
    done, repo = publish(stage)
    assert "1 published" in done.out and "1 held back" in done.out, done.text
    system = stage.system(repo)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and "3 of 5 builders signed" in result.out, result.text
    assert system.dnf("install", "greet").rc != 0
    sign(stage, "simon", [stage.folder / "incoming" / "joanna" / "greet-1.0-1.noarch.rpm"])
    done, repo = publish(stage)
    assert "1 published, 0 with more signatures, 0 held back" in done.out, done.text
    assert system.dnf("install", "greet").rc == 0
    assert system.installed() == {"hello-1.0-1.noarch", "greet-1.0-1.noarch"}


def test_a_build_server_that_adds_a_line_is_found_out_before_anything_is_published(stage: Stage) -> None:
    upload(stage, "marek", names=["hello-1.0-1"])
    upload(stage, "joanna", names=["hello-1.0-1"])
    evil = stage.folder / "incoming" / "rafal"
    evil.mkdir()
    built = build(tampered_script(HELLO), BUILDERS["rafal"], stage.shop.folder / "builds")
    rpm = evil / "hello-1.0-1.noarch.rpm"
    shutil.copyfile(next(path for path in built if path.name == rpm.name), rpm)
    sign(stage, "rafal", [rpm])
    done, _ = publish(stage)
    assert "0 published" in done.out and "2 held back" in done.out, done.text
    assert "rafal signed another content of this name (multisig diff shows what differs)" in done.out
    mine = stage.folder / "incoming" / "marek" / rpm.name
    differing = multisig("diff", mine, rpm, check=False)
    assert differing.rc == 1 and "%post" in differing.out
    assert not (stage.web / stage.folder.name / "published" / rpm.name).exists()


def test_a_signer_whose_key_is_misused_learns_of_it_from_the_published_repository(stage: Stage) -> None:
    for who in THREE:
        upload(stage, who, names=["hello-1.0-1"])
    publish(stage)
    repository: Path = stage.web / stage.folder.name / "published"
    marek = stage.shop.people["marek"]
    words: list[Argument] = ["--ledger", marek.ledger, "--policy", stage.policy, repository]
    assert multisig("watch", *words).out.startswith("nothing found")
    thief: list[Argument] = ["--key", marek.fingerprint, "--gnupghome", marek.home]
    thief += ["--ledger", stage.folder / "the-thief-s-own"]
    multisig("sign", *thief, "--channel", "demo-testing", repository / "hello-1.0-1.noarch.rpm")
    found = multisig("watch", *words, check=False)
    assert found.rc == 1 and "NOT IN YOUR LEDGER" in found.out and "demo-testing" in found.out
