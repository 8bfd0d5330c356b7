# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed, by rpm's own database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator, Optional, Tuple

from multisig.errors import MalformedRpmError, UnreadableError
from multisig.subjects.rpm import RpmSubject, read_installed
from multisig.subjects.rpmlib import librpm
from multisig.subjects.signatures import HeaderSignatures, installed_signatures

if TYPE_CHECKING:
    import rpm

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _OBSOLETENAME = 1000, 1001, 1002, 1003, 1022, 1090  # rpmtag.h
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
    return sum(package[_NAME] != _KEYS for package in _headers(root))


def read_all_installed(root: str) -> Iterator[Installed]:
    """Every package that is installed below ``root``; raises UnreadableError where there is no database."""
    for package in _headers(root):
        if package[_NAME] != _KEYS:
            yield _installed(package)


def _headers(root: str) -> "Iterator[rpm.hdr]":
    if not os.path.isdir(root):
        raise UnreadableError("is no folder", path=root)
    module = librpm()
    try:
        yield from module.TransactionSet(root, module._RPMVSF_NOSIGNATURES | module._RPMVSF_NODIGESTS).dbMatch()
    except module.error as error:
        raise UnreadableError(f"rpm's database cannot be read: {error}", path=root) from None


def _installed(package: "rpm.hdr") -> Installed:
    name = str(package[_NAME])
    version, release, arch = (package[tag] for tag in (_VERSION, _RELEASE, _ARCH))
    nevra = f"{name}-{package[_EPOCH] or 0}:{version}-{release}.{arch}"
    obsoletes = tuple(str(item) for item in package[_OBSOLETENAME] or ())
    signatures = installed_signatures(package)
    try:
        return Installed(nevra, name, obsoletes, read_installed(package), None, signatures)
    except MalformedRpmError as error:
        return Installed(nevra, name, obsoletes, None, error, signatures)
