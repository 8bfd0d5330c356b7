# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy sign and update, with real keys: people who hand a policy on, and what else may come."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Callable, Dict, Iterator, List, Mapping, Sequence

import pytest

from fixtures.running import CHECKOUT, CLEAN, PYTHON
from multisig.bundle import Attestation, Bundle, encode
from multisig.ledger import read_ledger
from multisig.policy import load_policy, read_policy
from multisig.statement import encode as encode_statement
from multisig.succession import policy_statement
from tests.unit.cli_bench import Ran, call, one_line
from tests.unit.openpgp_keys import PAST, Home

CHANNEL = "demo-policy"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """marek, joanna, rafal: keys without an end. late: a key that has expired."""
    home = Home()
    try:
        for name in ("marek", "joanna", "rafal"):
            home.create(name, at=PAST)
        home.create("late", expire="20d", at=PAST)
        yield home
    finally:
        home.close()


@dataclass
class Keepers:
    """Policies that are handed on below ``folder``; each version has a folder of its own until it is in force."""

    home: Home
    folder: Path
    exported: Dict[str, bytes] = field(default_factory=dict)

    @property
    def policy(self) -> Path:
        return self.folder / "etc" / "policy.yaml"

    def key(self, name: str) -> bytes:
        return self.exported.get(name) or self.home.export(name, "--armor")

    def write(
        self, where: str, serial: int, people: Sequence[str], quorum: str = "2 of release", channel: str = CHANNEL
    ) -> Path:
        folder = self.folder / where
        (folder / "keys").mkdir(parents=True, exist_ok=True)
        lines = ["multisig: policy/v1", f"serial: {serial}", f"channel: {channel}"]
        lines += [f"policy-quorum: {quorum}", "signers:"] if quorum else ["signers:"]
        for name in people:
            (folder / "keys" / f"{name}.asc").write_bytes(self.key(name))
            lines.append(
                f'  {name}: {{keys: [{{fingerprint: "{self.home.fingerprints[name]}", file: keys/{name}.asc}}]}}'
            )
        lines += ["groups:", f"  release: [{', '.join(people)}]", "rules:"]
        lines += ["  - {name: all, channel: demo-stable, require: 1 of release}", ""]
        (folder / "policy.yaml").write_text("\n".join(lines))
        return folder / "policy.yaml"

    def sign(self, new: Path, *names: str) -> Ran:
        ran = Ran(0, "", "")
        for name in names:
            key = self.home.fingerprints[name]
            ran = call("policy", "sign", "--policy", self.policy, "--key", key, "--gnupghome", self.home.path, new)
            assert ran.rc == 0, ran.err
        return ran

    def update(self, new: Path) -> Ran:
        return call("policy", "update", new, "--policy", self.policy)

    def serial(self) -> int:
        return load_policy(str(self.policy)).serial


@pytest.fixture
def keepers(home: Home, tmp_path: Path) -> Keepers:
    made = Keepers(home, tmp_path)
    made.write("etc", 1, ["marek", "joanna", "rafal"])
    return made


def test_two_of_three_hand_the_policy_on(keepers: Keepers) -> None:
    new = keepers.write("new", 2, ["marek", "joanna"])
    ran = keepers.sign(new, "marek", "joanna")
    assert "signer rafal: removed" in ran.out
    assert "group release: -rafal" in ran.out
    assert f"serial 2 for {CHANNEL}, with 2 files, signed by {keepers.home.fingerprints['joanna']}" in ran.out
    ran = keepers.update(new)
    assert (ran.rc, ran.err) == (0, "")
    assert "signer rafal: removed" in ran.out
    assert ran.out.splitlines()[-1] == f"{keepers.policy}: serial 2 in place of 1, signed by joanna, marek"
    assert keepers.policy.read_bytes() == new.read_bytes()
    assert keepers.serial() == 2
    assert call("policy", "check", "--policy", keepers.policy).rc == 0


def test_signing_twice_adds_nothing(keepers: Keepers) -> None:
    new = keepers.write("new", 2, ["marek", "joanna"])
    keepers.sign(new, "marek")
    before = (keepers.folder / "new" / "policy.yaml.msig").read_bytes()
    assert "already signed by this key" in keepers.sign(new, "marek").err
    assert (keepers.folder / "new" / "policy.yaml.msig").read_bytes() == before
    assert keepers.update(new).rc == 1


