# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves a payload: decompresses it once and holds every member against the signed header. Nothing is written.

The archive is rpm's dialect of cpio "newc" (librpm: lib/cpio.c): names begin with a dot, the names of a hard-link
group stand together and its content comes with the last of them, packages with a file over 4 GiB use headers that name
the file by its index.
Only what rpmbuild writes is accepted; each length is known from the signed header before a byte of it is read, so a
decompression bomb ends at its first wrong length.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Dict, List, Optional, Set, Tuple

from multisig.errors import MalformedRpmError, PayloadMismatchError, UnreadableError
from multisig.files import chunks
from multisig.subjects import Progress
from multisig.subjects.decompress import check_magic, decompressed
from multisig.subjects.header import integers, strings
from multisig.subjects.prefetch import prefetched
from multisig.subjects.rpm import RpmSubject
from multisig.subjects.stream import Stream
from multisig.subjects.structure import DIGEST_NAMES, Files
from multisig.text import shown

_NEWC = b"070701"
_STRIPPED = b"07070X"
_TRAILER = b"TRAILER!!!"
_HEX = frozenset(b"0123456789abcdefABCDEF")
_WORTH_A_THREAD = 8 << 20
# What rpm's archive has beside contents, for each member and as a whole, and more.
_AROUND_MEMBER, _AROUND_ARCHIVE = 256, 64 << 10
_PAYLOADDIGEST, _PAYLOADDIGESTALGO = 5092, 5093


def longest_file(subject: RpmSubject) -> int:
    """How long the package's file can be in bytes, by its signed file list; a payload that is longer is no payload.

    Twice its archive: no compressor makes much more than that of anything, unless it is fed with empty blocks.
    """
    files = subject.files
    archive = sum(files.sizes) + sum(map(len, files.paths)) + sum(map(len, files.targets))
    return subject.payload_offset + 2 * (archive + _AROUND_MEMBER * len(files.paths)) + _AROUND_ARCHIVE


def hash_payload(fd: int, subject: RpmSubject, *, path: str = "", progress: Optional[Progress] = None) -> str:
    """SHA-256 (hex) of the compressed payload: all bytes after the header. ``progress`` is told of bytes as they pass.

    Raises PayloadMismatchError where the header names another SHA-256 for it (rpm would stop there, midway), the
    payload's magic is not the compressor's, or it is longer than its files could make it, before it is read.
    """
    digest = hashlib.sha256()
    offset = subject.payload_offset
    try:
        _check_length(fd, subject)
        check_magic(fd, offset, subject.compressor)
        for data in chunks(fd, offset, progress=progress):
            digest.update(data)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path or None) from None
    except MalformedRpmError as error:
        raise (error.at(path) if path else error) from None
    found = digest.hexdigest()
    named = _named_digest(subject)
    if named is not None and named != found:
        raise PayloadMismatchError("the payload is not the one that the header names", path=path or None, got=found)
    return found


def names_payload(subject: RpmSubject) -> bool:
    """Whether the header gives the SHA-256 of the compressed payload, which ``hash_payload`` then holds it to."""
    return _named_digest(subject) is not None


def prove_payload(fd: int, subject: RpmSubject, *, path: str = "", progress: Optional[Progress] = None) -> None:
    """Hold the payload at ``fd`` against the subject's signed file list.

    Every file of the list that is not %ghost is there once; none other; sizes, digests and link targets are those of
    the header; nothing follows the archive, nor the compressed stream. ``progress`` is told of compressed bytes as they
    are read. Raises PayloadMismatchError, or UnreadableError where the disk fails.
    """
    try:
        _check_length(fd, subject)
        opened = decompressed(fd, subject.payload_offset, subject.compressor, progress=progress)
        if sum(subject.files.sizes) > _WORTH_A_THREAD:
            opened = prefetched(opened)
        _Archive(Stream(opened, "the payload's archive is cut off"), subject.files).prove()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path or None) from None
    except MalformedRpmError as error:
        raise (error.at(path) if path else error) from None


def _check_length(fd: int, subject: RpmSubject) -> None:
    longest, length = longest_file(subject), os.fstat(fd).st_size
    if length > longest:
        expected = f"a file of at most {longest} bytes"
        raise PayloadMismatchError("the payload is longer than its files could make it", expected=expected, got=length)


def _named_digest(subject: RpmSubject) -> Optional[str]:
    entry, algorithm = subject.entries.get(_PAYLOADDIGEST), subject.entries.get(_PAYLOADDIGESTALGO)
    if entry is None or algorithm is None or integers(algorithm)[0] != 8:
        return None
    return strings(entry)[0].decode("ascii", "replace")


