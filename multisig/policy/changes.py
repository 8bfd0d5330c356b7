# SPDX-License-Identifier: GPL-2.0-or-later
"""What a new policy changes, in sentences for those who are to sign or install it. Pure."""

from __future__ import annotations

from typing import Iterator, Mapping, Optional, Tuple, TypeVar

from multisig.policy.model import Leaf, Policy, Requirement, Rule, Signer, describe

_Value = TypeVar("_Value")


def changes(old: Policy, new: Policy) -> Tuple[str, ...]:
    """The differences that matter, one a line; none where the policies decide alike."""
    parts = (_quorum, _signers, _groups, _key_requirements, _rules)
    return tuple(line for part in parts for line in part(old, new))


def _quorum(old: Policy, new: Policy) -> Iterator[str]:
    if old.channel != new.channel:
        yield f"channel: {new.channel or 'none'}, was {old.channel or 'none'}"
    if _words(old.quorum) != _words(new.quorum):
        yield f"policy-quorum: {_words(new.quorum)}, was {_words(old.quorum)}"


def _signers(old: Policy, new: Policy) -> Iterator[str]:
    for name, before, after in _pairs(old.signers, new.signers):
        if before is None and after is not None:
            yield f"signer {name}: new, with the key {_fingerprints(after)}"
        elif after is None:
            yield f"signer {name}: removed"
        elif before is not None:
            yield from _signer(name, before, after)


def _signer(name: str, before: Signer, after: Signer) -> Iterator[str]:
    if _fingerprints(before) != _fingerprints(after):
        yield f"signer {name}: another key, {_fingerprints(after)}, was {_fingerprints(before)}"
    elif [key.public.binary for key in before.keys] != [key.public.binary for key in after.keys]:
        yield f"signer {name}: the same key, with other signatures, subkeys or dates"
    if before.compromised != after.compromised:
        yield f"signer {name}: {'' if after.compromised else 'no longer '}marked compromised"
    if before.retired != after.retired:
        yield f"signer {name}: {'retired' if after.retired is not None else 'no longer retired'}"


def _groups(old: Policy, new: Policy) -> Iterator[str]:
    for name, before, after in _pairs(old.groups, new.groups):
        if before is None and after is not None:
            yield f"group {name}: new, {', '.join(after)}"
        elif after is None:
            yield f"group {name}: removed"
        elif before is not None and set(before) != set(after):
            parts = [f"+{person}" for person in after if person not in before]
            parts += [f"-{person}" for person in before if person not in after]
            yield f"group {name}: {' '.join(parts)}"


def _key_requirements(old: Policy, new: Policy) -> Iterator[str]:
    if old.key_requirements != new.key_requirements:
        wanted = new.key_requirements
        days = "unlimited" if wanted.max_validity_days is None else f"{wanted.max_validity_days}"
        yield f"keys: min-rsa-bits {wanted.min_rsa_bits}, max-validity-days {days}"


def _rules(old: Policy, new: Policy) -> Iterator[str]:
    before_by_name = {rule.name: _comparable(rule) for rule in old.rules}
    after_by_name = {rule.name: _comparable(rule) for rule in new.rules}
    for name, before, after in _pairs(before_by_name, after_by_name):
        if before is None and after is not None:
            yield f'rule "{name}": new, {decision(after)}'
        elif after is None:
            yield f'rule "{name}": removed'
        elif before is not None and before != after:
            was = "" if decision(before) == decision(after) else f", was {decision(before)}"
            yield f'rule "{name}": changed, {decision(after)}{was}'


def decision(rule: Rule) -> str:
    """What a rule asks for, in words."""
    if rule.exempt is not None:
        return f"exempt ({rule.exempt.reason})"
    if rule.signed_by is not None:
        return "signed by " + " or ".join(key.fingerprint for key in rule.signed_by)
    text = f"{_words(rule.require)} for {rule.channel}"
    return text if rule.release is None else f"{text}, and a release by {describe(rule.release.require)}"


def _comparable(rule: Rule) -> Rule:
    """The rule as it decides: a group's members and a key's other signatures are told elsewhere."""
    keys = None if rule.signed_by is None else tuple(key._replace(file="", problem=None) for key in rule.signed_by)
    require, release = rule.require, rule.release
    return rule._replace(
        signed_by=keys,
        require=None if require is None else _memberless(require),
        release=None if release is None else release._replace(require=_memberless(release.require)),
    )


def _memberless(requirement: Requirement) -> Requirement:
    if isinstance(requirement, Leaf):
        return requirement._replace(members=())
    return type(requirement)(tuple(_memberless(part) for part in requirement.parts))


def _words(requirement: Optional[Requirement]) -> str:
    return "none" if requirement is None else describe(requirement)


def _fingerprints(signer: Signer) -> str:
    return " and ".join(sorted(key.fingerprint for key in signer.keys))


def _pairs(
    old: Mapping[str, _Value], new: Mapping[str, _Value]
) -> Iterator[Tuple[str, Optional[_Value], Optional[_Value]]]:
    for name in dict.fromkeys((*old, *new)):
        yield name, old.get(name), new.get(name)
