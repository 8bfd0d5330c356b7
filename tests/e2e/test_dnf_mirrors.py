# SPDX-License-Identifier: GPL-2.0-or-later
"""Mirrors that answer, and with nothing of use: the next ones are asked, few of them, and what they give is united."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.running import Result
from fixtures.server import Fault
from multisig.held import MAX_MIRRORS
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = {"hello-1.0-1.noarch"}
FILE = "hello-1.0-1.noarch.rpm.msig"
MARKS = ("a", "b", "c", "d", "e", "f", "g", "h")


class Mirrors:
    """Copies of one repository, side by side; their bundles are to be made different."""

    def __init__(self, stage: Stage, number: int, signers: Optional[Sequence[str]] = THREE) -> None:
        self.stage = stage
        stage.publish({"hello-1.0-1": signers}, name="a")
        self._top = stage.web / stage.folder.name
        self.names: List[str] = list(MARKS[:number])
        for name in self.names[1:]:
            shutil.copytree(self._top / "a", self._top / name)

    def urls(self) -> List[str]:
        return [f"{self.stage.server.url}/{self.stage.folder.name}/{name}" for name in self.names]

    def repo(self) -> Repo:
        return Repo("demo", " ".join(self.urls()))

    def bundle(self, name: str) -> Path:
        return self._top / name / FILE

    def put(self, name: str, data: bytes) -> None:
        self.bundle(name).write_bytes(data)

    def fault(self, name: str, fault: Fault) -> None:
        self.stage.server.fault(f"*/{name}/*.msig", fault)


def refused(result: Result, system: Installroot) -> bool:
    return result.rc != 0 and not system.installed() and "multisig: refused" in result.text


USELESS: Dict[str, Callable[[Stage], bytes]] = {
    "junk": lambda stage: b"<html>It works!</html>",
    "nothing": lambda stage: b"",
    "brackets": lambda stage: b"[" * 20_000,
    "too long": lambda stage: b" " * (1 << 20) + stage.shop.bundle("hello-1.0-1", THREE).read_bytes(),
    "too few": lambda stage: stage.shop.bundle("hello-1.0-1", TWO).read_bytes(),
    "another package's": lambda stage: stage.shop.bundle("greet-1.0-1", THREE).read_bytes(),
    "another channel's": lambda stage: stage.shop.bundle("hello-1.0-1", THREE, "demo-testing").read_bytes(),
}


@pytest.mark.parametrize("useless", USELESS.values(), ids=USELESS.keys())
def test_a_mirror_with_a_useless_bundle_does_not_stop_the_next_one(
    stage: Stage, useless: Callable[[Stage], bytes]
) -> None:
    mirrors = Mirrors(stage, 2)
    mirrors.put("a", useless(stage))
    system = stage.system(mirrors.repo())
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text


def test_an_endless_bundle_on_one_mirror_does_not_stop_the_next_one(stage: Stage) -> None:
    mirrors = Mirrors(stage, 2)
    mirrors.fault("a", Fault(endless=True))
    system = stage.system(mirrors.repo())
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text


STALLS = Fault(drip=1000.0)
HASTE = ("--setopt=timeout=1", "--setopt=minrate=1000", "--setopt=retries=1")


@pytest.mark.parametrize("first", [STALLS, Fault(truncate=100)], ids=["stalls", "cuts off"])
def test_a_mirror_that_stalls_or_cuts_off_does_not_stop_the_next_one(stage: Stage, first: Fault) -> None:
    mirrors = Mirrors(stage, 2)
    mirrors.fault("a", first)
    system = stage.system(mirrors.repo())
    result = system.dnf(*HASTE, "install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text


def test_where_all_mirrors_stall_it_ends_by_dnfs_own_time_outs(stage: Stage) -> None:
    mirrors = Mirrors(stage, 4)
    stage.server.fault("*.msig", STALLS)
    system = stage.system(mirrors.repo())
    assert refused(system.dnf(*HASTE, "install", "hello"), system)  # and not after hours


def test_what_several_mirrors_have_counts_together(stage: Stage) -> None:
    mirrors = Mirrors(stage, 3)
    for name, signer in zip(mirrors.names, THREE):
        mirrors.put(name, stage.shop.bundle("hello-1.0-1", [signer]).read_bytes())
    system = stage.system(mirrors.repo())
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text


def test_mirrors_of_a_mirror_list_are_asked_too(stage: Stage) -> None:
    mirrors = Mirrors(stage, 2)
    mirrors.put("a", b"junk")
    (stage.web / "list").write_text("\n".join([*mirrors.urls(), ""]))
    system = stage.system(Repo("demo", "", f"mirrorlist={stage.server.url}/list"))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text


@pytest.mark.parametrize("useless", [b"junk", None], ids=["junk", "too few"])
def test_where_all_mirrors_are_bad_it_is_refused_after_few_requests(stage: Stage, useless: Optional[bytes]) -> None:
    mirrors = Mirrors(stage, len(MARKS), TWO)
    for name in mirrors.names if useless is not None else ():
        mirrors.put(name, useless or b"")
    system = stage.system(mirrors.repo())
    result = system.dnf("install", "hello")
    assert refused(result, system), result.text
    assert 1 + MAX_MIRRORS <= stage.server.count("*.msig") <= 2 + MAX_MIRRORS
    assert stage.server.count("*.rpm") == 0
    if useless is not None:
        assert "the bundle of the mirror 127.0.0.1/" in result.text, result.text


def test_where_the_first_bundle_suffices_no_other_mirror_is_asked(stage: Stage) -> None:
    mirrors = Mirrors(stage, 3)
    system = stage.system(mirrors.repo())
    assert system.dnf("install", "hello").rc == 0
    assert stage.server.count("*.msig") == 1


def test_a_repository_on_one_server_is_asked_no_more_often_than_before(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    assert refused(system.dnf("install", "hello"), system)
    assert stage.server.count("*.msig") == 1


def test_offline_no_mirror_is_asked_and_what_they_had_is_at_hand(stage: Stage) -> None:
    mirrors = Mirrors(stage, 2)
    mirrors.put("a", b"junk")
    system = stage.system(mirrors.repo())
    assert system.dnf("--downloadonly", "install", "hello").rc == 0
    stage.server.fault("*", Fault(status=503))
    stage.server.reset()
    result = system.dnf("--cacheonly", "install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text
    assert stage.server.count() == 0


def test_offline_where_the_mirrors_had_too_little_it_is_refused(stage: Stage) -> None:
    mirrors = Mirrors(stage, 2, TWO)
    system = stage.system(mirrors.repo(), mode="warn")
    assert system.dnf("--downloadonly", "install", "hello").rc == 0
    system.configure(policy=str(stage.policy))
    stage.server.reset()
    assert refused(system.dnf("--cacheonly", "install", "hello"), system)
    assert stage.server.count() == 0


def test_the_repository_s_login_serves_for_every_mirror(stage: Stage) -> None:
    mirrors = Mirrors(stage, 2)
    mirrors.put("a", b"junk")
    stage.server.fault("*", Fault(login="joe:secret"))
    system = stage.system(Repo("demo", mirrors.repo().url, "username=joe\npassword=secret"))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text
