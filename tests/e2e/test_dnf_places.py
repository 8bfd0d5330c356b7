# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence from elsewhere, [bundles]: rebuilders whom the vendor does not know, and a machine without a network."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Dict, Sequence

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.running import Result, multisig, run
from fixtures.server import Fault
from fixtures.workshop import RECIPES
from multisig import bundle as bundles
from multisig.bundle import Attestation, Bundle
from multisig.openpgp import Signer
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-0:1.0-1.noarch"
INSTALLED = {"hello-1.0-1.noarch"}
FILE = "hello-1.0-1.noarch.rpm.msig"
REBUILDERS: Sequence[str] = ("rafal", "simon")


def elsewhere(stage: Stage, name: str = "rebuilders", signers: Sequence[str] = ("rafal",)) -> Path:
    """A folder below the server's, with bundles and without packages."""
    folder = stage.web / stage.folder.name / name
    folder.mkdir(parents=True)
    shutil.copyfile(stage.shop.bundle("hello-1.0-1", signers), folder / FILE)
    return folder


def with_index(folder: Path, *, alone: bool = True) -> Path:
    """The folder's evidence in an index; ``alone``: and in no bundle any more."""
    run(["createrepo_c", "--quiet", folder])
    multisig("index", folder)
    if alone:
        (folder / FILE).unlink()
    return folder


def site(stage: Stage, folder: Path) -> str:
    return f"{stage.server.url}/{folder.relative_to(stage.web)}"


def system(stage: Stage, places: str, *, signers: Sequence[str] = TWO) -> Installroot:
    """A system whose repository has too few signatures by itself."""
    made = stage.system(stage.publish({"hello-1.0-1": signers}))
    made.add_places({"demo": places})
    return made


def installed(result: Result, on: Installroot) -> bool:
    return result.rc == 0 and on.installed() == INSTALLED


def refused(result: Result, on: Installroot) -> bool:
    return result.rc != 0 and not on.installed() and "refused" in result.text and HELLO in result.text


def test_without_them_it_is_refused(stage: Stage) -> None:
    on = system(stage, str(elsewhere(stage, signers=["marek"])))
    assert refused(on.dnf("install", "hello"), on)


@pytest.mark.parametrize("index", ["bundles", "index", "both"])
@pytest.mark.parametrize("way", ["path", "file", "http"])
def test_signatures_from_elsewhere_add_to_the_repositorys(stage: Stage, way: str, index: str) -> None:
    folder = elsewhere(stage)
    if index != "bundles":
        with_index(folder, alone=index == "index")
    place = {"path": str(folder), "file": folder.as_uri(), "http": site(stage, folder)}[way]
    on = system(stage, place)
    result = on.dnf("install", "hello")
    assert installed(result, on), result.text


