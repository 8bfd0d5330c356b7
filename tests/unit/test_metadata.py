# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository's metadata: what binds the packages is read strictly, and what cannot bind anything is refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest

from multisig.errors import MetadataError, UnreadableError, WeakMetadataError
from multisig.metadata import (
    MAX_REPOMD,
    Listed,
    Metadata,
    check_file,
    listed_packages,
    packages_of,
    parse_repomd,
    read_metadata,
)

HEX = hashlib.sha256(b"x").hexdigest()
NAMESPACE = 'xmlns="http://linux.duke.edu/metadata/repo"'


def record(
    kind: str = "primary",
    href: str = "repodata/primary.xml",
    checksum: str = f'<checksum type="sha256">{HEX}</checksum>',
    more: str = "",
) -> str:
    return f'<data type="{kind}">{checksum}<location href="{href}"/><size>1</size>{more}</data>'


def repomd(*records: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<repomd {NAMESPACE}>{"".join(records)}</repomd>\n'.encode()


def entry(
    checksum: str = f'<checksum type="sha256" pkgid="YES">{HEX}</checksum>',
    location: str = '<location href="a.rpm"/>',
    more: str = "",
) -> str:
    return f'<package type="rpm"><name>a</name>{checksum}{location}{more}</package>\n'


def primary(*entries: str) -> bytes:
    return f'<?xml version="1.0"?>\n<metadata packages="{len(entries)}">\n{"".join(entries)}</metadata>\n'.encode()


def listed(data: bytes, size: int = 1 << 18) -> List[Listed]:
    return list(listed_packages(data[start : start + size] for start in range(0, len(data), size)))


# --- repomd.xml ------------------------------------------------------------------------------------------------------


def test_a_record_has_its_type_location_and_checksums() -> None:
    opened = f'<open-checksum type="sha512">{"0a" * 64}</open-checksum>'
    (found,) = parse_repomd(repomd(record(more=opened)))
    assert (found.kind, found.location) == ("primary", "repodata/primary.xml")
    assert (found.checksum.algorithm, found.checksum.value.hex()) == ("sha256", HEX)
    assert found.opened is not None
    assert found.opened.value == b"\x0a" * 64


def test_an_encoding_that_nobody_knows_changes_nothing() -> None:
    data = repomd(record())
    for encoding in (b"UTF-9", b"latin-1", b"UTF-16"):
        for start in (b"", b"\xef\xbb\xbf"):
            assert parse_repomd(start + data.replace(b"UTF-8", encoding)) == parse_repomd(data)


def test_a_repomd_xml_without_records_binds_nothing_and_is_none_the_worse() -> None:
    assert parse_repomd(repomd()) == ()


REPOMDS: Dict[str, bytes] = {
    "nothing": b"",
    "text": b"it works!",
    "cut off": repomd(record())[:-4],
    "another root": repomd(record()).replace(b"repomd", b"metadata"),
    "a DOCTYPE": b'<!DOCTYPE repomd [<!ENTITY a "aaaa">]>' + repomd(record()),
    "not UTF-8": repomd(record("\xe9")).decode().encode("latin-1"),
    "another encoding": "\ufeff<?xml version='1.0' encoding='UTF-9'?>".encode("utf-16") + repomd(),
    "too large": repomd() + b" " * MAX_REPOMD,
    "no type": repomd(record("")),
    "no location": repomd(record().replace('<location href="repodata/primary.xml"/>', "")),
    "two locations": repomd(record(more='<location href="b"/>')),
    "an empty location": repomd(record(href="")),
    "a location elsewhere": repomd(record().replace("<location ", '<location xml:base="http://evil/" ')),
    "no checksum": repomd(record(checksum="")),
    "two checksums": repomd(record(more=f'<checksum type="sha256">{HEX}</checksum>')),
    "a short checksum": repomd(record(checksum=f'<checksum type="sha256">{HEX[:-2]}</checksum>')),
    "a checksum of another type's length": repomd(record(checksum=f'<checksum type="sha512">{HEX}</checksum>')),
    "a checksum of other digits": repomd(record(checksum=f'<checksum type="sha256">{"g" * 64}</checksum>')),
    "the same type twice": repomd(record(), record(href="repodata/other.xml")),
    "nested without an end": b"<repomd>" + b"<a>" * (MAX_REPOMD // 3 - 8),
    "a checksum of millions of lines": repomd(
        record(checksum='<checksum type="sha256">' + "\n" * (3 << 20) + "</checksum>")
    ),
    "300 records": repomd(*(record(f"kind{number}") for number in range(300))),
}


@pytest.mark.parametrize("data", REPOMDS.values(), ids=REPOMDS.keys())
def test_a_repomd_xml_that_can_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(MetadataError):
        parse_repomd(data)


@pytest.mark.parametrize("what", ["nested without an end", "a checksum of millions of lines"])
def test_no_repomd_xml_takes_a_place_of_bundles_for_ever(what: str) -> None:
    """4 MiB of either took hours and minutes, and nobody has to have signed them."""
    started = time.process_time()
    with pytest.raises(MetadataError, match="too deep|too long"):
        parse_repomd(REPOMDS[what])
    assert time.process_time() - started < 2


@pytest.mark.parametrize("href", ["/etc/shadow", "../a", "repodata/../../a", "a/..", "a\\..\\b", "..", "a&#0;b"])
def test_a_file_outside_of_the_repository_is_refused(href: str) -> None:
    with pytest.raises(MetadataError):
        parse_repomd(repomd(record(href=href)))
    with pytest.raises(MetadataError):
        listed(primary(entry(location=f'<location href="{href.replace("&#0;", chr(0))}"/>')))


@pytest.mark.parametrize("algorithm", ["md5", "sha", "sha1", "crc32", "", "SHA256"])
def test_a_checksum_that_binds_nothing_is_refused(algorithm: str) -> None:
    value = hashlib.sha1(b"x", usedforsecurity=False).hexdigest()
    with pytest.raises(WeakMetadataError):
        parse_repomd(repomd(record(checksum=f'<checksum type="{algorithm}">{value}</checksum>')))
    with pytest.raises(WeakMetadataError):
        listed(primary(entry(f'<checksum type="{algorithm}" pkgid="YES">{value}</checksum>')))


# --- primary.xml -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 18])
def test_packages_are_found_however_the_bytes_arrive(size: int) -> None:
    others = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(20)]
    data = primary(
        *(
            entry(f'<checksum type="sha256" pkgid="YES">{value}</checksum>', f'<location href="p/{value}.rpm"/>')
            for value in others
        )
    )
    found = listed(data, size)
    assert [item.checksum.value.hex() for item in found] == others
    assert [item.location for item in found] == [f"p/{value}.rpm" for value in others]


def test_attributes_may_come_in_any_order_and_quotes() -> None:
    (found,) = listed(
        primary(
            entry(f"<checksum pkgid='YES'  type='sha256'>{HEX.upper()}</checksum>", "<location  href='a b&amp;c.rpm'/>")
        )
    )
    assert (found.checksum.value.hex(), found.location) == (HEX, "a b&c.rpm")


def test_a_package_elsewhere_is_bound_by_its_checksum_and_lies_nowhere_here() -> None:
    (found,) = listed(primary(entry(location='<location xml:base="http://example.org/" href="a.rpm"/>')))
    assert (found.checksum.value.hex(), found.location) == (HEX, None)


def test_no_packages_are_no_error() -> None:
    assert listed(primary()) == []


SMUGGLED = f'<checksum type="sha256" pkgid="YES">{"a" * 64}</checksum>'
PRIMARIES: Dict[str, bytes] = {
    "no checksum": primary(entry("")),
    "a checksum of something else": primary(entry(f'<checksum type="sha256">{HEX}</checksum>')),
    "two checksums": primary(entry(more=SMUGGLED)),
    "no location": primary(entry(location="")),
    "two locations": primary(entry(more='<location href="b.rpm"/>')),
    "in a comment": primary(entry(more=f"<!--{SMUGGLED}-->")),
    "in a CDATA section": primary(entry(more=f"<description><![CDATA[{SMUGGLED}]]></description>")),
    "a DOCTYPE": b"<!DOCTYPE metadata>" + primary(entry()),
    "cut off": primary(entry(), entry())[:-40],
    "a comment after the last": primary(entry()) + b"<!-- -->",
}


@pytest.mark.parametrize("data", PRIMARIES.values(), ids=PRIMARIES.keys())
@pytest.mark.parametrize("size", [13, 1 << 18])
def test_a_primary_xml_that_could_smuggle_a_package_in_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(MetadataError):
        listed(data, size)


def test_what_a_description_says_is_no_checksum() -> None:
    quoted = SMUGGLED.replace("<", "&lt;").replace(">", "&gt;")
    (found,) = listed(primary(entry(more=f"<description>{quoted}</description>")))
    assert found.checksum.value.hex() == HEX


# --- files -----------------------------------------------------------------------------------------------------------


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACKING: Dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


def repository(folder: Path, packing: str = "gz", data: Optional[bytes] = None, *, opened: bool = True) -> Metadata:
    """A repository of one package whose primary metadata are packed in that way."""
    content = primary(entry()) if data is None else data
    packed = PACKING[packing](content)
    (folder / "repodata").mkdir(parents=True, exist_ok=True)
    (folder / "repodata" / "primary.xml").write_bytes(packed)
    checksum = f'<checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>'
    more = f'<open-checksum type="sha256">{hashlib.sha256(content).hexdigest()}</open-checksum>' if opened else ""
    (folder / "repodata" / "repomd.xml").write_bytes(repomd(record(checksum=checksum, more=more)))
    return read_metadata(str(folder), "demo")


@pytest.mark.parametrize("packing", PACKING)
def test_the_packages_of_a_repository_however_its_metadata_are_packed(tmp_path: Path, packing: str) -> None:
    metadata = repository(tmp_path, packing)
    assert [package.location for package in packages_of(metadata)] == ["a.rpm"]
    check_file(metadata.folder, parse_repomd(metadata.repomd)[0])


def test_metadata_that_are_packed_need_the_checksum_of_what_is_in_them(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="open-checksum"):
        packages_of(repository(tmp_path, opened=False))
    assert packages_of(repository(tmp_path / "plain", "plain", opened=False))


@pytest.mark.parametrize("packing", PACKING)
def test_other_metadata_than_repomd_xml_names_are_refused(tmp_path: Path, packing: str) -> None:
    metadata = repository(tmp_path, packing)
    repository(tmp_path, packing, primary(entry(), entry()))
    with pytest.raises(MetadataError, match="not the file that repomd.xml names"):
        packages_of(metadata)
    with pytest.raises(MetadataError, match="not the file that repomd.xml names"):
        check_file(metadata.folder, parse_repomd(metadata.repomd)[0])


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_bytes_after_the_compressed_stream_are_refused(tmp_path: Path, packing: str) -> None:
    metadata = repository(tmp_path, packing)
    with open(tmp_path / "repodata" / "primary.xml", "ab") as file:
        file.write(b"more")
    with pytest.raises(MetadataError, match="one whole stream"):
        packages_of(metadata)


def test_metadata_that_are_not_there_cannot_be_read(tmp_path: Path) -> None:
    metadata = repository(tmp_path)
    (tmp_path / "repodata" / "primary.xml").unlink()
    with pytest.raises(UnreadableError):
        packages_of(metadata)
    with pytest.raises(UnreadableError):
        read_metadata(str(tmp_path / "nowhere"), "demo")


def test_metadata_that_dnf_has_as_zchunk_alone_say_what_to_do(tmp_path: Path) -> None:
    metadata = repository(tmp_path)
    with_both = Metadata("demo", metadata.folder, repomd(record(), record("primary_zck", "repodata/primary.zck")))
    (tmp_path / "repodata" / "primary.xml").unlink()
    with pytest.raises(UnreadableError, match="zchunk=0"):
        packages_of(with_both)


def test_a_repository_without_primary_metadata_lists_nothing_that_could_be_checked(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="no primary"):
        packages_of(Metadata("demo", str(tmp_path), repomd(record("filelists"))))
