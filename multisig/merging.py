# SPDX-License-Identifier: GPL-2.0-or-later
"""Uniting bundles that come from anywhere: what is malformed is dropped by name, what counts is kept first.

A bundle holds at most so much (bundle.MAX_ATTESTATIONS and the like), and readers try only the first few signatures of
a person on a statement. So whoever can add to a bundle could crowd out what counts. Under a policy that cannot be:
signatures are verified, and those that count come first, each signer's shortest statement before anybody's next one.

Pure but for the engine, which is given.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, Room, parse
from multisig.errors import BundleError, SignatureFormatError, StatementError, UncheckedSignatureError
from multisig.evidence import Candidate, obstacle_to
from multisig.openpgp import Engine, Outcome, Signature, parse_signature
from multisig.policy import Policy
from multisig.statement import Statement, statement_id
from multisig.statement import parse as parse_statement
from multisig.verdict import Approval, approval

MAX_BAD = 64
"""So many signatures of one owner may turn out false; their others that claim a policy's key are not looked at then."""


@dataclass(frozen=True)
class Dropped:
    """A part of an input that is not taken over: whose file, which part ("" for all of it), and why."""

    source: str
    part: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.part}" if self.part else self.source
        return f"{where}: dropped: {self.reason}"


def sound_parts(data: bytes, source: str, *, limit: int = MAX_BUNDLE) -> Tuple[Bundle, Tuple[Dropped, ...]]:
    """What of a bundle file's bytes could ever count, and what could not, by name; never raises.

    A bundle of the wrong shape is dropped as a whole. Within one of the right shape go statements that are not
    canonical or of no known kind, signatures that are none or too long, and what they leave without any signature.
    """
    try:
        whole = parse(data, limit=limit)
    except BundleError as error:
        return Bundle(()), (Dropped(source, "", str(error)),)
    dropped: List[Dropped] = []
    kept: List[Attestation] = []
    for number, item in enumerate(whole.attestations, 1):
        part = f"attestation {number}"
        try:
            parse_statement(item.statement)
        except StatementError as error:
            dropped.append(Dropped(source, part, str(error)))
            continue
        good = []
        for place, armored in enumerate(item.signatures, 1):
            try:
                parse_signature(armored)
                good.append(armored)
            except SignatureFormatError as error:
                dropped.append(Dropped(source, f"{part}, signature {place}", str(error)))
        if good or not item.signatures:
            kept.append(Attestation(item.statement, tuple(good)))
    return Bundle(tuple(kept)), tuple(dropped)


@dataclass(frozen=True)
class Offer:
    """One signature as it was offered; ``sources`` names the files that it came in."""

    armored: str
    sources: Tuple[str, ...]


@dataclass(frozen=True)
class Word:
    """A signer's verified word on a statement. ``approval.payload`` is not set: it differs by subject."""

    approval: Approval
    armored: str


@dataclass(frozen=True)
class Graded:
    """A statement, who stands by it with a signature that counts now, and the signatures that are nobody's here."""

    text: str
    statement: Statement
    words: Tuple[Word, ...]
    others: Tuple[str, ...]


class Pool:
    """Everything on offer, each statement once, and each signature once under it."""

    def __init__(self) -> None:
        self._offers: Dict[str, Dict[str, List[str]]] = {}

    def add(self, bundle: Bundle, source: str) -> None:
        """Take in what has passed ``sound_parts``; ``source`` names the file that it came from."""
        for item in bundle.attestations:
            known = self._offers.setdefault(item.statement, {})
            for armored in item.signatures:
                known.setdefault(armored, []).append(source)

    def __iter__(self) -> Iterator[Tuple[str, List[Offer]]]:
        """Every statement's text with its signatures; in an order that does not depend on that of ``add``."""
        for text, offers in sorted(self._offers.items()):
            yield text, [Offer(armored, tuple(sources)) for armored, sources in sorted(offers.items())]


