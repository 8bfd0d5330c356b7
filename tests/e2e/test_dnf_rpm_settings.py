# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody talks rpm out of its own checks, or out of files that people signed, and what rpm removes was announced."""

from __future__ import annotations

import pytest

from fixtures.building import Recipe
from fixtures.installroot import Installroot
from fixtures.running import multisig
from tests.e2e.conftest import THREE, Stage

HELLO = {"hello-1.0-1.noarch"}


def system_with_hello_on_offer(stage: Stage) -> Installroot:
    return stage.system(stage.publish({"hello-1.0-1": THREE}))


@pytest.mark.parametrize("flag", ["nocrypto", "justdb"])
def test_a_transaction_flag_that_switches_off_checks_or_files(stage: Stage, flag: str) -> None:
    system = system_with_hello_on_offer(stage)
    result = system.dnf("install", f"--setopt=tsflags={flag}", "hello")
    assert result.rc == 1 and "multisig: refused" in result.text and "rpm is told" in result.text
    assert system.installed() == set() and not system.holds("/var/hello-pre")


@pytest.mark.parametrize("macro", ["_netsharedpath /usr/share", "_pkgverify_level none"])
def test_a_macro_of_the_user_that_switches_off_checks_or_files(stage: Stage, macro: str) -> None:
    system = system_with_hello_on_offer(stage)
    (system.folder / "home" / ".rpmmacros").write_text(f"%{macro}\n", encoding="ascii")
    result = system.dnf("install", "hello")
    assert result.rc == 1 and "multisig: refused" in result.text and macro.split()[0] in result.text
    assert system.installed() == set() and not system.holds("/var/hello-pre")


def test_documentation_and_languages_may_be_left_out_and_it_is_said(stage: Stage) -> None:
    system = system_with_hello_on_offer(stage)
    (system.folder / "home" / ".rpmmacros").write_text("%_install_langs de\n", encoding="ascii")
    result = system.dnf("install", "--setopt=tsflags=nodocs", "hello")
    assert result.rc == 0, result.text
    assert "multisig: rpm installs without documentation, with the languages de alone" in result.text
    assert system.installed() == HELLO
    history = multisig("history", "--journal", system.journal)
    assert "rpm installed without documentation, with the languages de alone" in history.out


def test_a_removal_that_the_metadata_hid_is_refused(stage: Stage) -> None:
    """rpm removes by itself what an upgrade's header obsoletes, whatever dnf has announced."""
    repository = stage.repository()
    repository.add(stage.shop.rpm("world-1.0-1"), stage.shop.bundle("world-1.0-1", THREE))
    repository.finish().falsify("rpm:obsoletes", "rpm:suggests")
    system = stage.system()
    older = stage.shop.built(Recipe("world.spec", (("ver", "0.9"),)), "world-0.9-1.noarch.rpm")
    system.put(older)
    system.put(stage.shop.rpm("hello-1.0-1"))
    system.set_repos([stage.repo(repository)])
    result = system.dnf("upgrade", "world")
    assert result.rc == 1, result.text
    assert "rpm would also remove what dnf did not announce: hello-0:1.0-1.noarch" in result.text
    assert system.installed() == {*HELLO, "world-0.9-1.noarch"}


def test_a_removal_that_only_the_metadata_ask_for_is_refused(stage: Stage) -> None:
    """Nobody signs the metadata: with a line in them a mirror would have any package taken away, this plugin too."""
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-2"), stage.shop.bundle("hello-1.0-2", THREE))
    forged = '<rpm:obsoletes><rpm:entry name="world"/></rpm:obsoletes><rpm:provides>'
    repository.finish().falsify("<rpm:provides>", forged)
    system = stage.system_with("hello-1.0-1", "team-01-1.0-1")
    system.put(stage.shop.built(Recipe("world.spec", (("ver", "0.9"),)), "world-0.9-1.noarch.rpm"))
    before = system.installed()
    system.set_repos([stage.repo(repository)])
    result = system.dnf("upgrade")
    assert result.rc == 1, result.text
    assert "replacing  world.noarch 0.9-1" in result.text
    assert "hello-0:1.0-2.noarch: the metadata say that it obsoletes world-0.9-1.noarch" in result.text
    assert system.installed() == before


@pytest.mark.parametrize(("installed", "flags"), [("3.0", 'flags="LE" epoch="0" ver="3.0"'), ("4.0", "")])
def test_a_removal_of_other_versions_than_the_header_says_is_refused(stage: Stage, installed: str, flags: str) -> None:
    """world obsoletes what is older than hello-3.0, and that alone."""
    repository = stage.repository()
    repository.add(stage.shop.rpm("world-1.0-1"), stage.shop.bundle("world-1.0-1", THREE))
    repository.finish().falsify('flags="LT" epoch="0" ver="3.0"', flags)
    system = stage.system()
    system.put(
        stage.shop.built(Recipe("hello.spec", (("ver", installed), ("rel", "1"))), f"hello-{installed}-1.noarch.rpm")
    )
    before = system.installed()
    system.set_repos([stage.repo(repository)])
    result = system.dnf("upgrade")
    assert result.rc == 1 and "the package itself does not" in result.text, result.text
    assert system.installed() == before
