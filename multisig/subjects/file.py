# SPDX-License-Identifier: GPL-2.0-or-later
"""Digests of a whole file, in one pass."""

from __future__ import annotations

import hashlib
import os
from typing import Optional, Tuple

from multisig.errors import UnreadableError
from multisig.statement import Digests
from multisig.subjects import Progress

_READ = 1 << 20


def hash_file(fd: int, *, path: str = "", progress: Optional[Progress] = None) -> Tuple[int, Digests]:
    """The size in bytes and the digests of the file at ``fd``; ``progress`` is told how many bytes each step read.

    Raises UnreadableError where the disk fails.
    """
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    size = 0
    try:
        while True:
            data = os.pread(fd, _READ, size)
            if not data:
                return size, Digests(sha256.hexdigest(), sha512.hexdigest())
            sha256.update(data)
            sha512.update(data)
            size += len(data)
            if progress is not None:
                progress(len(data))
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path or None) from None