@dataclass
class _Queue:
    """The signatures that claim to be one signer's on one statement, until one is found that is."""

    candidates: List[Tuple[Candidate, Offer]] = field(default_factory=list)
    word: Optional[Word] = None
    uncounted: List[str] = field(default_factory=list)


class Grader:
    """Tells whose signatures count under ``policy`` at ``now`` (seconds since the epoch), each tried once, in ``pool``.

    ``dropped`` collects what was found to be false. ``owner`` says whose a file is, by its name: of all that is one's
    own, MAX_BAD signatures may be false. Where not given, each file is on its own.
    """

    def __init__(
        self, policy: Policy, engine: Engine, pool: Executor, *, now: int, owner: Callable[[str], str] = str
    ) -> None:
        self._policy = policy
        self._engine = engine
        self._pool = pool
        self._now = now
        self._owner = owner
        self._bad: Counter[str] = Counter()
        self._good: Counter[str] = Counter()
        self._said: Set[str] = set()
        self.dropped: List[Dropped] = []

    def grade(self, offered: Iterable[Tuple[str, Sequence[Offer]]]) -> List[Graded]:
        """Each statement with what its signatures are worth. Statements must have passed ``sound_parts``.

        A signature that claims a policy's key and does not verify is dropped. So are the rest of an owner's once
        MAX_BAD of them were false, or whoever can upload files could keep the engine busy for ever. Of a signer's
        signatures on one statement the first that counts is taken. The others, and good ones that do not count now (by
        an expired key, say, which a later policy may take as one of a retired person), are kept as nobody's.
        """
        sorted_out = [(text, *self._sort(text, offers)) for text, offers in offered]
        pending = [queue for _, _, queues, _ in sorted_out for queue in queues.values()]
        while pending:
            self._try_next(pending)
            pending = [queue for queue in pending if queue.word is None and queue.candidates]
        graded = []
        for text, statement, queues, others in sorted_out:
            words = tuple(queue.word for _, queue in sorted(queues.items()) if queue.word is not None)
            spare: List[str] = []
            for queue in queues.values():
                spare += [*queue.uncounted, *(offer.armored for _, offer in queue.candidates)]
            taken = {word.armored for word in words}
            others = [armored for armored in dict.fromkeys([*spare, *others]) if armored not in taken]
            graded.append(Graded(text, statement, words, tuple(others)))
        return graded

    def _sort(self, text: str, offers: Sequence[Offer]) -> Tuple[Statement, Dict[str, _Queue], List[str]]:
        """A statement's signatures by the signer whose they claim to be; the others cannot count whatever they are."""
        statement = parse_statement(text)
        data, identifier = text.encode("utf-8"), statement_id(text)
        queues: Dict[str, _Queue] = {}
        others: List[str] = []
        packets: Set[bytes] = set()
        for offer in offers:
            signature = parse_signature(offer.armored)
            if signature.packet in packets:
                continue
            packets.add(signature.packet)
            claimed = list(self._claimed(signature, identifier, data, statement))
            for candidate in claimed:
                queues.setdefault(candidate.signer, _Queue()).candidates.append((candidate, offer))
            if not claimed:
                others.append(offer.armored)
        return statement, queues, others

    def _claimed(self, signature: Signature, identifier: str, data: bytes, statement: Statement) -> Iterator[Candidate]:
        for signer in self._policy.signers.values():
            for key in signer.keys:
                if not key.public.could_have_issued(signature):
                    continue
                if obstacle_to(signer, key, signature, identifier, self._now) is None:
                    subject = statement.subjects[0]
                    yield Candidate(signer.name, key, signature, data, identifier, statement.channel, subject)

    def _try_next(self, queues: Sequence[_Queue]) -> None:
        """Verify the first signature of each queue, side by side; of one owner no more at once than may be false, and
        as many as were good before."""
        tried = []
        under_way: Counter[str] = Counter()
        for queue in queues:
            candidate, offer = queue.candidates[0]
            owners = {self._owner(source) for source in offer.sources}
            # One copy in a clean file is enough: nobody can taint another's signature by repeating it among false ones.
            clean = [owner for owner in owners if self._bad[owner] < MAX_BAD]
            if not clean:
                del queue.candidates[0]
                self._drop_rest(self._owner(offer.sources[0]))
            elif any(self._bad[owner] + under_way[owner] < MAX_BAD + self._good[owner] for owner in clean):
                del queue.candidates[0]
                under_way.update(owners)
                tried.append((queue, offer, owners, self._pool.submit(self._verify, candidate)))
        for queue, offer, owners, future in tried:
            found, why = future.result()
            if why is None:
                self._good.update(owners)
            if found is not None:
                queue.word = Word(found, offer.armored)
            elif why is None:
                queue.uncounted.append(offer.armored)
            else:
                self._bad.update(owners)
                self.dropped.append(Dropped(offer.sources[0], "a signature", why))

    def _verify(self, candidate: Candidate) -> Tuple[Optional[Approval], Optional[str]]:
        """The approval that it is, or why it is false; neither where it does not count for another reason."""
        try:
            checked = self._engine.verify(candidate.data, candidate.signature, candidate.key.public)
        except UncheckedSignatureError:
            return None, None
        if checked.outcome is Outcome.BAD:
            return None, f"{candidate.signer}: {checked.reason or checked.outcome.value}"
        found = approval(candidate, checked, self._policy, self._now)
        return (found, None) if isinstance(found, Approval) else (None, None)

    def _drop_rest(self, owner: str) -> None:
        if owner not in self._said:
            self._said.add(owner)
            reason = f"{MAX_BAD} of its signatures were false; the others that claim to be a signer's were not tried"
            self.dropped.append(Dropped(owner, "", reason))


