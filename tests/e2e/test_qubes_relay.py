# SPDX-License-Identifier: GPL-2.0-or-later
"""Into a machine without a network by another one that nobody trusts, as docs/qubes.md describes. Real dnf on both."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, Sequence

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.policy import rule, write_policy
from fixtures.relay import Relay, page_function
from fixtures.rpmplugin import RpmPlugin
from fixtures.running import Argument, Result, multisig
from fixtures.vendor import Vendor, make_vendor
from tests.e2e.conftest import THREE, TWO, Stage

CACHED = "qubes-dom0-cached"
CURRENT = "qubes-dom0-current"
FILE = "hello-1.0-1.noarch.rpm"
HELLO = {"hello-1.0-1.noarch"}
ALONE = ("--disableplugin=*", "--enableplugin=multisig")


class Way:
    """The UpdateVM and dom0, and what lies between them. dom0 knows one repository, and a folder of bundles."""

    def __init__(self, stage: Stage, policy: Optional[Path] = None) -> None:
        self.stage = stage
        self.policy = policy or stage.policy
        self.relay = Relay(stage.folder / "relay")
        self.dom0 = stage.system(Repo(CACHED, self.relay.updates.as_uri()), policy=self.policy, name="dom0")
        self.dom0.add_places({CACHED: str(self.relay.bundles)})

    def update_vm(self, repo: Repo, **settings: str) -> Installroot:
        return self.stage.system(Repo(CURRENT, repo.url), policy=self.policy, name="updatevm", **settings)

    def download(self, vm: Installroot, *packages: str) -> None:
        """Download in the UpdateVM, the plugin keeping the evidence, and gather it from dnf's cache."""
        done = vm.dnf(*ALONE, "--downloadonly", "install", *packages)
        assert done.rc == 0, done.text
        self.relay.collect(vm.root / "var" / "cache")
        self.relay.run('multisig gather -o "$DOM0_UPDATES_DIR')

    def receive(self) -> None:
        """In dom0: take the bundles that were sent, the packages, and write the bundles anew for these."""
        page_function("take_bundles")(str(self.relay.sent), str(self.relay.untrusted))
        self.relay.receive()
        self.relay.run("multisig gather -o /var/lib/qubes/updates/bundles")
        assert self.relay.bundles.is_dir() and not self.relay.untrusted.exists()
        self.stage.server.reset()

    def install(self, *packages: str) -> Result:
        result = self.dom0.dnf("install", *packages)
        assert self.stage.server.count() == 0
        return result


@pytest.fixture
def way(stage: Stage) -> Way:
    return Way(stage)


def refused(way: Way, result: Result) -> bool:
    return result.rc != 0 and not way.dom0.installed() and "multisig: refused" in result.text


@pytest.mark.parametrize("index", [False, True], ids=["bundles", "index"])
def test_what_enough_people_signed_gets_into_dom0(way: Way, index: bool) -> None:
    vm = way.update_vm(way.stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}, index=index))
    way.download(vm, "hello", "greet")
    way.receive()
    arrived = (way.relay.updates / "rpm" / FILE).read_bytes()
    assert hashlib.sha256(arrived).digest() != hashlib.sha256((way.relay.packages / FILE).read_bytes()).digest()
    result = way.install("hello", "greet")
    assert result.rc == 0 and way.dom0.installed() == {*HELLO, "greet-1.0-1.noarch"}, result.text


def test_one_signature_short_is_refused_in_the_updatevm_before_the_download(way: Way) -> None:
    vm = way.update_vm(way.stage.publish({"hello-1.0-1": TWO}))
    result = vm.dnf(*ALONE, "--downloadonly", "install", "hello")
    assert result.rc != 0 and "2 of 3 builders signed" in result.text, result.text
    assert way.stage.server.count("*.rpm") == 0


def test_one_signature_short_is_refused_in_dom0_whatever_the_updatevm_does(way: Way) -> None:
    way.download(way.update_vm(way.stage.publish({"hello-1.0-1": TWO}), mode="warn"), "hello")
    way.receive()
    result = way.install("hello")
    assert refused(way, result) and "2 of 3 builders signed" in result.text, result.text


def test_another_content_under_good_bundles_is_refused_in_dom0(way: Way) -> None:
    way.download(way.update_vm(way.stage.publish({"hello-1.0-1": THREE})), "hello")
    shutil.copyfile(way.stage.shop.with_tampered_content(), way.relay.packages / FILE)
    way.receive()
    assert refused(way, way.install("hello"))


def test_a_bundle_inside_the_package_is_gathered_before_it_is_lost(way: Way) -> None:
    rpm = way.relay.packages / FILE
    shutil.copyfile(way.stage.shop.rpm("hello-1.0-1"), rpm)
    multisig("embed", "--bundle", way.stage.shop.bundle("hello-1.0-1", THREE), rpm)
    empty = way.stage.folder / "empty"
    empty.mkdir()
    way.relay.receive()
    assert refused(way, way.install("hello"))
    multisig("gather", "-o", way.relay.sent, "--from", empty, "--", rpm)
    way.receive()
    result = way.install("hello")
    assert result.rc == 0 and way.dom0.installed() == HELLO, result.text


