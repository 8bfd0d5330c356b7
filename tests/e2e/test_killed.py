# SPDX-License-Identifier: GPL-2.0-or-later
"""merge and publish, killed: nothing is lost, and nobody ever sees half of anything."""

from __future__ import annotations

import os
import random
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Sequence, Set

import pytest

from fixtures import client
from fixtures.killing import Killed, dying_after, fork, killed_at
from multisig.publishing.repository import ASIDE
from tests.e2e.conftest import THREE, Stage
from tests.unit.cli_bench import call

KILLS = 200
HELLO, NEW = "hello-1.0-1.noarch.rpm", "hello-1.0-2.noarch.rpm"


def run(*words: object) -> None:
    ran = call(*words)
    if ran.rc != 0:
        raise RuntimeError(ran.err)


def every_moment(restore: Callable[[], object], *words: object) -> Iterator[None]:
    """Each moment at which the command can be killed, when that has just happened; at last it has run to its end."""
    alive = 0
    killed = True
    while killed:
        restore()
        killed = False
        with dying_after(alive) as tried:
            with suppress(Killed):
                run(*words)
            killed = tried() > alive
        yield
        alive += 1
    assert alive > 3


def upload(stage: Stage, incoming: Path, name: str, signers: Sequence[str]) -> None:
    """The package as its publisher built it, and a bundle."""
    shutil.copyfile(stage.shop.rpm(name), incoming / f"{name}.rpm")
    shutil.copyfile(stage.shop.bundle(name, signers), incoming / f"{name} by {'+'.join(signers)}.msig")


# --- before every step -----------------------------------------------------------------------------------------------


def test_a_merge_that_is_killed_leaves_the_old_bundle_or_the_new_one(stage: Stage) -> None:
    folder = stage.folder / "bundles"
    folder.mkdir()
    first, *others = (stage.shop.bundle("hello-1.0-1", [name]) for name in THREE)
    old, new = client.signatures(first), set().union(*map(client.signatures, (first, *others)))
    out = folder / "out.msig"
    for _ in every_moment(lambda: out.write_bytes(first.read_bytes()), "merge", "-o", out, *others):
        assert client.signatures(out) in (old, new)
        run("merge", "-o", out, *others)
        assert client.signatures(out) == new
        assert os.listdir(folder) == ["out.msig"]


def test_a_publish_that_is_killed_is_finished_by_the_next_one(stage: Stage) -> None:
    """One package is new, and one that is published gains a signature."""
    incoming, repo, base = (stage.folder / name for name in ("incoming", "repo", "base"))
    incoming.mkdir()
    words = ("publish", "--incoming", incoming, "--repo", repo, "--policy", stage.policy)
    upload(stage, incoming, "hello-1.0-1", THREE)
    run(*words)
    repo.rename(base)
    upload(stage, incoming, "hello-1.0-2", THREE)
    shutil.copyfile(stage.shop.bundle("hello-1.0-1", ["simon"]), incoming / "late.msig")
    before = client.signatures(base / f"{HELLO}.msig")

    def restore() -> None:
        shutil.rmtree(repo, ignore_errors=True)
        shutil.copytree(base, repo)

    expected: Dict[str, bytes] = {}
    for _ in every_moment(restore, *words):
        seen = client.packages(repo)
        assert {HELLO} <= set(seen) <= {HELLO, NEW}
        assert before <= seen[HELLO] and all(seen.values())
        run(*words)
        found = client.packages(repo)
        assert set(found) == {HELLO, NEW} and len(found[HELLO]) == 4
        assert not (repo / ASIDE).exists()
        expected = expected or published(repo)
        assert published(repo) == expected


def published(repo: Path) -> Dict[str, bytes]:
    """All of a repository but the metadata, which hold the time at which they were made."""
    files = [path for path in repo.rglob("*") if path.is_file() and path.parent.name != "repodata"]
    return {str(path.relative_to(repo)): path.read_bytes() for path in files}


# --- at random times -------------------------------------------------------------------------------------------------


@contextmanager
def watched(look: Callable[[], object], failure: Path) -> Iterator[None]:
    """Another process looks all the time, as clients do; whatever goes wrong there fails the test."""

    def watch() -> None:
        looks = 0
        while not (failure.parent / "enough").exists():
            try:
                look()
                looks += 1
            except Exception as error:
                failure.write_text(f"{type(error).__name__}: {error}")
                return
            time.sleep(0.002)
        (failure.parent / "looks").write_text(str(looks))

    child = fork(watch)
    try:
        yield
    finally:
        (failure.parent / "enough").touch()
        os.waitpid(child, 0)
    assert not failure.exists(), failure.read_text()
    assert int((failure.parent / "looks").read_text()) > 20


