# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory tree as a GLEP 74 Manifest (https://www.gentoo.org/glep/glep-0074.html), computed, never read.

One line for every regular file, with no exception but a ``Manifest`` at the top, which must be the computed one.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from contextlib import contextmanager
from typing import Iterator, List, Optional, Tuple

from multisig.errors import MalformedTreeError, UnreadableError
from multisig.namedtuples import NamedTuple
from multisig.statement import Digests, digests_of
from multisig.subjects import Progress
from multisig.subjects.file import hash_file

MANIFEST = "Manifest"
MAX_PATH = 4096
"""Bytes of a path within a tree; what is longer no program could open by it (limits.h, PATH_MAX)."""

# Names that a false Manifest is said to be wrong about, and what is read of it beyond twice the true one.
_SHOWN = 3
_SPARE = 1 << 16


def tree_manifest(path: str, *, progress: Optional[Progress] = None) -> bytes:
    """The Manifest of the tree at ``path``: ``DATA path size SHA256 hex SHA512 hex`` lines, sorted by path as bytes.

    Symbolic links, special files and names that are not UTF-8 are refused, as is a ``Manifest`` at the top that does
    not hold these lines, in whatever order: MalformedTreeError. UnreadableError where something cannot be read.

    What is read lies in the tree, whatever becomes of it meanwhile: every name is opened within the folder that it was
    found in, and no link is followed but ``path`` itself.
    """
    lines: List[Tuple[bytes, bytes]] = []
    own: Optional[int] = None
    top = _open(os.path.join(path, ""), None, os.O_DIRECTORY, path)
    try:
        for found in _files(top, path):
            encoded = _utf8(found.shown, found.inside)
            fd = _open(found.name, found.folder, 0, found.shown)
            if found.inside == MANIFEST:
                own = fd
                continue
            try:
                lines.append((encoded, _line(fd, found, progress)))
            finally:
                os.close(fd)
        manifest = b"".join(line for _, line in sorted(lines))
        if own is not None:
            _check_own(own, manifest, os.path.join(path, MANIFEST))
        return manifest
    finally:
        os.close(top)
        if own is not None:
            os.close(own)


class _File(NamedTuple):
    """A file that was found: its path in the tree, its name in the open folder, its path for people."""

    inside: str
    name: str
    folder: int
    shown: str


def _files(top: int, shown_top: str) -> Iterator[_File]:
    """Everything in the tree but folders.

    Not os.walk or os.fwalk: they pass over in silence what is no folder, and recurse as deep as the folders nest.
    """
    folders = [""]
    while folders:
        inside = folders.pop()
        shown_folder = os.path.join(shown_top, inside)
        with _folder(top, inside, shown_folder) as fd:
            try:
                with os.scandir(fd) as entries:
                    listed = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries]
            except OSError as error:
                raise UnreadableError(f"cannot be read: {error.strerror}", path=shown_folder) from None
            for name, mode in listed:
                below, shown = os.path.join(inside, name), os.path.join(shown_folder, name)
                if len(_utf8(shown, below)) > MAX_PATH:
                    raise MalformedTreeError("has a path that is too long", path=shown, expected=f"{MAX_PATH} bytes")
                if stat.S_ISDIR(mode):
                    folders.append(below)
                elif stat.S_ISREG(mode):
                    yield _File(below, name, fd, shown)
                else:
                    kind = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
                    raise MalformedTreeError(f"is {kind}; a tree holds regular files and folders alone", path=shown)


@contextmanager
def _folder(top: int, inside: str, shown: str) -> Iterator[int]:
    """The folder of that path in the tree, opened name by name: none of them can have become a link out of it."""
    fd = os.dup(top)
    try:
        for name in inside.split("/") if inside else ():
            below = _open(name, fd, os.O_DIRECTORY, shown)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _check_own(fd: int, manifest: bytes, path: str) -> None:
    """The Manifest that lies in the tree must say what was found: each line once, in whatever order."""
    limit = 2 * len(manifest) + _SPARE
    found = _bytes(fd, limit, path)
    if len(found) == len(manifest) and sorted(found.split(b"\n")) == sorted(manifest.split(b"\n")):
        return
    said, true = set(found.split(b"\n")), set(manifest.split(b"\n"))
    odd = sorted({line.split(b" ")[1].decode("utf-8", "replace") for line in true ^ said if line.count(b" ") > 1})
    text = "is not the Manifest of this tree; remove it, or see what was changed"
    if odd and len(found) < limit:
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        text += f": {', '.join(odd[:_SHOWN])}{more}"
    raise MalformedTreeError(text, path=path)


def _bytes(fd: int, limit: int, path: str) -> bytes:
    parts: List[bytes] = []
    left = limit
    try:
        while left and (part := os.read(fd, left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None
    return b"".join(parts)


def manifest_digests(manifest: bytes) -> Digests:
    """The digests that name a tree: those of its Manifest."""
    return digests_of(manifest)


def escape_path(path: str) -> str:
    r"""A path as a Manifest writes it: backslash, white space, control characters as \xHH up to U+007F, else \uHHHH."""
    return "".join(_escaped(char) if char == "\\" or char.isspace() or _is_control(char) else char for char in path)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc"


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0x7F else f"\\u{code:04X}"


def _line(fd: int, found: _File, progress: Optional[Progress]) -> bytes:
    size, digests = hash_file(fd, path=found.shown, progress=progress)
    return f"DATA {escape_path(found.inside)} {size} SHA256 {digests.sha256} SHA512 {digests.sha512}\n".encode()


def _open(name: str, folder: Optional[int], flags: int, shown: str) -> int:
    """Open within an open folder, never through a link; a folder if ``flags`` say so, a regular file otherwise."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags, dir_fd=folder)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=shown) from None
    if not flags and not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise MalformedTreeError("was replaced while the tree was read", path=shown)
    return fd


def _utf8(shown: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedTreeError("has a name that is not UTF-8", path=ascii(shown)) from None