def test_bundles_by_curl_where_the_updatevm_has_no_plugin(way: Way) -> None:
    vm = way.update_vm(way.stage.publish({"hello-1.0-1": THREE}))
    assert vm.dnf("--noplugins", "--downloadonly", "install", "hello").rc == 0
    options = " ".join(shlex.quote(word) for word in vm.dnf_command()[1:])
    way.relay.run("curl", before=f"OPTS=({options})\nPKGLIST=(hello)\n")
    assert [path.name for path in way.relay.sent.iterdir()] == [f"{FILE}.msig"]
    way.relay.collect(vm.root / "var" / "cache")
    way.receive()
    result = way.install("hello")
    assert result.rc == 0 and way.dom0.installed() == HELLO, result.text


@pytest.mark.parametrize("signers", [THREE, TWO], ids=["three-signed", "two-signed"])
def test_rpm_itself_in_dom0_finds_the_same_bundles(way: Way, signers: Sequence[str]) -> None:
    way.download(way.update_vm(way.stage.publish({"hello-1.0-1": signers}), mode="warn"), "hello")
    way.receive()
    way.dom0.configure(policy=str(way.policy))
    way.dom0.add_places({"@rpm": str(way.relay.bundles)})
    result = RpmPlugin(way.dom0).rpm("-i", way.relay.updates / "rpm" / FILE)
    if len(signers) == 3:
        assert result.rc == 0 and way.dom0.installed() == HELLO, result.text
    else:
        assert refused(way, result) and "2 of 3 builders signed" in result.text, result.text


# --- a hostile UpdateVM ----------------------------------------------------------------------------------------------


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _to_good(path: Path) -> None:
    """A link to a bundle that would be good if it were followed."""
    kept = path.parent.parent / "kept"
    shutil.move(str(path.parent / "good"), kept)
    path.symlink_to(kept)


