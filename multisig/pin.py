# SPDX-License-Identifier: GPL-2.0-or-later
"""Pins a file: after this, what was verified is what rpm opens.

rpm opens a package by name again when it installs it. A file that nobody but root (or the user who runs dnf) could
change or replace is used where it lies. Of any other a private copy is made that has no name at all, and is opened
through this process's descriptor; nobody else can write to it, and it vanishes with the process.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Dict, FrozenSet, List, Tuple

from multisig.errors import UnreadableError
from multisig.namedtuples import NamedTuple

# File systems on which ownership and mode bits are this kernel's own word. On others (NFS, CIFS, FUSE, FAT …) a
# server or a user's process may change a file whatever the bits say.
LOCAL_FILE_SYSTEMS: FrozenSet[str] = frozenset(
    {"bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "overlay", "ramfs", "reiserfs",
     "squashfs", "tmpfs", "udf", "xfs", "zfs"}
)  # fmt: skip
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_COPY = 1 << 24
_SPARE_DESCRIPTORS = 64


class Pinned(NamedTuple):
    """An open, pinned file. ``fd`` is for reading; ``path`` is what rpm must be told to open."""

    fd: int
    path: str
    copied: bool

    def close(self) -> None:
        """Close the descriptor; a private copy is gone then, and ``path`` with it."""
        os.close(self.fd)


class Pinner:
    """Pins the files of one transaction. ``copies`` is a directory for private copies, on a disk with room."""

    def __init__(self, copies: str, *, user: int, mounts: str = "/proc/self/mountinfo") -> None:
        self._copies = copies
        self._trusted = frozenset({0, user})
        self._mounts = _mounted(mounts)
        self._safe_directories: Dict[str, bool] = {}

    def pin(self, path: str) -> Pinned:
        """Open the regular file at ``path`` and pin it; raises UnreadableError where that cannot be done."""
        real = os.path.realpath(path)
        fd = -1
        try:
            fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise UnreadableError("is not a regular file", path=path)
            if self.is_safe(real, fd):
                return Pinned(fd, real, False)
            copy = self._copy(fd, path)
            os.close(fd)
            return Pinned(copy, f"/proc/self/fd/{copy}", True)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None
        except UnreadableError:
            os.close(fd)
            raise

    def is_safe(self, real: str, fd: int) -> bool:
        """Whether only root, or the user who runs this, could change or replace the file at this resolved path.

        Every directory on the way is held to the same. A sticky directory (as /tmp) that others may write to is no
        danger to an entry that is not theirs. Named-user ACLs show in the group bits (acl(5), the mask).
        """
        status = os.fstat(fd)
        if self._file_system(real, status.st_dev) not in LOCAL_FILE_SYSTEMS:
            return False
        if status.st_uid not in self._trusted or status.st_mode & _OTHERS_MAY_WRITE:
            return False
        # The last comes last: now that nobody else could have it otherwise, the path still names what was opened.
        return self._is_safe_directory(os.path.dirname(real)) and os.path.samestat(os.lstat(real), status)

    def _file_system(self, real: str, device: int) -> str:
        """The type of the file system that holds the file; "" where that cannot be told."""
        for mounted, _, kind in self._mounts:
            if mounted == device:
                return kind
        # Files of a btrfs subvolume have a device number of their own, which no mount shows.
        above = [mount for mount in self._mounts if os.path.commonpath([mount[1], real]) == mount[1]]
        kind = max(above, key=lambda mount: len(mount[1]), default=(0, "", ""))[2]
        return kind if kind == "btrfs" else ""

    def _is_safe_directory(self, directory: str) -> bool:
        # Asked once for each: a directory found safe can only be made unsafe by those it is safe from others for.
        if directory not in self._safe_directories:
            status = os.lstat(directory)
            writable = status.st_mode & _OTHERS_MAY_WRITE and not status.st_mode & stat.S_ISVTX
            safe = stat.S_ISDIR(status.st_mode) and status.st_uid in self._trusted and not writable
            parent = os.path.dirname(directory)
            self._safe_directories[directory] = safe and (parent == directory or self._is_safe_directory(parent))
        return self._safe_directories[directory]

    def _copy(self, source: int, path: str) -> int:
        _allow_descriptors()
        size = os.fstat(source).st_size
        try:
            # Without a name from the start, so that there is no moment in which another could open it.
            copy = os.open(self._copies, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            import tempfile

            with tempfile.TemporaryFile(dir=self._copies) as unnamed:
                copy = os.dup(unnamed.fileno())
        try:
            left = size
            while left:
                data = os.read(source, min(_COPY, left))
                if not data:
                    raise UnreadableError("shrinks while it is read", path=path)
                left -= len(data)
                view = memoryview(data)
                while view:
                    view = view[os.write(copy, view) :]
            if not os.path.exists(f"/proc/self/fd/{copy}"):
                raise UnreadableError(
                    "lies where others could replace it, and /proc, needed for a copy, is not mounted", path=path
                )
            os.lseek(copy, 0, os.SEEK_SET)
        except BaseException:
            os.close(copy)
            raise
        return copy


def _mounted(mounts: str) -> List[Tuple[int, str, str]]:
    """Device number, mount point and file system type of each mount (proc(5), mountinfo), the latest first.

    Empty, so that nothing is safe, where it cannot be read.
    """
    found = []
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields = line.split(" ")
                major, _, minor = fields[2].partition(":")
                point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
                found.append((os.makedev(int(major), int(minor)), point, fields[fields.index("-") + 1]))
    except (OSError, ValueError, IndexError):
        return []
    return found[::-1]


def _allow_descriptors() -> None:
    """Each private copy keeps a descriptor open: lift the soft limit when it comes near."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    if soft - in_use < _SPARE_DESCRIPTORS and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft * 2, 1024)), hard))
