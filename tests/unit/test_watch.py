# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig watch: a signer learns of what others signed with their key, and of keys that pass for theirs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

from fixtures.rpmjudge import judged
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode
from multisig.index import encode as encode_index
from multisig.ledger import append, entry_for
from multisig.statement import Kind, Subject, make, statement_id
from multisig.statement import encode as encode_statement
from multisig.statement import parse as parse_statement
from multisig.subjects.embedded import with_bundle
from tests.unit.cli_bench import NEVRA, Bench, call, one_line
from tests.unit.core import CHANNEL, digests, statement
from tests.unit.openpgp_keys import PAST, Home

FORGED = statement(Subject("backdoor-0:6.6-6.noarch", digests("evil")))


class Desk:
    """A signer's desk: a ledger, and a copy of a repository that they look at."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ledger = bench.folder / "ledger.jsonl"
        self.repo = bench.folder / "repo"
        self.repo.mkdir()
        self.own = statement(Subject(NEVRA, judged(bench.rpm.read_bytes()).digests))
        self.note(self.own)
        self.put("hello.rpm.msig", (self.own, "marek"), (self.own, "joanna"))

    def note(self, text: str, who: str = "marek", ledger: "Path | None" = None) -> None:
        key = self.bench.people.key(who).fingerprint
        append(str(ledger or self.ledger), entry_for(parse_statement(text), text, key, 0))

    def attestations(self, *signed: Tuple[str, str]) -> Tuple[Attestation, ...]:
        return tuple(Attestation(text, (self.bench.people.sign(who, data=text.encode()),)) for text, who in signed)

    def put(self, name: str, *signed: Tuple[str, str]) -> Path:
        path = self.repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Bundle(self.attestations(*signed))))
        return path

    def watch(self, *words: object, path: "Path | None" = None) -> Dict[str, Any]:
        ran = call("watch", "--ledger", self.ledger, "--policy", self.bench.policy, "--json", *words, path or self.repo)
        found = dict(json.loads(ran.out))
        keys = ["clean", "error", "keys", "signatures", "misuse", "lookalikes", "notes"]
        assert list(found) == keys and ran.out.count("\n") == 1
        assert found["clean"] is (ran.rc == 0) and (found["error"] is None) is (ran.rc != 2)
        return {**found, "rc": ran.rc}


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


@pytest.fixture
def impostor() -> Any:
    home = Home()
    try:
        yield home
    finally:
        home.close()


def names(found: Dict[str, Any]) -> List[str]:
    return [name for item in found["misuse"] for name in item["names"]]


def test_what_the_signer_signed_is_no_misuse_nor_is_what_others_did(desk: Desk) -> None:
    desk.put("joanna.msig", (FORGED, "joanna"))
    found = desk.watch()
    assert (found["rc"], found["misuse"], found["lookalikes"], found["notes"]) == (0, [], [], [])
    assert found["keys"] == [desk.bench.people.key("marek").fingerprint]
    assert found["signatures"] == 3
    ran = call("watch", "--ledger", desk.ledger, "--policy", desk.bench.policy, desk.repo)
    assert (ran.rc, ran.err) == (0, "")
    assert ran.out.startswith("nothing found: 3 signatures looked at")


def test_one_signature_is_told_as_one(desk: Desk) -> None:
    desk.put("hello.rpm.msig", (desk.own, "marek"))
    ran = call("watch", "--ledger", desk.ledger, "--policy", desk.bench.policy, desk.repo)
    assert (ran.rc, ran.out.startswith("nothing found: 1 signature looked at, for ")) == (0, True), ran


def test_a_signature_that_is_not_in_the_ledger_is_found_and_told(desk: Desk) -> None:
    desk.put("sub/backdoor.rpm.msig", (FORGED, "marek"))
    found = desk.watch()
    assert found["rc"] == 1
    (item,) = found["misuse"]
    assert item["key"] == item["issuer"] == desk.bench.people.key("marek").fingerprint
    assert (item["statement"], item["kind"], item["channel"]) == (statement_id(FORGED), "rpm", CHANNEL)
    assert (item["names"], item["sources"]) == (["backdoor-0:6.6-6.noarch"], ["sub/backdoor.rpm.msig"])
    ran = call("watch", "--ledger", desk.ledger, "--policy", desk.bench.policy, desk.repo)
    assert ran.rc == 1
    for what in ("NOT IN YOUR LEDGER", item["key"], item["statement"], "backdoor-0:6.6-6.noarch", "sub/backdoor"):
        assert what in ran.out


def in_an_index(desk: Desk) -> Path:
    path = desk.bench.folder / "some-multisig.jsonl"
    path.write_bytes(b"".join(encode_index(desk.attestations((FORGED, "marek")))))
    return path


def in_the_repository_s_index(desk: Desk) -> Path:
    (desk.repo / "p").mkdir()
    (desk.repo / "p" / "hello.rpm").write_bytes(desk.bench.rpm.read_bytes())
    subprocess.run(["createrepo_c", "--quiet", desk.repo], check=True, timeout=60)
    bundle = desk.put("batch.msig", (FORGED, "marek"))
    assert call("index", desk.repo).rc == 0
    bundle.unlink()
    return desk.repo


def in_a_release_statement(desk: Desk) -> Path:
    subject = Subject("repomd.xml", digests("metadata"))
    text = encode_statement(make(Kind.RELEASE, CHANNEL, [subject], serial=9, issued=1, expires=2))
    desk.put("repodata/repomd.xml.msig", (text, "marek"))
    return desk.repo


def in_a_package(desk: Desk) -> Path:
    path = desk.repo / "hello.rpm"
    path.write_bytes(desk.bench.rpm.read_bytes())
    with open(path, "rb") as stream:
        beginning, rest = with_bundle(stream.fileno(), encode(Bundle(desk.attestations((FORGED, "marek")))))
    path.write_bytes(beginning + desk.bench.rpm.read_bytes()[rest:])
    return desk.repo


def in_a_bundle_larger_than_one_beside_a_package(desk: Desk) -> Path:
    many = [(statement(source=f"{number} {'x' * 4000}"), ("no signature",)) for number in range(60)]
    padding = tuple(Attestation(text * 5, signatures) for text, signatures in many)
    whole = {"multisig": "bundle/v1", "attestations": []}  # type: Dict[str, Any]
    for item in (*padding, *desk.attestations((FORGED, "marek"))):
        whole["attestations"].append({"statement": item.statement, "signatures": list(item.signatures)})
    data = json.dumps(whole).encode()
    assert len(data) > MAX_BUNDLE
    (desk.repo / "batch.msig").write_bytes(data)
    return desk.repo


PLACES = [
    in_an_index, in_the_repository_s_index, in_a_release_statement, in_a_package,
    in_a_bundle_larger_than_one_beside_a_package,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_signatures_lie(desk: Desk, place: Callable[[Desk], Path]) -> None:
    found = desk.watch(path=place(desk))
    assert found["rc"] == 1
    assert names(found) in (["backdoor-0:6.6-6.noarch"], ["repomd.xml"])


def test_a_signature_over_anything_is_a_signature(desk: Desk) -> None:
    desk.put("odd.msig", ("I owe Mallory a million", "marek"))
    (item,) = desk.watch()["misuse"]
    assert (item["kind"], item["names"]) == (None, [])
    assert item["statement"] == statement_id("I owe Mallory a million")


def test_whoever_writes_down_a_fingerprint_is_not_believed(desk: Desk) -> None:
    false = desk.bench.people.sign("marek", data=b"something else")
    (desk.repo / "false.msig").write_bytes(encode(Bundle((Attestation(FORGED, (false, "text")),))))
    assert desk.watch()["rc"] == 0


@pytest.mark.parametrize("end", ["expired", "revoked"])
def test_a_key_that_has_ended_was_used_all_the_same(desk: Desk, impostor: Home, end: str) -> None:
    """Whoever has an old key may date their signatures as they like."""
    key = impostor.create("old", expire="20d" if end == "expired" else "never", at=PAST)
    signature = impostor.sign("old", data=FORGED.encode(), at=PAST)
    if end == "revoked":
        impostor.revoke("old", "2")
    (desk.repo / "late.msig").write_bytes(encode(Bundle((Attestation(FORGED, (signature,)),))))
    found = desk.watch("--key", key, "--gnupghome", impostor.path)
    assert (found["rc"], names(found)) == (1, ["backdoor-0:6.6-6.noarch"])


def test_a_subkey_s_signature_is_its_owner_s(desk: Desk) -> None:
    other = desk.bench.folder / "other.jsonl"
    desk.note(desk.own, "joanna", other)
    desk.put("forged.msig", (FORGED, "joanna"))
    found = desk.watch("--ledger", other)
    assert found["keys"] == sorted(desk.bench.people.key(who).fingerprint for who in ("marek", "joanna"))
    (item,) = found["misuse"]
    assert item["key"] == desk.bench.people.key("joanna").fingerprint
    assert item["issuer"] == desk.bench.people.subkeys["joanna"]


def test_ledgers_of_several_machines_count_together(desk: Desk) -> None:
    laptop = desk.bench.folder / "laptop.jsonl"
    desk.put("more.msig", (FORGED, "marek"))
    desk.note(FORGED, ledger=laptop)
    assert desk.watch()["rc"] == 1
    assert desk.watch("--ledger", laptop)["rc"] == 0


def test_what_another_of_one_s_keys_signed_is_not_excused_by_the_ledger_of_this_one(desk: Desk) -> None:
    desk.note(desk.own, "joanna")
    desk.note(FORGED, "joanna")
    desk.put("forged.msig", (FORGED, "marek"))
    assert names(desk.watch()) == ["backdoor-0:6.6-6.noarch"]


def test_one_misuse_is_told_once_with_all_its_places(desk: Desk) -> None:
    (attestation,) = desk.attestations((FORGED, "marek"))
    for name in ("a.msig", "b.msig"):
        (desk.repo / name).write_bytes(encode(Bundle((attestation,))))
    (item,) = desk.watch()["misuse"]
    assert item["sources"] == ["a.msig", "b.msig"]


# --- keys that pass for one's own ------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_id", ["marek", "MAREK <x@evil.example>", "Marek (new key) <x@evil.example>"])
def test_a_key_file_in_the_repository_with_one_s_name_is_told(desk: Desk, impostor: Home, user_id: str) -> None:
    impostor.create(user_id)
    (desk.repo / "RPM-GPG-KEY-marek").write_bytes(impostor.export(user_id, "--armor"))
    (desk.repo / "own.asc").write_bytes(desk.bench.people.home.export("marek", "--armor"))
    (desk.repo / "repomd.xml.asc").write_text(desk.bench.people.sign("joanna"))
    found = desk.watch()
    assert found["rc"] == 1
    (item,) = found["lookalikes"]
    assert item == {
        "fingerprint": impostor.fingerprints[user_id], "user_ids": [user_id], "where": "RPM-GPG-KEY-marek"
    }  # fmt: skip


def test_an_address_is_a_name_too_and_another_s_is_not(desk: Desk, impostor: Home) -> None:
    own = "Someone Else <someone@example.org>"
    impostor.create(own)
    impostor.create("S. E. <SOMEONE@example.org>")
    impostor.create("Nobody <nobody@example.org>")
    for number, name in enumerate(impostor.fingerprints):
        (desk.repo / f"{number}.asc").write_bytes(impostor.export(name, "--armor"))
    found = desk.watch("--key", impostor.fingerprints[own], "--gnupghome", impostor.path)
    assert [item["where"] for item in found["lookalikes"]] == ["1.asc"]


def test_a_key_that_the_policy_gives_to_the_same_person_is_told_whatever_its_name(desk: Desk, impostor: Home) -> None:
    impostor.create("innocent")
    folder = desk.bench.folder / "policy"
    (folder / "keys").mkdir(parents=True)
    for name in ("marek", "joanna", "rafal"):
        (folder / "keys" / f"{name}.asc").write_bytes(desk.bench.people.home.export(name, "--armor"))
    (folder / "keys" / "more.asc").write_bytes(impostor.export("innocent", "--armor"))
    marek = desk.bench.people.key("marek").fingerprint
    text = desk.bench.policy.read_text().replace(
        f'{{keys: [{{fingerprint: "{marek}", file: keys/marek.asc}}]}}',
        f'{{keys: [{{fingerprint: "{marek}", file: keys/marek.asc}}, '
        f'{{fingerprint: "{impostor.fingerprints["innocent"]}", file: keys/more.asc}}]}}',
    )
    (folder / "policy.yaml").write_text(text)
    found = desk.watch("--policy", folder / "policy.yaml")
    (item,) = found["lookalikes"]
    assert (item["where"], item["user_ids"]) == ("the policy, as a key of marek", ["innocent"])
    ran = call("watch", "--ledger", desk.ledger, "--policy", folder / "policy.yaml", desk.repo)
    assert ran.rc == 1
    assert "NOT YOUR KEY" in ran.out


# --- what cannot be told ---------------------------------------------------------------------------------------------


def no_ledger(desk: Desk) -> None:
    desk.ledger.unlink()


def broken_ledger(desk: Desk) -> None:
    desk.ledger.write_text("a diary\n")


def no_repository(desk: Desk) -> None:
    desk.repo.rename(desk.bench.folder / "elsewhere")


def unreadable_file(desk: Desk) -> None:
    os.mkfifo(desk.repo / "x.msig")


@pytest.mark.parametrize("what", [no_ledger, broken_ledger, no_repository, unreadable_file])
def test_what_cannot_be_told_is_2_and_never_clean(desk: Desk, what: Callable[[Desk], None]) -> None:
    what(desk)
    found = desk.watch()
    assert (found["rc"], found["clean"]) == (2, False)
    assert found["error"]["message"]


def test_without_any_key_there_is_nobody_to_look_for(desk: Desk) -> None:
    empty = desk.bench.folder / "empty.jsonl"
    empty.write_text('{"multisig": "ledger/v1"}\n')
    ran = call("watch", "--ledger", empty, desk.repo)
    assert ran.rc == 2
    one_line(ran.err, "--key FPR says whose signatures to look for")


def test_what_is_malformed_in_a_repository_is_noted_and_the_rest_is_looked_at(desk: Desk) -> None:
    (desk.repo / "bad.msig").write_bytes(b"[" * 20_000)
    desk.put("forged.msig", (FORGED, "marek"))
    found = desk.watch()
    assert (found["rc"], names(found)) == (1, ["backdoor-0:6.6-6.noarch"])
    assert len(found["notes"]) == 1 and found["notes"][0].startswith("bad.msig: ")


@pytest.mark.parametrize("name", ["x.msig", "index.jsonl"])
def test_a_single_file_that_is_malformed_is_2(desk: Desk, name: str) -> None:
    path = desk.bench.write(name, b"nonsense")
    found = desk.watch(path=path)
    assert (found["rc"], found["clean"]) == (2, False)
    assert name in found["error"]["message"]


def test_the_ledger_that_sign_writes_is_the_one_that_watch_reads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(desk.bench.folder / "data"))
    bench = desk.bench
    key = bench.people.key("marek").fingerprint
    words = ("--key", key, "--gnupghome", bench.people.home.path, "--channel", "testing")
    assert call("sign", *words, bench.rpm).rc == 0
    (desk.repo / "hello.rpm.msig").write_bytes((bench.folder / "hello.rpm.msig").read_bytes())
    ran = call("watch", "--gnupghome", bench.people.home.path, desk.repo)
    assert (ran.rc, ran.err) == (0, "")
