# SPDX-License-Identifier: GPL-2.0-or-later
"""What is held of one package's evidence while it is judged. Pure."""

from __future__ import annotations

import enum
from typing import Dict, Optional, Tuple
from urllib.parse import urlsplit

from multisig import bundle as bundles
from multisig.bundle import Attestation, Bundle
from multisig.errors import BundleError
from multisig.namedtuples import NamedTuple


class Look(enum.Enum):
    """Where evidence is looked for, in this order; each only where what came before does not suffice."""

    INDEX = "in the repository's index, and in those of the places of [bundles]"
    PLACES = "in the package's bundles in the places of [bundles]"
    BESIDE = "in its bundle beside it, or what a cache has kept of that"
    AFRESH = "in that bundle, whatever a cache has"
    MIRRORS = "in that bundle, as the repository's other mirrors have it"


MAX_MIRRORS = 3
"""So many mirrors of a repository are asked for a bundle that was of no use."""


class Find(NamedTuple):
    """What one look brought for one package. It adds to what there is.

    ``bundle``: the bytes beside the package, at most bundle.MAX_BUNDLE + 1 of them. ``attestations``: from elsewhere,
    of the right shape, and the same objects for every package that they are about. ``notes``: what was passed over.
    ``starts``: the places among the attestations from which on they are another source's (see evidence.collect).
    """

    bundle: Optional[bytes] = None
    attestations: Tuple[Attestation, ...] = ()
    notes: Tuple[str, ...] = ()
    starts: Tuple[int, ...] = ()


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
    before = len(one.attestations)
    starts = (*one.starts, before, *(before + place for place in other.starts))
    return Find(found, one.attestations + other.attestations, one.notes + other.notes, starts)


class Held(NamedTuple):
    """What is known of one package's evidence: the raw bundles, what they hold together, or why they hold nothing.

    ``used`` are the bytes of one bundle that stands for ``raw``, None where none has room for it; ``shared`` is what
    came from elsewhere. ``together`` is both, what is shared first: it is likely to have been verified for another
    package; None where there is nothing. ``starts`` are the places in that at which each source begins.
    """

    raw: Tuple[bytes, ...] = ()
    used: Optional[bytes] = None
    shared: Tuple[Attestation, ...] = ()
    together: Optional[Bundle] = None
    problem: Optional[str] = None
    notes: Tuple[str, ...] = ()
    starts: Tuple[int, ...] = ()


def hold(
    raw: Tuple[bytes, ...], shared: Tuple[Attestation, ...] = (), notes: Tuple[str, ...] = (),
    starts: Tuple[int, ...] = (),
) -> Held:  # fmt: skip
    """Parse raw bundles as one, beside what is shared. A malformed one takes nothing away from the others."""
    parsed: Dict[bytes, Bundle] = {}
    problem = None
    for data in raw:
        try:
            parsed[data] = bundles.parse(data)
        except BundleError as error:
            problem = str(error)
    if not parsed:
        return Held(raw, None, shared, Bundle(shared) if shared else None, problem, notes, starts)
    together = shared
    for own in parsed.values():
        starts += (len(together),)
        together += own.attestations
    return Held(raw, _as_one(parsed), shared, Bundle(together), None, notes, starts)


def extend(held: Held, find: Find) -> Held:
    """What is held with what was found: the same object where that adds nothing."""
    shared, starts = held.shared, tuple(place for place in held.starts if place < len(held.shared))
    for place, item in enumerate(find.attestations):
        if place == 0 or place in find.starts:
            starts += (len(shared),)
        if item not in held.shared:
            shared += (item,)
    raw = held.raw if find.bundle is None or find.bundle in held.raw else (find.bundle, *held.raw)
    notes = tuple(dict.fromkeys(held.notes + find.notes))
    if (raw, shared, notes) == (held.raw, held.shared, held.notes):
        return held
    return hold(raw, shared, notes, starts)


def _as_one(parsed: Dict[bytes, Bundle]) -> Optional[bytes]:
    if len(parsed) == 1:
        return next(iter(parsed))
    try:
        return bundles.encode(bundles.merge(parsed.values()))
    except BundleError:
        return None
