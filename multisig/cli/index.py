# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig index."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial

from multisig.cli.merge import say
from multisig.cli.progress import progress
from multisig.cli.subject import hush_librpm
from multisig.errors import IndexFormatError, MetadataError
from multisig.files import locked
from multisig.indexing import count_files, gather, put_index
from multisig.text import plain


def run(options: argparse.Namespace) -> int:
    """0 the repository's evidence is in its metadata."""
    hush_librpm()
    with locked(os.path.join(options.repository, "repodata")):
        with progress("indexing", partial(count_files, options.repository)) as bar:
            gathered = gather(options.repository, progress=bar)
        try:
            written = put_index(options.repository, gathered.attestations, now=int(time.time()))
        except (IndexFormatError, MetadataError) as error:
            raise error.at(options.repository) from None
    say(gathered.dropped)
    for warning in written.warnings:
        print(f"multisig: warning: {plain(warning)}", file=sys.stderr)
    statements = _number(len({item.statement for item in gathered.attestations}), "statement")
    state = "indexed" if written.changed else "the index is up to date:"
    print(f"{state} {statements} of {_number(gathered.bundles, 'bundle')} in {_number(written.size, 'byte')}")
    if written.first:
        print("createrepo_c drops the index unless it is run with --update --keep-all-metadata: run this after it")
    return 0


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
