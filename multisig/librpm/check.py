# SPDX-License-Identifier: GPL-2.0-or-later
"""One transaction of rpm's before the gate, file by file as the plugin has rpm's front end open them.

The plugin says nothing of where a file lies or what repository it comes from: rpm itself does not know. So the
repository's id is ``@rpm``, and signatures lie beside the file, whose path the kernel tells.

rpm opens the file again later. The plugin sees to it that this is the same file then, unchanged; that nobody but root
can bring other bytes into it in the meantime is looked at here.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import rpm

from multisig import approvals, report
from multisig.approvals import Approved
from multisig.config import Config, is_site
from multisig.errors import RefusedError, UnreadableError
from multisig.folders import find_in_folders
from multisig.gate import Gate, Package
from multisig.held import Find, Look
from multisig.inforce import look_at, record
from multisig.inplace import InPlace, real_path
from multisig.journal import Journal
from multisig.local import find_local
from multisig.openpgp import open_engine
from multisig.policy import load_policy
from multisig.rpmsettings import examine
from multisig.subjects import Progress
from multisig.subjects.obsoletes import is_obsoleted, read_obsoletes
from multisig.text import plain
from multisig.threads import workers

REPOSITORY = "@rpm"
NO_DIGEST = "0" * 64


class Check:
    """One transaction. ``approved`` is what dnf has judged in it already; ``progress`` is told of work, from threads.

    Any method raises MultisigError where it cannot do its part.
    """

    def __init__(self, config: Config, approved: FrozenSet[Approved], progress: Progress) -> None:
        self._config = config
        self._approved = set(approved)
        self._started = time.monotonic()
        self._source = _Near(config)
        self._decision: Optional[int] = None
        self._journal = Journal(config.journal)
        policy, now = load_policy(config.policy), int(time.time())
        self._notices = look_at(policy, self._journal, now=now, enforcing=config.enforcing)
        self._engine = open_engine(config.openpgp)
        self._gate = Gate(policy, self._engine, now=now, workers=workers())
        self._files = InPlace(self._gate, self._source, progress=progress)

    def close(self) -> None:
        """End what runs."""
        self._gate.close()
        self._engine.close()

    def present(self, name: str, fd: int, erased: Sequence[str] = ()) -> str:
        """Begin to judge the file that rpm takes for the package ``name``; the digest of its header.

        ``fd`` is closed here, when all is known of it. Raises RefusedError where the file does not say that it replaces
        the packages ``erased``, by whose names rpm calls what it erases for this one.
        """
        with contextlib.ExitStack() as otherwise:
            otherwise.callback(os.close, fd)
            odd = _unsaid(name, fd, erased) if erased else []
            if odd:
                text = f"rpm would erase for it what it does not replace: {', '.join(odd)}"
                raise RefusedError(f"{full_name(name)}: {text}")
            otherwise.pop_all()
        identity = approvals.identify(fd)
        if identity is not None and identity in self._approved:
            self._approved.discard(identity)
            os.close(fd)
            return identity.header
        try:
            path = real_path(fd)
        except OSError as error:
            os.close(fd)
            raise UnreadableError(f"/proc is needed, and cannot be read: {error.strerror}") from None
        identity = self._files.begin(self._source.package(full_name(name), path), fd, path)
        return identity.header if identity is not None else NO_DIGEST

    def conclude(self, flags: int) -> Tuple[bool, str]:
        """Wait for what runs, and record it; whether all is approved, and what there is to say.

        ``flags`` are those of rpm's transaction. Raises RefusedError where it would leave out what was signed.
        """
        settings = examine(flags, rpm.expandMacro)
        if settings.refused:
            raise RefusedError("; ".join(settings.refused))
        judged = [outcome.judged for outcome in self._files.outcomes()]
        if not judged:
            return True, ""  # dnf has recorded and said what it approved
        enforcing = self._config.enforcing
        self._decision = record(
            self._journal, self._gate, judged, stage="at hand", enforcing=enforcing, time=int(time.time()),
            notes=settings.recorded,
        )  # fmt: skip
        verdicts = [item.verdict for item in judged]
        accepted = all(verdict.accepted for verdict in verdicts)
        if accepted:
            text = report.acceptance(verdicts, time.monotonic() - self._started)
        else:
            text = report.refusal(verdicts) if enforcing else report.warning(verdicts)
        return accepted, "\n".join([*(f"multisig: {plain(told)}" for told in self._notices), text])

    def finished(self) -> None:
        """Note in the journal that the transaction went through."""
        if self._decision is not None:
            self._journal.finish(self._decision, time=int(time.time()))


class _Near:
    """What lies in the folders that [bundles] names for ``@rpm``, beside a file, by its path when opened, and in it."""

    def __init__(self, config: Config) -> None:
        self._folders = [place for place in config.bundles.get(REPOSITORY, ()) if not is_site(place)]
        self._paths: Dict[int, str] = {}

    def package(self, nevra: str, path: str) -> Package:
        """A package that this knows from now on."""
        key = len(self._paths)
        self._paths[key] = path
        return Package(key, nevra, "", REPOSITORY)

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        found: Dict[int, Find] = {}
        for package in packages if look in (Look.PLACES, Look.BESIDE) else ():
            path = self._paths[package.key]
            with contextlib.suppress(UnreadableError):
                found[package.key] = (
                    find_local(path) if look is Look.BESIDE else find_in_folders(self._folders, os.path.basename(path))
                )
        return found


def _unsaid(name: str, fd: int, erased: Sequence[str]) -> List[str]:
    """Those of other names than the package ``name``, and that the header of its file does not obsolete.

    Raises MalformedRpmError where it cannot be read, and ValueError for what rpm calls no package.
    """
    relations = read_obsoletes(fd)
    own, _ = _name_and_evr(name)
    return [one for one in erased if _name_and_evr(one)[0] != own and not is_obsoleted(*_name_and_evr(one), relations)]


def _name_and_evr(name: str) -> Tuple[str, str]:
    """Of rpm's NAME-[EPOCH:]VERSION-RELEASE.ARCH: the name, and the epoch, where there is one, version and release."""
    front, version, rest = name.rsplit("-", 2)
    release, dot, arch = rest.rpartition(".")
    return front, f"{version}-{release if dot else arch}"


def full_name(name: str) -> str:
    """rpm's NAME-[EPOCH:]VERSION-RELEASE.ARCH with the epoch that rpm leaves out."""
    front, _, release = name.rpartition("-")
    front, _, version = front.rpartition("-")
    return f"{front}-{version if ':' in version else '0:' + version}-{release}"
