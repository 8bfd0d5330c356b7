# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy check."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Dict, List, Optional, Tuple

from multisig import paths
from multisig.cli.tables import BAD, WARN, show_text
from multisig.errors import JournalError, MultisigError
from multisig.journal import Journal
from multisig.policy import Policy, load_policy
from multisig.policy.lint import Finding, lint
from multisig.succession import rolled_back
from multisig.text import counted, plain


def run(options: argparse.Namespace) -> int:
    """0 where the policy can be used, 1 where it cannot let in what it should now, 2 where it is broken."""
    policy = load_policy(options.policy)
    back = _history(policy, options)
    findings = (*back, *lint(policy, int(time.time())))
    accepted = not _is_error(findings)
    texts = [plain(f"{finding.severity}: {finding.subject}: {finding.text}") for finding in findings]
    parts = (("signer", policy.signers), ("group", policy.groups), ("rule", policy.rules))
    summary = f"serial {policy.serial}, " + ", ".join(counted(len(items), what) for what, items in parts)
    if options.json:
        subject = {
            "name": os.path.basename(options.policy),
            "accepted": accepted,
            "code": "ok" if accepted else "rollback" if _is_error(back) else "policy-error",
            "rules": [rule.name for rule in policy.rules],
            "signers": list(policy.signers),
            "ignored": texts,
            "message": summary,
        }
        print(_json(accepted, None, [subject]))
    else:
        for text, finding in zip(texts, findings):
            show_text(text, finding.severity, BAD if finding.severity == "error" else WARN)
        print(plain(f"{options.policy}: {summary}"))
    return 0 if accepted else 1


def _is_error(findings: Tuple[Finding, ...]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _history(policy: Policy, options: argparse.Namespace) -> Tuple[Finding, ...]:
    """What the journal says of the policy: whether a later one was in force. This machine's journal is about this
    machine's policy, and may be for root alone to read; one that was named has to be readable."""
    path = options.journal
    if path is None:
        if os.path.abspath(options.policy) != paths.POLICY:
            return ()
        path = paths.JOURNAL
    try:
        back = rolled_back(policy, Journal(path).newest_policy(policy.channel or ""))
    except JournalError as error:
        if options.journal is not None:
            raise
        return (Finding("warning", "serial", f"not compared with the policies that were in force: {error}"),)
    if back is None:
        return ()
    return (Finding("warning" if policy.quorum is None else "error", "serial", back),)


def error_json(error: MultisigError) -> str:
    """The answer where the policy cannot be used."""
    return _json(False, error, [])


def _json(accepted: bool, error: Optional[MultisigError], subjects: List[Dict[str, object]]) -> str:
    told = None if error is None else {"code": error.code, "message": str(error)}
    return json.dumps({"accepted": accepted, "error": told, "subjects": subjects})
