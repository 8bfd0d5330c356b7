# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig history."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone

from multisig.errors import JournalError
from multisig.journal import Decision, Journal
from multisig.text import counted, plain


def run(options: argparse.Namespace) -> int:
    warned = Warned()
    for decision in Journal(options.journal).history():
        try:
            print(_heading(decision))
        except (ValueError, OverflowError, TypeError):
            raise JournalError("the journal holds a time that is none", path=options.journal) from None
        for package in decision.packages:
            word = "accepted" if package.accepted else "refused "
            print(f"    {word}  {plain(package.name)}  from {plain(package.origin)}: {plain(package.message)}")
        if decision.notes:
            print(f"    rpm installed {plain(', '.join(decision.notes))}, as it was told to")
        if decision.mode == "warn":
            warned.add(decision)
    if warned.transactions:
        print(warned)
    return 0


@dataclass
class Warned:
    """What warn mode let through in all: packages and transactions, and the reason codes of those not approved."""

    packages: int = 0
    transactions: int = 0
    affected: int = 0
    reasons: "Counter[str]" = field(default_factory=Counter)

    def add(self, decision: Decision) -> None:
        refused = [plain(package.code) for package in decision.packages if not package.accepted]
        self.packages += len(decision.packages)
        self.transactions += 1
        self.affected += bool(refused)
        self.reasons.update(refused)

    def __str__(self) -> str:
        refused = sum(self.reasons.values())
        text = f"mode = warn: would have refused {refused} of {counted(self.packages, 'package')}"
        text += f", in {self.affected} of {counted(self.transactions, 'transaction')}"
        codes = ", ".join(f"{count} {code}" for code, count in self.reasons.most_common())
        return f"{text} ({codes})" if codes else text


def _heading(decision: Decision) -> str:
    when = datetime.fromtimestamp(decision.time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    outcome = "accepted" if decision.accepted else "refused"
    if not decision.accepted and decision.mode == "warn":
        refused = sum(not package.accepted for package in decision.packages)
        outcome = f"would have refused {refused} of {counted(len(decision.packages), 'package')}"
    if (decision.accepted or decision.mode == "warn") and decision.finished is None:
        outcome += ", not known to have finished"
    return (
        f"{decision.id}  {when}  {outcome}  ({decision.stage}; policy serial {decision.policy_serial}, {decision.mode})"
    )
