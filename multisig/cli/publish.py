# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig publish."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Iterator, List, Optional

from multisig import report
from multisig.cli.merge import say
from multisig.cli.progress import progress
from multisig.cli.subject import hush_librpm
from multisig.errors import MultisigError
from multisig.openpgp import open_engine
from multisig.policy import load_policy
from multisig.policy.publishing import publishing_policy
from multisig.publishing.createrepo import REPODATA, REPOMD
from multisig.publishing.run import Publisher, Report
from multisig.text import plain
from multisig.threads import workers

_ANY = "any repository"


def run(options: argparse.Namespace) -> int:
    """0 what can be published is; packages that still need signatures are no failure."""
    hush_librpm()
    policy = publishing_policy(load_policy(options.policy), options.repo_id)
    with ExitStack() as stack:
        engine = stack.enter_context(closing(open_engine()))
        pool = stack.enter_context(ThreadPoolExecutor(workers()))
        bar = stack.enter_context(progress("publishing"))
        publisher = Publisher(
            options.incoming, options.repo, policy, engine, pool, origin=options.repo_id or _ANY, now=int(time.time()),
            workers=workers(), part=bar.part,
        )  # fmt: skip
        done = publisher.run()
    if options.json:
        print(_json(done, None))
    else:
        say(done.dropped)
        for line in _lines(done):
            print(line)
        for line in _stale(done, options.repo):
            print(f"multisig: {plain(line)}", file=sys.stderr)
    return 0


def error_json(error: MultisigError) -> str:
    """The answer where the run could not be finished; what was done until then was."""
    return _json(Report(), error)


def _lines(done: Report) -> List[str]:
    lines = [f"published {report.line(verdict)}" for verdict in done.published]
    lines += [f"more signatures for {plain(name)}" for name in done.extended]
    if done.held:
        lines += ["held back:", *(report.block(verdict) for verdict in done.held)]
    counts = [f"{len(done.published)} published", f"{len(done.extended)} with more signatures"]
    counts += [f"{len(done.held)} held back", f"{done.known} uploads published before"]
    return [*lines, ", ".join(counts)]


def _stale(done: Report, repo: str) -> Iterator[str]:
    """What was signed of the repository as it was before."""
    for suffix, what in ((".msig", "multisig release sign"), (".asc", "gpg, as you did before")):
        path = os.path.join(repo, REPODATA, REPOMD + suffix)
        if done.changed and os.path.lexists(path):
            yield f"{path} is not over the new repomd.xml; sign that again ({what})"


def _json(done: Report, error: Optional[MultisigError]) -> str:
    return json.dumps(
        {
            "error": None if error is None else {"code": error.code, "message": str(error)},
            "changed": done.changed,
            "published": [{"name": item.name, "signers": list(item.signers)} for item in done.published],
            "extended": done.extended,
            "held": [
                {"name": item.name, "code": item.code.value, "message": item.message, "ignored": list(item.ignored)}
                for item in done.held
            ],
            "dropped": [{"source": item.source, "part": item.part, "reason": item.reason} for item in done.dropped],
        }
    )
