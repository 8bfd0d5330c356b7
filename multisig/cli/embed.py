# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig embed."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
from typing import Optional

from multisig import bundle as bundles
from multisig.bundle import Bundle
from multisig.cli.bundles import bundle_path, read_bundle
from multisig.cli.progress import remark
from multisig.cli.subject import hush_librpm
from multisig.errors import BundleError, MalformedRpmError, UsageError
from multisig.files import locked, open_regular, replacing
from multisig.subjects.embedded import read_embedded, with_bundle
from multisig.subjects.rpm import read_rpm


def run(options: argparse.Namespace) -> int:
    hush_librpm()
    path = options.path
    given = bundle_path(path) if options.bundle is None else options.bundle
    if options.bundle is None and not os.path.lexists(given):
        raise UsageError("there is no bundle beside the package to embed; --bundle names another", path=given)
    content = read_bundle(given)
    output = path if options.output is None else options.output
    with locked(output):
        fd = open_regular(path)
        try:
            # One that verification would refuse anyhow is left alone.
            read_rpm(fd, path=path)
            _write(fd, path, _united(fd, path, content), output)
        finally:
            os.close(fd)
    remark(f"{output} carries the signatures now")
    return 0


def _united(fd: int, path: str, content: Bundle) -> bytes:
    """The bundle with what the package carries already: embedding again only ever adds."""
    before = embedded_bundle(fd, path)
    try:
        return bundles.encode(bundles.merge([content] if before is None else [content, before]))
    except BundleError as error:
        raise error.at(path) from None


def embedded_bundle(fd: int, path: str) -> Optional[Bundle]:
    """The bundle in a package, None where there is none; MalformedRpmError or BundleError where it is malformed."""
    try:
        data = read_embedded(fd)
        return None if data is None else bundles.parse(data)
    except (MalformedRpmError, BundleError) as error:
        raise error.at(path) from None


def _write(fd: int, path: str, data: bytes, output: str) -> None:
    """Write the package with the bundle in it beside ``output``, look at it again, and put it in place."""
    try:
        beginning, rest = with_bundle(fd, data)
    except MalformedRpmError as error:
        raise error.at(path) from None
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    with replacing(output, mode=mode) as stream, os.fdopen(os.dup(fd), "rb") as source:
        stream.write(beginning)
        source.seek(rest)
        shutil.copyfileobj(source, stream, 1 << 20)
        stream.flush()
        _check(fd, stream.fileno(), data, path)


def _check(original: int, copy: int, data: bytes, path: str) -> None:
    """What was written is the same package to everybody who does not look for the bundle."""
    before, after = read_rpm(original), read_rpm(copy)
    sizes = [os.fstat(fd).st_size - item.payload_offset for fd, item in ((original, before), (copy, after))]
    if before.region != after.region or sizes[0] != sizes[1] or read_embedded(copy) != data:
        raise MalformedRpmError("does not come out of embedding as it went in; nothing was written", path=path)
