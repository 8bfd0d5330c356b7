# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy show: what the policy asks for, with people's names."""

from __future__ import annotations

import argparse
import textwrap
import time
from typing import Iterable, Iterator, Optional

from multisig.policy import Policy, Rule, describe, leaves, load_policy
from multisig.policy.globs import match_name
from multisig.policy.outlook import Need, asked, circles, decision_words, needs, selector_words, vendor_keys
from multisig.policy.roster import people, standing_words
from multisig.text import plain

_WIDTH = 100


def run(options: argparse.Namespace) -> int:
    policy, now = load_policy(options.policy), int(time.time())
    if options.package is None:
        lines = _overview(policy, options.policy, options.repo, now)
    else:
        lines = _answer(policy, options.package, options.repo, now)
    for line in lines:
        print(plain(line).rstrip())
    return 0


def _answer(policy: Policy, package: str, repo: Optional[str], now: int) -> Iterator[str]:
    """What it would take to install a package."""
    found = needs(policy, package, repo)
    certain = [need for need in found if not need.conditions]
    possible = [need for need in found if need.conditions]
    what = package if repo is None else f"{package} from {repo}"
    if not found:
        yield f"{what} would be refused: no rule matches it."
        return
    if certain:
        yield f"To install {what}, all of this is needed:"
    for need in certain:
        yield from _need(need, policy, now)
    if possible:
        yield "" if certain else f"{what} is refused, unless one of these rules matches; each that does is needed:"
    if possible and certain:
        yield "And what of this applies, once it is known what is in it:"
    for need in possible:
        yield from _need(need, policy, now)
    if policy.quorum is not None:
        yield ""
        yield "  policy-quorum, if it holds this policy, a part of multisig, or rpm macros"
        yield from _quorum(policy)
        yield from _groups(dict.fromkeys(leaf.group for leaf in leaves(policy.quorum)), policy, now)


def _need(need: Need, policy: Policy, now: int) -> Iterator[str]:
    yield ""
    conditions = f", if {', and '.join(need.conditions)}" if need.conditions else ""
    yield from _wrapped("  ", f'rule "{need.rule.name}"{conditions}', 4)
    yield from _decision(need.rule, policy, now)
    yield from _groups(asked(need.rule), policy, now)


def _decision(rule: Rule, policy: Policy, now: int) -> Iterator[str]:
    yield from (f"      {line}" for line in decision_words(rule, now))
    yield from (f"        {line}" for line in vendor_keys(rule, policy, now))


def _quorum(policy: Policy) -> Iterator[str]:
    if policy.quorum is not None:
        yield f"      {describe(policy.quorum)}, for the channel {policy.channel}"


def _groups(names: Iterable[str], policy: Policy, now: int, indent: str = " " * 8) -> Iterator[str]:
    found = circles(names, policy, now)
    width = max((len(circle.group) for circle in found), default=0)
    for circle in found:
        yield from _wrapped(f"{indent}{circle.group.ljust(width)}  can sign: ", ", ".join(circle.able) or "nobody")
        if circle.unable:
            yield from _wrapped(f"{indent}{' ' * width}  cannot:   ", ", ".join(circle.unable))


def _overview(policy: Policy, path: str, repo: Optional[str], now: int) -> Iterator[str]:
    yield f"{path}: serial {policy.serial}"
    yield ""
    if policy.quorum is None:
        yield "It is replaced by whoever administers this machine (no policy-quorum)."
    else:
        yield "It is replaced by its policy-quorum (multisig policy update):"
        yield from _quorum(policy)
    if policy.signers:
        yield ""
        yield "People:"
        yield from _people(policy, now)
    if policy.groups:
        yield ""
        yield "Groups:"
        yield from _groups(policy.groups, policy, now, "  ")
    yield ""
    yield "Rules. All that match a package have to be satisfied; what none matches is refused:"
    shown = 0
    for rule in policy.rules:
        if repo is None or rule.repos is None or match_name(rule.repos, repo):
            shown += 1
            yield ""
            yield from _wrapped("  ", f'rule "{rule.name}", {selector_words(rule)}', 4)
            yield from _decision(rule, policy, now)
    if not shown:
        yield f"  none is for {repo}"


def _wrapped(head: str, text: str, hanging: Optional[int] = None) -> Iterator[str]:
    """``head`` and ``text``, whose further lines begin where its first does, or ``hanging`` columns from the left.

    What comes from the policy may be long; it holds no line ends.
    """
    indent = " " * (len(head) if hanging is None else hanging)
    yield from textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)


def _people(policy: Policy, now: int) -> Iterator[str]:
    found = people(policy, now)
    width = max(len(person.name) for person in found)
    for person in found:
        keys = ", ".join(f"{key.algorithm} key {key.status}" for key in person.keys)
        where = ", ".join(person.groups) or "in no group"
        yield f"  {person.name.ljust(width)}  {where}; {standing_words(person) or keys}"
