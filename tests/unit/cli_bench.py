# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the command line share: running it, a policy with people, packages in every state of disrepair."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import INT32, Rpm
from fixtures.rpmjudge import edited, judged
from fixtures.running import CHECKOUT, CLEAN, PYTHON, data_home
from fixtures.tamper import tamper_payload
from multisig.bundle import Attestation, Bundle, encode
from multisig.cli import main
from multisig.statement import Subject
from tests.unit.core import digests, statement
from tests.unit.openpgp_keys import People

NAMES = ("marek", "joanna", "rafal")
NEVRA = "hello-0:1.0-1.noarch"
CODES = {
    "ok", "exempt", "no-bundle", "below-threshold", "content-mismatch", "payload-mismatch", "malformed-rpm",
    "malformed-bundle", "weak-digest", "no-rule", "expired", "rollback", "unreadable", "policy-error",
}  # fmt: skip


@dataclass
class Ran:
    rc: int
    out: str
    err: str


def call(*words: object) -> Ran:
    """The program's main function, with what it prints."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        rc = main([str(word) for word in words])
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return Ran(rc, out.buffer.getvalue().decode(), err.getvalue())


def start(
    *words: object, env: Optional[Mapping[str, str]] = None, **options: Any
) -> "subprocess.CompletedProcess[bytes]":
    """The program in a process of its own."""
    environment = {**CLEAN, "PYTHONPATH": str(CHECKOUT), "XDG_DATA_HOME": data_home(), **(env or {})}
    given = [word if isinstance(word, bytes) else str(word) for word in words]
    # -B: where a test limits how long files may grow, a cut-off .pyc would break every later start.
    command: List[Any] = [PYTHON, "-B", "-m", "multisig", *given]
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(command, env=environment, stderr=subprocess.PIPE, timeout=60, check=False, **options)


def one_line(text: str, naming: object = "") -> str:
    """Errors are one line that names what is wrong, and no traceback."""
    assert text.startswith("multisig: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert "Traceback" not in text
    assert "internal error" not in text
    assert str(naming) in text
    return text


@dataclass
class Bench:
    """A package, people who can sign, and a policy that asks two of three of them."""

    folder: Path
    rpm: Path
    policy: Path
    people: People

    def bundle(self, *names: str, text: Optional[str] = None) -> bytes:
        whole = text or statement(Subject(NEVRA, judged(self.rpm.read_bytes()).digests))
        return encode(
            Bundle((Attestation(whole, tuple(self.people.sign(name, data=whole.encode()) for name in names)),))
        )

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def verify(self, *words: object) -> Dict[str, Any]:
        """What ``verify --json`` says, whose form and exit code are checked; the exit code is added as ``rc``."""
        ran = call("verify", "--policy", self.policy, "--json", *words)
        found = checked_json(ran.out, ran.rc)
        if ran.rc == 2 and not found["subjects"]:
            one_line(ran.err, found["error"]["message"][-40:])
        else:
            assert ran.err == ""
        return {**found, "rc": ran.rc}


def checked_json(out: str, rc: int) -> Dict[str, Any]:
    found = json.loads(out)
    assert out.count("\n") == 1
    assert list(found) == ["accepted", "error", "subjects"]
    assert isinstance(found["accepted"], bool)
    assert found["accepted"] is (rc == 0)
    assert (found["error"] is not None) is (rc == 2)
    if found["error"] is not None:
        assert list(found["error"]) == ["code", "message"]
        assert found["error"]["code"] in CODES
        assert isinstance(found["error"]["message"], str)
    for subject in found["subjects"]:
        assert list(subject) == ["name", "accepted", "code", "rules", "signers", "ignored", "message"]
        assert isinstance(subject["accepted"], bool)
        assert subject["accepted"] is (subject["code"] in ("ok", "exempt"))
        assert subject["code"] in CODES
        for field in ("rules", "signers", "ignored"):
            assert all(isinstance(text, str) for text in subject[field])
        assert all(isinstance(subject[field], str) for field in ("name", "message"))
    return dict(found)


POLICY = """\
multisig: policy/v1
serial: 1
signers:
{signers}
groups:
  builders: [marek, joanna, rafal]
rules:
  - {{name: ours, repos: ["@commandline"], channel: demo-stable, require: 2 of builders}}
  - {{name: files, kind: file, channel: demo-stable, require: 2 of builders}}
  - {{name: trees, kind: tree, channel: demo-stable, require: 2 of builders}}
  - {{name: lab, repos: [lab], exempt: built here, until: 2030-01-01}}
"""


def make(folder: Path, people: People) -> Path:
    """The policy, its keys, and a package."""
    (folder / "keys").mkdir()
    lines = []
    for name in NAMES:
        fingerprint = people.key(name).fingerprint
        (folder / "keys" / f"{name}.asc").write_bytes(people.home.export(name, "--armor"))
        lines.append(f'  {name}: {{keys: [{{fingerprint: "{fingerprint}", file: keys/{name}.asc}}]}}')
    (folder / "policy.yaml").write_text(POLICY.format(signers="\n".join(lines)))
    shutil.copyfile(build(Recipe("hello.spec"), BUILDERS["marek"], folder)[0], folder / "hello.rpm")
    return folder


def lay_out(made: Path, folder: Path, people: People) -> Bench:
    """A bench of its own for each test, with the policy that all share."""
    shutil.copyfile(made / "hello.rpm", folder / "hello.rpm")
    return Bench(folder, folder / "hello.rpm", made / "policy.yaml", people)


# What may be wrong with the package, or the bundle beside it.


def unapproved(bench: Bench) -> None:
    """No bundle beside it."""


def malformed_bundle(bench: Bench) -> None:
    bench.write("hello.rpm.msig", b"[" * 20_000)


def other_content(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES, text=statement(Subject(NEVRA, digests()))))


def tampered_payload(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    tamper_payload(bench.rpm, bench.rpm)


def unknown_tag(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    edited(Rpm.read(bench.rpm), lambda copy: copy.add(60_000, INT32, 1)).write(bench.rpm)


def weak_digests(bench: Bench) -> None:
    bench.write("hello.rpm.msig", bench.bundle(*NAMES))
    edited(Rpm.read(bench.rpm), lambda copy: copy.set(5011, INT32, 2)).write(bench.rpm)


def truncated(bench: Bench) -> None:
    bench.write("hello.rpm", bench.rpm.read_bytes()[:3000])


def empty(bench: Bench) -> None:
    bench.write("hello.rpm", b"")


def text(bench: Bench) -> None:
    bench.write("hello.rpm", b"this is no package\n" * 99)
