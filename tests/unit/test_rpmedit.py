# SPDX-License-Identifier: GPL-2.0-or-later
"""The editor that the attacks are made with changes what it is told to and nothing else; rpm believes the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.cpio import Member, read_cpio, write_cpio
from fixtures.rpmedit import STRING, Rpm
from fixtures.running import run
from tests.unit.rpm_samples import NAMED_COMPRESSORS, recompressed


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(Recipe("everything.spec"), BUILDERS["marek"], tmp_path_factory.mktemp("built"))[0]


def test_a_package_that_is_taken_apart_and_put_together_is_the_same_file(path: Path) -> None:
    assert Rpm.read(path).pack() == path.read_bytes()
    assert Rpm.read(path).copy().pack() == path.read_bytes()


def test_an_archive_that_is_taken_apart_and_put_together_is_the_same(path: Path) -> None:
    package = Rpm.read(path)
    assert write_cpio(package.members) == package.archive
    members = [*package.members, Member(b"", b"one\n", index=0)]
    assert read_cpio(write_cpio(members, b"trailing"), [4]) == (members, b"trailing")


def test_an_edit_of_a_copy_leaves_the_package_alone(path: Path) -> None:
    package = Rpm.read(path)
    copy = package.copy()
    copy.set(1000, STRING, "other")
    copy.remove(1002)
    copy.signature.remove(1004)
    assert package.pack() == path.read_bytes() != copy.pack()


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_rpm_finds_all_digests_of_an_edited_package_right(path: Path, tmp_path: Path, compressor: str) -> None:
    package = recompressed(Rpm.read(path), compressor)
    package.set(1024, STRING, "edited")
    package.set_members([member.but(data=member.data.upper()) for member in package.members])
    package.fix_payload_digest()
    edited = package.write(tmp_path / "edited.rpm")
    assert "digests OK" in run(["rpm", "-K", edited]).out
    package.payload = package.payload[:-1] + bytes([package.payload[-1] ^ 1])
    broken = tmp_path / "broken.rpm"
    broken.write_bytes(edited.read_bytes()[:-1] + package.payload[-1:])
    assert "NOT OK" in run(["rpm", "-K", broken], check=False).out
