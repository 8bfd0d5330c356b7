# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads an RPM package file, or a package that rpm has installed, and yields its content's manifest and digests.

librpm reads the header, as it will when it installs; everything here is taken from the immutable region that librpm
hands over, which must be the very bytes that stand in the file.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Optional, Set, Tuple

from multisig.errors import MalformedRpmError, UnreadableError
from multisig.namedtuples import NamedTuple
from multisig.statement import Digests, digests_of
from multisig.subjects import RPM_LEAD, header
from multisig.subjects.framing import HEADER_MAGIC, LEAD_SIZE, MAX_SIGNATURE_DATA, MAX_SIGNATURE_TAGS
from multisig.subjects.header import Header, strings
from multisig.subjects.interpreted import check_scripts
from multisig.subjects.manifest import encode_manifest
from multisig.subjects.rpmlib import librpm
from multisig.subjects.structure import Files, check_files, check_identity, check_payload_tags, check_tags

if TYPE_CHECKING:
    import rpm

# Signature header tags that rpm acts on when it installs: IMA and fs-verity signatures of files (rpmtag.h).
FILE_SIGNATURE_TAGS = frozenset({274, 275, 276, 277})

_PRELUDE = struct.Struct(">4s4xII")
_INDEX = struct.Struct(">I12x")
_READERS = threading.local()
_FIRST_READ = 16 << 10
_PROVIDENAME, _OBSOLETENAME, _PROVIDEVERSION, _FILECAPS, _SYSUSERS = 1047, 1090, 1113, 5010, 5109
# Everything that makes rpm run a program of the package's choice: scriptlets, their interpreters, triggers.
_SCRIPT_TAGS = frozenset(
    {1023, 1024, 1025, 1026, 1079, 1085, 1086, 1087, 1088, 1091, 1151, 1152, 1153, 1154}  # pre, post, verify, trans
    | {1065, 1092, 5066, 5067, 5076, 5077}  # triggers, file triggers, transaction file triggers
    | {5103, 5104, 5105, 5106}  # preuntrans, postuntrans
)


class _RpmSubject(NamedTuple):
    name: str
    package: str
    manifest: bytes
    digests: Digests
    files: Files
    compressor: Optional[bytes]
    payload_offset: int
    file_signatures: bool
    entries: Header
    region: bytes


class RpmSubject(_RpmSubject):
    """An RPM's content. ``name`` is NAME-EPOCH:VERSION-RELEASE.ARCH, ``package`` the header's own name.

    ``payload_offset`` is where the compressed payload begins (0 for an installed package); ``compressor`` the
    header's name for how it is compressed; ``file_signatures`` whether the unsigned signature header carries
    signatures of files; ``region`` is the immutable region, as it stands in the file, ``entries`` its tags.
    """

    def __repr__(self) -> str:
        return f"RpmSubject({self.name!r})"

    @property
    def sha256(self) -> str:
        return self.digests.sha256

    @property
    def sha512(self) -> str:
        return self.digests.sha512

    @cached_property
    def obsoletes(self) -> Tuple[str, ...]:
        """The names that the package obsoletes."""
        return self._names(_OBSOLETENAME)

    @cached_property
    def provides(self) -> Tuple[str, ...]:
        """The names that the package provides or obsoletes; its own is provided whether the header says so or not.

        rpmbuild writes it into the header, and where it is not, solvers add it (libsolv, repo_rpmdb.c, rpmhead2solv).
        """
        return (self.package, *self._names(_PROVIDENAME), *self.obsoletes)

    @cached_property
    def gains_privileges(self) -> bool:
        """Whether any file has the setuid or setgid bit, or file capabilities."""
        if any(mode & (stat.S_ISUID | stat.S_ISGID) for mode in self.files.modes):
            return True
        return _FILECAPS in self.entries and any(strings(self.entries[_FILECAPS]))

    @cached_property
    def has_scripts(self) -> bool:
        """Whether rpm would run anything for it: a scriptlet, a trigger, or a sysusers entry."""
        if not _SCRIPT_TAGS.isdisjoint(self.entries) or _SYSUSERS in self.entries:
            return True
        if _PROVIDENAME not in self.entries or _PROVIDEVERSION not in self.entries:
            return False
        # rpm 4.19 and later carry sysusers lines as versions of user() and group() provides (lib/rpmug, sysusers).
        provides = zip(strings(self.entries[_PROVIDENAME]), strings(self.entries[_PROVIDEVERSION]))
        return any(name.startswith((b"user(", b"group(", b"groupmember(")) and version for name, version in provides)

    def _names(self, tag: int) -> Tuple[str, ...]:
        if tag not in self.entries:
            return ()
        return tuple(name.decode("utf-8", "surrogateescape") for name in strings(self.entries[tag]))


def read_rpm(fd: int, *, path: str = "") -> RpmSubject:
    """Read the package at ``fd`` (a regular file, opened for reading); the position afterwards is undefined.

    Steps: 1. The file is framed as rpm frames it: lead, signature header, header. 2. librpm accepts the header.
    3. Its immutable region is exactly the header's bytes in the file, so nothing was retrofitted or lies outside.
    4. The region's layout, tags, scripts, identity, file list and payload format pass the structural checks. 5. The
    manifest is encoded and digested. Raises MalformedRpmError (or its subclasses), UnreadableError where the disk
    fails.
    """
    try:
        return _read_rpm(fd)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path or None) from None
    except MalformedRpmError as error:
        raise (error.at(path) if path else error) from None


