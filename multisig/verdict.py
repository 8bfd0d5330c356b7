# SPDX-License-Identifier: GPL-2.0-or-later
"""The decision: a policy, the rules that match a subject, and who approved it, give a verdict with its evidence. Pure.

The same verdict is shown by dnf, by the command line and by the journal; nothing else decides.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from multisig.evidence import Candidate, Evidence, shown_fingerprint
from multisig.namedtuples import NamedTuple
from multisig.openpgp import Checked, Outcome, key_problem
from multisig.policy import AllOf, AnyOf, Leaf, Policy, Requirement, Rule, can_sign, leaves, satisfied_by
from multisig.times import day
from multisig.vendor import UNSEEN, HeaderEvidence, missing_text, satisfied_text


class Code(enum.Enum):
    """Why; the value is what ``--json`` prints and the journal keeps."""

    OK = "ok"
    EXEMPT = "exempt"
    NO_BUNDLE = "no-bundle"
    BELOW_THRESHOLD = "below-threshold"
    CONTENT_MISMATCH = "content-mismatch"
    PAYLOAD_MISMATCH = "payload-mismatch"
    MALFORMED_RPM = "malformed-rpm"
    MALFORMED_BUNDLE = "malformed-bundle"
    WEAK_DIGEST = "weak-digest"
    NO_RULE = "no-rule"
    EXPIRED = "expired"
    ROLLBACK = "rollback"
    UNREADABLE = "unreadable"
    POLICY_ERROR = "policy-error"


class Approval(NamedTuple):
    """One person's verified word: this statement, for this channel. ``payload`` is the payload digest it carries."""

    signer: str
    channel: str
    payload: Optional[str]
    statement: str
    issuer: str


class LeafProgress(NamedTuple):
    """How far one ``M of group`` is: who counted, and, if more are needed, who of the ``size`` people still could."""

    threshold: int
    group: str
    size: int
    counted: Tuple[str, ...]
    available: Tuple[str, ...]

    @property
    def missing(self) -> int:
        return max(0, self.threshold - len(self.counted))

    def __str__(self) -> str:
        who = f" ({', '.join(self.counted)})" if self.counted else ""
        text = f"{len(self.counted)} of {self.threshold} {self.group} signed{who}"
        if not self.missing:
            return text
        if not self.available:
            return f"{text}; needs {self.missing} more, but nobody else can sign"
        too_few = " (nobody else can sign)" if len(self.available) < self.missing else ""
        return f"{text}; needs {self.missing} more of: {', '.join(self.available)}{too_few}"


class RuleOutcome(NamedTuple):
    """What one matching rule says: satisfied or not, with the leaves of its requirement that decide.

    ``vendor``: it asks for the header's own signature. ``code`` is set where all that the rule lacks is a good release
    statement: why there is none. ``lacks`` has each thing that it lacks, ``channel`` for what, where that needs saying.
    """

    rule: str
    satisfied: bool
    leaves: Tuple[LeafProgress, ...] = ()
    expired: bool = False
    text: str = ""
    vendor: bool = False
    code: Optional[Code] = None
    lacks: Tuple[str, ...] = ()
    channel: Optional[str] = None


class ReleaseStanding(NamedTuple):
    """What became of a rule's ``release`` for the repository ``repo``; ``text`` says it to a person.

    Where it is ``good``: the ``serial`` of the statement that the quorum signed, the SHA-256 of its text, the second
    after which it no longer serves this rule, and a bundle of it with the signatures that counted.
    """

    repo: str
    channel: str
    good: bool
    code: Code
    text: str
    serial: int = 0
    statement: str = ""
    ends: int = 0
    signers: Tuple[str, ...] = ()
    ignored: Tuple[str, ...] = ()
    bundle: Optional[bytes] = None


NO_REPOSITORY = ReleaseStanding(
    "", "", False, Code.BELOW_THRESHOLD,
    "the rule asks for the release statement of the repository that it came from, and no repository is known",
)  # fmt: skip


