# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands out the contents of a payload's files one after another; for payloads that have been proven (payload.py).

It follows sizes and names of the signed header as the proof does, so a payload that was exchanged since ends it.
"""

from __future__ import annotations

import stat
from typing import AbstractSet, Dict, Iterator, Optional, Tuple

from multisig.errors import PayloadMismatchError
from multisig.subjects import Progress
from multisig.subjects.decompress import decompressed
from multisig.subjects.rpm import RpmSubject
from multisig.subjects.stream import Stream
from multisig.subjects.structure import Files

_MAX_NAME = 4096 + 2
_CHANGED = "the payload is not what it was when it was checked"


def contents(
    fd: int, subject: RpmSubject, wanted: AbstractSet[int], *, progress: Optional[Progress] = None
) -> Iterator[Tuple[int, Iterator[memoryview]]]:
    """The contents of regular files in the archive's order: place in the file list, and its bytes in pieces.

    ``wanted`` are places in the file list; of a hard-link group only the last holds the content (``holder``). The
    pieces must be taken before the next file is asked for; what is left of them is skipped. ``progress`` is told of
    compressed bytes. Raises PayloadMismatchError, or OSError where the disk fails.
    """
    reader = Stream(decompressed(fd, subject.payload_offset, subject.compressor, progress=progress), _CHANGED)
    places = {path: place for place, path in enumerate(subject.files.paths)}
    left = set(wanted)
    while left:
        place, size = _head(reader, subject.files, places)
        pieces = reader.pieces(size)
        if place in left:
            left.discard(place)
            yield place, pieces
            if not left:
                return
        for _ in pieces:
            pass
        reader.align()


def holder(files: Files, place: int) -> int:
    """The place of the file whose member holds this file's content."""
    return files.links[place][-1] if place in files.links else place


def _head(reader: Stream, files: Files, places: Dict[bytes, int]) -> Tuple[int, int]:
    """Place and size of the next member."""
    magic = reader.read(6)
    if magic == b"07070X":
        place = _number(reader.read(8))
        reader.align()
        if place >= len(files.paths):
            raise PayloadMismatchError(_CHANGED)
        return place, _size(files, place)
    fields = reader.read(104)
    size, name_size = _number(fields[48:56]), _number(fields[88:96])
    if magic != b"070701" or not 1 < name_size <= _MAX_NAME:
        raise PayloadMismatchError(_CHANGED)
    name = reader.read(name_size)[:-1]
    reader.align()
    found = places.get(name[1:] if name.startswith(b"./") else name if name.startswith(b"/") else b"/" + name)
    if found is None or size != _size(files, found):
        raise PayloadMismatchError(_CHANGED)
    return found, size


def _size(files: Files, place: int) -> int:
    mode = files.modes[place]
    if stat.S_ISLNK(mode):
        return len(files.targets[place])
    return files.sizes[place] if stat.S_ISREG(mode) and holder(files, place) == place else 0


def _number(digits: bytes) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        raise PayloadMismatchError(_CHANGED) from None
