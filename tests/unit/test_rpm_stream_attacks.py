# SPDX-License-Identifier: GPL-2.0-or-later
"""What an attacker may do around a payload's archive and its compressed stream: it does not pass.

Payload digests and sizes in both headers are made to fit, so that only the content tells.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.cpio import Member, write_cpio
from fixtures.rpmedit import COMPRESSORS, INT64, Rpm
from fixtures.rpmjudge import digest, edited, having, judged, proven
from multisig.errors import MalformedRpmError, PayloadMismatchError
from multisig.subjects import payload
from multisig.subjects.decompress import decompressed
from multisig.subjects.rpm import read_rpm
from tests.unit.rpm_samples import (
    NAMED_COMPRESSORS,
    built,
    recompressed,
    refused_payload,
    refused_payload_as_it_is,
    with_members,
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> List[Rpm]:
    return built(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def everything(packages: List[Rpm]) -> Rpm:
    return packages[0]


@pytest.fixture(scope="module")
def empty(packages: List[Rpm]) -> Rpm:
    """A package without files."""
    return packages[1]


@pytest.fixture(scope="module")
def by_compressor(everything: Rpm) -> Dict[str, Rpm]:
    """The same package with each compressor."""
    return {name: recompressed(everything, name) for name in NAMED_COMPRESSORS}


@pytest.mark.parametrize("look", [payload.hash_payload, payload.prove_payload])
def test_a_payload_longer_than_its_files_could_make_it_is_not_read(
    everything: Rpm, tmp_path: Path, look: Callable[..., object]
) -> None:
    """A hole of a tebibyte costs nothing to make, and hours to read; so do streams of empty blocks."""
    path = everything.write(tmp_path / "endless.rpm")
    os.truncate(path, 1 << 40)
    with path.open("rb") as file:
        subject = read_rpm(file.fileno())
        with pytest.raises(PayloadMismatchError, match="longer than its files could make it"):
            look(file.fileno(), subject)


# --- what follows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trailing", [b"x", b"\0", b"\0" * 4, b"evil" * 1000, b"\0" * 512, Member(b"./evil", b"x").pack()]
)
@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_bytes_after_the_archive_are_refused(by_compressor: Dict[str, Rpm], compressor: str, trailing: bytes) -> None:
    package = edited(by_compressor[compressor])
    refused_payload(with_members(package, package.members, trailing))


@pytest.mark.parametrize("trailing", [b"x", b"\0", b"\0" * 4, b"evil" * 1000, b"\0" * 512, b"\x1f\x8b\x08"])
@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_bytes_after_the_compressed_stream_are_refused(
    by_compressor: Dict[str, Rpm], compressor: str, trailing: bytes
) -> None:
    package = edited(by_compressor[compressor])
    package.payload += trailing
    refused_payload_as_it_is(package)


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_a_second_compressed_stream_is_refused(by_compressor: Dict[str, Rpm], compressor: str) -> None:
    package = edited(by_compressor[compressor])
    for second in (write_cpio([Member(b"./etc/evil", b"evil")]), b"", b"x"):
        copy = edited(package)
        copy.payload += COMPRESSORS[compressor][1](second)
        refused_payload_as_it_is(copy)


def test_a_second_stream_in_a_package_without_files_is_refused(empty: Rpm) -> None:
    """File digests alone do not bind the payload of a package without files."""
    for extra in (b"\0" * 4000, COMPRESSORS["gzip"][1](b"evil"), b"x"):
        copy = edited(empty)
        copy.payload += extra
        refused_payload_as_it_is(copy)
    refused_payload(with_members(empty, [], b"\0" * 4000))


@pytest.mark.parametrize("frame", [b"\x50\x2a\x4d\x18\x04\0\0\0evil", b"\x5f\x2a\x4d\x18\0\0\0\0"])
def test_a_skippable_zstd_frame_is_refused(everything: Rpm, frame: bytes) -> None:
    package = recompressed(everything, "zstd")
    for framed in (package.payload + frame, frame + package.payload):
        refused_payload_as_it_is(edited(package, having(payload=framed)))


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_a_truncated_payload_is_refused(by_compressor: Dict[str, Rpm], compressor: str) -> None:
    package = edited(by_compressor[compressor])
    for size in {0, 1, 5, 20, len(package.payload) // 2, len(package.payload) - 5, len(package.payload) - 1}:
        refused_payload_as_it_is(edited(package, having(payload=package.payload[:size])))


def test_an_archive_without_its_end_is_refused(everything: Rpm, empty: Rpm) -> None:
    refused_payload(with_members(everything, everything.members, end=False))
    refused_payload(with_members(empty, [], end=False))


def test_an_archive_that_ends_before_its_last_member_is_refused(everything: Rpm) -> None:
    refused_payload(edited(everything, lambda copy: copy.set_archive(write_cpio([]) + copy.archive)))


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
@pytest.mark.parametrize("actual", NAMED_COMPRESSORS)
def test_a_compressor_that_the_header_does_not_name_is_refused(everything: Rpm, compressor: str, actual: str) -> None:
    if compressor == actual:
        return
    package = recompressed(everything, compressor)
    package.payload = COMPRESSORS[actual][1](everything.archive)
    refused_payload_as_it_is(package)


def test_an_uncompressed_payload_under_a_compressors_name_is_refused(everything: Rpm) -> None:
    refused_payload_as_it_is(edited(everything, having(payload=everything.archive)))


# --- bombs -----------------------------------------------------------------------------------------------------------

BOMB = 1 << 25
BOMBS: Dict[str, Callable[[Rpm], bytes]] = {
    "after the archive": lambda package: write_cpio(package.members, bytes(BOMB)),
    "as a file's content": lambda package: write_cpio([package.members[0].but(data=bytes(BOMB)), *package.members[1:]]),
    "as an added member": lambda package: write_cpio([Member(b"./evil", bytes(BOMB)), *package.members]),
    "as a name": lambda package: write_cpio([Member(b"./" + b"a" * BOMB), *package.members]),
    "as zeros instead of an archive": lambda package: bytes(BOMB),
}


@pytest.mark.parametrize("what", sorted(BOMBS))
@pytest.mark.parametrize("compressor", ["gzip", "zstd"])
def test_compression_bombs_end_at_the_signed_sizes(
    everything: Rpm, monkeypatch: pytest.MonkeyPatch, compressor: str, what: str
) -> None:
    package = edited(everything, lambda copy: copy.set_archive(BOMBS[what](copy), compressor))
    assert len(package.payload) < BOMB >> 6
    taken = 0

    def counted(fd: int, offset: int, name: Optional[bytes], **options: Any) -> Iterator[bytes]:
        nonlocal taken
        for chunk in decompressed(fd, offset, name, **options):
            taken += len(chunk)
            yield chunk

    monkeypatch.setattr(payload, "decompressed", counted)
    refused_payload_as_it_is(package)
    assert 0 < taken < len(everything.archive) + (1 << 20)


def test_a_size_of_the_header_that_the_payload_does_not_have_costs_nothing(everything: Rpm) -> None:
    """A signed file of 2 to the 40 bytes that is not there: refused at once, without memory for it."""

    def enlarge(copy: Rpm) -> None:
        sizes = [int(size) for size in copy.values(1028)]
        sizes[copy.values(1117).index(b"one")] = 1 << 40
        copy.remove(1028)
        copy.add(5008, INT64, sizes)

    refused_payload_as_it_is(edited(everything, enlarge))


# --- any byte ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_a_flipped_byte_of_the_payload_never_gives_other_content(
    by_compressor: Dict[str, Rpm], everything: Rpm, compressor: str, place: float, flip: int
) -> None:
    """Refused, or a byte that carries no content: it decompresses to the same archive, up to what rpm does not use."""
    package = edited(by_compressor[compressor])
    position = int(place * len(package.payload))
    package.payload = (
        package.payload[:position] + bytes([package.payload[position] ^ flip]) + package.payload[position + 1 :]
    )
    try:
        subject = proven(package)
    except MalformedRpmError:
        return
    assert subject.sha256 == judged(everything).sha256
    assert [(m.name, m.data) for m in package.members] == [(m.name, m.data) for m in everything.members]


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_of_the_archive_never_gives_other_content(everything: Rpm, place: float, flip: int) -> None:
    archive = everything.archive
    position = int(place * len(archive))
    broken = archive[:position] + bytes([archive[position] ^ flip]) + archive[position + 1 :]
    package = edited(everything, lambda copy: copy.set_archive(broken))
    try:
        proven(package)
    except MalformedRpmError:
        return
    assert [(m.name, m.data) for m in package.members] == [(m.name, m.data) for m in everything.members]


def test_the_archives_own_modes_owners_and_times_are_not_what_rpm_installs(everything: Rpm) -> None:
    """rpm takes them from the header, so a builder's differences there do not matter, and the digest is the same."""
    members = [member.but(mtime=1, uid=7, gid=7, ino=member.ino + 100) for member in everything.members]
    other = with_members(everything, members)
    assert digest(other) == digest(everything)
    assert proven(other).manifest
