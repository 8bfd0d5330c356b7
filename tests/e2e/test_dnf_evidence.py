# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles that are missing, broken, of another package or of another product; signers whose word no longer counts."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Callable, Mapping, Union

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.policy import rule, write_policy
from fixtures.running import Result, multisig
from fixtures.server import Fault
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-0:1.0-1.noarch"
BUNDLE = "*.msig"


def refused(result: Result, system: Installroot) -> bool:
    """Refused by multisig, naming the package; nothing installed, no script run."""
    nothing = not system.installed() and not system.holds("/var/hello-pre")
    return result.rc != 0 and nothing and "refused" in result.text and HELLO in result.text


BROKEN: Mapping[str, bytes] = {
    "empty": b"",
    "20,000 brackets": b"[" * 20_000,
    "20,000 objects": b'{"a":' * 20_000,
    "an error page": b"<html><body>It works!</body></html>",
    "not UTF-8": b"\xff\xfe{}",
    "compressed": gzip.compress(b"{}"),
    "null": b"null",
    "no attestations": b'{"multisig":"bundle/v1","attestations":[]}',
    "another version": b'{"multisig":"bundle/v2","attestations":[]}',
    "a key twice": b'{"multisig":"bundle/v1","attestations":[],"attestations":[]}',
    "a number of many digits": b'{"multisig":' + b"9" * 100_000 + b"}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_malformed_bundle(stage: Stage, content: bytes) -> None:
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), content))
    result = system.dnf("install", "hello")
    assert refused(result, system), result.text
    assert "Traceback" not in result.text


FAULTS: Mapping[str, Fault] = {
    "404": Fault(status=404),
    "500": Fault(status=500),
    "403": Fault(status=403),
    "truncated": Fault(truncate=400),
    "endless": Fault(endless=True),
    "redirected in a circle": Fault(redirect="/loop/hello-1.0-1.noarch.rpm.msig"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_bundle_that_does_not_arrive(stage: Stage, fault: Fault) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    stage.server.fault(BUNDLE, fault)
    result = system.dnf("install", "hello")  # which has to end within its time-out
    assert refused(result, system), result.text


def test_a_slow_bundle_ends_by_dnfs_own_limits(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    stage.server.fault(BUNDLE, Fault(drip=0.5))
    result = system.dnf("--setopt=timeout=1", "--setopt=minrate=1000", "--setopt=retries=1", "install", "hello")
    assert refused(result, system), result.text  # all of it would take a quarter of an hour


def test_no_bundle_at_all(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": None}))
    result = system.dnf("install", "hello")
    assert refused(result, system), result.text


def test_the_bundle_of_another_package(stage: Stage) -> None:
    other = stage.shop.bundle("greet-1.0-1", THREE)
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), other))
    assert refused(system.dnf("install", "hello"), system)


def test_the_bundle_of_another_version(stage: Stage) -> None:
    other = stage.shop.bundle("hello-2.0-1", THREE)
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), other))
    assert refused(system.dnf("install", "hello"), system)


def test_signatures_for_another_channel(stage: Stage) -> None:
    other = stage.shop.bundle("hello-1.0-1", THREE, channel="demo-testing")
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), other))
    assert refused(system.dnf("install", "hello"), system)


def test_the_same_signature_again_and_again(stage: Stage) -> None:
    bundle = json.loads(stage.shop.bundle("hello-1.0-1", ["marek"]).read_bytes())
    bundle["attestations"][0]["signatures"] *= 3
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), json.dumps(bundle).encode()))
    result = system.dnf("install", "hello")
    assert refused(result, system) and "1 of 3" in result.text, result.text


def policy_with(stage: Stage, change: str) -> Path:
    """The policy in which rafal's word does not count."""
    people, folder = stage.shop.people, stage.folder / "changed"
    changes: Mapping[str, Callable[[], Path]] = {
        "revoked": lambda: write_policy(folder, people, revoked_keys=["rafal"]),
        "compromised": lambda: write_policy(folder, people, remarks={"rafal": "compromised: true"}),
        "retired": lambda: write_policy(folder, people, remarks={"rafal": "retired: 2024-02-01"}),
        "not a builder": lambda: write_policy(
            folder, people, groups={"builders": ["marek", "joanna", "simon", "wiktor"]}
        ),
        "unknown": lambda: write_policy(folder, {name: people[name] for name in people if name != "rafal"}),
    }
    return changes[change]()


@pytest.mark.parametrize("change", ["revoked", "compromised", "retired", "not a builder", "unknown"])
def test_a_signer_among_the_three_whose_word_does_not_count(stage: Stage, change: str) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    system = stage.system(repo, policy=policy_with(stage, change))
    result = system.dnf("install", "hello")
    assert refused(result, system), result.text
    assert "marek" in result.text and "joanna" in result.text and "wiktor" in result.text


