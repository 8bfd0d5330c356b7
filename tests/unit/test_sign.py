# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig sign: what is shown, sent elsewhere and taken back is what is signed, and what was signed is noted first."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import List

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import Rpm
from fixtures.rpmjudge import judged
from multisig.bundle import Bundle, encode, parse
from multisig.ledger import read_ledger
from multisig.statement import Statement, Subject, statement_id
from multisig.statement import parse as parse_statement
from tests.unit.cli_bench import NEVRA, Bench, Ran, call, one_line, tampered_payload
from tests.unit.core import CHANNEL, digests, statement

SOURCE = "git+https://example.org/hello@0123456789abcdef0123456789abcdef01234567"


def sign(bench: Bench, *words: object, name: str = "marek") -> Ran:
    bench.people.key(name)
    key = bench.people.subkeys.get(name, bench.people.home.fingerprints[name])
    return call("sign", "--key", key, "--gnupghome", bench.people.home.path, "--channel", CHANNEL, *words)


def statements(path: Path) -> List[Statement]:
    return [parse_statement(item.statement) for item in parse(path.read_bytes()).attestations]


def beside(bench: Bench) -> Path:
    return bench.folder / "hello.rpm.msig"


def releases(bench: Bench, count: int) -> List[Path]:
    """As many small packages as wanted, each of a release of its own."""
    rpm = Rpm.read(bench.rpm)
    paths = []
    for number in range(count):
        copy = rpm.copy()
        copy.set(1002, 6, str(number + 2))
        paths.append(copy.write(bench.folder / f"hello-{number}.rpm"))
    return paths


# --- what is said, and what of it ------------------------------------------------------------------------------------


def test_what_was_built_is_said_in_the_statement(bench: Bench) -> None:
    assert sign(bench, "--source", SOURCE, bench.rpm).rc == 0
    assert [item.source for item in statements(beside(bench))] == [SOURCE]


@pytest.mark.parametrize("source", ["", "x" * 4097, "lone \udc80 byte"])
def test_a_source_that_no_statement_can_hold_is_2(bench: Bench, source: str) -> None:
    ran = sign(bench, "--source", source, bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "source")
    assert not beside(bench).exists()


def test_a_batch_is_one_statement_and_one_signature(bench: Bench) -> None:
    paths = releases(bench, 12)
    out = bench.folder / "all.msig"
    assert sign(bench, "--batch", out, *paths).rc == 0
    (item,) = parse(out.read_bytes()).attestations
    assert len(item.signatures) == 1
    names = [subject.name for subject in parse_statement(item.statement).subjects]
    assert names == sorted(f"hello-0:1.0-{number + 2}.noarch" for number in range(12))
    assert all(subject.payload_sha256 for subject in parse_statement(item.statement).subjects)


def test_where_one_of_many_is_unfit_nothing_is_signed(bench: Bench, ledger: Path) -> None:
    paths = releases(bench, 5)
    tampered_payload(bench)
    before = ledger.read_bytes() if ledger.exists() else b""
    ran = sign(bench, *paths, bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, bench.rpm)
    assert not any(Path(f"{path}.msig").exists() for path in paths)
    assert (ledger.read_bytes() if ledger.exists() else b"") == before


def test_dry_run_shows_what_would_be_signed_and_signs_nothing(bench: Bench, ledger: Path) -> None:
    before = ledger.read_bytes() if ledger.exists() else b""
    ran = call("sign", "--channel", CHANNEL, "--source", SOURCE, "--dry-run", bench.rpm)
    assert (ran.rc, ran.err) == (0, "")
    assert not beside(bench).exists()
    assert (ledger.read_bytes() if ledger.exists() else b"") == before
    sign(bench, "--source", SOURCE, bench.rpm)
    (made,) = statements(beside(bench))
    (subject,) = made.subjects
    shown = [NEVRA, CHANNEL, SOURCE, subject.digests.sha256, subject.payload_sha256, str(beside(bench))]
    shown.append(statement_id(parse(beside(bench).read_bytes()).attestations[0].statement))
    for what in shown:
        assert str(what) in ran.out
    assert "nothing was signed" in ran.out


def test_who_signed_another_content_of_the_name_is_named_and_so_is_diff(bench: Bench) -> None:
    other = statement(Subject(NEVRA, digests("another build")))
    bench.write("hello.rpm.msig", bench.bundle("rafal", text=other))
    ran = sign(bench, bench.rpm)
    assert ran.rc == 0
    one_line(ran.err, f"signed another content of {NEVRA}; multisig diff shows what differs")
    assert bench.people.key("rafal").fingerprint in ran.err
    assert len(statements(beside(bench))) == 2


