# SPDX-License-Identifier: GPL-2.0-or-later
"""The end-to-end tests through dnf 4, with the dnf, libdnf, rpm and Python of later Debians."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.chroot import INSIDE, Chroot
from fixtures.running import CHECKOUT, PYTHON

TRANSACTIONS = "tests/e2e/test_dnf_transactions.py"
HOLD_BACK = "tests/e2e/test_dnf_hold_back.py"
# Which engine is used has nothing to do with dnf, and pysequoia is there for this machine's Python alone.
OTHERWISE = {"test_dnf_engines.py"}
#: What the dnf 4 of a Debian cannot do, with plugins or without: it ends by SIGSEGV in libcomps, in groups.
CRASHES = {
    "trixie": (
        f"{TRANSACTIONS}::test_a_group_of_twenty",
        f"{TRANSACTIONS}::test_one_short_member_refuses_the_group_of_twenty_and_is_the_one_named",
        f"{HOLD_BACK}::test_a_group_is_installed_without_the_members_that_are_held_back",
    ),
    "forky": (),
}


@pytest.mark.parametrize("release", ["trixie", "forky"])
def test_dnf4(release: str, tmp_path: Path) -> None:
    chroot = Chroot(release)
    chroot.prepare()
    out = tmp_path / "out"
    out.mkdir()
    files = sorted(path.name for path in (CHECKOUT / "tests" / "e2e").glob("test_dnf_*.py"))
    words = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp=/out/tmp"]
    words += [word for name in CRASHES[release] for word in ("--deselect", name)]
    words += [str(INSIDE / "tests" / "e2e" / name) for name in files if name not in OTHERWISE]
    # With a layer, since dnf wants to open the system's own rpm database, too.
    result = chroot.run(words, out, env={"CI": "true"}, timeout=1800, check=False, layer=tmp_path / "layer")
    assert result.rc == 0 and " passed" in result.out, result.text


@pytest.mark.parametrize("release", [release for release, tests in CRASHES.items() if tests])
def test_that_dnf_crashes_in_groups_by_itself(release: str, tmp_path: Path) -> None:
    """Where it no longer does, CRASHES and docs/ways-in.md have to be mended."""
    chroot = Chroot(release)
    chroot.prepare()
    program = INSIDE / "tests" / "chroot" / "inside" / "groups.py"
    result = chroot.run([PYTHON, program], tmp_path, check=False, layer=tmp_path / "layer")
    assert "the end of dnf: -11" in result.out, result.text
