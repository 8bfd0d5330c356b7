# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever breaks in the middle: nothing unapproved goes in, and the next run gets out of it by itself."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Mapping, Sequence

import pytest

from fixtures.installroot import Installroot
from fixtures.running import CHECKOUT, Argument, Result, run
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = {"hello-1.0-1.noarch"}
MOMENTS = 12


def dying(at: int, count: Path) -> Mapping[str, str]:
    path = f"{CHECKOUT / 'fixtures' / 'dying'}:{CHECKOUT}"
    return {"PYTHONPATH": path, "DYING_AT": str(at), "DYING_COUNT": str(count)}


def moments(system: Installroot, *words: str) -> Sequence[int]:
    """Moments all along what multisig does in one such run of dnf, its first and its last among them."""
    count = system.folder / "count"
    system.dnf(*words, env=dying(0, count))
    last = int(count.read_text(encoding="ascii"))
    assert last > MOMENTS
    return sorted({1 + step * (last - 1) // (MOMENTS - 1) for step in range(MOMENTS)})


def test_a_kill_at_any_moment_of_an_installation(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    ends = []
    for at in moments(stage.system(repo, name="count"), "install", "hello"):
        system = stage.system(repo, name=f"system-{at}")
        killed = system.dnf("install", "hello", env=dying(at, system.folder / "count"))
        ends.append(killed.rc)
        assert system.installed() in (set(), HELLO)
        again = system.dnf("install", "hello")
        assert again.rc == 0 and system.installed() == HELLO, again.text
    assert ends.count(-signal.SIGKILL) >= MOMENTS - 2, ends


def test_a_kill_at_any_moment_of_a_refusal(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": TWO})
    ends = []
    for at in moments(stage.system(repo, name="count"), "install", "hello"):
        system = stage.system(repo, name=f"system-{at}")
        ends.append(system.dnf("install", "hello", env=dying(at, system.folder / "count")).rc)
        assert system.installed() == set()
        again = system.dnf("install", "hello")
        assert again.rc == 1 and "refused" in again.text and system.installed() == set(), again.text
    assert ends.count(-signal.SIGKILL) >= MOMENTS - 2, ends


def with_disk(system: Installroot, path: Path, options: str, *words: Argument) -> Result:
    """Run dnf with another disk, in memory, at ``path``."""
    script = 'mount -t tmpfs -o "$1" tmpfs "$2"; shift 2; exec "$@"'
    inside: list[Argument] = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]
    return run([*inside, options, path, *system.dnf_command(*words)], env=system.environment, check=False)


@pytest.mark.parametrize("options", ["size=4k", "ro"], ids=["full", "read-only"])
def test_the_journal_s_disk(stage: Stage, options: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), journal=str(stage.folder / "j" / "journal.sqlite"))
    (stage.folder / "j").mkdir()
    result = with_disk(system, stage.folder / "j", options, "install", "hello")
    assert result.rc == 1 and system.installed() == set(), result.text
    assert "journal" in result.text and "Traceback" not in result.text
    again = system.dnf("install", "hello")
    assert again.rc == 0, again.text


@pytest.mark.parametrize("options", ["size=12k", "ro"], ids=["full", "read-only"])
def test_the_cache_s_disk(stage: Stage, options: str) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    cache = system.root / "var" / "cache" / "dnf"
    cache.mkdir(parents=True)
    result = with_disk(system, cache, options, "install", "hello")
    assert result.rc != 0 and system.installed() == set(), result.text
    again = system.dnf("install", "hello")
    assert again.rc == 0, again.text


def test_the_temporary_files_disk(stage: Stage) -> None:
    """gpgv's keyring and the like cannot be written: a signature that cannot be checked is no approval."""
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    scratch = stage.folder / "scratch"
    scratch.mkdir()
    words = ["env", f"TMPDIR={scratch}", "dnf"]
    script = 'mount -t tmpfs -o size=8k tmpfs "$1"; shift; head -c 4096 /dev/zero > "$TMPDIR/filled"; exec "$@"'
    inside: list[Argument] = ["unshare", "--mount", "--propagation", "private", *words[:2], "sh", "-ec", script, "sh"]
    result = run([*inside, scratch, *system.dnf_command("install", "hello")], env=system.environment, check=False)
    assert result.rc != 0 and system.installed() == set(), result.text
    assert system.dnf("install", "hello").rc == 0


def test_no_network_at_all(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    assert system.dnf("makecache").rc == 0
    alone: list[Argument] = ["unshare", "--net", *system.dnf_command("install", "hello")]
    result = run(alone, env=system.environment, check=False)
    assert result.rc != 0 and system.installed() == set(), result.text
    assert system.dnf("install", "hello").rc == 0


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + bytes(500), b"\xff" * 8192], ids=["empty", "cut off", "of another kind"]
)
def test_a_broken_journal(stage: Stage, content: bytes) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    system.journal.write_bytes(content)
    result = system.dnf("install", "hello")
    if not content:  # what a crash leaves between making a file and writing it
        assert result.rc == 0, result.text
        return
    assert result.rc == 1 and system.installed() == set(), result.text
    assert str(system.journal) in result.text and "Traceback" not in result.text
    system.journal.rename(system.journal.with_suffix(".broken"))
    assert system.dnf("install", "hello").rc == 0


@pytest.mark.parametrize("clock", ["2020-01-01 00:00:00", "2070-01-01 00:00:00"], ids=["set back", "set forward"])
def test_a_clock_that_is_wrong(stage: Stage, clock: str) -> None:
    """Back: every signature comes from the future. Forward: nothing here expires; the point is that dnf gets by."""
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = run(["faketime", clock, *system.dnf_command("install", "hello")], env=system.environment, check=False)
    if clock.startswith("2020"):
        assert result.rc == 1 and system.installed() == set(), result.text
        assert "dated in the future" in result.text
    again = system.dnf("install", "hello")
    assert again.rc == 0 and system.installed() == HELLO, again.text
