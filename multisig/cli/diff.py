# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig diff."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, List, Mapping

from multisig.cli.progress import Bar, progress
from multisig.cli.subject import base_name, bytes_to_read
from multisig.errors import MultisigError, UsageError
from multisig.files import open_regular
from multisig.text import plain

if TYPE_CHECKING:
    from multisig.subjects.places import Opened

_DEEP_TIMEOUT = 3600
# What diffoscope goes by: where its helpers are, where it may write, and how to decode names.
_DEEP_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "XDG_CACHE_HOME")


def run(options: argparse.Namespace) -> int:
    """0 the same content, 1 different."""
    # Imported here, so that an error can be answered in JSON where librpm's module is what is missing.
    from multisig.cli import diffjson, difftext
    from multisig.subjects.compare import compare
    from multisig.subjects.places import first_places

    if options.deep and options.json:
        raise UsageError("--deep and --json do not go together: diffoscope's report is a text")
    diffoscope = _diffoscope() if options.deep else None
    paths = (options.a, options.b)
    with ExitStack() as stack:
        sizes = [partial(bytes_to_read, path, "file") for path in paths]
        with progress("comparing", lambda: 2 * sum(size() for size in sizes)) as bar:
            a, b = (_open(stack, path, bar) for path in paths)
        comparison = compare(a.subject, b.subject)
        with progress("looking for what differs", lambda: 2 * sizes[0]() + sizes[1]()) as bar:
            places = first_places(a, b, comparison.changed_files, progress=bar)
    if options.json:
        print(diffjson.answer(a, b, comparison, places))
    else:
        for line in difftext.lines_of(a, b, comparison, places):
            print(line)
        if diffoscope is not None and not comparison.same:
            _deep(diffoscope, options.a, options.b)
    return 0 if comparison.same else 1


def error_json(error: MultisigError) -> str:
    """The answer where they could not be compared."""
    failure = {"code": error.code, "message": str(error)}
    return json.dumps({"same": False, "error": failure, "a": None, "b": None, "differences": [], "ignored": []})


def _open(stack: ExitStack, path: str, bar: Bar) -> "Opened":
    """A package whose payload has been proven: without that, equal headers would say nothing about the files."""
    from multisig.subjects.payload import hash_payload, prove_payload
    from multisig.subjects.places import Opened
    from multisig.subjects.rpm import read_rpm

    fd = open_regular(path)
    stack.callback(os.close, fd)
    subject = read_rpm(fd, path=path)
    with bar.part(f"checking {base_name(path)}", partial(bytes_to_read, path, "rpm")) as advance:
        hash_payload(fd, subject, path=path, progress=advance)
        prove_payload(fd, subject, path=path, progress=advance)
    return Opened(fd, subject, path)


def _diffoscope() -> str:
    found = shutil.which("diffoscope")
    if found is None:
        raise UsageError(
            "--deep needs diffoscope, which is not installed; try: apt install diffoscope-minimal, or: dnf install "
            "diffoscope"
        )
    return found


def _deep(program: str, *paths: str) -> None:
    """Print what diffoscope says of two files; UsageError where it fails."""
    environment = {name: os.environ[name] for name in _DEEP_ENVIRONMENT if name in os.environ}
    # Absolute paths cannot be taken for options.
    command: List[str] = [program, "--text", "-", *map(os.path.abspath, paths)]
    with tempfile.TemporaryFile() as output:
        failure = _run(command, environment, output.fileno())
        output.seek(0)
        for line in output:
            print("\t".join(plain(part) for part in line.decode("utf-8", "replace").rstrip("\n").split("\t")))
    if failure:
        raise UsageError(f"diffoscope {failure}")


def _run(command: List[str], environment: Mapping[str, str], output: int) -> str:
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            timeout=_DEEP_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {_DEEP_TIMEOUT // 60} minutes"
    except OSError as error:
        return f"could not be started: {error.strerror}"
    # As diff: 0 the same (it may look at less than it is given), 1 different.
    return "" if done.returncode in (0, 1) else f"failed with exit code {done.returncode}"
