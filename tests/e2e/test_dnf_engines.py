# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf with each OpenPGP engine that multisig.conf can name."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping

import pytest

from fixtures.policy import write_policy
from fixtures.running import CHECKOUT, SEQUOIA
from tests.e2e.conftest import THREE, TWO, Stage

ENGINES = ("auto", "gpgv", "sequoia", "both")


def environment(*more: Path) -> Mapping[str, str]:
    """Where dnf's Python looks for modules."""
    return {"PYTHONPATH": ":".join(map(str, (CHECKOUT, *more)))}


@pytest.mark.parametrize("engine", ENGINES)
def test_three_of_five_are_enough_and_two_are_not(stage: Stage, engine: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), openpgp=engine)
    result = system.dnf("install", "hello", env=environment(SEQUOIA))
    assert system.installed() == {"hello-1.0-1.noarch"}, result.text
    assert "3 of 5 builders signed" in result.text
    system = stage.system(stage.publish({"hello-1.0-1": TWO}), name="other", openpgp=engine)
    result = system.dnf("install", "hello", env=environment(SEQUOIA))
    assert result.rc != 0 and system.installed() == set(), result.text
    assert "needs 1 more of" in result.text


@pytest.mark.parametrize("engine", ENGINES)
def test_a_key_that_is_revoked_is_no_vote(stage: Stage, engine: str) -> None:
    policy = write_policy(stage.folder / "revoked", stage.shop.people, revoked_keys=["rafal"])
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=policy, openpgp=engine)
    result = system.dnf("install", "hello", env=environment(SEQUOIA))
    assert result.rc != 0 and system.installed() == set(), result.text
    assert "2 of 3 builders signed (marek, joanna)" in result.text


@pytest.mark.parametrize("engine", ["sequoia", "both"])
def test_an_engine_that_is_not_installed_is_no_reason_to_do_without(stage: Stage, engine: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), openpgp=engine)
    result = system.dnf("install", "hello", env=environment())
    assert result.rc != 0 and system.installed() == set(), result.text
    assert "install python3-pysequoia" in result.text and "openpgp = gpgv" in result.text


def test_auto_does_without_sequoia_where_it_is_not_installed(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), openpgp="auto")
    result = system.dnf("install", "hello", env=environment())
    assert system.installed() == {"hello-1.0-1.noarch"}, result.text
