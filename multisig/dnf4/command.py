# SPDX-License-Identifier: GPL-2.0-or-later
"""``dnf multisig``: the questions that one asks of multisig while at dnf, by dnf's own repositories and settings."""

from __future__ import annotations

import time
from typing import Callable, List, Sequence

import dnf
import dnf.subject

from multisig import report
from multisig.config import Config, load_config
from multisig.dnf4.transaction import Transaction
from multisig.errors import UsageError

#: The actions, and what each says of itself.
ACTIONS = {
    "status": "who has signed what could be installed, and what is still missing",
    "verify": "whether the policy accepts RPM files that are at hand",
    "audit": "whether what is installed would still be accepted, without the signers or keys named",
}


def run(base: "dnf.Base", action: str, words: Sequence[str], say: Callable[[str], None]) -> int:
    """Answer ``dnf multisig ACTION [WORDS...]``; returns 0 accepted, 1 refused. Raises a MultisigError for the rest."""
    config = load_config(base.conf.pluginconfpath)
    if action == "status":
        return _status(base, config, words, say)
    if action == "verify":
        return _verify(config, words)
    if action == "audit":
        return _audit(base.conf.installroot, config, words)
    raise UsageError("there is no such action", expected=" or ".join(ACTIONS), got=ascii(action))


def _status(base: "dnf.Base", config: Config, words: Sequence[str], say: Callable[[str], None]) -> int:
    """Judge the newest available package of each name by its evidence, as a transaction would before a download."""
    handles = _named(base, words) if words else list(base.sack.query().upgrades().latest())
    if not handles:
        say("multisig: nothing to upgrade; name packages to ask about them")
        return 0
    started = time.monotonic()
    transaction = Transaction(base, config, {}, say)
    try:
        verdicts = [item.verdict for item in transaction.judge_available(handles)]
    finally:
        transaction.close()
    for verdict in verdicts:
        say(f"  {report.line(verdict)}" if verdict.accepted else report.block(verdict))
    refused = sum(not verdict.accepted for verdict in verdicts)
    took = time.monotonic() - started
    say(f"multisig: {len(verdicts) - refused} of {len(verdicts)} could be installed ({took:.1f} s)")
    return 1 if refused else 0


def _named(base: "dnf.Base", words: Sequence[str]) -> List["dnf.package.Package"]:
    found: List["dnf.package.Package"] = []
    for word in words:
        query = dnf.subject.Subject(word).get_best_query(base.sack).available().latest()
        if not query:
            raise UsageError(f"no enabled repository has a package {ascii(word)}; see: dnf list --available")
        found += query
    return found


def _verify(config: Config, words: Sequence[str]) -> int:
    from multisig.cli import main

    if not words:
        raise UsageError("dnf multisig verify needs RPM files")
    return main(["verify", "--policy", config.policy, "--", *words])


def _audit(root: str, config: Config, words: Sequence[str]) -> int:
    from multisig.cli import main

    without = [f"--without={word}" for word in words]
    return main(["audit", f"--root={root}", f"--policy={config.policy}", f"--journal={config.journal}", *without])
