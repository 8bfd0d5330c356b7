# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a policy that is no error of form: keys that do not count, thresholds nobody can reach, gaps.

Pure: the clock is a parameter. An ``error`` is something that a rule or the quorum can no longer be satisfied by; a
``warning`` is something that the admin should know. Neither stops a policy from being used, which refuses by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, Iterable, Iterator, List, Set, Tuple

from multisig.policy.forecast import forecast, requirements
from multisig.policy.gaps import exemption_without_effect, replaceable, unmatchable
from multisig.policy.model import Key, Policy, Requirement, Rule, describe, leaves, satisfied_by
from multisig.policy.roster import SOON
from multisig.policy.standing import can_sign, counts, key_end, retired
from multisig.times import day


@dataclass(frozen=True)
class Finding:
    """``severity``: "error" or "warning". ``subject``: what it is about. ``text``: a sentence for the admin."""

    severity: str
    subject: str
    text: str


def lint(policy: Policy, now: int) -> Tuple[Finding, ...]:
    """Everything worth saying about the policy at ``now`` (seconds since the epoch), errors first."""
    findings = [
        *_signer_keys(policy, now),
        *_membership(policy),
        *_reachability(policy, now),
        *(Finding("warning", soon.subject, f"{soon}; renew in time") for soon in forecast(policy, now)),
        *_vendor_keys(policy, now),
        *_exemptions(policy, now),
        *_gaps(policy),
        *_unmatchable(policy),
    ]
    return tuple(sorted(findings, key=lambda finding: finding.severity != "error"))


def _key_findings(key: Key, subject: str, policy: Policy, now: int) -> Iterator[Finding]:
    short = f"key {key.fingerprint} ({key.file})"
    if key.problem is not None:
        yield Finding("warning", subject, f"{short} {key.problem}, so it does not count")
        return
    end = key_end(key, policy)
    if end is not None and end <= now:
        yield Finding("warning", subject, f"{short} expired on {day(end)}, so it does not count; fetch a renewed one")
    elif end is not None and end - now < SOON:
        yield Finding("warning", subject, f"{short} expires on {day(end)}; ask for a renewed one")


def _signer_keys(policy: Policy, now: int) -> Iterator[Finding]:
    """People whose signatures no longer count anyway need no word about their keys' age."""
    for signer in policy.signers.values():
        if signer.compromised or retired(signer, now):
            continue
        for key in signer.keys:
            yield from _key_findings(key, f"signer {signer.name}", policy, now)


def _parts(keys: Iterable[Key]) -> Iterator[str]:
    """The fingerprints of what signs: the primary keys, and their signing subkeys."""
    for key in keys:
        yield key.fingerprint
        yield from (subkey.fingerprint for subkey in key.public.subkeys if subkey.back_signed)


def _vendor_keys(policy: Policy, now: int) -> Iterator[Finding]:
    people = {part: name for name, signer in policy.signers.items() for part in _parts(signer.keys)}
    for rule in policy.rules:
        for part in _parts(rule.signed_by or ()):
            if part in people:
                text = f"its key {part} is also {people[part]}'s; whoever has it stands on both sides"
                yield Finding("warning", f'rule "{rule.name}"', text)
        for key in rule.signed_by or ():
            yield from _key_findings(key, f'rule "{rule.name}"', policy, now)
        if rule.signed_by and not any(counts(key, policy, now) for key in rule.signed_by):
            yield Finding("error", f'rule "{rule.name}"', "none of its keys counts, so nothing can satisfy it")


def _membership(policy: Policy) -> Iterator[Finding]:
    grouped = {name for members in policy.groups.values() for name in members}
    used = {leaf.group for _, requirement in requirements(policy) for leaf in leaves(requirement)}
    for name in policy.signers:
        if name not in grouped:
            yield Finding("warning", f"signer {name}", "is in no group, so their signatures count for nothing")
    for group in policy.groups:
        if group not in used:
            yield Finding("warning", f"group {group}", "is used by no rule and by no quorum")


