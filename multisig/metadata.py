# SPDX-License-Identifier: GPL-2.0-or-later
"""What a repository's metadata say: the files that repomd.xml names, and the packages that the primary one lists.

Read only as far as a release statement needs it to bind them: repomd.xml is what is signed, it holds the checksums of
the other metadata files, and the primary metadata hold those of the packages (createrepo_c; libdnf, docs of rpm-md).
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Tuple, TypeVar

from multisig import xmltext
from multisig.errors import MetadataError, PayloadMismatchError, UnreadableError, WeakMetadataError
from multisig.files import chunks, open_regular, read_bounded
from multisig.namedtuples import NamedTuple
from multisig.subjects import Progress
from multisig.text import plain

MAX_REPOMD = 4 << 20
REPOMD = "repodata/repomd.xml"
PRIMARY = "primary"
STRONG = ("sha224", "sha256", "sha384", "sha512")
"""Checksum types (as repomd.xml names them) that bind anything; md5, sha and sha1 do not."""

T = TypeVar("T")

_ZCHUNK = "_zck"
_MAX_RECORDS = 256
# What is read lies three deep, and a checksum is short; every step here is bounded by these.
_MAX_DEPTH = 32
_MAX_TEXT = 1024
_MAX_ENTRY = 64 << 20
_MAX_PRIMARY = 4 << 30
_HEX = re.compile(r"[0-9a-f]{56,128}\Z")
_END = b"</package>"
_CHECKSUM = re.compile(rb"<checksum\s([^<>]*)>\s*([0-9a-fA-F]+)\s*</checksum>")
_LOCATION = re.compile(rb"<location\s([^<>]*?)/?>")
_ATTRIBUTE = re.compile(rb"""([A-Za-z:_-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


class Checksum(NamedTuple):
    """``algorithm`` as hashlib calls it, one of STRONG; ``value`` the digest itself."""

    algorithm: str
    value: bytes


class Record(NamedTuple):
    """One metadata file of a repository: its type (as ``primary``), where it lies below the repository's folder.

    ``opened`` is the checksum of what it decompresses to; None where repomd.xml gives none.
    """

    kind: str
    location: str
    checksum: Checksum
    opened: Optional[Checksum] = None


class Listed(NamedTuple):
    """A package as the primary metadata list it. ``location`` is relative to the repository, None for one elsewhere."""

    checksum: Checksum
    location: Optional[str]


def parse_repomd(data: bytes) -> Tuple[Record, ...]:
    """The files that a repomd.xml names, in its order; each type once.

    Raises MetadataError where it is not well-formed XML, holds a DOCTYPE, or a record lacks its location or checksum;
    WeakMetadataError where a file is bound by no checksum of STRONG.
    """
    if len(data) > MAX_REPOMD:
        raise MetadataError("repomd.xml is too large", expected=f"at most {MAX_REPOMD} bytes", got=len(data))
    reader = _RepomdReader()
    xmltext.read(data, reader, what="repomd.xml")
    kinds = [record.kind for record in reader.records]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise MetadataError(f"repomd.xml has two records of type {ascii(kind)}")
    return tuple(reader.records)


def record_of(repomd: bytes, kind: str) -> Optional[Record]:
    """The record of one type; None where a repomd.xml has none. Raises what parse_repomd does."""
    return next((record for record in parse_repomd(repomd) if record.kind == kind), None)


class _RepomdReader:
    """Collects ``/repomd/data`` with its checksums and location; whatever else is there binds nothing."""

    def __init__(self) -> None:
        self.records: List[Record] = []
        self._path: List[str] = []
        self._fields: Dict[str, str] = {}

    def start(self, name: str, attributes: Dict[str, str]) -> None:
        if len(self._path) >= _MAX_DEPTH:
            raise MetadataError("repomd.xml is nested too deep", expected=f"at most {_MAX_DEPTH} elements")
        self._path.append(name)
        if self._path[0] != "repomd":
            raise MetadataError("not a repomd.xml", expected="<repomd>", got=ascii(name)[:80])
        if self._path == ["repomd", "data"]:
            self._fields = {"kind": attributes.get("type", "")}
        elif self._path[:-1] != ["repomd", "data"]:
            return
        elif name in ("checksum", "open-checksum"):
            self._once(name, "")
            self._fields[f"{name} type"] = attributes.get("type", "")
        elif name == "location":
            self._once(name, attributes.get("href", ""))
            if any(key.rpartition(" ")[2] == "base" for key in attributes):
                raise MetadataError("a record of repomd.xml lies in another place than the repository (xml:base)")

    def _once(self, field: str, value: str) -> None:
        if field in self._fields:
            raise MetadataError(f"a record of repomd.xml has more than one {field}")
        self._fields[field] = value

    def text(self, data: str) -> None:
        if self._path[:-1] == ["repomd", "data"] and self._path[-1] in ("checksum", "open-checksum"):
            self._fields[self._path[-1]] += data
            if len(self._fields[self._path[-1]]) > _MAX_TEXT:
                raise MetadataError(f"a record of repomd.xml has a {self._path[-1]} that is too long")

    def end(self, _: str) -> None:
        if self._path == ["repomd", "data"]:
            if len(self.records) >= _MAX_RECORDS:
                raise MetadataError("repomd.xml has too many records", expected=f"at most {_MAX_RECORDS}")
            self.records.append(_record(self._fields))
        self._path.pop()


def _record(fields: Mapping[str, str]) -> Record:
    kind = fields["kind"]
    for name in ("kind", "location", "checksum"):
        if not fields.get(name, "").strip():
            what = "type" if name == "kind" else name
            raise MetadataError(f"a record of repomd.xml ({ascii(kind)[:80]}) lacks its {what}")
    what = f"the {plain(kind)[:80]} metadata"
    opened = None
    if "open-checksum" in fields:
        opened = _checksum(fields["open-checksum type"], fields["open-checksum"], what)
    checksum = _checksum(fields["checksum type"], fields["checksum"], what)
    return Record(kind, _inside(fields["location"]), checksum, opened)


def _checksum(algorithm: str, value: str, what: str) -> Checksum:
    if algorithm not in STRONG:
        raise WeakMetadataError(
            f"{what}: bound by a checksum of type {ascii(algorithm)[:40]}", expected=" or ".join(STRONG)
        )
    value = value.strip().lower()
    if not _HEX.match(value) or len(value) != 2 * hashlib.new(algorithm).digest_size:
        raise MetadataError(f"{what}: not a checksum of type {algorithm}", got=ascii(value)[:140])
    return Checksum(algorithm, bytes.fromhex(value))


def _inside(location: str) -> str:
    """A relative path that stays within the repository's folder; MetadataError for any other."""
    parts = location.split("/")
    if location.startswith("/") or "\0" in location or "\\" in location or ".." in parts or not location:
        raise MetadataError("metadata name a file outside of the repository", got=ascii(location)[:200])
    return location


class Metadata(NamedTuple):
    """A repository's metadata as a front end uses them: what repomd.xml names lies below ``folder``.

    ``repo`` is the front end's name of the repository.
    """

    repo: str
    folder: str
    repomd: bytes


def read_metadata(folder: str, repo: str) -> Metadata:
    """The metadata below ``folder``; UnreadableError where there is no repomd.xml."""
    return Metadata(repo, folder, read_bounded(os.path.join(folder, REPOMD), MAX_REPOMD))


def check_file(folder: str, record: Record, *, progress: Optional[Progress] = None) -> None:
    """Hold one metadata file against its record; MetadataError where it is another, UnreadableError without it."""
    path = os.path.join(folder, record.location)
    fd = open_regular(path)
    try:
        found = file_checksum(fd, record.checksum.algorithm, path=path, progress=progress)
    finally:
        os.close(fd)
    if found != record.checksum:
        got = f"{found.algorithm}:{found.value.hex()}"
        raise MetadataError("is not the file that repomd.xml names", path=path, got=got)


def file_checksum(fd: int, algorithm: str, *, path: str = "", progress: Optional[Progress] = None) -> Checksum:
    """The checksum of the whole file at ``fd``; UnreadableError where the disk fails."""
    digest = hashlib.new(algorithm)
    try:
        for data in chunks(fd, progress=progress):
            digest.update(data)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path or None) from None
    return Checksum(algorithm, digest.digest())


def packages_of(metadata: Metadata) -> Tuple[Listed, ...]:
    """The packages that the repository's primary metadata list, once these are proven to be what repomd.xml names.

    The bytes that are read are those that are hashed. Raises MetadataError, WeakMetadataError, UnreadableError.
    """
    return _from_primary(metadata, tuple)


def checksums_of(metadata: Metadata) -> FrozenSet[Checksum]:
    """As packages_of, but their checksums alone, which take a fraction of the memory."""
    return _from_primary(metadata, lambda listed: frozenset(package.checksum for package in listed))


def _from_primary(metadata: Metadata, collect: Callable[[Iterator[Listed]], T]) -> T:
    """What ``collect`` makes of the packages; it is given out once the last byte of them has been proven."""
    records = {record.kind: record for record in parse_repomd(metadata.repomd)}
    if PRIMARY not in records:
        raise MetadataError("repomd.xml names no primary metadata", path=os.path.join(metadata.folder, REPOMD))
    record = records[PRIMARY]
    path = os.path.join(metadata.folder, record.location)
    if PRIMARY + _ZCHUNK in records and not os.path.lexists(path):
        text = "is not there, but as zchunk, which is not read here; say zchunk=0 in dnf.conf"
        raise UnreadableError(text, path=path)
    fd = open_regular(path)
    try:
        return _collected(fd, record, collect)
    except (MetadataError, UnreadableError) as error:
        raise error.at(path) from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None
    finally:
        os.close(fd)


def _collected(fd: int, record: Record, collect: Callable[[Iterator[Listed]], T]) -> T:
    # Not before it is needed: librpm comes with it.
    from multisig.subjects.decompress import compression, decompressed

    compressor = compression(fd)
    expected = record.checksum if compressor is None else record.opened
    if expected is None:
        raise MetadataError("repomd.xml lacks the open-checksum of these metadata")
    digest = hashlib.new(expected.algorithm)
    try:
        opened = chunks(fd) if compressor is None else decompressed(fd, 0, compressor)
        found = collect(listed_packages(_hashed(opened, digest)))
    except PayloadMismatchError:
        raise MetadataError("does not decompress as one whole stream") from None
    if digest.digest() != expected.value:
        raise MetadataError("is not the file that repomd.xml names", got=f"{expected.algorithm}:{digest.hexdigest()}")
    return found


def _hashed(data: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in data:
        digest.update(chunk)
        yield chunk


def listed_packages(primary: Iterable[bytes]) -> Iterator[Listed]:
    """The packages of a primary.xml that arrives in chunks, in its order.

    In well-formed XML a raw ``<`` always begins a tag, comment, CDATA section or declaration. The last three never
    occur in metadata and are refused, so what looks like a checksum element is one. Raises MetadataError where an entry
    has not exactly one checksum for itself, WeakMetadataError where that is not one of STRONG.
    """
    rest = b""
    size = 0
    for chunk in primary:
        size += len(chunk)
        rest += chunk
        end = rest.rfind(_END)
        if end >= 0:
            yield from _entries(rest[: end + len(_END)])
            rest = rest[end + len(_END) :]
        if len(rest) > _MAX_ENTRY or size > _MAX_PRIMARY:
            raise MetadataError("the primary metadata are too large, or no primary.xml")
    if b"<package" in rest.replace(b"<packages", b"") or b"<!" in rest:
        raise MetadataError("the primary metadata are cut off")


def _entries(data: bytes) -> Iterator[Listed]:
    if b"<!" in data:
        raise MetadataError("the primary metadata hold a comment, a CDATA section or a DOCTYPE")
    for entry in data.split(_END)[:-1]:
        found = [(_attributes(match[1]), match[2]) for match in _CHECKSUM.finditer(entry)]
        own = [(attributes, value) for attributes, value in found if attributes.get(b"pkgid") == b"YES"]
        locations = _LOCATION.findall(entry)
        if len(own) != 1 or len(locations) != 1:
            raise MetadataError("an entry of the primary metadata has not exactly one checksum and one location")
        ((attributes, value),) = own
        algorithm = attributes.get(b"type", b"").decode("ascii", "replace")
        checksum = _checksum(algorithm, value.decode("ascii"), "a package in the primary metadata")
        yield Listed(checksum, _location(_attributes(locations[0])))


def _attributes(text: bytes) -> Dict[bytes, bytes]:
    return {match[1]: match[2] if match[2] is not None else match[3] for match in _ATTRIBUTE.finditer(text)}


def _location(attributes: Dict[bytes, bytes]) -> Optional[str]:
    if b"xml:base" in attributes:
        return None
    href = attributes.get(b"href", b"").decode("utf-8", "surrogateescape")
    if "&" in href:
        # It brings urllib with it, in which dnf has no part otherwise.
        from xml.sax.saxutils import unescape

        href = unescape(href, {"&quot;": '"', "&apos;": "'"})
    return _inside(href)
