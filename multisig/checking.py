# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries the signatures that are worth it, side by side, each once in a run, and takes none for more than it is."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from types import MappingProxyType
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from multisig.bundle import Bundle
from multisig.errors import UncheckedSignatureError
from multisig.evidence import Candidate, Evidence, Objection, Wanted, collect, no_objection
from multisig.held import Held
from multisig.namedtuples import NamedTuple
from multisig.openpgp import Checked, Engine, Grouping, Outcome, Signature
from multisig.policy import Key, Policy, Rule, Traits
from multisig.statement import Digests, Kind
from multisig.vendor import HeaderEvidence, header_evidence
from multisig.verdict import Approval, ReleaseStanding, Verdict, approval, judge, plan

_Identity = Tuple[str, bytes, str]


class Question(NamedTuple):
    """All that is asked of one subject; in one run the same question has the same answer.

    ``digests`` is None while only the package's planned name is known; ``held`` is what may answer it. ``releases``:
    see verdict.judge; ``objection``: see evidence.Wanted; ``lapsed_count``: a key that has merely expired is as good
    as any.
    """

    kind: Kind
    name: str
    digests: Optional[Digests]
    origin: str
    rules: Tuple[Rule, ...]
    held: Held
    releases: Mapping[str, ReleaseStanding] = MappingProxyType({})
    objection: Objection = no_objection
    lapsed_count: bool = False


class Case:
    """One subject under judgement. ``first``: the signatures that ``begin`` started on. ``traits`` are what the rules
    were chosen by, ``found`` what came of each signature tried.
    """

    def __init__(self, question: Question, evidence: Optional[Evidence]) -> None:
        self.question = question
        self.evidence = evidence
        self.untried: List[Candidate] = [] if evidence is None else list(evidence.candidates)
        self.approvals: List[Approval] = []
        self.ignored: List[str] = []
        self.first: Optional[Tuple[Candidate, ...]] = None
        self.traits: Optional[Traits] = None
        self.found: List[Tuple[Candidate, Union[Approval, str]]] = []

    @property
    def bundle(self) -> Optional[Bundle]:
        """What the evidence is from."""
        return self.question.held.together


class _Group:
    """Signatures over one statement that the engine is given together, and what it finds of each once it has them."""

    found: "Future[List[Checked]]"

    def __init__(self) -> None:
        self.asked: List[Candidate] = []


class _Pending(NamedTuple):
    """A finding that is under way: one of a group's."""

    group: _Group
    place: int


