# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands that judge have in common: times among their options, and one JSON object as their answer."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Callable, Dict, Optional, Sequence

from multisig.errors import MultisigError, UsageError
from multisig.times import parse_age
from multisig.verdict import Verdict


def moment(text: str, option: str = "--at") -> int:
    """Seconds since the epoch of an ISO 8601 time."""
    try:
        found = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
        return int((found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError):
        wanted = "ISO 8601, as 2026-01-31T12:00:00Z"
        raise UsageError(f"{option} is not a time", expected=wanted, got=ascii(text)) from None


def later_clock(now: int) -> Callable[[], float]:
    """The engines' clock where the policy's says ``now``: what is expired by the real one stays so, and what is dated
    in the future by both is.
    """
    return lambda: max(time.time(), now)


def span(text: str, option: str) -> int:
    """Seconds of a span of time: ``14d`` or ``36h``."""
    seconds = parse_age(text)
    if seconds is None:
        raise UsageError(f"{option} is not a span of time", expected="days or hours, as 14d or 36h", got=ascii(text))
    return seconds


def answer_json(verdicts: Sequence[Verdict], failure: Optional[MultisigError]) -> str:
    """The verdicts, and what kept something from being judged, if anything did (docs/formats.md)."""
    accepted = failure is None and bool(verdicts) and all(verdict.accepted for verdict in verdicts)
    return json.dumps(
        {
            "accepted": accepted,
            "error": None if failure is None else {"code": failure.code, "message": str(failure)},
            "subjects": [_subject(verdict) for verdict in verdicts],
        }
    )


def _subject(verdict: Verdict) -> Dict[str, object]:
    return {
        "name": verdict.name,
        "accepted": verdict.accepted,
        "code": verdict.code.value,
        "rules": [outcome.rule for outcome in verdict.rules],
        "signers": list(verdict.signers),
        "ignored": list(verdict.ignored),
        "message": verdict.message,
    }