class Verdict(NamedTuple):
    """Accepted or refused, with the evidence. ``name`` is the subject's, ``origin`` its repository id or its path.
    ``about``: what the message says of the evidence as a whole, before what the rules lack."""

    name: str
    origin: str
    accepted: bool
    code: Code
    message: str
    rules: Tuple[RuleOutcome, ...] = ()
    signers: Tuple[str, ...] = ()
    ignored: Tuple[str, ...] = ()
    statements: Tuple[str, ...] = ()
    about: str = ""


class HeldBack(NamedTuple):
    """A package that a front end leaves out of its resolution: its name, the repository it is in, what it lacks."""

    name: str
    origin: str
    message: str


def refuse(name: str, origin: str, code: Code, message: str, ignored: Sequence[str] = ()) -> Verdict:
    """A refusal that needs no rule: what was to be judged could not be read, is malformed, or lies."""
    return Verdict(name, origin, False, code, message, ignored=tuple(ignored))


def approval(
    candidate: Candidate, checked: Checked, policy: Policy, now: int, *, lapsed_count: bool = False
) -> "Approval | str":
    """Turn an engine's finding into an approval, or into the reason why it is none.

    Steps: 1. The outcome is GOOD, or EXPIRED_KEY for a retired signer. 2. The primary key that the engine names is the
    policy's, and the part that issued is one of its signing parts and meets the policy's requirements of keys. 3. The
    policy's clock: the issuing part and the primary have not ended, or, for a retired signer, had not when it signed;
    but where ``lapsed_count``, a key's end does not matter.
    """
    signer, public = policy.signers[candidate.signer], candidate.key.public
    if checked.outcome not in (Outcome.GOOD, Outcome.EXPIRED_KEY):
        return f"{signer.name}: {checked.reason or checked.outcome.value}"
    part = next((part for part in public.signing_parts() if part.fingerprint == checked.issuer), None)
    if part is None or checked.primary != candidate.key.fingerprint:
        return f"{signer.name}: the engine names another key"
    problem = key_problem(part, public, policy.key_requirements)
    if problem is not None:
        return f"{signer.name}: key {shown_fingerprint(part.fingerprint)} {problem}"
    end = min((end for end in (part.expires, public.expires) if end is not None), default=None)
    expired = checked.outcome is Outcome.EXPIRED_KEY or (end is not None and end <= now)
    if expired and not lapsed_count and (signer.retired is None or end is None or checked.created >= end):
        return f"{signer.name}: {Outcome.EXPIRED_KEY.value}"
    return Approval(
        signer.name, candidate.channel, candidate.subject.payload_sha256, candidate.statement, checked.issuer
    )


def plan(rules: Sequence[Rule], counted: Sequence[Approval], untried: Sequence[Candidate]) -> Tuple[Candidate, ...]:
    """The signatures to try next: the first ones, in the bundle's order, that would satisfy the rules if all are good.

    Empty when the rules are satisfied, or when nothing untried could bring them closer.
    """
    people: Dict[str, Set[str]] = {}
    for item in counted:
        people.setdefault(item.channel, set()).add(item.signer)
    chosen: List[Candidate] = []
    for candidate in untried:
        signed = people.setdefault(candidate.channel, set())
        if candidate.signer not in signed and _would_help(rules, candidate, people):
            signed.add(candidate.signer)
            chosen.append(candidate)
    return tuple(chosen)


def _would_help(rules: Sequence[Rule], candidate: Candidate, people: Mapping[str, Set[str]]) -> bool:
    for rule in rules:
        if rule.require is None or rule.channel != candidate.channel:
            continue
        signed = people.get(rule.channel, set())
        if satisfied_by(rule.require, frozenset(signed)):
            continue
        for leaf in leaves(rule.require):
            if candidate.signer in leaf.members and len(signed.intersection(leaf.members)) < leaf.threshold:
                return True
    return False


