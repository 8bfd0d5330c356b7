# SPDX-License-Identifier: GPL-2.0-or-later
"""What dnf is about to remove because a package that comes in obsoletes it: whether that package says so itself.

dnf goes by the repository's metadata, which whoever runs a mirror can write: with one line they could have any package
taken away, this plugin too, by the next upgrade to something that is properly signed.
"""

from __future__ import annotations

from typing import Iterable, List, Sequence

import dnf
import libdnf.transaction
import rpm


def unfounded(base: "dnf.Base", paths: Iterable[str]) -> Sequence["dnf.package.Package"]:
    """The installed packages that dnf's transaction removes as obsoleted, and that the headers of the packages at
    ``paths``, all that come in, do not obsolete. Raises OSError, and rpm.error for what is no package."""
    obsoleted = libdnf.transaction.TransactionItemAction_OBSOLETED
    announced = [item.pkg for item in base.transaction if item.action == obsoleted]
    if not announced:
        return ()
    relations = [relation for path in paths for relation in _obsoletes(path)]
    return [handle for handle in announced if not any(relation.Compare(_itself(handle)) for relation in relations)]


def _obsoletes(path: str) -> List["rpm.ds"]:
    """What a package obsoletes by the immutable region of its header; signatures were looked at before."""
    reader = rpm.TransactionSet()
    reader.setVSFlags(rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS)
    with open(path, "rb") as file:
        header = reader.hdrFromFdno(file.fileno())
    found = rpm.ds(rpm.hdr(header[rpm.RPMTAG_HEADERIMMUTABLE]), rpm.RPMTAG_OBSOLETENAME)
    return [rpm.ds((one.N(), one.Flags(), one.EVR()), rpm.RPMTAG_OBSOLETENAME) for one in found]


def _itself(handle: "dnf.package.Package") -> "rpm.ds":
    """An installed package as what obsoletes are compared with: its own name, not what it provides (rpm, depends.c)."""
    return rpm.ds((handle.name, rpm.RPMSENSE_EQUAL, handle.evr), rpm.RPMTAG_PROVIDENAME)
