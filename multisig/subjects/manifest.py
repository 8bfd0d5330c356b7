# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest: the canonical bytes that describe an RPM's content, profile rpm/v1 (docs/rpm-v1.md). Pure.

One record a tag, in ascending order: ``TAG TYPE COUNT LENGTH:VALUE`` and a newline, all numbers decimal, VALUE the
LENGTH bytes of the tag's data as the header stores them. Every part says how long it is, so no two contents share a
manifest. What cannot change what gets installed is left out; what varies between equal builds is replaced.
"""

from __future__ import annotations

import stat
from functools import lru_cache
from typing import Callable, List, Mapping, Optional, Sequence, Tuple, Union

from multisig.errors import MalformedRpmError
from multisig.namedtuples import NamedTuple
from multisig.subjects.header import (
    INT16,
    INT32,
    INT64,
    SHAPES_KEPT,
    Entries,
    Entry,
    Header,
    Shape,
    pack_integers,
    picker,
    unpacked,
)
from multisig.subjects.structure import FILEINODES, FILEMODES, FILESIZES, LONGFILESIZES, Files
from multisig.subjects.tags import TAGS, Klass

PROFILE = b"multisig manifest rpm/v1\n"

REQUIREFLAGS, REQUIRENAME, REQUIREVERSION = 1048, 1049, 1050

_SIGNED = frozenset(tag.number for tag in TAGS.values() if tag.klass is Klass.SIGNED)
_SIZES = ((FILESIZES, INT32), (LONGFILESIZES, INT64))
# What rpmbuild adds for each compressor (build/pack.c, getIOflags; lib/rpmds.c, rpmlibProvides).
_PAYLOAD_IS = b"rpmlib(PayloadIs"
_PAYLOAD_FEATURES = {
    b"bzip2": (b"rpmlib(PayloadIsBzip2)", b"3.0.5-1"),
    b"xz": (b"rpmlib(PayloadIsXz)", b"5.2-1"),
    b"lzma": (b"rpmlib(PayloadIsLzma)", b"4.4.6-1"),
    b"zstd": (b"rpmlib(PayloadIsZstd)", b"5.4.18-1"),
}
_RPMLIB_SENSE = (1 << 24 | 1 << 1 | 1 << 3).to_bytes(4, "big")  # RPMSENSE_RPMLIB | RPMSENSE_LESS | RPMSENSE_EQUAL


class _Records(NamedTuple):
    """How the manifests of headers of one shape are put together: the places in the header's columns of what is signed,
    in the order of tags, and the text that their counts, lengths and values are put into."""

    counts: Callable[[Sequence[int]], Tuple[int, ...]]
    values: Callable[[Sequence[bytes]], Tuple[bytes, ...]]
    text: bytes


def encode_manifest(entries: Entries, files: Files, compressor: Optional[bytes]) -> bytes:
    """The manifest of a header whose structure has been checked; MalformedRpmError where a replaced value lies."""
    header = entries if isinstance(entries, Header) else Header.of(entries)
    places, counts, values = header.shape.places, list(header.counts), list(header.data)
    requires = REQUIRENAME in places
    if requires and _PAYLOAD_IS in values[places[REQUIRENAME]]:
        requires = _leave_out_payload_feature(places, counts, values, compressor)
    for tag, kind in _SIZES:
        if tag in places:
            values[places[tag]] = _file_sizes(kind, values[places[tag]], values[places[FILEMODES]])
    if files.links:
        values[places[FILEINODES]] = _links(files)
    records = _records(header.shape, bool(files.links), requires)
    signed = records.values(values)
    parts: List[Union[int, bytes]] = [0] * (3 * len(signed))
    parts[0::3] = records.counts(counts)
    parts[1::3] = map(len, signed)
    parts[2::3] = signed
    return records.text % tuple(parts)


@lru_cache(SHAPES_KEPT)
def _records(shape: Shape, linked: bool, requires: bool) -> _Records:
    """``linked``: with hard-link groups; ``requires``: with requirements, other than the one for the compressor."""
    replaced = {FILESIZES, LONGFILESIZES}
    if linked:
        replaced.add(FILEINODES)
    if requires:
        replaced.update((REQUIREFLAGS, REQUIRENAME, REQUIREVERSION))
    tags = sorted(_SIGNED.union(replaced).intersection(shape.tags))
    places = [shape.places[tag] for tag in tags]
    numbers = [number for tag, place in zip(tags, places) for number in (tag, shape.kinds[place])]
    # Formatted twice: with tags and types now, with counts, lengths and values later.
    text = PROFILE + b"%d %d %%d %%d:%%b\n" * len(tags) % tuple(numbers)
    pick = picker(places)
    return _Records(pick, pick, text)


def _file_sizes(kind: int, sizes: bytes, stored_modes: bytes) -> bytes:
    """File sizes with directories as 0: what a directory's own size is depends on the builder's file system."""
    modes = unpacked(INT16, stored_modes)
    if not any(map(stat.S_ISDIR, modes)):
        return sizes
    kept = [0 if stat.S_ISDIR(mode) else size for mode, size in zip(modes, unpacked(kind, sizes))]
    return pack_integers(kind, kept)[2]


def _links(files: Files) -> bytes:
    """Hard-link groups in place of inode numbers: for each file the index of its group's first member."""
    firsts = [files.links[index][0] if index in files.links else index for index in range(len(files.paths))]
    return pack_integers(INT32, firsts)[2]


