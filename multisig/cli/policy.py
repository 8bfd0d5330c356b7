# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy."""

from __future__ import annotations

import argparse
import time

from multisig.policy import lint, load_policy
from multisig.text import plain


def run(options: argparse.Namespace) -> int:
    """check: 0 where the policy can be used, 1 where a requirement cannot be met now, 2 where it is broken."""
    policy = load_policy(options.policy)
    findings = lint(policy, int(time.time()))
    for finding in findings:
        print(plain(f"{finding.severity}: {finding.subject}: {finding.text}"))
    people, rules = len(policy.signers), len(policy.rules)
    print(f"{options.policy}: serial {policy.serial}, {people} signers, {len(policy.groups)} groups, {rules} rules")
    return 1 if any(finding.severity == "error" for finding in findings) else 0
