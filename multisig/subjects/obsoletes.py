# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package obsoletes by its own header, which people signed; whoever else says so may say anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, List

from multisig.subjects.rpm import librpm_region
from multisig.subjects.rpmlib import librpm

if TYPE_CHECKING:
    import rpm


def read_obsoletes(fd: int) -> List["rpm.ds"]:
    """By the immutable region of the header of the RPM at ``fd``; signatures are not looked at.

    Raises MalformedRpmError for what is no package.
    """
    module = librpm()
    found = module.ds(module.hdr(librpm_region(fd)), module.RPMTAG_OBSOLETENAME)
    return [module.ds((one.N(), one.Flags(), one.EVR()), module.RPMTAG_OBSOLETENAME) for one in found]


def is_obsoleted(name: str, evr: str, relations: Iterable["rpm.ds"]) -> bool:
    """Whether an installed package is; ``evr``: [EPOCH:]VERSION-RELEASE. By its own name, not by what it provides (rpm,
    lib/depends.c)."""
    module = librpm()
    itself = module.ds((name, module.RPMSENSE_EQUAL, evr), module.RPMTAG_PROVIDENAME)
    return any(relation.Compare(itself) for relation in relations)
