# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees as GLEP 74 Manifests: computed, complete, and in one way only."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import tracemalloc
from pathlib import Path
from typing import Callable, Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.errors import MalformedTreeError, MultisigError, UnreadableError
from multisig.subjects.tree import escape_path, manifest_digests, tree_manifest


def line(path: str, content: bytes) -> str:
    sha256, sha512 = hashlib.sha256(content).hexdigest(), hashlib.sha512(content).hexdigest()
    return f"DATA {path} {len(content)} SHA256 {sha256} SHA512 {sha512}\n"


def make(folder: Path, files: Dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def paths(folder: Path) -> "list[str]":
    return [text.split(" ")[1] for text in tree_manifest(str(folder)).decode().splitlines()]


def test_each_regular_file_has_a_line_of_the_specified_form(tmp_path: Path) -> None:
    make(tmp_path, {"b": b"bee", "a/c": b"", "a/.hidden": b"h", ".dot/x": b"x"})
    expected = line(".dot/x", b"x") + line("a/.hidden", b"h") + line("a/c", b"") + line("b", b"bee")
    assert tree_manifest(str(tmp_path)).decode() == expected


def test_lines_are_sorted_by_the_whole_path_as_bytes(tmp_path: Path) -> None:
    names = ["a", "a.b", "a-b/c", "a/b", "B", "é", "z", "aa", "a b", "\U0001f600", "\uffee"]
    make(tmp_path, {name: b"" for name in names if name != "a"})
    found = [re.sub(r"\\x20", " ", path) for path in paths(tmp_path)]
    assert found == sorted((name for name in names if name != "a"), key=str.encode)


ESCAPED = {
    "plain-._+é😀": "plain-._+é😀",
    "a b": "a\\x20b",
    "a\\b": "a\\x5Cb",
    "a\\x20b": "a\\x5Cx20b",
    "\t\n\v\f\r": "\\x09\\x0A\\x0B\\x0C\\x0D",
    "\x01\x1f\x7f": "\\x01\\x1F\\x7F",
    "\x80\x85\x9f\xa0": "\\u0080\\u0085\\u009F\\u00A0",
    "\u1680\u2003\u2028\u2029\u202f\u205f\u3000": "\\u1680\\u2003\\u2028\\u2029\\u202F\\u205F\\u3000",
    "\u200b\u202e": "\u200b\u202e",  # neither white space nor a control character (Cf)
}


@pytest.mark.parametrize("path", sorted(ESCAPED))
def test_backslash_white_space_and_control_characters_are_escaped(path: str) -> None:
    assert escape_path(path) == ESCAPED[path]


def unescape(text: str) -> str:
    return re.sub(r"\\x([0-9A-F]{2})|\\u([0-9A-F]{4})", lambda found: chr(int(found[1] or found[2], 16)), text)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=20) | st.text("\\xu01Aa \n\x80é", max_size=20))
def test_an_escaped_path_holds_no_white_space_and_is_that_of_one_path_alone(path: str) -> None:
    escaped = escape_path(path)
    assert unescape(escaped) == path
    assert escaped.split() == ([escaped] if escaped else [])
    assert "\n" not in escaped


def test_a_name_cannot_forge_a_line(tmp_path: Path) -> None:
    forged = "a 1 SHA256 0\nDATA b"
    make(tmp_path, {forged: b"x"})
    assert tree_manifest(str(tmp_path)).decode() == line(escape_path(forged), b"x")
    assert tree_manifest(str(tmp_path)).count(b"\n") == 1


@pytest.mark.parametrize("change", ["content", "name", "folder", "added", "removed", "hidden"])
def test_any_change_changes_the_manifest(tmp_path: Path, change: str) -> None:
    before = tree_manifest(str(make(tmp_path, {"a/b": b"one", "c": b"two"})))
    edits: Dict[str, Callable[[], object]] = {
        "content": lambda: (tmp_path / "c").write_bytes(b"tow"),
        "name": lambda: (tmp_path / "c").rename(tmp_path / "d"),
        "folder": lambda: (tmp_path / "a").rename(tmp_path / "e"),
        "added": lambda: (tmp_path / "f").write_bytes(b""),
        "removed": lambda: (tmp_path / "c").unlink(),
        "hidden": lambda: (tmp_path / "a" / ".x").write_bytes(b""),
    }
    edits[change]()
    assert tree_manifest(str(tmp_path)) != before


def test_empty_folders_and_modes_are_not_covered(tmp_path: Path) -> None:
    before = tree_manifest(str(make(tmp_path, {"a": b""})))
    (tmp_path / "empty").mkdir()
    (tmp_path / "a").chmod(0o755)
    assert tree_manifest(str(tmp_path)) == before


def test_the_digests_are_those_of_the_manifest() -> None:
    digests = manifest_digests(b"text")
    assert digests.sha256 == hashlib.sha256(b"text").hexdigest()
    assert digests.sha512 == hashlib.sha512(b"text").hexdigest()