def test_a_fourth_signature_makes_up_for_a_revoked_one(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": [*THREE, "simon"]})
    system = stage.system(repo, policy=policy_with(stage, "revoked"))
    result = system.dnf("install", "hello")
    assert result.rc == 0, result.text


def test_the_repositorys_login_serves_for_its_bundles_too(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    stage.server.fault("*", Fault(login="joe:secret"))
    system = stage.system(Repo(repo.id, repo.url, "username=joe\npassword=secret"))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


def test_a_mirror_without_the_bundle_does_not_stop_the_next_one(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE}, name="one")
    shutil.copytree(stage.web / stage.folder.name / "one", stage.web / stage.folder.name / "two")
    stage.server.fault("*/one/*.msig", Fault(status=404))
    system = stage.system(Repo(repo.id, f"{repo.url} {repo.url[:-3]}two"))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


@pytest.mark.parametrize("file", ["Packages/h/hello-1.0-1.noarch.rpm", "hello-1.0~rc^1+b.rpm", "a b%20c.rpm"])
def test_a_bundle_lies_beside_its_rpm_wherever_that_lies(stage: Stage, file: str) -> None:
    repository = stage.repository()
    (repository.folder / file).parent.mkdir(parents=True, exist_ok=True)
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE), name=file)
    system = stage.system(stage.repo(repository.finish()))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


@pytest.mark.parametrize("length", [180, 240, 250])
def test_a_package_s_file_may_have_a_long_name(stage: Stage, length: int) -> None:
    """Longer than leaves room for a checksum before it, or for .msig and .part after it."""
    repository = stage.repository()
    name = "hello-1.0-1.noarch.rpm".rjust(length, "h")
    repository.add(stage.shop.rpm("hello-1.0-1"), stage.shop.bundle("hello-1.0-1", THREE), name=name)
    system = stage.system(stage.repo(repository.finish()))
    system.add_places({"demo": f"{stage.server.url}/nowhere"})
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


def test_a_bundle_is_kept_for_when_the_mirror_has_lost_it(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    assert system.dnf("install", "hello").rc == 0
    stage.server.fault(BUNDLE, Fault(status=404))
    assert system.dnf("remove", "hello").rc == 0
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


def test_every_rule_that_matches_must_be_satisfied(stage: Stage) -> None:
    strict = rule("4 of builders", name="greetings", packages=["hel*"])
    policy = write_policy(stage.folder / "two-rules", stage.shop.people, [rule(), strict])
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=policy)
    result = system.dnf("install", "hello")
    assert refused(result, system) and "greetings" in result.text, result.text


def test_what_lacks_signatures_is_refused_before_anything_is_downloaded(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    assert refused(system.dnf("install", "hello"), system)
    assert stage.server.count("*.rpm") == 0
    assert stage.server.count(BUNDLE) >= 1


def test_a_package_is_judged_with_downloadonly_too(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    assert refused(system.dnf("--downloadonly", "install", "hello"), system)
    assert stage.server.count("*.rpm") == 0


@pytest.mark.parametrize("signers", [THREE, TWO], ids=["three-signed", "two-signed"])
def test_offline_after_a_download(stage: Stage, signers: tuple[str, ...]) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": signers}))
    mode = "enforce" if len(signers) == 3 else "warn"  # warn lets two pass, so that there is something in the cache
    system.configure(policy=str(stage.policy), mode=mode)
    result = system.dnf("--downloadonly", "install", "hello")
    assert result.rc == 0, result.text
    system.configure(policy=str(stage.policy))
    stage.server.fault("*", Fault(status=503))
    stage.server.reset()
    result = system.dnf("-C", "install", "hello")
    assert stage.server.count() == 0
    if len(signers) == 3:
        assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text
    else:
        assert refused(result, system), result.text


def test_a_bundle_that_was_too_short_is_fetched_afresh(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": TWO}, name="growing")
    system = stage.system(repo)
    assert refused(system.dnf("install", "hello"), system)
    served = stage.web / stage.folder.name / "growing" / "hello-1.0-1.noarch.rpm.msig"
    served.write_bytes(stage.shop.bundle("hello-1.0-1", THREE).read_bytes())
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text


def test_the_journal_tells_what_was_accepted_and_what_refused(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": TWO}))
    assert system.dnf("install", "greet").rc != 0
    assert system.dnf("install", "hello").rc == 0
    history = multisig("history", "--journal", system.journal).out
    rows = {word: [line for line in history.splitlines() if word in line] for word in (HELLO, "greet-0:1.0-1.noarch")}
    assert any("accepted" in row or "ok" in row for row in rows[HELLO]), history
    assert any("refused" in row or "below-threshold" in row for row in rows["greet-0:1.0-1.noarch"]), history


def test_an_honest_mirror_may_compress_as_it_likes(stage: Stage) -> None:
    """The published build may be anybody's, also one that no statement was made from."""
    for builder in ("rafal", "wiktor"):
        bundle: Union[Path, bytes] = stage.shop.bundle("hello-1.0-1", THREE)
        repo = stage.publish_file(stage.shop.rpm("hello-1.0-1", builder), bundle)
        system = stage.system(repo, name=f"system-{builder}")
        result = system.dnf("install", "hello")
        assert result.rc == 0 and system.installed() == {"hello-1.0-1.noarch"}, result.text