@dataclass(frozen=True)
class Fitted:
    """A bundle within its limits, and how many statements and signatures found no room in it."""

    bundle: Bundle
    statements_left_out: int
    signatures_left_out: int


def fit(graded: Sequence[Graded], *, rank: Callable[[Graded], int] = lambda _: 0, spare: int = MAX_BUNDLE) -> Fitted:
    """The bundle that holds of ``graded`` what fits, in the order in which it matters; the same for any order of them.

    First come the words that count: by ``rank`` of their statement, then each signer's shortest statement for each
    channel, then each one's second, and so on: nobody, however much they sign, takes another's place. What is nobody's
    follows, in at most ``spare`` bytes of it.
    """
    room = Room()
    total = {item.text: len(item.words) + len(item.others) for item in graded}
    for text, armored in _words_in_order(graded, rank):
        room.take(text, armored, MAX_BUNDLE)
    limit = min(MAX_BUNDLE, room.size + spare)
    for item in sorted(graded, key=lambda item: (rank(item), len(item.text), item.text)):
        if not item.words and not item.others:
            room.take(item.text, None, limit)
        for armored in sorted(item.others):
            room.take(item.text, armored, limit)
    return Fitted(room.bundle(), len(total) - len(room.taken), sum(total.values()) - sum(map(len, room.taken.values())))


def _words_in_order(graded: Sequence[Graded], rank: Callable[[Graded], int]) -> Iterator[Tuple[str, str]]:
    """(statement, signature) pairs that count, the ones that matter most first."""
    by_signer: Dict[Tuple[int, str, str], List[Tuple[int, str, str]]] = {}
    for item in graded:
        for word in item.words:
            owner = (rank(item), word.approval.signer, item.statement.channel)
            by_signer.setdefault(owner, []).append((len(item.text), item.text, word.armored))
    ordered = []
    for (level, signer, _), words in by_signer.items():
        for place, (length, text, armored) in enumerate(sorted(words)):
            ordered.append((level, place, length, text, signer, armored))
    for _, _, _, text, _, armored in sorted(ordered):
        yield text, armored
