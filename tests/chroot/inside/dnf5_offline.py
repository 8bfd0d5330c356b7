# SPDX-License-Identifier: GPL-2.0-or-later
"""Offline transactions of real dnf5, from end to end, on the system that this runs in: for a chroot whose changes are
thrown away. Nothing restarts; what systemd would run then is run.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from fixtures.dnf5 import program
from fixtures.installroot import Repo
from fixtures.running import CHECKOUT, CLEAN, Argument, Result, run
from fixtures.server import Fault
from tests.e2e.conftest import THREE, TWO, Stage
from tests.e2e.test_dnf_releases import Mirror, policy

HELLO = "hello-1.0-1.noarch"
STORED = Path("/var/lib/dnf/offline/packages")
CONFIGURATION = Path("/etc/dnf/plugins")
ACTIONS = Path("/etc/dnf/libdnf5-plugins/actions.d")


class Machine:
    """This system, with the actions of this checkout."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        installed = (CHECKOUT / "dnf5-plugins" / "multisig.actions").read_text(encoding="ascii")
        for folder in (CONFIGURATION, ACTIONS, Path("/etc/yum.repos.d")):
            folder.mkdir(parents=True, exist_ok=True)
        ours = stage.folder / "multisig-dnf5"
        ours.write_text(program(str(CONFIGURATION)), encoding="utf-8")
        ours.chmod(0o755)
        (ACTIONS / "multisig.actions").write_text(installed.replace("/usr/libexec/multisig-dnf5", str(ours)))

    def use(self, policy: Path, *repos: Repo) -> None:
        """This policy, these repositories."""
        settings = f"policy = {policy}\njournal = {self.stage.folder}/journal.sqlite\nopenpgp = gpgv\n"
        (CONFIGURATION / "multisig.conf").write_text(f"[main]\n{settings}")
        text = "".join(f"[{repo.id}]\nname={repo.id}\nbaseurl={repo.url}\ngpgcheck=0\n" for repo in repos)
        Path("/etc/yum.repos.d/all.repo").write_text(text)

    def dnf5(self, *words: Argument) -> Result:
        # Its plugin "local" would make a repository of all that was ever installed.
        options = ["-y", "--releasever=1", "--disable-plugin=local"]
        return run(["dnf5", *options, *words], env=CLEAN, timeout=120, check=False)

    def store(self, *words: Argument) -> Result:
        return self.dnf5("install", "--offline", *words)

    def restart(self) -> Result:
        """What happens after ``dnf5 offline reboot``, without a network. Its exit code says nothing: it wants
        to restart the machine once more in the end, and there is no systemd to be asked for that."""
        self.dnf5("offline", "reboot")
        self.stage.server.fault("*", Fault(status=503))
        self.stage.server.reset()
        result = self.dnf5("offline", "_execute")
        assert self.stage.server.count() == 0
        return result

    @property
    def installed(self) -> bool:
        return run(["rpm", "-q", "hello"], env=CLEAN, check=False).out.strip() == HELLO


@pytest.fixture
def machine(stage: Stage) -> Iterator[Machine]:
    assert os.getuid() == 0 and not run(["rpm", "-qa"], env=CLEAN).out, "for a system without packages alone"
    yield Machine(stage)
    run(["rpm", "--noplugins", "--erase", "--nodeps", "hello"], env=CLEAN, check=False)
    run(["dnf5", "-y", "offline", "clean"], env=CLEAN, check=False)
    for left in (STORED, Path("/var/cache/libdnf5")):
        shutil.rmtree(left, ignore_errors=True)


def test_a_stored_transaction_goes_in_by_what_was_kept(stage: Stage, machine: Machine) -> None:
    """The repository's release statement, the index that it binds, and no bundle anywhere."""
    mirror = Mirror(stage).add("hello-1.0-1")
    mirror.repository.finish().index()
    for bundle in mirror.folder.glob("*.rpm.msig"):
        bundle.unlink()
    mirror.sign()
    machine.use(policy(stage), mirror.repo)
    stored = machine.store("hello")
    assert stored.rc == 0 and not machine.installed, stored.text
    replayed = machine.restart()
    assert machine.installed, replayed.text
    assert "multisig: 1 package, 3 of" in replayed.text


def test_a_local_file_with_its_bundle_is_stored_too(stage: Stage, machine: Machine) -> None:
    machine.use(stage.policy)
    rpm = stage.folder / f"{HELLO}.rpm"
    shutil.copyfile(stage.shop.rpm("hello-1.0-1"), rpm)
    shutil.copyfile(stage.shop.bundle("hello-1.0-1", THREE), f"{rpm}.msig")
    stored = machine.store(rpm)
    assert stored.rc == 0 and not machine.installed, stored.text
    Path(f"{rpm}.msig").unlink()
    replayed = machine.restart()
    assert machine.installed, replayed.text


def test_what_too_few_signed_is_not_even_stored(stage: Stage, machine: Machine) -> None:
    machine.use(stage.policy, stage.publish({"hello-1.0-1": TWO}))
    stored = machine.store("hello")
    assert stored.rc == 1 and "multisig: refused" in stored.text and not list(STORED.glob("*.rpm")), stored.text


def test_a_package_that_was_exchanged_before_the_restart(stage: Stage, machine: Machine) -> None:
    machine.use(stage.policy, stage.publish({"hello-1.0-1": THREE}))
    stored = machine.store("hello")
    assert stored.rc == 0, stored.text
    shutil.copyfile(stage.shop.with_tampered_script(), STORED / f"{HELLO}.rpm")
    replayed = machine.restart()
    assert "multisig: refused" in replayed.text and not machine.installed, replayed.text


def test_a_policy_that_asks_for_more_since_then(stage: Stage, machine: Machine) -> None:
    machine.use(stage.policy, stage.publish({"hello-1.0-1": THREE}))
    stored = machine.store("hello")
    assert stored.rc == 0, stored.text
    machine.use(policy(stage))
    replayed = machine.restart()
    assert "multisig: refused" in replayed.text and not machine.installed, replayed.text
