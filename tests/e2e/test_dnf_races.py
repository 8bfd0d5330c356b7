# SPDX-License-Identifier: GPL-2.0-or-later
"""Another user replaces the file between the check and the installation: what is installed is what was checked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping

import pytest

from fixtures.installroot import Installroot
from tests.e2e.conftest import THREE, Stage

FILE = "hello-1.0-1.noarch.rpm"


@dataclass(frozen=True)
class Place:
    """Where a file lies that another user can change: ``named`` is what dnf is given, ``old`` what is replaced."""

    named: Path
    old: Path


def _put(stage: Stage, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rpm = folder / FILE
    shutil.copyfile(stage.shop.rpm("hello-1.0-1"), rpm)
    shutil.copyfile(stage.shop.bundle("hello-1.0-1", THREE), f"{rpm}.msig")
    return rpm


def in_an_open_folder(stage: Stage) -> Place:
    rpm = _put(stage, stage.folder / "open")
    rpm.parent.chmod(0o777)
    return Place(rpm, rpm)


def in_a_folder_of_an_open_folder(stage: Stage) -> Place:
    rpm = _put(stage, stage.folder / "open" / "closed")
    rpm.parent.parent.chmod(0o777)
    return Place(rpm, rpm)


def by_a_link_into_an_open_folder(stage: Stage) -> Place:
    rpm = _put(stage, stage.folder / "open")
    rpm.parent.chmod(0o777)
    link = stage.folder / "closed" / FILE
    link.parent.mkdir()
    link.symlink_to(rpm)
    shutil.copyfile(f"{rpm}.msig", f"{link}.msig")
    return Place(link, rpm)


def with_a_mode_that_lets_everybody_write(stage: Stage) -> Place:
    rpm = _put(stage, stage.folder / "closed")
    rpm.chmod(0o666)
    return Place(rpm, rpm)


PLACES: Mapping[str, Callable[[Stage], Place]] = {
    place.__name__: place
    for place in (
        in_an_open_folder,
        in_a_folder_of_an_open_folder,
        by_a_link_into_an_open_folder,
        with_a_mode_that_lets_everybody_write,
    )
}
PLUGIN = """
import os, shutil
import dnf


class Swap(dnf.Plugin):
    name = {name!r}

    def pre_transaction(self):
        if os.environ["SWAP_HOW"] == "replace":
            os.remove(os.environ["SWAP_OLD"])
        shutil.copyfile(os.environ["SWAP_NEW"], os.environ["SWAP_OLD"])
"""


def let_in_another_user(system: Installroot, folder: Path, *, early: bool) -> None:
    """Give dnf a second plugin, which runs before or after multisig's and does what a user does at that moment."""
    name = "aaa_swap" if early else "zzz_swap"
    folder.mkdir()
    (folder / f"{name}.py").write_text(PLUGIN.format(name=name), encoding="ascii")
    conf = system.folder / "dnf.conf"
    lines = conf.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("pluginpath="))
    ours = lines[at].partition("=")[2]
    lines[at] = "pluginpath=" + (f"{folder},{ours}" if early else f"{ours},{folder}")
    conf.write_text("\n".join([*lines, ""]), encoding="utf-8")


@pytest.mark.parametrize("how", ["replace", "write"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_after_the_check(stage: Stage, place: Callable[[Stage], Place], how: str) -> None:
    where = place(stage)
    evil = stage.shop.with_tampered_script()
    system = stage.system()
    let_in_another_user(system, stage.folder / "plugins", early=False)
    swap = {"SWAP_HOW": how, "SWAP_OLD": str(where.old), "SWAP_NEW": str(evil)}
    result = system.dnf("install", where.named, env=swap)
    assert where.old.read_bytes() == evil.read_bytes(), result.text  # the other user was there
    assert result.rc == 0 and system.read("/var/hello-post").strip() == "post 1.0-1", result.text


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_before_the_check(stage: Stage, place: Callable[[Stage], Place]) -> None:
    where = place(stage)
    evil = stage.shop.with_tampered_script()
    system = stage.system()
    let_in_another_user(system, stage.folder / "plugins", early=True)
    swap = {"SWAP_HOW": "replace", "SWAP_OLD": str(where.old), "SWAP_NEW": str(evil)}
    result = system.dnf("install", where.named, env=swap)
    assert where.old.read_bytes() == evil.read_bytes(), result.text
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-post"), result.text


def test_another_package_in_its_place(stage: Stage) -> None:
    where = in_an_open_folder(stage)
    other = stage.shop.rpm("world-1.0-1")
    system = stage.system()
    let_in_another_user(system, stage.folder / "plugins", early=False)
    swap = {"SWAP_HOW": "replace", "SWAP_OLD": str(where.old), "SWAP_NEW": str(other)}
    result = system.dnf("install", where.named, env=swap)
    assert system.installed() <= {"hello-1.0-1.noarch"}, result.text
