# SPDX-License-Identifier: GPL-2.0-or-later
"""Sorts a bundle's contents for one subject: which signatures are worth trying, and why the others are not. Pure.

Nothing here is verified yet. A signature that could not count whatever an engine says of it (nobody's key, another
channel, dated in the future, by a compromised signer) is set aside with a reason; it neither counts nor vetoes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, Collection, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple, Union

from multisig.bundle import Attestation, Bundle
from multisig.claims import Claims, claims
from multisig.errors import SignatureFormatError, StatementError
from multisig.namedtuples import NamedTuple
from multisig.openpgp import Signature, parse_signature
from multisig.openpgp.premises import FUTURE_ALLOWANCE
from multisig.policy import Key, Policy, Signer
from multisig.statement import Digests, Kind, Statement, Subject

MAX_TRIES = 4
_CACHED_TEXTS = 4096
# As many as several sources at their limits can send of one package: each content that they give has them read again.
_CACHED_SIGNATURES = 1 << 15
# A batch's statement takes over 1 MB of memory, and an index cannot hold many more of that size than this.
_LARGE = 64 << 10
_CACHED_LARGE = 128


#: What a statement lacks, in words that follow "a statement"; None if nothing.
Objection = Callable[[Statement], Optional[str]]


def no_objection(_: Statement) -> Optional[str]:
    return None


class Wanted(NamedTuple):
    """What evidence is looked for. ``digests`` is None while only the package's planned name is known.

    ``objection`` has a say on each statement of that kind, name and channel, before its signatures are looked at.
    """

    kind: Kind
    name: str
    digests: Optional[Digests]
    channels: FrozenSet[str]
    objection: Objection = no_objection


class Candidate(NamedTuple):
    """A signature that would count for the subject if an engine finds it good.

    ``data`` is the exact bytes it must be over, ``statement`` their SHA-256; ``subject`` the statement's line.
    ``place`` is that of the attestation in the bundle, and the signature's in it. One that is ``beyond`` the tries that
    its signer has does not count, good or not.
    """

    signer: str
    key: Key
    signature: Signature
    data: bytes
    statement: str
    channel: str
    subject: Subject
    place: Tuple[int, int] = (0, 0)
    beyond: bool = False


class Note(NamedTuple):
    """What was made of one attestation (``signature`` is None), or of one of its signatures, without trying it.

    ``told``: it is worth a word where the verdict is told, and not only where it is explained.
    """

    attestation: int
    signature: Optional[int]
    text: str
    told: bool = True


class Evidence(NamedTuple):
    """``candidates`` approve the subject; ``others`` approve something of its name with other digests.

    ``ignored`` says in words what was set aside, each thing once; ``notes`` say it of each place in the bundle.
    ``beyond``: what is beyond a signer's tries, of either kind, for those who want to know what it would have been.
    """

    candidates: Tuple[Candidate, ...]
    others: Tuple[Candidate, ...]
    ignored: Tuple[str, ...]
    named_otherwise: bool
    notes: Tuple[Note, ...] = ()
    beyond: Tuple[Candidate, ...] = ()


class _Tried:
    """What has been taken of one statement's signatures, wherever in the bundle the statement stands.

    Each source has its own ``tries``: with bad signatures one would take away what another brings otherwise.
    """

    def __init__(self) -> None:
        self.tries: Dict[str, int] = {}
        self.packets: Set[bytes] = set()


def collect(bundle: Bundle, policy: Policy, wanted: Wanted, now: int, *, starts: Collection[int] = ()) -> Evidence:
    """Everything in the bundle that speaks of the subject, in the bundle's order; nonsense in it never raises.

    ``starts``: the places in the bundle from which on it holds what another source has sent.
    """
    candidates: List[Candidate] = []
    others: List[Candidate] = []
    beyond: List[Candidate] = []
    notes: List[Note] = []
    named_otherwise = False
    tried: Dict[str, _Tried] = {}
    for number, attestation in enumerate(bundle.attestations):
        if number in starts:
            for each in tried.values():
                each.tries.clear()
        statement = _claims(attestation.statement)
        if isinstance(statement, str):
            notes.append(Note(number, None, f"a statement: {statement}"))
            continue
        subject, same = _line(statement, wanted)
        if subject is None:
            notes.append(Note(number, None, "a statement that does not name it", told=False))
            continue
        objection = _objection(statement, wanted)
        if objection is not None:
            notes.append(Note(number, None, f"a statement {objection}"))
            continue
        named_otherwise = named_otherwise or not same
        so_far = tried.setdefault(attestation.statement, _Tried())
        for found in _signatures(number, attestation, statement, subject, policy, now, so_far):
            if isinstance(found, Note):
                notes.append(found)
            else:
                (beyond if found.beyond else candidates if same else others).append(found)
    ignored = dict.fromkeys(note.text for note in notes if note.told)
    return Evidence(tuple(candidates), tuple(others), tuple(ignored), named_otherwise, tuple(notes), tuple(beyond))


def _objection(statement: Claims, wanted: Wanted) -> Optional[str]:
    """Why a statement that names the subject does not speak for it here."""
    if statement.channel not in wanted.channels:
        return f"for the channel {statement.channel}"
    return wanted.objection(statement.whole()) if wanted.objection is not no_objection else None


def identifier(attestation: Attestation) -> Optional[str]:
    """The SHA-256 of the statement's text; None where it is no statement."""
    statement = _claims(attestation.statement)
    return None if isinstance(statement, str) else statement.identifier