def test_too_few_are_refused_by_name_and_nothing_changes(keepers: Keepers) -> None:
    new = keepers.write("new", 2, ["marek", "joanna"])
    keepers.sign(new, "marek")
    before = sorted(os.walk(keepers.folder / "etc"))
    ran = keepers.update(new)
    assert (ran.rc, ran.err) == (1, "")
    assert ran.out.startswith("multisig: refused; the policy in force stays.\n")
    assert "by the policy in force (serial 1): 1 of 2 release signed (marek); needs 1 more of: joanna, rafal" in ran.out
    assert "by the new policy (serial 2): 1 of 2 release signed (marek); needs 1 more of: joanna" in ran.out
    assert sorted(os.walk(keepers.folder / "etc")) == before
    assert keepers.serial() == 1


def test_without_any_signature_it_is_refused(keepers: Keepers) -> None:
    ran = keepers.update(keepers.write("new", 2, ["marek", "joanna"]))
    assert ran.rc == 1
    assert "no bundle of signatures was found" in ran.out


@pytest.mark.parametrize(
    ("serial", "channel", "quorum", "told"),
    [
        (1, CHANNEL, "2 of release", "the new policy's serial is 1; it has to be higher than 1"),
        (2, "other-policy", "2 of release", "the new policy is for the channel other-policy"),
    ],
)
def test_what_signatures_cannot_mend_is_refused(
    keepers: Keepers, serial: int, channel: str, quorum: str, told: str
) -> None:
    new = keepers.write("new", serial, ["marek", "joanna"], quorum, channel)
    keepers.sign(new, "marek", "joanna")
    ran = keepers.update(new)
    assert ran.rc == 1
    assert told in ran.out


def test_a_policy_is_signed_by_the_program_named_and_noted_in_the_ledger_named(keepers: Keepers) -> None:
    """As those need who sign in another qube, and keep their ledger there."""
    new, ledger = keepers.write("new", 2, ["marek", "joanna"]), keepers.folder / "ledger.jsonl"
    wrapper = keepers.folder / "elsewhere"
    wrapper.write_text(f'#!/bin/sh\nexec gpg --homedir {shlex.quote(str(keepers.home.path))} "$@"\n')
    wrapper.chmod(0o755)
    key = keepers.home.fingerprints["marek"]
    ran = call("policy", "sign", "--policy", keepers.policy, "--key", key, "--gpg", wrapper, "--ledger", ledger, new)
    assert (ran.rc, ran.err) == (0, "")
    (entry,) = read_ledger(str(ledger))
    assert (entry.kind, entry.channel, entry.key) == ("policy", CHANNEL, key)


def test_a_policy_without_a_quorum_is_neither_signed_nor_installed(keepers: Keepers) -> None:
    new = keepers.write("new", 2, ["marek", "joanna"], quorum="")
    ran = call("policy", "sign", "--key", keepers.home.fingerprints["marek"], new)
    assert ran.rc == 2
    one_line(ran.err, "policy-quorum")
    ran = keepers.update(new)
    assert ran.rc == 1
    assert "no policy-quorum" in ran.out


def test_the_administrators_own_policy_is_not_replaced_by_anybodys_signatures(keepers: Keepers) -> None:
    keepers.write("etc", 1, ["marek", "joanna"], quorum="")
    new = keepers.write("new", 2, ["marek", "joanna"])
    keepers.sign(new, "marek", "joanna")
    ran = keepers.update(new)
    assert ran.rc == 2
    one_line(ran.err, "replace it by hand")
    assert keepers.serial() == 1


def changed_key(keepers: Keepers, new: Path) -> None:
    shutil.copyfile(new.parent / "keys" / "marek.asc", new.parent / "keys" / "joanna.asc")


def renewed_key(keepers: Keepers, new: Path) -> None:
    """The same key, in other bytes: nobody has signed those."""
    (new.parent / "keys" / "joanna.asc").write_bytes(keepers.home.export("joanna"))


def changed_text(keepers: Keepers, new: Path) -> None:
    new.write_text(new.read_text().replace("demo-stable", "demo-testing"))


def missing_key(keepers: Keepers, new: Path) -> None:
    (new.parent / "keys" / "joanna.asc").unlink()


def damaged_bundle(keepers: Keepers, new: Path) -> None:
    (new.parent / "policy.yaml.msig").write_bytes(b"[" * 20_000)


@pytest.mark.parametrize(
    ("harm", "rc"), [(changed_key, 2), (renewed_key, 1), (changed_text, 1), (missing_key, 2), (damaged_bundle, 1)]
)
def test_what_was_not_signed_as_it_is_is_not_taken(
    keepers: Keepers, harm: Callable[[Keepers, Path], None], rc: int
) -> None:
    new = keepers.write("new", 2, ["marek", "joanna"])
    keepers.sign(new, "marek", "joanna")
    harm(keepers, new)
    assert keepers.update(new).rc == rc
    assert keepers.serial() == 1


