# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy as files: read as one thing, and replaced as one thing.

A policy is a text and the files it names, and no file system replaces several files at once. So an update goes the way
of a database's write-ahead log. For a policy at P:

1. all of it is written to ``P.update.new/`` and synced;
2. that folder is renamed to ``P.update/``: from this instant on whoever reads P reads what lies there;
3. each file is copied to its place, every one by a rename of its own;
4. ``P.update/`` is renamed away and removed: what lies at P is read again, and is the same.

Whatever ends the program, or the machine, at whatever point, leaves the old policy or the new one. What was committed
in step 2 is finished by ``finish_update``. A reader that had begun before sees at its end that something has changed,
and begins again: it never puts the text of one policy together with the keys of another.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import Dict, List, Mapping, Optional, Tuple

from multisig.errors import PolicyError, UnreadableError
from multisig.files import LOCK, sync_directory, write_whole
from multisig.namedtuples import NamedTuple
from multisig.policy.model import Policy
from multisig.policy.parse import parse_policy
from multisig.policy.signers import MAX_STATEMENTS
from multisig.policy.yamlnodes import MAX_BYTES

UPDATE, NEXT, DONE, OLD = ".update", ".update.new", ".update.done", ".old"
_ATTEMPTS = 5


class PolicyFiles(NamedTuple):
    """A policy with the very bytes that it was made from.

    ``name``: the base name of its file. ``files``: what it names (keys, lists of statements), by their names relative
    to its folder. ``mode``: the file's permissions.
    """

    policy: Policy
    name: str
    text: bytes
    files: Mapping[str, bytes]
    mode: int = 0o644


def load_policy(path: str) -> Policy:
    """The policy at ``path``; see read_policy."""
    return read_policy(path).policy


def read_policy(path: str) -> PolicyFiles:
    """The policy at ``path``, with the files it names, which lie beside it or in folders there.

    Where an update has been committed and not been finished, what it brought. Only regular files are read: a policy of
    at most 64 KiB, other files of at most 4 MiB (keys: 256 KiB, by their parser). Raises PolicyError, also where
    something cannot be read.
    """
    for _ in range(_ATTEMPTS):
        before = _state(path)
        staged = os.path.join(path + UPDATE, os.path.basename(path))
        try:
            found = _read(staged if before[1] is not None else path)
        except PolicyError:
            if _state(path) == before:
                raise
        else:
            if _state(path) == before:
                return found
    raise PolicyError("the policy changes while it is read", path=path, hint="is something updating it? try again")


def install_policy(path: str, new: PolicyFiles, old: PolicyFiles, *, evidence: bytes) -> None:
    """Put ``new`` in place of ``old`` at ``path``, as one thing; the caller holds files.locked(path).

    An earlier update that was cut short is finished first.

    ``evidence``, the bundle that approved it, goes beside it as ``P.msig``. What was there is kept in ``P.old/``; key
    files that the new policy does not name stay where they are. Raises UnreadableError where something cannot be
    written: the old policy is in force then, unless it says that the new one is.
    """
    name = os.path.basename(path)
    finish_update(path)
    _check_places(path, new)
    try:
        _write_tree(path + NEXT, name, old, old.mode)
        _replace_tree(path + NEXT, path + OLD)
        _write_tree(path + NEXT, name, new, old.mode)
        write_whole(os.path.join(path + NEXT, name + ".msig"), evidence, mode=old.mode)
        _replace_tree(path + NEXT, path + UPDATE)
    except OSError as error:
        if os.path.isdir(path + UPDATE):
            raise _unfinished(path, error.strerror) from None
        raise UnreadableError(f"cannot be written: {error.strerror}", path=error.filename or path) from None
    finish_update(path)


def finish_update(path: str) -> bool:
    """Finish an update of the policy at ``path`` that was committed; False where there is none.

    The caller holds files.locked(path). Raises UnreadableError; the update is in force all the same, and can be
    finished later.
    """
    staged = path + UPDATE
    if not os.path.isdir(staged):
        return False
    folder, last = os.path.dirname(path), os.path.basename(path)
    try:
        # Readers look at none of these until all are there. The policy last, for those who look without asking us.
        for name in sorted(_names(staged), key=lambda name: name == last):
            source, target = os.path.join(staged, name), os.path.join(folder, name)
            _make_directories(folder, os.path.dirname(name))
            with open(source, "rb") as file:
                write_whole(target, file.read(), mode=stat.S_IMODE(os.fstat(file.fileno()).st_mode), alone=True)
        _remove_tree(path + DONE)
        _rename(staged, path + DONE)
        _remove_tree(path + DONE)
    except (OSError, UnreadableError) as error:
        raise _unfinished(path, error.message if isinstance(error, UnreadableError) else error.strerror) from None
    return True


