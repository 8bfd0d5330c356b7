# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository's metadata by createrepo_c, made aside and put in place so that clients see the old or the new, whole.

createrepo_c itself moves the old ``repodata`` away before it moves the new one in, and removes the old files: a client
that has just read the old repomd.xml finds nothing. Here the new files come to lie beside the old ones, under names
that hold their checksums; then repomd.xml is replaced; and what the repomd.xml before that named stays for one more
round.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import List, Sequence

from multisig.errors import ToolError, UnreadableError, UsageError
from multisig.files import read_bounded, read_if_there, sync_directory, write_whole

REPODATA, REPOMD = "repodata", "repomd.xml"
MAX_REPOMD = 4 << 20
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_TIMEOUT = 3600
# As createrepo_c and modifyrepo_c name files: the checksum, a hyphen, the type.
_UNIQUE_NAME = re.compile(r"[0-9a-f]{32,128}-[^/]+\Z")


def build_metadata(repo: str, aside: str) -> str:
    """Make the metadata of the packages below ``repo`` in the empty folder ``aside``; the path of the new repodata.

    Groups, updates and other records of the metadata that are there are kept. Raises ToolError where
    createrepo_c fails.
    """
    made = os.path.join(aside, REPODATA)
    before = os.path.join(repo, REPODATA)
    try:
        if os.path.lexists(os.path.join(before, REPOMD)):
            # What --update reads, and --keep-all-metadata keeps.
            shutil.copytree(before, made, symlinks=True, copy_function=_link_or_copy)
    except (OSError, shutil.Error) as error:
        raise UnreadableError(f"cannot be copied: {error}", path=before) from None
    options = ["--quiet", "--update", "--keep-all-metadata", "--error-exit-val", "--no-database"]
    run_tool(
        "createrepo_c",
        [*options, "--outputdir", os.path.abspath(aside), os.path.abspath(repo)],
        package="createrepo-c (Debian), createrepo_c (Fedora)",
    )
    return made


def install_metadata(made: str, repo: str) -> None:
    """Put the files of the folder ``made`` in place of those of ``repo``; ``made`` is used up.

    The steps, each of which may be the last: 1. New files are moved in; a file of that name that is there already has
    the same content, where the name holds its checksum, or is none of createrepo_c's and stays. 2. repomd.xml is
    replaced. 3. Files that neither it nor its predecessor names are removed.
    """
    target = os.path.join(repo, REPODATA)
    try:
        os.makedirs(target, exist_ok=True)
        before = read_if_there(os.path.join(target, REPOMD), MAX_REPOMD) or b""
        after = read_bounded(os.path.join(made, REPOMD), MAX_REPOMD)
        names = sorted(os.listdir(made))
        for name in names:
            if name != REPOMD and not os.path.lexists(os.path.join(target, name)):
                _sync(os.path.join(made, name))
                os.replace(os.path.join(made, name), os.path.join(target, name))
        sync_directory(target)
        write_whole(os.path.join(target, REPOMD), after, alone=True)
        for name in os.listdir(target):
            if _UNIQUE_NAME.match(name) and name.encode() not in before and name.encode() not in after:
                os.unlink(os.path.join(target, name))
    except OSError as error:
        raise UnreadableError(f"the metadata cannot be put in place: {error}", path=target) from None


def run_tool(program: str, arguments: Sequence[str], *, package: str) -> str:
    """Run a program of the system in a clean environment; what it printed.

    Raises UsageError where it cannot be run to its end, ToolError where it then says that it failed.
    """
    path = shutil.which(program, path=_ENVIRONMENT["PATH"])
    if path is None:
        raise UsageError(f"{program} is not installed; it is in the package {package}")
    command: List[str] = [path, *arguments]
    try:
        done = subprocess.run(
            command, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{program} did not end within {_TIMEOUT // 60} minutes") from None
    except OSError as error:
        raise UsageError(f"{program} could not be started: {error.strerror}") from None
    said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
    if done.returncode != 0:
        raise ToolError(f"{program} failed with exit code {done.returncode}: {said.splitlines()[-1] if said else '-'}")
    return said


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
