# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy init: the first policy lets real dnf go on with what vendors signed, and stops everything else."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Iterator, Mapping, Optional

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.rpmedit import Rpm
from fixtures.running import multisig
from fixtures.vendor import Vendor, make_vendor
from multisig.policy import load_policy
from tests.e2e.conftest import Stage


@pytest.fixture(scope="module")
def vendors() -> Iterator[Mapping[str, Vendor]]:
    """Two vendors whose keys lie in one file, another one, and one whose key is too small."""
    folder = Path(tempfile.mkdtemp(prefix="msi-", dir="/tmp"))
    sizes = {"fedora": "rsa4096", "epel": "ed25519", "other": "rsa3072", "small": "rsa2048"}
    made = {name: make_vendor(folder / name, f"{name} <{name}@example.org>", size) for name, size in sizes.items()}
    try:
        yield made
    finally:
        for vendor in made.values():
            vendor.close()
        shutil.rmtree(folder, ignore_errors=True)


class Machine:
    """A system with repositories by vendors, under the policy that init wrote for it."""

    def __init__(self, stage: Stage, vendors: Mapping[str, Vendor]) -> None:
        self.stage = stage
        self.vendors = vendors
        self.pki = stage.folder / "pki"
        self.pki.mkdir()
        texts = [vendors[name].export(self.pki / name).read_text(encoding="ascii") for name in vendors]
        (self.pki / "both").write_text("two keys\n" + "\n".join(texts[:2]), encoding="ascii")
        self.policy = stage.folder / "etc" / "policy.yaml"
        both, small = (f"gpgcheck=1\ngpgkey=file://{self.pki / name}" for name in ("both", "small"))
        self.repos = {
            "fedora": self.serve("fedora", "hello-1.0-1", "fedora", both),
            "updates": self.serve("updates", "hello-1.0-2", "epel", both + "\nenabled=0"),
            "small": self.serve("small", "greet-1.0-1", "small", small),
            "lab": self.serve("lab", "team-01-1.0-1", None, ""),
            "remote": self.serve("remote", "team-02-1.0-1", "other", "gpgkey=https://127.0.0.1:9/key"),
        }
        self.system = Installroot(stage.folder / "system", self.policy, list(self.repos.values()))
        self.init()

    def init(self) -> None:
        self.told = multisig("policy", "init", "--config", self.system.folder / "dnf.conf", "--policy", self.policy)
        assert multisig("policy", "check", "--policy", self.policy).rc == 0

    def serve(self, id: str, package: str, vendor: Optional[str], options: str) -> Repo:
        return self.serve_file(id, self.signed(package, vendor), options)

    def serve_file(self, id: str, rpm: Path, options: str = "") -> Repo:
        repository = self.stage.repository()
        repository.add(rpm)
        return replace(self.stage.repo(repository.finish(), id), options=options)

    def signed(self, package: str, vendor: Optional[str]) -> Path:
        rpm = self.stage.shop.rpm(package)
        return rpm if vendor is None else self.vendors[vendor].signed(rpm, self.stage.folder / f"by-{vendor}")

    def replace(self, id: str, rpm: Path) -> None:
        """What the repository serves from now on."""
        self.repos[id] = replace(self.serve_file(id, rpm), options=self.repos[id].options)
        self.system.set_repos(list(self.repos.values()))

    def refuses(self, *args: str, saying: str) -> None:
        before = self.system.installed()
        result = self.system.dnf(*args)
        assert result.rc != 0 and self.system.installed() == before, result.text
        assert "multisig: refused" in result.text and saying in result.text, result.text


@pytest.fixture
def machine(stage: Stage, vendors: Mapping[str, Vendor]) -> Machine:
    return Machine(stage, vendors)


