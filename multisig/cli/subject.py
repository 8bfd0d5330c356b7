# SPDX-License-Identifier: GPL-2.0-or-later
"""What a path on the command line is: an RPM, a file or a tree."""

from __future__ import annotations

import contextlib
import os
from typing import Optional

from multisig.errors import MultisigError, UnreadableError
from multisig.files import open_regular
from multisig.statement import Kind
from multisig.subjects import RPM_LEAD
from multisig.subjects.rpmlib import librpm


def kind_of(path: str, forced: Optional[str]) -> Kind:
    """A directory is a tree, a file with the RPM lead or called *.rpm an RPM, any other a file; or UnreadableError."""
    if forced is not None:
        return Kind[forced.upper()]
    if os.path.isdir(path):
        return Kind.TREE
    fd = open_regular(path)
    try:
        is_rpm = os.pread(fd, len(RPM_LEAD), 0) == RPM_LEAD
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None
    finally:
        os.close(fd)
    return Kind.RPM if is_rpm or path.endswith(".rpm") else Kind.FILE


def bytes_to_read(path: str, forced: Optional[str]) -> int:
    """About how many bytes judging or signing a path takes to read, for a progress bar; 0 where that fails."""
    try:
        kind = kind_of(path, forced)
        if kind is Kind.TREE:
            walk = os.walk(path)
            return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in walk for name in names)
        # An RPM's payload is hashed as it is, and then decompressed.
        return os.stat(path).st_size * (2 if kind is Kind.RPM else 1)
    except (MultisigError, OSError):
        return 0


def base_name(path: str) -> str:
    return os.path.basename(os.path.abspath(path))


def hush_librpm() -> None:
    """librpm has words of its own for a broken package, on the error output; the exception says it in one line."""
    with contextlib.suppress(UnreadableError):
        rpm = librpm()
        rpm.setVerbosity(rpm.RPMLOG_CRIT)
