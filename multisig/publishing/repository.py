# SPDX-License-Identifier: GPL-2.0-or-later
"""The repository that is published to: what is in it, and putting something into it so that nobody sees half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from multisig.bundle import MAX_BUNDLE, SUFFIX, Bundle, encode
from multisig.errors import MalformedRpmError, UnreadableError
from multisig.files import locked, open_regular, read_bounded, read_if_there, sync_directory, walk, write_whole
from multisig.publishing.createrepo import REPODATA, REPOMD
from multisig.statement import Digests, statement_id
from multisig.subjects.rpm import read_identity, read_rpm

BATCHES = "batches"
"""The folder of statements that are too long to lie beside each package that they name, one in each bundle."""

ASIDE = ".multisig"
"""Where things are made before they are put in place. Nothing in it is called *.rpm or *.msig, so nobody takes it for a
part of the repository."""

UNFINISHED = "unfinished"
"""A file in ASIDE: while it is there, the metadata may not be those of the packages."""

_COPY = 1 << 20


def file_name(nevra: str) -> str:
    """How the file of NAME-EPOCH:VERSION-RELEASE.ARCH is called: the epoch is no part of it."""
    name, _, rest = nevra.partition(":")
    return f"{name.rpartition('-')[0]}-{rest}.rpm"


def _file_paths(nevra: str) -> Tuple[str, str]:
    """Where the file of a package may lie, below the repository: the second is for one whose name another epoch has."""
    epoch = nevra.partition(":")[0].rpartition("-")[2]
    return file_name(nevra), os.path.join(f"epoch-{epoch}", file_name(nevra))


class Repository:
    """The folder ``path``, to be used within ``opened`` only."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.aside = os.path.join(path, ASIDE)
        self.changed = False
        self._files: Dict[str, List[str]] = {}
        self._names: Dict[str, str] = {}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the repository's lock; the folder is made where it is not there.

        What an earlier run left behind is cleared away; where it had begun to change something, the metadata count as
        changed.
        """
        if not os.path.lexists(self.path):
            self._call(os.mkdir, self.path)
        with locked(self.aside):
            unfinished = os.path.lexists(os.path.join(self.aside, UNFINISHED))
            self.changed = unfinished or not os.path.lexists(os.path.join(self.path, REPODATA, REPOMD))
            if os.path.lexists(self.aside):
                self._clear()
            self._files, self._names = {}, {}
            for name, path in sorted(self._walk()):
                self._files.setdefault(name, []).append(path)
            yield

    def finished(self) -> None:
        """The metadata are those of the packages."""
        if os.path.lexists(self.aside):
            self._clear()
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.aside, UNFINISHED))
            self._call(os.rmdir, self.aside)
        self.changed = False

    def workspace(self) -> str:
        """The folder to make things in, none of which is in the repository yet."""
        if not os.path.lexists(self.aside):
            self._call(os.mkdir, self.aside)
        return self.aside

    def change(self) -> None:
        """To be called before anything is changed that clients see."""
        mark = os.path.join(self.workspace(), UNFINISHED)
        if not os.path.lexists(mark):
            write_whole(mark, b"", alone=True)
            self._call(sync_directory, self.path)
        self.changed = True

    def fresh_folder(self) -> str:
        """An empty folder to make metadata in, under a name that no run before this one has used."""
        try:
            return tempfile.mkdtemp(prefix="metadata-", dir=self.workspace())
        except OSError as error:
            raise UnreadableError(f"cannot be written to: {error.strerror}", path=self.aside) from None

    def may_hold(self, nevra: str) -> bool:
        """Whether a file is there that is called as that package's would be; no header is read."""
        return file_name(nevra) in self._files

    def find(self, nevra: str) -> Optional[str]:
        """The path of the published file of that package, which is what its header says; None where there is none."""
        return next((path for path in self._files.get(file_name(nevra), ()) if self._name(path) == nevra), None)

    def room(self, nevra: str) -> Optional[str]:
        """The path at which that package's file can be put; None where other files have every name that it may have."""
        taken = self._files.get(file_name(nevra), ())
        paths = (os.path.join(self.path, place) for place in _file_paths(nevra))
        return next((path for path in paths if path not in taken), None)

    def _name(self, path: str) -> str:
        if path not in self._names:
            fd = open_regular(path)
            try:
                identity = read_identity(fd)
            finally:
                os.close(fd)
            # What is not even that much of a package has nobody's name.
            self._names[path] = "" if identity is None else identity.nevra
        return self._names[path]

    def digests(self, path: str) -> Optional[Digests]:
        """The content of the package at a path that ``find`` gave; None where it is one that cannot be approved, which
        was put there by another way. Raises UnreadableError."""
        fd = open_regular(path)
        try:
            return read_rpm(fd, path=path).digests
        except MalformedRpmError:
            return None
        finally:
            os.close(fd)

    def bundle(self, path: str) -> Optional[bytes]:
        """The bundle beside a published file."""
        return read_if_there(path + SUFFIX, MAX_BUNDLE)

    def batches(self) -> Iterator[Tuple[str, bytes]]:
        """The paths and contents of the bundles in BATCHES."""
        folder = os.path.join(self.path, BATCHES)
        names: List[str] = []
        with suppress(FileNotFoundError):
            names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX) and not name.startswith("."))
        for name in names:
            path = os.path.join(folder, name)
            yield path, read_bounded(path, MAX_BUNDLE)

    def write_bundle(self, path: str, content: Bundle) -> bool:
        """Put a bundle beside a file at ``path``, there already or yet to come; whether that changed anything."""
        return self._write(path + SUFFIX, content)

    def write_batch(self, content: Bundle) -> bool:
        """Keep the one statement of a bundle in BATCHES; whether that changed anything."""
        name = statement_id(content.attestations[0].statement) + SUFFIX
        return self._write(os.path.join(self.path, BATCHES, name), content)

    def _write(self, path: str, content: Bundle) -> bool:
        data = encode(content)
        if read_if_there(path, MAX_BUNDLE) == data:
            return False
        self.change()
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise UnreadableError(f"cannot be made: {error.strerror}", path=os.path.dirname(path)) from None
        if os.path.dirname(path) == os.path.normpath(self.path):
            write_whole(path, data, alone=True)
        else:
            with locked(path):
                write_whole(path, data, alone=True)
        return True

    def place(self, made: str, path: str, content: Bundle) -> None:
        """Give the finished file ``made`` the name ``path``, which ``room`` gave, and no other file's; its bundle comes
        first."""
        self.change()
        folder = os.path.dirname(path)
        if folder != os.path.normpath(self.path):
            self._call(_folder, folder)
            self._call(sync_directory, self.path)
        if content.attestations:
            self.write_bundle(path, content)
        try:
            os.link(made, path)
            os.unlink(made)
            sync_directory(folder)
        except OSError as error:
            raise UnreadableError(f"cannot be put in place: {error.strerror}", path=path) from None
        self._files.setdefault(os.path.basename(path), []).append(path)

    def copy(self, fd: int, name: str, limit: int) -> Tuple[int, str]:
        """A synced copy of the file at ``fd`` that nobody else writes to: a descriptor to read it by, and its path.

        Of what is longer than ``limit`` bytes no more than that is copied, and what somebody appends meanwhile not.
        """
        path = os.path.join(self.workspace(), f"{name}.part")
        copy = -1
        try:
            copy = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            with os.fdopen(copy, "wb", closefd=False) as stream:
                for data in _chunks(fd, min(limit, os.fstat(fd).st_size)):
                    stream.write(data)
            os.fchmod(copy, 0o644)
            os.fsync(copy)
        except OSError as error:
            if copy >= 0:
                os.close(copy)
            raise UnreadableError(f"cannot be copied: {error.strerror}", path=path) from None
        return copy, path

    def discard(self, path: str) -> None:
        """Remove a copy; one that has been put in place is not there any more."""
        if os.path.lexists(path):
            self._call(os.unlink, path)

    def _clear(self) -> None:
        """Empty the folder ASIDE, but for what says that the metadata are not finished."""
        try:
            for name in os.listdir(self.aside):
                if name == UNFINISHED:
                    continue
                path = os.path.join(self.aside, name)
                if os.path.isdir(path) and not os.path.islink(path):
                    # A createrepo_c that outlived its parent may still be writing there, by the old name.
                    dead = tempfile.mkdtemp(prefix="dead-", dir=self.aside)
                    os.rename(path, dead)
                    shutil.rmtree(dead)
                else:
                    os.unlink(path)
        except OSError as error:
            raise UnreadableError(f"cannot be emptied: {error.strerror}", path=self.aside) from None

    def _call(self, action: Callable[[str], None], path: str) -> None:
        try:
            action(path)
        except OSError as error:
            raise UnreadableError(f"cannot be written to: {error.strerror}", path=path) from None

    def _walk(self) -> Iterator[Tuple[str, str]]:
        """File names and paths of the packages that are there."""
        for folder, names in walk(self.path, without=(REPODATA,)):
            for name in names:
                if name.endswith(".rpm") and not name.startswith("."):
                    yield name, os.path.join(folder, name)


def _folder(path: str) -> None:
    os.makedirs(path, exist_ok=True)


def _chunks(fd: int, size: int) -> Iterator[bytes]:
    position = 0
    while position < size:
        data = os.pread(fd, min(_COPY, size - position), position)
        if not data:
            return
        position += len(data)
        yield data
