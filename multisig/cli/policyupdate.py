# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy update."""

from __future__ import annotations

import argparse
import time

from multisig import report
from multisig.openpgp import GpgvEngine
from multisig.policy import load_policy
from multisig.policy.changes import changes
from multisig.policy.lint import lint
from multisig.succession import update_policy
from multisig.text import plain


def run(options: argparse.Namespace) -> int:
    """0 where NEW has taken the policy's place, 1 where it may not, 2 where that cannot be judged."""
    now = int(time.time())
    before = load_policy(options.policy)
    with GpgvEngine(late=True) as engine:
        verdict = update_policy(options.policy, options.new, engine, now=now)
    if not verdict.accepted:
        print("multisig: refused; the policy in force stays.\n")
        print(report.block(verdict))
        return 1
    after = load_policy(options.policy)
    for line in changes(before, after):
        print(plain(line))
    for finding in lint(after, now):
        print(plain(f"{finding.severity}: {finding.subject}: {finding.text}"))
    who = ", ".join(sorted(verdict.signers))
    print(plain(f"{options.policy}: serial {after.serial} in place of {before.serial}, signed by {who}"))
    return 0
