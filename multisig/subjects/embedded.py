# SPDX-License-Identifier: GPL-2.0-or-later
"""A bundle that an RPM carries itself: in its signature header, which is signed by nobody and which rpm may extend.

rpm takes from the signature header the tags that it knows, and no others (lib/package.c, headerMergeLegacySigs), so
one that it does not know changes nothing that it does. The lead and the signature header are written anew; the header
and the payload stay byte for byte, and so does all that any digest or signature of a package is over.
"""

from __future__ import annotations

import struct
from typing import List, Optional, Tuple

from multisig.bundle import MAX_BUNDLE
from multisig.errors import MalformedRpmError, UnreadableError
from multisig.namedtuples import NamedTuple
from multisig.subjects import RPM_LEAD
from multisig.subjects.framing import HEADER_MAGIC, LEAD_SIZE, MAX_SIGNATURE_DATA, MAX_SIGNATURE_TAGS, exactly
from multisig.subjects.header import BIN

BUNDLE_TAG = 0x6D736967
"""The tag, "msig" in ASCII: far from all that rpm numbers (rpmtag.h; none is over 5,200), and a positive int32."""

_SIGNATURES = 62  # rpmtag.h, RPMTAG_HEADERSIGNATURES: the region of a signature header
_PRELUDE = struct.Struct(">4s4xII")
_INDEX = struct.Struct(">IIII")
_TRAILER = struct.Struct(">IIiI")
_Entry = Tuple[int, int, int, int]  # tag, type, offset, count


class _Header(NamedTuple):
    """A signature header: its entries, their data, and where the file goes on after its padding."""

    entries: List[_Entry]
    data: bytes
    end: int


def read_embedded(fd: int) -> Optional[bytes]:
    """The bundle in the RPM at ``fd``, 1 to bundle.MAX_BUNDLE bytes that are not looked into; None where there is none.

    Raises MalformedRpmError where there is no signature header, or a tag that cannot be a bundle; UnreadableError
    where the disk fails.
    """
    header = _read(fd)
    found = [entry for entry in header.entries if entry[0] == BUNDLE_TAG]
    if not found:
        return None
    if len(found) > 1:
        raise MalformedRpmError("the embedded bundle stands in the signature header twice", tag=BUNDLE_TAG)
    _, kind, offset, count = found[0]
    if kind != BIN or not 1 <= count <= MAX_BUNDLE or offset + count > len(header.data):
        raise MalformedRpmError("the embedded bundle has another type or an impossible length", tag=BUNDLE_TAG)
    return header.data[offset : offset + count]


def with_bundle(fd: int, bundle: bytes) -> Tuple[bytes, int]:
    """How the RPM at ``fd`` has to begin to carry ``bundle`` (1 to bundle.MAX_BUNDLE bytes) in place of one that it may
    carry, and the position in the file from which on the rest of it is to follow unchanged.

    Steps: 1. The signature header is one region, as rpmbuild and rpmsign write it. 2. A bundle that is there, which is
    the last of its data, goes. 3. The new one is added, and the region is closed over it. Raises MalformedRpmError
    where the header is of another shape, UnreadableError where the disk fails.
    """
    if not 1 <= len(bundle) <= MAX_BUNDLE:
        raise ValueError("no bundle of such a size can be embedded")
    header = _read(fd)
    entries, data = _without_region(header)
    if entries and entries[-1][0] == BUNDLE_TAG:
        data = data[: entries.pop()[2]]
    entries.append((BUNDLE_TAG, BIN, len(data), len(bundle)))
    data += bundle
    count = len(entries) + 1
    if count > MAX_SIGNATURE_TAGS or len(data) + _TRAILER.size > MAX_SIGNATURE_DATA:
        raise MalformedRpmError("the signature header has no room for a bundle")
    entries.insert(0, (_SIGNATURES, BIN, len(data), _TRAILER.size))
    data += _TRAILER.pack(_SIGNATURES, BIN, -_INDEX.size * count, _TRAILER.size)
    index = b"".join(_INDEX.pack(*entry) for entry in entries)
    lead = exactly(fd, 0, LEAD_SIZE)
    return lead + _PRELUDE.pack(HEADER_MAGIC, count, len(data)) + index + data + bytes(-len(data) % 8), header.end


def _without_region(header: _Header) -> Tuple[List[_Entry], bytes]:
    """The entries of a header that is one region, and their data without the region's trailer (lib/header.c,
    hdrblobVerifyRegion)."""
    trailer = (_SIGNATURES, BIN, -_INDEX.size * len(header.entries), _TRAILER.size)
    end = len(header.data) - _TRAILER.size
    if (
        not header.entries
        or header.entries[0] != (_SIGNATURES, BIN, end, _TRAILER.size)
        or _TRAILER.unpack(header.data[end:]) != trailer
    ):
        raise MalformedRpmError("the signature header is not one region; a bundle can be embedded into no other")
    entries = header.entries[1:]
    tags = [entry[0] for entry in entries]
    if len(set(tags)) != len(tags) or _SIGNATURES in tags or any(entry[2] >= end for entry in entries):
        raise MalformedRpmError("the signature header holds a tag twice, or one without data")
    if BUNDLE_TAG in tags:
        # In place of taking headers apart: rpm sorts by tag what it writes, and so this is the last one.
        tag, kind, offset, count = entries[-1]
        if tag != BUNDLE_TAG or kind != BIN or offset + count != end or max(entry[2] for entry in entries) != offset:
            raise MalformedRpmError("the embedded bundle is not the last of the signature header", tag=BUNDLE_TAG)
    return entries, header.data[:end]


def _read(fd: int) -> _Header:
    try:
        start = exactly(fd, 0, LEAD_SIZE + _PRELUDE.size)
        magic, count, size = _PRELUDE.unpack(start[LEAD_SIZE:])
        if not start.startswith(RPM_LEAD) or magic != HEADER_MAGIC:
            raise MalformedRpmError("does not begin with a lead and a signature header")
        if count > MAX_SIGNATURE_TAGS or size > MAX_SIGNATURE_DATA:
            raise MalformedRpmError("the signature header is too large")
        blob = exactly(fd, len(start), _INDEX.size * count + size)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    entries = list(_INDEX.iter_unpack(blob[: _INDEX.size * count]))
    return _Header(entries, blob[_INDEX.size * count :], len(start) + len(blob) + -size % 8)