def judge(
    policy: Policy,
    rules: Sequence[Rule],
    approvals: Sequence[Approval],
    *,
    name: str,
    origin: str,
    now: int,
    evidence: Optional[Evidence] = None,
    problem: Optional[str] = None,
    header: HeaderEvidence = UNSEEN,
    ignored: Sequence[str] = (),
    releases: Mapping[str, ReleaseStanding] = MappingProxyType({}),
) -> Verdict:
    """The verdict on one subject. Every matching rule must be satisfied; no rule at all is a refusal.

    ``approvals`` must be of this subject's digests and kind; ``evidence`` is what they were found in, None where there
    was none; ``problem`` says what was wrong with a bundle that gave none; ``header`` what the signatures on the
    RPM's own header were found to be worth; ``releases``, by a rule's name, how the repository stands that the subject
    came from: a rule with ``release`` that is not in it is not satisfied.
    """
    if not rules:
        return refuse(name, origin, Code.NO_RULE, "no rule of the policy matches it", ignored)
    alone = len({rule.channel for rule in rules if rule.require is not None}) == 1
    outcomes = tuple(
        _with_release(
            _outcome(policy, rule, approvals, header, now, alone), rule, releases.get(rule.name, NO_REPOSITORY)
        )
        for rule in rules
    )
    counting = [item for item in approvals if any(rule.channel == item.channel for rule in rules)]
    signers = tuple(dict.fromkeys(item.signer for item in counting))
    accepted = all(outcome.satisfied for outcome in outcomes)
    if accepted:
        code = Code.EXEMPT if all(rule.exempt is not None for rule in rules) else Code.OK
    else:
        code = _refusal_code(outcomes, signers, evidence, problem)
    notes = tuple(dict.fromkeys((*(evidence.ignored if evidence is not None else ()), *ignored)))
    about = "" if accepted or _by_release(_failing(outcomes)) is not None else _about(code, problem)
    return Verdict(
        name, origin, accepted, code, _message(outcomes, accepted, about), outcomes, signers, notes,
        tuple(dict.fromkeys(item.statement for item in counting)), about,
    )  # fmt: skip


def lacks_people(rules: Sequence[Rule], verdict: Verdict) -> bool:
    """Whether a rule that asks for people's signatures is not satisfied; ``verdict`` was judged by these rules."""
    if len(verdict.rules) != len(rules):
        return not verdict.accepted
    return any(
        rule.require is not None and not said.satisfied and said.code is None
        for rule, said in zip(rules, verdict.rules)
    )


def _outcome(
    policy: Policy, rule: Rule, approvals: Sequence[Approval], header: HeaderEvidence, now: int, alone: bool
) -> RuleOutcome:
    """How one rule fared; ``alone``: its channel is the only one, so that nobody need be told for which they signed."""
    if rule.exempt is not None:
        text, until = f"exempt: {rule.exempt.reason}", rule.exempt.until
        if until is None or now < until:
            return RuleOutcome(rule.name, True, text=text)
        text += f" (the exemption ended with {day(until - 1)})"
        return RuleOutcome(rule.name, False, expired=True, text=text, lacks=(text,))
    if rule.signed_by is not None:
        good = next((key for key in rule.signed_by if header.counts(key)), None)
        text = missing_text(rule.signed_by, header) if good is None else satisfied_text(good)
        return RuleOutcome(rule.name, good is not None, text=text, vendor=True, lacks=() if good else (text,))
    if rule.require is None:
        raise TypeError("a rule without a requirement")
    people = frozenset(item.signer for item in approvals if item.channel == rule.channel)
    progress = {leaf: _progress(policy, leaf, people, now) for leaf in leaves(rule.require)}
    lacks = tuple(_lacking(rule.require, people, progress))
    deciding = tuple(progress[leaf] for leaf in _deciding(rule.require, people))
    text = "; ".join(lacks or map(str, deciding))
    return RuleOutcome(
        rule.name, not lacks, deciding, text=text if alone else f"for {rule.channel}, {text}", lacks=lacks,
        channel=None if alone else rule.channel,
    )  # fmt: skip