def test_each_repository_is_under_its_keys_or_exempt_with_a_reason(machine: Machine) -> None:
    rules = {rule.repos: rule for rule in load_policy(str(machine.policy)).rules}
    both = rules["fedora", "updates"].signed_by
    assert both is not None
    assert [key.fingerprint for key in both] == [machine.vendors[name].fingerprint for name in ("fedora", "epel")]
    exempt = {repos: rule.exempt.reason for repos, rule in rules.items() if rule.exempt is not None}
    assert "RSA key of 2048 bits" in exempt[("small",)]
    assert "names no key" in exempt[("lab",)]
    assert "nothing is fetched" in exempt[("remote",)]
    assert "small: " in machine.told.out and "remote: " in machine.told.out


def test_nothing_changes_for_what_the_machine_is_set_up_with(machine: Machine) -> None:
    result = machine.system.dnf("install", "hello", "greet", "team-01", "team-02")
    assert result.rc == 0, result.text
    result = machine.system.dnf("--enablerepo=updates", "upgrade", "hello")
    assert result.rc == 0, result.text
    local = machine.system.dnf("install", str(machine.stage.shop.rpm("team-03-1.0-1")))
    assert local.rc == 0, local.text
    installed = {name for name in machine.system.installed() if not name.startswith("gpg-pubkey-")}
    assert installed == {
        f"{name}.noarch" for name in ("hello-1.0-2", "greet-1.0-1", "team-01-1.0-1", "team-02-1.0-1", "team-03-1.0-1")
    }


@pytest.mark.parametrize("vendor", [None, "other", "small"])
def test_another_s_package_in_a_vendor_s_repository_is_refused(machine: Machine, vendor: Optional[str]) -> None:
    machine.replace("fedora", machine.signed("hello-1.0-1", vendor))
    saying = "but is not signed" if vendor is None else "a key nobody here knows"
    machine.refuses("install", "hello", "--setopt=fedora.gpgcheck=0", saying=saying)
    machine.refuses("install", "hello", "--nogpgcheck", saying=saying)


def test_a_tampered_package_is_refused(machine: Machine) -> None:
    package = Rpm.read(machine.signed("hello-1.0-1", "fedora"))
    package.set_archive(package.archive.replace(b"Hello, world!", b"Hello, enemy!"))
    machine.replace("fedora", package.write(machine.stage.folder / "hello-1.0-1.noarch.rpm"))
    result = machine.system.dnf("install", "hello", "--nogpgcheck")
    assert result.rc != 0 and machine.system.installed() == set(), result.text


def test_a_trusted_repository_s_name_does_not_help(machine: Machine) -> None:
    evil = machine.serve_file("x", machine.stage.shop.rpm("hello-2.0-1"))
    machine.system.set_repos([])
    machine.refuses(f"--repofrompath=fedora,{evil.url}", "install", "hello", saying="but is not signed")
    machine.refuses(f"--repofrompath=new,{evil.url}", "install", "hello", saying="no rule of the policy matches it")


def test_an_exempt_repository_does_not_replace_what_a_rule_protects(machine: Machine) -> None:
    """The people that stand in the policy as examples, put to use for one name."""
    text = machine.policy.read_text(encoding="utf-8")
    people = text[text.index("#signers:") : text.index("# A package that no rule")]
    text = text.replace(people, people.replace("\n#", "\n")[1:])
    for number, name in enumerate(("marek", "joanna", "rafal"), 1):
        person = machine.stage.shop.people[name]
        person.export(machine.policy.parent / "keys" / f"{name}.asc")
        text = text.replace(f"{number:040d}", person.fingerprint)
    text += "  - {name: hello, packages: [hello], channel: demo-stable, require: 2 of builders}\n"
    machine.policy.write_text(text, encoding="utf-8")
    assert multisig("policy", "check", "--policy", machine.policy).rc == 0
    machine.replace("lab", machine.stage.shop.rpm("hello-2.0-1"))
    machine.refuses("install", "hello", saying='rule "hello"')
    assert machine.system.dnf("install", "team-02").rc == 0


def test_a_policy_that_is_there_is_left_alone(machine: Machine) -> None:
    before = machine.policy.read_bytes()
    again = multisig(
        "policy", "init", "--config", machine.system.folder / "dnf.conf", "--policy", machine.policy, check=False
    )
    assert again.rc == 2 and "already" in again.err
    assert machine.policy.read_bytes() == before
