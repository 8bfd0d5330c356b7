# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig merge."""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack, closing
from typing import Dict, List, Sequence, Tuple

from multisig import bundle as bundles
from multisig import report
from multisig.bundle import MAX_BUNDLE, Bundle
from multisig.cli.bundles import read_bundle, write_bundle
from multisig.cli.progress import remark
from multisig.errors import BundleError, UnreadableError, UsageError
from multisig.files import locked, read_bounded
from multisig.merging import Dropped, Grader, Pool, fit, sound_parts
from multisig.policy import Policy, load_policy
from multisig.policy.publishing import publishing_policy
from multisig.text import plain
from multisig.threads import workers
from multisig.verdict import Verdict

_SHOWN = 10
_ANY = "any repository"


def run(options: argparse.Namespace) -> int:
    """0 all that could count was taken over; 2 an input could not be read, or there is no room, or no input is one."""
    if options.repo_id is not None and options.policy is None:
        raise UsageError("--repo-id says which rules of a policy hold; it needs --policy")
    policy = None if options.policy is None else publishing_policy(load_policy(options.policy), options.repo_id)
    inputs, dropped, unreadable = _read(options.inputs)
    with locked(options.output):
        if os.path.lexists(options.output):
            read_bundle(options.output)  # what is there and is no bundle is not written over
            inputs[options.output], own = sound_parts(read_bounded(options.output, MAX_BUNDLE), options.output)
            dropped += own
        if not inputs and not unreadable:
            say(dropped)
            raise UsageError("none of the inputs is a bundle; nothing was written")
        verdicts: List[Verdict] = []
        if policy is None:
            merged = _union(options.output, inputs)
        else:
            merged, verdicts, false = _ranked(inputs, policy, options.repo_id or _ANY)
            dropped += false
        if inputs:
            write_bundle(options.output, merged)
    say(dropped)
    signatures = sum(len(item.signatures) for item in merged.attestations)
    remark(f"statements in {options.output}: {len(merged.attestations)}, signatures: {signatures}")
    for line in _needs(verdicts):
        print(line)
    for error in unreadable:
        print(f"multisig: {plain(str(error))}", file=sys.stderr)
    return 2 if unreadable else 0


def _read(paths: Sequence[str]) -> Tuple[Dict[str, Bundle], List[Dropped], List[UnreadableError]]:
    """The inputs by path, what of them was dropped, and those that could not be read."""
    inputs: Dict[str, Bundle] = {}
    dropped: List[Dropped] = []
    unreadable: List[UnreadableError] = []
    for path in dict.fromkeys(paths):
        try:
            found, more = sound_parts(read_bounded(path, MAX_BUNDLE), path)
        except UnreadableError as error:
            unreadable.append(error)
            continue
        dropped += more
        if found.attestations or not more:
            inputs[path] = found
    return inputs, dropped, unreadable


def _union(output: str, inputs: Dict[str, Bundle]) -> Bundle:
    try:
        return bundles.merge(inputs.values())
    except BundleError as error:
        error.message += " (with --policy what counts is kept, and the rest is what finds no room)"
        raise error.at(output) from None


def _ranked(inputs: Dict[str, Bundle], policy: Policy, origin: str) -> Tuple[Bundle, List[Verdict], List[Dropped]]:
    """The union with what counts first; what no bundle has room for is dropped, what counts last of all."""
    from concurrent.futures import ThreadPoolExecutor

    from multisig.needs import needs
    from multisig.openpgp import open_engine

    offered = Pool()
    for path, found in inputs.items():
        offered.add(found, path)
    now = int(time.time())
    with ExitStack() as stack:
        engine = stack.enter_context(closing(open_engine()))
        pool = stack.enter_context(ThreadPoolExecutor(workers()))
        grader = Grader(policy, engine, pool, now=now)
        graded = grader.grade(offered)
    fitted = fit(graded)
    dropped = grader.dropped
    if fitted.statements_left_out or fitted.signatures_left_out:
        part = f"{fitted.statements_left_out} statements, {fitted.signatures_left_out} signatures"
        dropped.append(Dropped("the union", part, "a bundle has no room for them; those that count come first"))
    return fitted.bundle, needs(graded, policy, origin, now), dropped


def say(dropped: Sequence[Dropped]) -> None:
    """Name what was dropped, on the error output; of each file no more than a person reads."""
    by_source: Dict[str, List[Dropped]] = {}
    for item in dropped:
        by_source.setdefault(item.source, []).append(item)
    for source, items in by_source.items():
        for item in items[:_SHOWN]:
            print(f"multisig: {plain(str(item))}", file=sys.stderr)
        if len(items) > _SHOWN:
            print(f"multisig: {plain(source)}: dropped: {len(items) - _SHOWN} more parts", file=sys.stderr)


def _needs(verdicts: Sequence[Verdict]) -> List[str]:
    """What each package still needs, and how many need nothing."""
    lacking = [verdict for verdict in verdicts if not verdict.accepted]
    lines = [report.block(verdict) for verdict in lacking]
    if verdicts:
        lines.append(f"{len(verdicts) - len(lacking)} of {len(verdicts)} have what the policy asks for")
    return lines
