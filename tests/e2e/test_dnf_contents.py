# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages whose content is not what was signed, though rpm's own checks of the file pass."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping

import pytest

from fixtures.running import run
from fixtures.workshop import Workshop
from tests.e2e.conftest import THREE, Stage

TAMPERED: Mapping[str, Callable[[Workshop], Path]] = {
    "payload": Workshop.with_tampered_payload,
    "script": Workshop.with_tampered_script,
    "content": Workshop.with_tampered_content,
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_tampered_package_from_a_repository(stage: Stage, tampered: Callable[[Workshop], Path]) -> None:
    rpm = tampered(stage.shop)
    run(["rpm", "--checksig", "--nosignature", rpm])  # rpm by itself has nothing against it
    system = stage.system(stage.publish_file(rpm, stage.shop.bundle("hello-1.0-1", THREE)))
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set()
    assert "refused" in result.text and "hello-0:1.0-1.noarch" in result.text
    assert not system.holds("/var/hello-pre")


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_tampered_local_file(stage: Stage, tampered: Callable[[Workshop], Path]) -> None:
    rpm = stage.repository().add(tampered(stage.shop), stage.shop.bundle("hello-1.0-1", THREE))
    system = stage.system()
    result = system.dnf("install", rpm)
    assert result.rc != 0 and system.installed() == set() and "refused" in result.text
    assert not system.holds("/var/hello-pre")


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_tampered_upgrade_leaves_the_old_package_alone(stage: Stage, tampered: Callable[..., Path]) -> None:
    system = stage.system_with("hello-1.0-1")
    rpm = tampered(stage.shop, "hello-2.0-1")
    system.set_repos([stage.publish_file(rpm, stage.shop.bundle("hello-2.0-1", THREE))])
    result = system.dnf("upgrade")
    assert result.rc != 0 and system.installed() == {"hello-1.0-1.noarch"}
    assert system.read("/var/hello-pre").strip() == "pre 1.0-1"


def test_a_tampered_package_in_the_cache_from_before(stage: Stage) -> None:
    """What was downloaded while nobody checked is checked when it is installed."""
    rpm = stage.shop.with_tampered_payload()
    system = stage.system(stage.publish_file(rpm, stage.shop.bundle("hello-1.0-1", THREE)))
    assert system.dnf("--disableplugin=multisig", "--downloadonly", "install", "hello").rc == 0
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-pre")


LIES: Mapping[str, tuple[str, str, str]] = {
    "name": ("<name>hello</name>", "<name>bar</name>", "bar"),
    "version": ('ver="1.0" rel="1"/>', 'ver="9.0" rel="1"/>', "hello"),
    "epoch": ('<version epoch="0"', '<version epoch="7"', "hello"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_metadata_that_promise_another_package_than_the_file_holds(stage: Stage, lie: tuple[str, str, str]) -> None:
    old, new, asked = lie
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE))
    repository.finish().falsify(old, new)
    system = stage.system(stage.repo(repository))
    result = system.dnf("install", asked)
    assert result.rc != 0 and system.installed() == set() and "refused" in result.text, result.text
    assert not system.holds("/var/hello-pre")


def test_a_file_name_that_lies_is_of_no_account(stage: Stage) -> None:
    repository = stage.repository()
    repository.add(stage.shop.rpm("greet-1.0-1"), stage.shop.bundle("greet-1.0-1", THREE), name="x-9-9.noarch.rpm")
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE))
    system = stage.system(stage.repo(repository.finish()))
    result = system.dnf("install", "greet")
    assert result.rc == 0 and system.installed() == {"greet-1.0-1.noarch", "hello-1.0-1.noarch"}, result.text


def test_an_rpm_that_is_none(stage: Stage) -> None:
    rpm = stage.repository().folder / "hello-1.0-1.noarch.rpm"
    rpm.write_bytes(stage.shop.rpm("hello-1.0-1").read_bytes()[:3000])
    system = stage.system()
    result = system.dnf("install", rpm)
    assert result.rc != 0 and system.installed() == set() and "Traceback" not in result.text