def test_all_of_it_may_be_elsewhere(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": None})
    on = stage.system(repo)
    places = f"{elsewhere(stage, 'one', ['marek'])} {site(stage, elsewhere(stage, 'two', REBUILDERS))}"
    on.add_places({"demo": places})
    result = on.dnf("install", "hello")
    assert installed(result, on), result.text


def test_the_places_of_another_repository_are_not_looked_at(stage: Stage) -> None:
    folder = elsewhere(stage)
    on = stage.system(stage.publish({"hello-1.0-1": TWO}))
    on.add_places({"other": site(stage, folder), "Demo": site(stage, folder)})
    assert refused(on.dnf("install", "hello"), on)
    assert stage.server.count("*/rebuilders/*") == 0


def test_where_the_repository_suffices_nobody_else_is_asked_for_bundles(stage: Stage) -> None:
    folder = elsewhere(stage)
    on = stage.system(stage.publish({"hello-1.0-1": THREE}, index=True))
    on.add_places({"demo": site(stage, folder)})
    assert installed(on.dnf("install", "hello"), on)
    assert stage.server.count("*.rpm.msig") == 0


def test_a_site_with_an_index_is_asked_for_nothing_else(stage: Stage) -> None:
    folder = with_index(elsewhere(stage), alone=False)
    on = system(stage, site(stage, folder))
    assert installed(on.dnf("install", "hello"), on)
    assert stage.server.count("*/rebuilders/*.rpm.msig") == 0
    on.dnf("remove", "hello")
    stage.server.reset()
    assert installed(on.dnf("install", "hello"), on)
    assert stage.server.count("*/rebuilders/*") == stage.server.count("*/rebuilders/repodata/repomd.xml") == 1


def test_local_files_have_places_too(stage: Stage) -> None:
    on = stage.system()
    rpm = stage.folder / "hello-1.0-1.noarch.rpm"
    shutil.copyfile(stage.shop.rpm("hello-1.0-1"), rpm)
    on.add_places({"@commandline": str(elsewhere(stage, signers=THREE))})
    result = on.dnf("install", rpm)
    assert installed(result, on), result.text


def test_a_new_signature_is_seen_in_the_next_transaction(stage: Stage) -> None:
    for index in (False, True):
        folder = elsewhere(stage, f"grows-{index}", ["marek"])
        on = stage.system(stage.publish({"hello-1.0-1": TWO}), name=f"system-{index}")
        on.add_places({"demo": site(stage, folder)})
        if index:
            with_index(folder, alone=False)
        assert refused(on.dnf("install", "hello"), on)
        shutil.copyfile(stage.shop.bundle("hello-1.0-1", ["rafal"]), folder / FILE)
        if index:
            with_index(folder)
        result = on.dnf("install", "hello")
        assert installed(result, on), result.text


# --- nothing there is ever an error ----------------------------------------------------------------------------------

FAULTS: Dict[str, Fault] = {
    "404": Fault(status=404),
    "500": Fault(status=500),
    "truncated": Fault(truncate=20),
    "endless": Fault(endless=True),
    "nonsense": Fault(body=b"<html>It works!</html>"),
    "brackets": Fault(body=b"[" * 20_000),
    "nothing": Fault(body=b""),
    "a circle": Fault(redirect="/circle"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize(
    "file", ["*/rebuilders/repodata/repomd.xml", "*/rebuilders/repodata/*-multisig*", "*.noarch.rpm.msig"]
)
def test_a_broken_site_takes_nothing_away_and_is_no_error(stage: Stage, fault: Fault, file: str) -> None:
    folder = with_index(elsewhere(stage, signers=REBUILDERS), alone=False)
    stage.server.fault(file.replace("*.noarch", "*/rebuilders/*.noarch"), fault)
    on = system(stage, f"{site(stage, folder)} {stage.folder / 'nowhere'}", signers=THREE)
    result = on.dnf("install", "hello")
    assert installed(result, on), result.text
    assert "Traceback" not in result.text


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_site_lets_nothing_in(stage: Stage, fault: Fault) -> None:
    folder = elsewhere(stage)
    stage.server.fault("*/rebuilders/*", fault)
    on = system(stage, site(stage, folder))
    result = on.dnf("install", "hello")
    assert refused(result, on), result.text


@pytest.mark.parametrize("index", [False, True], ids=["bundles", "index"])
@pytest.mark.parametrize("other", ["hello-2.0-1", "greet-1.0-1", "another channel"])
def test_evidence_under_a_false_name_or_for_another_channel_approves_nothing(
    stage: Stage, other: str, index: bool
) -> None:
    folder = elsewhere(stage)
    bundle = stage.shop.bundle(other, THREE) if other in RECIPES else stage.shop.bundle("hello-1.0-1", THREE, "demo-x")
    shutil.copyfile(bundle, folder / FILE)
    if index:
        with_index(folder)
    on = system(stage, site(stage, folder))
    result = on.dnf("install", "hello")
    assert refused(result, on), result.text


def test_a_slow_site_ends_by_dnfs_own_limits(stage: Stage) -> None:
    stage.server.fault("*/rebuilders/*", Fault(drip=0.5))
    on = system(stage, site(stage, elsewhere(stage)), signers=THREE)
    result = on.dnf("--setopt=timeout=1", "--setopt=minrate=1000", "--setopt=retries=1", "install", "hello", timeout=60)
    assert installed(result, on), result.text


def test_a_folder_with_traps_is_no_danger(stage: Stage) -> None:
    folder = elsewhere(stage)
    repodata = folder / "repodata"
    repodata.mkdir()
    for location in ("../../../../etc/passwd", "/etc/passwd", "x", "repodata"):
        text = f"""<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="multisig">
            <checksum type="sha256">{"0" * 64}</checksum><location href="{location}"/></data></repomd>"""
        (repodata / "repomd.xml").write_text(text)
        on = stage.system(stage.publish({"hello-1.0-1": TWO}), name=f"system-{len(location)}")
        on.add_places({"demo": str(folder)})
        result = on.dnf("install", "hello")
        assert installed(result, on), result.text


def test_an_index_that_is_not_what_the_site_says_is_not_taken(stage: Stage) -> None:
    folder = with_index(elsewhere(stage))
    (found,) = (folder / "repodata").glob("*-multisig*")
    found.write_bytes(gzip.compress(b'{"multisig":"index/v1"}\n'))
    on = system(stage, site(stage, folder))
    result = on.dnf("install", "hello")
    assert refused(result, on) and "not the file that repomd.xml names" in result.text, result.text


# --- offline ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [False, True], ids=["bundles", "index"])
def test_offline_after_a_download_what_was_elsewhere_is_at_hand(stage: Stage, index: bool) -> None:
    folder = elsewhere(stage)
    if index:
        with_index(folder)
    on = system(stage, site(stage, folder))
    assert on.dnf("--downloadonly", "install", "hello").rc == 0
    stage.server.fault("*", Fault(status=503))
    stage.server.reset()
    result = on.dnf("-C", "install", "hello")
    assert stage.server.count() == 0
    assert installed(result, on), result.text


def test_an_index_that_a_loss_of_power_has_damaged_is_fetched_again(stage: Stage) -> None:
    """It lies under the name of what it should be, and the site would not be asked for anything else."""
    on = system(stage, site(stage, with_index(elsewhere(stage))))
    assert on.dnf("install", "--downloadonly", "hello").rc == 0
    (kept,) = (on.root / "var/cache/dnf/multisig").rglob("*.index")
    kept.write_bytes(bytes(kept.stat().st_size))
    assert installed(on.dnf("install", "hello"), on)


def test_a_site_that_is_down_has_what_it_had(stage: Stage) -> None:
    folder = with_index(elsewhere(stage))
    on = system(stage, site(stage, folder))
    assert installed(on.dnf("install", "hello"), on)
    assert on.dnf("remove", "hello").rc == 0
    stage.server.fault("*/rebuilders/*", Fault(status=503))
    result = on.dnf("install", "hello")
    assert installed(result, on), result.text


def test_a_machine_without_a_network_reads_a_medium(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": None})
    folder = stage.web / repo.url[len(stage.server.url) + 1 :]
    on = stage.system(Repo("demo", folder.as_uri()))
    on.add_places({"demo": elsewhere(stage, signers=THREE).as_uri()})
    result = on.dnf("install", "hello")
    assert installed(result, on), result.text
    assert stage.server.count() == 0


@pytest.mark.parametrize("line", ["demo = bundles", "demo = ftp://example.org/x", "de mo = /x"])
def test_a_place_that_is_none_refuses_and_lets_remove(stage: Stage, line: str) -> None:
    on = stage.system_with("greet-1.0-1")
    on.set_repos([stage.publish({"hello-1.0-1": THREE})])
    with (on.folder / "plugins.d" / "multisig.conf").open("a") as conf:
        conf.write(f"[bundles]\n{line}\n")
    result = on.dnf("install", "hello")
    assert result.rc != 0 and "multisig.conf" in result.text and on.installed() == {"greet-1.0-1.noarch"}, result.text
    assert on.dnf("remove", "greet").rc == 0


@pytest.mark.parametrize("index", [False, True])
def test_bad_signatures_in_a_place_take_no_ones_vote_away(stage: Stage, index: bool) -> None:
    """More of each person than are tried, over the very statement that they did sign, before their good ones."""
    folder = elsewhere(stage, signers=THREE)
    statement = bundles.parse((folder / FILE).read_bytes()).attestations[0].statement
    people = [stage.shop.people[name] for name in THREE]
    bad = [
        Signer(person.fingerprint, str(person.home)).sign(f"something else {number}".encode())
        for person in people
        for number in range(5)
    ]
    (folder / FILE).write_bytes(bundles.encode(Bundle((Attestation(statement, tuple(bad)),))))
    if index:
        with_index(folder)
    on = system(stage, str(folder), signers=THREE)
    result = on.dnf("install", "hello")
    assert installed(result, on), result.text
