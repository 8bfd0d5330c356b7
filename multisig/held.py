# SPDX-License-Identifier: GPL-2.0-or-later
"""What is held of one package's evidence while it is judged. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Dict, Optional, Tuple
from urllib.parse import urlsplit

from multisig import bundle as bundles
from multisig.bundle import Attestation, Bundle
from multisig.errors import BundleError


class Look(enum.Enum):
    """Where evidence is looked for, in this order; each only where what came before does not suffice."""

    INDEX = "in the repository's index, and in those of the places of [bundles]"
    PLACES = "in the package's bundles in the places of [bundles]"
    BESIDE = "in its bundle beside it, or what a cache has kept of that"
    AFRESH = "in that bundle, whatever a cache has"
    MIRRORS = "in that bundle, as the repository's other mirrors have it"


MAX_MIRRORS = 3
"""So many mirrors of a repository are asked for a bundle that was of no use."""


@dataclass(frozen=True)
class Find:
    """What one look brought for one package. It adds to what there is.

    ``bundle``: the bytes beside the package, at most bundle.MAX_BUNDLE + 1 of them. ``attestations``: from elsewhere,
    of the right shape, and the same objects for every package that they are about. ``notes``: what was passed over.
    """

    bundle: Optional[bytes] = None
    attestations: Tuple[Attestation, ...] = ()
    notes: Tuple[str, ...] = ()


def from_mirror(mirror: str, data: Optional[bytes]) -> Find:
    """What the bundle holds that came from below this URL, which is told without a login in it."""
    try:
        return Find() if data is None else Find(attestations=bundles.parse(data).attestations)
    except BundleError as error:
        shown = urlsplit(mirror)
        return Find(notes=(f"the bundle of the mirror {shown.hostname or 'asked before'}{shown.path}: {error}",))


def join(one: Find, other: Find) -> Find:
    """What two looks brought that are one to the gate; at most one of them has found a bundle."""
    found = one.bundle if one.bundle is not None else other.bundle
    return Find(found, one.attestations + other.attestations, one.notes + other.notes)


@dataclass(frozen=True)
class Held:
    """What is known of one package's evidence: the raw bundles, what they hold together, or why they hold nothing.

    ``used`` are the bytes that stand for ``raw``; ``shared`` is what came from elsewhere. ``together`` is both, what is
    shared first: it is likely to have been verified for another package; None where there is nothing.
    """

    raw: Tuple[bytes, ...] = ()
    used: Optional[bytes] = None
    shared: Tuple[Attestation, ...] = ()
    together: Optional[Bundle] = None
    problem: Optional[str] = None
    notes: Tuple[str, ...] = ()


def hold(raw: Tuple[bytes, ...], shared: Tuple[Attestation, ...] = (), notes: Tuple[str, ...] = ()) -> Held:
    """Parse raw bundles as one, beside what is shared. A malformed one takes nothing away from the others."""
    parsed: Dict[bytes, Bundle] = {}
    problem = None
    for data in raw:
        try:
            parsed[data] = bundles.parse(data)
        except BundleError as error:
            problem = str(error)
    if not parsed:
        return Held(raw, None, shared, Bundle(shared) if shared else None, problem, notes)
    used, own = _as_one(parsed)
    return Held(raw, used, shared, Bundle(shared + own.attestations), None, notes)


def extend(held: Held, find: Find) -> Held:
    """What is held with what was found: the same object where that adds nothing."""
    shared = held.shared + tuple(item for item in find.attestations if item not in held.shared)
    raw = held.raw if find.bundle is None or find.bundle in held.raw else (find.bundle, *held.raw)
    notes = tuple(dict.fromkeys(held.notes + find.notes))
    if (raw, shared, notes) == (held.raw, held.shared, held.notes):
        return held
    return hold(raw, shared, notes)


def _as_one(parsed: Dict[bytes, Bundle]) -> Tuple[bytes, Bundle]:
    first, only = next(iter(parsed.items()))
    if len(parsed) > 1:
        try:
            union = bundles.merge(parsed.values())
            return bundles.encode(union), union
        except BundleError:
            pass  # together they are too large: the newest alone
    return first, only
