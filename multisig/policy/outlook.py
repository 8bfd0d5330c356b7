# SPDX-License-Identifier: GPL-2.0-or-later
"""What it would take to install a package, before there is one: which rules, whose signatures, who can give them. Pure.

Rules are chosen as for a package that is planned (select.py): by its name and its repository. What is in it nobody
knows yet, so rules with ``content`` may come on top, each with what would make it match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, List, Mapping, Optional, Tuple

from multisig.policy.globs import match_name
from multisig.policy.model import ContentSelector, Policy, Rule, describe, leaves
from multisig.policy.roster import KeyLine, PersonLine, key_line, people, standing_words
from multisig.policy.standing import can_sign
from multisig.times import age, day


@dataclass(frozen=True)
class Need:
    """A rule that matches, or may. ``conditions`` are what that depends on, in words; none where it is certain."""

    rule: Rule
    conditions: Tuple[str, ...]


def needs(policy: Policy, package: str, repo: Optional[str]) -> Tuple[Need, ...]:
    """The rules that match, or may match, a package of this name from this repository (None: from any), in order."""
    found = []
    for rule in policy.rules:
        if rule.kind != "rpm" or (rule.packages is not None and not match_name(rule.packages, package)):
            continue
        conditions: List[str] = []
        if rule.repos is not None and repo is None:
            conditions.append(f"it comes from {listed(rule.repos)}")
        elif rule.repos is not None and repo is not None and not match_name(rule.repos, repo):
            continue
        if rule.content is not None and not match_name(rule.content.provides, package):  # it provides its own name
            conditions.append(content_words(rule.content))
        found.append(Need(rule, tuple(conditions)))
    return tuple(found)


def listed(words: Tuple[str, ...]) -> str:
    """``one``, ``one or two``, ``one, two or three``."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"


def content_words(content: ContentSelector) -> str:
    """What a package has to hold for the selector to match it, in words that follow "if"."""
    parts = []
    if content.setuid:
        parts.append("it has setuid or setgid files, or file capabilities")
    if content.scripts:
        parts.append("it has scripts, triggers, or users to create")
    if content.paths:
        parts.append(f"it has a file that matches {listed(content.paths)}")
    if content.provides:
        parts.append(f"it provides or obsoletes {listed(content.provides)}")
    return ", or ".join(parts)


def selector_words(rule: Rule) -> str:
    """Which subjects a rule is for, in words."""
    parts = []
    if rule.packages is not None:
        parts.append(f"packages {', '.join(rule.packages)}")
    if rule.repos is not None:
        parts.append(f"from {', '.join(rule.repos)}")
    if rule.content is not None:
        parts.append(f"if {content_words(rule.content)}")
    if rule.kind == "file" or rule.kind == "tree":
        parts.insert(0, {"file": "files", "tree": "directory trees"}[rule.kind])
    return " ".join(parts) or "every RPM"


def decision_words(rule: Rule, now: int) -> Tuple[str, ...]:
    """What a rule asks for, a line each."""
    if rule.exempt is not None:
        until = rule.exempt.until
        if until is not None and until <= now:
            return (f"nothing can satisfy it: its exemption ({rule.exempt.reason}) ended with {day(until - 1)}",)
        end = "without an end" if until is None else f"until {day(until - 1)}"
        return (f"nothing is checked, {end}: {rule.exempt.reason}",)
    if rule.signed_by is not None:
        return ("the RPM's own signature, by one of these keys",)
    if rule.require is None:
        raise TypeError("a rule without a decision")
    lines = [f"{describe(rule.require)}, for the channel {rule.channel}"]
    if rule.release is not None:
        lines.append(
            f"and a release of the repository that {describe(rule.release.require)} signed, "
            f"at most {age(rule.release.max_age)} old"
        )
    return tuple(lines)


@dataclass(frozen=True)
class Circle:
    """A group: who of it can sign now, with what is worth knowing of their keys; and who cannot, and why."""

    group: str
    able: Tuple[str, ...]
    unable: Tuple[str, ...]


def asked(rule: Rule) -> Tuple[str, ...]:
    """The groups whose signatures a rule asks for, its release's included, each once."""
    requirements = [rule.require, None if rule.release is None else rule.release.require]
    return tuple(dict.fromkeys(leaf.group for item in requirements if item is not None for leaf in leaves(item)))


def circles(groups: Iterable[str], policy: Policy, now: int) -> Tuple[Circle, ...]:
    """These groups of the policy, at ``now`` (seconds since the epoch)."""
    standings = {person.name: person for person in people(policy, now)}
    return tuple(_circle(group, policy, standings, now) for group in groups)


def _circle(group: str, policy: Policy, standings: Mapping[str, PersonLine], now: int) -> Circle:
    able, unable = [], []
    for name in policy.groups[group]:
        signer, keys = policy.signers[name], standings[name].keys
        if can_sign(signer, policy, now):
            able.append(name + _told(_worth_knowing(keys)))
        else:
            unable.append(name + _told(standing_words(standings[name]).split(":")[0] or _why_not(keys)))
    return Circle(group, tuple(able), tuple(unable))


def _worth_knowing(keys: Tuple[KeyLine, ...]) -> str:
    """That the last of a person's keys that count is about to end."""
    counting = [key for key in keys if key.counts]
    if all(key.soon for key in counting):
        return "key " + max(counting, key=lambda key: key.expires or 0).status
    return ""


def _why_not(keys: Tuple[KeyLine, ...]) -> str:
    return "; ".join(dict.fromkeys(f"key {key.status}" for key in keys))


def _told(remark: str) -> str:
    return f" ({remark})" if remark else ""


def vendor_keys(rule: Rule, policy: Policy, now: int) -> Tuple[str, ...]:
    """The keys of a ``signed-by`` rule, with what there is to say of each."""
    lines = []
    for key in rule.signed_by or ():
        found = key_line(key, policy, now)
        owner = f"  {found.user_ids[0]}" if found.user_ids else ""
        lines.append(f"{key.fingerprint}{owner}" + ("" if found.counts and not found.soon else f"  ({found.status})"))
    return tuple(lines)
