# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundle files on the command line: where they lie, and reading them with errors that name them."""

from __future__ import annotations

import os

from multisig import bundle
from multisig.bundle import SUFFIX, Bundle
from multisig.cli.subject import base_name
from multisig.errors import BundleError
from multisig.files import read_bounded, read_if_there, write_whole


def bundle_path(path: str) -> str:
    """Where the bundle of a file or folder lies: beside it."""
    return os.path.join(os.path.dirname(os.path.abspath(path)), base_name(path) + SUFFIX)


def read_bundle(path: str) -> Bundle:
    """Raises UnreadableError, or BundleError where it is malformed."""
    try:
        return bundle.parse(read_bounded(path, bundle.MAX_BUNDLE))
    except BundleError as error:
        raise error.at(path) from None


def write_bundle(path: str, content: Bundle) -> None:
    """Write it, if that changes anything; the caller holds the lock. Raises BundleError where it breaks a limit."""
    try:
        data = bundle.encode(content)
    except BundleError as error:
        raise error.at(path) from None
    if not os.path.islink(path) and read_if_there(path, bundle.MAX_BUNDLE) == data:
        return
    write_whole(path, data, alone=True)


def extend_bundle(path: str, additions: "list[Bundle]") -> None:
    """Write the union of the bundle at ``path``, where there is one, and the additions; the caller holds the lock.

    What lies there already stays: merging only ever adds.
    """
    before = [read_bundle(path)] if os.path.lexists(path) else []
    try:
        union = bundle.merge(additions + before)
    except BundleError as error:
        raise error.at(path) from None
    write_bundle(path, union)
