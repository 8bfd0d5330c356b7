# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory tree as a GLEP 74 Manifest (https://www.gentoo.org/glep/glep-0074.html), computed, never read.

One line for every regular file, with no exception but a ``Manifest`` at the top, which must be the computed one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from typing import Iterator, List, Optional, Tuple

from multisig.errors import MalformedTreeError, UnreadableError
from multisig.statement import Digests
from multisig.subjects import Progress
from multisig.subjects.file import hash_file

MANIFEST = "Manifest"


def tree_manifest(path: str, *, progress: Optional[Progress] = None) -> bytes:
    """The Manifest of the tree at ``path``: ``DATA path size SHA256 hex SHA512 hex`` lines, sorted by path as bytes.

    Symbolic links, special files and names that are not UTF-8 are refused, as is a ``Manifest`` at the top that says
    otherwise: MalformedTreeError. UnreadableError where something cannot be read.
    """
    lines: List[Tuple[bytes, bytes]] = []
    own: Optional[Digests] = None
    for inside, shown in _files(path):
        encoded = _utf8(shown, inside)
        fd = _open(shown, 0)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise MalformedTreeError("was replaced while the tree was read", path=shown)
            if inside == MANIFEST:
                own = hash_file(fd, path=shown, progress=progress)[1]
            else:
                lines.append((encoded, _line(fd, inside, shown, progress)))
        finally:
            os.close(fd)
    manifest = b"".join(line for _, line in sorted(lines))
    if own is not None and own != manifest_digests(manifest):
        raise MalformedTreeError(
            "is not the Manifest of this tree; remove it, or see what was changed", path=os.path.join(path, MANIFEST)
        )
    return manifest


def _files(top: str) -> Iterator[Tuple[str, str]]:
    """Everything in the tree but folders: the path inside, and the whole path. ``top`` itself may be a link to it.

    Not os.walk or os.fwalk: they pass over in silence what is no folder, and recurse as deep as the folders nest.
    """
    folders = [("", os.path.join(top, ""))]
    while folders:
        inside, folder = folders.pop()
        fd = _open(folder, os.O_DIRECTORY)
        try:
            with os.scandir(fd) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries]
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}", path=folder) from None
        finally:
            os.close(fd)
        for name, mode in found:
            below, shown = os.path.join(inside, name), os.path.join(folder, name)
            if stat.S_ISDIR(mode):
                _utf8(shown, name)
                folders.append((below, shown))
            elif stat.S_ISREG(mode):
                yield below, shown
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
                raise MalformedTreeError(f"is {kind}; a tree holds regular files and folders alone", path=shown)


def manifest_digests(manifest: bytes) -> Digests:
    """The digests that name a tree: those of its Manifest."""
    return Digests(hashlib.sha256(manifest).hexdigest(), hashlib.sha512(manifest).hexdigest())


def escape_path(path: str) -> str:
    r"""A path as a Manifest writes it: backslash, white space, control characters as \xHH up to U+007F, else \uHHHH."""
    return "".join(_escaped(char) if char == "\\" or char.isspace() or _is_control(char) else char for char in path)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc"


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0x7F else f"\\u{code:04X}"


def _line(fd: int, inside: str, shown: str, progress: Optional[Progress]) -> bytes:
    size, digests = hash_file(fd, path=shown, progress=progress)
    return f"DATA {escape_path(inside)} {size} SHA256 {digests.sha256} SHA512 {digests.sha512}\n".encode()


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None


def _utf8(shown: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedTreeError("has a name that is not UTF-8", path=ascii(shown)) from None
