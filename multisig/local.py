# SPDX-License-Identifier: GPL-2.0-or-later
"""The evidence that a local file brings along: the bundle beside it, and, in an RPM, the one that it carries."""

from __future__ import annotations

import os
from typing import Optional

from multisig import bundle as bundles
from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.errors import BundleError, MalformedRpmError, UnreadableError
from multisig.files import open_regular, read_if_there
from multisig.held import Find


def find_local(path: str, *, beside: Optional[bytes] = None) -> Find:
    """What lies beside the RPM at ``path`` and in it; ``beside`` where that bundle has been read already.

    Each adds to the other: what is wrong with the embedded one is a note, and no more, and an RPM that cannot be opened
    brings nothing. Raises UnreadableError where what lies beside it is there and cannot be read.
    """
    raw = read_if_there(path + SUFFIX, MAX_BUNDLE) if beside is None else beside
    try:
        fd = open_regular(path)
    except UnreadableError:
        return Find(bundle=raw)
    try:
        embedded = find_embedded(fd)
    finally:
        os.close(fd)
    return Find(bundle=raw, attestations=embedded.attestations, notes=embedded.notes)


def find_embedded(fd: int) -> Find:
    """What the RPM at ``fd`` carries. Raises UnreadableError where the disk fails."""
    from multisig.subjects.embedded import read_embedded

    try:
        data = read_embedded(fd)
        return Find() if data is None else Find(attestations=bundles.parse(data).attestations)
    except (MalformedRpmError, BundleError) as error:
        return Find(notes=(f"the embedded bundle: {error.message}",))
