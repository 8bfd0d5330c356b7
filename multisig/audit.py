# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges what is installed once more: by today's policy, and by the evidence that the journal has kept.

No file is there any more, so content is judged by the header in rpm's database, which binds it. Releases come and go;
what rules ask of them was asked when the package came in.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence, Tuple

from multisig.checking import Case, Checker, Question
from multisig.errors import MalformedRpmError, UsageError
from multisig.openpgp import Engine
from multisig.policy import Key, Policy, Rule, Signer
from multisig.recall import Recall
from multisig.statement import Kind
from multisig.subjects.installed import Installed
from multisig.subjects.signatures import signed_bytes
from multisig.traits import exempting_rules, package_rules, planned_traits
from multisig.vendor import UNSEEN
from multisig.verdict import Code, Verdict, judge, refuse

SYSTEM = "@System"
LEFT_OUT = "left out of this audit"


@dataclass(frozen=True)
class _Asked:
    """One package that the evidence has to decide; ``place`` among those given."""

    place: int
    package: Installed
    case: Case


class Auditor:
    """Judges under one policy and one reading of the clock (seconds since the epoch). ``close`` ends its threads."""

    def __init__(self, policy: Policy, engine: Engine, recall: Recall, *, now: int, workers: int) -> None:
        self._policy = policy
        self._recall = recall
        self._now = now
        self._pool = ThreadPoolExecutor(max(1, workers), "multisig")
        self._checker = Checker(policy, engine, self._pool, now=now)

    def close(self) -> None:
        """End the threads; what has not been started is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def judge(self, packages: Sequence[Installed]) -> List[Verdict]:
        """A verdict on each, in their order. Raises JournalError.

        Steps: 1. The journal knows the content; what it does not know came in before multisig or around it. 2. Rules
        are chosen by the header and by the repository that the journal names. 3. Its evidence is verified, and that of
        the header's own signatures where rules ask for it. 4. The rules are judged.
        """
        verdicts: List[Optional[Verdict]] = []
        asked: List[_Asked] = []
        for place, package in enumerate(packages):
            case_or_verdict = self._begin(package)
            verdicts.append(case_or_verdict if isinstance(case_or_verdict, Verdict) else None)
            if isinstance(case_or_verdict, Case):
                asked.append(_Asked(place, package, case_or_verdict))
        self._checker.verify([item.case for item in asked])
        for item in asked:
            verdicts[item.place] = self._conclude(item)
        return [verdict for verdict in verdicts if verdict is not None]

    def _begin(self, package: Installed) -> "Verdict | Case":
        subject = package.subject
        if subject is None:
            return self._judge_unread(package)
        kept = self._recall.content(subject.name, subject.digests)
        if kept is None:
            return _unknown(package)
        rules = package_rules(self._policy, subject, kept.origin)
        rules = tuple(rule._replace(release=None) for rule in rules)
        case = self._checker.case(Question(Kind.RPM, subject.name, subject.digests, kept.origin, rules, kept.held))
        self._checker.begin(case)
        return case

    def _conclude(self, item: _Asked) -> Verdict:
        subject, case, header = item.package.subject, item.case, UNSEEN
        if subject is not None and any(rule.signed_by for rule in case.question.rules):
            found = item.package.signatures
            header = self._checker.header(case.question.rules, signed_bytes(subject), found.packets, found.problems)
        return self._checker.verdict(case, case.approvals, header, case.ignored)

    def _judge_unread(self, package: Installed) -> Verdict:
        """A package that the profile refuses: fit only where nothing is asked of it, now as when it came in."""
        problem = package.problem or MalformedRpmError("cannot be read")
        kept = self._recall.unread(package.nevra)
        if kept is None:
            return refuse(package.nevra, SYSTEM, Code(problem.code), f"{problem}; {_NOT_IN_THE_JOURNAL}")
        traits = planned_traits(package.name, package.obsoletes, kept.origin)
        rules = exempting_rules(self._policy, traits)
        if not rules:
            return refuse(package.nevra, kept.origin, Code(problem.code), str(problem))
        return judge(self._policy, rules, (), name=package.nevra, origin=kept.origin, now=self._now)


_NOT_IN_THE_JOURNAL = "it is not in the journal: it came in before multisig, or around it"


def _unknown(package: Installed) -> Verdict:
    return refuse(package.nevra, SYSTEM, Code.NO_BUNDLE, _NOT_IN_THE_JOURNAL)


def without(policy: Policy, names: Sequence[str]) -> Policy:
    """The policy as if nothing of these counted: signers by their names, keys by their full fingerprints.

    Raises UsageError where the policy has no such signer or key: a misspelt name must not look like an answer.
    """
    for name in names:
        fingerprint = name.replace(" ", "").upper()
        if name in policy.signers:
            signers = dict(policy.signers)
            signers[name] = signers[name]._replace(keys=tuple(map(_left_out, signers[name].keys)))
            policy = policy._replace(signers=signers)
        elif any(key.fingerprint == fingerprint for key in _keys(policy)):
            policy = policy._replace(signers=_less(policy, fingerprint), rules=_less_rules(policy, fingerprint))
        else:
            expected = "a signer's name, or the full fingerprint of a key"
            raise UsageError(f"the policy has neither signer nor key {ascii(name)}", expected=expected)
    return policy


def _keys(policy: Policy) -> List[Key]:
    people = [key for signer in policy.signers.values() for key in signer.keys]
    return people + [key for rule in policy.rules for key in rule.signed_by or ()]


def _less(policy: Policy, fingerprint: str) -> Mapping[str, Signer]:
    return {
        name: signer._replace(keys=tuple(_marked(key, fingerprint) for key in signer.keys))
        for name, signer in policy.signers.items()
    }


def _less_rules(policy: Policy, fingerprint: str) -> Tuple[Rule, ...]:
    return tuple(
        rule if rule.signed_by is None
        else rule._replace(signed_by=tuple(_marked(key, fingerprint) for key in rule.signed_by))
        for rule in policy.rules
    )  # fmt: skip


def _marked(key: Key, fingerprint: str) -> Key:
    return _left_out(key) if key.fingerprint == fingerprint else key


def _left_out(key: Key) -> Key:
    return key._replace(problem=LEFT_OUT)
