# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading files within bounds, and writing them whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from typing import BinaryIO, Callable, Collection, Iterator, List, Optional, Tuple

from multisig.errors import UnreadableError

LOCK = ".multisig.lock"


def open_regular(path: str) -> int:
    """A descriptor of a regular file, for reading. A FIFO or device is refused instead of waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"cannot be opened: {_reason(error)}", path=path) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnreadableError("is not a regular file", path=path)
    return fd


def read_bounded(path: str, limit: int) -> bytes:
    """The file's bytes, at most ``limit`` and one more (so that the caller sees what is too long)."""
    fd = open_regular(path)
    try:
        parts = []
        left = limit + 1
        while left:
            part = os.read(fd, left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {_reason(error)}", path=path) from None
    finally:
        os.close(fd)


def chunks(
    fd: int, start: int = 0, *, size: int = 1 << 20, progress: Optional[Callable[[int], None]] = None
) -> Iterator[bytes]:
    """The file at ``fd`` from ``start`` to its end, in pieces of at most ``size`` bytes; its position does not matter.

    ``progress`` is told of the bytes of each piece once that has been used. Raises OSError.
    """
    while True:
        data = os.pread(fd, size, start)
        if not data:
            return
        yield data
        start += len(data)
        if progress is not None:
            progress(len(data))


def read_if_there(path: str, limit: int) -> Optional[bytes]:
    """As read_bounded, but None where there is no such file."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
    except ValueError:
        return None
    return read_bounded(path, limit)


def write_whole(path: str, data: bytes, *, mode: int = 0o644, alone: bool = False) -> None:
    """Write to a temporary name beside ``path``, sync, rename: readers see the old file or the new one, whole.

    ``alone`` says that nobody else writes there meanwhile (see ``locked``): the temporary file is then called the same
    every time, so that processes that were killed leave one behind at most, and the next one takes it away.

    Raises UnreadableError; the old file is untouched then, and the temporary one gone.
    """
    _write(path, data, mode, alone=alone, new=False)


def write_new(path: str, data: bytes, *, mode: int = 0o644) -> None:
    """As write_whole, but only where there is nothing of that name yet: UnreadableError otherwise, however it comes."""
    _write(path, data, mode, alone=False, new=True)


def _write(path: str, data: bytes, mode: int, *, alone: bool, new: bool) -> None:
    with replacing(path, mode=mode, alone=alone, new=new) as stream:
        stream.write(data)


@contextmanager
def replacing(path: str, *, mode: int = 0o644, alone: bool = False, new: bool = False) -> Iterator[BinaryIO]:
    """As write_whole (``new``: as write_new), for what is written piece by piece to the stream, and may be read again.

    It is put in place at the end of the ``with``. What is raised within leaves the old file untouched.
    """
    directory, name = os.path.split(os.path.abspath(path))
    temporary = None
    try:
        fd, temporary = (
            _temporary_alone(directory, name) if alone else tempfile.mkstemp(prefix=f".{name[:50]}.", dir=directory)
        )
        with os.fdopen(fd, "w+b") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        if new:
            # A link, unlike a rename, never replaces what is there.
            os.link(temporary, path)
        else:
            os.replace(temporary, path)
            temporary = None
        sync_directory(directory)
    except OSError as error:
        raise UnreadableError(f"cannot be written: {_reason(error)}", path=path) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def walk(top: str, *, hidden: bool = False, without: Collection[str] = ()) -> Iterator[Tuple[str, List[str]]]:
    """Each folder from ``top`` down, with the names of what lies in it and is no folder; in one order, without links.

    Passed over are folders of a name in ``without`` and, unless ``hidden``, those whose names begin with a dot. Raises
    UnreadableError where a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise UnreadableError(f"cannot be read: {_reason(error)}", path=error.filename)

    for folder, folders, names in os.walk(top, onerror=fail):
        folders[:] = sorted(name for name in folders if name not in without and (hidden or not name.startswith(".")))
        yield folder, sorted(names)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of the directory that ``path`` lies in, for reading, changing and writing a file there.

    The lock is a file that only those can open who may write there. A directory itself could be locked by everybody
    who may read it, for ever (flock(2)); that is done where everybody may write as well. Raises UnreadableError.
    """
    directory = os.path.dirname(os.path.abspath(path))
    try:
        status = os.stat(directory)
        shared = bool(status.st_mode & stat.S_IWOTH)
        fd = _locked_directory(directory) if shared else _locked_file(directory, status)
    except OSError as error:
        raise UnreadableError(f"cannot be locked: {_reason(error)}", path=error.filename or directory) from None
    try:
        yield
    finally:
        try:
            if not shared:
                with suppress(OSError):
                    os.unlink(os.path.join(directory, LOCK))
        finally:
            os.close(fd)


def _locked_directory(directory: str) -> int:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return _flocked(fd)


def _locked_file(directory: str, status: os.stat_result) -> int:
    """Whoever has had the lock removes the file: what is locked counts only as long as it has its name."""
    path = os.path.join(directory, LOCK)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # somebody else has made it
            os.fchown(fd, status.st_uid if os.geteuid() == 0 else -1, status.st_gid)
            os.fchmod(fd, 0o660 if status.st_mode & stat.S_IWGRP else 0o600)
        _flocked(fd)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd)):
                return fd
        os.close(fd)


def _flocked(fd: int) -> int:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _temporary_alone(directory: str, name: str) -> Tuple[int, str]:
    # Never the file that is there: in a folder that others write to it may be a link to anything.
    path = os.path.join(directory, f".{name[:50]}.part")
    with suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path


def sync_directory(directory: str) -> None:
    """Make what was created, renamed or removed in a directory outlive a loss of power. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