class Checker:
    """Has ``engine`` verify signatures in ``pool``; what it found of one is kept for the whole run.

    ``now`` is the policy's clock, in seconds since the epoch. ``thorough``: try all signatures, needed or not.
    """

    def __init__(self, policy: Policy, engine: Engine, pool: Executor, *, now: int, thorough: bool = False) -> None:
        self._policy = policy
        self._engine = engine
        self._pool = pool
        self._now = now
        self._thorough = thorough
        self._together = engine.verify_together if isinstance(engine, Grouping) else None
        self._checked: "Dict[_Identity, Union[Checked, _Pending]]" = {}

    def case(self, question: Question) -> Case:
        """What is held of a subject's evidence, sorted by what its rules ask for; nothing of it is verified yet."""
        held = question.held
        if held.together is None:
            return Case(question, None)
        channels = frozenset([rule.channel for rule in question.rules if rule.channel is not None])
        wanted = Wanted(question.kind, question.name, question.digests, channels, question.objection)
        evidence = collect(held.together, self._policy, wanted, self._now, starts=held.starts)
        return Case(question, evidence)

    def begin(self, case: Case) -> None:
        """Start on the signatures that ``verify`` will need first, without waiting for them."""
        case.first = plan(case.question.rules, case.approvals, case.untried)
        self._start(case.first)

    def verify(self, cases: Sequence[Case]) -> None:
        """Try signatures, all subjects' next ones side by side, until the rules are satisfied or none is left."""
        while True:
            trying = [(case, self._next(case)) for case in cases]
            trying = [(case, candidates) for case, candidates in trying if candidates]
            if not trying:
                return
            self._start([candidate for _, candidates in trying for candidate in candidates])
            for case, candidates in trying:
                for candidate in candidates:
                    case.untried.remove(candidate)
                    found = self._approval(candidate, case)
                    case.found.append((candidate, found))
                    if isinstance(found, Approval):
                        case.approvals.append(found)
                    else:
                        case.ignored.append(found)

    def _next(self, case: Case) -> Tuple[Candidate, ...]:
        first, case.first = case.first, None
        if self._thorough:
            return tuple(case.untried)
        return first if first is not None else plan(case.question.rules, case.approvals, case.untried)

    def look_beyond(self, case: Case, evidence: Evidence) -> None:
        """Try what no verdict takes: what is beyond the tries of its signer. Changes ``case.found`` alone."""
        self._start(evidence.beyond)
        case.found += [(candidate, self._approval(candidate, case)) for candidate in evidence.beyond]

    def over_other_content(self, case: Case, evidence: Evidence) -> Tuple[str, ...]:
        """Whose good signatures are over other content of the same name: the first thing a builder wants to know."""
        counted = {item.signer for item in case.approvals}
        others = tuple(item for item in evidence.others if item.signer not in counted)
        trying = others if self._thorough else plan(case.question.rules, case.approvals, others)
        self._start(trying)
        found = [(item, self._approval(item, case)) for item in trying]
        case.found += found
        good = dict.fromkeys(item.signer for item, said in found if isinstance(said, Approval))
        hint = " (multisig diff shows what differs)" if case.question.kind is Kind.RPM else ""
        return tuple(f"{signer}'s signature is over other content{hint}" for signer in good)

    def header(
        self, rules: Sequence[Rule], data: bytes, packets: Sequence[bytes], problems: Sequence[str]
    ) -> HeaderEvidence:
        """What signatures over an RPM's header (``data``) are worth to rules with signed-by. Thread-safe."""
        return header_evidence(
            packets, problems, rules, self._policy, self._now,
            lambda signature, key: self._check(data, signature, key),
        )  # fmt: skip

    def verdict(
        self, case: Case, approvals: Sequence[Approval], header: HeaderEvidence, ignored: Sequence[str] = ()
    ) -> Verdict:
        """The case's rules, judged by these approvals and this evidence of its header. Pure."""
        asked = case.question
        now = 0 if asked.lapsed_count else self._now  # before any key's end, for who could still sign
        return judge(
            self._policy, asked.rules, approvals, name=asked.name, origin=asked.origin, now=now,
            evidence=case.evidence, problem=asked.held.problem, header=header, ignored=ignored,
            releases=asked.releases,
        )  # fmt: skip

    def _approval(self, candidate: Candidate, case: Case) -> "Approval | str":
        identity = _identity(candidate)
        checked = self._checked[identity]
        if isinstance(checked, _Pending):
            checked = self._checked[identity] = checked.group.found.result()[checked.place]
        return approval(candidate, checked, self._policy, self._now, lapsed_count=case.question.lapsed_count)

    def _start(self, candidates: Sequence[Candidate]) -> None:
        """Have the engine verify, in the background, what it has not been given yet in this run."""
        groups: Dict[str, _Group] = {}
        for candidate in candidates:
            identity = _identity(candidate)
            if identity not in self._checked:
                group = groups.get(candidate.statement)
                if group is None:
                    group = groups[candidate.statement] = _Group()
                self._checked[identity] = _Pending(group, len(group.asked))
                group.asked.append(candidate)
        for group in groups.values():
            group.found = self._pool.submit(self._verify_group, group.asked)

    def _verify_group(self, group: Sequence[Candidate]) -> List[Checked]:
        """Signatures over one statement: together where the engine can, and what is left one by one."""
        asked = [(item.signature, item.key.public) for item in group]
        found = self._together(group[0].data, asked) if self._together and len(group) > 1 else [None] * len(group)
        return [checked or self._check(item.data, item.signature, item.key) for checked, item in zip(found, group)]

    def _check(self, data: bytes, signature: Signature, key: Key) -> Checked:
        """What the engine finds of a signature over ``data``; BAD where it does not come to an end. Thread-safe."""
        try:
            return self._engine.verify(data, signature, key.public)
        except UncheckedSignatureError as error:
            return Checked(Outcome.BAD, str(error))


def _identity(candidate: Candidate) -> _Identity:
    return candidate.statement, candidate.signature.packet, candidate.key.fingerprint
