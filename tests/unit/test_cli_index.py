# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig index: what goes into a repository's metadata, and that nobody ever sees half of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.running import run
from multisig import index, indexing
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode
from multisig.errors import IndexFormatError, UnreadableError
from multisig.files import write_whole
from multisig.metadata import Record, parse_repomd
from multisig.statement import Kind, Subject, make
from multisig.statement import encode as encode_statement
from multisig.unpack import unpacked
from tests.unit.cli_bench import call, one_line
from tests.unit.core import NEVRA, attest, digests, statement

HELLO = attest(statement(), "marek")
WORLD = attest(statement(Subject("world-0:1.0-1.noarch", digests("w"))), "joanna")
BATCH = attest(statement(Subject(NEVRA, digests("b")), Subject("x-0:1-1.noarch", digests("x"))), "rafal", "marek")


class Repo:
    """A repository without packages, made by createrepo_c; bundles are put into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.createrepo()

    def createrepo(self, *options: str) -> None:
        run(["createrepo_c", "--quiet", *options, self.folder])

    def put(self, name: str, *attestations: Attestation) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Bundle(attestations)))
        return path

    @property
    def repomd(self) -> Path:
        return self.folder / "repodata" / "repomd.xml"

    def record(self) -> Optional[Record]:
        found = {record.kind: record for record in parse_repomd(self.repomd.read_bytes())}
        return found.get("multisig")

    def indexed(self) -> List[Attestation]:
        """What a client reads, the checksum in repomd.xml held against the file."""
        record = self.record()
        assert record is not None
        path = self.folder / record.location
        assert hashlib.sha256(path.read_bytes()).digest() == record.checksum.value
        data = b"".join(unpacked(str(path)))
        # createrepo_c before 1.0 keeps the file, warns that it does not know zstd, and drops this checksum.
        assert record.opened is None or hashlib.sha256(data).digest() == record.opened.value
        return list(index.attestations([data], pytest.fail))

    def indexes(self) -> List[str]:
        return sorted(path.name for path in self.repomd.parent.glob("*multisig*"))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    (tmp_path / "repo").mkdir()
    return Repo(tmp_path / "repo")


def test_every_bundle_of_the_repository_is_in_the_index(repo: Repo) -> None:
    repo.put("a.rpm.msig", HELLO)
    repo.put("Packages/w/w.rpm.msig", WORLD)
    repo.put("batches/all.msig", BATCH)
    ran = call("index", repo.folder)
    assert (ran.rc, ran.err) == (0, "")
    assert ran.out.startswith("indexed 3 statements of 3 bundles in ")
    assert repo.indexed() == [HELLO, WORLD, BATCH]


def test_a_statement_in_many_bundles_is_in_the_index_once(repo: Repo) -> None:
    for number in range(9):
        repo.put(f"{number}.rpm.msig", BATCH)
    repo.put(
        "z.rpm.msig", Attestation(BATCH.statement, (*attest(BATCH.statement, "simon").signatures, *BATCH.signatures))
    )
    assert call("index", repo.folder).rc == 0
    (found,) = repo.indexed()
    assert found.statement == BATCH.statement
    assert found.signatures == (*BATCH.signatures, *attest(BATCH.statement, "simon").signatures)


def test_all_other_metadata_stay_as_they_were(repo: Repo) -> None:
    before = parse_repomd(repo.repomd.read_bytes())
    files = {path.name: path.read_bytes() for path in repo.repomd.parent.iterdir() if path != repo.repomd}
    call("index", repo.folder)
    after = [record for record in parse_repomd(repo.repomd.read_bytes()) if record.kind != "multisig"]
    assert after == list(before)
    assert {name: (repo.repomd.parent / name).read_bytes() for name in files} == files


def test_a_second_run_changes_nothing(repo: Repo) -> None:
    repo.put("a.rpm.msig", HELLO)
    call("index", repo.folder)
    before = repo.repomd.read_bytes(), os.stat(repo.repomd).st_mtime_ns, repo.indexes()
    ran = call("index", repo.folder)
    assert ran.rc == 0
    assert ran.out.startswith("the index is up to date: 1 statement of 1 bundle in ")
    assert before == (repo.repomd.read_bytes(), os.stat(repo.repomd).st_mtime_ns, repo.indexes())


def test_who_has_just_read_the_old_repomd_still_finds_its_index(repo: Repo) -> None:
    """And what no one can have read any more goes."""
    names: List[str] = []
    for item in (HELLO, WORLD, BATCH):
        repo.put(f"{len(names)}.msig", item)
        call("index", repo.folder)
        record = repo.record()
        assert record is not None
        names.append(os.path.basename(record.location))
        assert repo.indexes() == sorted(names[-2:])


def test_createrepo_keeps_the_index_where_it_is_told_to(repo: Repo, tmp_path: Path) -> None:
    shutil.copy(build(Recipe("hello.spec"), BUILDERS["marek"], tmp_path)[0], repo.folder)
    repo.createrepo()
    repo.put("a.rpm.msig", HELLO)
    ran = call("index", repo.folder)
    assert "--update --keep-all-metadata" in ran.out
    repo.createrepo("--update", "--keep-all-metadata")
    assert repo.indexed() == [HELLO]
    repo.createrepo()
    assert repo.record() is None
    assert call("index", repo.folder).rc == 0
    assert repo.indexed() == [HELLO]


def test_modifyrepo_and_mergerepo_take_the_metadata_with_the_index(repo: Repo, tmp_path: Path) -> None:
    repo.put("a.rpm.msig", HELLO)
    call("index", repo.folder)
    (tmp_path / "groups.xml").write_text("<comps/>")
    run(["modifyrepo_c", "--mdtype", "group", tmp_path / "groups.xml", repo.repomd.parent])
    assert repo.indexed() == [HELLO]
    run(["modifyrepo_c", "--remove", "multisig", repo.repomd.parent])
    assert repo.record() is None


# --- what is no good -------------------------------------------------------------------------------------------------


def test_a_malformed_bundle_is_named_and_left_out(repo: Repo) -> None:
    repo.put("a.rpm.msig", HELLO)
    (repo.folder / "b.rpm.msig").write_bytes(b"[" * 20_000)
    (repo.folder / "c.rpm.msig").write_bytes(b"")
    repo.put("d.msig", Attestation("no statement", HELLO.signatures), Attestation(WORLD.statement, ("no signature",)))
    ran = call("index", repo.folder)
    assert ran.rc == 0
    assert repo.indexed() == [HELLO]
    for name in ("b.rpm.msig", "c.rpm.msig", "d.msig: attestation 1", "d.msig: attestation 2, signature 1"):
        assert f"multisig: {name}: dropped: " in ran.err


def test_a_bundle_beside_a_package_is_bounded_and_a_batch_may_be_large(repo: Repo) -> None:
    lists = [[Subject(f"p{n}-0:{m}-1.noarch", digests(str(n))) for n in range(1000, 2999)] for m in range(3)]
    many = [attest(statement(*subjects), "marek") for subjects in lists]
    text = b'{"multisig":"bundle/v1","attestations":[' + b",".join(index.line(item) for item in many) + b"]}"
    assert len(text) > MAX_BUNDLE
    (repo.folder / "a.rpm").write_bytes(b"")
    for name in ("a.rpm.msig", "batch.msig"):
        (repo.folder / name).write_bytes(text)
    ran = call("index", repo.folder)
    assert ran.rc == 0
    assert "a.rpm.msig: dropped: the bundle is too large" in ran.err
    assert repo.indexed() == many


def test_only_statements_on_packages_are_indexed(repo: Repo) -> None:
    repo.put("a.iso.msig", attest(statement(Subject("a.iso", digests()), kind=Kind.FILE), "marek"))
    repo.put("b.msig", HELLO)
    assert call("index", repo.folder).rc == 0
    assert repo.indexed() == [HELLO]


def test_metadata_and_hidden_files_are_not_bundles_of_the_repository(repo: Repo) -> None:
    for name in (".multisig/a.msig", ".b.rpm.msig", "repodata/c.msig"):
        repo.put(name, HELLO)
    ran = call("index", repo.folder)
    assert ran.out.startswith("indexed 0 statements of 0 bundles")
    assert repo.indexed() == []


@pytest.mark.parametrize("name", ["a.rpm.msig", "sub"])
def test_what_cannot_be_read_is_an_error_and_nothing_is_written(repo: Repo, name: str) -> None:
    before = repo.repomd.read_bytes()
    if name == "sub":
        os.mkfifo(repo.folder / "fifo.msig")
    else:
        (repo.folder / name).symlink_to("nowhere")
    ran = call("index", repo.folder)
    assert ran.rc == 2
    one_line(ran.err, repo.folder)
    assert repo.repomd.read_bytes() == before


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    ran = call("index", tmp_path)
    assert ran.rc == 2
    assert "createrepo_c" in one_line(ran.err, tmp_path)
    ran = call("index", tmp_path / "nothing")
    assert ran.rc == 2
    one_line(ran.err, tmp_path)


BROKEN: Dict[str, bytes] = {
    "empty": b"",
    "text": b"nonsense",
    "entities": b'<!DOCTYPE x [<!ENTITY a "b">]><repomd xmlns="http://linux.duke.edu/metadata/repo">&a;</repomd>',
    "another root": b"<repo/>",
    "cut off": b'<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_repomd_is_left_alone(repo: Repo, data: bytes) -> None:
    repo.repomd.write_bytes(data)
    ran = call("index", repo.folder)
    assert ran.rc == 2
    one_line(ran.err, repo.folder)
    assert repo.repomd.read_bytes() == data


def test_too_much_evidence_is_an_error_that_changes_nothing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_INDEX", 500)
    repo.put("a.rpm.msig", HELLO)
    before = repo.repomd.read_bytes()
    ran = call("index", repo.folder)
    assert ran.rc == 2
    assert "too much evidence" in one_line(ran.err, repo.folder)
    assert repo.repomd.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_index_is_written_anew(repo: Repo, damage: Optional[bytes]) -> None:
    repo.put("a.rpm.msig", HELLO)
    call("index", repo.folder)
    record = repo.record()
    assert record is not None
    path = repo.folder / record.location
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert call("index", repo.folder).rc == 0
    assert repo.indexed() == [HELLO]


# --- signatures of repomd.xml ----------------------------------------------------------------------------------------


def release(repo: Repo) -> Attestation:
    data = repo.repomd.read_bytes()
    found = Subject("repomd.xml", type(digests())(hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()))
    made = make(Kind.RELEASE, "demo-stable", [found], serial=1, issued=1, expires=2)
    return attest(encode_statement(made), "marek")


def test_a_repomd_that_is_signed_already_is_not_changed(repo: Repo) -> None:
    repo.put("a.rpm.msig", HELLO)
    before = repo.repomd.read_bytes()
    for name in ("repomd.xml.msig", "repomd.xml.asc"):
        path = repo.repomd.with_name(name)
        path.write_bytes(encode(Bundle((release(repo),))))
        ran = call("index", repo.folder)
        assert ran.rc == 2
        assert "sign repomd.xml again" in one_line(ran.err, path)
        assert repo.repomd.read_bytes() == before
        path.unlink()


def test_a_signature_of_an_older_repomd_is_named_and_stops_nothing(repo: Repo) -> None:
    repo.put("a.rpm.msig", HELLO)
    msig, asc = (repo.repomd.with_name(f"repomd.xml.{suffix}") for suffix in ("msig", "asc"))
    msig.write_bytes(encode(Bundle((release(repo),))))
    asc.write_text("x")
    os.utime(asc, (1, 1))
    repo.createrepo("--update", "--revision", "7")
    for path in (msig, asc):
        if not path.exists():  # createrepo_c's versions differ in what they keep
            path.write_bytes(encode(Bundle(())))
            os.utime(path, (1, 1))
    ran = call("index", repo.folder)
    assert ran.rc == 0
    assert repo.indexed() == [HELLO]
    assert ran.err.count("is not over this repomd.xml; sign it again") == 2


def test_an_index_that_is_up_to_date_leaves_the_signatures_alone(repo: Repo) -> None:
    repo.put("a.rpm.msig", HELLO)
    call("index", repo.folder)
    repo.repomd.with_name("repomd.xml.msig").write_bytes(encode(Bundle((release(repo),))))
    ran = call("index", repo.folder)
    assert (ran.rc, ran.err) == (0, "")


# --- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2])
def test_whatever_step_fails_clients_find_what_repomd_names(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    repo.put("a.rpm.msig", HELLO)
    call("index", repo.folder)
    repo.put("b.rpm.msig", WORLD)
    written: List[str] = []

    def fails(path: str, data: bytes) -> None:
        written.append(path)
        if len(written) == failing:
            raise UnreadableError("cannot be written: No space left on device", path=path)
        write_whole(path, data)

    monkeypatch.setattr(indexing, "write_whole", fails)
    assert call("index", repo.folder).rc == 2
    assert repo.indexed() == [HELLO]
    monkeypatch.undo()
    assert call("index", repo.folder).rc == 0
    assert repo.indexed() == [HELLO, WORLD]


def test_several_at_once(repo: Repo) -> None:
    for number in range(5):
        repo.put(f"{number}.msig", attest(statement(Subject(NEVRA, digests(str(number)))), "marek"))
    command = ["/usr/bin/python3", "-B", "-m", "multisig", "index", str(repo.folder)]
    environment = {"PYTHONPATH": str(Path(index.__file__).parents[1]), "PATH": "/usr/bin:/bin"}

    def once(_: int) -> int:
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(once, range(8))) == [0] * 8
    assert len(repo.indexed()) == 5
    assert len(repo.indexes()) == 1


def test_the_codec_refuses_what_the_command_would_not_write() -> None:
    with pytest.raises(IndexFormatError):
        list(index.encode([Attestation(HELLO.statement, ("x" * index.MAX_LINE,))]))