# --- a Manifest in the tree ------------------------------------------------------------------------------------------


def test_a_true_manifest_at_the_top_changes_nothing(tmp_path: Path) -> None:
    before = tree_manifest(str(make(tmp_path, {"a": b"x", "b/Manifest": b"any"})))
    (tmp_path / "Manifest").write_bytes(before)
    assert tree_manifest(str(tmp_path)) == before
    assert paths(tmp_path) == ["a", "b/Manifest"]


@pytest.mark.parametrize("content", [b"", b"x", b"\n", b"DATA a 1 SHA256 0\n"])
def test_any_other_manifest_at_the_top_is_refused(tmp_path: Path, content: bytes) -> None:
    before = tree_manifest(str(make(tmp_path, {"a": b"x"})))
    (tmp_path / "Manifest").write_bytes(content or before + b"\n")
    with pytest.raises(MalformedTreeError) as caught:
        tree_manifest(str(tmp_path))
    assert caught.value.path == str(tmp_path / "Manifest")
    (tmp_path / "Manifest").write_bytes(before[:-1])
    with pytest.raises(MalformedTreeError):
        tree_manifest(str(tmp_path))


def test_a_manifest_may_have_its_lines_in_another_order(tmp_path: Path) -> None:
    """As gemato writes them: in the order of the file system."""
    before = tree_manifest(str(make(tmp_path, {"a": b"x", "b": b"y", "c": b""})))
    (tmp_path / "Manifest").write_bytes(b"".join(reversed(before.splitlines(keepends=True))))
    assert tree_manifest(str(tmp_path)) == before


LINES = {
    "one twice": lambda lines: [*lines, lines[0]],
    "one in place of another": lambda lines: [lines[0], lines[0], lines[2]],
    "one less": lambda lines: lines[1:],
    "one more": lambda lines: [*lines, line("stray", b"").encode()],
    "an empty one": lambda lines: [*lines, b"\n"],
    "a time": lambda lines: [*lines, b"TIMESTAMP 2026-01-31T12:00:00Z\n"],
    "an exception": lambda lines: [*lines, b"IGNORE stray\n"],
    "another digest": lambda lines: [lines[0].replace(b"SHA256 ", b"SHA256 0", 1)[:-2] + b"\n", *lines[1:]],
    "no end": lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")],
}


@pytest.mark.parametrize("change", LINES.values(), ids=LINES.keys())
def test_a_manifest_that_says_anything_else_is_refused(
    tmp_path: Path, change: "Callable[[list[bytes]], list[bytes]]"
) -> None:
    true = tree_manifest(str(make(tmp_path, {"a": b"x", "b": b"y", "c": b""}))).splitlines(keepends=True)
    (tmp_path / "Manifest").write_bytes(b"".join(change(true)))
    with pytest.raises(MalformedTreeError):
        tree_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "named"),
    [("stray", "b/stray"), ("gone", "a"), ("changed", "b/c"), ("renamed", "A, a")],
)
def test_the_files_that_a_manifest_is_wrong_about_are_named(tmp_path: Path, change: str, named: str) -> None:
    true = tree_manifest(str(make(tmp_path, {"a": b"x", "b/c": b"y"})))
    (tmp_path / "Manifest").write_bytes(true)
    if change == "stray":
        make(tmp_path, {"b/stray": b""})
    elif change == "gone":
        (tmp_path / "a").unlink()
    elif change == "changed":
        make(tmp_path, {"b/c": b"z"})
    else:
        (tmp_path / "a").rename(tmp_path / "A")
    with pytest.raises(MalformedTreeError) as caught:
        tree_manifest(str(tmp_path))
    assert str(caught.value).endswith(f"see what was changed: {named}")


def test_a_manifest_below_the_top_is_a_file_like_any_other(tmp_path: Path) -> None:
    assert paths(make(tmp_path, {"d/Manifest": b"x", "manifest": b"", "Manifest.gz": b""})) == [
        "Manifest.gz",
        "d/Manifest",
        "manifest",
    ]


def test_a_folder_called_manifest_is_a_folder(tmp_path: Path) -> None:
    assert paths(make(tmp_path, {"Manifest/x": b""})) == ["Manifest/x"]


# --- what a Manifest cannot describe ---------------------------------------------------------------------------------


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


