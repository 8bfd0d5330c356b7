# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's own packages: built reproducibly, installed by dnf into a whole system, which enforces from then on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Iterator, Sequence

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.installed import System, source
from fixtures.policy import rule, write_policy
from fixtures.repository import Repository
from fixtures.running import multisig
from fixtures.workshop import Workshop

RELEASES = ("bookworm", "trixie")
THREE, TWO = ("marek", "joanna", "rafal"), ("marek", "joanna")


class Installed:
    """A system with multisig's packages, a policy of 3 of 5, and two repositories of which one lacks a signature."""

    def __init__(self, system: System, first: Sequence[Path], second: Sequence[Path]) -> None:
        self.system = system
        self.first = first
        self.second = second


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    folder = Path("/tmp") / "msig-installed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    workshop = Workshop(folder)
    try:
        yield workshop
    finally:
        workshop.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="module", params=RELEASES)
def installed(request: pytest.FixtureRequest, shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp(request.param)
    system = System(request.param, folder)
    tarball = source(system.out / "source")
    first = system.build(tarball, "first")
    second = system.build(tarball, "second", "--define", "_buildhost elsewhere", "--define", "_binary_payload w1.gzdio")
    repositories(system, shop)
    made = system.dnf("--repo=product", "install", "base", "multisig", "multisig-dnf")
    assert made.rc == 0, made.text
    shutil.copytree(
        write_policy(folder / "policy", shop.people, [rule("3 of builders")]).parent,
        folder / "layer" / "upper" / "etc" / "multisig", dirs_exist_ok=True,
    )  # fmt: skip
    return Installed(system, first, second)


def repositories(system: System, shop: Workshop) -> None:
    """The product itself, a package that three signed, and one that two did; read from a folder of the system's."""
    product = Repository(system.out / "product")
    product.add(build(Recipe("base.spec"), BUILDERS["marek"], shop.folder / "base")[0])
    for package in system.out.joinpath("first").glob("*.rpm"):
        if not package.name.endswith(".src.rpm"):
            product.add(package)
    product.finish()
    lines = ["[product]", "name=product", "baseurl=file:///out/product", "gpgcheck=0", ""]
    for name, signers in (("three", THREE), ("two", TWO)):
        repository = Repository(system.out / name)
        signed = "hello-1.0-1" if name == "three" else "greet-1.0-1"
        repository.add(shop.rpm(signed), shop.bundle(signed, signers))
        repository.finish()
        lines += [f"[{name}]", f"name={name}", f"baseurl=file:///out/{name}", "gpgcheck=0", ""]
    system.write("/etc/yum.repos.d/all.repo", "\n".join(lines))


def test_two_builds_of_the_packages_have_one_content(installed: Installed) -> None:
    names = [path.name for path in installed.first]
    assert names == [path.name for path in installed.second]
    assert {"multisig", "multisig-dnf"} <= {name.rsplit("-", 2)[0] for name in names}
    for one, other in zip(installed.first, installed.second):
        if not one.name.endswith(".src.rpm"):
            assert one.read_bytes() != other.read_bytes()
            assert multisig("manifest", one).out == multisig("manifest", other).out, one.name


def test_from_then_on_the_system_enforces(installed: Installed) -> None:
    system = installed.system
    refused = system.dnf("install", "greet")
    assert refused.rc == 1 and "refused" in refused.text and "rafal" in refused.text
    accepted = system.dnf("install", "hello")
    assert accepted.rc == 0, accepted.text
    assert "multisig: 1 package, 3 of 5 builders signed" in accepted.text
    found = system.run("rpm", "--query", "hello", "greet")
    assert "hello-1.0-1.noarch" in found.out and "package greet is not installed" in found.out


def test_the_program_runs_as_it_was_installed(installed: Installed) -> None:
    system = installed.system
    assert system.run("multisig", "policy", "check").rc == 0
    verified = system.run("multisig", "verify", "/out/three/hello-1.0-1.noarch.rpm")
    assert verified.rc == 0, verified.text
    status = system.dnf("multisig", "status", "greet")
    assert status.rc == 1 and "rafal" in status.text


def test_dnf_does_not_remove_it_without_being_forced(installed: Installed) -> None:
    for package in ("multisig", "multisig-dnf"):
        removed = installed.system.dnf("remove", package)
        assert removed.rc != 0 and "protected" in removed.text
    assert installed.system.run("rpm", "--query", "multisig", "multisig-dnf").rc == 0


def test_an_update_keeps_the_policy_and_the_keys(installed: Installed) -> None:
    system = installed.system
    before = system.run("sh", "-c", "cat /etc/multisig/policy.yaml /etc/multisig/keys/*").out
    again = system.run("rpm", "--upgrade", "--replacepkgs", "--nodeps", *(
        f"/out/second/{path.name}" for path in installed.second if not path.name.endswith(".src.rpm")
    ))  # fmt: skip
    assert again.rc == 0, again.text
    assert system.run("sh", "-c", "cat /etc/multisig/policy.yaml /etc/multisig/keys/*").out == before