def read_installed(package: "rpm.hdr", *, path: str = "") -> RpmSubject:
    """The content of an installed package, from its header in the rpmdb; the same digests as its file's.

    rpm adds tags of its own to an installed package's header; they lie outside the immutable region.
    """
    region = package[header.IMMUTABLE]
    if not isinstance(region, bytes):
        raise MalformedRpmError("the installed package has no immutable region", path=path or None)
    return _subject(region, 0, False)


class Identity(NamedTuple):
    """What a readable header says a package is, for packages of which nothing is checked."""

    nevra: str
    name: str
    obsoletes: Tuple[str, ...]


def read_identity(fd: int) -> Optional[Identity]:
    """The identity of a package that the profile does not accept; None where even that much cannot be read."""
    try:
        entries = header.parse_region(librpm_region(fd))
        name, nevra = check_identity(entries)
    except (MalformedRpmError, OSError):
        return None
    obsoletes = strings(entries[_OBSOLETENAME]) if _OBSOLETENAME in entries else []
    return Identity(nevra, name, tuple(item.decode("utf-8", "surrogateescape") for item in obsoletes))


def header_digest(fd: int) -> Optional[str]:
    """Hex SHA-256 of the header's immutable region, magic included: what rpm calls SHA256HEADER, computed.

    None where rpm does not accept the header, or the file cannot be read.
    """
    try:
        return hashlib.sha256(HEADER_MAGIC + bytes(4) + librpm_region(fd)).hexdigest()
    except (MalformedRpmError, OSError):
        return None


def _read_rpm(fd: int) -> RpmSubject:
    start = os.pread(fd, _FIRST_READ, 0)
    if not start.startswith(RPM_LEAD):
        raise MalformedRpmError("does not begin with the RPM lead")
    signature_tags, offset = _signature_header(fd, start)
    index_count, data_size = _sizes(fd, start, offset, header.MAX_TAGS, header.MAX_DATA)
    # What librpm calls the header's blob: its lengths, its index, its data.
    raw = _bytes_at(fd, start, offset + 8, 8 + 16 * index_count + data_size)
    if librpm_region(fd) != raw:
        raise MalformedRpmError("the header's immutable region is not the whole header", tag=header.IMMUTABLE)
    payload_offset = offset + 8 + len(raw)
    return _subject(raw, payload_offset, not FILE_SIGNATURE_TAGS.isdisjoint(signature_tags))


def _subject(region: bytes, payload_offset: int, file_signatures: bool) -> RpmSubject:
    entries = header.parse_region(region)
    check_tags(entries)
    check_scripts(entries)
    package, name = check_identity(entries)
    compressor = check_payload_tags(entries)
    files = check_files(entries)
    manifest = encode_manifest(entries, files, compressor)
    digests = digests_of(manifest)
    return RpmSubject(
        name, package, manifest, digests, files, compressor, payload_offset, file_signatures, entries, region
    )


def _bytes_at(fd: int, start: bytes, offset: int, size: int) -> bytes:
    """``size`` bytes of the file from ``offset``; ``start`` is what was read of its beginning already."""
    data = start[offset : offset + size]
    while len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise MalformedRpmError("the file is truncated within its headers")
        data += more
    return data


def _sizes(fd: int, start: bytes, offset: int, max_tags: int, max_data: int) -> Tuple[int, int]:
    """Index length and data size of the header that begins at ``offset``."""
    magic, index_count, data_size = _PRELUDE.unpack(_bytes_at(fd, start, offset, _PRELUDE.size))
    if magic != HEADER_MAGIC or index_count > max_tags or data_size > max_data:
        raise MalformedRpmError("a header does not begin as one, or is too large", got=f"at byte {offset}")
    return index_count, data_size


def _signature_header(fd: int, start: bytes) -> Tuple[Set[int], int]:
    """Which tags the signature header, which nobody signs, claims to hold, and where the header after it begins."""
    index_count, data_size = _sizes(fd, start, LEAD_SIZE, MAX_SIGNATURE_TAGS, MAX_SIGNATURE_DATA)
    index = _bytes_at(fd, start, LEAD_SIZE + _PRELUDE.size, 16 * index_count)
    end = LEAD_SIZE + _PRELUDE.size + len(index) + data_size
    return {entry[0] for entry in _INDEX.iter_unpack(index)}, end + -data_size % 8


def _transaction_set() -> "rpm.ts":
    """A reader of headers for each thread: making one costs a third of what reading a header does."""
    found: "Optional[rpm.ts]" = getattr(_READERS, "transaction_set", None)
    if found is None:
        rpm = librpm()
        without_checks = rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS
        found = _READERS.transaction_set = rpm.TransactionSet("/", without_checks)
    return found


def librpm_region(fd: int) -> bytes:
    """The immutable region as librpm reads it from the file.

    Signature checks are off: they would ask rpm's own keyring and database, whose answers are not this project's.
    """
    reader = _transaction_set()
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        package = reader.hdrFromFdno(fd)
        region = package[header.IMMUTABLE] if package is not None else None
    except (librpm().error, SystemError, UnicodeError) as error:
        raise MalformedRpmError(f"rpm does not accept the header: {error}") from None
    if not isinstance(region, bytes):
        raise MalformedRpmError("rpm finds no immutable region in the header", tag=header.IMMUTABLE)
    return region
