# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/builders.md and docs/release-manager.md: a newcomer can follow them by copying the commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import Iterator, List, Mapping

import pytest

from fixtures import client
from fixtures.building import SPECS
from fixtures.people import Person
from fixtures.policy import rule, write_policy
from fixtures.running import CHECKOUT, CLEAN, PYTHON, run
from fixtures.workshop import Workshop
from multisig.bundle import parse
from multisig.ledger import read_ledger
from multisig.statement import parse as parse_statement

EXAMPLE = "https://example.org/"


def commands(page: str) -> List[str]:
    """The shaded blocks of a page."""
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in blocks]


class Reader:
    """Somebody with an empty home who copies commands. Their gpg asks nothing, and example.org is on this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.gnupg = home / ".gnupg"
        self.gnupg.mkdir(mode=0o700)
        (home / "empty").touch()
        lines = ["batch", "yes", "pinentry-mode loopback", f"passphrase-file {home}/empty"]
        (self.gnupg / "gpg.conf").write_text("\n".join([*lines, ""]), encoding="ascii")

    def follow(self, page: str, folder: Path, environment: Mapping[str, str]) -> List[str]:
        """Run a page's commands in one shell, as a reader's are; what each block printed."""
        blocks = commands(page)
        told = [f'echo "--- {number}"\n{block}' for number, block in enumerate(blocks)]
        script = f'set -euo pipefail\nmultisig() {{ {PYTHON} -B -m multisig "$@"; }}\n' + "\n".join(told)
        whole = {**CLEAN, "PYTHONPATH": str(CHECKOUT), "HOME": str(self.home), **environment}
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=whole, capture_output=True, timeout=300, check=False
        )
        out = done.stdout.decode()
        assert done.returncode == 0, out + done.stderr.decode()
        parts = re.split(r"^--- \d+\n", out, flags=re.MULTILINE)[1:]
        assert len(parts) == len(blocks)
        return parts


@pytest.fixture
def reader() -> Iterator[Reader]:
    folder = Path(tempfile.mkdtemp(prefix="msg-", dir="/tmp"))
    try:
        yield Reader(folder)
    finally:
        run(["gpgconf", "--homedir", folder / ".gnupg", "--kill", "all"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def source_of_hello(folder: Path) -> Mapping[str, str]:
    """A git repository that ``git clone https://example.org/hello.git`` finds: what the environment must say."""
    source = folder / "hello.git"
    source.mkdir(parents=True)
    shutil.copyfile(SPECS / "hello.spec", source / "hello.spec")
    who = ["-c", "user.name=Author", "-c", "user.email=author@example.org"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "hello"]):
        run(["git", "-C", source, *words], env={"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"})
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{folder}/.insteadOf",
        "GIT_CONFIG_VALUE_0": EXAMPLE,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }


def test_a_builder_s_guide_leads_from_the_source_to_the_upload(reader: Reader, tmp_path: Path) -> None:
    environment = source_of_hello(tmp_path / "example")
    parts = reader.follow("builders.md", reader.home, environment)
    told = "".join(parts)
    assert "nothing was signed (--dry-run)" in told and "different content: " in told
    assert "/usr/share/hello/greeting" in told and "nothing found: 2 signatures looked at" in told
    uploads = reader.home / "uploads" / "marek"
    assert sorted(path.name for path in uploads.iterdir()) == [
        "hello-1.0-1.noarch.rpm", "hello-1.0-1.noarch.rpm.msig", "marek-november.msig",
    ]  # fmt: skip
    (signed,) = parse((uploads / "hello-1.0-1.noarch.rpm.msig").read_bytes()).attestations
    statement = parse_statement(signed.statement)
    assert statement.source is not None and statement.source.startswith(f"git+{EXAMPLE}hello.git@")
    ledger = read_ledger(str(reader.home / ".local/share/multisig/ledger.jsonl"))
    assert len(ledger) == 3 and all(entry.names == ("hello-0:1.0-1.noarch",) for entry in ledger)
    offline = parse((reader.home / "hello" / "offline.msig").read_bytes())
    assert len(offline.attestations[0].signatures) == 1
    assert (reader.home / "hello" / "hello-signed.rpm").exists()


def both_keys(reader: Reader, *people: Person) -> None:
    """One reader plays both people of the guide."""
    for person in people:
        secret = person.gpg("--armor", "--export-secret-keys", person.fingerprint).out
        run(["gpg", "--homedir", reader.gnupg, "--import"], stdin=secret)


def test_a_release_manager_s_guide_leads_from_uploads_to_a_release(
    shop: Workshop, reader: Reader, tmp_path: Path
) -> None:
    channel = "example-stable"
    release = "    release: {require: 2 of release, max-age: 14d}\n"
    kinds = "".join(
        f"  - {{name: {kind}s, kind: {kind}, channel: {channel}, require: 2 of release}}\n" for kind in ("file", "tree")
    )
    groups = {"builders": ["marek", "joanna", "rafal"], "release": ["marek", "joanna"]}
    builders = rule("2 of builders", channel=channel, repos=["example-*"], packages=())
    write_policy(tmp_path, shop.people, [builders + release, kinds], groups=groups)
    for who in ("marek", "joanna"):
        uploads = tmp_path / "uploads" / who
        uploads.mkdir(parents=True)
        names = ["hello-1.0-1", *(["greet-1.0-1"] if who == "marek" else [])]
        for name in names:
            shutil.copyfile(shop.rpm(name, who), uploads / f"{name}.noarch.rpm")
            shutil.copyfile(shop.bundle(name, [who], channel), uploads / f"{name}.noarch.rpm.msig")
    (tmp_path / "installer.iso").write_bytes(b"an image" * 1000)
    (tmp_path / "installer-tree").mkdir()
    (tmp_path / "installer-tree" / "file").write_text("a file")
    marek, joanna = shop.people["marek"], shop.people["joanna"]
    both_keys(reader, marek, joanna)
    environment = {"MAREK": marek.fingerprint, "JOANNA": joanna.fingerprint}
    told = "".join(reader.follow("release-manager.md", tmp_path, environment))
    assert re.search(r"^published hello-0:1.0-1.noarch: 2 of 2 builders signed", told, re.MULTILINE)
    assert "greet-0:1.0-1.noarch: 1 of 2 builders signed (marek); needs 1 more of: joanna, rafal" in told
    assert "1 published, 0 with more signatures, 1 held back, 0 uploads published before" in told
    assert set(client.packages(tmp_path / "repo")) == {"hello-1.0-1.noarch.rpm"}
    assert "multisig" in client.records(tmp_path / "repo")
    assert "<html" in (tmp_path / "status.html").read_text(encoding="utf-8")
    assert json.dumps(told).count("release 2 of example-stable") >= 1


def test_the_guides_name_no_command_that_is_not_there() -> None:
    names = set(re.findall(r"^def _(\w+)\(commands", (CHECKOUT / "multisig/cli/__init__.py").read_text(), re.MULTILINE))
    for page in ("builders.md", "release-manager.md"):
        text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
        used = set(re.findall(r"`multisig ([a-z]+)|^ *multisig ([a-z]+)", text, re.MULTILINE))
        assert {one or other for one, other in used} <= names | {"release"}
