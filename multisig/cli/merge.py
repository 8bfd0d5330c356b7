# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig merge."""

from __future__ import annotations

import argparse
import os

from multisig import bundle
from multisig.errors import BundleError
from multisig.files import locked, read_bounded, write_whole


def run(options: argparse.Namespace) -> int:
    output = options.output
    with locked(output):
        # What lies at OUT.msig already stays: merging only ever adds.
        paths = [*options.inputs, output] if os.path.lexists(output) else options.inputs
        try:
            data = bundle.encode(bundle.merge([_read(path) for path in paths]))
        except BundleError as error:
            raise error.at(output) from None
        write_whole(output, data)
    return 0


def _read(path: str) -> bundle.Bundle:
    try:
        return bundle.parse(read_bounded(path, bundle.MAX_BUNDLE))
    except BundleError as error:
        raise error.at(path) from None
