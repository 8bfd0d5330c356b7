# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig verify."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import closing
from functools import partial
from typing import List, Mapping, Optional, Sequence, Tuple

from multisig import report
from multisig.bundle import MAX_BUNDLE
from multisig.cli.answer import answer_json, moment
from multisig.cli.bundles import bundle_path
from multisig.cli.progress import progress
from multisig.cli.repository import Folders
from multisig.cli.subject import base_name, bytes_to_read, hush_librpm, kind_of
from multisig.errors import MalformedTreeError, MultisigError, UnreadableError
from multisig.files import open_regular, read_bounded, read_if_there
from multisig.gate import Gate, Package
from multisig.held import Find, Look
from multisig.openpgp import open_engine
from multisig.policy import load_policy
from multisig.statement import Kind
from multisig.subjects import Progress
from multisig.subjects.file import hash_file
from multisig.subjects.tree import manifest_digests, tree_manifest
from multisig.verdict import Code, Verdict, refuse

LOCAL = "@commandline"


def run(options: argparse.Namespace) -> int:
    now = moment(options.at) if options.at is not None else int(time.time())
    policy = load_policy(options.policy)
    bundle = read_bounded(options.bundle, MAX_BUNDLE) if options.bundle is not None else None
    workers = len(os.sched_getaffinity(0)) + 1
    hush_librpm()
    folders = Folders(None if options.repo == LOCAL else options.repo)
    for number, path in enumerate(options.paths):
        folders.add(number, path)
    with closing(open_engine()) as engine, Gate(policy, engine, now=now, workers=workers, releases=folders) as gate:
        verdicts, failure = _verify_all(gate, options, bundle)
    if options.json:
        print(answer_json(verdicts, failure))
    else:
        for verdict in verdicts:
            print(report.line(verdict) if verdict.accepted else report.block(verdict))
    if failure is not None:
        return 2
    return 0 if all(verdict.accepted for verdict in verdicts) else 1


def error_json(error: MultisigError) -> str:
    """The answer where nothing could be judged at all."""
    return answer_json([], error)


class _Given:
    """A bundle that is at hand already, or lies beside the path."""

    def __init__(self, path: str, bundle: Optional[bytes]) -> None:
        self.raw = bundle if bundle is not None else read_if_there(bundle_path(path), MAX_BUNDLE)

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if self.raw is None or look is not Look.BESIDE:
            return {}
        return {package.key: Find(bundle=self.raw) for package in packages}


def _verify_all(
    gate: Gate, options: argparse.Namespace, bundle: Optional[bytes]
) -> Tuple[List[Verdict], Optional[MultisigError]]:
    """A verdict on each path, and what could not be read first of all, if anything."""
    verdicts: List[Verdict] = []
    failure: Optional[MultisigError] = None
    sizes = [partial(bytes_to_read, path, options.kind) for path in options.paths]
    with progress("verifying", lambda: sum(size() for size in sizes)) as bar:
        for number, path in enumerate(options.paths):
            with bar.part(f"verifying {base_name(path)}", sizes[number]) as advance:
                try:
                    verdicts.append(_verify(gate, number, path, options, bundle, advance))
                except UnreadableError as error:
                    failure = failure or error
                    verdicts.append(refuse(path, options.repo, Code.UNREADABLE, str(error)))
    return verdicts, failure


def _verify(
    gate: Gate, number: int, path: str, options: argparse.Namespace, bundle: Optional[bytes], advance: Progress
) -> Verdict:
    kind = kind_of(path, options.kind)
    given = _Given(path, bundle)
    if kind is Kind.TREE:
        try:
            digests = manifest_digests(tree_manifest(path, progress=advance))
        except MalformedTreeError as error:
            return refuse(base_name(path), options.repo, Code(error.code), str(error))
        return gate.judge_digests(kind, base_name(path), digests, options.repo, given.raw).verdict
    fd = open_regular(path)
    try:
        if kind is Kind.FILE:
            _, digests = hash_file(fd, path=path, progress=advance)
            return gate.judge_digests(kind, base_name(path), digests, options.repo, given.raw).verdict
        package = Package(number, "", "", options.repo)
        return gate.judge_file(fd, path, package, given, progress=advance).result().verdict
    finally:
        os.close(fd)
