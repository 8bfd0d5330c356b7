# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig.pyz: one file that verifies ISOs and trees where there is nothing but Python and gpgv."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Mapping, Sequence, Tuple

import pytest

from fixtures.policy import CHANNEL, rule, write_policy
from fixtures.running import CHECKOUT, PYTHON, Argument, Result, multisig, run
from tests.e2e.conftest import THREE, Stage

BUILD = CHECKOUT / "packaging" / "zipapp.py"
RULES = (
    rule("3 of builders"),
    rule("3 of builders", name="images", packages=()).replace("channel:", "kind: file\n    channel:"),
    rule("3 of builders", name="trees", packages=()).replace("channel:", "kind: tree\n    channel:"),
)


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pyz") / "multisig.pyz"
    run([PYTHON, BUILD, out])
    return out


def bare(pyz: Path, *words: Argument, env: Mapping[str, str] = {}) -> Result:
    """The file by a Python that sees its own standard library and nothing else that is installed."""
    return run([PYTHON, "-I", "-S", pyz, *words], env=env, check=False)


@pytest.fixture
def image(stage: Stage) -> Path:
    """An image and a tree, each signed by three people; the policy beside them."""
    path = stage.folder / "installer.iso"
    path.write_bytes(os.urandom(3 << 20))
    tree = stage.folder / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "name with blanks").write_text("content")
    (tree / ".hidden").write_text("")
    for name in THREE:
        person = stage.shop.people[name]
        key: Sequence[Argument] = ["--key", person.fingerprint, "--gnupghome", person.home, "--channel", CHANNEL]
        multisig("sign", *key, path, tree)
    write_policy(stage.folder, stage.shop.people, RULES)
    return path


def test_two_builds_are_the_same_bytes(pyz: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "elsewhere"
    for name in ("multisig", "packaging", "LICENSE"):
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, checkout / name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, checkout / name)
    run([PYTHON, checkout / "packaging" / "zipapp.py", tmp_path / "again.pyz"], umask=0o077, env={"TZ": "Asia/Tokyo"})
    assert (tmp_path / "again.pyz").read_bytes() == pyz.read_bytes()


def test_it_holds_the_licences_and_no_plugin(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
        assert b"MIT" in archive.read("yaml/LICENSE") or b"Permission is hereby granted" in archive.read("yaml/LICENSE")
    assert {"LICENSE", "yaml/LICENSE", "multisig/gate.py", "yaml/scanner.py"} <= set(names)
    assert not [name for name in names if name.startswith("multisig/dnf4") or name.endswith((".so", ".pyc"))]


def test_nothing_of_the_system_is_needed_but_gpgv(pyz: Path, image: Path) -> None:
    result = bare(pyz, "verify", "--policy", image.parent / "policy.yaml", "--json", image, image.parent / "tree")
    answer = json.loads(result.out)
    assert result.rc == 0 and answer["accepted"], result.text
    assert [subject["name"] for subject in answer["subjects"]] == ["installer.iso", "tree"]
    assert all(sorted(subject["signers"]) == sorted(THREE) for subject in answer["subjects"])


def test_it_can_be_started_by_its_name(pyz: Path, image: Path) -> None:
    result = run([pyz, "verify", "--policy", image.parent / "policy.yaml", image], check=False)
    assert result.rc == 0 and "3 of 3 builders signed" in result.out, result.text


def test_no_module_in_the_folder_that_is_verified_is_run(pyz: Path, image: Path) -> None:
    """The empty entry of PYTHONPATH is what PYTHONPATH=$PYTHONPATH:/some/folder often makes."""
    ran = image.parent / "ran"
    for module in ("argparse", "multisig", "sitecustomize", "yaml"):
        (image.parent / f"{module}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    words: Sequence[Argument] = [pyz, "verify", "--policy", image.parent / "policy.yaml", image]
    starts: Sequence[Tuple[Sequence[Argument], str]] = [([], ":"), ([PYTHON, "-I"], ":"), ([PYTHON], "")]
    for python, path in starts:
        result = run([*python, *words], cwd=image.parent, env={"PYTHONPATH": path}, check=False)
        assert result.rc == 0 and not ran.exists(), result.text


@pytest.mark.parametrize("what", ["image", "tree", "stray file", "bundle"])
def test_what_is_not_what_was_signed_is_refused(pyz: Path, image: Path, what: str) -> None:
    tree = image.parent / "tree"
    if what == "image":
        data = bytearray(image.read_bytes())
        data[1_000_000] ^= 1
        image.write_bytes(data)
    elif what == "tree":
        (tree / ".hidden").write_text("seen")
    elif what == "stray file":
        (tree / "a" / "more").write_text("")
    else:
        (image.parent / "installer.iso.msig").unlink()
        (image.parent / "tree.msig").unlink()
    path = tree if what in ("tree", "stray file") else image
    result = bare(pyz, "verify", "--policy", image.parent / "policy.yaml", path)
    assert result.rc == 1 and "Traceback" not in result.text, result.text


def test_of_an_rpm_it_says_what_is_missing(pyz: Path, image: Path, stage: Stage) -> None:
    rpm = stage.shop.rpm("hello-1.0-1")
    result = bare(pyz, "verify", "--policy", image.parent / "policy.yaml", "--json", rpm)
    answer = json.loads(result.out)
    assert result.rc == 2 and answer["error"]["code"] == "unreadable"
    assert "apt install python3-rpm" in answer["error"]["message"] and "Traceback" not in result.text
    for command in ("manifest", "diff"):
        result = bare(pyz, command, *[rpm] * (1 if command == "manifest" else 2))
        assert result.rc == 2 and "apt install python3-rpm" in result.err and "Traceback" not in result.text


def test_an_error_in_the_policy_names_its_line_with_the_parser_written_in_python_too(pyz: Path, image: Path) -> None:
    policy = image.parent / "policy.yaml"
    policy.write_text(policy.read_text() + "\n  - nonsense: [\n")
    result = bare(pyz, "verify", "--policy", policy, image)
    assert result.rc == 2 and f"{policy}:" in result.err and "Traceback" not in result.text, result.text


def test_signing_says_what_it_needs(pyz: Path, image: Path) -> None:
    result = bare(pyz, "sign", "--key", "A" * 40, "--channel", CHANNEL, image)
    assert result.rc == 2 and "python3-gnupg" in result.err and "Traceback" not in result.text