def _with_release(outcome: RuleOutcome, rule: Rule, standing: ReleaseStanding) -> RuleOutcome:
    """The outcome of a rule, once the release statement that it may ask for is taken into account."""
    if rule.release is None or (standing.good and not outcome.satisfied):
        return outcome
    both = f"{outcome.text}; {standing.text}"
    if standing.good:
        return outcome._replace(text=both)
    if not outcome.satisfied:
        return outcome._replace(text=both, lacks=(*outcome.lacks, standing.text))
    return outcome._replace(satisfied=False, text=standing.text, code=standing.code, lacks=(standing.text,))


def _progress(policy: Policy, leaf: Leaf, people: FrozenSet[str], now: int) -> LeafProgress:
    counted = tuple(name for name in leaf.members if name in people)
    waiting = [name for name in leaf.members if name not in people] if len(counted) < leaf.threshold else []
    available = tuple(name for name in waiting if can_sign(policy.signers[name], policy, now))
    return LeafProgress(leaf.threshold, leaf.group, len(leaf.members), counted, available)


def _deciding(requirement: Requirement, people: FrozenSet[str]) -> Iterator[Leaf]:
    """The leaves of a requirement but for those that no longer matter, since another one of any: is satisfied."""
    if isinstance(requirement, Leaf):
        yield requirement
        return
    parts = requirement.parts
    if isinstance(requirement, AnyOf) and satisfied_by(requirement, people):
        parts = tuple(part for part in parts if satisfied_by(part, people))
    for part in parts:
        yield from _deciding(part, people)


def _lacking(requirement: Requirement, people: FrozenSet[str], progress: Mapping[Leaf, LeafProgress]) -> Iterator[str]:
    """Each thing that these people's signatures leave open; of any: in one text, since one of it is enough."""
    if satisfied_by(requirement, people):
        return
    if isinstance(requirement, Leaf):
        yield str(progress[requirement])
    elif isinstance(requirement, AllOf):
        for part in requirement.parts:
            yield from _lacking(part, people, progress)
    else:
        yield "; or else: ".join("; and ".join(_lacking(part, people, progress)) for part in requirement.parts)


def _refusal_code(
    outcomes: Sequence[RuleOutcome], signers: Sequence[str], evidence: Optional[Evidence], problem: Optional[str]
) -> Code:
    failing = _failing(outcomes)
    if all(outcome.expired for outcome in failing):
        return Code.EXPIRED
    by_release = _by_release(failing)
    if by_release is not None:
        return by_release
    if evidence is None and any(outcome.leaves for outcome in failing):
        return Code.NO_BUNDLE if problem is None else Code.MALFORMED_BUNDLE
    if evidence is not None and evidence.named_otherwise and not signers:
        return Code.CONTENT_MISMATCH
    return Code.BELOW_THRESHOLD


def _failing(outcomes: Sequence[RuleOutcome]) -> List[RuleOutcome]:
    return [outcome for outcome in outcomes if not outcome.satisfied]


def _by_release(failing: Sequence[RuleOutcome]) -> Optional[Code]:
    """Why, where nothing but release statements is lacking (and exemptions that have ended)."""
    codes = [outcome.code for outcome in failing if not outcome.expired]
    return None if None in codes else next(iter(codes), None)


def _message(outcomes: Sequence[RuleOutcome], accepted: bool, about: str) -> str:
    shown = outcomes if accepted else _failing(outcomes)
    texts = dict.fromkeys(outcome.text for outcome in shown)
    return "; ".join((about, *texts) if about else texts)


def _about(code: Code, problem: Optional[str]) -> str:
    if code is Code.NO_BUNDLE:
        return "no bundle of signatures was found"
    if code is Code.MALFORMED_BUNDLE:
        return problem or ""
    return "what was signed under this name has other content" if code is Code.CONTENT_MISMATCH else ""
