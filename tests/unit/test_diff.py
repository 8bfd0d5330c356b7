# SPDX-License-Identifier: GPL-2.0-or-later
"""``multisig diff`` as people and programs see it: exit codes, text that a package cannot forge, JSON, diffoscope."""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from fixtures.rpmedit import STRING, STRING_ARRAY, Rpm
from fixtures.rpmjudge import edited, judged, patching, setting
from fixtures.tamper import tamper_payload
from multisig.cli import difftext, main
from multisig.subjects.compare import Comparison
from multisig.subjects.difference import Difference, Group
from multisig.subjects.places import Opened, Place
from tests.unit.rpm_samples import at, built, recompressed


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("built"))[0]


class Ran:
    def __init__(self, *words: object) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.rc = main(["diff", *map(str, words)])
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def json(self) -> Dict[str, Any]:
        found = json.loads(self.out)
        assert self.out.count("\n") == 1
        assert list(found) == ["same", "error", "a", "b", "differences", "ignored"]
        assert found["same"] is (self.rc == 0) and (found["error"] is not None) is (self.rc == 2)
        return dict(found)


def written(folder: Path, *packages: Rpm) -> List[Path]:
    return [package.write(folder / f"{letter}.rpm") for letter, package in zip("ab", packages)]


def test_the_same_content_is_0_and_says_what_was_ignored(everything: Rpm, tmp_path: Path) -> None:
    other = recompressed(edited(everything, setting(1007, STRING, "elsewhere.example.org")), "xz")
    ran = Ran(*written(tmp_path, everything, other))
    assert ran.rc == 0 and ran.err == "" and ran.out.count("\n") == 2
    assert ran.out.startswith("same content: everything-3:1.0-1.test.x86_64, sha256:")
    assert "ignored (no part of the content): BUILDHOST, " in ran.out and "PAYLOADCOMPRESSOR" in ran.out
    assert Ran(*written(tmp_path, everything, everything)).out.count("\n") == 1


def test_other_content_is_1_and_says_where(everything: Rpm, tmp_path: Path) -> None:
    other = edited(
        everything, setting(1024, STRING, 'print("other")'), patching(1030, at(everything, b"one"), 0o100600)
    )
    ran = Ran(*written(tmp_path, everything, other))
    assert ran.rc == 1 and ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0] == "different content: 2 differences"
    assert lines[3:] == [
        "",
        "files",
        "  /opt/everything/one",
        "    mode: A rw-r--r-- (0644), B rw------- (0600)",
        "",
        "scripts",
        '  %post: A print("post"), B print("other")',
    ]


@pytest.mark.parametrize("broken", ["payload", "no rpm", "truncated", "missing", "directory", "source"])
@pytest.mark.parametrize("side", [0, 1])
def test_what_cannot_be_compared_is_2_and_never_the_same(
    everything: Rpm, tmp_path: Path, broken: str, side: int
) -> None:
    good, bad = written(tmp_path, everything, everything)
    if broken == "payload":
        tamper_payload(good, bad, b"deutsch", b"english")
    elif broken == "no rpm":
        bad.write_bytes(b"no rpm")
    elif broken == "truncated":
        bad.write_bytes(good.read_bytes()[:-10])
    elif broken == "missing":
        bad = tmp_path / "missing.rpm"
    elif broken == "directory":
        bad = tmp_path
    else:
        edited(everything, lambda package: package.remove(1044)).write(bad)
    paths = [good, bad] if side else [bad, good]
    ran = Ran("--json", *paths)
    answer = ran.json
    assert ran.rc == 2 and answer["differences"] == answer["ignored"] == [] and answer["a"] is answer["b"] is None
    assert str(bad) in answer["error"]["message"] and str(bad) in ran.err and ran.err.count("\n") == 1
    assert answer["error"]["code"] == {
        "payload": "payload-mismatch", "truncated": "payload-mismatch", "no rpm": "malformed-rpm",
        "source": "malformed-rpm", "missing": "unreadable", "directory": "unreadable",
    }[broken]  # fmt: skip
    plain = Ran(*paths)
    assert plain.rc == 2 and plain.out == "" and "internal error" not in plain.err


@pytest.mark.parametrize("words", [[], ["a.rpm"], ["a.rpm", "b.rpm", "c.rpm"], ["--json", "--deep", "a", "b"]])
def test_wrong_usage_is_2(words: Sequence[str]) -> None:
    ran = Ran(*words)
    assert ran.rc == 2 and ran.err.count("\n") == 1


