# SPDX-License-Identifier: GPL-2.0-or-later
"""What a path on the command line is: an RPM, a file or a tree."""

from __future__ import annotations

import os
from typing import Optional

from multisig.bundle import SUFFIX
from multisig.files import open_regular
from multisig.statement import Kind

_LEAD_MAGIC = b"\xed\xab\xee\xdb"


def kind_of(path: str, forced: Optional[str]) -> Kind:
    """A directory is a tree, a file with the RPM lead or called *.rpm an RPM, any other a file. Raises UnreadableError."""
    if forced is not None:
        return Kind[forced.upper()]
    if os.path.isdir(path):
        return Kind.TREE
    fd = open_regular(path)
    try:
        is_rpm = os.pread(fd, len(_LEAD_MAGIC), 0) == _LEAD_MAGIC
    finally:
        os.close(fd)
    return Kind.RPM if is_rpm or path.endswith(".rpm") else Kind.FILE


def base_name(path: str) -> str:
    return os.path.basename(os.path.abspath(path))


def bundle_path(path: str) -> str:
    """Where the bundle of a file or folder lies: beside it."""
    return os.path.join(os.path.dirname(os.path.abspath(path)), base_name(path) + SUFFIX)
