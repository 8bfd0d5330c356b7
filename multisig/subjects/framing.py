# SPDX-License-Identifier: GPL-2.0-or-later
"""How an RPM file is put together: a lead, a signature header, a header, a payload (librpm, lib/package.c)."""

from __future__ import annotations

import os

from multisig.errors import MalformedRpmError

LEAD_SIZE = 96
HEADER_MAGIC = b"\x8e\xad\xe8\x01"

MAX_SIGNATURE_TAGS = 32
MAX_SIGNATURE_DATA = 16 << 20


def exactly(fd: int, offset: int, size: int) -> bytes:
    """``size`` bytes of the file at ``fd``, within its signature header; MalformedRpmError where it ends before."""
    data = b""
    while len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise MalformedRpmError("the file is truncated within its signature header")
        data += more
    return data
