# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig manifest."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from multisig.cli.progress import progress
from multisig.cli.subject import base_name, bytes_to_read, hush_librpm, kind_of
from multisig.errors import UsageError
from multisig.files import open_regular
from multisig.statement import Digests, Kind
from multisig.subjects.tree import manifest_digests, tree_manifest


def run(options: argparse.Namespace) -> int:
    path = options.path
    kind = kind_of(path, None)
    if kind is Kind.FILE:
        raise UsageError("only RPMs and trees have a manifest; a file is named by its own digests", path=path)
    if kind is Kind.TREE:
        with progress(f"reading {base_name(path)}", partial(bytes_to_read, path, None)) as bar:
            manifest = tree_manifest(path, progress=bar)
        digests = manifest_digests(manifest)
    else:
        manifest, digests = _rpm(path)
    if options.digest:
        print(f"sha256:{digests.sha256} sha512:{digests.sha512}")
    else:
        sys.stdout.buffer.write(manifest)
    return 0


def _rpm(path: str) -> "tuple[bytes, Digests]":
    from multisig.subjects.rpm import read_rpm

    hush_librpm()
    fd = open_regular(path)
    try:
        subject = read_rpm(fd, path=path)
        return subject.manifest, subject.digests
    finally:
        os.close(fd)
