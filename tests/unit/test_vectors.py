# SPDX-License-Identifier: GPL-2.0-or-later
"""The conformance vectors of the profile rpm/v1 (fixtures/vectors/README.md): this implementation passes them all."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
import rpm

from fixtures.rpmedit import INT32, STRING_ARRAY, Entry, Header, Rpm
from fixtures.vectors.base import ACCEPTED, MALFORMED, MISMATCH, WEAK, Vector
from fixtures.vectors.everything import INDEX, all_vectors, committed_index
from fixtures.vectors.indexing import index, judge
from multisig.errors import MalformedRpmError
from multisig.subjects.rpm import read_installed, read_rpm
from multisig.subjects.tags import TAGS, Klass

ROOT = Path(__file__).resolve().parents[2]
COMMITTED: Dict[str, Dict[str, Any]] = {entry["name"]: entry for entry in committed_index()}
GOOD = [name for name, entry in COMMITTED.items() if "manifest" in entry]
BLAMED = [name for name, entry in COMMITTED.items() if "tag" in entry]


@lru_cache(maxsize=1)
def _made() -> Dict[str, Vector]:
    return {vector.name: vector for vector in all_vectors()}


@pytest.mark.parametrize("name", COMMITTED)
def test_the_vector_has_the_bytes_and_the_judgement_of_the_index(name: str) -> None:
    vector, entry = _made()[name], COMMITTED[name]
    assert entry["file"] == {"size": len(vector.blob), "sha256": hashlib.sha256(vector.blob).hexdigest()}
    judgement = judge(vector.blob)
    assert judgement.klass == entry["class"], judgement.error
    if judgement.subject is None:
        assert "manifest" not in entry and "subject" not in entry
    else:
        assert entry["manifest"] == {"sha256": judgement.subject.sha256, "sha512": judgement.subject.sha512}
        assert entry["subject"] == judgement.subject.name
        assert entry.get("file-signatures", False) == judgement.subject.file_signatures
    assert entry.get("payload-sha256") == judgement.payload_sha256


@pytest.mark.parametrize("name", BLAMED)
def test_the_tag_at_fault_is_named_and_no_other(name: str) -> None:
    tag = COMMITTED[name]["tag"]
    blob = _made()[name].blob
    # Where librpm refuses the header before anything else is looked at, it names none.
    error = judge(blob).error
    assert error is not None and error.tag in (None, tag)
    with pytest.raises(MalformedRpmError) as caught:
        read_installed({rpm.RPMTAG_HEADERIMMUTABLE: _region(blob)})
    assert caught.value.tag == tag
    assert caught.value.code == COMMITTED[name]["class"]


@pytest.mark.parametrize("name", GOOD)
def test_the_manifest_is_the_one_that_the_specification_describes(name: str) -> None:
    manifest = _manifest_by_the_book(Rpm.parse(_made()[name].blob).header)
    digests = {"sha256": hashlib.sha256(manifest).hexdigest(), "sha512": hashlib.sha512(manifest).hexdigest()}
    assert digests == COMMITTED[name]["manifest"]


def test_the_index_is_complete_and_as_this_implementation_would_write_it() -> None:
    assert list(COMMITTED) == list(_made())
    assert INDEX.read_text(encoding="ascii") == index(_made().values()), "run: python3 -m fixtures.vectors --index"


def test_same_and_other_manifests_are_so_by_the_index_itself() -> None:
    compared = 0
    for entry in COMMITTED.values():
        for key, equal in (("same-manifest-as", True), ("other-manifest-than", False)):
            if key in entry:
                assert (entry["manifest"] == COMMITTED[entry[key]]["manifest"]) is equal, entry["name"]
                compared += 1
    assert compared > 100


def test_there_are_vectors_of_every_class_and_no_two_are_the_same_file() -> None:
    classes = [entry["class"] for entry in COMMITTED.values()]
    assert set(classes) == {ACCEPTED, MALFORMED, WEAK, MISMATCH}
    assert len(classes) >= 120
    assert min(classes.count(klass) for klass in set(classes)) >= 10
    assert len({entry["file"]["sha256"] for entry in COMMITTED.values()}) == len(COMMITTED)


def test_the_files_are_the_same_in_another_time_zone_and_made_without_rpm(tmp_path: Path) -> None:
    # A module called rpm that cannot be imported stands before the system's.
    (tmp_path / "rpm.py").write_text("raise ImportError('the vectors must not need rpm')\n")
    environment = {"TZ": "Asia/Kathmandu", "LANG": "C", "PYTHONHASHSEED": "4711", "HOME": "/nonexistent"}
    environment.update({"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "PYTHONDONTWRITEBYTECODE": "1"})
    command = [sys.executable, "-m", "fixtures.vectors", str(tmp_path / "out")]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, timeout=60)
    found = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "out").glob("*.rpm")}
    assert found == {name: entry["file"]["sha256"] for name, entry in COMMITTED.items()}
    assert (tmp_path / "out" / "index.json").read_bytes() == INDEX.read_bytes()


def test_all_bombs_together_take_a_few_seconds_and_little_memory() -> None:
    bombs = [vector.blob for name, vector in _made().items() if COMMITTED[name]["family"] == "payload-bombs"]
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert {judge(blob).klass for blob in bombs} == {MISMATCH}
    assert time.process_time() - begin < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_rpm_itself_finds_every_digest_of_the_base_package_right(tmp_path: Path) -> None:
    path = tmp_path / "base.rpm"
    path.write_bytes(_made()["base"].blob)
    result = subprocess.run(["rpm", "-Kv", path], stdout=subprocess.PIPE, check=True, timeout=60)
    assert result.stdout.count(b": OK") >= 3 and b"BAD" not in result.stdout


def test_a_vector_is_read_the_same_whatever_the_position_of_the_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "base.rpm"
    path.write_bytes(_made()["base"].blob)
    with path.open("rb") as file:
        file.seek(1000)
        assert read_rpm(file.fileno()).sha256 == COMMITTED["base"]["manifest"]["sha256"]


def _region(blob: bytes) -> bytes:
    """The header's bytes that follow its magic, as docs/rpm-v1.md, "Framing", finds them."""

    def lengths(at: int) -> Tuple[int, int]:
        return int.from_bytes(blob[at + 8 : at + 12], "big"), int.from_bytes(blob[at + 12 : at + 16], "big")

    count, size = lengths(96)
    start = 96 + 16 + 16 * count + size
    start += -start % 8
    count, size = lengths(start)
    return blob[start + 8 : start + 16 + 16 * count + size]


