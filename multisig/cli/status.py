# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig status."""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Dict, Tuple

from multisig.cli.answer import later_clock, moment
from multisig.cli.progress import progress, remark
from multisig.cli.repository import Folders
from multisig.cli.statusjson import error_text, survey_json
from multisig.cli.subject import hush_librpm
from multisig.errors import MultisigError
from multisig.files import write_whole
from multisig.gate import Gate
from multisig.metadata import REPOMD, read_metadata
from multisig.openpgp import Engine, open_engine
from multisig.policy import Policy, ReleaseRequirement, load_policy, release_rules
from multisig.survey import Survey, make_people
from multisig.surveying import Surveyor
from multisig.threads import workers
from multisig.verdict import ReleaseStanding

Standings = Dict[str, Tuple[ReleaseStanding, ReleaseRequirement]]


def run(options: argparse.Namespace) -> int:
    """0 where the question could be answered, whatever the answer is."""
    now = moment(options.at) if options.at is not None else int(time.time())
    hush_librpm()
    policy = load_policy(options.policy)
    with ExitStack() as stack:
        engine = stack.enter_context(closing(open_engine(clock=later_clock(now))))
        pool = stack.enter_context(ThreadPoolExecutor(workers()))
        surveyor = Surveyor(options.repository, options.repo, policy, engine, pool, now=now)
        with progress("reading packages", lambda: len(surveyor.files())) as bar:
            surveyor.read(bar)
        with progress("verifying signatures") as bar:
            rows = surveyor.rows(bar)
        releases = _releases(options, policy, engine, now)
    people = make_people(policy, rows, now)
    survey = Survey(
        options.repository, options.repo, policy, options.policy, now, rows, people, releases, tuple(surveyor.notes)
    )
    _answer(survey, options)
    return 0


def error_json(error: MultisigError) -> str:
    """The answer where nothing could be told."""
    return error_text(error)


def _releases(options: argparse.Namespace, policy: Policy, engine: Engine, now: int) -> Standings:
    """How the repository stands by each rule that asks for its release; nothing where it has no metadata yet."""
    if not os.path.lexists(os.path.join(options.repository, REPOMD)):
        return {}
    metadata = read_metadata(options.repository, options.repo or options.repository)
    standings: Standings = {}
    with Gate(policy, engine, now=now, workers=1, releases=Folders(metadata.repo)) as gate:
        for rule in release_rules(policy, options.repo):
            if rule.release is not None:
                standings[rule.name] = (gate.repository_standing(metadata, rule), rule.release)
    return standings


def _answer(survey: Survey, options: argparse.Namespace) -> None:
    if options.html is not None:
        from multisig.cli.statuspage import page

        write_whole(options.html, page(survey).encode("utf-8"))
        remark(f"{options.html} is written")
    if options.json:
        print(survey_json(survey))
    elif options.html is None:
        from multisig.cli.statustext import show

        show(survey, every=options.all)
