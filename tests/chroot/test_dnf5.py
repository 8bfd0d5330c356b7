# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs wholly in a chroot: dnf 5 in forky, and the librpm plugin with rpm 4.20 and 6.1."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

import pytest

from fixtures.chroot import INSIDE, Chroot
from fixtures.running import PYTHON


def run_tests(release: str, files: Sequence[str], out: Path, layer: Optional[Path] = None) -> None:
    """pytest on files of this checkout, in the chroot; where a test fails, all that it said. ``layer``: see Chroot."""
    chroot = Chroot(release)
    chroot.prepare()
    words = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp=/out/tmp"]
    words += [f"{INSIDE}/{file}" for file in files]
    result = chroot.run(words, out, env={"CI": "true"}, timeout=900, check=False, layer=layer)
    assert result.rc == 0 and " passed" in result.out, result.text


def test_dnf5(tmp_path: Path) -> None:
    inside = "tests/chroot/inside"
    run_tests("forky", [f"{inside}/dnf5.py", f"{inside}/dnf5_repositories.py"], tmp_path)


def test_the_first_policy_by_the_library_of_dnf5(tmp_path: Path) -> None:
    run_tests("forky", ["tests/chroot/inside/firstpolicy.py"], tmp_path)


def test_offline_transactions_of_dnf5(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run_tests("forky", ["tests/chroot/inside/dnf5_offline.py"], tmp_path / "out", tmp_path / "layer")


@pytest.mark.parametrize("release", ["trixie", "forky"])
def test_the_plugin_for_rpm(release: str, tmp_path: Path) -> None:
    run_tests(release, ["tests/e2e/test_rpm_plugin.py"], tmp_path)