# --- docs/rpm-v1.md, "Encoding", once more -------------------------------------------------------------------------


def _manifest_by_the_book(header: Header) -> bytes:
    """The manifest as one would write it who has only read the specification."""
    entries = {entry.tag: entry for entry in header.entries}
    records = {tag: entry for tag, entry in entries.items() if TAGS[tag].klass is Klass.SIGNED}
    modes = [int(mode) for mode in _values(entries, 1030)]
    for tag in (1028, 5008):
        if tag in entries:
            pairs = zip(modes, entries[tag].values)
            records[tag] = Entry.of(tag, entries[tag].type, [0 if stat.S_ISDIR(mode) else size for mode, size in pairs])
    groups = _first_links(entries, modes)
    if groups is not None:
        records[1096] = Entry.of(1096, INT32, groups)
    requirements = [
        triple
        for triple in zip(*(_values(entries, tag) for tag in (1049, 1050, 1048)))
        if not bytes(triple[0]).startswith(b"rpmlib(PayloadIs")
    ]
    if requirements:
        for place, (tag, kind) in enumerate(((1049, STRING_ARRAY), (1050, STRING_ARRAY), (1048, INT32))):
            records[tag] = Entry.of(tag, kind, [triple[place] for triple in requirements])
    manifest = b"multisig manifest rpm/v1\n"
    for tag, entry in sorted(records.items()):
        manifest += f"{tag} {entry.type} {entry.count} {len(entry.data)}:".encode() + entry.data + b"\n"
    return manifest


def _values(entries: Dict[int, Entry], tag: int) -> List[Any]:
    return list(entries[tag].values) if tag in entries else []


def _first_links(entries: Dict[int, Entry], modes: List[int]) -> Optional[List[int]]:
    """For each file the first of its hard-link group; None where there is no group."""
    inodes, devices, flags = (_values(entries, tag) for tag in (1096, 1095, 1037))
    keys = [
        (device, inode) if stat.S_ISREG(mode) and not flag & 64 and inode else ("alone", place)
        for place, (mode, flag, inode, device) in enumerate(zip(modes, flags, inodes, devices))
    ]
    firsts = [keys.index(key) for key in keys]
    return firsts if len(set(keys)) < len(keys) else None
