# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker's end of the talk with the librpm plugin; rpm-plugin/multisig.c says how they talk.

Whatever goes wrong ends in a refusal: said with its reason where that is still possible, and where it is not, the
plugin hears nothing and refuses by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from typing import Callable, List, Optional, Sequence, Tuple

import rpm

from multisig import approvals, paths
from multisig.config import Config, load_config
from multisig.errors import MultisigError
from multisig.librpm.check import NO_DIGEST, Check
from multisig.text import plain

DESCRIPTOR = 3
_GREETING = "multisig-check 1 "
_MAX_WORD = 1 << 16
_MAX_TEXT = 60_000
_SIGN_OF_LIFE = 1.0  # seconds between two


class Channel:
    """The socket. Raises ValueError for what no plugin says, OSError where nobody is there."""

    def __init__(self, channel: socket.socket) -> None:
        self._socket = channel
        self._last = 0.0

    def greeting(self) -> Tuple[int, int]:
        """How many packages rpm puts in, and the flags of its transaction."""
        word = self._socket.recv(_MAX_WORD).decode("ascii")
        if not word.startswith(_GREETING):
            raise ValueError("not a plugin that this checker understands")
        count, flags = word[len(_GREETING) :].split(" ")
        return int(count), int(flags, 16)

    def next_file(self) -> Tuple[str, int, Sequence[str]]:
        """What rpm calls the package, the descriptor of its file, and what rpm calls those that it erases for it."""
        erased: List[str] = []
        while True:
            word, descriptors, flags, _ = socket.recv_fds(self._socket, _MAX_WORD, 1, socket.MSG_CMSG_CLOEXEC)
            if not word or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise ValueError("a package without a descriptor")
            name = word.decode("utf-8", "surrogateescape")
            if descriptors:
                return name, descriptors[0], erased
            erased.append(name)

    def say(self, word: str) -> None:
        self._socket.send(word.encode("utf-8", "backslashreplace")[:_MAX_TEXT])

    def alive(self, _: int) -> None:
        """Say that work goes on; from any thread, and no matter how often."""
        now = time.monotonic()
        if now - self._last > _SIGN_OF_LIFE:
            self._last = now
            with contextlib.suppress(OSError):
                self._socket.send(b".", socket.MSG_DONTWAIT)

    def went_through(self) -> bool:
        """Wait for the transaction's end; false, too, where the plugin is gone without a word."""
        try:
            return self._socket.recv(_MAX_WORD) == b"finished"
        except ConnectionError:
            return False


class Checker:
    """Answers the plugin. In warn mode what goes wrong is said, and stops nothing."""

    def __init__(self, channel: Channel, folders: Sequence[str], approved: str, process: int) -> None:
        """``folders`` may hold multisig.conf, ``approved`` holds approvals; ``process`` is the one that runs librpm."""
        self._channel = channel
        self._config = Config()
        self._check: Optional[Check] = None
        self._problem: Optional[Exception] = None
        self._flags = 0
        try:
            self._config = load_config(folders)
            self._check = Check(self._config, approvals.take(approved, process=process), channel.alive)
        except Exception as error:
            self._problem = error

    def serve(self, decided: Callable[[], None] = lambda: None) -> None:
        """One transaction, from the plugin's first word to its last. ``decided`` is called when the verdict stands."""
        count, self._flags = self._channel.greeting()
        for _ in range(count):
            self._channel.say("H" + self._present(*self._channel.next_file()))
        word = self._conclude()
        decided()
        self._channel.say(word)
        if self._channel.went_through() and self._check is not None:
            self._check.finished()

    def close(self) -> None:
        if self._check is not None:
            self._check.close()

    def _present(self, name: str, fd: int, erased: Sequence[str]) -> str:
        if self._check is None or self._problem is not None:
            os.close(fd)
            return NO_DIGEST
        try:
            return self._check.present(name, fd, erased)
        except Exception as error:
            self._problem = error
            return NO_DIGEST

    def _conclude(self) -> str:
        accepted, text = False, ""
        if self._check is not None and self._problem is None:
            try:
                accepted, text = self._check.conclude(self._flags)
            except Exception as error:
                self._problem = error
        if self._problem is not None:
            accepted, text = False, self._told(self._problem)
        return ("A" if accepted else "R" if self._config.enforcing else "W") + text

    def _told(self, error: Exception) -> str:
        told = plain(str(error) if isinstance(error, MultisigError) else f"{type(error).__name__}: {error}")
        if self._config.enforcing:
            return f"multisig: refused; nothing was installed.\n\n  {told}"
        return f"multisig: would have refused (mode = warn): {told}"


def main(folders: Sequence[str] = (paths.CONFIG,), approved: str = paths.APPROVALS) -> int:
    """What multisig-check runs, started by the plugin with the socket as descriptor 3."""
    rpm.setVerbosity(rpm.RPMLOG_CRIT)
    try:
        channel = socket.socket(fileno=DESCRIPTOR)
    except OSError:
        print("multisig-check: is started by rpm's plugin, with a socket; there is nothing else to it", file=sys.stderr)
        return 2
    with channel:
        channel.set_inheritable(False)
        checker = Checker(Channel(channel), folders, approved, os.getppid())
        with contextlib.closing(checker):
            checker.serve(_outlive_interrupts)
    return 0


def _outlive_interrupts() -> None:
    """An interrupt goes to rpm as well, which ends what it has begun first; so does this, to note that it was done."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
