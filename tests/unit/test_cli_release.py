# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig release sign and verify, and what verify says of a package that lies in a repository."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import pytest

from fixtures.repository import Repository
from fixtures.running import run
from multisig.bundle import Attestation, Bundle, encode, parse
from multisig.journal import Journal
from multisig.ledger import read_ledger
from multisig.release import releases
from multisig.statement import MAX_SERIAL, Kind, Subject, make, statement_id
from multisig.statement import encode as encode_statement
from multisig.times import DAY, told_time
from tests.unit.cli_bench import NAMES, Bench, Ran, call, checked_json, one_line
from tests.unit.core import digests

RULES = """\
rules:
  - name: ours
    repos: ["demo-*"]
    channel: demo-stable
    require: 2 of builders
    release: {require: 2 of builders, max-age: 14d}
"""


class Shelf:
    """A repository of one package, and the people of the bench, of whom two have to sign its release."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folder = bench.folder / "repo"
        self.rpm = Repository(self.folder).add(bench.rpm, bench.bundle(*NAMES), name="hello.rpm")
        self.finish()
        text = bench.policy.read_text()
        shutil.copytree(bench.policy.parent / "keys", bench.folder / "keys")
        self.policy = bench.write("policy.yaml", (text[: text.index("rules:")] + RULES).encode())
        self.journal = bench.folder / "journal.sqlite"

    def finish(self) -> None:
        run(["createrepo_c", "--quiet", "--no-database", "--revision", str(time.time_ns()), self.folder])

    @property
    def path(self) -> Path:
        return self.folder / "repodata" / "repomd.xml.msig"

    @property
    def bundle(self) -> Bundle:
        return parse(self.path.read_bytes())

    def sign(self, name: str, *words: object) -> Ran:
        home = self.bench.people.home
        key = self.bench.people.key(name).fingerprint
        return call(
            "release", "sign", "--key", key, "--gnupghome", home.path, "--channel", "demo-stable", *words, self.folder
        )

    def verify(self, *words: object, repo: Optional[str] = "demo-1") -> Dict[str, Any]:
        where = ["--repo", repo, "--journal", self.journal] if repo else []
        ran = call("release", "verify", "--policy", self.policy, *where, "--json", *words, self.folder)
        return {**checked_json(ran.out, ran.rc), "rc": ran.rc}


@pytest.fixture
def shelf(bench: Bench) -> Shelf:
    return Shelf(bench)


def signed(shelf: Shelf) -> Shelf:
    for name in ("marek", "joanna"):
        assert shelf.sign(name).rc == 0
    return shelf


# --- signing ---------------------------------------------------------------------------------------------------------


def test_the_second_signer_joins_the_first_ones_statement(shelf: Shelf) -> None:
    first = shelf.sign("marek")
    assert first.rc == 0
    assert first.out.startswith("making release 1 of demo-stable: 1 package\n    repomd.xml  sha256:")
    second = shelf.sign("joanna")
    assert second.out.startswith("joining release 1 of demo-stable")
    (release,) = releases(shelf.bundle)
    assert len(release.signatures) == 2
    assert release.expires - release.issued == 14 * DAY
    assert told_time(release.expires) in first.out


def test_gpg_confirms_a_release_by_hand(shelf: Shelf) -> None:
    signed(shelf)
    (release,) = releases(shelf.bundle)
    text = shelf.bench.write("statement", release.text.encode())
    for armored in release.signatures:
        signature = shelf.bench.write("signature", armored.encode())
        run(["gpg", "--homedir", shelf.bench.people.home.path, "--verify", signature, text])


def test_what_was_signed_is_in_the_signers_ledger(shelf: Shelf) -> None:
    ledger = shelf.bench.folder / "ledger.jsonl"
    shelf.sign("marek", "--ledger", ledger)
    (entry,) = read_ledger(str(ledger))
    (release,) = releases(shelf.bundle)
    assert (entry.kind, entry.channel, entry.names) == ("release", "demo-stable", ("repomd.xml",))
    assert entry.statement == statement_id(release.text)


def test_signing_twice_changes_nothing_and_says_so(shelf: Shelf) -> None:
    shelf.sign("marek")
    before = shelf.path.read_bytes()
    again = shelf.sign("marek")
    assert (again.rc, shelf.path.read_bytes()) == (0, before)
    assert "already signed by this key" in again.err


def test_a_changed_repository_is_the_next_release_and_the_last_one_stays_beside_it(shelf: Shelf) -> None:
    """A mirror that has the new bundle and the old metadata is still good."""
    signed(shelf)
    shelf.finish()
    signed(shelf)
    assert [(release.serial, len(release.signatures)) for release in releases(shelf.bundle)] == [(2, 2), (1, 2)]
    assert shelf.verify()["rc"] == 0


def test_how_long_a_release_holds_is_the_signers_choice(shelf: Shelf) -> None:
    assert shelf.sign("marek", "--valid", "36h").rc == 0
    (release,) = releases(shelf.bundle)
    assert release.expires - release.issued == 36 * 3600


def test_until_when_a_release_holds_is_the_signers_choice(shelf: Shelf) -> None:
    ends = (int(time.time()) // 60 + 36 * 60) * 60
    assert shelf.sign("marek", "--expires", told_time(ends)[:16]).rc == 0
    (release,) = releases(shelf.bundle)
    assert release.expires == ends


BAD_WORDS = {
    "over already": ("--expires", "2020-01-01"),
    "no time": ("--expires", "soon"),
    "no span": ("--valid", "two weeks"),
    "a span of nothing": ("--valid", "0d"),
    "no serial": ("--serial", "0"),
    "too large a serial": ("--serial", str(MAX_SERIAL + 1)),
    "no number": ("--serial", "one"),
}


@pytest.mark.parametrize("words", BAD_WORDS.values(), ids=BAD_WORDS.keys())
def test_options_that_make_no_sense_sign_nothing(shelf: Shelf, words: "tuple[str, str]") -> None:
    ran = shelf.sign("marek", *words)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err)
    assert not shelf.path.exists()


def swap_primary(shelf: Shelf) -> None:
    next(shelf.folder.glob("repodata/*primary.xml.gz")).write_bytes(b"other")


def lose_filelists(shelf: Shelf) -> None:
    next(shelf.folder.glob("repodata/*filelists.xml.gz")).unlink()


def weak_checksums(shelf: Shelf) -> None:
    shutil.rmtree(shelf.folder / "repodata")
    run(["createrepo_c", "--quiet", "--no-database", "--checksum", "sha", shelf.folder])


def no_xml(shelf: Shelf) -> None:
    (shelf.folder / "repodata" / "repomd.xml").write_text("it works!")


def no_repository(shelf: Shelf) -> None:
    shutil.rmtree(shelf.folder / "repodata")


def poisoned_bundle(shelf: Shelf) -> None:
    """Somebody without any key claims the last serial there is."""
    junk = make(
        Kind.RELEASE, "demo-stable", [Subject("repomd.xml", digests())], serial=MAX_SERIAL, issued=0, expires=2**32
    )
    shelf.path.write_bytes(encode(Bundle((Attestation(encode_statement(junk), ()),))))


def malformed_bundle(shelf: Shelf) -> None:
    shelf.path.write_bytes(b"[" * 20_000)


@pytest.mark.parametrize(
    "how",
    [swap_primary, lose_filelists, weak_checksums, no_xml, no_repository, poisoned_bundle, malformed_bundle],
)
def test_what_no_client_could_accept_is_not_signed(shelf: Shelf, how: Callable[[Shelf], None]) -> None:
    how(shelf)
    before = shelf.path.read_bytes() if shelf.path.exists() else None
    ran = shelf.sign("marek")
    assert ran.rc == 2
    one_line(ran.err)
    assert (shelf.path.read_bytes() if shelf.path.exists() else None) == before


# --- verifying -------------------------------------------------------------------------------------------------------


def test_the_current_release_is_accepted(shelf: Shelf) -> None:
    found = signed(shelf).verify()
    (subject,) = found["subjects"]
    message, signers = subject.pop("message"), subject.pop("signers")
    assert (found["rc"], sorted(signers)) == (0, ["joanna", "marek"])
    assert subject == {"name": "repomd.xml", "accepted": True, "code": "ok", "rules": ["ours"], "ignored": []}
    assert re.fullmatch(r"release 1 of demo-1, signed by [a-z, ]+; good for 1[34] days more; 1 package", message)


def unsigned(shelf: Shelf) -> None:
    """Nobody has signed."""


def by_one(shelf: Shelf) -> None:
    shelf.sign("marek")


def malformed(shelf: Shelf) -> None:
    signed(shelf)
    malformed_bundle(shelf)


def changed_since(shelf: Shelf) -> None:
    signed(shelf)
    shelf.finish()


def other_metadata(shelf: Shelf) -> None:
    signed(shelf)
    swap_primary(shelf)


def other_package(shelf: Shelf) -> None:
    signed(shelf)
    shelf.rpm.write_bytes(shelf.rpm.read_bytes() + b"more")


def rolled_back(shelf: Shelf) -> None:
    signed(shelf)
    Journal(str(shelf.journal)).remember_release("demo-1", "demo-stable", 2, time=0, statement="", bundle=None)


REFUSED: Dict[str, Callable[[Shelf], None]] = {
    "no-bundle": unsigned,
    "below-threshold": by_one,
    "malformed-bundle": malformed,
    "content-mismatch": changed_since,
    "content-mismatch, the metadata": other_metadata,
    "content-mismatch, a package": other_package,
    "rollback": rolled_back,
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_the_current_release_is_1_with_its_code(shelf: Shelf, what: str) -> None:
    REFUSED[what](shelf)
    found = shelf.verify()
    assert (found["rc"], found["subjects"][0]["code"]) == (1, what.partition(",")[0])


@pytest.mark.parametrize(("days", "rc", "code"), [(13, 0, "ok"), (15, 1, "expired"), (-1, 1, "below-threshold")])
def test_at_is_the_clock_of_a_release(shelf: Shelf, days: int, rc: int, code: str) -> None:
    signed(shelf)
    found = shelf.verify("--at", told_time(int(time.time()) + days * DAY)[:16])
    assert (found["rc"], found["subjects"][0]["code"]) == (rc, code)
    assert ("expires in" in str(found["subjects"][0]["ignored"])) is (days == 13)


def test_a_repository_that_no_rule_asks_a_release_of_is_no_rule(shelf: Shelf) -> None:
    found = signed(shelf).verify(repo="fedora")
    assert (found["rc"], found["subjects"][0]["code"]) == (1, "no-rule")


def test_without_an_id_every_rule_that_asks_is_judged_and_no_journal_is_looked_at(shelf: Shelf) -> None:
    assert signed(shelf).verify(repo=None)["rc"] == 0
    ran = call("release", "verify", "--policy", shelf.policy, "--journal", shelf.journal, shelf.folder)
    assert ran.rc == 2
    one_line(ran.err, "--journal needs --repo")


def test_packages_that_are_missing_or_astray_are_noted(shelf: Shelf) -> None:
    signed(shelf)
    shelf.rpm.rename(shelf.folder / "renamed.rpm")
    found = shelf.verify()
    assert found["rc"] == 0
    assert found["subjects"][0]["ignored"] == [
        "listed in the metadata, and not here: hello.rpm", "here, and no part of the release: renamed.rpm",
    ]  # fmt: skip
    assert shelf.verify("--metadata-only")["subjects"][0]["ignored"] == []


@pytest.mark.parametrize("how", [no_repository, "policy", "journal"])
def test_what_cannot_be_judged_is_2(shelf: Shelf, how: object) -> None:
    signed(shelf)
    if callable(how):
        how(shelf)
    else:
        (shelf.policy if how == "policy" else shelf.journal).write_text("broken")
    found = shelf.verify()
    assert (found["rc"], found["accepted"]) == (2, False)


def test_verifying_remembers_nothing(shelf: Shelf) -> None:
    assert signed(shelf).verify()["rc"] == 0
    assert not shelf.journal.exists()


# --- verify, of a package in a repository ----------------------------------------------------------------------------


def verified(shelf: Shelf, path: Path, *words: object) -> Dict[str, Any]:
    ran = call("verify", "--policy", shelf.policy, "--repo", "demo-1", "--json", *words, path)
    return dict(checked_json(ran.out, ran.rc)["subjects"][0])


def test_a_package_is_judged_by_the_release_of_the_repository_that_it_lies_in(shelf: Shelf) -> None:
    assert verified(shelf, shelf.rpm)["code"] == "no-bundle"
    signed(shelf)
    found = verified(shelf, shelf.rpm)
    assert (found["code"], len(found["signers"])) == ("ok", 2)
    assert "release 1 of demo-1" in found["message"]
    assert verified(shelf, shelf.rpm, "--at", "2100-01-01")["code"] == "expired"


def test_a_package_that_was_added_after_the_release_is_no_part_of_it(shelf: Shelf) -> None:
    signed(shelf)
    shelf.rpm.write_bytes(shelf.rpm.read_bytes())
    folder = shelf.folder / "Packages"
    folder.mkdir()
    shutil.copyfile(shelf.rpm, folder / "hello.rpm")
    shutil.copyfile(f"{shelf.rpm}.msig", folder / "hello.rpm.msig")
    assert verified(shelf, folder / "hello.rpm")["code"] == "ok", "the same bytes"
    (shelf.folder / "repodata" / "repomd.xml").unlink()
    assert "no repository is known" in verified(shelf, folder / "hello.rpm")["message"]


def test_a_lone_package_does_not_satisfy_a_rule_that_asks_for_its_release(shelf: Shelf) -> None:
    shelf.bench.write("hello.rpm.msig", shelf.bench.bundle(*NAMES))
    found = verified(shelf, shelf.bench.rpm)
    assert (found["accepted"], found["code"]) == (False, "below-threshold")
    assert "no repository is known" in found["message"]


def test_the_journal_is_made_by_nobody_but_the_plugin(shelf: Shelf) -> None:
    signed(shelf)
    Journal(str(shelf.journal)).remember_release("demo-1", "demo-stable", 1, time=0, statement="", bundle=None)
    assert shelf.verify()["rc"] == 0
    with closing(sqlite3.connect(shelf.journal)) as database, database:
        assert database.execute("SELECT count(*) FROM releases").fetchone() == (1,)


def test_json_answers_usage_errors_too(shelf: Shelf) -> None:
    ran = call("release", "verify", "--json", "--nonsense", shelf.folder)
    assert ran.rc == 2
    assert json.loads(ran.out)["error"]["message"]
