# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways around dnf's hooks, and what a repository may be made to say: each through real dnf. See docs/attacks.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, Mapping, Sequence

import pytest

from fixtures.installroot import AS_ROOT, Installroot
from fixtures.policy import CHANNEL, rule, write_policy
from fixtures.rpmplugin import RpmPlugin
from fixtures.running import PYTHON, Argument, Result, multisig, run
from fixtures.server import Fault
from fixtures.workshop import TEAM
from multisig import bundle as bundles
from multisig.bundle import Attestation, Bundle
from multisig.openpgp import Signer
from multisig.statement import Digests, Kind, Subject, encode, make
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = {"hello-1.0-1.noarch"}
NEVRA = "hello-0:1.0-1.noarch"


def refused(result: Result, system: Installroot) -> bool:
    nothing = not system.installed() and not system.holds("/var/hello-pre")
    return result.rc != 0 and nothing and "multisig: refused" in result.text


def by_api(system: Installroot, *names: str, plugins: bool) -> Result:
    words: list[Argument] = [*AS_ROOT, PYTHON, "-m", "fixtures.dnfuser", *(["--plugins"] if plugins else [])]
    words += [system.folder / "dnf.conf", system.root, *names]
    return run(words, env=system.environment, check=False)


# --- hooks that come twice, late, or not at all ----------------------------------------------------------------------


def shell(stage: Stage, system: Installroot, *lines: str) -> Result:
    script = stage.folder / "script"
    script.write_text("\n".join([*lines, "exit", ""]), encoding="ascii")
    return system.dnf("shell", script)


def test_a_shell_that_resolves_twice_is_judged_by_the_last_transaction(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, TEAM[0]: TWO}))
    result = shell(stage, system, "install hello", "ts list", "ts list", "install team-01", "ts run")
    assert system.installed() == set() and "multisig: refused" in result.text, result.text
    assert "team-01-0:1.0-1.noarch" in result.text


def test_a_shell_s_second_transaction_is_judged_like_the_first(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE, TEAM[0]: TWO}))
    result = shell(stage, system, "install hello", "ts run", "install team-01", "ts run")
    assert system.installed() == HELLO and "team-01-0:1.0-1.noarch: 2 of 3" in result.text, result.text


def test_a_shell_that_is_refused_late_installs_nothing_by_trying_again(stage: Stage) -> None:
    rpm = stage.shop.with_tampered_payload()
    system = stage.system(stage.publish_file(rpm, stage.shop.bundle("hello-1.0-1", THREE)))
    result = shell(stage, system, "install hello", "ts run", "install hello", "ts run")
    assert system.installed() == set() and not system.holds("/var/hello-pre"), result.text
    assert "multisig: refused" in result.text


@pytest.mark.parametrize("signers", [THREE, TWO], ids=["three-signed", "two-signed"])
def test_a_program_that_uses_dnf_s_api_with_plugins_is_judged(stage: Stage, signers: Sequence[str]) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": signers}))
    result = by_api(system, "hello", plugins=True)
    if len(signers) == 3:
        assert result.rc == 0 and system.installed() == HELLO, result.text
    else:
        assert refused(result, system) and "dnf.exceptions.Error" in result.out, result.text


def test_a_program_that_loads_no_plugins_is_a_limit_with_rpm_s_plugin_behind_it(stage: Stage) -> None:
    """No plugin of dnf's can know of it: as PackageKit, microdnf and --noplugins."""
    repo = stage.publish({"hello-1.0-1": None})
    system = stage.system(repo)
    assert by_api(system, "hello", plugins=False).rc == 0
    assert system.installed() == HELLO
    behind = stage.system(repo, name="behind")
    RpmPlugin(behind)
    result = by_api(behind, "hello", plugins=False)
    assert behind.installed() == set() and not behind.holds("/var/hello-pre"), result.text


OFF = ["--noplugins", "--disableplugin=multisig", "--disableplugin=*", "--setopt=plugins=0", "--setopt=pluginpath=/x"]


