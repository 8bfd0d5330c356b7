# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig verify and policy check: exit codes, one line for each error, and JSON to the letter."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import pytest

from fixtures.rpmedit import STRING, Rpm
from fixtures.rpmjudge import edited, judged, setting
from fixtures.tamper import tamper_payload
from multisig.bundle import Attestation, Bundle, encode
from multisig.cli.verify import AT_ONCE
from multisig.openpgp import gpgv
from multisig.statement import Digests, Kind, Subject
from multisig.subjects.tree import manifest_digests, tree_manifest
from tests.unit.cli_bench import (
    NAMES,
    NEVRA,
    Bench,
    call,
    checked_json,
    empty,
    malformed_bundle,
    one_line,
    other_content,
    tampered_payload,
    text,
    truncated,
    unapproved,
    unknown_tag,
    weak_digests,
)
from tests.unit.core import statement
from tests.unit.openpgp_keys import hide_pysequoia

# --- verify: the answers ---------------------------------------------------------------------------------------------


def test_accepted_is_0(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle("marek", "rafal"))
    found = bench.verify(bench.rpm)
    (subject,) = found["subjects"]
    message = subject.pop("message")
    assert found["rc"] == 0
    assert subject == {
        "name": NEVRA, "accepted": True, "code": "ok", "rules": ["ours"], "signers": ["marek", "rafal"], "ignored": [],
    }  # fmt: skip
    assert "marek, rafal" in message


def test_refused_is_1_and_names_what_is_missing(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle("marek"))
    found = bench.verify(bench.rpm)
    (subject,) = found["subjects"]
    assert (found["rc"], subject["code"], subject["signers"]) == (1, "below-threshold", ["marek"])
    assert "needs 1 more of: joanna, rafal" in subject["message"]
    ran = call("verify", "--policy", bench.policy, bench.rpm)
    assert ran.rc == 1
    assert "needs 1 more of: joanna, rafal" in ran.out
    assert ran.out.endswith("\n\n1 of 1 is not approved. Ask the people named, or try again when they have signed.\n")


