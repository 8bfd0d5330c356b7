# SPDX-License-Identifier: GPL-2.0-or-later
"""How an RPM file is put together: a lead, a signature header, a header, a payload (librpm, lib/package.c)."""

LEAD_SIZE = 96
HEADER_MAGIC = b"\x8e\xad\xe8\x01"

MAX_SIGNATURE_TAGS = 32
MAX_SIGNATURE_DATA = 16 << 20
