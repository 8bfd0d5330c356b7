# SPDX-License-Identifier: GPL-2.0-or-later
"""What is held of one package's evidence while it is judged. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

from multisig import bundle as bundles
from multisig.bundle import Bundle
from multisig.errors import BundleError


@dataclass
class Held:
    """What is known of one package's evidence: the raw bundles, what they hold together, or why they hold nothing.

    ``used`` are the bytes of ``bundle``.
    """

    raw: List[bytes] = field(default_factory=list)
    bundle: Optional[Bundle] = None
    used: Optional[bytes] = None
    problem: Optional[str] = None


def hold(raw: List[bytes]) -> Held:
    """Parse raw bundles as one. A malformed one takes nothing away from those that are not."""
    parsed: Dict[bytes, Bundle] = {}
    problem = None
    for data in raw:
        try:
            parsed[data] = bundles.parse(data)
        except BundleError as error:
            problem = str(error)
    if not parsed:
        return Held(raw, problem=problem)
    first, only = next(iter(parsed.items()))
    if len(parsed) > 1:
        try:
            union = bundles.merge(parsed.values())
            return Held(raw, union, bundles.encode(union))
        except BundleError:
            pass  # together they are too large: the newest alone
    return Held(raw, only, first)
