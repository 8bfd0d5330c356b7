# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy as whoever publishes has to read it: before there is a repository to look at. Pure."""

from __future__ import annotations

from typing import Optional

from multisig.policy.model import Policy, Rule


def publishing_policy(policy: Policy, repo: Optional[str]) -> Policy:
    """The rules that what is to be published must satisfy.

    Release statements cannot be asked for yet: they are made from what was published. Where it is not said what the
    repository will be called (``repo`` is None; users may call it as they like), every rule that asks for signatures
    holds whatever repositories it names, and one that lets packages in otherwise only where it names none.
    """
    rules = (rule._replace(release=None) for rule in policy.rules)
    if repo is None:
        rules = (rule._replace(repos=None) for rule in rules if _holds_anywhere(rule))
    return policy._replace(rules=tuple(rules))


def _holds_anywhere(rule: Rule) -> bool:
    return rule.require is not None or rule.repos is None
