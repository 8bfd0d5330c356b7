# SPDX-License-Identifier: GPL-2.0-or-later
"""What rpm erases for a package's sake: by the very header that was judged, and by rpm's own comparison."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Sequence

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import INT32, STRING_ARRAY, Rpm
from multisig.errors import MalformedRpmError
from multisig.librpm.check import _unsaid
from multisig.subjects.obsoletes import read_obsoletes

OBSOLETE_NAME, OBSOLETE_FLAGS, OBSOLETE_VERSION = 1090, 1114, 1115
ANY, LESS = 0, 2
HELLO = "hello-1.0-1.noarch"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(Recipe("hello.spec"), BUILDERS["marek"], tmp_path_factory.mktemp("builds"))[0]


def unsaid(built: Path, tmp_path: Path, erased: Sequence[str], *, flags: int = ANY, version: str = "") -> Sequence[str]:
    """Of a package that obsoletes old, in these versions."""
    rpm = Rpm.read(built)
    rpm.set(OBSOLETE_NAME, STRING_ARRAY, ["old"])
    rpm.set(OBSOLETE_FLAGS, INT32, [flags])
    rpm.set(OBSOLETE_VERSION, STRING_ARRAY, [version])
    fd = os.open(rpm.write(tmp_path / "hello.rpm"), os.O_RDONLY)
    try:
        return _unsaid(HELLO, fd, erased)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "erased", ["hello-0.9-1.noarch", "hello-7:2.0-1.x86_64", "old-1.0-1.noarch", "old-3:9-9.noarch"]
)
def test_an_upgrade_and_what_is_obsoleted_may_go(built: Path, tmp_path: Path, erased: str) -> None:
    assert unsaid(built, tmp_path, [erased]) == []


@pytest.mark.parametrize(
    "erased", ["other-1.0-1.noarch", "older-1.0-1.noarch", "hello-old-1.0-1.noarch", "gpg-pubkey-1-2"]
)
def test_another_package_may_not(built: Path, tmp_path: Path, erased: str) -> None:
    assert unsaid(built, tmp_path, ["hello-0.9-1.noarch", erased, "old-1.0-1.noarch"]) == [erased]


@pytest.mark.parametrize(
    ("erased", "goes"),
    [
        ("old-1.9-1.noarch", True),
        ("old-0:1.9-1.noarch", True),
        ("old-2.0-1.noarch", False),
        ("old-1:1-1.noarch", False),
    ],
)
def test_of_other_versions_than_are_obsoleted(built: Path, tmp_path: Path, erased: str, goes: bool) -> None:
    assert unsaid(built, tmp_path, [erased], flags=LESS, version="2.0") == ([] if goes else [erased])


def test_what_is_no_package_obsoletes_nothing(built: Path, tmp_path: Path) -> None:
    with pytest.raises(MalformedRpmError), open(__file__, "rb") as file:
        read_obsoletes(file.fileno())
    with pytest.raises(ValueError):
        unsaid(built, tmp_path, ["nothing"])
