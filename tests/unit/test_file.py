# SPDX-License-Identifier: GPL-2.0-or-later
"""Digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest

from multisig.errors import UnreadableError
from multisig.statement import Digests
from multisig.subjects.file import hash_file


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, 8 << 20, (9 << 20) + 7])
def test_every_byte_is_in_both_digests(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = tmp_path / "file"
    path.write_bytes(content)
    steps: List[int] = []
    fd = os.open(path, os.O_RDONLY)
    try:
        expected = Digests(hashlib.sha256(content).hexdigest(), hashlib.sha512(content).hexdigest())
        assert hash_file(fd, progress=steps.append) == (size, expected)
        os.lseek(fd, size // 2, os.SEEK_SET)
        assert hash_file(fd) == (size, expected)
    finally:
        os.close(fd)
    assert sum(steps) == size


def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(UnreadableError) as caught:
            hash_file(fd, path="image.iso")
    finally:
        os.close(fd)
    assert str(caught.value).startswith("image.iso: ")


def large(tmp_path: Path, size: int = 12 << 20) -> int:
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(size)
    return os.open(path, os.O_RDONLY)


def reading_threads() -> List[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "multisig-read"]


class Enough(Exception):
    pass


def test_an_interrupted_pass_leaves_no_thread_behind(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise Enough

    fd = large(tmp_path)
    try:
        with pytest.raises(Enough):
            hash_file(fd, progress=interrupt)
    finally:
        os.close(fd)
    assert reading_threads() == []


def test_a_file_that_shrinks_or_grows_meanwhile_is_what_was_read_of_it(tmp_path: Path) -> None:
    for change in (4 << 20, 40 << 20):
        fd = large(tmp_path)
        try:
            size, digests = hash_file(fd, progress=lambda _: os.truncate(tmp_path / "large", change))  # noqa: B023
        finally:
            os.close(fd)
        assert digests.sha256 == hashlib.sha256(bytes(size)).hexdigest()
        assert digests.sha512 == hashlib.sha512(bytes(size)).hexdigest()


def test_a_disk_that_fails_in_the_middle_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv

    def failing(fd: int, buffers: List[bytearray], offset: int) -> int:
        if offset >= 3 << 20:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    fd = large(tmp_path)
    try:
        with pytest.raises(UnreadableError, match="image.iso: cannot be read: Input/output error"):
            hash_file(fd, path="image.iso")
    finally:
        os.close(fd)
    assert reading_threads() == []


def test_several_large_files_at_once_do_not_mix(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * (9 << 20))

    def digest(path: Path) -> Digests:
        fd = os.open(path, os.O_RDONLY)
        try:
            return hash_file(fd)[1]
        finally:
            os.close(fd)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(digest, paths))
    assert [digests.sha256 for digests in found] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
