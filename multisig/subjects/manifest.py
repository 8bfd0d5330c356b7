# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest: the canonical bytes that describe an RPM's content, profile rpm/v1 (docs/rpm-v1.md). Pure.

One record a tag, in ascending order: ``TAG TYPE COUNT LENGTH:VALUE`` and a newline, all numbers decimal, VALUE the
LENGTH bytes of the tag's data as the header stores them. Every part says how long it is, so no two contents share a
manifest. What cannot change what gets installed is left out; what varies between equal builds is replaced.
"""

from __future__ import annotations

import stat
from typing import List, Optional, Tuple

from multisig.errors import MalformedRpmError
from multisig.subjects.header import INT32, STRING_ARRAY, Entries, Entry, integers, pack_integers, strings
from multisig.subjects.structure import FILEINODES, FILEMODES, FILESIZES, LONGFILESIZES, Files
from multisig.subjects.tags import TAGS, Klass

PROFILE = b"multisig manifest rpm/v1\n"

REQUIREFLAGS, REQUIRENAME, REQUIREVERSION = 1048, 1049, 1050

_SIGNED = frozenset(tag.number for tag in TAGS.values() if tag.klass is Klass.SIGNED)
# What rpmbuild adds for each compressor (build/pack.c, getIOflags; lib/rpmds.c, rpmlibProvides).
_PAYLOAD_IS = b"rpmlib(PayloadIs"
_PAYLOAD_FEATURES = {
    b"bzip2": (b"rpmlib(PayloadIsBzip2)", b"3.0.5-1"),
    b"xz": (b"rpmlib(PayloadIsXz)", b"5.2-1"),
    b"lzma": (b"rpmlib(PayloadIsLzma)", b"4.4.6-1"),
    b"zstd": (b"rpmlib(PayloadIsZstd)", b"5.4.18-1"),
}
_RPMLIB_SENSE = 1 << 24 | 1 << 1 | 1 << 3  # RPMSENSE_RPMLIB | RPMSENSE_LESS | RPMSENSE_EQUAL


def encode_manifest(entries: Entries, files: Files, compressor: Optional[bytes]) -> bytes:
    """The manifest of a header whose structure has been checked; MalformedRpmError where a replaced value lies."""
    replaced = _without_payload_feature(entries, compressor)
    replaced.update(_sizes(entries))
    if files.links:
        replaced[FILEINODES] = _links(files)
    parts: List[bytes] = [PROFILE]
    for tag in sorted(_SIGNED.intersection(entries).union(replaced)):
        kind, count, value = replaced.get(tag) or entries[tag]
        parts.append(b"%d %d %d %d:%b\n" % (tag, kind, count, len(value), value))
    return b"".join(parts)


def _sizes(entries: Entries) -> Entries:
    """File sizes with directories as 0: what a directory's own size is depends on the builder's file system."""
    for tag in (FILESIZES, LONGFILESIZES):
        if tag in entries:
            modes = integers(entries[FILEMODES])
            sizes = integers(entries[tag])
            kept = [0 if stat.S_ISDIR(mode) else size for mode, size in zip(modes, sizes)]
            return {tag: pack_integers(entries[tag][0], kept)}
    return {}


def _links(files: Files) -> Entry:
    """Hard-link groups in place of inode and device numbers: for each file the index of its group's first member."""
    return pack_integers(
        INT32, [files.links[index][0] if index in files.links else index for index in range(len(files.paths))]
    )


def _without_payload_feature(entries: Entries, compressor: Optional[bytes]) -> Entries:
    """The requirements without the one that merely names the compressor, which is asserted first."""
    triple = {tag: entries[tag] for tag in (REQUIREFLAGS, REQUIRENAME, REQUIREVERSION) if tag in entries}
    if REQUIRENAME not in entries or _PAYLOAD_IS not in entries[REQUIRENAME][2]:
        return triple
    names, versions = strings(entries[REQUIRENAME]), strings(entries[REQUIREVERSION])
    flags = list(integers(entries[REQUIREFLAGS]))
    positions = [position for position, name in enumerate(names) if name.startswith(_PAYLOAD_IS)]
    if not positions:
        return triple
    position = positions[0]
    expected = _PAYLOAD_FEATURES.get(compressor or b"gzip")
    if len(positions) > 1 or (names[position], versions[position]) != expected or flags[position] != _RPMLIB_SENSE:
        raise MalformedRpmError(
            "the requirement for the payload's compressor is not the compressor's", tag=REQUIRENAME,
            expected=ascii(expected), got=ascii((names[position], versions[position])),
        )  # fmt: skip
    del names[position], versions[position], flags[position]
    if not names:
        return {}
    triple[REQUIRENAME] = _array(names)
    triple[REQUIREVERSION] = _array(versions)
    triple[REQUIREFLAGS] = pack_integers(INT32, flags)
    return triple


def _array(values: List[bytes]) -> Entry:
    return (STRING_ARRAY, len(values), b"\0".join(values) + b"\0")


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