def test_options_that_switch_the_plugin_off_are_a_limit_with_rpm_s_plugin_behind_it(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": None}))
    RpmPlugin(system)
    for option in OFF:
        result = system.dnf(option, "install", "hello")
        assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-pre"), result.text


def test_enabled_0_in_the_configuration_is_a_limit_with_rpm_s_plugin_behind_it(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": None}), enabled="0")
    RpmPlugin(system)
    result = system.dnf("install", "hello")
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-pre"), result.text


def test_a_dnf_conf_in_the_installation_root_is_a_limit_with_rpm_s_plugin_behind_it(stage: Stage) -> None:
    """Without --config dnf prefers the one in the root that it installs into, whoever wrote that."""
    system = stage.system(stage.publish({"hello-1.0-1": None}))
    RpmPlugin(system)
    inner = system.root / "etc" / "dnf" / "dnf.conf"
    inner.parent.mkdir(parents=True)
    inner.write_text((system.folder / "dnf.conf").read_text(encoding="utf-8") + "plugins=0\n", encoding="utf-8")
    words = [word for word in system.dnf_command("install", "hello") if not word.startswith("--config=")]
    result = run([*AS_ROOT, *words], env=system.environment, check=False)
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-pre"), result.text
    assert refused(system.dnf("install", "hello"), system)


@pytest.mark.parametrize(
    "options",
    [
        ["--setopt=pluginconfpath=/nowhere"],
        ["--nogpgcheck"],
        ["--setopt=gpgcheck=0", "--setopt=*.gpgcheck=0", "--setopt=repo_gpgcheck=0"],
        ["--setopt=assumeyes=1", "--setopt=strict=0", "--skip-broken", "--nobest"],
        ["--setopt=multisig.mode=warn"],
        ["--enableplugin=multisig", "--setopt=main.plugins=1"],
        ["--allowerasing", "--setopt=obsoletes=0"],
        ["--rpmverbosity=debug", "--setopt=protected_packages="],
    ],
    ids=" ".join,
)
def test_no_other_option_of_dnf_s_lets_it_in(stage: Stage, options: Sequence[str]) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    result = system.dnf(*options, "install", "hello")
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-pre"), result.text


def test_a_test_transaction_approves_nothing_for_the_next_one(stage: Stage) -> None:
    """With tsflags=test dnf never comes to pre_transaction."""
    rpm = stage.shop.with_tampered_payload()
    system = stage.system(stage.publish_file(rpm, stage.shop.bundle("hello-1.0-1", THREE)))
    tested = system.dnf("--setopt=tsflags=test", "install", "hello")
    assert tested.rc == 0 and not system.installed() and not system.holds("/var/hello-pre"), tested.text
    assert refused(system.dnf("--setopt=keepcache=1", "install", "hello"), system)


def test_a_test_transaction_of_what_too_few_signed_is_refused(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": TWO}))
    assert refused(system.dnf("--setopt=tsflags=test", "install", "hello"), system)
    assert stage.server.count("*.rpm") == 0


def test_after_a_late_refusal_what_lies_in_the_cache_is_verified_again(stage: Stage) -> None:
    rpm = stage.shop.with_tampered_payload()
    system = stage.system(stage.publish_file(rpm, stage.shop.bundle("hello-1.0-1", THREE)))
    assert refused(system.dnf("install", "hello"), system)
    assert [path.name for path in (system.root / "var" / "cache").rglob("*.rpm")] == ["hello-1.0-1.noarch.rpm"]
    stage.server.reset()
    assert refused(system.dnf("install", "hello"), system)
    assert stage.server.count("*.rpm") == 0


# --- offline, after a reboot -----------------------------------------------------------------------------------------


class Replay:
    """What dnf's plugin system-upgrade does: it downloads by a test transaction, and replays that offline later."""

    def __init__(
        self, stage: Stage, signers: Sequence[str], mode: str = "enforce", download: str = "--setopt=tsflags=test"
    ) -> None:
        self.stage = stage
        repo = stage.publish({"hello-1.0-1": signers})
        self.system = stage.system(repo, mode=mode)
        done = self.system.dnf("--setopt=keepcache=1", download, "install", "hello")
        assert done.rc == 0, done.text
        # What is stored is what dnf stores of such a transaction where it went through.
        other = stage.system(repo, name="other", mode="warn")
        assert other.dnf("install", "hello").rc == 0
        self.file = stage.folder / "transaction.json"
        assert other.dnf("history", "store", "last", "--output", self.file).rc == 0
        stage.server.fault("*", Fault(status=503))
        stage.server.reset()

    def run(self) -> Result:
        result = self.system.dnf("--cacheonly", "history", "replay", self.file)
        assert self.stage.server.count() == 0
        return result


@pytest.mark.parametrize("download", ["--setopt=tsflags=test", "--downloadonly"])
def test_an_offline_replay_of_what_enough_people_signed_needs_no_network(stage: Stage, download: str) -> None:
    replay = Replay(stage, THREE, download=download)
    result = replay.run()
    assert result.rc == 0 and replay.system.installed() == HELLO, result.text


def test_an_offline_replay_of_what_nobody_judged_when_it_was_downloaded_is_refused(stage: Stage) -> None:
    replay = Replay(stage, TWO, mode="warn")
    replay.system.configure(policy=str(stage.policy))
    assert refused(replay.run(), replay.system)


def test_an_offline_replay_goes_by_the_policy_of_its_own_day(stage: Stage) -> None:
    """Between the download and the replay one of the three turned out to be compromised."""
    replay = Replay(stage, THREE)
    remarks = {"rafal": "compromised: true"}
    later = write_policy(stage.folder / "later", stage.shop.people, remarks=remarks)
    replay.system.configure(policy=str(later))
    result = replay.run()
    assert refused(result, replay.system) and "compromised" in result.text, result.text


def test_an_offline_replay_of_a_package_that_was_exchanged_in_the_cache_is_refused(stage: Stage) -> None:
    replay = Replay(stage, THREE)
    (cached,) = (replay.system.root / "var" / "cache").rglob("*.rpm")
    shutil.copyfile(stage.shop.with_tampered_script(), cached)
    result = replay.run()
    assert result.rc != 0 and not replay.system.installed() and not replay.system.holds("/var/hello-pre"), result.text


# --- what a bundle says of itself ------------------------------------------------------------------------------------


Change = Callable[[Mapping[str, object]], object]


def _at_the_top(bundle: Mapping[str, object]) -> object:
    return {**bundle, "threshold": 2}


def _beside_the_signatures(bundle: Mapping[str, object]) -> object:
    items = bundle["attestations"]
    return {**bundle, "attestations": [{**item, "require": "2 of builders"} for item in items]}  # type: ignore[attr-defined]


def _with_keys_of_its_own(bundle: Mapping[str, object]) -> object:
    return {**bundle, "signers": {"marek": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}}


@pytest.mark.parametrize("change", [_at_the_top, _beside_the_signatures, _with_keys_of_its_own])
def test_a_bundle_that_brings_its_own_threshold_or_keys(
    stage: Stage, change: Callable[[Mapping[str, object]], object]
) -> None:
    two = json.loads(stage.shop.bundle("hello-1.0-1", TWO).read_bytes())
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), json.dumps(change(two)).encode()))
    assert refused(system.dnf("install", "hello"), system)


