# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's own packages: built reproducibly, installed by dnf into a whole system, which enforces from then on."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.installed import System, source
from fixtures.policy import rule, write_policy
from fixtures.repository import Repository
from fixtures.running import multisig, run
from fixtures.server import Server
from fixtures.ways import BAD, GOOD, HEADINGS, PAGE, WAYS, record, try_way
from fixtures.workshop import Workshop

PRODUCT = ("multisig", "multisig-dnf", "multisig-dnf5", "multisig-rpm")
OURS = rule("3 of builders", packages=["hello", "team-*"])
PRODUCT_RULE = """\
  - name: the product itself
    packages: ["multisig", "multisig-*"]
    exempt: built here, for this test
    until: never
"""
THREE, TWO = ("marek", "joanna", "rafal"), ("marek", "joanna")
OFFERED = ("hello-1.0-1", "hello-2.0-1", "team-01-1.0-1")


class Installed:
    """A system with multisig's packages, a policy of 3 of 5, and two repositories, of the same packages, one of which
    lacks a signature. ``url`` is where the server has them; ``policy`` what the packages wrote when they came in."""

    def __init__(self, system: System, url: str, builds: Tuple[Sequence[Path], Sequence[Path]], policy: str) -> None:
        self.system = system
        self.url = url
        self.first, self.second = builds
        self.policy = policy


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    # A short path: gpg-agent's sockets lie below it.
    folder = Path(tempfile.mkdtemp(prefix="msig-", dir="/tmp"))
    workshop = Workshop(folder)
    try:
        yield workshop
    finally:
        workshop.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="module", params=HEADINGS)
