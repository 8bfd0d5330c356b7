# SPDX-License-Identifier: GPL-2.0-or-later
"""Holding back on a real sack: all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

import dnf
import dnf.conf
import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.repository import Repository
from multisig.config import Config
from multisig.dnf4 import holding
from multisig.verdict import HeldBack

HELLO = [Recipe("hello.spec", (("ver", version), ("rel", "1"))) for version in ("1.0", "2.0")]
NEEDS = Recipe("needs.spec", (("ver", "1.0"), ("needs", "hello = 2.0")))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Repository(tmp_path_factory.mktemp("repository"))
    for recipe in (*HELLO, NEEDS):
        for rpm in build(recipe, BUILDERS["marek"], tmp_path_factory.mktemp("built")):
            made.add(rpm)
    return made.finish().folder


@pytest.fixture
def base(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """dnf with a repository, in which hello-2.0 is what lacks signatures."""
    conf = dnf.conf.Conf()
    for name in ("cachedir", "persistdir", "installroot", "logdir"):
        (tmp_path / name).mkdir()
        setattr(conf, name, str(tmp_path / name))
    for name in ("releasever", "arch", "basearch"):
        conf.substitutions[name] = "1"
    with dnf.Base(conf) as made:
        made.repos.add_new_repo("demo", conf, baseurl=[repository.as_uri()])
        made.fill_sack(load_system_repo=False)
        monkeypatch.setattr(holding, "load_config", lambda _: Config(hold_back=True, journal=str(tmp_path / "journal")))
        monkeypatch.setattr(holding, "index_path", lambda _: "there is one")
        monkeypatch.setattr(holding, "_lacking", _lacking)
        yield made


def _lacking(base: Any, config: Config, handles: Any) -> Dict[Any, HeldBack]:
    return {handle: HeldBack(str(handle), "demo", "needs 1 more") for handle in handles if handle.version == "2.0"}


def command(*specs: str, name: str = "install") -> Any:
    """As much of dnf's command line as is looked at."""

    class Options:
        pkg_specs = specs

    class Command:
        _basecmd = name
        opts = Options

    class Cli:
        command = Command

    return Cli


def names(base: Any) -> List[str]:
    return sorted(str(handle) for handle in base.sack.query())


EVERYTHING = ["hello-1.0-1.noarch", "hello-2.0-1.noarch", "needs-1.0-1.noarch"]


def test_what_lacks_signatures_goes_and_what_cannot_be_without_it(base: Any) -> None:
    said: List[str] = []
    holding.hold_back(base, command("*"), said.append)
    assert names(base) == ["hello-1.0-1.noarch"]
    assert len(said) == 1 and "needs hello-0:2.0-1.noarch, which is held back" in said[0]


def test_what_was_asked_for_by_a_name_that_nothing_else_has_stays(base: Any) -> None:
    said: List[str] = []
    holding.hold_back(base, command("hello-2.0"), said.append)
    assert names(base) == EVERYTHING
    holding.hold_back(base, command("hello", "needs"), said.append)
    assert names(base) == EVERYTHING  # needs cannot be had without hello-2.0: that is the reason
    assert said == []


@pytest.mark.parametrize("name", ["downgrade", "reinstall", "history", "remove"])
def test_some_commands_are_none_of_its_business(base: Any, name: str) -> None:
    holding.hold_back(base, command("hello", name=name), pytest.fail)
    assert names(base) == EVERYTHING


def test_where_it_fails_half_way_nothing_is_left_out(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        assert names(base) != EVERYTHING
        raise RuntimeError("half way")

    base.sack.add_excludes(base.sack.query().filter(name="needs"))
    before = [name for name in EVERYTHING if not name.startswith("needs")]
    monkeypatch.setattr(holding, "_left_without", fail)
    with pytest.raises(RuntimeError):
        holding.hold_back(base, command("hello"), pytest.fail)
    assert names(base) == before