ODD: Dict[str, Callable[[Path], object]] = {
    "a link to a file": lambda path: path.symlink_to("a"),
    "a link to a folder": lambda path: path.symlink_to("d"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link out of the tree": lambda path: path.symlink_to("/"),
    "a FIFO": lambda path: os.mkfifo(path),
    "a socket": bound,
}


@pytest.mark.parametrize("below", ["", "d", "d/e"])
@pytest.mark.parametrize("what", sorted(ODD))
def test_links_and_special_files_are_refused_wherever_they_are(tmp_path: Path, what: str, below: str) -> None:
    make(tmp_path, {"a": b"", "d/x": b"", "d/e/x": b""})
    ODD[what](tmp_path / below / "odd")
    with pytest.raises(MalformedTreeError) as caught:
        tree_manifest(str(tmp_path))
    assert caught.value.path == str(tmp_path / below / "odd")


@pytest.mark.parametrize("what", sorted(ODD))
def test_they_are_refused_under_the_name_manifest_too(tmp_path: Path, what: str) -> None:
    make(tmp_path, {"a": b"", "d/x": b""})
    ODD[what](tmp_path / "Manifest")
    with pytest.raises(MalformedTreeError):
        tree_manifest(str(tmp_path))


@pytest.mark.parametrize("name", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\xfeb"])
@pytest.mark.parametrize("folder", [False, True])
def test_names_that_are_not_utf8_are_refused(tmp_path: Path, name: bytes, folder: bool) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    if folder:
        os.mkdir(path)
    else:
        with open(path, "wb"):
            pass
    with pytest.raises(MalformedTreeError) as caught:
        tree_manifest(str(tmp_path))
    assert str(caught.value).isascii()


def test_the_top_may_be_named_by_a_link_and_is_not_empty_then(tmp_path: Path) -> None:
    make(tmp_path, {"tree/a": b"x"})
    (tmp_path / "link").symlink_to("tree")
    expected = line("a", b"x").encode()
    for name in ("tree", "tree/", "link", "link/", "tree/.", "link/../tree"):
        assert tree_manifest(f"{tmp_path}/{name}") == expected


@pytest.mark.parametrize("name", ["file", "fifo", "nothing", "file/", "link"])
def test_what_is_no_folder_is_not_taken_for_an_empty_one(tmp_path: Path, name: str) -> None:
    make(tmp_path, {"file": b"x"})
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(UnreadableError) as caught:
        tree_manifest(f"{tmp_path}/{name}")
    assert name.rstrip("/") in str(caught.value)


def test_folders_that_nest_deeper_than_python_recurses_are_an_error_or_read(tmp_path: Path) -> None:
    fds = [os.open(tmp_path, os.O_RDONLY)]
    for _ in range(2100):
        os.mkdir("d", dir_fd=fds[-1])
        fds.append(os.open("d", os.O_RDONLY, dir_fd=fds[-1]))
        os.close(fds.pop(-2))
    os.close(fds.pop())
    try:
        with pytest.raises(MultisigError):
            tree_manifest(str(tmp_path))
    finally:
        assert os.spawnlp(os.P_WAIT, "rm", "rm", "-rf", str(tmp_path / "d")) == 0


def test_a_huge_manifest_in_the_tree_takes_no_memory(tmp_path: Path) -> None:
    make(tmp_path, {"a": b""})
    with open(tmp_path / "Manifest", "wb") as sparse:
        sparse.truncate(32 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedTreeError):
            tree_manifest(str(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# --- while somebody changes the tree ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_becomes_a_link_out_of_the_tree_while_it_is_read_is_not_followed(tmp_path: Path, what: str) -> None:
    outside = make(tmp_path / "outside", {"secret/key": b"secret", "key": b"secret"})
    tree = make(tmp_path / "tree", {f"{name}/key": name.encode() for name in "abcdefgh"})
    swapped: "list[Path]" = []

    def swap(_: int) -> None:
        """As soon as the first file has been read, all the others turn into links."""
        if swapped:
            return
        for folder in sorted(tree.iterdir()):
            swapped.append(folder)
            if what == "folder":
                folder.rename(tmp_path / f"was-{folder.name}")
                folder.symlink_to(outside / "secret")
            else:
                (folder / "key").unlink()
                (folder / "key").symlink_to(outside / "key")

    with pytest.raises(MultisigError):
        tree_manifest(str(tree), progress=swap)
    assert len(swapped) == 8


def test_a_tree_whose_top_is_moved_away_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    tree = make(tmp_path / "tree", {f"{name}/{name}": name.encode() for name in "abcd"})
    expected = tree_manifest(str(tree))

    def move(_: int) -> None:
        if tree.exists():
            tree.rename(tmp_path / "moved")

    assert tree_manifest(str(tree), progress=move) == expected


def test_a_file_that_turns_into_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    make(tmp_path, {name: name.encode() for name in "abcdefgh"})

    def swap(_: int) -> None:
        for path in tmp_path.iterdir():
            if path.is_file():
                path.unlink()
                os.mkfifo(path)

    with pytest.raises(MultisigError):
        tree_manifest(str(tmp_path), progress=swap)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    make(tmp_path, {"a/b/c": b"x", "d": b"y", "Manifest": b"false"})
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(MalformedTreeError):
            tree_manifest(str(tmp_path))
    (tmp_path / "Manifest").unlink()
    (tmp_path / "a" / "link").symlink_to("c")
    with pytest.raises(MalformedTreeError):
        tree_manifest(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == len(before)
