# SPDX-License-Identifier: GPL-2.0-or-later
"""Verification by gpgv: one short-lived process for each signature and key, or for several that are all good.

gpgv is given nothing but keys, signatures and the bytes signed, and it cannot write, fetch or ask for anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import resource
import select
import shutil
import subprocess
import tempfile
import threading
import time
import weakref
from types import TracebackType
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Type, Union

from multisig.errors import EngineError, SignatureFormatError, UncheckedSignatureError
from multisig.openpgp.keys import keyring_for
from multisig.openpgp.model import Checked, Outcome, PublicKey, Signature
from multisig.openpgp.packets import canonical
from multisig.openpgp.premises import conclude, settle
from multisig.openpgp.status import judge, judge_together

#: Where gpgv is looked for; PATH is not, since it belongs to whoever started the program.
_PLACES = ("/usr/bin/gpgv", "/bin/gpgv", "/usr/local/bin/gpgv")

#: Bytes of output that are kept. A signature of the longest allowed size makes gpgv write about a third of that.
_MAX_OUTPUT = 64 * 1024

#: Bytes up to which what was signed stays in a temporary file, to be used again.
_KEPT = 16 * 1024
#: Signatures that one process is given at most.
_MOST_TOGETHER = 16
_INSTALL = "install it: apt install gpgv, dnf install gnupg2"


class GpgvEngine:
    """An Engine (see model.py). Nothing passes from one call to another but files named after what they hold.

    ``program`` is gpgv's full path, None for the usual places. ``timeout`` is in seconds of wall time for each
    signature, and also the limit of CPU time; ``memory`` in bytes of address space. ``base`` is the folder in which a
    private temporary one is made when it is first needed, None for the system's. ``close`` removes it, or at the latest
    the interpreter's end does. ``clock`` gives the time, in seconds since the epoch. ``late``: a good signature
    from after the key's end is found to be one of an expired key; otherwise it is bad.
    """

    name = "gpgv"

    def __init__(
        self,
        program: Optional[str] = None,
        timeout: float = 20,
        memory: int = 512 * 1024 * 1024,
        base: Optional[str] = None,
        clock: Callable[[], float] = time.time,
        late: bool = False,
    ) -> None:
        self._program = program or next((place for place in _PLACES if os.path.exists(place)), None)
        self._timeout = timeout
        self._memory = memory
        self._base = base
        self._clock = clock
        self._late = late
        self._lock = threading.Lock()
        self._folder: Optional[str] = None
        self._remove: Optional[Callable[[], object]] = None
        self._files: Dict[str, str] = {}
        self._written = 0
        self._closed = False

    def __enter__(self) -> GpgvEngine:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files; calls to verify fail from then on."""
        with self._lock:
            self._closed = True
            remove, self._remove = self._remove, None
            self._folder = None
            self._files.clear()
        if remove is not None:
            remove()

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        """Verify ``signature`` over exactly ``data`` with a keyring that holds only what ``key`` says. Thread-safe.

        Raises EngineError where gpgv cannot be run at all, UncheckedSignatureError where it does not come to an end
        with this signature within its time, memory and output, or is ended by a signal.
        """
        now = int(self._clock())
        packet = self._prepare(signature, key, now)
        if isinstance(packet, Checked):
            return packet
        keyring = self._keyring([(signature, key)])
        with self._content(data) as content:
            returncode, status, complaint = self._run(keyring, content, packet)
        return conclude(judge(returncode, status, _last_line(complaint), signature, key), signature, key, now)

    def verify_together(self, data: bytes, asked: Sequence[Tuple[Signature, PublicKey]]) -> List[Optional[Checked]]:
        """What one process finds of several signatures over the same ``data``, where it finds all of them valid.

        None of each that has to be asked about by itself: all of them where gpgv finds fault with any. Left out from
        the beginning are signatures that ``verify`` would not ask gpgv about, and all but the first of a key.
        Thread-safe. Raises EngineError where gpgv cannot be run at all.
        """
        found: List[Optional[Checked]] = [None] * len(asked)
        now = int(self._clock())
        chosen: Dict[str, Tuple[int, bytes]] = {}
        for place, (signature, key) in enumerate(asked):
            packet = self._prepare(signature, key, now)
            if not isinstance(packet, Checked) and len(chosen) < _MOST_TOGETHER:
                chosen.setdefault(key.fingerprint, (place, packet))
        if len(chosen) < 2 or self._late:
            return found
        together = [asked[place] for place, _ in chosen.values()]
        packets = b"".join(packet for _, packet in chosen.values())
        keyring = self._keyring(together)
        try:
            with self._content(data) as content:
                returncode, status, _ = self._run(keyring, content, packets)
        except UncheckedSignatureError:
            return found
        for (place, _), checked in zip(chosen.values(), judge_together(returncode, status, together)):
            found[place] = conclude(checked, *asked[place], now)
        return found

    def _prepare(self, signature: Signature, key: PublicKey, now: int) -> Union[Checked, bytes]:
        """The packet to give to gpgv, or the finding where gpgv need not be asked."""
        settled = settle(signature, key, now, late=self._late)
        if settled is not None:
            return settled
        try:
            return canonical(signature)
        except SignatureFormatError as error:
            return Checked(Outcome.BAD, str(error))

    def _keyring(self, asked: Sequence[Tuple[Signature, PublicKey]]) -> str:
        """The file that holds the keys, in this order, with what verifying these signatures needs of each."""
        names = [f"{key.digest.hex()}-{signature.issuer_keyid}" for signature, key in asked]
        name = names[0] if len(names) == 1 else _digest("\n".join(names).encode())
        return self._file(f"key-{name}", lambda: b"".join(keyring_for(key, signature) for signature, key in asked))

    @contextlib.contextmanager
    def _content(self, data: bytes) -> Iterator[str]:
        """The path of a file of these bytes. Statements are kept for the next of their signatures; what is larger, as
        the headers of a vendor's packages, is removed again, since a transaction can have thousands of them."""
        name = f"data-{_digest(data)}"
        if len(data) <= _KEPT:
            yield self._file(name, lambda: data)
            return
        with self._lock:
            self._written += 1
            path = os.path.join(self._private_folder(), f"{name}-{self._written}")
        _write(path, data)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _file(self, name: str, content: Callable[[], bytes]) -> str:
        """The path of the private file of this name, which says what it holds; written when it is first asked for."""
        with self._lock:
            path = self._files.get(name)
            if path is None:
                path = os.path.join(self._private_folder(), name)
                _write(path, content())
                self._files[name] = path
        return path

    def _private_folder(self) -> str:
        if self._closed:
            raise EngineError("the gpgv engine has been closed")
        if self._folder is None:
            try:
                folder = tempfile.mkdtemp(prefix="multisig-gpgv-", dir=self._base)
                self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
                os.mkdir(os.path.join(folder, "home"), 0o700)
                self._folder = folder
            except OSError as error:
                raise EngineError(f"no temporary folder for gpgv: {error.strerror}", path=self._base) from error
        return self._folder

    def _run(self, keyring: str, content: str, packet: bytes) -> Tuple[int, bytes, bytes]:
        """Run gpgv; return its exit code, its status output and the beginning of its error output.

        The signature goes in last, through standard input, so nothing that an attacker wrote has been read before the
        limits hold. (A function run between fork and exec could set them too, but is not safe in threads.)
        """
        deadline = time.monotonic() + self._timeout
        status, inherited = os.pipe()
        try:
            try:
                process = self._start(keyring, content, inherited)
            finally:
                os.close(inherited)
            try:
                self._limit(process.pid)
                output = _converse(process, packet, status, deadline)
                return (process.wait(max(0.0, deadline - time.monotonic())), *output)
            except (subprocess.TimeoutExpired, TimeoutError):
                raise UncheckedSignatureError(f"gpgv took longer than {self._timeout:g} seconds") from None
            finally:
                _end(process)
        finally:
            os.close(status)

    def _start(self, keyring: str, content: str, inherited: int) -> subprocess.Popen[bytes]:
        home = os.path.join(os.path.dirname(keyring), "home")
        program = self._program
        if program is None:
            raise EngineError(f"there is no gpgv on this system; {_INSTALL}")
        arguments = [program, "--homedir", home, "--keyring", keyring, "--status-fd", str(inherited), "-", content]
        try:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C", "HOME": home, "GNUPGHOME": home, "PATH": "/usr/bin:/bin"},
                pass_fds=(inherited,),
                bufsize=0,
            )
        except FileNotFoundError:
            raise EngineError(f"there is no gpgv here; {_INSTALL}", path=program) from None
        except OSError as error:
            raise EngineError(f"gpgv could not be started: {error.strerror}", path=program) from error

    def _limit(self, pid: int) -> None:
        limits = {
            resource.RLIMIT_AS: self._memory,
            resource.RLIMIT_CPU: math.ceil(self._timeout),
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_FSIZE: 0,
        }
        try:
            for limit, value in limits.items():
                # gpgv has inherited our own limits, and nobody but root may raise those.
                hard = resource.getrlimit(limit)[1]
                value = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.prlimit(pid, limit, (value, value))
        except (OSError, ValueError) as error:
            raise EngineError(f"gpgv's limits could not be set: {error}") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: str, data: bytes) -> None:
    """Write a new file that only its owner can read; leave nothing behind where that fails."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0) as file:
            written = file.write(data)
            if written != len(data):
                raise OSError(None, "the disk is full")
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise EngineError(f"a temporary file for gpgv could not be written: {error.strerror}", path=path) from error


def _converse(process: subprocess.Popen[bytes], packet: bytes, status: int, deadline: float) -> Tuple[bytes, bytes]:
    """Write the signature to gpgv; return its status output and the beginning of its error output.

    Raises TimeoutError at ``deadline``, UncheckedSignatureError where there is more output than a signature can cause.
    """
    if process.stdin is None or process.stderr is None:
        raise EngineError("gpgv was started without its pipes")
    entry, errors = process.stdin.fileno(), process.stderr.fileno()
    os.set_blocking(entry, False)
    read: Dict[int, bytearray] = {status: bytearray(), errors: bytearray()}
    poll = select.poll()
    poll.register(entry, select.POLLOUT)
    poll.register(status, select.POLLIN)
    poll.register(errors, select.POLLIN)
    waiting = set(read)
    while waiting:
        remaining = deadline - time.monotonic()
        ready = poll.poll(math.ceil(remaining * 1000)) if remaining > 0 else []
        if not ready:
            raise TimeoutError
        for descriptor, _ in ready:
            if descriptor == entry:
                packet = _write_some(entry, packet)
                if not packet:
                    poll.unregister(entry)
                    process.stdin.close()
                continue
            chunk = os.read(descriptor, 65536)
            if not chunk:
                poll.unregister(descriptor)
                waiting.remove(descriptor)
            if len(read[descriptor]) <= _MAX_OUTPUT:
                read[descriptor] += chunk
    if len(read[status]) > _MAX_OUTPUT:
        raise UncheckedSignatureError(f"gpgv wrote more than {_MAX_OUTPUT} bytes of status output")
    return bytes(read[status]), bytes(read[errors])


def _write_some(descriptor: int, packet: bytes) -> bytes:
    """Write what fits; return what is left, which is nothing where the reader has gone: its exit code says why."""
    try:
        return packet[os.write(descriptor, packet) :]
    except BrokenPipeError:
        return b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process and no descriptor behind, however it went."""
    if process.returncode is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            stream.close()


def _last_line(complaint: bytes) -> str:
    """The last thing that gpgv said, without its name, fit for a terminal."""
    lines = complaint.decode("utf-8", errors="replace").strip().splitlines()
    text = lines[-1].partition("gpgv: ")[2] or lines[-1] if lines else ""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)[:200]
