# SPDX-License-Identifier: GPL-2.0-or-later
"""Digests of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import List

import pytest

from multisig.errors import UnreadableError
from multisig.statement import Digests
from multisig.subjects.file import hash_file


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
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