def content_variants(bundle: Bundle, kind: Kind, name: str) -> Tuple[Digests, ...]:
    """The different contents that the bundle's statements give for a name, in the bundle's order."""
    variants: Dict[Digests, None] = {}
    for attestation in bundle.attestations:
        statement = _claims(attestation.statement)
        line = statement.named(name) if not isinstance(statement, str) and statement.kind is kind else None
        if line is not None:
            variants[line.digests] = None
    return tuple(variants)


def about(bundle: Bundle, name: str, digests: Digests) -> Bundle:
    """What of the bundle speaks of an RPM of this name with these digests, in the bundle's order."""
    found = []
    for attestation in bundle.attestations:
        statement = _claims(attestation.statement)
        line = statement.named(name) if not isinstance(statement, str) and statement.kind is Kind.RPM else None
        if line is not None and line.digests == digests:
            found.append(attestation)
    return Bundle(tuple(found))


def _line(statement: Claims, wanted: Wanted) -> Tuple[Optional[Subject], bool]:
    """The statement's line about the subject, and whether its digests are the subject's.

    An RPM's name is part of its content and must agree; a file or tree may have been renamed.
    """
    if statement.kind is not wanted.kind:
        return None, False
    named = statement.named(wanted.name)
    if wanted.digests is None or (named is not None and named.digests == wanted.digests):
        return named, named is not None
    if wanted.kind is not Kind.RPM:
        renamed = statement.holding(wanted.digests)
        if renamed is not None:
            return renamed, True
    return named, False


def _signatures(
    number: int,
    attestation: Attestation,
    statement: Claims,
    subject: Subject,
    policy: Policy,
    now: int,
    so_far: "_Tried",
) -> Iterator[Union[Candidate, Note]]:
    for place, armored in enumerate(attestation.signatures):
        signature = _signature(armored)
        if isinstance(signature, str):
            yield Note(number, place, f"a signature: {signature}")
            continue
        if signature.packet in so_far.packets:
            yield Note(number, place, "the same signature once more", told=False)
            continue
        named = policy.keys_by_id.get(signature.issuer_keyid or "", ())
        owners = [(signer, key) for signer, key in named if key.public.could_have_issued(signature)]
        if not owners:
            yield Note(number, place, f"a key nobody here knows, {_issuer(signature)}")
        for signer, key in owners:
            obstacle = obstacle_to(signer, key, signature, statement.identifier, now)
            if obstacle is not None:
                yield Note(number, place, f"{signer.name}: {obstacle}")
                continue
            beyond = so_far.tries.setdefault(signer.name, 0) >= MAX_TRIES
            if beyond:
                yield Note(number, place, f"{signer.name}: more than {MAX_TRIES} signatures on one statement")
            else:
                so_far.tries[signer.name] += 1
                so_far.packets.add(signature.packet)
            yield Candidate(
                signer.name, key, signature, statement.data, statement.identifier, statement.channel, subject,
                (number, place), beyond,
            )  # fmt: skip


def obstacle_to(signer: Signer, key: Key, signature: Signature, statement: str, now: int) -> Optional[str]:
    """Why this signature cannot count even if it is good; None if nothing is known against it yet.

    The date is the signer's own claim, so it can only ever take a signature away.
    """
    if signer.compromised:
        return "marked compromised in the policy"
    if key.problem is not None:
        return f"key {shown_fingerprint(key.fingerprint)} {key.problem}"
    if signature.created > now + FUTURE_ALLOWANCE:
        return "a signature dated in the future"
    if signature.expires is not None and signature.expires <= now:
        return "a signature that has expired"
    if signer.retired is not None:
        if signature.created >= signer.retired.since:
            return "a signature from after the retirement"
        if signer.retired.statements is not None and statement not in signer.retired.statements:
            return "retired, and the statement is not among those listed"
    return None


def shown_fingerprint(fingerprint: str) -> str:
    """A fingerprint for people: beginning and end in groups of four."""
    return f"{fingerprint[:4]} {fingerprint[4:8]} … {fingerprint[-4:]}"


def _issuer(signature: Signature) -> str:
    if signature.issuer_fingerprint is not None:
        return shown_fingerprint(signature.issuer_fingerprint)
    return signature.issuer_keyid or "which the signature does not name"


def _claims(text: str) -> Union[Claims, str]:
    return _large(text) if len(text) > _LARGE else _small(text)


def _parsed(text: str) -> Union[Claims, str]:
    try:
        return claims(text)
    except StatementError as error:
        return str(error)


_small = lru_cache(maxsize=_CACHED_TEXTS)(_parsed)
_large = lru_cache(maxsize=_CACHED_LARGE)(_parsed)


@lru_cache(maxsize=_CACHED_SIGNATURES)
def _signature(armored: str) -> Union[Signature, str]:
    try:
        return parse_signature(armored)
    except SignatureFormatError as error:
        return str(error)
