# SPDX-License-Identifier: GPL-2.0-or-later
"""Repositories as hostile or broken mirrors serve them: rolled back, frozen, mixed, replayed. Real dnf, over HTTP."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Optional, Sequence

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.policy import CHANNEL, rule, write_policy
from fixtures.repository import Repository
from fixtures.running import Result, multisig, run
from fixtures.server import Fault
from multisig.bundle import Attestation, Bundle, encode
from multisig.openpgp import Signer
from multisig.repositories import repomd_digests
from multisig.statement import Kind, Subject, make
from multisig.statement import encode as encode_statement
from multisig.times import DAY
from tests.e2e.conftest import THREE, Stage

RELEASE = "    release: {require: 2 of release, max-age: 14d}\n"
RELEASERS: Sequence[str] = ("simon", "wiktor")
MSIG = "*/repomd.xml.msig"


class Mirror:
    """A repository that grows release by release; every state that it was in can be served again."""

    def __init__(self, stage: Stage, name: str = "mirror") -> None:
        self.stage = stage
        self.repository = stage.repository(name)
        self.folder = self.repository.folder
        self.repo = stage.repo(self.repository)

    def add(self, *packages: str, signers: Sequence[str] = THREE) -> "Mirror":
        for package in packages:
            self.repository.add(self.stage.shop.rpm(package), self.stage.shop.bundle(package, signers))
        return self

    def release(self, *words: str, signers: Sequence[str] = RELEASERS, channel: str = CHANNEL) -> Path:
        """Make the metadata anew and have people sign them; a copy of the repository as it is then."""
        # Another revision: createrepo_c within the same second would make the same repomd.xml.
        run(["createrepo_c", "--quiet", "--no-database", "--revision", str(time.time_ns()), self.folder])
        self.sign(*words, signers=signers, channel=channel)
        return self.snapshot()

    def sign(self, *words: str, signers: Sequence[str] = RELEASERS, channel: str = CHANNEL) -> None:
        for name in signers:
            person = self.stage.shop.people[name]
            key = ["--key", person.fingerprint, "--gnupghome", str(person.home), "--channel", channel]
            multisig("release", "sign", *key, *words, self.folder)

    def sign_as_of(self, *, days_ago: int, days_valid: int) -> None:
        """A statement as it was signed then."""
        issued = int(time.time()) - days_ago * DAY
        digests = repomd_digests((self.folder / "repodata" / "repomd.xml").read_bytes())
        statement = make(
            Kind.RELEASE, CHANNEL, [Subject("repomd.xml", digests)], serial=1, issued=issued,
            expires=issued + days_valid * DAY,
        )  # fmt: skip
        text = encode_statement(statement)
        people = [self.stage.shop.people[name] for name in RELEASERS]
        signatures = tuple(Signer(person.fingerprint, str(person.home)).sign(text.encode()) for person in people)
        (self.folder / "repodata" / "repomd.xml.msig").write_bytes(encode(Bundle((Attestation(text, signatures),))))

    def snapshot(self) -> Path:
        copy = self.stage.folder / f"snapshot-{time.time_ns()}"
        shutil.copytree(self.folder, copy)
        return copy

    def serve(self, snapshot: Path) -> None:
        """From now on the mirror is what it was then."""
        shutil.rmtree(self.folder)
        shutil.copytree(snapshot, self.folder)


@pytest.fixture
def mirror(stage: Stage) -> Mirror:
    return Mirror(stage)


def policy(stage: Stage, release: str = RELEASE) -> Path:
    groups = {"builders": THREE, "release": RELEASERS}
    return write_policy(stage.folder / "released", stage.shop.people, [rule() + release], groups=groups)


def system(stage: Stage, *repos: Repo, release: str = RELEASE, **settings: str) -> Installroot:
    return stage.system(*repos, policy=policy(stage, release), **settings)


def refused(result: Result, root: Installroot, *words: str, installed: Sequence[str] = ()) -> bool:
    """Refused by multisig with these words; nothing that was not there before is installed."""
    unchanged = root.installed() == set(installed)
    return result.rc != 0 and unchanged and "refused" in result.text and all(word in result.text for word in words)


def test_a_release_that_enough_people_signed_is_installed_and_remembered(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")
    assert result.rc == 0 and root.installed() == {"hello-1.0-1.noarch"}, result.text
    with closing(sqlite3.connect(root.journal)) as database, database:
        assert database.execute("SELECT repo, channel, serial FROM releases").fetchall() == [("demo", CHANNEL, 1)]


def test_freeze_a_mirror_that_serves_last_month_for_ever(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=[])
    mirror.sign_as_of(days_ago=13, days_valid=12)
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")
    assert refused(result, root, "hello-0:1.0-1.noarch", "expired 24 hours ago, on"), result.text
    assert stage.server.count("*.rpm") == 0
    # As soon as somebody signs that this is still the current state, it is.
    mirror.sign()
    result = root.dnf("install", "hello")
    assert result.rc == 0, result.text


def test_a_grace_period_warns_before_it_refuses(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=[])
    mirror.sign_as_of(days_ago=11, days_valid=13)
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")
    assert result.rc == 0 and re.search(r"\(serial 1\) expires in (2 days|47 hours)", result.text), result.text


def test_a_release_older_than_the_rule_allows(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=[])
    mirror.sign_as_of(days_ago=15, days_valid=99)
    root = system(stage, mirror.repo)
    assert refused(root.dnf("install", "hello"), root, "is 15 days old, and the rule allows 14 days")


def test_rollback_to_an_old_properly_signed_release(stage: Stage, mirror: Mirror) -> None:
    old = mirror.add("hello-1.0-1", "team-01-1.0-1").release()
    mirror.add("hello-2.0-1").release()
    root = system(stage, mirror.repo)
    assert root.dnf("install", "team-01").rc == 0
    mirror.serve(old)
    result = root.dnf("--refresh", "install", "hello")
    assert refused(result, root, "older than release 2", installed=["team-01-1.0-1.noarch"]), result.text
    # Without the memory, as on a machine that has never seen release 2, nothing tells it from a current one.
    fresh = stage.system(mirror.repo, policy=policy(stage), name="fresh")
    assert fresh.dnf("install", "hello").rc == 0


def test_rollback_is_remembered_from_a_transaction_that_was_refused(stage: Stage, mirror: Mirror) -> None:
    """Whoever makes the newest release fail for another reason cannot thereby serve an older one."""
    old = mirror.add("hello-1.0-1").release()
    mirror.add("hello-2.0-1", signers=["marek"]).release()
    root = system(stage, mirror.repo)
    assert refused(root.dnf("install", "hello"), root, "1 of 3 builders")
    mirror.serve(old)
    assert refused(root.dnf("--refresh", "install", "hello"), root, "older than release 2")


def test_mix_and_match_an_old_package_put_back_by_a_mirror(stage: Stage, mirror: Mirror) -> None:
    """Each package is signed by its builders, and the set never existed."""
    mirror.add("hello-1.0-1").release()
    (mirror.folder / "hello-1.0-1.noarch.rpm").unlink()
    mirror.add("hello-2.0-1", "team-01-1.0-1").release()
    mirror.add("hello-1.0-1")
    (mirror.folder / "hello-2.0-1.noarch.rpm").unlink()
    run(["createrepo_c", "--quiet", "--no-database", mirror.folder])
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")
    assert refused(result, root, "for another repomd.xml"), result.text


def test_mix_and_match_new_metadata_under_an_old_repomd_xml(stage: Stage, mirror: Mirror) -> None:
    """dnf itself checks these, and multisig does again, whatever lies in dnf's cache."""
    old = mirror.add("hello-1.0-1").release()
    mirror.add("hello-2.0-1").release()
    for name in ("repomd.xml", "repomd.xml.msig"):
        shutil.copyfile(old / "repodata" / name, mirror.folder / "repodata" / name)
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")
    assert result.rc != 0 and not root.installed(), result.text