def rounds(work: Mapping[str, Callable[[], object]], check: Callable[[str], None], seed: int) -> int:
    """Kill each piece of work again and again, then let it end; how often it was killed in the middle.

    How long a piece takes depends on the machine and on what else it does. So the longest delay grows with each piece
    that was killed and shrinks with each that was done before: most are killed in the middle, wherever this runs.
    """
    chance = random.Random(seed)
    interrupted = 0
    longest = 0.5
    for number, (name, piece) in enumerate(work.items()):
        for _ in range(KILLS // len(work)):
            killed = killed_at(chance.uniform(0, longest), piece)
            longest *= 1.1 if killed else 0.8
            interrupted += killed
            check(name)
        piece()
        check(f"after {number}")
    return interrupted


def test_merges_killed_200_times_lose_nothing_and_show_nothing_half_written(stage: Stage) -> None:
    folder = stage.folder / "bundles"
    folder.mkdir()
    out = folder / "out.msig"
    packages = ("hello-1.0-1", "hello-1.0-2", "hello-2.0-1", "greet-1.0-1", "world-1.0-1")
    parts = [stage.shop.bundle(name, [who]) for name in packages for who in THREE[:2]]
    run("merge", "-o", out, parts[0])
    there: Set[str] = set()

    def check(_: str) -> None:
        found = client.signatures(out)
        assert found >= there
        there.update(found)

    with watched(lambda: client.signatures(out) or pytest.fail("it is gone"), stage.folder / "failure"):
        work = {str(part): lambda part=part: run("merge", "-o", out, part) for part in parts}
        interrupted = rounds(work, check, seed=1)
    assert interrupted > KILLS // 4
    assert there == set().union(*map(client.signatures, parts))
    assert os.listdir(folder) == ["out.msig"]


def test_merges_at_once_lose_nothing(stage: Stage) -> None:
    out = stage.folder / "out.msig"
    parts = [stage.shop.bundle(name, [who]) for name in ("hello-1.0-1", "hello-1.0-2") for who in THREE]
    children = [fork(lambda part=part: run("merge", "-o", out, part)) for part in parts]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(parts)
    assert client.signatures(out) == set().union(*map(client.signatures, parts))


def test_publishes_killed_200_times_lose_nothing_and_show_nothing_half_written(stage: Stage) -> None:
    incoming, repo = stage.folder / "incoming", stage.folder / "repo"
    incoming.mkdir()
    words = ("publish", "--incoming", incoming, "--repo", repo, "--policy", stage.policy)
    upload(stage, incoming, "hello-1.0-1", THREE)
    run(*words)
    there: Dict[str, Set[str]] = {}

    def uploading(name: str, signers: Sequence[str]) -> Callable[[], None]:
        def work() -> None:
            upload(stage, incoming, name, signers)
            run(*words)

        return work

    def check(_: str) -> None:
        found = client.packages(repo)
        assert set(there) <= set(found)
        for name, signatures in found.items():
            assert there.get(name, set()) <= signatures and len(signatures) >= 3
            there[name] = signatures

    work = {f"{name} {who}": uploading(name, who) for who in (THREE, ["simon"]) for name in PACKAGES}
    with watched(lambda: client.packages(repo), stage.folder / "failure"):
        interrupted = rounds(work, check, seed=2)
    assert interrupted > KILLS // 4
    assert {len(signatures) for signatures in there.values()} == {4} and len(there) == len(PACKAGES)
    assert not (repo / ASIDE).exists()


PACKAGES: List[str] = ["hello-1.0-1", "hello-1.0-2", "hello-2.0-1", "greet-1.0-1", "world-1.0-1"]


def test_publishes_at_once_do_each_others_work_no_harm(stage: Stage) -> None:
    incoming, repo = stage.folder / "incoming", stage.folder / "repo"
    incoming.mkdir()
    for name in PACKAGES:
        upload(stage, incoming, name, THREE)
    words = ("publish", "--incoming", incoming, "--repo", repo, "--policy", stage.policy)
    children = [fork(lambda: run(*words)) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert {len(signatures) for signatures in client.packages(repo).values()} == {3}
    assert len(client.packages(repo)) == len(PACKAGES)