def _unfinished(path: str, reason: Optional[str]) -> UnreadableError:
    message = f"the new policy is in force, but not all of it could be put in its place: {reason}"
    return UnreadableError(message, path=path)


def _read(path: str) -> PolicyFiles:
    folder = os.path.dirname(path)
    files: Dict[str, bytes] = {}

    def read_file(name: str) -> bytes:
        files[name], _ = _read_regular(os.path.join(folder, name), MAX_STATEMENTS)
        return files[name]

    try:
        text, mode = _read_regular(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        hint = "write a first one: multisig policy init" if isinstance(error, FileNotFoundError) else None
        raise PolicyError(
            f"cannot read the policy: {getattr(error, 'strerror', None) or error}", path=path, hint=hint
        ) from error
    except PolicyError as error:
        error.at(path)
        raise
    policy = parse_policy(text, path=path, read_file=read_file)
    return PolicyFiles(policy, os.path.basename(path), text, files, mode)


def _read_regular(path: str, limit: int) -> Tuple[bytes, int]:
    """What a regular file of at most ``limit`` bytes holds, and its permissions. OSError, or a PolicyError.

    O_NONBLOCK: a FIFO in the file's place must not make us wait for a writer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise PolicyError("it is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise PolicyError(f"it is larger than {limit // 1024} KiB")
    return data, stat.S_IMODE(mode)


_Identity = Optional[Tuple[int, ...]]


def _state(path: str) -> Tuple[_Identity, _Identity]:
    """What differs once a policy has been replaced: which file lies at ``path``, and which update waits beside it."""
    return _identity(path), _identity(path + UPDATE)


def _identity(path: str) -> _Identity:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _check_places(path: str, new: PolicyFiles) -> None:
    """Whatever could keep a committed update from being finished is an error before it begins."""
    folder, own = os.path.dirname(path), os.path.basename(path)
    for name in new.files:
        parts = name.split("/")
        if parts[0] in (own, LOCK) or parts[0].startswith(own + ".") or any(map(_is_temporary, parts)):
            message = f"the policy names a file {name}, which would lie where the policy itself does"
            raise PolicyError(message, path=path, hint="give that file another name")
        place = os.path.join(folder, name)
        if os.path.isdir(place):
            raise PolicyError(f"there is a folder where the policy names a file: {name}", path=path)
        parent = os.path.dirname(name)
        while parent:
            if os.path.lexists(os.path.join(folder, parent)) and not os.path.isdir(os.path.join(folder, parent)):
                raise PolicyError(f"there is no folder {parent}, but something else of that name", path=path)
            parent = os.path.dirname(parent)


def _is_temporary(name: str) -> bool:
    """Whether files.replacing could call a file so for as long as it writes to it: it would take this one away."""
    return name.startswith(".") and name.endswith(".part")


def _write_tree(root: str, name: str, policy: PolicyFiles, mode: int) -> None:
    """Write a policy, as ``name``, and its files below ``root``, which is made anew, all of it synced."""
    _remove_tree(root)
    _make_directories(os.path.dirname(root), os.path.basename(root))
    for file, data in policy.files.items():
        _make_directories(root, os.path.dirname(file))
        write_whole(os.path.join(root, file), data, mode=mode)
    write_whole(os.path.join(root, name), policy.text, mode=mode)


def _make_directories(root: str, name: str) -> None:
    """Make the folder ``name`` below ``root``, with those above it, and sync each; anybody may look into them."""
    folder = root
    for part in filter(None, name.split("/")):
        parent, folder = folder, os.path.join(folder, part)
        if not os.path.isdir(folder):
            os.mkdir(folder)
            os.chmod(folder, 0o755)  # whatever the umask is
            sync_directory(parent or ".")


def _replace_tree(source: str, target: str) -> None:
    """Give a complete folder its name; where there is one of that name it goes first."""
    _remove_tree(target)
    _rename(source, target)


def _rename(source: str, target: str) -> None:
    os.rename(source, target)
    sync_directory(os.path.dirname(target) or ".")


def _remove_tree(root: str) -> None:
    if os.path.lexists(root):
        shutil.rmtree(root)


def _names(root: str) -> List[str]:
    """The files below a folder, relative to it."""
    found = []
    for folder, _, names in os.walk(root):
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return found
