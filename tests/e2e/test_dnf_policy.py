# SPDX-License-Identifier: GPL-2.0-or-later
"""What dnf says of a policy that will not do much longer, or that was put back."""

from __future__ import annotations

import time
from pathlib import Path

from fixtures.policy import write_policy
from tests.e2e.conftest import THREE, Stage

DAY = 86400


def day(ahead: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + ahead * DAY))


def test_dnf_says_in_one_line_that_a_threshold_goes_out_of_reach(stage: Stage) -> None:
    leaving = {name: f"retired: {day(20)}" for name in ("rafal", "simon", "wiktor")}
    policy = write_policy(stage.folder / "leaving", stage.shop.people, remarks=leaving)
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=policy)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text
    lines = [line for line in result.text.splitlines() if "nobody can reach" in line]
    assert len(lines) == 1, result.text
    told = f'multisig: rule "our packages": from {day(20)} on nobody can reach 3 of builders: rafal'
    assert lines[0].startswith(told)
    assert lines[0].endswith("(see: multisig policy check)")


def test_of_a_policy_that_will_do_dnf_says_nothing(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = system.dnf("install", "hello")
    assert result.rc == 0, result.text
    assert "nobody can reach" not in result.text


QUORUM = "channel: demo-policy\npolicy-quorum: 3 of builders"


def put(stage: Stage, serial: int, extra: str) -> Path:
    """The policy with that serial, at the place where the last one was."""
    path = write_policy(stage.folder / "kept", stage.shop.people, extra=extra)
    path.write_text(path.read_text().replace("serial: 1\n", f"serial: {serial}\n"))
    return path


def test_an_old_policy_with_a_quorum_that_was_put_back_lets_nothing_in(stage: Stage) -> None:
    policy = put(stage, 7, QUORUM)
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}), policy=policy)
    result = system.dnf("install", "hello")
    assert result.rc == 0, result.text
    put(stage, 6, QUORUM)
    result = system.dnf("install", "greet")
    assert result.rc != 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text
    assert "multisig: refused; nothing was installed." in result.text
    assert "the policy has the serial 6, but here a later one was in force, with 7" in result.text
    assert system.dnf("remove", "hello").rc == 0  # removals need no policy
    put(stage, 8, QUORUM)
    assert system.dnf("install", "greet").rc == 0


def test_of_an_administrators_own_policy_it_is_said(stage: Stage) -> None:
    policy = put(stage, 7, "")
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}), policy=policy)
    assert system.dnf("install", "hello").rc == 0
    put(stage, 6, "")
    result = system.dnf("install", "greet")
    assert result.rc == 0, result.text
    assert "a later one was in force, with 7; if that is meant" in result.text


def test_in_warn_mode_a_policy_that_was_put_back_is_said_too(stage: Stage) -> None:
    policy = put(stage, 7, QUORUM)
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}), policy=policy, mode="warn")
    assert system.dnf("install", "hello").rc == 0
    put(stage, 6, QUORUM)
    result = system.dnf("install", "greet")
    assert result.rc == 0, result.text
    assert "somebody has put an old one back" in result.text