def test_where_no_rule_matches_and_rules_go_by_repository_it_says_so(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    policy = bench.policy.parent / "by-repository.yaml"
    policy.write_text(re.sub(r"^rules:(.|\n)*", BY_REPOSITORY, bench.policy.read_text(), flags=re.MULTILINE))
    ran = call("verify", "--policy", policy, bench.rpm)
    assert ran.rc == 1
    assert ran.out.endswith("Rules of this policy go by the repository: say with --repo ID which one it is from.\n")
    ran = call("verify", "--policy", policy, "--repo", "elsewhere", bench.rpm)
    assert ran.rc == 1 and "--repo" not in ran.out
    assert call("verify", "--policy", policy, "--repo", "ours", bench.rpm).rc == 0
    ran = call("verify", "--policy", policy, bench.folder)
    assert ran.rc == 1
    assert "No rule of this policy is for kind: tree; a folder is judged as a whole, unless the files in it" in ran.out


def test_one_of_many_that_is_refused_refuses_all(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    other = bench.folder / "other.rpm"
    shutil.copyfile(bench.rpm, other)
    found = bench.verify(bench.rpm, other, bench.rpm)
    assert [subject["code"] for subject in found["subjects"]] == ["ok", "no-bundle", "ok"]
    assert found["rc"] == 1


BY_REPOSITORY = """rules:
  - {name: ours, repos: [ours], channel: demo-stable, require: 2 of builders}
"""
REFUSED: Dict[str, Callable[[Bench], None]] = {
    "no-bundle": unapproved,
    "malformed-bundle": malformed_bundle,
    "content-mismatch": other_content,
    "payload-mismatch": tampered_payload,
    "malformed-rpm": unknown_tag,
    "weak-digest": weak_digests,
    "malformed-rpm, truncated": truncated,
    "malformed-rpm, empty": empty,
    "malformed-rpm, text": text,
}


@pytest.mark.parametrize("code", sorted(REFUSED))
def test_each_refusal_has_its_code(bench: Bench, code: str) -> None:
    REFUSED[code](bench)
    found = bench.verify(bench.rpm)
    (subject,) = found["subjects"]
    assert (found["rc"], subject["code"], subject["accepted"]) == (1, code.partition(",")[0], False)
    assert subject["message"]
    assert call("verify", "--policy", bench.policy, bench.rpm).rc == 1


@pytest.mark.parametrize(
    ("words", "rc", "code"),
    [
        (["--repo", "lab"], 0, "exempt"),
        (["--repo", "lab", "--at", "2030-01-01T23:59:59Z"], 0, "exempt"),
        (["--repo", "lab", "--at", "2030-01-02"], 1, "expired"),
        (["--repo", "elsewhere"], 1, "no-rule"),
        (["--at", "2024-01-01T12:00:00+00:00"], 1, "no-bundle"),
        (["--kind", "file"], 1, "no-bundle"),
    ],
)
def test_repository_time_and_kind_are_arguments(bench: Bench, words: List[str], rc: int, code: str) -> None:
    found = bench.verify(*words, bench.rpm)
    assert (found["rc"], found["subjects"][0]["code"]) == (rc, code)


def test_a_signature_dated_after_the_given_time_does_not_count(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle("marek", "joanna"))
    assert bench.verify(bench.rpm)["rc"] == 0
    found = bench.verify("--at", "2024-06-01", bench.rpm)
    assert (found["rc"], found["subjects"][0]["code"]) == (1, "below-threshold")
    assert "marek: a signature dated in the future" in found["subjects"][0]["ignored"]


@pytest.mark.parametrize(("ahead", "rc"), [(300, 0), (301, 1)])
def test_the_given_time_is_the_clock_for_dates_ahead_of_the_real_one_too(bench: Bench, ahead: int, rc: int) -> None:
    given = int(time.time()) + 864000
    text = statement(Subject(NEVRA, judged(bench.rpm.read_bytes()).digests))
    dated = time.strftime("%Y%m%dT%H%M%S", time.gmtime(given + ahead))
    signed = tuple(bench.people.sign(name, data=text.encode(), at=dated) for name in ("marek", "rafal"))
    bench.write("hello.rpm.msig", encode(Bundle((Attestation(text, signed),))))
    found = bench.verify("--at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(given)), bench.rpm)
    assert (found["rc"], found["subjects"][0]["code"]) == (rc, "below-threshold" if rc else "ok")
    assert bench.verify(bench.rpm)["subjects"][0]["signers"] == []


def test_a_bundle_may_be_named(bench: Bench) -> None:
    given = bench.write("elsewhere.msig", bench.bundle("marek", "joanna"))
    assert bench.verify("--bundle", given, bench.rpm)["rc"] == 0


def test_files_and_trees(bench: Bench) -> None:
    image = bench.write("image.iso", b"image")
    tree = bench.folder / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d" / "file").write_text("x")
    found = bench.verify(image, tree)
    assert [subject["name"] for subject in found["subjects"]] == ["image.iso", "tree"]
    content = manifest_digests(tree_manifest(str(tree)))
    words = statement(Subject("tree", content), kind=Kind.TREE)
    bench.write("tree.msig", bench.bundle("marek", "rafal", text=words))
    assert bench.verify(tree)["rc"] == 0
    (bench.folder / "link").symlink_to("tree")
    bench.write("link.msig", bench.bundle("marek", "rafal", text=words))
    assert bench.verify(bench.folder / "link")["rc"] == 0
    (tree / "new").write_text("")
    assert bench.verify(tree)["subjects"][0]["code"] == "content-mismatch"
    (tree / "odd").symlink_to("new")
    assert bench.verify(tree)["rc"] == 1


def test_nothing_is_approved_as_a_tree_because_an_empty_one_was(bench: Bench) -> None:
    empty_tree = Digests(manifest_digests(b"").sha256, manifest_digests(b"").sha512)
    given = bench.write("given.msig", bench.bundle(*NAMES, text=statement(Subject("x", empty_tree), kind=Kind.TREE)))
    (bench.folder / "full").mkdir()
    bench.write("full/evil", b"x")
    (bench.folder / "link").symlink_to("full")
    (bench.folder / "empty").mkdir()
    for name, rc in (("link", 1), ("full", 1), ("full/evil", 2), ("hello.rpm", 2), ("nothing", 2), ("empty", 0)):
        assert bench.verify("--kind", "tree", "--bundle", given, bench.folder / name)["rc"] == rc, name


# --- verify: what could not be judged --------------------------------------------------------------------------------


UNREADABLE: Dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a FIFO": lambda path: os.mkfifo(path),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", ["odd.rpm", "odd.iso"])
@pytest.mark.parametrize("what", sorted(UNREADABLE))
def test_what_cannot_be_read_is_2_and_the_others_are_judged(bench: Bench, what: str, name: str) -> None:
    UNREADABLE[what](bench.folder / name)
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    found = bench.verify(bench.folder / name, bench.rpm)
    assert [subject["code"] for subject in found["subjects"]] == ["unreadable", "ok"]
    assert (found["rc"], found["error"]["code"]) == (2, "unreadable")
    assert name in found["error"]["message"]


def test_many_at_once_are_answered_in_their_order_each_with_its_own_verdict(bench: Bench) -> None:
    """More than are proven side by side; some good, some whose payload is not the signed one, one that is not there."""
    bundle, good = bench.bundle(*NAMES), bench.rpm.read_bytes()
    tampered = tamper_payload(bench.rpm, bench.folder / "tampered").read_bytes()
    paths, codes = [], []
    for number in range(3 * AT_ONCE):
        bad = number % 5 == 2
        paths.append(bench.write(f"{number}.rpm", tampered if bad else good))
        bench.write(f"{number}.rpm.msig", bundle)
        codes.append("payload-mismatch" if bad else "ok")
    paths[AT_ONCE + 1].unlink()
    codes[AT_ONCE + 1] = "unreadable"
    found = bench.verify(*paths)
    assert [subject["code"] for subject in found["subjects"]] == codes
    assert found["rc"] == 2
    assert str(paths[AT_ONCE + 1]) in found["error"]["message"]


def test_the_header_decides_not_the_file_name(bench: Bench) -> None:
    """Another name for the file makes it no other package, and another package does not become the one it is called."""
    bench.write("bash-5.2-1.x86_64.rpm.msig", bench.bundle(*NAMES))
    renamed = bench.write("bash-5.2-1.x86_64.rpm", bench.rpm.read_bytes())
    found = bench.verify(renamed)
    assert (found["rc"], [subject["name"] for subject in found["subjects"]]) == (0, [NEVRA])
    other = edited(Rpm.read(bench.rpm), setting(1000, STRING, "other"))
    found = bench.verify(
        bench.write("hello-1.0-1.noarch.rpm", other.pack()), "--bundle", bench.folder / f"{renamed}.msig"
    )
    assert (found["rc"], [subject["name"] for subject in found["subjects"]]) == (1, ["other-0:1.0-1.noarch"])


def test_a_folder_where_a_file_is_due_is_2(bench: Bench) -> None:
    (bench.folder / "folder.rpm").mkdir()
    for words in (["--kind", "rpm"], ["--kind", "file"]):
        assert bench.verify(*words, bench.folder / "folder.rpm")["rc"] == 2
    (bench.folder / "hello.rpm.msig").mkdir()
    assert bench.verify(bench.rpm)["rc"] == 2
    assert bench.verify("--bundle", bench.folder, bench.rpm)["rc"] == 2
    assert bench.verify("--bundle", bench.folder / "nothing", bench.rpm)["rc"] == 2


BAD_POLICIES: Dict[str, bytes] = {
    "empty": b"",
    "no rules": b"multisig: policy/v1\nserial: 1\nrules: []\n",
    "not YAML": b"multisig: [\n",
    "20,000 [": b"[" * 20_000,
    "binary": bytes(range(256)),
    "too large": b"#" * (64 << 10) + b"\n#",
}


@pytest.mark.parametrize("what", sorted(BAD_POLICIES))
def test_a_broken_policy_is_2_for_every_command_that_needs_one(bench: Bench, what: str) -> None:
    path = bench.write("broken.yaml", BAD_POLICIES[what])
    ran = call("verify", "--json", "--policy", path, bench.rpm)
    assert checked_json(ran.out, ran.rc)["error"]["code"] == "policy-error"
    for words in (["verify", "--policy", path, bench.rpm], ["policy", "check", "--policy", path]):
        ran = call(*words)
        assert (ran.rc, ran.out) == (2, "")
        one_line(ran.err, path)


def test_a_policy_that_is_not_there_or_whose_key_cannot_be_read_is_2(bench: Bench) -> None:
    missing = bench.folder / "nothing.yaml"
    one_line(call("policy", "check", "--policy", missing).err, missing)
    copy = bench.write("policy.yaml", bench.policy.read_bytes())
    ran = call("verify", "--policy", copy, bench.rpm)
    assert ran.rc == 2
    one_line(ran.err, "keys/marek.asc")
    (bench.folder / "keys").mkdir()
    for content in (b"", b"no key", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n"):
        bench.write("keys/marek.asc", content)
        ran = call("policy", "check", "--policy", copy)
        assert ran.rc == 2
        one_line(ran.err, "keys/marek.asc")


def test_a_sound_policy_is_0(bench: Bench) -> None:
    ran = call("policy", "check", "--policy", bench.policy)
    assert (ran.rc, ran.err) == (0, "")
    assert "3 signers, 1 group, 4 rules" in ran.out


def test_a_file_whose_disk_fails_is_2_and_said_in_json_too(bench: Bench) -> None:
    broken = "/proc/self/mem"  # a regular file, whose first bytes nobody can read
    for words in ((broken,), ("--kind", "file", broken), ("--kind", "rpm", broken)):
        found = bench.verify(*words)
        assert (found["rc"], found["error"]["code"]) == (2, "unreadable")


USAGE: List[Sequence[str]] = [
    ["verify"], ["verify", "--no-such-option", "x"], ["verify", "--kind", "iso", "x"], ["verify", "--pol", "p", "x"],
    ["verify", "--at", "yesterday", "x"], ["verify", "--at", "", "x"], ["verify", "--at", "9999-99-99", "x"],
    ["verify", "--bundle"],
]  # fmt: skip


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_misunderstanding_is_2_and_said_in_json_too(bench: Bench, words: Sequence[str]) -> None:
    ran = call(*words)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err)
    ran = call(words[0], "--json", *words[1:])
    assert ran.rc == 2
    assert checked_json(ran.out, 2)["subjects"] == []


OTHER_USAGE: List[Sequence[str]] = [
    [], ["no-such-command"], ["manifest"], ["sign", "x"], ["merge", "x"], ["merge", "-o", "x"], ["policy"],
    ["policy", "bless"], ["history", "x"], ["sign", "--key", "AB", "--channel", "demo", "x"],
    ["sign", "--key", "A" * 40, "--channel", "No Channel", "x"],
]  # fmt: skip


@pytest.mark.parametrize("words", OTHER_USAGE, ids=" ".join)
def test_a_misunderstanding_of_any_command_is_2(words: Sequence[str]) -> None:
    ran = call(*words)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err)


def test_without_gpgv_and_sequoia_nothing_is_judged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_pysequoia(monkeypatch)
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    monkeypatch.setattr(gpgv, "_PLACES", ("/nowhere/gpgv",))
    found = bench.verify(bench.rpm)
    assert (found["rc"], found["accepted"]) == (2, False)
    assert "gpgv" in found["error"]["message"]


def test_a_gpgv_that_says_nothing_or_yes_to_everything_counts_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_pysequoia(monkeypatch)
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    for program in ("true", "yes"):
        monkeypatch.setattr(gpgv, "_PLACES", (shutil.which(program),))
        assert bench.verify(bench.rpm)["rc"] in (1, 2)
