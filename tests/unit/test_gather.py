# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig gather: the evidence for RPMs, out of folders in which anything may lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import List

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.running import run
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode, parse
from multisig.gathering import MAX_FILES
from multisig.statement import Subject
from tests.unit.cli_bench import call, one_line
from tests.unit.core import attest, digests, statement

NEVRA = "hello-0:1.0-1.noarch"
FILE = "hello-1.0-1.noarch.rpm"
KEPT = "sha256-" + "ab" * 32 + "-" + FILE + ".msig"
HELLO = attest(statement(Subject(NEVRA, digests("h"))), "marek")
OTHER = attest(statement(Subject(NEVRA, digests("h"))), "joanna")
BATCH = attest(statement(Subject(NEVRA, digests("h")), Subject("x-0:1-1.noarch", digests("x"))), "rafal")
WORLD = attest(statement(Subject("world-0:1.0-1.noarch", digests("w"))), "joanna")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    return build(Recipe("hello.spec", (("ver", "1.0"), ("rel", "1"))), BUILDERS["marek"], folder)[0]


@pytest.fixture
def rpm(built: Path, tmp_path: Path) -> Path:
    (tmp_path / "packages").mkdir()
    return Path(shutil.copyfile(built, tmp_path / "packages" / FILE))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache" / "demo-0123" / "multisig").mkdir(parents=True)
    return tmp_path / "cache"


def put(path: Path, *attestations: Attestation) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Bundle(attestations)))
    return path


def gathered(folder: Path) -> List[Attestation]:
    assert [path.name for path in folder.iterdir()] == [f"{FILE}.msig"]
    return list(parse((folder / f"{FILE}.msig").read_bytes()).attestations)


def signatures(attestations: List[Attestation]) -> int:
    return sum(len(item.signatures) for item in attestations)


def test_what_dnf_has_kept_in_bundles_and_indexes_comes_together(rpm: Path, cache: Path, tmp_path: Path) -> None:
    repo = tmp_path / "cache" / "demo-4567"
    repo.mkdir()
    run(["createrepo_c", "--quiet", repo])
    put(repo / "batches" / "b.msig", BATCH, WORLD)
    assert call("index", repo).rc == 0
    shutil.rmtree(repo / "batches")
    put(cache / "demo-0123" / "multisig" / KEPT, HELLO)
    put(cache / f"{FILE}.msig", OTHER, WORLD)
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert (ran.rc, ran.err) == (0, "") and ran.out.endswith("evidence for 1 of 1 packages\n")
    found = gathered(tmp_path / "out")
    assert {item.statement for item in found} == {HELLO.statement, BATCH.statement}
    assert signatures(found) == 3


def test_what_the_package_carries_is_gathered_too(rpm: Path, cache: Path, tmp_path: Path) -> None:
    put(tmp_path / "b.msig", HELLO)
    assert call("embed", "--bundle", tmp_path / "b.msig", rpm).rc == 0
    assert call("gather", "-o", tmp_path / "out", "--from", cache, rpm).rc == 0
    assert gathered(tmp_path / "out") == [HELLO]


def test_a_package_without_evidence_is_named_and_no_error(rpm: Path, cache: Path, tmp_path: Path) -> None:
    put(cache / f"{FILE}.msig", WORLD)
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert ran.rc == 0 and f"no evidence for {NEVRA}" in ran.err and "evidence for 0 of 1" in ran.out
    assert list((tmp_path / "out").iterdir()) == []


def test_links_fifos_and_folders_are_passed_over(rpm: Path, cache: Path, tmp_path: Path) -> None:
    good = put(tmp_path / "elsewhere" / f"{FILE}.msig", HELLO)
    (cache / f"{FILE}.msig").symlink_to(good)
    (cache / "linked").symlink_to(good.parent)
    os.mkfifo(cache / KEPT)
    (cache / "demo-0123" / f"{FILE}.msig").mkdir()
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert ran.rc == 0 and list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"[" * 20_000, b"\xff", b" " * (MAX_BUNDLE + 1), b'{"multisig":"bundle/v2"}'])
def test_junk_is_dropped_by_name_and_takes_nothing_away(rpm: Path, cache: Path, tmp_path: Path, data: bytes) -> None:
    put(cache / f"{FILE}.msig", HELLO)
    (cache / KEPT).write_bytes(data)
    repodata = cache / "demo-0123" / "repodata"
    repodata.mkdir()
    (repodata / "repomd.xml").write_bytes(data)
    (cache / ("ab" * 32 + ".index")).write_bytes(data)
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert ran.rc == 0 and KEPT in ran.err and "dropped" in ran.err
    assert gathered(tmp_path / "out") == [HELLO]


def test_of_more_than_a_bundle_holds_the_shortest_statements_are_kept(rpm: Path, cache: Path, tmp_path: Path) -> None:
    names = [f"package-{number:04}-0:1.0-1.noarch" for number in range(1500)]
    for place in range(4):
        lines = [Subject(name, digests(f"{place} {name}")) for name in (NEVRA, *names)]
        put(cache / str(place) / f"{FILE}.msig", attest(statement(*lines), "rafal"))
    put(cache / "z" / f"{FILE}.msig", HELLO)
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert ran.rc == 0 and "has no room" in ran.err and "left out: 2 statements, 2 signatures" in ran.err
    found = gathered(tmp_path / "out")
    assert HELLO in found and len(found) == 3


def test_bundles_without_number_are_not_all_read(rpm: Path, cache: Path, tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        put(cache / f"{number:03}" / f"{FILE}.msig", HELLO if number < MAX_FILES else OTHER)
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert ran.rc == 0 and f"more than {MAX_FILES} bundles" in ran.err
    assert gathered(tmp_path / "out") == [HELLO]


def test_what_is_no_rpm_cannot_be_gathered_for(rpm: Path, cache: Path, tmp_path: Path) -> None:
    rpm.write_bytes(b"no rpm")
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm)
    assert ran.rc == 2 and FILE in one_line(ran.err)
    missing = call("gather", "-o", tmp_path / "out", "--from", tmp_path / "missing", rpm)
    assert missing.rc == 2 and "missing" in one_line(missing.err)


def test_two_packages_in_files_of_one_name_keep_their_places(rpm: Path, cache: Path, tmp_path: Path) -> None:
    put(cache / f"{FILE}.msig", HELLO)
    newer = tmp_path / "epoch" / FILE
    newer.parent.mkdir()
    recipe = Recipe("hello.spec", (("ver", "1.0"), ("rel", "2")))
    shutil.copyfile(build(recipe, BUILDERS["marek"], tmp_path / "built")[0], newer)
    ran = call("gather", "-o", tmp_path / "out", "--from", cache, rpm, newer)
    assert ran.rc == 2 and "into a folder of its own" in one_line(ran.err), ran.err
    assert not (tmp_path / "out").exists()
    # The same package twice is no trouble.
    shutil.copyfile(rpm, newer)
    assert call("gather", "-o", tmp_path / "out", "--from", cache, rpm, newer).rc == 0
