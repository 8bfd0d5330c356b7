# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig keys: whose keys the policy knows, and which of them count."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Any, Dict, List, Optional, Tuple

from multisig.cli.tables import BAD, DIM, GOOD, WARN, show_table
from multisig.policy import Policy, load_policy
from multisig.policy.roster import KeyLine, PersonLine, people, standing_words, vendors
from multisig.times import day


def run(options: argparse.Namespace) -> int:
    policy, now = load_policy(options.policy), int(time.time())
    if options.json:
        print(json.dumps(_json(policy, now)))
        return 0
    rows: List[Tuple[str, ...]] = []
    styles: List[str] = []
    for person in people(policy, now):
        for key in person.keys:
            rows.append(_row(person.name, key, standing_words(person)))
            styles.append(_style(key, person))
    for vendor in vendors(policy, now):
        for key in vendor.keys:
            rows.append(_row(f'rule "{vendor.rule}"', key, ""))
            styles.append(_style(key, None))
    if rows:
        show_table(("WHO", "KEY", "ALGORITHM", "EXPIRES", "STATUS"), rows, styles=styles)
    else:
        print(f"{options.policy}: no signers, and no rule with signed-by")
    return 0


def _row(who: str, key: KeyLine, standing: str) -> Tuple[str, ...]:
    expires = "" if key.problem is not None else "never" if key.expires is None else day(key.expires)
    # Whether the keys of somebody who does not count any more would count is of no interest, but that they do not is.
    status = standing if standing and key.counts else "; ".join(text for text in (standing, key.status) if text)
    return who, key.fingerprint, key.algorithm, expires, status


def _style(key: KeyLine, person: Optional[PersonLine]) -> str:
    if person is not None and person.standing != "active":
        return DIM
    return BAD if not key.counts else WARN if key.soon else GOOD


def _json(policy: Policy, now: int) -> Dict[str, Any]:
    """Times are seconds since the epoch."""
    return {
        "serial": policy.serial,
        "people": [asdict(person) for person in people(policy, now)],
        "vendors": [asdict(vendor) for vendor in vendors(policy, now)],
    }
