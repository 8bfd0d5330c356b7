# SPDX-License-Identifier: GPL-2.0-or-later
"""What was verified is what rpm opens: a file nobody else can touch, or a private copy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict

import pytest

from multisig.errors import UnreadableError
from multisig.pin import LOCAL_FILE_SYSTEMS, Pinner

USER = os.geteuid()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that only this user can write to, with a file in it."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    (folder / "a.rpm").write_bytes(b"content" * 1000)
    (folder / "a.rpm").chmod(0o644)
    return folder


def mounted(tmp_path: Path, system: str) -> str:
    """A mountinfo that says this of the file system that the tests' files lie on, whatever it really is."""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / / rw - {system} none rw\n")
    return str(mounts)


@pytest.fixture
def pinner(tmp_path: Path) -> Pinner:
    (tmp_path / "copies").mkdir()
    return Pinner(str(tmp_path / "copies"), user=USER, mounts=mounted(tmp_path, "ext4"))


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_a_file_that_nobody_else_can_change_is_used_where_it_lies(place: Path, pinner: Pinner) -> None:
    pinned = pinner.pin(str(place / "a.rpm"))
    assert (pinned.path, pinned.copied) == (str(place / "a.rpm"), False)
    assert os.pread(pinned.fd, 7, 0) == b"content"
    pinned.close()


def test_links_are_followed_to_the_end(place: Path, pinner: Pinner) -> None:
    (place / "link").symlink_to("a.rpm")
    (place.parent / "way").symlink_to("folder")
    pinned = pinner.pin(str(place.parent / "way" / "link"))
    assert (pinned.path, pinned.copied) == (str(place / "a.rpm"), False)
    pinned.close()


UNSAFE: Dict[str, Callable[[Path], object]] = {
    "a file that a group may write to": lambda place: (place / "a.rpm").chmod(0o664),
    "a file that all may write to": lambda place: (place / "a.rpm").chmod(0o646),
    "a folder that a group may write to": lambda place: place.chmod(0o775),
    "a folder that all may write to": lambda place: place.chmod(0o757),
    "a folder above that all may write to": lambda place: place.parent.chmod(0o777),
}


@pytest.mark.parametrize("what", sorted(UNSAFE))
def test_a_file_that_others_could_change_or_replace_is_copied(place: Path, pinner: Pinner, what: str) -> None:
    UNSAFE[what](place)
    before = content(str(place / "a.rpm"))
    pinned = pinner.pin(str(place / "a.rpm"))
    assert pinned.copied
    assert content(pinned.path) == before
    for change in ("write", "replace"):
        if change == "write":
            (place / "a.rpm").write_bytes(b"evil")
        else:
            (place / "b.rpm").write_bytes(b"other package")
            (place / "b.rpm").replace(place / "a.rpm")
        assert content(pinned.path) == before
        assert os.pread(pinned.fd, len(before), 0) == before
    pinned.close()


def test_the_file_of_a_user_who_is_not_the_one_that_runs_this_is_copied(place: Path, tmp_path: Path) -> None:
    stranger = Pinner(str(tmp_path), user=USER + 1, mounts=mounted(tmp_path, "ext4"))
    pinned = stranger.pin(str(place / "a.rpm"))
    assert pinned.copied is (USER != 0)
    pinned.close()


def test_a_file_of_another_user_is_copied(place: Path, pinner: Pinner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinner, "_trusted", frozenset({USER + 1}))
    pinned = pinner.pin(str(place / "a.rpm"))
    assert pinned.copied
    pinned.close()


def test_a_sticky_folder_protects_what_is_not_theirs(place: Path, pinner: Pinner) -> None:
    place.chmod(0o1777)
    pinned = pinner.pin(str(place / "a.rpm"))
    assert not pinned.copied
    pinned.close()


def test_a_file_system_whose_word_on_owners_is_not_the_kernels_is_not_trusted(place: Path, tmp_path: Path) -> None:
    for system, copied in (("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("vfat", True), ("ext4", False)):
        pinned = Pinner(str(tmp_path), user=USER, mounts=mounted(tmp_path, system)).pin(str(place / "a.rpm"))
        assert pinned.copied is copied, system
        pinned.close()
    assert not {"nfs", "nfs4", "cifs", "fuse", "9p", "vfat", "exfat", "ntfs3"} & LOCAL_FILE_SYSTEMS


@pytest.mark.parametrize("mounts", [None, "", "nonsense\n", "36 35 x:y / / rw - ext4 none rw\n", "1 2 3:4 / / rw\n"])
def test_without_a_word_on_file_systems_none_is_trusted(place: Path, tmp_path: Path, mounts: "str | None") -> None:
    path = tmp_path / "mountinfo"
    if mounts is not None:
        path.write_text(mounts)
    pinned = Pinner(str(tmp_path), user=USER, mounts=str(path)).pin(str(place / "a.rpm"))
    assert pinned.copied
    pinned.close()


def test_a_copy_has_no_name_and_goes_with_its_descriptor(place: Path, pinner: Pinner, tmp_path: Path) -> None:
    place.chmod(0o777)
    pinned = pinner.pin(str(place / "a.rpm"))
    assert list((tmp_path / "copies").iterdir()) == []
    assert os.fstat(pinned.fd).st_nlink == 0
    assert os.fstat(pinned.fd).st_mode & 0o777 == 0o600
    pinned.close()
    assert not os.path.exists(pinned.path)


ODD: Dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a FIFO": lambda path: os.mkfifo(path),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("what", sorted(ODD))
def test_what_is_no_regular_file_is_an_error_and_leaves_no_descriptor(place: Path, pinner: Pinner, what: str) -> None:
    path = place / "odd.rpm"
    ODD[what](path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UnreadableError) as caught:
        pinner.pin(str(path))
    assert str(path) in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_no_copy_can_be_made_there_is_an_error(place: Path, tmp_path: Path) -> None:
    place.chmod(0o777)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UnreadableError):
        Pinner(str(tmp_path / "nothing"), user=USER).pin(str(place / "a.rpm"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_empty_file_can_be_pinned(place: Path, pinner: Pinner) -> None:
    (place / "empty").touch()
    place.chmod(0o777)
    pinned = pinner.pin(str(place / "empty"))
    assert content(pinned.path) == b""
    pinned.close()


def test_a_file_that_was_replaced_between_opening_and_checking_is_not_taken_for_safe(
    place: Path, pinner: Pinner
) -> None:
    """The path names a safe file, but the descriptor is of another one."""
    (place / "other").write_bytes(b"other")
    fd = os.open(place / "other", os.O_RDONLY)
    try:
        assert not pinner.is_safe(str(place / "a.rpm"), fd)
    finally:
        os.close(fd)
