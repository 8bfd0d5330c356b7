# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed, by rpm's own database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

import rpm

from multisig.errors import MalformedRpmError, UnreadableError
from multisig.subjects.rpm import RpmSubject, read_installed
from multisig.subjects.signatures import HeaderSignatures, installed_signatures

_KEYS = "gpg-pubkey"  # rpm keeps the keys that it trusts as packages that are none


@dataclass(frozen=True)
class Installed:
    """One package. ``subject`` is its content, or ``problem`` says why it has none by the profile."""

    nevra: str
    name: str
    obsoletes: Tuple[str, ...]
    subject: Optional[RpmSubject]
    problem: Optional[MalformedRpmError]
    signatures: HeaderSignatures


def count_installed(root: str) -> int:
    """How many packages ``read_all_installed`` will give; or UnreadableError."""
    return sum(package[rpm.RPMTAG_NAME] != _KEYS for package in _headers(root))


def read_all_installed(root: str) -> Iterator[Installed]:
    """Every package that is installed below ``root``; raises UnreadableError where there is no database."""
    for package in _headers(root):
        if package[rpm.RPMTAG_NAME] != _KEYS:
            yield _installed(package)


def _headers(root: str) -> "Iterator[rpm.hdr]":
    if not os.path.isdir(root):
        raise UnreadableError("is no folder", path=root)
    try:
        yield from rpm.TransactionSet(root, rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS).dbMatch()
    except rpm.error as error:
        raise UnreadableError(f"rpm's database cannot be read: {error}", path=root) from None


def _installed(package: "rpm.hdr") -> Installed:
    name = str(package[rpm.RPMTAG_NAME])
    version, release, arch = (package[tag] for tag in (rpm.RPMTAG_VERSION, rpm.RPMTAG_RELEASE, rpm.RPMTAG_ARCH))
    nevra = f"{name}-{package[rpm.RPMTAG_EPOCH] or 0}:{version}-{release}.{arch}"
    obsoletes = tuple(str(item) for item in package[rpm.RPMTAG_OBSOLETENAME] or ())
    signatures = installed_signatures(package)
    try:
        return Installed(nevra, name, obsoletes, read_installed(package), None, signatures)
    except MalformedRpmError as error:
        return Installed(nevra, name, obsoletes, None, error, signatures)