def installed(
    request: pytest.FixtureRequest, shop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp(request.param)
    system = System(request.param, folder)
    tarball = source(system.out / "source")
    builds = (
        system.build(tarball, "first"),
        system.build(tarball, "second", "--define", "_buildhost elsewhere", "--define", "_binary_payload w1.gzdio"),
    )
    with Server(system.out) as server:
        repositories(system, shop, server.url)
        made = system.dnf("--repo=product", "install", "base", *PRODUCT)
        assert made.rc == 0, made.text
        policy = system.run("cat", "/etc/multisig/policy.yaml").out
        shutil.copytree(
            write_policy(folder / "policy", shop.people, [OURS, PRODUCT_RULE]).parent,
            folder / "layer" / "upper" / "etc" / "multisig", dirs_exist_ok=True,
        )  # fmt: skip
        yield Installed(system, server.url, builds, policy)


def repositories(system: System, shop: Workshop, url: str) -> None:
    """The product itself, and what it is to judge: twice the same packages, which three people signed, or two; and
    these again with their bundles in them."""
    product = Repository(system.out / "product")
    packages = [path for path in system.out.joinpath("first").glob("*.rpm") if not path.name.endswith(".src.rpm")]
    for package in packages:
        product.add(package)
    product.add(build(base(packages), BUILDERS["marek"], shop.folder / system.release)[0])
    product.finish()
    places = {"product": "file:///out/product"}
    for name, signers in ((GOOD, THREE), (BAD, TWO)):
        repository, carried = Repository(system.out / name), Repository(system.out / f"{name}-carried")
        for offered in OFFERED:
            bundle = shop.bundle(offered, signers)
            repository.add(shop.rpm(offered), bundle)
            multisig("embed", "--bundle", bundle, carried.add(shop.rpm(offered)))
        repository.finish(comps=True)
        carried.finish()
        places[name] = f"{url}/{name}"
        places[f"{name}-carried"] = f"{url}/{name}-carried"
    lines = [f"[{name}]\nname={name}\nbaseurl={place}\ngpgcheck=0\nenabled=0\n" for name, place in places.items()]
    system.write("/etc/yum.repos.d/all.repo", "\n".join(lines))


def base(packages: Sequence[Path]) -> Recipe:
    """A package that provides what these need, and Debian has by its own means."""
    asked = run(["rpm", "--query", "--requires", "--package", *packages]).out.splitlines()
    own = re.compile(r"rpmlib\(|(config\()?multisig")
    needed = {" ".join(word.replace(">=", "=").split()) for word in asked if not own.match(word)}
    return Recipe("base.spec", (("provided", ", ".join(sorted(needed))),))


def test_two_builds_of_the_packages_have_one_content(installed: Installed) -> None:
    names = [path.name for path in installed.first]
    assert names == [path.name for path in installed.second]
    assert set(PRODUCT) == {name.rsplit("-", 2)[0] for name in names}
    for one, other in zip(installed.first, installed.second):
        if not one.name.endswith(".src.rpm"):
            assert one.read_bytes() != other.read_bytes()
            assert multisig("manifest", one).out == multisig("manifest", other).out, one.name


def test_the_packages_come_with_a_policy_that_changes_nothing(installed: Installed) -> None:
    assert installed.policy.startswith("#") and "\nmultisig: policy/v1\n" in installed.policy
    for repository in ("product", GOOD, BAD):  # without a key of their own: exempt, until a date
        assert repository in installed.policy
    assert "until: 20" in installed.policy


def test_from_then_on_the_system_enforces(installed: Installed) -> None:
    system = installed.system
    refused = system.dnf("--repo=bad", "install", "hello-1.0")
    assert refused.rc == 1 and "refused" in refused.text and "rafal" in refused.text
    assert system.run("rpm", "--query", "hello").rc != 0
    accepted = system.dnf("--repo=good", "install", "hello-1.0")
    assert accepted.rc == 0, accepted.text
    assert "multisig: 1 package, 3 of 5 builders signed" in accepted.text
    assert system.run("rpm", "--query", "hello").out == "hello-1.0-1.noarch\n"


def test_the_program_runs_as_it_was_installed(installed: Installed) -> None:
    system = installed.system
    assert system.run("multisig", "policy", "check").rc == 0
    verified = system.run("multisig", "verify", "/out/good/hello-1.0-1.noarch.rpm")
    assert verified.rc == 0, verified.text
    status = system.dnf("--repo=bad", "multisig", "status", "hello")
    assert status.rc == 1 and "rafal" in status.text


def test_every_way_in_is_as_the_documentation_has_it(installed: Installed) -> None:
    release = installed.system.release
    seen = {}
    for way in WAYS:
        found = try_way(installed.system, way, installed.url)
        if found is not None:
            seen[way.name] = found
    wrong = {name: cell.seen for name, cell in seen.items() if "NOT" in cell.text(release)}
    assert not wrong, "\n".join(f"=== {name}\n{text}" for name, text in wrong.items())
    cells = {name: cell.text(release) for name, cell in seen.items()}
    record(release, cells)
    column = list(HEADINGS).index(release) + 1
    stated = {row[0].strip("`"): row[column] for row in rows(PAGE.read_text(encoding="utf-8"))}
    assert stated == {way.name: cells.get(way.name, "not there") for way in WAYS}


def rows(page: str) -> List[List[str]]:
    """The rows of the page's table, without its heading."""
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_dnf_does_not_remove_it_without_being_forced(installed: Installed) -> None:
    for package in PRODUCT:
        removed = installed.system.dnf("remove", package)
        assert removed.rc != 0 and "protected" in removed.text
    assert installed.system.run("rpm", "--query", *PRODUCT).rc == 0


def test_an_update_keeps_the_policy_and_the_keys(installed: Installed) -> None:
    system = installed.system
    before = system.run("sh", "-c", "cat /etc/multisig/policy.yaml /etc/multisig/keys/*").out
    again = system.run("rpm", "--upgrade", "--replacepkgs", "--nodeps", *(
        f"/out/second/{path.name}" for path in installed.second if not path.name.endswith(".src.rpm")
    ))  # fmt: skip
    assert again.rc == 0, again.text
    assert system.run("sh", "-c", "cat /etc/multisig/policy.yaml /etc/multisig/keys/*").out == before