class _Archive:
    def __init__(self, stream: Stream, files: Files) -> None:
        self._stream = stream
        self._files = files
        self._seen: Set[int] = set()
        self._group: Tuple[int, ...] = ()  # of hard links, whose content has not come yet
        self._index: Dict[bytes, int] = {path: index for index, path in enumerate(files.paths)}

    def prove(self) -> None:
        while True:
            index, size = self._next_member()
            if index is None:
                break
            self._prove_member(index, size)
            self._stream.align()
        if self._group:
            raise self._torn()
        self._stream.align()
        if not self._stream.ends():
            raise PayloadMismatchError("bytes follow the payload's archive")
        missing = [index for index in range(len(self._files.paths)) if self._files.in_payload(index)]
        missing = [index for index in missing if index not in self._seen]
        if missing:
            raise PayloadMismatchError("a file is missing from the payload", got=self._shown(missing[0]))

    def _next_member(self) -> "tuple[Optional[int], int]":
        magic = self._stream.read(6)
        if magic == _STRIPPED:
            index = self._hex(self._stream.read(8))[0]
            self._stream.align()
            if index >= len(self._files.paths):
                raise PayloadMismatchError("the payload holds a file that the header does not list", got=index)
            return index, self._expected_size(index)
        if magic != _NEWC:
            raise PayloadMismatchError("a member of the payload's archive does not begin as one", got=ascii(magic))
        fields = self._hex(self._stream.read(104))
        size, name_size = fields[6], fields[11]
        if not 1 < name_size <= 4096 + 2:
            raise PayloadMismatchError("a name in the payload's archive is empty or too long", got=name_size)
        name = self._stream.read(name_size)
        if name.find(b"\0") != name_size - 1:
            raise PayloadMismatchError("a name in the payload's archive does not end where it says", got=ascii(name))
        self._stream.align()
        if name[:-1] == _TRAILER:
            if size:
                raise PayloadMismatchError("the end of the payload's archive has content")
            return None, 0
        return self._lookup(name[:-1]), size

    def _lookup(self, name: bytes) -> int:
        # rpmbuild writes "./usr/bin/x"; before 4.6 also "/usr/bin/x" or "usr/bin/x" (rpmlib PayloadFilesHavePrefix).
        path = name[1:] if name.startswith(b"./") else name if name.startswith(b"/") else b"/" + name
        index = self._index.get(path)
        if index is None:
            raise PayloadMismatchError("the payload holds a file that the header does not list", got=shown(name))
        return index

    def _prove_member(self, index: int, size: int) -> None:
        if index in self._seen or not self._files.in_payload(index):
            raise PayloadMismatchError("a file is in the payload twice, or has no place there", got=self._shown(index))
        self._seen.add(index)
        self._follow_links(index)
        expected = self._expected_size(index)
        if size != expected:
            raise PayloadMismatchError(
                f"{self._shown(index)} has another size than signed", expected=expected, got=size
            )
        mode = self._files.modes[index]
        if stat.S_ISLNK(mode):
            if self._stream.read(size) != self._files.targets[index]:
                raise PayloadMismatchError("a symbolic link's target is not the signed one", got=self._shown(index))
        elif stat.S_ISREG(mode) and self._has_content(index):
            self._prove_content(index, size)

    def _follow_links(self, index: int) -> None:
        """The names of a hard-link group follow each other, the one with the content last, as rpm writes them.

        rpm remembers one name that waits for its content, and takes the next regular file in the archive for another
        name of that file, whatever the header says of it (lib/fsm.c, fsmMkfile): each file would have its signed
        content in the archive, and another one on the disk.
        """
        group = self._files.links.get(index, ())
        if self._group and group is not self._group:
            raise self._torn()
        self._group = () if self._has_content(index) else group

    def _torn(self) -> PayloadMismatchError:
        return PayloadMismatchError(
            "the names of a hard link do not stand together in the payload, its content with the last of them",
            got=self._shown(self._group[0]),
        )

    def _prove_content(self, index: int, size: int) -> None:
        digest = hashlib.new(DIGEST_NAMES[self._files.digest_algorithm])
        for piece in self._stream.pieces(size):
            digest.update(piece)
        expected = self._files.digests[index].decode("ascii")
        if digest.hexdigest() != expected:
            raise PayloadMismatchError(
                f"the content of {self._shown(index)} is not the signed one",
                expected=f"digest {expected[:16]}…",
                got=f"{digest.hexdigest()[:16]}…",
            )

    def _has_content(self, index: int) -> bool:
        return index not in self._files.links or self._files.links[index][-1] == index

    def _expected_size(self, index: int) -> int:
        mode = self._files.modes[index]
        if stat.S_ISLNK(mode):
            return len(self._files.targets[index])
        return self._files.sizes[index] if stat.S_ISREG(mode) and self._has_content(index) else 0

    def _shown(self, index: int) -> str:
        return shown(self._files.paths[index]) if index < len(self._files.paths) else str(index)

    @staticmethod
    def _hex(field: bytes) -> List[int]:
        if not _HEX.issuperset(field):
            raise PayloadMismatchError("a number in the payload's archive is not hex", got=ascii(field))
        return [int(field[start : start + 8], 16) for start in range(0, len(field), 8)]
