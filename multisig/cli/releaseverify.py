# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig release verify."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import closing
from typing import Iterator, List, Optional, Sequence, Set, Tuple

from multisig import paths, report
from multisig.cli.answer import answer_json, later_clock, moment
from multisig.cli.progress import Bar, progress
from multisig.cli.repository import Folders
from multisig.errors import MetadataError, MultisigError, UsageError
from multisig.files import open_regular
from multisig.gate import Gate
from multisig.journal import Journal
from multisig.metadata import Listed, Metadata, check_file, file_checksum, packages_of, parse_repomd, read_metadata
from multisig.openpgp import open_engine
from multisig.policy import Rule, load_policy, release_rules
from multisig.release import SUBJECT, warning
from multisig.times import told_span
from multisig.verdict import Code, ReleaseStanding, RuleOutcome, Verdict, refuse

_SHOWN = 10


def run(options: argparse.Namespace) -> int:
    """Judge the repository's release statement by every rule that asks for one, then all that it binds."""
    now = moment(options.at) if options.at is not None else int(time.time())
    policy = load_policy(options.policy)
    metadata = read_metadata(options.repository, options.repo or options.repository)
    folders = Folders(metadata.repo, _journal(options))
    with closing(open_engine(clock=later_clock(now))) as engine, Gate(
        policy, engine, now=now, workers=1, releases=folders
    ) as gate:
        standings = [(rule, gate.repository_standing(metadata, rule)) for rule in release_rules(policy, options.repo)]
    verdict = _verdict(metadata, standings, now)
    if verdict.accepted:
        verdict = _with_content(verdict, metadata, packages=not options.metadata_only)
    if options.json:
        print(answer_json([verdict], None))
    else:
        print(report.line(verdict) if verdict.accepted else report.block(verdict))
        if verdict.accepted and verdict.ignored:
            print(report.notes(verdict.ignored, "note"))
    return 0 if verdict.accepted else 1


def error_json(error: MultisigError) -> str:
    """The answer where nothing could be judged at all."""
    return answer_json([], error)


def _journal(options: argparse.Namespace) -> Optional[Journal]:
    """What is remembered is kept by the id of a repository: without one there is nothing to look for."""
    if options.repo is None:
        if options.journal is not None:
            raise UsageError("--journal needs --repo: the journal knows repositories by their ids")
        return None
    return Journal(options.journal or paths.JOURNAL)


def _verdict(metadata: Metadata, standings: Sequence[Tuple[Rule, ReleaseStanding]], now: int) -> Verdict:
    """Every rule that asks for a release statement has to have a good one."""
    if not standings:
        return refuse(SUBJECT, metadata.repo, Code.NO_RULE, "no rule of the policy asks for a release statement of it")
    failing = [standing for _, standing in standings if not standing.good]
    shown = failing or [standing for _, standing in standings]
    lasts = "" if failing else f"; good for {told_span(min(standing.ends for standing in shown) - now)} more"
    notes = [warning(standing, rule.release, now) for rule, standing in standings if rule.release is not None]
    return Verdict(
        SUBJECT,
        metadata.repo,
        not failing,
        failing[0].code if failing else Code.OK,
        "; ".join(dict.fromkeys(standing.text for standing in shown)) + lasts,
        tuple(RuleOutcome(rule.name, standing.good, text=standing.text) for rule, standing in standings),
        tuple(dict.fromkeys(name for _, standing in standings for name in standing.signers)),
        tuple(dict.fromkeys((*(text for _, item in standings for text in item.ignored), *filter(None, notes)))),
        tuple(dict.fromkeys(standing.statement for standing in shown if standing.statement)),
    )


def _with_content(verdict: Verdict, metadata: Metadata, *, packages: bool) -> Verdict:
    """The same verdict, once the files that repomd.xml binds are what it says; what is missing or astray is noted."""
    try:
        records = parse_repomd(metadata.repomd)
        with progress("checking the metadata") as bar:
            for record in records:
                check_file(metadata.folder, record, progress=bar)
            listed = packages_of(metadata) if records else ()
        notes = _check_packages(metadata, listed) if packages else []
    except MetadataError as error:
        return verdict._replace(accepted=False, code=Code(error.code), message=str(error))
    message = f"{verdict.message}; {report.packages(len(listed))}"
    return verdict._replace(message=message, ignored=(*verdict.ignored, *notes))


def _check_packages(metadata: Metadata, listed: Sequence[Listed]) -> List[str]:
    """Hold every package that lies here against its checksum; raises MetadataError at the first that is another."""
    missing = []
    known: Set[str] = set()
    with progress("checking the packages", lambda: sum(_size(metadata, package) for package in listed)) as bar:
        for package in listed:
            if package.location is None:
                continue
            known.add(package.location)
            if os.path.lexists(os.path.join(metadata.folder, package.location)):
                _check_package(metadata, package, bar)
            else:
                missing.append(package.location)
    strays = sorted(set(_rpms(metadata.folder)) - known)
    return [*_note("listed in the metadata, and not here", missing), *_note("here, and no part of the release", strays)]


def _check_package(metadata: Metadata, package: Listed, bar: Bar) -> None:
    path = os.path.join(metadata.folder, package.location or "")
    fd = open_regular(path)
    try:
        found = file_checksum(fd, package.checksum.algorithm, path=path, progress=bar)
    finally:
        os.close(fd)
    if found != package.checksum:
        raise MetadataError("is not the package that the released metadata list", path=path)


def _size(metadata: Metadata, package: Listed) -> int:
    try:
        return os.stat(os.path.join(metadata.folder, package.location or "")).st_size
    except OSError:
        return 0


def _rpms(folder: str) -> Iterator[str]:
    """Every *.rpm below the folder, relative to it."""
    for inside, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".rpm"):
                yield os.path.relpath(os.path.join(inside, name), folder)


def _note(what: str, names: Sequence[str]) -> List[str]:
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what}: {', '.join(names[:_SHOWN])}{more}"]
