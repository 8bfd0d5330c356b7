# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a package's evidence goes into the journal: all that decided, and of the rest a bounded part. Pure.

A mirror can add to a bundle whatever fits into one, and makes another one for each package and day. What is short is
kept as it was read. Of anything longer are kept the signatures that counted, each with its statement, and some of those
that may count by another policy or without one of the people who counted; no statement that is about something else.
"""

from __future__ import annotations

from typing import List, Optional, Set, Tuple

from multisig.bundle import MAX_BUNDLE, Attestation, Room, encode
from multisig.checking import Case
from multisig.evidence import Candidate
from multisig.held import Held
from multisig.verdict import Approval

AS_READ = 16 << 10
"""Bytes, a package: bundles that together are no longer are kept whole, and of others so much that did not count."""


def bundle_to_keep(held: Held, case: Case) -> Optional[bytes]:
    """The bytes to keep of what is ``held`` beside what is shared, from which the verdict on ``case`` can be found
    again; None where nothing was of use."""
    if held.used is not None and sum(map(len, held.raw)) <= AS_READ:
        return held.used
    counted, others = _sorted_out(case)
    shared = set(held.shared)
    room = Room()
    for candidates, spare in ((counted, MAX_BUNDLE), (others, AS_READ)):
        limit = min(MAX_BUNDLE, room.size + spare)
        for candidate in candidates:
            attestation = _attestation(case, candidate)
            if attestation not in shared:
                room.take(attestation.statement, attestation.signatures[candidate.place[1]], limit)
    return encode(room.bundle()) if room.taken else None


def shared_to_keep(held: Held, case: Case, statements: Tuple[str, ...]) -> Tuple[Attestation, ...]:
    """Of the attestations that are shared with other packages, those of the ``statements`` (by SHA-256) that counted.

    The same objects for all packages wherever possible: one that was seen before costs nothing.
    """
    counted, others = _sorted_out(case)
    kept = []
    for number, attestation in enumerate(case.bundle.attestations if case.bundle is not None else ()):
        here = [item for item in (*counted, *others) if item.place[0] == number]
        if attestation not in held.shared or not here or here[0].statement not in statements:
            continue
        kept.append(attestation if _size(attestation.signatures) <= AS_READ else _shortened(attestation, here, counted))
    return tuple(kept)


def _shortened(attestation: Attestation, candidates: List[Candidate], counted: List[Candidate]) -> Attestation:
    """The attestation with those signatures that counted, and of the other candidates as many as AS_READ lets in."""
    chosen: List[str] = []
    left = AS_READ
    for candidate in candidates:
        armored = attestation.signatures[candidate.place[1]]
        if candidate not in counted:
            left -= len(armored)
        if left >= 0:
            chosen.append(armored)
    return Attestation(attestation.statement, tuple(chosen))


def _sorted_out(case: Case) -> Tuple[List[Candidate], List[Candidate]]:
    """The signatures that counted for the subject, and the others that name one of the policy's keys."""
    if case.evidence is None or case.bundle is None:
        return [], []
    good: Set[Tuple[int, int]] = {item.place for item, found in case.found if isinstance(found, Approval)}
    candidates = case.evidence.candidates
    return [item for item in candidates if item.place in good], [item for item in candidates if item.place not in good]


def _attestation(case: Case, candidate: Candidate) -> Attestation:
    if case.bundle is None:
        raise TypeError("a candidate comes from a bundle")
    return case.bundle.attestations[candidate.place[0]]


def _size(texts: Tuple[str, ...]) -> int:
    return sum(map(len, texts))
