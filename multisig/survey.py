# SPDX-License-Identifier: GPL-2.0-or-later
"""How a whole repository stands: who signed which package, who is missing, who signed another content. Pure.

Decides nothing that ``verdict.judge`` does not; but it says of every signature what it is worth, where a verdict looks
at no more of them than it needs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from multisig.policy import Policy, ReleaseRequirement, Signer, can_sign, key_end, leaves
from multisig.policy.roster import SOON
from multisig.statement import Digests
from multisig.verdict import Code, ReleaseStanding, Verdict


class State(enum.Enum):
    """What a package is like, for people; the value is what ``--json`` prints."""

    APPROVED = "approved"
    EXEMPT = "exempt"
    LACKING = "lacks signatures"
    OTHER_CONTENT = "other content"
    PROBLEM = "cannot be approved"


class Cell(enum.Enum):
    """What one person did about one package; the value is what ``--json`` prints."""

    SIGNED = "signed"
    OTHER = "signed other content"
    MISSING = "missing"
    OPEN = "not needed"
    UNABLE = "cannot sign"
    UNASKED = "not asked"


@dataclass(frozen=True)
class Content:
    """Another content that statements give for a package's name, and whose word on it is good."""

    digests: Digests
    signers: Tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One package file. ``cells`` has an entry for every person of the policy, in the policy's order."""

    file: str
    verdict: Verdict
    digests: Optional[Digests]
    others: Tuple[Content, ...]
    cells: Mapping[str, Cell]

    @property
    def state(self) -> State:
        return _STATES.get(self.verdict.code, State.PROBLEM)

    @property
    def disputed(self) -> bool:
        """Whether somebody stands by another content under this name."""
        return bool(self.others)

    def people(self, cell: Cell) -> Tuple[str, ...]:
        """Those whose cell is this."""
        return tuple(name for name, found in self.cells.items() if found is cell)


_STATES = {
    Code.OK: State.APPROVED,
    Code.EXEMPT: State.EXEMPT,
    Code.BELOW_THRESHOLD: State.LACKING,
    Code.NO_BUNDLE: State.LACKING,
    Code.MALFORMED_BUNDLE: State.LACKING,
    Code.CONTENT_MISMATCH: State.OTHER_CONTENT,
}


@dataclass(frozen=True)
class Person:
    """One signer: what they can still do, and what they did here. ``ends``: when the last of their keys that count
    does, None for never. ``standing``: why they cannot sign, or that they soon cannot; "" where all is well."""

    name: str
    groups: Tuple[str, ...]
    fingerprints: Tuple[str, ...]
    able: bool
    ends: Optional[int]
    standing: str
    signed: int
    other: int
    missing: int


@dataclass(frozen=True)
class Survey:
    """Everything. ``releases`` is how the repository stands by each rule that asks for its release, by rule's name;
    ``notes``: what was passed over, in words. ``now`` in seconds since the epoch."""

    repository: str
    repo: Optional[str]
    policy: Policy
    policy_path: str
    now: int
    rows: Tuple[Row, ...]
    people: Tuple[Person, ...]
    releases: Mapping[str, Tuple[ReleaseStanding, ReleaseRequirement]]
    notes: Tuple[str, ...] = ()

    def count(self, state: State) -> int:
        return sum(row.state is state for row in self.rows)

    @property
    def disputed(self) -> int:
        return sum(row.disputed for row in self.rows)


def make_row(
    policy: Policy,
    now: int,
    *,
    file: str,
    verdict: Verdict,
    digests: Optional[Digests] = None,
    signers: Iterable[str] = (),
    others: Sequence[Content] = (),
) -> Row:
    """The row of a package whose ``verdict`` was judged with all the good signatures there are, those of ``signers``
    for a channel that a matching rule asks for. ``now`` in seconds since the epoch."""
    signed = set(signers)
    elsewhere = {name for content in others for name in content.signers}
    asked = _asked(policy, verdict)
    needed = {name for said in verdict.rules for leaf in said.leaves if leaf.missing for name in leaf.available}
    cells: Dict[str, Cell] = {}
    for name, person in policy.signers.items():
        if name in signed:
            cells[name] = Cell.SIGNED
        elif name in elsewhere:
            cells[name] = Cell.OTHER
        elif name not in asked:
            cells[name] = Cell.UNASKED
        elif not can_sign(person, policy, now):
            cells[name] = Cell.UNABLE
        else:
            cells[name] = Cell.MISSING if name in needed else Cell.OPEN
    return Row(file, verdict, digests, tuple(others), cells)


def _asked(policy: Policy, verdict: Verdict) -> Set[str]:
    """Everybody whose signature some rule that matched could use."""
    matched = {said.rule for said in verdict.rules}
    found: Set[str] = set()
    for rule in policy.rules:
        if rule.name in matched and rule.require is not None:
            found.update(name for leaf in leaves(rule.require) for name in leaf.members)
    return found


def make_people(policy: Policy, rows: Sequence[Row], now: int) -> Tuple[Person, ...]:
    """Every signer of the policy, in its order, with what they did in these rows."""
    return tuple(_person(policy, signer, rows, now) for signer in policy.signers.values())


def _person(policy: Policy, signer: Signer, rows: Sequence[Row], now: int) -> Person:
    ends: List[Optional[int]] = [key_end(key, policy) for key in signer.keys if key.problem is None]
    last = None if None in ends else max((end for end in ends if end is not None), default=0)
    counts = {cell: sum(row.cells[signer.name] is cell for row in rows) for cell in Cell}
    return Person(
        signer.name,
        tuple(group for group, members in policy.groups.items() if signer.name in members),
        tuple(key.fingerprint for key in signer.keys),
        can_sign(signer, policy, now),
        last,
        _standing(signer, last, now),
        counts[Cell.SIGNED],
        counts[Cell.OTHER],
        counts[Cell.MISSING],
    )


def _standing(signer: Signer, ends: Optional[int], now: int) -> str:
    if signer.compromised:
        return "compromised"
    if signer.retired is not None:
        return "retired"
    if all(key.problem is not None for key in signer.keys):
        return "no key counts: " + "; ".join(dict.fromkeys(str(key.problem) for key in signer.keys))
    if ends is not None and ends <= now:
        return "key expired"
    if ends is not None and ends - now < SOON:
        return "key expires soon"
    return ""
