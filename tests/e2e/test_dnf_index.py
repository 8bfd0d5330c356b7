# SPDX-License-Identifier: GPL-2.0-or-later
"""An index in the repository's metadata: used instead of asking for each bundle, and no danger where it is no good."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Callable, Dict

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.repository import Repository
from fixtures.running import Result, multisig, run
from fixtures.server import Fault
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-0:1.0-1.noarch"
INSTALLED = {"hello-1.0-1.noarch"}
BUNDLE = "*.rpm.msig"
INDEX = "*-multisig.jsonl*"


def folder(stage: Stage, repo: Repo) -> Path:
    return stage.web / repo.url[len(stage.server.url) + 1 :]


def without_bundles(stage: Stage, repo: Repo) -> Repo:
    """The same repository, its evidence in the index alone."""
    for bundle in folder(stage, repo).glob(BUNDLE):
        bundle.unlink()
    return repo


def put(stage: Stage, repo: Repo, content: bytes) -> Repo:
    """What a hostile server can do: any bytes as its index, named in repomd.xml by their true checksum."""
    repodata = folder(stage, repo) / "repodata"
    run(["modifyrepo_c", "--remove", "multisig", repodata], check=False)
    made = stage.folder / "multisig.jsonl.gz"
    made.write_bytes(gzip.compress(content))
    run(["modifyrepo_c", "--mdtype", "multisig", made, repodata])
    return repo


def refused(result: Result, system: Installroot) -> bool:
    return result.rc != 0 and not system.installed() and "refused" in result.text and HELLO in result.text


def test_the_index_comes_with_the_metadata_and_no_bundle_is_asked_for(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}, index=True)
    system = stage.system(repo)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text
    assert stage.server.count(INDEX) == 1
    assert stage.server.count(BUNDLE) == 0


def test_a_system_that_had_the_metadata_without_the_index_gets_it(stage: Stage) -> None:
    system = stage.system(without_bundles(stage, stage.publish({"hello-1.0-1": THREE}, index=True)))
    assert system.dnf("--disableplugin=multisig", "makecache").rc == 0
    assert stage.server.count(INDEX) == 0
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_the_evidence_may_be_in_the_index_alone(stage: Stage) -> None:
    system = stage.system(without_bundles(stage, stage.publish({"hello-1.0-1": THREE}, index=True)))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_an_index_approves_no_more_than_its_signatures(stage: Stage) -> None:
    system = stage.system(without_bundles(stage, stage.publish({"hello-1.0-1": TWO}, index=True)))
    result = system.dnf("install", "hello")
    assert refused(result, system) and "2 of 3" in result.text, result.text
    assert stage.server.count("*.rpm") == 0


def test_what_the_index_lacks_is_asked_for_and_added(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": TWO}, index=True)
    bundle = Repository.bundle_of(folder(stage, repo) / "hello-1.0-1.noarch.rpm")
    bundle.write_bytes(stage.shop.bundle("hello-1.0-1", ["rafal"]).read_bytes())
    system = stage.system(repo)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_the_file_is_held_against_the_statement_whatever_the_index_says(stage: Stage) -> None:
    repository = stage.repository()
    repository.add(stage.shop.with_tampered_script(), stage.shop.bundle("hello-1.0-1", THREE))
    system = stage.system(stage.repo(repository.finish().index()))
    result = system.dnf("install", "hello")
    assert refused(result, system) and "other content" in result.text, result.text
    assert not system.holds("/var/hello-pre")


def test_the_index_of_another_repository_approves_nothing_here(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": None})
    other = stage.publish({"hello-2.0-1": THREE, "greet-1.0-1": THREE}, index=True)
    (found,) = (folder(stage, other) / "repodata").glob(INDEX)
    content = run(["zstd", "-dc", found]).out.encode()
    system = stage.system(put(stage, repo, content))
    assert refused(system.dnf("install", "hello"), system)


def test_a_stale_index_takes_nothing_from_the_bundles(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE}, index=True)
    shop, path = stage.shop, folder(stage, repo)
    shutil.copyfile(shop.rpm("hello-2.0-1"), path / "hello-2.0-1.noarch.rpm")
    shutil.copyfile(shop.bundle("hello-2.0-1", THREE), path / "hello-2.0-1.noarch.rpm.msig")
    run(["createrepo_c", "--quiet", "--update", "--keep-all-metadata", path])
    system = stage.system(repo)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-2.0-1.noarch"}, result.text


def junk(text: str) -> Callable[[], bytes]:
    return lambda: text.encode()


HEADER = '{"multisig":"index/v1"}\n'
BAD: Dict[str, Callable[[], bytes]] = {
    "empty": junk(""),
    "no header": junk("{}\n"),
    "another version": junk('{"multisig":"index/v2"}\n'),
    "an error page": junk("<html>It works!</html>"),
    "brackets": lambda: b"[" * 1_000_000,
    "lines of brackets": lambda: HEADER.encode() + (b"[" * 20_000 + b'\\"name\\":\\"' + HELLO.encode() + b'\\"\n') * 9,
    "a bomb": lambda: HEADER.encode() + b" " * (80 << 20),
    "a bomb of lines": lambda: HEADER.encode() + b"\n" * (80 << 20),
    "null": junk(HEADER + "null\n"),
    "only a header": junk(HEADER),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_an_index_that_is_no_good_leaves_the_bundles(stage: Stage, content: Callable[[], bytes]) -> None:
    repo = put(stage, stage.publish({"hello-1.0-1": THREE}), content())
    system = stage.system(repo)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text
    assert stage.server.count(BUNDLE) == 1
    assert "Traceback" not in result.text
    for bundle in folder(stage, repo).glob(BUNDLE):
        bundle.unlink()
    shutil.rmtree(system.root / "var/cache/dnf")
    assert system.dnf("remove", "hello").rc == 0
    assert refused(system.dnf("install", "hello"), system)


FAULTS: Dict[str, Fault] = {
    "404": Fault(status=404),
    "403": Fault(status=403),
    "truncated": Fault(truncate=20),
    "another file": Fault(body=b"nonsense"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_an_index_that_cannot_be_downloaded_leaves_the_bundles(stage: Stage, fault: Fault) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}, index=True))
    stage.server.fault(INDEX, fault)
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text
    assert stage.server.count(BUNDLE) == 1


def test_an_index_of_another_name_that_is_not_there_leaves_the_bundles(stage: Stage) -> None:
    """As modifyrepo_c names it, or whoever wants to have the repository be of no use to those who ask for indexes."""
    repository = stage.repository()
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE))
    repository.finish().describe("multisig", "nothing of use")
    for file in repository.folder.glob("repodata/*multisig*"):
        file.unlink()
    repomd = repository.folder / "repodata" / "repomd.xml"
    text = repomd.read_text(encoding="utf-8")
    renamed = re.sub(r'href="repodata/[^"]*multisig[^"]*"', 'href="repodata/evidence"', text)
    assert renamed != text
    repomd.write_text(renamed, encoding="utf-8")
    system = stage.system(stage.repo(repository))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_a_repository_that_is_down_is_not_asked_twice_for_want_of_its_index(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}, index=True))
    stage.server.fault("*", Fault(status=404))
    assert system.dnf("install", "hello").rc != 0
    assert stage.server.count("*/repomd.xml") <= 4


def test_the_next_mirror_has_the_index(stage: Stage) -> None:
    repo = without_bundles(stage, stage.publish({"hello-1.0-1": THREE}, index=True, name="one"))
    shutil.copytree(stage.web / stage.folder.name / "one", stage.web / stage.folder.name / "two")
    stage.server.fault("*/one/" + INDEX, Fault(status=404))
    system = stage.system(Repo(repo.id, f"{repo.url} {repo.url[:-3]}two"))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_offline_after_a_download_the_index_is_at_hand(stage: Stage) -> None:
    system = stage.system(without_bundles(stage, stage.publish({"hello-1.0-1": THREE}, index=True)))
    assert system.dnf("--downloadonly", "install", "hello").rc == 0
    stage.server.fault("*", Fault(status=503))
    stage.server.reset()
    result = system.dnf("-C", "install", "hello")
    assert stage.server.count() == 0
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_a_local_repository_has_its_index_too(stage: Stage) -> None:
    repo = without_bundles(stage, stage.publish({"hello-1.0-1": THREE}, index=True))
    system = stage.system(Repo(repo.id, folder(stage, repo).as_uri()))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_removals_need_no_index(stage: Stage) -> None:
    system = stage.system_with("hello-1.0-1")
    system.set_repos([put(stage, stage.publish({"hello-1.0-1": THREE}), b"nonsense")])
    stage.server.fault("*", Fault(status=404))
    assert system.dnf("remove", "hello").rc == 0
    assert not system.installed()


def test_the_journal_keeps_what_the_index_said(stage: Stage) -> None:
    system = stage.system(without_bundles(stage, stage.publish({"hello-1.0-1": THREE}, index=True)))
    assert system.dnf("install", "hello").rc == 0
    history = multisig("history", "--journal", system.journal).out
    assert HELLO in history and "accepted" in history, history


def test_a_batch_is_one_statement_for_a_whole_repository(stage: Stage) -> None:
    repository = stage.repository()
    for name in ("hello-1.0-1", "team-01-1.0-1", "greet-1.0-1"):
        repository.add(stage.shop.rpm(name))
    rpms = sorted(repository.folder.glob("*.rpm"))
    for signer in THREE:
        person = stage.shop.people[signer]
        key = ["--key", person.fingerprint, "--gnupghome", str(person.home), "--channel", "demo-stable"]
        multisig("sign", *key, "--batch", repository.folder / f"{signer}.msig", *rpms)
    repo = stage.repo(repository.finish().index())
    system = stage.system(repo)
    result = system.dnf("install", "hello", "team-01", "greet")
    assert result.rc == 0 and len(system.installed()) == 3, result.text
    assert stage.server.count("*.msig") == 0
    found = json.loads(run(["zstd", "-dc", *(folder(stage, repo) / "repodata").glob(INDEX)]).out.splitlines()[1])
    assert len(json.loads(found["statement"])["subject"]) == 3
    assert len(found["signatures"]) == 3


def test_an_index_that_spells_names_in_another_way_is_read_all_the_same(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}, index=True)
    content = run(["zstd", "-dc", *(folder(stage, repo) / "repodata").glob(INDEX)]).out
    system = stage.system(without_bundles(stage, put(stage, repo, content.replace("hello", "h\\u0065llo").encode())))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == INSTALLED, result.text


def test_the_index_is_not_put_under_a_signature_that_is_there(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    person = stage.shop.people["simon"]
    key = ["--key", person.fingerprint, "--gnupghome", str(person.home), "--channel", "demo-stable"]
    multisig("release", "sign", *key, folder(stage, repo))
    result = multisig("index", folder(stage, repo), check=False)
    assert result.rc == 2 and "sign repomd.xml again" in result.err, result.text
    system = stage.system(repo)
    assert system.dnf("install", "hello").rc == 0