def test_a_signed_statement_that_brings_its_own_threshold(stage: Stage) -> None:
    """Even where three sign it: only the policy says what is needed, and a statement of another shape is none."""
    (attestation,) = bundles.parse(stage.shop.bundle("hello-1.0-1", ["marek"]).read_bytes()).attestations
    statement = json.loads(attestation.statement)
    statement["predicate"]["threshold"] = "1"
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"))
    people = [stage.shop.people[name] for name in THREE]
    signatures = tuple(Signer(person.fingerprint, str(person.home)).sign(text.encode()) for person in people)
    data = bundles.encode(Bundle((Attestation(text, signatures),)))
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), data))
    assert refused(system.dnf("install", "hello"), system)


def test_a_statement_whose_digests_are_weak_or_other_ones(stage: Stage) -> None:
    """The statement names the digests; that they are those of the package is looked at, whoever signed."""
    wrong = make(Kind.RPM, CHANNEL, [Subject(NEVRA, Digests("0" * 64, "0" * 128))])
    text = encode(wrong)
    people = [stage.shop.people[name] for name in THREE]
    signatures = tuple(Signer(person.fingerprint, str(person.home)).sign(text.encode()) for person in people)
    data = bundles.encode(Bundle((Attestation(text, signatures),)))
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), data))
    result = system.dnf("install", "hello")
    assert refused(result, system) and "other content" in result.text, result.text