def test_without_librpm_the_answer_is_2_in_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("multisig.subjects") or (name == "multisig.cli" and rest and rest[2] is not None):
            raise ImportError("No module named 'rpm'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    ran = Ran("--json", "a.rpm", "b.rpm")
    assert ran.rc == 2 and ran.json["same"] is False and "rpm" in ran.json["error"]["message"]


def test_json_has_everything(everything: Rpm, tmp_path: Path) -> None:
    other = edited(everything, setting(1023, STRING, "echo pre\necho more"), setting(1007, STRING, "b"))
    ran = Ran("--json", *written(tmp_path, everything, other))
    answer = ran.json
    assert ran.rc == 1 and ran.err == ""
    subject = judged(other)
    assert answer["b"] == {"name": subject.name, "sha256": subject.sha256, "sha512": subject.sha512}
    assert answer["ignored"] == ["BUILDHOST"]
    assert answer["differences"] == [
        {
            "group": "scripts",
            "what": "%pre",
            "aspect": "script",
            "a": "echo pre",
            "b": "echo pre\necho more",
            "diff": ["@@ -1 +1,2 @@", " echo pre", "+echo more"],
            "where": None,
        }
    ]


HOSTILE = b"\x1b[2J\x9b\xe2\x80\xae\nsame content: \xff\r"


def test_a_package_cannot_speak_to_the_terminal(everything: Rpm, tmp_path: Path) -> None:
    place = at(everything, b"one")
    other = edited(
        everything,
        setting(1023, STRING, HOSTILE),
        setting(1020, STRING, HOSTILE),
        patching(5046, 0, HOSTILE),
        patching(1039, place, HOSTILE),
        patching(1117, at(everything, b"empty"), HOSTILE),
        patching(1066, 0, HOSTILE),
        setting(1085, STRING_ARRAY, [HOSTILE, HOSTILE]),
    )
    names = {b"./opt/everything/empty": b"./opt/everything/" + HOSTILE}
    other.set_members([member.but(name=names.get(member.name, member.name)) for member in other.members])
    other.fix_payload_digest()
    for pair in ((everything, other), (other, everything)):
        ran = Ran(*written(tmp_path, *pair))
        assert ran.rc == 1
        assert all(char.isprintable() or char == "\n" for char in ran.out)
        assert not re.search(r"^ *same content", ran.out, re.MULTILINE)
        assert Ran("--json", *written(tmp_path, *pair)).out.isascii()


def opened(everything: Rpm) -> Opened:
    return Opened(-1, judged(everything), "x.rpm")


def text(everything: Rpm, differences: Sequence[Difference], **places: Place) -> List[str]:
    package = opened(everything)
    located = {path.encode(): place for path, place in places.items()}
    return list(difftext.lines_of(package, package, Comparison(False, tuple(differences), ()), located))[3:]


def a_file(name: str, aspect: str = "content", diff: Sequence[str] = ()) -> Difference:
    return Difference(Group.FILES, name, aspect, "a", "b", frozenset(), tuple(diff))


def test_the_text_is_short_and_says_what_it_leaves_out(everything: Rpm) -> None:
    lines = text(everything, [a_file(f"/{number}") for number in range(5000)])
    assert len(lines) < 100 and lines[-1] == "  … 4,970 more (--json lists all)"
    lines = text(everything, [a_file("/x", "script", ["+x" * 10_000] * 5000)])
    assert len(lines) < 100 and lines[-1] == "        … 4,970 more lines (--json has them)"
    assert max(map(len, lines)) < 300 and "(20,000 characters)" in lines[4]


def test_a_place_in_a_text_shows_its_line_and_both_sides(everything: Rpm) -> None:
    lines = text(everything, [a_file("x")], x=Place(1234, 5, 0, b"old\t", None))
    assert lines[2:] == [
        "  x",
        "    content: first difference at line 5, byte 1,234 (counted from 0)",
        "        A  old\\t",
        "        B  (ends here)",
    ]
    lines = text(everything, [a_file("x")], x=Place(3, 1, 0, b"old", b"old"))
    assert lines[-1] == "        (only one of them has a line end here)"


def test_a_place_in_a_binary_file_shows_a_hexdump(everything: Rpm) -> None:
    lines = text(everything, [a_file("x")], x=Place(0x1003, None, 0x1000, b"\x7fELF" + bytes(12), b"\x7fEL\x1b"))
    assert lines[3:] == [
        "    content: first difference at byte 4,099 (counted from 0)",
        "        A  00001000  7f 45 4c 46 00 00 00 00 00 00 00 00 00 00 00 00  |.ELF............|",
        "        B  00001000  7f 45 4c 1b                                      |.EL.|",
    ]


def diffoscope(folder: Path, script: str) -> None:
    """A program of that name; it is not in Debian's minimal installation."""
    program = folder / "bin" / "diffoscope"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def pair(everything: Rpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("SECRET", "hunter2")
    return written(tmp_path, everything, edited(everything, setting(1020, STRING, "https://other.example")))


def test_deep_hands_over_to_diffoscope(pair: List[Path], tmp_path: Path) -> None:
    diffoscope(tmp_path, r"""printf '%s|' "$@" "$SECRET"; printf '\033[2Jred\ttab\n'; exit 1""")
    ran = Ran("--deep", *pair)
    assert ran.rc == 1 and ran.err == ""
    assert "different content: 1 difference\n" in ran.out
    assert ran.out.endswith(f"--text|-|{pair[0]}|{pair[1]}||\\x1b[2Jred\ttab\n")


def test_deep_looks_no_further_where_nothing_differs(pair: List[Path], tmp_path: Path) -> None:
    diffoscope(tmp_path, "echo looked")
    ran = Ran("--deep", pair[0], pair[0])
    assert ran.rc == 0 and "looked" not in ran.out


@pytest.mark.parametrize("name", ["--output=x", "a;touch x", "-h"])
def test_names_are_no_options_and_no_shell_words(
    everything: Rpm, pair: List[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    diffoscope(tmp_path, """for last; do :; done; echo "last: $last"; exit 1""")
    monkeypatch.chdir(tmp_path)
    everything.write(tmp_path / name)
    ran = Ran("--deep", "--", pair[1], name)
    assert ran.rc == 1 and ran.out.endswith(f"last: {tmp_path}/{name}\n") and not (tmp_path / "x").exists()


def test_deep_without_diffoscope_says_how_to_get_it(pair: List[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ran = Ran("--deep", *pair)
    assert ran.rc == 2 and ran.out == "" and "apt install diffoscope" in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize("script", ["exit 2", "kill -9 $$"])
def test_a_failing_diffoscope_is_2(pair: List[Path], tmp_path: Path, script: str) -> None:
    diffoscope(tmp_path, script)
    ran = Ran("--deep", *pair)
    assert ran.rc == 2 and "diffoscope failed" in ran.err