def test_a_key_that_has_expired_in_the_policy_in_force_signs_its_own_renewal(keepers: Keepers) -> None:
    keepers.exported["late"] = keepers.home.export("late", "--armor")
    keepers.write("etc", 1, ["marek", "late"])
    assert call("policy", "check", "--policy", keepers.policy).rc == 1  # nobody can reach two any more
    keepers.home.gpg("--quick-set-expire", keepers.home.fingerprints["late"], "0")
    keepers.exported.clear()
    new = keepers.write("new", 2, ["marek", "late"])
    ran = keepers.sign(new, "marek", "late")
    assert "signer late: the same key, with other signatures, subkeys or dates" in ran.out
    ran = keepers.update(new)
    assert (ran.rc, ran.err) == (0, ""), ran.out
    assert call("policy", "check", "--policy", keepers.policy).rc == 0


def test_a_key_that_is_revoked_in_the_policy_in_force_does_not(home: Home, tmp_path: Path) -> None:
    keepers = Keepers(home, tmp_path)
    name = "gone"
    if name not in home.fingerprints:
        home.create(name, at=PAST)
    clean = home.export(name, "--armor")
    keepers.exported[name] = clean
    new = keepers.write("new", 2, ["marek", name])
    keepers.write("etc", 1, ["marek", name])
    keepers.sign(new, "marek", name)
    home.revoke(name, "1")
    keepers.exported[name] = home.export(name, "--armor")
    keepers.write("etc", 1, ["marek", name])
    ran = keepers.update(new)
    assert ran.rc == 1
    assert "is revoked" in ran.out
    assert "by the policy in force" in ran.out


def test_statements_by_other_programs_are_as_good(keepers: Keepers) -> None:
    """The format is what DESIGN says: sorted subjects, the policy by its base name, keys by their paths."""
    new = keepers.write("new", 2, ["marek", "joanna"])
    subjects = []
    for name in ("keys/joanna.asc", "keys/marek.asc", "policy.yaml"):
        data = (new.parent / name).read_bytes()
        digest = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
        subjects.append({"digest": digest, "name": name})
    text = json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "predicate": {"channel": CHANNEL, "serial": 2},
            "predicateType": "urn:multisig:policy:v1",
            "subject": subjects,
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    signatures = tuple(keepers.home.sign(name, data=text.encode()) for name in ("marek", "joanna"))
    (new.parent / "policy.yaml.msig").write_bytes(encode(Bundle((Attestation(text, signatures),))))
    assert keepers.update(new).rc == 0
    assert encode_statement(policy_statement(read_policy(str(new)))) == text


def test_errors_are_one_line(keepers: Keepers) -> None:
    ran = keepers.update(keepers.folder / "nowhere.yaml")
    assert ran.rc == 2
    one_line(ran.err, "nowhere.yaml")
    ran = call("policy", "update", keepers.policy, "--policy", keepers.folder / "nowhere.yaml")
    assert ran.rc == 2
    one_line(ran.err, "nowhere.yaml")
    ran = call("policy", "--policy", keepers.policy, "check")
    assert ran.rc == 0
    assert call("policy").rc == 2
    assert call("policy", "update").rc == 2


def start(keepers: Keepers, new: Path) -> "subprocess.Popen[bytes]":
    command: List[object] = [PYTHON, "-B", "-m", "multisig", "policy", "update", new, "--policy", keepers.policy]
    environment: Mapping[str, str] = {**CLEAN, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.DEVNULL)


def test_killed_at_any_time_one_policy_or_the_other_is_in_force(keepers: Keepers) -> None:
    """SIGKILL to the real program, at times spread over its run; then the update is simply done again."""
    new = keepers.write("new", 2, ["marek", "joanna"])
    keepers.sign(new, "marek", "joanna")
    pristine = keepers.folder / "pristine"
    shutil.copytree(keepers.folder / "etc", pristine)
    begun = time.monotonic()
    assert start(keepers, new).wait(60) == 0
    whole = time.monotonic() - begun
    dice, serials = Random(1), set()
    for _ in range(12):
        shutil.rmtree(keepers.folder / "etc")
        shutil.copytree(pristine, keepers.folder / "etc")
        process = start(keepers, new)
        time.sleep(whole * (0.5 + 0.5 * dice.random()))
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        serials.add(keepers.serial())
        again = start(keepers, new).wait(60)
        assert again in (0, 1)  # 1: it is in force already
        assert keepers.serial() == 2
        assert not (keepers.folder / "etc" / "policy.yaml.update").exists()
        assert keepers.policy.read_bytes() == new.read_bytes()
    assert serials <= {1, 2}
