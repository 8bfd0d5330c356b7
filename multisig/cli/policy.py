# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy check."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Dict, List, Optional

from multisig.errors import MultisigError
from multisig.policy import load_policy
from multisig.policy.lint import lint
from multisig.text import plain


def run(options: argparse.Namespace) -> int:
    """0 where the policy can be used, 1 where a requirement cannot be met now, 2 where it is broken."""
    policy = load_policy(options.policy)
    findings = lint(policy, int(time.time()))
    accepted = not any(finding.severity == "error" for finding in findings)
    texts = [plain(f"{finding.severity}: {finding.subject}: {finding.text}") for finding in findings]
    counted = (("signer", policy.signers), ("group", policy.groups), ("rule", policy.rules))
    summary = f"serial {policy.serial}, " + ", ".join(_counted(what, len(items)) for what, items in counted)
    if options.json:
        subject = {
            "name": os.path.basename(options.policy),
            "accepted": accepted,
            "code": "ok" if accepted else "policy-error",
            "rules": [rule.name for rule in policy.rules],
            "signers": list(policy.signers),
            "ignored": texts,
            "message": summary,
        }
        print(_json(accepted, None, [subject]))
    else:
        for text in texts:
            print(text)
        print(plain(f"{options.policy}: {summary}"))
    return 0 if accepted else 1


def _counted(what: str, number: int) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def error_json(error: MultisigError) -> str:
    """The answer where the policy cannot be used."""
    return _json(False, error, [])


def _json(accepted: bool, error: Optional[MultisigError], subjects: List[Dict[str, object]]) -> str:
    told = None if error is None else {"code": error.code, "message": str(error)}
    return json.dumps({"accepted": accepted, "error": told, "subjects": subjects})
