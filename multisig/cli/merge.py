# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig merge."""

from __future__ import annotations

import argparse

from multisig.cli.bundles import extend_bundle, read_bundle
from multisig.files import locked


def run(options: argparse.Namespace) -> int:
    bundles = [read_bundle(path) for path in options.inputs]
    with locked(options.output):
        extend_bundle(options.output, bundles)
    return 0
