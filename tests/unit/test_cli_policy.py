# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy check and show, and multisig keys: what people see of a policy."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from multisig import paths
from multisig.cli import main, tables
from multisig.cli.progress import remark
from multisig.journal import Journal
from tests.unit.cli_bench import Bench, Ran, call, checked_json, one_line
from tests.unit.policy_keys import keys

BROKEN = "multisig: policy/v1\nserial: 0\nrules: []\n"


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A policy with everything that there is to say about people and keys."""
    (tmp_path / "keys").mkdir()
    lines = ["multisig: policy/v1", "serial: 3", "channel: p", "policy-quorum: 1 of g", "signers:"]
    remarks = {"bob": ", retired: 2025-01-01", "cat": ", compromised: true"}
    for name in ("ann", "bob", "cat", "old", "weak", "gone", "sub"):
        (tmp_path / "keys" / f"{name}.asc").write_bytes(keys()[name].armor)
        key = f'[{{fingerprint: "{keys()[name].fingerprint}", file: keys/{name}.asc}}]'
        if name != "sub":
            lines.append(f"  {name}: {{keys: {key}{remarks.get(name, '')}}}")
    lines += ["groups: {g: [ann, bob, cat, old, weak, gone]}", "rules:"]
    lines.append('  - {name: ours, repos: ["qubes-*"], channel: c, require: 1 of g}')
    lines.append('  - {name: held, content: {setuid: true, paths: ["/etc/sudoers.d/**"]}, channel: c, require: 1 of g}')
    lines.append(f"  - {{name: vendor, repos: [fedora], signed-by: {key}}}")
    (tmp_path / "policy.yaml").write_text("\n".join(lines) + "\n")
    return tmp_path / "policy.yaml"


def test_keys_lists_people_keys_and_what_they_are_worth(odd: Path) -> None:
    ran = call("keys", "--policy", odd)
    assert (ran.rc, ran.err) == (0, "")
    heading, *lines = ran.out.splitlines()
    assert heading.split() == ["WHO", "KEY", "ALGORITHM", "EXPIRES", "STATUS"]
    found = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    prints = {name: key.fingerprint for name, key in keys().items()}
    assert found == {
        "ann": f"{prints['ann']} Ed25519 never counts",
        "bob": f"{prints['bob']} Ed25519 never retired since 2025-01-01",
        "cat": f"{prints['cat']} Ed25519 never compromised: nothing of theirs counts",
        "old": f"{prints['old']} Ed25519 2024-01-11 has expired",
        "weak": f"{prints['weak']} RSA 2048 is an RSA key of 2048 bits; 3072 are needed",
        "gone": f"{prints['gone']} Ed25519 is revoked",
        "rule": f'"vendor" {prints["sub"]} Ed25519 never counts',
    }


def test_keys_as_json(odd: Path) -> None:
    ran = call("keys", "--policy", odd, "--json")
    assert ran.rc == 0
    found = json.loads(ran.out)
    assert list(found) == ["serial", "people", "vendors"]
    people = {person["name"]: person for person in found["people"]}
    assert people["bob"]["standing"] == "retired"
    assert people["ann"]["groups"] == ["g"]
    (old,) = people["old"]["keys"]
    assert (old["counts"], old["expires"], old["fingerprint"]) == (False, 1704931200, keys()["old"].fingerprint)
    assert [len(key["parts"]) for key in found["vendors"][0]["keys"]] == [2]


def test_keys_of_a_policy_without_people_and_of_one_that_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("multisig: policy/v1\nserial: 1\nrules: [{name: lab, exempt: why, until: never}]\n")
    assert "no signers" in call("keys", "--policy", path).out
    path.write_text(BROKEN)
    ran = call("keys", "--policy", path)
    assert (ran.rc, ran.out) == (2, "")
    one_line(ran.err, "policy.yaml:2:9")


def test_show_answers_what_it_would_take(odd: Path) -> None:
    ran = call("policy", "show", "glibc", "--repo", "qubes-current", "--policy", odd)
    assert (ran.rc, ran.err) == (0, "")
    circle = (
        "        g  can sign: ann\n"
        "           cannot:   bob (retired since 2025-01-01), cat (compromised), old (key has expired), weak\n"
        "                     (key is an RSA key of 2048 bits; 3072 are needed), gone (key is revoked)\n"
    )
    assert ran.out == (
        "To install glibc from qubes-current, all of this is needed:\n\n"
        '  rule "ours"\n'
        "      1 of g, for the channel c\n"
        f"{circle}\n"
        "And what of this applies, once it is known what is in it:\n\n"
        '  rule "held", if it has setuid or setgid files, or file capabilities, or it has a file that matches\n'
        "    /etc/sudoers.d/**\n"
        "      1 of g, for the channel c\n"
        f"{circle}\n"
        "  policy-quorum, if it holds this policy, a part of multisig, or rpm macros\n"
        "      1 of g, for the channel p\n"
        f"{circle}"
    )


def test_show_says_where_nothing_matches(odd: Path, tmp_path: Path) -> None:
    ran = call("policy", "show", "glibc", "--repo", "other", "--policy", odd)
    assert ran.out.startswith("glibc from other is refused, unless one of these rules matches; each that does is ")
    path = tmp_path / "lab.yaml"
    path.write_text("multisig: policy/v1\nserial: 1\nrules: [{name: lab, repos: [lab], exempt: why, until: never}]\n")
    ran = call("policy", "show", "glibc", "--repo", "other", "--policy", path)
    assert (ran.rc, ran.out) == (0, "glibc from other would be refused: no rule matches it.\n")


def test_show_gives_an_overview(odd: Path) -> None:
    out = call("policy", "show", "--policy", odd).out
    for text in (
        f"{odd}: serial 3\n",
        "It is replaced by its policy-quorum",
        "  bob   g; retired since 2025-01-01\n",
        "  ann   g; Ed25519 key counts\n",
        '  rule "ours", from qubes-*\n      1 of g, for the channel c\n',
        "      the RPM's own signature, by one of these keys\n"
        f"        {keys()['sub'].fingerprint}  sub <sub@example.org>\n",
    ):
        assert text in out
    out = call("policy", "show", "--policy", odd, "--repo", "fedora").out
    assert 'rule "ours"' not in out
    assert 'rule "vendor"' in out


def test_what_a_policy_says_cannot_write_on_the_terminal(odd: Path) -> None:
    """The parser refuses control characters; whatever else a name holds is printed as it is."""
    odd.write_text(odd.read_text().replace("name: ours", 'name: "\\x1b[31mred"'))
    ran = call("policy", "show", "--policy", odd)
    assert ran.rc == 2
    assert "\x1b" not in ran.out + ran.err


def test_check_as_json(odd: Path, bench: Bench, tmp_path: Path) -> None:
    ran = call("policy", "check", "--json", "--policy", odd)
    (subject,) = checked_json(ran.out, ran.rc)["subjects"]
    assert ran.rc == 0
    assert (subject["name"], subject["code"]) == ("policy.yaml", "ok")
    assert any("expired on 2024-01-11" in text for text in subject["ignored"])
    assert subject["message"] == "serial 3, 6 signers, 1 group, 3 rules"
    odd.write_text(odd.read_text().replace("require: 1 of g", "require: 6 of g"))
    ran = call("policy", "check", "--json", "--policy", odd)
    (subject,) = checked_json(ran.out, ran.rc)["subjects"]
    assert (ran.rc, subject["code"]) == (1, "policy-error")
    assert subject["ignored"][0].startswith('error: rule "ours": needs 6 of g')
    odd.write_text(BROKEN)
    ran = call("policy", "check", "--json", "--policy", odd)
    found = checked_json(ran.out, ran.rc)
    assert found["error"]["code"] == "policy-error"
    assert f"{odd}:2:9" in found["error"]["message"]


def test_check_says_that_a_later_policy_was_in_force(odd: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"

    def check(*words: object) -> Ran:
        return call("policy", "check", "--policy", odd, "--journal", journal, *words)

    assert check().rc == 0, "no journal yet: nothing was in force"
    Journal(str(journal)).remember_policy("other", 9, time=0, sha256="")
    assert check().rc == 0
    Journal(str(journal)).remember_policy("p", 4, time=0, sha256="")
    ran = check()
    assert ran.rc == 1
    assert ran.out.startswith("error: serial: the policy has the serial 3, but here a later one was in force, with 4")
    ran = check("--json")
    (subject,) = checked_json(ran.out, ran.rc)["subjects"]
    assert (subject["accepted"], subject["code"]) == (False, "rollback")
    assert call("policy", "check", "--policy", odd).rc == 0, "another machine's policy is not this journal's business"
    odd.write_text(odd.read_text().replace("policy-quorum: 1 of g\n", ""))
    ran = check()
    assert ran.rc == 0
    assert "warning: serial: the policy has the serial 3" in ran.out
    journal.write_bytes(b"no journal")
    ran = check()
    assert ran.rc == 2
    one_line(ran.err, str(journal))


def test_check_of_this_machines_policy_looks_at_its_journal(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal.sqlite"
    monkeypatch.setattr(paths, "POLICY", str(odd))
    monkeypatch.setattr(paths, "JOURNAL", str(journal))
    Journal(str(journal)).remember_policy("p", 4, time=0, sha256="")
    assert call("policy", "check", "--policy", odd).rc == 1
    journal.write_bytes(b"for root alone, say")
    ran = call("policy", "check", "--policy", odd)
    assert ran.rc == 0
    assert "warning: serial: not compared with the policies that were in force" in ran.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_on_a_terminal_is_coloured_and_holds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    rows = [("marek", "A" * 40, "counts [bold]"), ("joanna\x1b[2J", "B" * 40, "is revoked")]
    tables.show_table(("WHO", "KEY", "STATUS"), rows, styles=(tables.GOOD, tables.BAD), stream=out)
    text = out.getvalue()
    assert "\x1b[32mcounts [bold]" in text
    assert "\x1b[31mis revoked" in text
    assert "A" * 40 in text
    assert "joanna\\x1b[2J" in text


def test_a_name_on_a_terminal_is_coloured_and_lines_are_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    text = "  a-0:1-1.noarch: " + "needs [bold] more " * 9 + "people\n      from here"
    out = Terminal()
    tables.show_text(text, "a-0:1-1.noarch", tables.BAD, stream=out)
    assert out.getvalue() == text.replace("a-0:1-1.noarch", "\x1b[31ma-0:1-1.noarch\x1b[0m") + "\n"
    plain_out = io.StringIO()
    tables.show_text(text, "a-0:1-1.noarch", tables.BAD, stream=plain_out)
    assert plain_out.getvalue() == text + "\n"


def test_remarks_are_for_people_alone() -> None:
    terminal, piped = Terminal(), io.StringIO()
    for stream in (terminal, piped):
        remark("done\x1b[2J", stream=stream)
    assert (terminal.getvalue(), piped.getvalue()) == ("multisig: done\\x1b[2J\n", "")


def test_without_rich_a_table_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(tables, "import_module", missing)
    out = Terminal()
    tables.show_table(("WHO", "STATUS"), [("marek", "counts")], stream=out)
    assert out.getvalue() == "WHO    STATUS\nmarek  counts\n"


def test_help_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "--help"]) == 0
    out = capsys.readouterr().out
    for action in ("check", "show", "update", "sign"):
        assert f"\n    {action} " in out
