# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory tree as a GLEP 74 Manifest (https://www.gentoo.org/glep/glep-0074.html), computed, never read.

One line for every regular file, with no exception but a ``Manifest`` at the top, which must be the computed one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from typing import Callable, List, NoReturn, Optional, Tuple

from multisig.errors import MalformedTreeError, UnreadableError
from multisig.statement import Digests
from multisig.subjects.file import hash_file

MANIFEST = "Manifest"


def tree_manifest(path: str, *, progress: Optional[Callable[[int], None]] = None) -> bytes:
    """The Manifest of the tree at ``path``: ``DATA path size SHA256 hex SHA512 hex`` lines, sorted by path as bytes.

    Symbolic links, special files and names that are not UTF-8 are refused, as is a ``Manifest`` at the top that says
    otherwise: MalformedTreeError. UnreadableError where something cannot be read.
    """
    lines: List[Tuple[bytes, bytes]] = []
    own: Optional[bytes] = None
    for directory, folders, names, fd in os.fwalk(path, onerror=_unreadable, follow_symlinks=False):
        relative = os.path.relpath(directory, path)
        for name in folders:
            # fwalk lists links to directories among the directories; it does not follow them, and neither may we.
            if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                raise MalformedTreeError("is a symbolic link", path=os.path.join(directory, name))
            _utf8(os.path.join(directory, name), name)
        for name in names:
            shown = os.path.join(directory, name)
            inside = name if relative == os.curdir else os.path.join(relative, name)
            file_fd = _open_regular(name, fd, shown)
            try:
                if inside == MANIFEST:
                    own = _whole(file_fd, shown)
                    continue
                lines.append((_utf8(shown, inside), _line(file_fd, inside, shown, progress)))
            finally:
                os.close(file_fd)
    manifest = b"".join(line for _, line in sorted(lines))
    if own is not None and own != manifest:
        raise MalformedTreeError(
            "is not the Manifest of this tree; remove it, or see what was changed", path=os.path.join(path, MANIFEST)
        )
    return manifest


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


def _line(fd: int, inside: str, shown: str, progress: Optional[Callable[[int], None]]) -> bytes:
    size, digests = hash_file(fd, path=shown, progress=progress)
    return f"DATA {escape_path(inside)} {size} SHA256 {digests.sha256} SHA512 {digests.sha512}\n".encode()


def _open_regular(name: str, directory: int, shown: str) -> int:
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise MalformedTreeError("is no regular file; a tree holds regular files and folders alone", path=shown)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=shown) from None


def _whole(fd: int, shown: str) -> bytes:
    try:
        with os.fdopen(os.dup(fd), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", path=shown) from None


def _utf8(shown: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedTreeError("has a name that is not UTF-8", path=ascii(shown)) from None


def _unreadable(error: OSError) -> NoReturn:
    raise UnreadableError(f"cannot be read: {error.strerror}", path=str(error.filename)) from None
