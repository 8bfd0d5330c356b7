# SPDX-License-Identifier: GPL-2.0-or-later
"""What dnf is about to remove because a package that comes in obsoletes it: whether that package says so itself.

dnf goes by the repository's metadata, which whoever runs a mirror can write: with one line they could have any package
taken away, this plugin too, by the next upgrade to something that is properly signed.
"""

from __future__ import annotations

import os
from typing import Iterable, List, Sequence

import dnf
import libdnf.transaction
import rpm

from multisig.files import open_regular
from multisig.subjects.obsoletes import is_obsoleted, read_obsoletes


def unfounded(base: "dnf.Base", paths: Iterable[str]) -> Sequence["dnf.package.Package"]:
    """The installed packages that dnf's transaction removes as obsoleted, and that the headers of the packages at
    ``paths``, all that come in, do not obsolete. Raises UnreadableError, and MalformedRpmError for what is no
    package."""
    obsoleted = libdnf.transaction.TransactionItemAction_OBSOLETED
    announced = [item.pkg for item in base.transaction if item.action == obsoleted]
    if not announced:
        return ()
    relations = [relation for path in paths for relation in _obsoletes(path)]
    return [handle for handle in announced if not is_obsoleted(handle.name, handle.evr, relations)]


def _obsoletes(path: str) -> List["rpm.ds"]:
    fd = open_regular(path)
    try:
        return read_obsoletes(fd)
    finally:
        os.close(fd)
