# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig extract."""

from __future__ import annotations

import argparse
import os

from multisig.cli.bundles import bundle_path, extend_bundle
from multisig.cli.embed import embedded_bundle
from multisig.cli.progress import remark
from multisig.errors import UsageError
from multisig.files import locked, open_regular


def run(options: argparse.Namespace) -> int:
    """Put the bundle that a package carries into a file; one that is there gains by it."""
    output = bundle_path(options.path) if options.output is None else options.output
    fd = open_regular(options.path)
    try:
        content = embedded_bundle(fd, options.path)
    finally:
        os.close(fd)
    if content is None:
        raise UsageError("carries no bundle", path=options.path)
    with locked(output):
        extend_bundle(output, [content])
    remark(f"the signatures are in {output}")
    return 0
