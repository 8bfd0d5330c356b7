# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory that anybody may have uploaded to: what lies in it is found and opened without following anything.

Whoever can upload may change what is there at any time. So nothing is decided by a path that is not decided again by
the descriptor that it was opened as, and links are not followed in any part of a path.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Iterator, List, Tuple

from multisig.bundle import SUFFIX
from multisig.errors import UnreadableError
from multisig.merging import Dropped

_DEEPEST = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Found:
    """What was uploaded, by paths below the directory, sorted; and what is not taken, by name."""

    rpms: Tuple[str, ...]
    bundles: Tuple[str, ...]
    refused: Tuple[Dropped, ...]


class Uploads:
    """The directory ``top``. Names that begin with a dot are uploads on their way, and left alone."""

    def __init__(self, top: str) -> None:
        self.top = top
        try:
            self._fd = os.open(top, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise UnreadableError(f"cannot be opened: {error.strerror}", path=top) from None

    def close(self) -> None:
        os.close(self._fd)

    def shown(self, path: str) -> str:
        """A path below the directory as people know it."""
        return os.path.join(self.top, path)

    def open(self, path: str) -> int:
        """A descriptor of the regular file at ``path``; UnreadableError for anything else, links above it included."""
        *folders, name = path.split("/")
        here = os.dup(self._fd)
        try:
            for folder in folders:
                below = os.open(folder, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            fd = os.open(name, _FILE, dir_fd=here)
        except OSError as error:
            raise UnreadableError(f"cannot be opened: {error.strerror}", path=self.shown(path)) from None
        finally:
            os.close(here)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise UnreadableError("is not a regular file", path=self.shown(path))
        return fd

    def read(self, path: str, limit: int) -> bytes:
        """The file's bytes, at most ``limit`` and one more."""
        fd = self.open(path)
        try:
            with os.fdopen(fd, "rb") as stream:
                return stream.read(limit + 1)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}", path=self.shown(path)) from None

    def scan(self) -> Found:
        """Everything that is there now. Files that are neither packages nor bundles are nobody's business here."""
        rpms: List[str] = []
        bundles: List[str] = []
        refused: List[Dropped] = []
        for path, mode in self._walk(refused):
            if stat.S_ISREG(mode):
                if path.endswith(SUFFIX):
                    bundles.append(path)
                elif path.endswith(".rpm"):
                    rpms.append(path)
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
                refused.append(Dropped(self.shown(path), "", f"it is {kind}"))
        return Found(tuple(sorted(rpms)), tuple(sorted(bundles)), tuple(refused))

    def _walk(self, refused: List[Dropped]) -> Iterator[Tuple[str, int]]:
        """Paths and modes of all that is no folder."""
        folders = [""]
        while folders:
            inside = folders.pop()
            try:
                entries = self._entries(inside)
            except OSError as error:
                refused.append(Dropped(self.shown(inside), "", f"it cannot be read: {error.strerror}"))
                continue
            for name, mode in entries:
                path = f"{inside}/{name}" if inside else name
                if not name.isprintable():
                    refused.append(Dropped(self.shown(path), "", "it has a name that cannot be printed"))
                elif not stat.S_ISDIR(mode):
                    yield path, mode
                elif path.count("/") < _DEEPEST:
                    folders.append(path)
                else:
                    refused.append(Dropped(self.shown(path), "", "its folders nest too deep"))

    def _entries(self, inside: str) -> List[Tuple[str, int]]:
        here = os.dup(self._fd)
        try:
            for folder in inside.split("/") if inside else ():
                below = os.open(folder, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            found = []
            with os.scandir(here) as entries:
                for entry in entries:
                    # What was renamed or removed by now takes nothing else with it.
                    with suppress(FileNotFoundError):
                        if not entry.name.startswith("."):
                            found.append((entry.name, entry.stat(follow_symlinks=False).st_mode))
            return sorted(found)
        finally:
            os.close(here)
