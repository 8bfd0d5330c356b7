# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages a front end should leave out of its resolution, because more people have yet to sign them."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Sequence

from multisig.gate import EvidenceSource, Gate, Package
from multisig.metadata import Metadata
from multisig.policy import matching_rules
from multisig.traits import planned_traits
from multisig.verdict import Verdict, lacks_people


def lacking_people(
    gate: Gate, packages: Sequence[Package], source: EvidenceSource, metadata: Callable[[int], Optional[Metadata]]
) -> Dict[int, Verdict]:
    """Of planned packages those that lack people's signatures, by Package.key, with what each lacks.

    Only where a rule asks for the repository's release statement and that is good: it binds the index, so that nobody
    can take signatures out of it to keep a system from an update. Where a rule asks for none, or where it is not good,
    nothing is held back, and what lacks signatures is refused when it is planned. ``metadata`` is of the repository
    that a package, by its key, comes from, as in repositories.ReleaseSource. Raises UnreadableError.
    """
    lacking: Dict[int, Verdict] = {}
    for package, judged in zip(packages, gate.judge_planned(packages, source)):
        traits = planned_traits(package.name, package.obsoletes, package.repo)
        rules = [rule for rule in matching_rules(gate.policy, traits) if rule.signed_by is None]
        found = metadata(package.key) if lacks_people(rules, judged.verdict) else None
        if found is not None and any(
            rule.release is not None and gate.repository_standing(found, rule).good for rule in rules
        ):
            lacking[package.key] = judged.verdict
    return lacking