@pytest.mark.parametrize("same", [True, False], ids=["the same content", "another channel"])
def test_those_who_agree_or_speak_of_something_else_are_not_held_against_one(bench: Bench, same: bool) -> None:
    subject = Subject(NEVRA, judged(bench.rpm.read_bytes()).digests if same else digests("other"))
    text = statement(subject, channel=CHANNEL if same else "testing")
    bench.write("hello.rpm.msig", bench.bundle("rafal", text=text))
    assert sign(bench, bench.rpm) == Ran(0, "", "")


@pytest.mark.parametrize("name", ["rsa1024", "dsa"])
def test_a_key_that_no_policy_takes_does_not_sign(bench: Bench, name: str) -> None:
    ran = sign(bench, bench.rpm, name=name)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "no policy takes a signature by this key")
    assert not beside(bench).exists()


def test_a_key_that_policies_do_not_count_by_default_is_named(bench: Bench) -> None:
    ran = sign(bench, bench.rpm, name="rsa2048")
    assert ran.rc == 0
    one_line(ran.err, "by default policies do not count this key")


# --- signing elsewhere -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["armored", "binary"])
@pytest.mark.parametrize("batch", [True, False])
def test_a_statement_signed_elsewhere_comes_back_into_the_bundle(bench: Bench, form: str, batch: bool) -> None:
    paths = releases(bench, 3) if batch else [bench.rpm]
    out = bench.folder / "all.msig" if batch else beside(bench)
    words = [*(["--batch", out] if batch else []), "--source", SOURCE]
    export, signature = bench.folder / "statement", bench.folder / "statement.sig"
    ran = call("sign", "--channel", CHANNEL, *words, "--export", export, *paths)
    assert (ran.rc, ran.err) == (0, "")
    assert statement_id(export.read_text()) in ran.out
    assert not out.exists()
    options = ["--armor"] if form == "armored" else []
    signature.write_bytes(bench.people.home.gpg(*options, "-u", "marek", "--detach-sign", data=export.read_bytes()))
    ran = sign(bench, *words, "--attach", signature, *paths)
    assert ran == Ran(0, "", "")
    (item,) = parse(out.read_bytes()).attestations
    assert item.statement == export.read_text()
    assert len(item.signatures) == 1
    if not batch:
        bench.write("hello.rpm.msig", encode(Bundle((item, *parse(bench.bundle("joanna")).attestations))))
        assert bench.verify(bench.rpm)["rc"] == 0


@pytest.mark.parametrize(
    "fault", ["another statement", "another key", "another source", "no signature", "too long", "missing", "text mode"]
)
def test_a_signature_that_would_not_count_is_not_taken_back(bench: Bench, ledger: Path, fault: str) -> None:
    export, signature = bench.folder / "statement", bench.folder / "statement.asc"
    assert call("sign", "--channel", CHANNEL, "--export", export, bench.rpm).rc == 0
    data = export.read_bytes() + (b" " if fault == "another statement" else b"")
    who = "rafal" if fault == "another key" else "marek"
    bench.people.key(who)
    options = ["--textmode"] if fault == "text mode" else []
    signature.write_text(bench.people.sign(who, *options, data=data))
    if fault == "no signature":
        signature.write_text("signed, Marek")
    elif fault == "too long":
        signature.write_text("x" * 9000)
    elif fault == "missing":
        signature.unlink()
    before = ledger.read_bytes() if ledger.exists() else b""
    ran = sign(bench, *(["--source", SOURCE] if fault == "another source" else []), "--attach", signature, bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, signature)
    assert not beside(bench).exists()
    assert (ledger.read_bytes() if ledger.exists() else b"") == before


@pytest.mark.parametrize("option", ["--export", "--attach"])
def test_only_one_statement_at_a_time_is_signed_elsewhere(bench: Bench, option: str) -> None:
    ran = sign(bench, option, bench.folder / "statement", *releases(bench, 2))
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "--batch makes one")


@pytest.mark.parametrize(
    "words", [["--dry-run", "--export", "x"], ["--export", "x", "--attach", "y"], ["--dry-run", "--attach", "x"]]
)
def test_showing_sending_and_taking_back_are_three_things(bench: Bench, words: List[str]) -> None:
    ran = sign(bench, *words, bench.rpm)
    assert ran.rc == 2
    one_line(ran.err, "do not go together")


