# SPDX-License-Identifier: GPL-2.0-or-later
"""What one program has judged and hands on to the librpm plugin in the same transaction, so that it need not again.

A rule that names repositories can only be judged by who knows them: dnf's plugin does, librpm's does not. So dnf's
leaves word of each file that it approved, for the process that runs librpm, and for it alone. An approval names no
file: it is for one header, in one inode, unchanged since. It is good once: taking the approvals of a process removes
them.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import FrozenSet, Iterable, Optional

from multisig.errors import UnreadableError
from multisig.files import write_whole
from multisig.namedtuples import NamedTuple
from multisig.subjects.rpm import header_digest

_MAX_SIZE = 16 << 20


class Approved(NamedTuple):
    """``header``: hex SHA-256 of the file's header, magic included; then st_dev, st_ino, and st_ctime_ns."""

    header: str
    device: int
    inode: int
    changed: int


def identify(fd: int) -> Optional[Approved]:
    """What the RPM file at ``fd`` is, as of now; None where it has no header that rpm accepts."""
    status = os.fstat(fd)
    digest = header_digest(fd)
    return None if digest is None else Approved(digest, status.st_dev, status.st_ino, status.st_ctime_ns)


def grant(directory: str, approved: Iterable[Approved], *, process: int) -> None:
    """Leave approvals for the process that runs librpm, in place of any before; raises UnreadableError."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnreadableError(f"cannot be made: {error.strerror}", path=directory) from None
    if not _is_private(os.lstat(directory), stat.S_IFDIR):
        raise UnreadableError("is not a folder of this user's alone", path=directory)
    path = _path(directory, process)
    if path is None:
        raise UnreadableError("there is no such process", path=f"/proc/{process}")
    write_whole(path, json.dumps(list(approved)).encode("ascii"), mode=0o600)


def revoke(directory: str, *, process: int) -> None:
    """Take back what is left of the approvals for a process, if anything is."""
    path = _path(directory, process)
    if path is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)


def take(directory: str, *, process: int) -> FrozenSet[Approved]:
    """The approvals for the process, which are gone afterwards; none where there is anything odd about them."""
    path = _path(directory, process)
    if path is None:
        return frozenset()
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return frozenset()
    try:
        name = os.path.basename(path)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(fd, "rb") as stream:
            if not _is_private(os.fstat(folder), stat.S_IFDIR) or not _is_private(os.fstat(fd), stat.S_IFREG):
                return frozenset()
            # Before it is read: whatever happens from here on, nobody takes it a second time.
            os.unlink(name, dir_fd=folder)
            return _parsed(stream.read(_MAX_SIZE + 1))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    finally:
        os.close(folder)


def _parsed(data: bytes) -> FrozenSet[Approved]:
    """Raises ValueError where the bytes are not what ``grant`` writes."""
    if len(data) > _MAX_SIZE:
        raise ValueError("too large")
    items = json.loads(data.decode("ascii"))
    if not isinstance(items, list):
        raise ValueError("not a list of approvals")
    return frozenset(_approved(item) for item in items)


def _approved(item: object) -> Approved:
    if not isinstance(item, list) or [type(field) for field in item] != [str, int, int, int]:
        raise ValueError("not an approval")
    return Approved(*item)


def _is_private(status: os.stat_result, kind: int) -> bool:
    """Whether it is of this kind, of this user, and nobody else may do anything with it."""
    mode = status.st_mode
    return stat.S_IFMT(mode) == kind and status.st_uid == os.geteuid() and not stat.S_IMODE(mode) & 0o077


def _path(directory: str, process: int) -> Optional[str]:
    """Where approvals for a process lie. Its start belongs to the name: numbers of processes come round again."""
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            # proc(5): the second field is the program's name in parentheses, any name; starttime is the 22nd.
            started = int(stream.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    return os.path.join(directory, f"{process}-{started}")