# --- uploads, keyrings -----------------------------------------------------------------------------------------------


def test_what_uploaders_flooded_is_installed_all_the_same(stage: Stage) -> None:
    incoming, repo = stage.folder / "incoming", stage.repository("flooded")
    (incoming / "good").mkdir(parents=True)
    (incoming / "bad").mkdir()
    shutil.copyfile(stage.shop.rpm("hello-1.0-1"), incoming / "good" / "hello-1.0-1.noarch.rpm")
    good = bundles.parse(stage.shop.bundle("hello-1.0-1", THREE).read_bytes())
    (incoming / "good" / "hello.msig").write_bytes(bundles.encode(good))
    person = stage.shop.people["wiktor"]
    false = Signer(person.fingerprint, str(person.home)).sign(b"something else")
    for number in range(5):
        texts = [
            encode(make(Kind.RPM, CHANNEL, [Subject(NEVRA, Digests(f"{number * 63 + place:064x}", "0" * 128))]))
            for place in range(63)
        ]
        junk = [Attestation(text, (false,)) for text in (good.attestations[0].statement, *texts)]
        (incoming / "bad" / f"{number}.msig").write_bytes(bundles.encode(Bundle(tuple(junk))))
    multisig("publish", "--incoming", incoming, "--repo", repo.folder, "--policy", stage.policy)
    system = stage.system(stage.repo(repo))
    result = system.dnf("install", "hello")
    assert result.rc == 0 and system.installed() == HELLO, result.text


def test_a_keyring_package_cannot_bring_a_policy_without_the_quorum_s_word(stage: Stage) -> None:
    rules, channel = [rule()], "demo-policy"
    extra = f"policy-quorum: 2 of release\nchannel: {channel}\n"
    groups = {"builders": list(stage.shop.people), "release": ["simon", "wiktor"]}
    policy = write_policy(stage.folder / "quorum", stage.shop.people, rules, groups=groups, extra=extra)
    rpm = stage.shop.rpm("keyring-1.0-1")
    built = bundles.parse(stage.shop.bundle("keyring-1.0-1", THREE).read_bytes())
    system = stage.system(stage.publish_file(rpm, bundles.encode(built)), policy=policy)
    result = system.dnf("install", "keyring")
    assert refused(result, system) and "quorum" in result.text, result.text
    quorum = bundles.parse(stage.shop.bundle("keyring-1.0-1", ["simon", "wiktor"], channel).read_bytes())
    both = bundles.encode(bundles.merge([built, quorum]))
    approved = stage.system(stage.publish_file(rpm, both), policy=policy, name="approved")
    result = approved.dnf("install", "keyring")
    assert result.rc == 0 and approved.installed() == {"keyring-1.0-1.noarch"}, result.text


def test_another_product_s_approvals_of_the_same_people_are_not_taken(stage: Stage) -> None:
    """Replay: the same people build two products, and sign for each its own channel."""
    other = stage.shop.bundle("hello-1.0-1", THREE, channel="other-stable")
    system = stage.system(stage.publish_file(stage.shop.rpm("hello-1.0-1"), other))
    result = system.dnf("install", "hello")
    assert refused(result, system) and "other-stable" in result.text, result.text


def test_a_local_folder_s_package_is_judged_by_its_name_wherever_it_came_from(stage: Stage, tmp_path: Path) -> None:
    """Copied out of a repository that is exempt, under another file name."""
    exempt = "  - name: lab\n    repos: [lab]\n    exempt: built here\n    until: never\n"
    policy = write_policy(stage.folder / "lab", stage.shop.people, [exempt, rule(packages=["hello"])])
    system = stage.system(policy=policy)
    rpm = tmp_path / "lab.rpm"
    shutil.copyfile(stage.shop.rpm("hello-1.0-1"), rpm)
    assert refused(system.dnf("install", rpm), system)
