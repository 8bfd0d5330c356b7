# SPDX-License-Identifier: GPL-2.0-or-later
"""What dnf says of a policy that will not do much longer."""

from __future__ import annotations

import time

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
