# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig audit."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from itertools import islice
from typing import List, Sequence

from multisig import report
from multisig.audit import SYSTEM, Auditor, without
from multisig.cli.answer import answer_json
from multisig.cli.progress import progress
from multisig.cli.subject import hush_librpm
from multisig.errors import MultisigError, UnreadableError
from multisig.journal import Journal
from multisig.openpgp import open_engine
from multisig.policy import load_policy
from multisig.recall import Recall
from multisig.subjects.installed import count_installed, read_all_installed
from multisig.text import plain
from multisig.threads import workers
from multisig.verdict import Verdict

_AT_ONCE = 64


def run(options: argparse.Namespace) -> int:
    policy = without(load_policy(options.policy), options.without)
    hush_librpm()
    verdicts: List[Verdict] = []
    with Journal(options.journal).reading() as database, closing(open_engine()) as engine:
        recall = Recall(database, options.journal)
        with (
            closing(Auditor(policy, engine, recall, now=int(time.time()), workers=workers())) as auditor,
            progress("auditing", lambda: count_installed(options.root)) as bar,
        ):
            packages = read_all_installed(options.root)
            while True:
                some = list(islice(packages, _AT_ONCE))
                if not some:
                    break
                verdicts += auditor.judge(some)
                bar(len(some))
    if not verdicts:
        raise UnreadableError("rpm's database holds no package", path=options.root)
    verdicts.sort(key=lambda verdict: verdict.name)
    print(answer_json(verdicts, None) if options.json else _told(verdicts))
    return 0 if all(verdict.accepted for verdict in verdicts) else 1


def error_json(error: MultisigError) -> str:
    """The answer where nothing could be judged at all."""
    return answer_json([], error)


def _told(verdicts: Sequence[Verdict]) -> str:
    refused = [verdict for verdict in verdicts if not verdict.accepted]
    around = [verdict for verdict in refused if verdict.origin == SYSTEM]
    lines = [report.block(verdict) for verdict in refused if verdict.origin != SYSTEM]
    if around:
        lines.append("not in the journal: they came in before multisig, or around it")
        lines += [f"  {plain(verdict.name)}" for verdict in around]
    approved = len(verdicts) - len(refused)
    lines.append(f"{approved} of {len(verdicts)} installed packages are approved")
    return "\n".join(lines)
