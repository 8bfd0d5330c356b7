# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig history."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

from multisig.errors import JournalError
from multisig.journal import Decision, Journal
from multisig.text import plain


def run(options: argparse.Namespace) -> int:
    for decision in Journal(options.journal).history():
        try:
            print(_heading(decision))
        except (ValueError, OverflowError, TypeError):
            raise JournalError("the journal holds a time that is none", path=options.journal) from None
        for package in decision.packages:
            word = "accepted" if package.accepted else "refused "
            print(f"    {word}  {plain(package.name)}  from {plain(package.origin)}: {plain(package.message)}")
    return 0


def _heading(decision: Decision) -> str:
    when = datetime.fromtimestamp(decision.time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    outcome = "accepted" if decision.accepted else "refused" if decision.mode == "enforce" else "would be refused"
    if decision.accepted and decision.finished is None:
        outcome += ", not known to have finished"
    return (
        f"{decision.id}  {when}  {outcome}  ({decision.stage}; policy serial {decision.policy_serial}, {decision.mode})"
    )
