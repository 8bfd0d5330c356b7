# SPDX-License-Identifier: GPL-2.0-or-later
"""How a verdict came about, step by step, for ``multisig verify --explain``. Pure: it tells what the gate noted.

It decides nothing and verifies nothing: every line is about something that was looked at on the way to the verdict.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple, Union

from multisig.bundle import Attestation
from multisig.checking import Case
from multisig.errors import StatementError
from multisig.evidence import MAX_TRIES, Candidate, shown_fingerprint
from multisig.hand import Judged
from multisig.policy import Policy, describe, mismatch
from multisig.policy.changes import decision
from multisig.statement import Statement, parse, statement_id
from multisig.text import counted, plain
from multisig.times import day
from multisig.verdict import Approval, RuleOutcome

Found = Union[Approval, str]


def explain(judged: Judged, policy: Policy, path: str) -> Tuple[str, ...]:
    """Lines fit for a terminal. ``path`` is what was given; a gate that is ``thorough`` has the most to tell."""
    lines: List[str] = [f"{path}:"]
    steps = [_subject(judged), _rules(judged, policy), _evidence(judged), _outcomes(judged), _payload(judged)]
    for number, step in enumerate(filter(None, map(tuple, steps)), 1):
        lines.append(f"  {number}. {step[0]}")
        lines += [f"     {line}" for line in step[1:]]
    verdict = judged.verdict
    lines.append(f"  {'accepted' if verdict.accepted else 'REFUSED'} ({verdict.code.value}): {verdict.message}")
    return tuple(map(plain, lines))


def _subject(judged: Judged) -> Iterator[str]:
    kinds = {"rpm": "an RPM", "file": "a file", "tree": "a directory tree"}
    kind = None if judged.case is None else judged.case.question.kind.word
    what = "" if kind is None else f" is {kinds.get(kind, kind)}"
    yield f"{judged.verdict.name}{what}, from {judged.verdict.origin}"
    if judged.digests is not None:
        yield f"what counts is its content: sha256:{judged.digests.sha256}"
        yield f"sha512:{judged.digests.sha512}"


def _rules(judged: Judged, policy: Policy) -> Iterator[str]:
    """Each rule of the policy, whether it matches, and if not why."""
    case = judged.case
    if case is None:
        return
    yield f"rules of the policy (serial {policy.serial}); all that match have to be satisfied"
    for rule in policy.rules:
        if rule in case.question.rules:
            yield f'"{rule.name}" matches, and asks for: {decision(rule)}'
        elif case.traits is not None:
            yield f'"{rule.name}" does not match: it {mismatch(rule, case.traits)}'
    if policy.quorum is not None and any(rule not in policy.rules for rule in case.question.rules):
        wanted = describe(policy.quorum)
        yield f"policy-quorum ({wanted}) matches: it holds this policy, a part of multisig, or rpm macros"
    if not case.question.rules:
        yield "none matches, so it is refused"


def _evidence(judged: Judged) -> Iterator[str]:
    """Each statement of the bundle, and each of its signatures."""
    case = judged.case
    if case is None or not any(rule.require for rule in case.question.rules):
        return
    if case.bundle is None or case.evidence is None:
        yield f"evidence: {case.question.held.problem or 'no bundle of signatures was found'}"
        return
    said: Dict[Tuple[int, Optional[int]], List[str]] = {}
    for note in case.evidence.notes:
        said.setdefault((note.attestation, note.signature), []).append(note.text)
    tried: Dict[Tuple[int, int], List[Tuple[Candidate, Found]]] = {}
    for candidate, found in case.found:
        tried.setdefault(candidate.place, []).append((candidate, found))
    over_this = {candidate.place for candidate in case.evidence.candidates}
    yield f"evidence: {counted(len(case.bundle.attestations), 'statement')} with signatures"
    for number, attestation in enumerate(case.bundle.attestations):
        yield _statement(attestation, case)
        for text in said.get((number, None), ()):
            yield f"  not used: {text}"
        for place in range(len(attestation.signatures)):
            told = tried.get((number, place), ())
            for candidate, found in told:
                yield f"  {_tried(candidate, found, candidate.place in over_this)}"
            for text in () if any(candidate.beyond for candidate, _ in told) else said.get((number, place), ()):
                yield f"  does not count: {text}"


def _statement(attestation: Attestation, case: Case) -> str:
    short = f"statement {statement_id(attestation.statement)[:16]}"
    try:
        statement: Statement = parse(attestation.statement)
    except StatementError:
        return short
    others = len(statement.subjects) - 1
    beside = f" and {others} more" if others else ""
    names = [subject.name for subject in statement.subjects]
    named = case.question.name if case.question.name in names else names[0]
    return f"{short}, for the channel {statement.channel}: {named}{beside}"


def _tried(candidate: Candidate, found: Found, over_this: bool) -> str:
    if isinstance(found, str):
        return f"does not count: {found}"
    when = day(candidate.signature.created)
    who = f"{candidate.signer}, with the key {shown_fingerprint(found.issuer)}, dated {when}"
    if candidate.beyond:
        tried = f"a good signature, but behind {MAX_TRIES} others of theirs on the statement; no more are tried"
        return f"does not count: {who}: {tried}"
    if not over_this:
        return f"does not count: {who}: a good signature, but over other content"
    return f"counts: {who}"


def _outcomes(judged: Judged) -> Iterator[str]:
    if judged.verdict.rules:
        yield "the rules that match"
        yield from (_outcome(outcome) for outcome in judged.verdict.rules)


def _outcome(outcome: RuleOutcome) -> str:
    return f'"{outcome.rule}" is {"satisfied" if outcome.satisfied else "NOT satisfied"}: {outcome.text}'


def _payload(judged: Judged) -> Iterator[str]:
    if judged.proof:
        yield f"the payload: {judged.proof}"