def _leave_out_payload_feature(
    places: Mapping[int, int], counts: List[int], values: List[bytes], compressor: Optional[bytes]
) -> bool:
    """Take out the requirement that merely names the compressor, which is asserted first; whether others are left."""
    # A NUL before each name: where one begins with the words, and how many stand before it.
    names = b"\0" + values[places[REQUIRENAME]]
    start = names.find(b"\0" + _PAYLOAD_IS)
    if start < 0:
        return True
    end, position = names.index(b"\0", start + 1), names.count(b"\0", 0, start)
    versions, flags = values[places[REQUIREVERSION]].split(b"\0"), values[places[REQUIREFLAGS]]
    found = (names[start + 1 : end], versions.pop(position))
    flag = flags[4 * position : 4 * position + 4]
    expected = _PAYLOAD_FEATURES.get(compressor or b"gzip")
    if found != expected or flag != _RPMLIB_SENSE or b"\0" + _PAYLOAD_IS in names[end:]:
        raise MalformedRpmError(
            "the requirement for the payload's compressor is not the compressor's", tag=REQUIRENAME,
            expected=ascii(expected), got=ascii(found),
        )  # fmt: skip
    values[places[REQUIRENAME]] = names[1 : start + 1] + names[end + 1 :]
    values[places[REQUIREVERSION]] = b"\0".join(versions)
    values[places[REQUIREFLAGS]] = flags[: 4 * position] + flags[4 * position + 4 :]
    for tag in (REQUIRENAME, REQUIREVERSION, REQUIREFLAGS):
        counts[places[tag]] -= 1
    return counts[places[REQUIRENAME]] > 0


def split_records(manifest: bytes) -> Tuple[Tuple[int, Entry], ...]:
    """Take a manifest apart again: (tag, entry) in order. Raises ValueError where it is none."""
    if not manifest.startswith(PROFILE):
        raise ValueError("not a manifest of the profile rpm/v1")
    records: List[Tuple[int, Entry]] = []
    position = len(PROFILE)
    while position < len(manifest):
        colon = manifest.index(b":", position)
        tag, kind, count, length = (int(number) for number in manifest[position:colon].split(b" "))
        end = colon + 1 + length
        if manifest[end : end + 1] != b"\n":
            raise ValueError("a record does not end where it says")
        records.append((tag, (kind, count, manifest[colon + 1 : end])))
        position = end + 1
    return tuple(records)
