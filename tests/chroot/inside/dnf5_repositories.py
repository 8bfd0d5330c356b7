# SPDX-License-Identifier: GPL-2.0-or-later
"""Real dnf5 with repositories as hostile or broken mirrors serve them, and as good ones do, over HTTP."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing

import pytest

from fixtures.dnf5 import Dnf5
from fixtures.installroot import Repo
from fixtures.policy import CHANNEL
from fixtures.running import Result
from fixtures.server import Fault
from tests.e2e.conftest import THREE, TWO, Stage
from tests.e2e.test_dnf_releases import Mirror, policy

HELLO = "hello-1.0-1.noarch"
METALINK = """<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/">
 <files><file name="repomd.xml"><verification><hash type="sha256">{digest}</hash></verification><resources>
  <url protocol="http" type="http" preference="100">{url}/gone/repodata/repomd.xml</url>
  <url protocol="http" type="http" preference="99">{url}/repodata/repomd.xml</url>
 </resources></file></files>
</metalink>
"""


class Client:
    """A system whose policy asks for releases, and its dnf5."""

    def __init__(self, mirror: Mirror) -> None:
        self.system = mirror.stage.system(mirror.repo, policy=policy(mirror.stage))
        self.dnf5 = Dnf5(self.system)

    def install(self, *words: str) -> Result:
        return self.dnf5("--refresh", "install", *words)

    def refuses(self, package: str, *words: str) -> bool:
        """Refused by multisig with these words; nothing that was not there before is installed."""
        before = self.system.installed()
        result = self.install(package)
        said = "multisig: refused" in result.text and all(word in result.text for word in words)
        assert result.rc == 1 and said and self.system.installed() == before, result.text
        return True


@pytest.fixture
def mirror(stage: Stage) -> Mirror:
    return Mirror(stage)


def test_a_release_that_enough_people_signed_is_installed_and_remembered(mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    client = Client(mirror)
    result = client.install("hello")
    assert result.rc == 0 and client.system.installed() == {HELLO}, result.text
    with closing(sqlite3.connect(client.system.journal)) as database:
        assert database.execute("SELECT repo, channel, serial FROM releases").fetchall() == [("demo", CHANNEL, 1)]


def test_a_release_that_too_few_signed_and_none_at_all(mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=["simon"])
    client = Client(mirror)
    assert client.refuses("hello", "the release statement of demo lacks signatures", "wiktor")
    (mirror.folder / "repodata" / "repomd.xml.msig").unlink()
    mirror.release(signers=[])
    assert client.refuses("hello", "demo has no release statement") and client.dnf5.downloaded() == []


def test_freeze_a_mirror_that_serves_last_month_for_ever(mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release(signers=[])
    mirror.sign_as_of(days_ago=13, days_valid=12)
    client = Client(mirror)
    assert client.refuses("hello", "expired 24 hours ago, on")
    mirror.sign()
    assert client.install("hello").rc == 0


def test_rollback_to_an_old_properly_signed_release(mirror: Mirror) -> None:
    old = mirror.add("hello-1.0-1", "team-01-1.0-1").release()
    mirror.add("hello-2.0-1").release()
    client = Client(mirror)
    assert client.install("team-01").rc == 0
    mirror.serve(old)
    assert client.refuses("hello", "older than release 2")


def test_mix_and_match_metadata_that_nobody_released(mirror: Mirror) -> None:
    old = mirror.add("hello-1.0-1").release()
    mirror.add("team-01-1.0-1").release()
    client = Client(mirror)
    # The newest statement, with the metadata of before.
    shutil.rmtree(mirror.folder / "repodata")
    shutil.copytree(old / "repodata", mirror.folder / "repodata")
    mirror.release(signers=[])
    assert client.refuses("hello", "its metadata are not the released ones")


def test_metadata_of_an_address_of_before_are_not_taken_for_those_in_use(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    client = Client(mirror)
    assert client.dnf5("makecache").rc == 0
    moved = Mirror(stage, "moved").add("hello-1.0-1")
    moved.release(signers=[])
    client.system.set_repos([moved.repo])
    assert len(list(client.dnf5.cache.glob("demo-*"))) == 1
    assert client.refuses("hello", "demo has no release statement")
    assert len(list(client.dnf5.cache.glob("demo-*"))) == 2
    moved.sign()
    assert client.install("hello").rc == 0


def test_an_index_alone_suffices_is_fetched_once_and_bound_by_the_release(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1", "greet-1.0-1")
    mirror.repository.finish().index()
    for bundle in mirror.folder.glob("*.rpm.msig"):
        bundle.unlink()
    mirror.sign()
    client = Client(mirror)
    result = client.install("greet")
    assert result.rc == 0 and client.system.installed() == {HELLO, "greet-1.0-1.noarch"}, result.text
    assert stage.server.count("*.rpm.msig") == 0 and stage.server.count("*multisig.jsonl*") == 1


def test_an_index_that_is_withheld_takes_nothing_away(stage: Stage, mirror: Mirror) -> None:
    mirror.add("hello-1.0-1")
    mirror.repository.finish().index()
    mirror.sign()
    stage.server.fault("*multisig.jsonl*", Fault(status=404))
    client = Client(mirror)
    result = client.install("hello")
    assert result.rc == 0 and client.system.installed() == {HELLO}, result.text


@pytest.mark.parametrize("option", ["mirrorlist", "metalink"])
def test_where_there_are_mirrors_alone_they_are_asked(stage: Stage, mirror: Mirror, option: str) -> None:
    mirror.add("hello-1.0-1").release()
    folder, url = mirror.folder, mirror.repo.url
    (folder / "mirrorlist").write_text(f"{url}/gone/\n{url}\n", encoding="ascii")
    digest = hashlib.sha256((folder / "repodata" / "repomd.xml").read_bytes()).hexdigest()
    (folder / "metalink").write_text(METALINK.format(digest=digest, url=url), encoding="ascii")
    client = Client(mirror)
    client.system.set_repos([Repo("demo", "", f"{option}={url}/{option}")])
    result = client.install("hello")
    assert result.rc == 0 and client.system.installed() == {HELLO}, result.text
    assert stage.server.count("*.msig") > 1


def test_a_package_given_by_url_brings_its_bundle(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": TWO})
    system = stage.system()
    dnf5 = Dnf5(system)
    result = dnf5("install", f"{repo.url}/hello-1.0-1.noarch.rpm")
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    result = dnf5("install", f"{repo.url}/greet-1.0-1.noarch.rpm")
    assert result.rc == 1 and system.installed() == {HELLO} and "rafal" in result.text, result.text


def test_offline_what_was_kept_of_the_release_counts(mirror: Mirror) -> None:
    mirror.add("hello-1.0-1").release()
    client = Client(mirror)
    assert client.dnf5("--setopt=keepcache=1", "install", "--downloadonly", "hello").rc == 0
    shutil.rmtree(mirror.folder)
    result = client.dnf5("-C", "install", "hello")
    assert result.rc == 0 and client.system.installed() == {HELLO}, result.text
