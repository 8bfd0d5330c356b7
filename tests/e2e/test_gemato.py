# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees and gemato, which Gentoo verifies its own with: what either makes, the other accepts and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Mapping, Sequence

import pytest

from fixtures.policy import CHANNEL, rule, write_policy
from fixtures.running import Argument, gemato, multisig
from tests.e2e.conftest import THREE, Stage

# gemato passes over names that begin with a dot, as GLEP 74 has it, and takes Manifest.gz for a Manifest; we do not.
NAMES: Sequence[str] = (
    *("a", "A", "a b", "c/c d/e", "b.txt", "back\\slash", "tab\there", "line\nbreak", "é", "\u00a0", "\u2003x"),
    *("c1\u0085", "\U0001f600", "deep/er/still/x", "Manifest.txt", "deep/Manifests", "metadata.xml", "files/x", "-rf"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * number * 1000)
    return folder


def ours(tree: Path) -> Path:
    """Our Manifest, put into the tree."""
    text = multisig("manifest", tree).out
    (tree / "Manifest").write_text(text, encoding="utf-8")
    return tree


def theirs(tree: Path) -> Path:
    result = gemato("create", "--hashes", "SHA256 SHA512", "--profile", "default", tree)
    assert result.rc == 0, result.text
    return tree


def accepted_by_gemato(tree: Path) -> bool:
    result = gemato("verify", tree)
    assert "Traceback" not in result.text
    return result.rc == 0


def accepted_by_us(tree: Path) -> bool:
    result = multisig("manifest", "--digest", tree, check=False)
    assert "Traceback" not in result.text
    return result.rc == 0


def test_gemato_accepts_our_manifest(tree: Path) -> None:
    assert accepted_by_gemato(ours(tree))


def test_we_accept_gematos_manifest_and_its_digest_is_the_same(tree: Path) -> None:
    before = multisig("manifest", "--digest", tree).out
    assert accepted_by_us(theirs(tree))
    assert multisig("manifest", "--digest", tree).out == before


def test_both_write_the_same_lines(tree: Path) -> None:
    text = multisig("manifest", tree).out
    theirs(tree)
    written = (tree / "Manifest").read_text(encoding="utf-8")
    assert sorted(written.split("\n")) == sorted(text.split("\n"))


def changed(tree: Path) -> None:
    (tree / "a b").write_bytes(b"changed")


def of_the_same_size(tree: Path) -> None:
    data = bytearray((tree / "é").read_bytes())
    data[100] ^= 1
    (tree / "é").write_bytes(data)


def stray(tree: Path) -> None:
    (tree / "deep" / "stray").write_bytes(b"")


def gone(tree: Path) -> None:
    (tree / "deep" / "er" / "still" / "x").unlink()


def a_folder_in_its_place(tree: Path) -> None:
    (tree / "A").unlink()
    (tree / "A").mkdir()


def a_link_out_of_the_tree(tree: Path) -> None:
    (tree / "a").unlink()
    (tree / "a").symlink_to("/etc/passwd")


def a_line_for_elsewhere(tree: Path) -> None:
    manifest = tree / "Manifest"
    first = manifest.read_text(encoding="utf-8").splitlines(keepends=True)[0].split(" ")
    (tree.parent / "outside").write_bytes(b"")
    manifest.write_text(
        manifest.read_text(encoding="utf-8") + " ".join([first[0], "../outside", *first[2:]]), encoding="utf-8"
    )


CHANGES: Mapping[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (
        *(changed, of_the_same_size, stray, gone),
        *(a_folder_in_its_place, a_link_out_of_the_tree, a_line_for_elsewhere),
    )
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("made", [ours, theirs], ids=["our Manifest", "gemato's Manifest"])
def test_both_refuse_a_tree_that_is_not_its_manifests(tree: Path, made: Callable[[Path], Path], change: str) -> None:
    made(tree)
    CHANGES[change](tree)
    assert not accepted_by_gemato(tree)
    assert not accepted_by_us(tree)


@pytest.mark.parametrize("made", [ours, theirs], ids=["our Manifest", "gemato's Manifest"])
def test_what_is_signed_with_a_manifest_in_it_is_verified_without_and_the_other_way_round(
    stage: Stage, tree: Path, made: Callable[[Path], Path]
) -> None:
    for name in THREE:
        person = stage.shop.people[name]
        key: Sequence[Argument] = ["--key", person.fingerprint, "--gnupghome", person.home, "--channel", CHANNEL]
        multisig("sign", *key, tree)
        (tree / "Manifest").unlink() if (tree / "Manifest").exists() else made(tree)
    trees = rule(name="trees", packages=()).replace("channel:", "kind: tree\n    channel:")
    policy = write_policy(stage.folder / "trees", stage.shop.people, [trees])
    for _ in range(2):
        answer = json.loads(multisig("verify", "--policy", policy, "--json", tree).out)
        assert sorted(answer["subjects"][0]["signers"]) == sorted(THREE)
        (tree / "Manifest").unlink() if (tree / "Manifest").exists() else made(tree)


def test_gemato_passes_over_what_we_do_not(tree: Path) -> None:
    """A file that begins with a dot, added to a tree: GLEP 74 says to ignore it."""
    ours(tree)
    (tree / ".profile").write_text("evil")
    assert accepted_by_gemato(tree)
    assert not accepted_by_us(tree)
