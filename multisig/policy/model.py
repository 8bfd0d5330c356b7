# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy as frozen values. Whatever reaches the rest of the program has this form and has been checked.

Times are seconds since the epoch, fingerprints 40 upper-case hex digits. Nothing here reads a file or a clock.
``AllOf`` and ``AnyOf`` are no named tuples as other values are: those are equal where their fields are, and all of some
parts is not any of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Dict, Final, FrozenSet, Iterator, List, Mapping, Optional, Tuple, Union

from multisig.namedtuples import NamedTuple
from multisig.openpgp.keys import KeyRequirements
from multisig.openpgp.model import PublicKey

KINDS = ("rpm", "file", "tree")


class Key(NamedTuple):
    """A public key that the policy names. ``fingerprint`` is the primary key's, and that of the key in ``file``.

    ``problem`` says why no part of the key can count under the policy's ``keys:`` requirements; None where at least one
    part can. A signature's own issuing part still has to be looked at (multisig.openpgp.keys.key_problem).
    """

    fingerprint: str
    file: str
    public: PublicKey
    problem: Optional[str]


class Retirement(NamedTuple):
    """Since when a signer's signatures no longer count (00:00 UTC of that day).

    ``statements``: of the earlier ones only these, by SHA-256 in lower-case hex; None for all of them.
    """

    since: int
    statements: Optional[FrozenSet[str]]


class Signer(NamedTuple):
    """A person: one vote, whatever keys they hold. Nothing of theirs counts once ``compromised``."""

    name: str
    keys: Tuple[Key, ...]
    retired: Optional[Retirement]
    compromised: bool


class Leaf(NamedTuple):
    """``threshold`` of the people in ``group``; 1 <= threshold <= len(members), members are distinct signer names."""

    threshold: int
    group: str
    members: Tuple[str, ...]


class _Joint:
    def __init__(self, parts: Tuple["Requirement", ...]) -> None:
        self.parts: Final = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Joint) and type(self) is type(other) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash((type(self), self.parts))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.parts!r})"


class AllOf(_Joint):
    """Every part has to be satisfied. At least one part."""


class AnyOf(_Joint):
    """One part has to be satisfied. At least one part."""


Requirement = Union[Leaf, AllOf, AnyOf]


class ContentSelector(NamedTuple):
    """What in an RPM makes a rule match; any one suffices. ``paths`` and ``provides`` are globs."""

    setuid: bool
    scripts: bool
    paths: Tuple[str, ...]
    provides: Tuple[str, ...]


class Exemption(NamedTuple):
    """Nothing is checked, for the reason given. ``until``: the first second after the last day; None: never ends."""

    reason: str
    until: Optional[int]


class ReleaseRequirement(NamedTuple):
    """Who must have signed the repository's release statement, and how many seconds old it may be."""

    require: Requirement
    max_age: int


class Rule(NamedTuple):
    """One rule: selectors (None: not given, matches everything) and exactly one of require, signed_by, exempt.

    ``channel`` is set exactly where ``require`` is; ``release`` only there. ``file_signatures``: IMA and fs-verity
    signatures are tolerated in the RPM's unsigned signature header.
    """

    name: str
    kind: str
    repos: Optional[Tuple[str, ...]]
    packages: Optional[Tuple[str, ...]]
    content: Optional[ContentSelector]
    channel: Optional[str]
    require: Optional[Requirement]
    release: Optional[ReleaseRequirement]
    signed_by: Optional[Tuple[Key, ...]]
    exempt: Optional[Exemption]
    file_signatures: bool


class _Policy(NamedTuple):
    serial: int
    channel: Optional[str]
    quorum: Optional[Requirement]
    signers: Mapping[str, Signer]
    groups: Mapping[str, Tuple[str, ...]]
    key_requirements: KeyRequirements
    rules: Tuple[Rule, ...]
    sha256: str


class Policy(_Policy):
    """A whole policy. ``sha256`` is that of its text, lower-case hex. ``signers`` and ``groups`` cannot be changed."""

    @cached_property
    def looks_at_content(self) -> bool:
        """Whether any rule is chosen by what a package holds."""
        return any(rule.content is not None for rule in self.rules)

    @cached_property
    def keys_by_id(self) -> Mapping[str, Tuple[Tuple[Signer, Key], ...]]:
        """Whose keys have a part for signing with a key id (16 digits, upper case), in the policy's order."""
        found: Dict[str, List[Tuple[Signer, Key]]] = {}
        for signer in self.signers.values():
            for key in signer.keys:
                for keyid in dict.fromkeys(part.keyid for part in key.public.signing_parts()):
                    found.setdefault(keyid, []).append((signer, key))
        return {keyid: tuple(pairs) for keyid, pairs in found.items()}


def leaves(requirement: Requirement) -> Iterator[Leaf]:
    """The leaves of a requirement, in the order they are written."""
    if isinstance(requirement, Leaf):
        yield requirement
        return
    for part in requirement.parts:
        yield from leaves(part)


def satisfied_by(requirement: Requirement, people: FrozenSet[str]) -> bool:
    """Whether these people would satisfy it. A person counts once in each leaf, and may satisfy several leaves."""
    if isinstance(requirement, Leaf):
        return len(people.intersection(requirement.members)) >= requirement.threshold
    if isinstance(requirement, AllOf):
        return all(satisfied_by(part, people) for part in requirement.parts)
    return any(satisfied_by(part, people) for part in requirement.parts)


def describe(requirement: Requirement) -> str:
    """The requirement in words: ``2 of builders and (1 of release or 1 of security)``."""
    if isinstance(requirement, Leaf):
        return f"{requirement.threshold} of {requirement.group}"
    joint = " and " if isinstance(requirement, AllOf) else " or "
    texts = []
    for part in requirement.parts:
        text = describe(part)
        nested = not isinstance(part, Leaf) and len(part.parts) > 1
        texts.append(f"({text})" if nested and len(requirement.parts) > 1 else text)
    return joint.join(texts)
