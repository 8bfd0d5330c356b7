# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig gather."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Dict, Sequence

from multisig.bundle import SUFFIX, encode
from multisig.cli.merge import say
from multisig.cli.subject import hush_librpm
from multisig.errors import UnreadableError, UsageError
from multisig.files import locked, write_whole
from multisig.gathering import Gathered, Gatherer, report
from multisig.text import plain


def run(options: argparse.Namespace) -> int:
    """0 what evidence there is for the RPMs lies in the folder."""
    hush_librpm()
    gatherer = Gatherer(options.places)
    gathered = gatherer.gather(options.rpms)
    _check_names(gathered)
    try:
        os.makedirs(options.output, exist_ok=True)
    except OSError as error:
        raise UnreadableError(f"cannot be made: {error.strerror}", path=options.output) from None
    found = [item for item in gathered if item.found.bundle.attestations]
    for item in found:
        path = os.path.join(options.output, os.path.basename(item.path) + SUFFIX)
        with locked(path):
            write_whole(path, encode(item.found.bundle), alone=True)
    say(gatherer.dropped)
    report(gathered, lambda text: print(f"multisig: {plain(text)}", file=sys.stderr))
    print(f"{options.output}: evidence for {len(found)} of {len(gathered)} packages")
    return 0


def _check_names(gathered: Sequence[Gathered]) -> None:
    """A bundle is found by its file's name. Raises UsageError where two packages would have one of the same name."""
    packages: Dict[str, Gathered] = {}
    for item in gathered:
        other = packages.setdefault(os.path.basename(item.path), item)
        if other.name != item.name:
            raise UsageError(
                f"{other.name} and {item.name} lie in files of the same name, and so would what is gathered for them; "
                "gather for each into a folder of its own",
                path=item.path,
            )