@pytest.mark.parametrize("words", [[], ["--attach", "x"]])
def test_whoever_signs_is_named(bench: Bench, words: List[str]) -> None:
    ran = call("sign", "--channel", CHANNEL, *words, bench.rpm)
    assert ran.rc == 2
    one_line(ran.err, "--key FPR says who signs")


SPLIT = """\
#!{python}
# What Split-GPG's client lets through of what could be asked of it; all else it refuses.
import os, sys
allowed = set('''--status-fd --no-verbose --fixed-list-mode --batch --with-colons -sa --detach-sign --digest-algo
--no-emit-version --no-comments --local-user --export --version --no-tty'''.split())
words = sys.argv[1:]
for word in words:
    if word.startswith("-") and word not in allowed:
        sys.exit("Forbidden option: " + word)
os.execvp("gpg", ["gpg", "--homedir", {home!r}, *words])
"""


def test_split_gpg_signs_with_its_wrapper_in_gpg_s_place(bench: Bench) -> None:
    wrapper = bench.folder / "qubes-gpg-client-wrapper"
    wrapper.write_text(SPLIT.format(python=sys.executable, home=bench.people.home.path))
    wrapper.chmod(0o755)
    fingerprint = bench.people.key("marek").fingerprint
    ran = call("sign", "--key", fingerprint, "--gpg", wrapper, "--channel", CHANNEL, bench.rpm)
    assert ran == Ran(0, "", "")
    assert len(parse(beside(bench).read_bytes()).attestations[0].signatures) == 1


# --- the ledger ------------------------------------------------------------------------------------------------------


def test_each_statement_signed_is_noted_with_its_key_and_names(bench: Bench, ledger: Path) -> None:
    assert sign(bench, bench.rpm, name="joanna").rc == 0
    entry = read_ledger(str(ledger))[-1]
    text = parse(beside(bench).read_bytes()).attestations[0].statement
    assert (entry.statement, entry.kind, entry.channel, entry.names) == (statement_id(text), "rpm", CHANNEL, (NEVRA,))
    assert entry.key == bench.people.key("joanna").fingerprint  # the primary's, though a subkey signs


def test_what_was_signed_elsewhere_is_noted_when_it_comes_back(bench: Bench) -> None:
    own = bench.folder / "own.jsonl"
    export = bench.folder / "statement"
    call("sign", "--channel", CHANNEL, "--ledger", own, "--export", export, bench.rpm)
    assert not own.exists()
    signature = bench.folder / "sig"
    signature.write_text(bench.people.sign("marek", data=export.read_bytes()))
    assert sign(bench, "--ledger", own, "--attach", signature, bench.rpm).rc == 0
    assert [entry.statement for entry in read_ledger(str(own))] == [statement_id(export.read_text())]


def test_where_it_cannot_be_noted_no_signature_gets_into_the_bundle(bench: Bench) -> None:
    ran = sign(bench, "--ledger", bench.rpm / "ledger", bench.rpm)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "ledger")
    assert not beside(bench).exists()


@pytest.mark.parametrize("setting", ["absolute", "relative", "empty"])
def test_the_ledger_lies_where_the_desktop_s_rules_want_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    home = bench.folder / "home"
    data = {"absolute": str(bench.folder / "data"), "relative": "data", "empty": ""}[setting]
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", data)
    assert sign(bench, bench.rpm).rc == 0
    base = Path(data) if setting == "absolute" else home / ".local" / "share"
    assert len(read_ledger(str(base / "multisig" / "ledger.jsonl"))) == 1


def test_a_source_package_is_no_subject_for_approval(bench: Bench) -> None:
    source = bench.folder / "hello.src.rpm"
    copy = Rpm.read(bench.rpm)
    copy.set(1106, 4, 1)  # SOURCEPACKAGE
    copy.write(source)
    ran = sign(bench, source)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, source)


def test_builds_of_several_people_agree(bench: Bench) -> None:
    """Whoever signs next to another's bundle with a build of their own adds to the same content."""
    for name in ("marek", "joanna"):
        own = bench.folder / name / "hello.rpm"
        own.parent.mkdir()
        shutil.copyfile(build(Recipe("hello.spec"), BUILDERS[name], bench.policy.parent)[0], own)
        assert sign(bench, own, name=name) == Ran(0, "", "")
    bundles = [bench.folder / name / "hello.rpm.msig" for name in ("marek", "joanna")]
    assert call("merge", "-o", beside(bench), *bundles).rc == 0
    assert bench.verify(bench.rpm)["rc"] == 0
