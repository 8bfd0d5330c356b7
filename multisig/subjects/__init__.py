# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be approved: RPMs by content, files and trees by digest. Each module reads one kind of thing."""

from typing import Callable

# How every RPM package file begins (rpm, lib/rpmlead.c).
RPM_LEAD = b"\xed\xab\xee\xdb"

Progress = Callable[[int], None]
"""Told, from whatever thread does the work, how many more bytes are done."""
