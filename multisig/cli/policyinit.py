# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy init."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from typing import Callable, List, Optional, Tuple

from multisig import paths
from multisig.errors import UnreadableError, UsageError
from multisig.files import read_bounded, read_if_there, write_new
from multisig.openpgp.keyfiles import MAX_FILE
from multisig.policyinit import Draft, draft
from multisig.text import counted, plain
from multisig.vendorkeys import Repository

#: Of the system at a root, by another dnf.conf where one is given: its repositories by id, and dnf's warnings.
ReadRepositories = Callable[[str, Optional[str]], Tuple[Tuple[Repository, ...], Tuple[str, ...]]]


def run(options: argparse.Namespace) -> int:
    """Write a first policy and its keys, where there is none yet; what is there already is never changed."""
    policy = policy_path(options.policy, options.root)
    if os.path.lexists(policy):
        raise UsageError("there is a policy already, and it stays as it is; move it away for a new one", path=policy)
    repositories, said = _reader()(options.root, options.config)
    for line in said:
        print(f"multisig: dnf: {plain(line)}", file=sys.stderr)
    drafted = draft(repositories, lambda path: _read(path, options.root), int(time.time()))
    _write(policy, drafted)
    print("\n".join(plain(line) for line in _told(policy, drafted)))
    return 0


def _reader() -> ReadRepositories:
    """dnf 4's own reading of its configuration, or dnf 5's where dnf 4's library is not there; they find the same."""
    reasons = []
    for module in ("multisig.dnf4.repositories", "multisig.dnf5.repositories"):
        try:
            read: ReadRepositories = importlib.import_module(module).read_repositories
            return read
        except ImportError as error:
            reasons.append(str(error))
    raise UsageError(
        "policy init reads dnf's repositories by the library of dnf 4 or of dnf 5, and neither can be used here:"
        f" {'; '.join(reasons)}; install python3-dnf or python3-libdnf5"
    )


def policy_path(policy: str, root: str) -> str:
    """Where the policy goes: the usual place is that of the system at ``root``."""
    return os.path.join(root, policy.lstrip("/")) if policy == paths.POLICY else policy


def _read(path: str, root: str) -> bytes:
    """A key file: that of the system at ``root``, or else this one's, which dnf itself takes."""
    inside = os.path.join(root, path.lstrip("/"))
    return read_bounded(inside if os.path.exists(inside) else path, MAX_FILE)


def _write(policy: str, drafted: Draft) -> None:
    """The keys first, the policy last: it is there only when all that it names is."""
    folder = os.path.dirname(os.path.abspath(policy))
    files = {os.path.join(folder, name): content for name, content in drafted.keys.items()}
    there = {path: read_if_there(path, MAX_FILE) for path in files}
    for path, content in there.items():
        if content is not None and content != files[path]:
            raise UsageError("there is another file of this name, and it stays as it is; move it away", path=path)
    try:
        os.makedirs(os.path.join(folder, "keys") if files else folder, mode=0o755, exist_ok=True)
    except OSError as error:
        raise UnreadableError(f"cannot be made: {error.strerror}", path=folder) from None
    for path, content in files.items():
        if there[path] is None:
            write_new(path, content)
    write_new(policy, drafted.text)


def _told(policy: str, drafted: Draft) -> List[str]:
    lines = [f"{policy}: written, with {counted(len(drafted.keys), 'key')} beside it"]
    if drafted.checked:
        lines.append(f"by their own keys: {', '.join(drafted.checked)}")
    lines += [f"exempt until {drafted.until}: {id}: {reason}" for id, reason in drafted.exempt]
    lines.append(f"exempt until {drafted.until}: RPM files named on the command line")
    lines += [f"note: {note}" for note in drafted.notes]
    lines.append(f"Read it, change what you like, then run: multisig policy check --policy {policy}")
    return lines