HOSTILE: Mapping[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "brackets": lambda path: path.write_bytes(b"[" * 20_000),
    "zeros": lambda path: path.write_bytes(bytes(1 << 20)),
    "too large": lambda path: path.write_bytes(b" " * ((1 << 20) + 1)),
    "a link": _link,
    "a link to a good one": _to_good,
    "a hard link to a good one": lambda path: os.link(path.parent / "good", path),
    "a folder": lambda path: path.mkdir(),
    "a fifo": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("plant", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_in_place_of_the_bundle_lets_nothing_in(way: Way, plant: Callable[[Path], object]) -> None:
    shutil.copyfile(way.stage.shop.rpm("hello-1.0-1"), way.relay.packages / FILE)
    shutil.copyfile(way.stage.shop.bundle("hello-1.0-1", THREE), way.relay.sent / "good")
    plant(way.relay.sent / f"{FILE}.msig")
    way.receive()
    assert list(way.relay.bundles.iterdir()) == []
    assert refused(way, way.install("hello"))


def test_a_folder_full_of_junk_and_hostile_names_takes_nothing_away(way: Way) -> None:
    way.download(way.update_vm(way.stage.publish({"hello-1.0-1": THREE})), "hello")
    sent, good = way.relay.sent, (way.relay.sent / f"{FILE}.msig").read_bytes()
    names = ["-rf.rpm.msig", ".rpm.msig", f"{FILE}.msig\n", "a b.rpm.msig", "$(id).rpm.msig", "\x1b[2J.rpm.msig"]
    names += ["x" * 200 + ".rpm.msig", "multisig.conf", "policy.yaml", f"{FILE}.msig.msig", "ä.rpm.msig"]
    for name in names:
        (sent / name).write_bytes(good)
    for number in range(300):
        (sent / f"junk-{number}.rpm.msig").write_bytes(b"[" * 1000)
    (sent / "greet-1.0-1.noarch.rpm.msig").symlink_to(way.stage.policy)
    (sent / "folder.rpm.msig").mkdir()
    way.receive()
    assert {path.name for path in way.relay.bundles.iterdir()} == {f"{FILE}.msig"}
    assert {*names} <= {path.name for path in sent.iterdir()}  # left for the check that knows packages alone
    result = way.install("hello")
    assert result.rc == 0 and way.dom0.installed() == HELLO, result.text


def test_dnf_in_dom0_needs_no_clean_folder(way: Way) -> None:
    """Whatever the receiver forgot: the folder of [bundles] may hold anything."""
    shutil.copyfile(way.stage.shop.rpm("hello-1.0-1"), way.relay.packages / FILE)
    shutil.copyfile(way.stage.shop.bundle("hello-1.0-1", THREE), way.relay.bundles / f"{FILE}.msig")
    shutil.copyfile(way.stage.shop.rpm("greet-1.0-1"), way.relay.packages / "greet-1.0-1.noarch.rpm")
    os.mkfifo(way.relay.bundles / "greet-1.0-1.noarch.rpm.msig")
    (way.relay.bundles / "repodata").mkdir()
    (way.relay.bundles / "repodata" / "repomd.xml").symlink_to("/dev/zero")
    way.relay.receive()
    way.stage.server.reset()
    assert refused(way, way.install("greet"))
    result = way.install("hello")
    assert result.rc == 0 and way.dom0.installed() == HELLO, result.text


def test_junk_beside_a_good_bundle_does_not_crowd_it_out(way: Way) -> None:
    """The UpdateVM can leave evidence out, which refuses, and cannot make the rest count for less."""
    good = json.loads(way.stage.shop.bundle("hello-1.0-1", THREE).read_bytes())
    other = json.loads(way.stage.shop.bundle("greet-1.0-1", THREE).read_bytes())
    good["attestations"] = other["attestations"] * 20 + good["attestations"]
    (way.relay.sent / f"{FILE}.msig").write_text(json.dumps(good))
    shutil.copyfile(way.stage.shop.rpm("hello-1.0-1"), way.relay.packages / FILE)
    way.receive()
    result = way.install("hello")
    assert result.rc == 0 and way.dom0.installed() == HELLO, result.text


# --- the policy of the page ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    folder = Path(tempfile.mkdtemp(prefix="msq-", dir="/tmp"))
    made = make_vendor(folder / "q", "Qubes (4.3) <qubes@example.org>")
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_the_vendor_s_signature_gets_over_and_is_asked_for_too(stage: Stage, vendor: Vendor, signed: bool) -> None:
    vendor.export(stage.folder / "both" / "keys" / "vendor.asc")
    key = f'{{fingerprint: "{vendor.fingerprint}", file: keys/vendor.asc}}'
    rules = [rule(), f'  - name: vendor\n    repos: ["qubes-dom0-*"]\n    signed-by: [{key}]\n']
    way = Way(stage, write_policy(stage.folder / "both", stage.shop.people, rules))
    rpm = stage.shop.rpm("hello-1.0-1")
    served = vendor.signed(rpm, stage.folder / "vendor") if signed else rpm
    repo = stage.publish_file(served, stage.shop.bundle("hello-1.0-1", THREE))
    way.download(way.update_vm(repo), "hello")
    way.receive()
    result = way.install("hello")
    if signed:
        assert result.rc == 0 and way.dom0.installed() == HELLO, result.text
    else:
        assert refused(way, result) and "vendor" in result.text, result.text


RELEASE = "    release: {require: 2 of release, max-age: 14d}\n"
RELEASERS: Sequence[str] = ("simon", "wiktor")


def released(stage: Stage) -> Repo:
    repo = stage.publish({"hello-1.0-1": THREE}, name="released")
    for name in RELEASERS:
        person = stage.shop.people[name]
        key = ["--key", person.fingerprint, "--gnupghome", str(person.home), "--channel", "demo-stable"]
        multisig("release", "sign", *key, stage.web / stage.folder.name / "released")
    return repo


def with_release(stage: Stage, *repos: str) -> Way:
    rules = [rule(), rule(name="current", repos=repos).rstrip("\n") + "\n" + RELEASE]
    groups = {"builders": list(stage.shop.people), "release": list(RELEASERS)}
    return Way(stage, write_policy(stage.folder / "released-policy", stage.shop.people, rules, groups=groups))


def test_a_release_is_asked_for_where_there_is_one_in_the_updatevm(stage: Stage) -> None:
    way = with_release(stage, CURRENT)
    repo = released(stage)
    way.download(way.update_vm(repo), "hello")
    way.receive()
    result = way.install("hello")
    assert result.rc == 0 and way.dom0.installed() == HELLO, result.text
    (stage.web / stage.folder.name / "released" / "repodata" / "repomd.xml.msig").unlink()
    another = stage.system(Repo(CURRENT, repo.url), policy=way.policy, name="another")
    result = another.dnf(*ALONE, "--downloadonly", "install", "hello")
    assert result.rc != 0 and "release" in result.text, result.text


def test_a_rule_with_release_for_the_metadata_that_dom0_made_is_never_satisfied(stage: Stage) -> None:
    way = with_release(stage, "qubes-dom0-*")
    way.download(way.update_vm(released(stage)), "hello")
    way.receive()
    result = way.install("hello")
    assert refused(way, result) and "release" in result.text, result.text


def test_dom0_looks_at_the_release_for_itself(stage: Stage) -> None:
    way = with_release(stage, CURRENT)
    repo = released(stage)
    shown = stage.folder / "shown"
    shutil.copytree(stage.web / stage.path(repo, "repodata").lstrip("/"), shown / "repodata")
    ask: list[Argument] = ["release", "verify", "--metadata-only", "--policy", way.policy, "--repo", CURRENT]
    ask += ["--journal", way.dom0.journal, shown]
    assert multisig(*ask).rc == 0
    frozen = multisig(*ask, "--at", "2030-01-01", check=False)
    assert frozen.rc == 1 and "expired" in frozen.text, frozen.text
    with (shown / "repodata" / "repomd.xml").open("a") as repomd:
        repomd.write("\n")
    assert multisig(*ask, check=False).rc == 1
