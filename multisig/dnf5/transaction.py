# SPDX-License-Identifier: GPL-2.0-or-later
"""One hook of one dnf5 transaction before the gate."""

from __future__ import annotations

import glob
import hashlib
import os
import time
from typing import Callable, Dict, List, Sequence

import rpm

from multisig import approvals, paths, report
from multisig.config import Config
from multisig.dnf5 import offline
from multisig.dnf5.remotes import Remotes, local_path
from multisig.dnf5.sources import Sources
from multisig.dnf5.talk import DECISION, METADATA, URLS, Actions, Incoming
from multisig.errors import MalformedRpmError, RefusedError, UnreadableError
from multisig.files import open_regular
from multisig.gate import Gate, Judged, Package
from multisig.inforce import look_at, record
from multisig.inplace import InPlace, Outcome, real_path
from multisig.journal import Journal
from multisig.openpgp import open_engine
from multisig.policy import load_policy
from multisig.releasing import Releases
from multisig.rpmsettings import examine
from multisig.subjects.obsoletes import is_obsoleted, read_obsoletes
from multisig.text import plain
from multisig.threads import workers

# Of a repository's folders; other repositories' ids may go on where its own ends.
_DIGITS = "-" + 16 * "[0-9a-f]"


class Transaction:
    """``process`` is dnf5, which runs librpm; ``say`` takes a line for the user. Methods raise MultisigError."""

    def __init__(
        self, actions: Actions, incoming: Sequence[Incoming], config: Config, process: int, say: Callable[[str], None]
    ) -> None:
        rpm.setVerbosity(rpm.RPMLOG_CRIT)
        self._actions = actions
        self._config = config
        self._process = process
        self._say = say
        self._words = offline.words_of(process)
        self._remotes = Remotes(actions.setting, cacheonly=actions.setting("cacheonly") == "all")
        named = actions.kept(URLS)
        urls = [text for text in named if isinstance(text, str)] if isinstance(named, list) else []
        self._source = Sources(
            self._remotes, actions.setting("cachedir") or "", config.bundles, urls, storing=offline.stores(self._words)
        )
        self._incoming: Dict[int, Incoming] = {}
        self._packages: List[Package] = []
        for item in sorted(incoming, key=lambda item: item.nevra):
            self._check_location(item)
            package = self._source.package(item)
            self._incoming[package.key] = item
            self._packages.append(package)
        self._journal = Journal(config.journal)
        self._releases = Releases(self._remotes, self._journal)
        for package in self._packages:
            self._releases.add(package)
        self._now = int(time.time())
        policy = load_policy(config.policy)
        self._notices = look_at(policy, self._journal, now=self._now, enforcing=config.enforcing)
        self._engine = open_engine(config.openpgp)
        self._gate = Gate(policy, self._engine, now=self._now, workers=workers(), releases=self._releases)

    def close(self) -> None:
        """End what runs."""
        self._gate.close()
        self._engine.close()

    def judge_planned(self) -> None:
        """Judge what is planned; raises RefusedError before anything is downloaded."""
        for text in self._notices:
            self._say(f"multisig: {plain(text)}")
        judged = self._gate.judge_planned(self._packages, self._source)
        self._actions.keep(METADATA, self._metadata())
        self._note_releases()
        if all(item.verdict.accepted for item in judged):
            self._keep_for_later()
            return
        if self._config.hold_back:
            self._say("multisig: dnf5 can hold nothing back (hold-back = yes): what lacks signatures is refused")
        if self._config.enforcing:
            self._record("planned", judged)
        self._refuse_or_warn(judged, "nothing was downloaded or installed")

    def judge_files(self) -> None:
        """Judge the files that rpm is going to open, record the decision, hand it on; raises RefusedError."""
        started = time.monotonic()
        settings = examine(self._flags(), rpm.expandMacro)
        if settings.refused:
            raise RefusedError(f"multisig: refused; nothing was installed: {'; '.join(settings.refused)}")
        outcomes = self._judge_files()
        self._check_replaced()
        self._check_metadata()
        self._note_releases()
        judged = [outcome.judged for outcome in outcomes]
        self._actions.remember(DECISION, str(self._record("at hand", judged, settings.recorded)))
        if all(item.verdict.accepted for item in judged):
            self._say(report.acceptance([item.verdict for item in judged], time.monotonic() - started))
        else:
            self._refuse_or_warn(judged, "nothing was installed")
        self._hand_on(outcomes)

    def _keep_for_later(self) -> None:
        """Have at hand what is asked for where another process is to install the packages, without a network."""
        if offline.downloads(self._words):
            self._gate.look_ahead(self._packages, self._source)
        if not offline.stores(self._words):
            return
        for repo in dict.fromkeys(package.repo for package in self._packages if not package.repo.startswith("@")):
            try:
                offline.keep(self._remotes.folder(repo), self._remotes.kept_folder(repo))
            except UnreadableError as error:
                self._say(f"multisig: {plain(str(error))}")

    def _metadata(self) -> Dict[str, str]:
        """The repositories that rules have asked to be released, with the digest of the repomd.xml that was judged."""
        return {item.repo: hashlib.sha256(item.repomd).hexdigest() for item in self._releases.read()}

    def _check_metadata(self) -> None:
        """What was resolved by is what was judged now: another dnf5 may have refreshed a repository since then.

        A repository of which only a package's header showed that it needs a release was not looked at before.
        """
        now, before = self._metadata(), self._actions.kept(METADATA)
        if not now:
            return
        if not isinstance(before, dict):
            raise RefusedError(
                "multisig: refused; nothing was installed: dnf5 does not tell what metadata were judged when this "
                "transaction was planned"
            )
        for repo, digest in now.items():
            if repo in before and before[repo] != digest:
                raise RefusedError(
                    f"multisig: refused; nothing was installed: the metadata of {repo} were replaced while this "
                    "transaction was waiting; run it again"
                )

    def _check_replaced(self) -> None:
        """What dnf5 takes away because something obsoletes it is what a package that comes in obsoletes by its own
        header. dnf5 goes by the metadata: whoever runs a mirror could have anything taken away, this program too."""
        coming = {package.name for package in self._packages}
        obsoleted = [item for item in self._actions.outgoing() if item.replaced and item.name not in coming]
        relations = [one for package in self._packages for one in self._obsoletes(package)] if obsoleted else []
        odd = [item.nevra for item in obsoleted if not is_obsoleted(item.name, item.evr, relations)]
        if odd:
            raise RefusedError(
                "multisig: refused; nothing was installed: the metadata say that what comes in obsoletes "
                f"{plain(', '.join(odd))}, which would be removed; no package says so itself"
            )

    def _obsoletes(self, package: Package) -> Sequence["rpm.ds"]:
        """By the headers of all files that dnf5 may mean, which have been judged by then."""
        found: List["rpm.ds"] = []
        for path in self._files(self._incoming[package.key]):
            fd = open_regular(path)
            try:
                found += read_obsoletes(fd)
            except MalformedRpmError:
                continue  # let in by an exemption alone, if at all; it says nothing
            finally:
                os.close(fd)
        return found

    def _note_releases(self) -> None:
        for text in self._releases.note(self._gate.release_standings(), self._now):
            self._say(f"multisig: {plain(text)}")

    def _judge_files(self) -> Sequence[Outcome]:
        files = InPlace(self._gate, self._source)
        for package in self._packages:
            for path in self._files(self._incoming[package.key]):
                fd = open_regular(path)
                files.begin(package, fd, real_path(fd))
        return files.outcomes()

    def _check_location(self, incoming: Incoming) -> None:
        """That an absolute path is dnf5's own word, and not that of a repository's metadata: it takes what such a
        repository sends from its cache, whatever file there may be at that path."""
        named = os.path.isabs(incoming.location) and not incoming.repo.startswith("@")
        if named and self._remotes.address(incoming.repo) is not None:
            raise RefusedError(
                f"multisig: refused; nothing was installed: the metadata of {incoming.repo} name a file outside of the "
                f"repository: {plain(incoming.location)}"
            )

    def _files(self, incoming: Incoming) -> Sequence[str]:
        """The files that dnf5 may have rpm open for a package: all of them have to be fit.

        More than one where the repository had another address before, whose cache is still there.
        """
        if incoming.lies_here:
            return [os.path.abspath(incoming.location)]
        name = os.path.basename(incoming.location)
        cache = os.path.dirname(self._remotes.folder(incoming.repo))
        folders = glob.glob(os.path.join(glob.escape(cache), glob.escape(incoming.repo) + _DIGITS, "packages"))
        chosen = self._actions.setting("destdir")
        if chosen:
            folders.append(chosen)
        paths = [os.path.join(folder, name) for folder in sorted(folders)]
        # A repository on this machine may be read where it lies, whatever a cache of before still holds.
        for folder in filter(None, map(local_path, self._remotes.of(incoming.repo).urls)):
            paths.append(os.path.join(folder, incoming.location))
        found = [path for path in dict.fromkeys(paths) if os.path.lexists(path)]
        if not found:
            raise UnreadableError(f"dnf5's file of {incoming.nevra} is not where it is expected", path=cache)
        return found

    def _flags(self) -> int:
        flags = 0
        for word in filter(None, (self._actions.setting("tsflags") or "").replace(",", " ").split()):
            flag = getattr(rpm, f"RPMTRANS_FLAG_{word.upper()}", None)
            if flag is None:
                raise RefusedError(f"multisig: refused; nothing was installed: tsflags={word} is not known here")
            flags |= flag
        return flags

    def _record(self, stage: str, judged: Sequence[Judged], notes: Sequence[str] = ()) -> int:
        return record(
            self._journal, self._gate, judged, stage=stage, enforcing=self._config.enforcing, time=int(time.time()),
            notes=notes,
        )  # fmt: skip

    def _refuse_or_warn(self, judged: Sequence[Judged], consequence: str) -> None:
        verdicts = [item.verdict for item in judged]
        if self._config.enforcing:
            raise RefusedError(report.refusal(verdicts, consequence=consequence))
        self._say(report.warning(verdicts))

    def _hand_on(self, outcomes: Sequence[Outcome]) -> None:
        """Tell librpm's plugin, where there is one, what was approved."""
        if not rpm.expandMacro("%{?__transaction_multisig}"):
            return
        granted = [item.identity for item in outcomes if item.identity is not None and item.judged.verdict.accepted]
        try:
            approvals.grant(paths.APPROVALS, granted, process=self._process)
        except UnreadableError as error:
            self._say(f"multisig: rpm's plugin will judge once more, as approvals cannot be left for it: {error}")
