# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the contents of files that differ between two packages begin to differ.

Neither archive is held in memory or written to disk, and their orders may differ: of the first package's files a hash
of each block is kept, the second's are compared with those, and the one block of each file that differs is read again
from the first. So the first archive is decompressed twice, the second once.
"""

from __future__ import annotations

import codecs
import hashlib
import stat
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from multisig.errors import MalformedRpmError, UnreadableError
from multisig.subjects import Progress
from multisig.subjects.members import contents, holder
from multisig.subjects.rpm import RpmSubject

MAX_FILES = 100
BLOCK = 1 << 16

# What is kept before and after a block, so that the line and the row of bytes around its ends can be shown.
_AROUND = 256
_ROW = 16
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\v\b\x1b")


@dataclass(frozen=True)
class Place:
    """The first byte, counted from 0, that two contents do not share; where one ends, its length.

    ``line`` counts from 1, where both are text around the place; then ``a`` and ``b`` are the two lines, without
    their ends, cut to what is near. Else they are the bytes from ``start`` on, at most 16. None: the content has ended.
    """

    offset: int
    line: Optional[int]
    start: int
    a: Optional[bytes]
    b: Optional[bytes]


@dataclass(frozen=True)
class Opened:
    """A package's file, proven, and what its header says."""

    fd: int
    subject: RpmSubject
    path: str


@dataclass(frozen=True)
class _Window:
    """Bytes of a content around the block that differs: they begin at ``start``; ``lines`` line ends precede them."""

    start: int
    data: bytes
    lines: int = 0


def first_places(
    a: Opened, b: Opened, paths: Sequence[bytes], *, progress: Optional[Progress] = None
) -> Mapping[bytes, Place]:
    """For the first MAX_FILES of these paths, regular files in both packages, where their contents differ first.

    What is no regular file with content in both, or does not differ after all, is left out. Memory: 16 bytes for each
    BLOCK bytes of the first package's files, and 70 KB a file. ``progress`` is told of compressed bytes, at most twice
    the first package's and once the second's. Raises PayloadMismatchError, UnreadableError.
    """
    chosen = paths[:MAX_FILES]
    old, new = _holders(a, chosen), _holders(b, chosen)
    shared = [path for path in chosen if path in old and path in new]
    hashes = {place: _hashes(pieces) for place, pieces in _contents(a, [old[path] for path in shared], progress)}
    # One content of one package may be that of several paths of the other: hard links.
    partners: Dict[int, List[int]] = {}
    for path in shared:
        partners.setdefault(new[path], []).append(old[path])
    after: Dict[Tuple[int, int], Tuple[int, _Window]] = {}
    for place, pieces in _contents(b, [new[path] for path in shared], progress):
        for partner, found in _differing(pieces, {partner: hashes[partner] for partner in partners[place]}):
            after[partner, place] = found
    blocks: Dict[int, List[int]] = {}
    for (partner, _), (block, _) in after.items():
        blocks.setdefault(partner, []).append(block)
    before = {
        (place, block): window
        for place, pieces in _contents(a, list(blocks), progress)
        for block, window in _windows(pieces, blocks[place])
    }
    places: Dict[bytes, Place] = {}
    for path in shared:
        pair = (old[path], new[path])
        if pair in after:
            block, window = after[pair]
            places[path] = _place(before[old[path], block], window)
    return places


def _contents(
    package: Opened, places: Sequence[int], progress: Optional[Progress]
) -> Iterator[Tuple[int, Iterator[memoryview]]]:
    try:
        yield from contents(package.fd, package.subject, frozenset(places), progress=progress)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=package.path) from None
    except MalformedRpmError as error:
        raise error.at(package.path) from None


def _holders(package: Opened, paths: Sequence[bytes]) -> Dict[bytes, int]:
    """Where the archive has the content of each path that is a regular file in it."""
    files = package.subject.files
    wanted = frozenset(paths)
    return {
        path: holder(files, place)
        for place, path in enumerate(files.paths)
        if path in wanted and stat.S_ISREG(files.modes[place]) and files.in_payload(place)
    }


def _blocks(pieces: Iterator[memoryview]) -> Iterator[bytes]:
    """The content in blocks of BLOCK bytes, the last one shorter and perhaps empty."""
    waiting = b""
    for piece in pieces:
        waiting += piece
        while len(waiting) >= BLOCK:
            yield waiting[:BLOCK]
            waiting = waiting[BLOCK:]
    yield waiting


def _hash(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=16).digest()


def _hashes(pieces: Iterator[memoryview]) -> bytes:
    return b"".join(_hash(block) for block in _blocks(pieces))


def _differing(pieces: Iterator[memoryview], others: Mapping[int, bytes]) -> Iterator[Tuple[int, Tuple[int, _Window]]]:
    """The number of the first block whose hash is another, and the bytes around it; for each of ``others``."""
    waiting = dict(others)
    recent: List[Tuple[int, int, _Window]] = []  # found, and lacking what follows the block
    previous = b""
    for number, block in enumerate(_blocks(pieces)):
        for partner, found, window in recent:
            yield partner, (found, replace(window, data=window.data + block[:_AROUND]))
        recent = []
        for partner in list(waiting):
            if waiting[partner][16 * number : 16 * number + 16] != _hash(block):
                del waiting[partner]
                recent.append((partner, number, _Window(number * BLOCK - len(previous), previous + block)))
        if not waiting and not recent:
            return
        previous = block[-_AROUND:]
    for partner, found, window in recent:
        yield partner, (found, window)


def _windows(pieces: Iterator[memoryview], wanted: Sequence[int]) -> Iterator[Tuple[int, _Window]]:
    """The bytes around each of these blocks, and how many lines end before them."""
    numbers = frozenset(wanted)
    lines = 0
    before, previous = 0, b""
    waiting: Optional[Tuple[int, _Window]] = None
    for number, block in enumerate(_blocks(pieces)):
        if waiting is not None:
            yield waiting[0], replace(waiting[1], data=waiting[1].data + block[:_AROUND])
        waiting = None
        if number in numbers:
            waiting = number, _Window(number * BLOCK - len(previous), previous + block, before)
        lines += block.count(b"\n")
        previous = block[-_AROUND:]
        before = lines - previous.count(b"\n")
    if waiting is not None:
        yield waiting


def _place(a: _Window, b: _Window) -> Place:
    """Both windows begin at the same byte, and the blocks in them differ."""
    shared = _shared(a.data, b.data)
    offset = a.start + shared
    if _is_text(a.data) and _is_text(b.data):
        line = a.lines + a.data.count(b"\n", 0, shared) + 1
        return Place(offset, line, a.start, _line(a.data, shared), _line(b.data, shared))
    # Rows begin at multiples of sixteen, as in any hexdump; a window does too.
    row = shared - offset % _ROW
    rows = [window.data[row : row + _ROW] if shared < len(window.data) else None for window in (a, b)]
    return Place(offset, None, a.start + row, rows[0], rows[1])


def _shared(a: bytes, b: bytes) -> int:
    """How many bytes the two begin with in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _is_text(data: bytes) -> bool:
    # The window may begin and end in the middle of a character.
    start = next((place for place, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data[start:])
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.intersection(data)


def _line(data: bytes, place: int) -> Optional[bytes]:
    """The line around a place, at most _AROUND bytes of it on either side; None where the content ends there."""
    if place >= len(data) and (not data or data[-1:] == b"\n"):
        return None
    start = max(data.rfind(b"\n", 0, place) + 1, place - _AROUND)
    end = data.find(b"\n", place)
    return data[start : min(len(data) if end < 0 else end, place + _AROUND)]