def test_metadata_exchanged_in_dnfs_cache(stage: Stage, mirror: Mirror) -> None:
    """By another dnf process, say, that was given other metadata by a mirror between resolving and installing."""
    mirror.add("hello-1.0-1").release()
    root = system(stage, mirror.repo)
    assert root.dnf("--downloadonly", "install", "hello").rc == 0
    (primary,) = (root.root / "var/cache/dnf").glob("demo-*/repodata/*primary.xml.*")
    primary.write_bytes(primary.read_bytes()[:-1])
    stage.server.fault("*", Fault(status=503))
    result = root.dnf("-C", "install", "hello")
    assert result.rc != 0 and not root.installed(), result.text


def test_replay_from_testing(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(channel="demo-testing")
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")
    assert refused(result, root, "no release statement", f"channel {CHANNEL}", "demo-testing"), result.text


def test_too_few_people_released_it(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=["simon"])
    root = system(stage, mirror.repo)
    assert refused(root.dnf("install", "hello"), root, "1 of 2 release signed (simon)", "wiktor")
    mirror.sign(signers=["wiktor"])
    assert root.dnf("install", "hello").rc == 0


def test_builders_do_not_make_a_release(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=THREE)
    root = system(stage, mirror.repo)
    assert refused(root.dnf("install", "hello"), root, "0 of 2 release signed")


FAULTS = {
    "withheld": Fault(status=404),
    "truncated": Fault(truncate=200),
    "endless": Fault(endless=True),
    "an error page": Fault(body=b"<html>It works!</html>"),
    "20,000 brackets": Fault(body=b"[" * 20_000),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_release_statement_that_does_not_arrive(stage: Stage, mirror: Mirror, fault: Fault) -> None:
    mirror.add("hello-1.0-1").release()
    stage.server.fault(MSIG, fault)
    root = system(stage, mirror.repo)
    result = root.dnf("install", "hello")  # which has to end within its time-out
    assert refused(result, root, "release statement"), result.text
    assert "Traceback" not in result.text
    stage.server.heal()
    result = root.dnf("install", "hello")
    assert result.rc == 0, result.text


def test_the_next_mirror_is_tried(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    shutil.copytree(mirror.folder, mirror.folder.parent / "second")
    stage.server.fault("*/mirror/repodata/repomd.xml.msig", Fault(status=404))
    root = system(stage, Repo("demo", f"{mirror.repo.url} {mirror.repo.url.replace('/mirror', '/second')}"))
    result = root.dnf("install", "hello")
    assert result.rc == 0, result.text


def test_a_mirror_that_answers_with_another_file_does_not_end_the_search(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    shutil.copytree(mirror.folder, mirror.folder.parent / "second")
    repo = Repo("demo", f"{mirror.repo.url} {mirror.repo.url.replace('/mirror', '/second')}")
    root = system(stage, repo)
    for place in ("/mirror", "/second"):
        stage.server.heal()
        stage.server.fault(f"*{place}/repodata/repomd.xml.msig", Fault(body=b"It works!"))
        result = root.dnf("install", "hello")
        assert result.rc == 0, result.text
        assert root.dnf("remove", "hello").rc == 0
        shutil.rmtree(root.root / "var" / "cache")


def test_a_mirror_that_has_the_new_statement_and_the_old_metadata_is_still_good(stage: Stage, mirror: Mirror) -> None:
    old = mirror.add("hello-1.0-1").release()
    new = mirror.add("hello-2.0-1").release()
    shutil.copyfile(new / "repodata" / "repomd.xml.msig", old / "repodata" / "repomd.xml.msig")
    mirror.serve(old)
    root = system(stage, mirror.repo)
    result = root.dnf("--refresh", "install", "hello")
    assert result.rc == 0 and root.installed() == {"hello-1.0-1.noarch"}, result.text


def test_offline_after_a_download(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    root = system(stage, mirror.repo)
    assert root.dnf("--downloadonly", "install", "hello").rc == 0
    stage.server.fault("*", Fault(status=503))
    stage.server.reset()
    result = root.dnf("-C", "install", "hello")
    assert result.rc == 0 and stage.server.count() == 0, result.text


def test_a_statement_that_suffices_is_fetched_once(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1", "team-01-1.0-1").release()
    root = system(stage, mirror.repo)
    assert root.dnf("install", "hello").rc == 0 and root.dnf("install", "team-01").rc == 0
    assert stage.server.count(MSIG) == 1


@pytest.mark.parametrize("where", ["the command line", "another repository"])
def test_a_package_that_comes_by_another_way_has_no_release(stage: Stage, mirror: Mirror, where: str) -> None:
    mirror.add("hello-1.0-1").release()
    other = Mirror(stage, "other").add("hello-1.0-1")
    run(["createrepo_c", "--quiet", "--no-database", other.folder])
    root = system(stage, mirror.repo)
    if where == "the command line":
        result = root.dnf("install", mirror.folder / "hello-1.0-1.noarch.rpm")
        assert refused(result, root, "no repository is known"), result.text
    else:
        result = root.dnf(f"--repofrompath=evil,{other.repo.url}", "--disablerepo=demo", "install", "hello")
        assert refused(result, root, "evil has no release statement"), result.text


def test_a_local_repository_is_judged_as_one_from_afar(stage: Stage, mirror: Mirror) -> None:
    old = mirror.add("hello-1.0-1", "team-01-1.0-1").release()
    mirror.add("hello-2.0-1").release()
    root = system(stage, Repo("demo", mirror.folder.as_uri()))
    result = root.dnf("install", "team-01")
    assert result.rc == 0, result.text
    mirror.serve(old)
    assert refused(
        root.dnf("--refresh", "install", "hello"), root, "older than release 2", installed=["team-01-1.0-1.noarch"]
    )


def test_a_journal_that_cannot_be_read_is_no_reason_to_forget(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    root = system(stage, mirror.repo)
    root.journal.write_text("no database, and long enough to be looked at " * 99)
    assert refused(root.dnf("install", "hello"), root, "journal")


def test_warn_mode_says_what_it_would_refuse_and_remembers(stage: Stage, mirror: Mirror) -> None:
    old = mirror.add("hello-1.0-1", "team-01-1.0-1").release()
    mirror.add("hello-2.0-1").release()
    root = system(stage, mirror.repo, mode="warn")
    assert root.dnf("install", "team-01").rc == 0
    mirror.serve(old)
    result = root.dnf("--refresh", "install", "hello")
    assert result.rc == 0 and "would have refused" in result.text and "older than release 2" in result.text, result.text


def test_a_package_of_which_only_the_compression_differs_is_not_the_released_one(stage: Stage, mirror: Mirror) -> None:
    """Its signers approve of the content; the release is of files."""
    mirror.add("hello-1.0-1").release()
    other: Optional[Path] = stage.shop.rpm("hello-1.0-1", "rafal")
    root = system(stage, mirror.repo)
    assert root.dnf("--downloadonly", "install", "hello").rc == 0
    (cached,) = (root.root / "var/cache/dnf").glob("demo-*/packages/hello*.rpm")
    assert other is not None and other.read_bytes() != cached.read_bytes()
    shutil.copyfile(other, cached)
    stage.server.fault("*.rpm", Fault(body=other.read_bytes()))
    result = root.dnf("install", "hello")
    assert result.rc != 0 and not root.installed(), result.text


def test_the_fixture_serves_what_it_was(mirror: Mirror) -> None:
    """Repository() empties its folder; the mirror must not."""
    first = mirror.add("hello-1.0-1").release()
    assert isinstance(mirror.repository, Repository) and (first / "repodata" / "repomd.xml.msig").exists()


@pytest.mark.parametrize("how", ["expired", "rolled back", "emptied"])
def test_freeze_is_told_where_the_mirror_offers_nothing_new(stage: Stage, mirror: Mirror, how: str) -> None:
    """There is no package to judge then: dnf alone would say that there is nothing to do, for ever."""
    old = mirror.add("hello-1.0-1").release()
    root = system(stage, mirror.repo)
    assert root.dnf("install", "hello").rc == 0
    quiet = root.dnf("--refresh", "upgrade")
    assert quiet.rc == 0 and "Nothing to do" in quiet.out and "multisig" not in quiet.text, quiet.text
    if how == "expired":
        mirror.release(signers=[])
        mirror.sign_as_of(days_ago=30, days_valid=14)
        said = "expired 16 days ago"
    elif how == "rolled back":
        # Release 2 was seen by a machine that installed nothing of it.
        mirror.release("--serial", "2")
        assert root.dnf("--refresh", "upgrade").rc == 0
        mirror.serve(old)
        said = "older than release 2"
    else:
        (mirror.folder / "hello-1.0-1.noarch.rpm").unlink()
        mirror.release(signers=[])
        said = "for another repomd.xml"
    result = root.dnf("--refresh", "upgrade")
    assert "Nothing to do" in result.out and said in result.text, result.text
    assert "updates may be kept back" in result.text
    assert root.installed() == {"hello-1.0-1.noarch"}


def test_a_repository_served_in_another_s_place_is_told(stage: Stage) -> None:
    """Both have current releases of one channel, and a release statement names no repository."""
    stable, updates = Mirror(stage, "stable"), Mirror(stage, "updates")
    served = stable.add("hello-1.0-1").release("--serial", "7")
    updates.add("hello-1.0-1").release()
    groups = {"builders": THREE, "release": RELEASERS}
    rules = [rule(repos=["stable", "updates"], packages=()) + RELEASE]
    both = write_policy(stage.folder / "both", stage.shop.people, rules, groups=groups)
    root = stage.system(Repo("stable", stable.repo.url), Repo("updates", updates.repo.url), policy=both)
    assert root.dnf("install", "hello").rc == 0
    assert "multisig" not in root.dnf("--refresh", "upgrade").text
    updates.serve(served)
    result = root.dnf("--refresh", "upgrade")
    assert "updates has the very metadata of stable" in result.text and "updates may be kept back" in result.text


HIDING = """\
---
document: modulemd
version: 2
data:
  name: hiding
  stream: "1"
  version: 1
  context: deadbeef
  arch: noarch
  summary: hides
  description: hides
  license: {module: [MIT]}
  artifacts: {rpms: ["hello-0:1.0-1.noarch"]}
---
document: modulemd-defaults
version: 1
data: {module: hiding, stream: "1"}
...
"""


def test_updates_that_another_repository_s_module_hides_are_told(stage: Stage, mirror: Mirror) -> None:
    """dnf goes by all repositories' modules, and this one's metadata are signed by nobody."""
    mirror.add("hello-1.0-1").release()
    other = stage.repository("other")
    other.finish().describe("modules", HIDING)
    root = system(stage, mirror.repo, stage.repo(other, "other"))
    assert root.dnf("install", "hello").rc == 0
    mirror.add("hello-2.0-1").release()
    result = root.dnf("--refresh", "upgrade")
    assert root.installed() == {"hello-1.0-1.noarch"}, result.text
    assert "another repository hides what is new in demo: hello; updates may be kept back" in result.text, result.text
    result = root.dnf("--setopt=demo.module_hotfixes=1", "upgrade")
    assert root.installed() == {"hello-2.0-1.noarch"} and "kept back" not in result.text, result.text