def _people(policy: Policy, now: int) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """Those whose signatures made now would count, and those with whom earlier signatures still do."""
    active: Set[str] = set()
    earlier: Set[str] = set()
    for signer in policy.signers.values():
        if signer.compromised:
            continue
        if retired(signer, now):
            if any(key.problem is None for key in signer.keys):
                earlier.add(signer.name)
        elif can_sign(signer, policy, now):
            active.add(signer.name)
    return frozenset(active), frozenset(active | earlier)


def _reachability(policy: Policy, now: int) -> Iterator[Finding]:
    active, earlier = _people(policy, now)
    for subject, requirement in requirements(policy):
        wording = describe(requirement)
        if not satisfied_by(requirement, active):
            short = "; ".join(_shortfalls(requirement, active))
            if satisfied_by(requirement, earlier):
                text = f"needs {wording}, which only old packages can have, signed by people since retired: {short}"
                yield Finding("warning", subject, text)
            else:
                yield Finding("error", subject, f"needs {wording}, which nobody can reach now: {short}")
            continue
        vital = [name for name in sorted(active) if not satisfied_by(requirement, active - {name})]
        if vital:
            text = f"needs {wording}; without {' or '.join(vital)} nobody can reach it: one lost key blocks everything"
            yield Finding("warning", subject, text)
        alone = [name for name in sorted(active) if satisfied_by(requirement, frozenset({name}))]
        if alone and not subject.startswith("release"):
            text = f"needs {wording}, which one person alone can give: {', '.join(alone)}; one stolen key is enough"
            yield Finding("warning", subject, text)


def _shortfalls(requirement: Requirement, people: FrozenSet[str]) -> List[str]:
    """In words, each leaf that these people do not satisfy, once."""
    texts: List[str] = []
    for leaf in leaves(requirement):
        able = [name for name in leaf.members if name in people]
        if len(able) < leaf.threshold:
            who = ", ".join(able) if able else "nobody"
            text = f"{leaf.threshold} of {leaf.group}, where only {len(able)} of {len(leaf.members)} count ({who})"
            if text not in texts:
                texts.append(text)
    return texts


def _exemptions(policy: Policy, now: int) -> Iterator[Finding]:
    for rule in policy.rules:
        if rule.exempt is None:
            continue
        subject, until = f'rule "{rule.name}"', rule.exempt.until
        if until is not None and until <= now:
            text = f"its exemption ended with {day(until - 1)}; whatever it matches is refused. Renew or remove it"
            yield Finding("warning", subject, text)
            continue
        end = "and never ends" if until is None else f"until {day(until - 1)}"
        text = f"exempt ({rule.exempt.reason}) {end}: nothing is checked, and its packages run scripts as root"
        if rule.kind != "rpm":
            text = f"exempt ({rule.exempt.reason}) {end}: nothing is checked"
        yield Finding("warning", subject, text)
        if until is not None and until - now < SOON:
            yield Finding("warning", subject, f"its exemption ends with {day(until - 1)}")
        stronger = exemption_without_effect(policy, rule)
        if stronger is not None:
            text = f'changes nothing: rule "{stronger.name}" matches the same packages and has to be satisfied too'
            yield Finding("warning", subject, text)


def _gaps(policy: Policy) -> Iterator[Finding]:
    for rule in policy.rules:
        protected = replaceable(policy, rule)
        if protected:
            yield Finding("warning", f'rule "{rule.name}"', _gap_text(rule, protected))


def _unmatchable(policy: Policy) -> Iterator[Finding]:
    for rule in policy.rules:
        for text in unmatchable(rule):
            yield Finding("warning", f'rule "{rule.name}"', text)


def _gap_text(rule: Rule, protected: Tuple[Rule, ...]) -> str:
    names = ", ".join(f'"{other.name}"' for other in protected)
    way = "exempt" if rule.exempt is not None else "signed-by"
    return (
        f"{way}; what it lets in could replace packages that {names} protect{'s' if len(protected) == 1 else ''} in "
        "named repositories only. Protect them by packages:, in a rule without repos:"
    )
