# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig verify."""

from __future__ import annotations

import argparse
import os
import time
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack, closing
from functools import partial
from typing import Callable, Deque, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from multisig import report
from multisig.bundle import MAX_BUNDLE
from multisig.cli.answer import answer_json, later_clock, moment
from multisig.cli.bundles import bundle_path
from multisig.cli.indexed import Indexes
from multisig.cli.progress import progress
from multisig.cli.repository import Folders
from multisig.cli.subject import base_name, bytes_to_read, hush_librpm, kind_of
from multisig.cli.tables import BAD, GOOD, show_text
from multisig.errors import MalformedTreeError, MultisigError, UnreadableError
from multisig.explain import explain
from multisig.files import open_regular, read_bounded, read_if_there
from multisig.gate import Gate, Judged, Package
from multisig.held import Find, Look
from multisig.local import find_embedded
from multisig.namedtuples import NamedTuple
from multisig.openpgp import open_engine
from multisig.policy import Policy, load_policy
from multisig.statement import Kind
from multisig.subjects import Progress
from multisig.subjects.file import hash_file
from multisig.subjects.tree import manifest_digests, tree_manifest
from multisig.text import plain
from multisig.threads import workers
from multisig.verdict import Code, Verdict, refuse

LOCAL = "@commandline"
AT_ONCE = 8
"""RPMs whose payloads may be waited for while others are read."""


def run(options: argparse.Namespace) -> int:
    now = moment(options.at) if options.at is not None else int(time.time())
    policy = load_policy(options.policy)
    bundle = read_bounded(options.bundle, MAX_BUNDLE) if options.bundle is not None else None
    hush_librpm()
    folders = Folders(None if options.repo == LOCAL else options.repo)
    for number, path in enumerate(options.paths):
        folders.add(number, path)
    with (
        closing(open_engine(clock=later_clock(now))) as engine,
        Gate(policy, engine, now=now, workers=workers(), releases=folders, thorough=options.explain) as gate,
    ):
        found, failure = _verify_all(gate, options, bundle)
    verdicts = [judged.verdict for judged in found]
    if options.json:
        print(answer_json(verdicts, failure))
    elif options.explain:
        for path, judged in zip(options.paths, found):
            print("\n".join(explain(judged, policy, path)))
    else:
        _tell(verdicts)
        for text in _hints(options, policy, verdicts):
            print(text)
    if failure is not None:
        return 2
    return 0 if all(verdict.accepted for verdict in verdicts) else 1


def _tell(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.accepted:
            show_text(report.line(verdict), plain(verdict.name), GOOD)
        else:
            show_text(report.block(verdict), plain(verdict.name), BAD)
    if not all(verdict.accepted for verdict in verdicts):
        print("\n" + report.closing(verdicts, str(len(verdicts))))


def _hints(options: argparse.Namespace, policy: Policy, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What whoever finds no rule for something may have meant, a line each."""
    unmatched = {
        kind_of(path, options.kind).word
        for path, verdict in zip(options.paths, verdicts)
        if verdict.code is Code.NO_RULE
    }
    for kind in sorted(unmatched):
        rules = [rule for rule in policy.rules if rule.kind == kind]
        if not rules:
            whole = "; a folder is judged as a whole, unless the files in it are named" if kind == "tree" else ""
            yield f"No rule of this policy is for kind: {kind}{whole}."
        elif options.repo == LOCAL and any(rule.repos for rule in rules):
            yield "Rules of this policy go by the repository: say with --repo ID which one it is from."


def error_json(error: MultisigError) -> str:
    """The answer where nothing could be judged at all."""
    return answer_json([], error)


class _Given:
    """A bundle that is at hand already, or lies beside the path, with what the index of its repository says; and what
    the RPM at ``fd`` carries."""

    def __init__(self, path: str, bundle: Optional[bytes], indexes: Indexes) -> None:
        self.raw = bundle if bundle is not None else read_if_there(bundle_path(path), MAX_BUNDLE)
        self.fd: Optional[int] = None
        self._path = path
        self._indexes = indexes if bundle is None else None

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if look is Look.INDEX and self.fd is not None and self._indexes is not None:
            indexed = self._indexes.find(self._path)
            return {package.key: indexed for package in packages}
        if look is not Look.BESIDE:
            return {}
        found = Find(bundle=self.raw)
        if self.fd is not None:
            found = find_embedded(self.fd)._replace(bundle=self.raw)
        return {package.key: found for package in packages}


class _Running(NamedTuple):
    """A path and what is known of it so far: the answer, or whence it will come. ``held`` is open until it is there."""

    path: str
    held: ExitStack
    answer: "Union[Judged, UnreadableError, Future[Judged]]"


def _verify_all(
    gate: Gate, options: argparse.Namespace, bundle: Optional[bytes]
) -> Tuple[List[Judged], Optional[MultisigError]]:
    """A verdict on each path, and what could not be read first of all, if anything.

    The payloads of a few RPMs are still being proven, by the gate's threads, while the next one is read.
    """
    found: List[Judged] = []
    failure: Optional[MultisigError] = None
    running: Deque[_Running] = deque()
    given = partial(_Given, bundle=bundle, indexes=Indexes(options.paths))
    sizes = [partial(bytes_to_read, path, options.kind) for path in options.paths]
    with progress("verifying", lambda: sum(size() for size in sizes)) as bar, ExitStack() as all_held:
        for number, path in enumerate(options.paths):
            held = all_held.enter_context(ExitStack())
            advance = held.enter_context(bar.part(f"verifying {base_name(path)}", sizes[number]))
            try:
                running.append(_Running(path, held, _verify(gate, number, path, options, given, held, advance)))
            except UnreadableError as error:
                running.append(_Running(path, held, error))
            while len(running) > (AT_ONCE if number + 1 < len(options.paths) else 0):
                judged, unreadable = _finished(running.popleft(), options.repo)
                found.append(judged)
                failure = failure or unreadable
    return found, failure


def _finished(running: _Running, repo: str) -> Tuple[Judged, Optional[UnreadableError]]:
    answer = running.answer
    with running.held:
        try:
            if isinstance(answer, UnreadableError):
                raise answer
            return (answer if isinstance(answer, Judged) else answer.result()), None
        except UnreadableError as error:
            # Its name is the path, and once is enough.
            text = str(error).removeprefix(f"{running.path}: ")
            return Judged(refuse(running.path, repo, Code.UNREADABLE, text)), error


def _verify(
    gate: Gate,
    number: int,
    path: str,
    options: argparse.Namespace,
    find: "Callable[[str], _Given]",
    held: ExitStack,
    advance: Progress,
) -> "Union[Judged, Future[Judged]]":
    kind = kind_of(path, options.kind)
    given = find(path)
    if kind is Kind.TREE:
        try:
            digests = manifest_digests(tree_manifest(path, progress=advance))
        except MalformedTreeError as error:
            return Judged(refuse(base_name(path), options.repo, Code(error.code), str(error)))
        return gate.judge_digests(kind, base_name(path), digests, options.repo, given.raw)
    fd = open_regular(path)
    held.callback(os.close, fd)
    if kind is Kind.FILE:
        _, digests = hash_file(fd, path=path, progress=advance)
        return gate.judge_digests(kind, base_name(path), digests, options.repo, given.raw)
    given.fd = fd
    return gate.judge_file(fd, path, Package(number, "", "", options.repo), given, progress=advance)
