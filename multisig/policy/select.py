# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rules apply to a subject: those whose selectors, as many as they give, all match."""

from __future__ import annotations

from typing import Optional, Tuple

from multisig.namedtuples import NamedTuple
from multisig.policy.globs import match_name, path_globs
from multisig.policy.model import ContentSelector, Policy, Rule


class ContentTraits(NamedTuple):
    """What an RPM holds, as far as rules ask.

    ``setuid``: a mode & 06000, or file capabilities. ``scripts``: a scriptlet, trigger or sysusers entry. ``paths`` as
    in the header, surrogateescape where not UTF-8. ``provides``: names provided or obsoleted, its own included.
    """

    setuid: bool
    scripts: bool
    paths: Tuple[str, ...]
    provides: Tuple[str, ...]


class Traits(NamedTuple):
    """What rules are chosen by. ``kind``: rpm, file or tree. ``repo``: dnf's id, ``@commandline`` or ``@rpm``.

    ``name`` is the header's own, ``obsoletes`` the names it obsoletes; empty for files and trees. ``content`` is None
    where the header is not at hand yet.
    """

    kind: str
    repo: str
    name: str = ""
    obsoletes: Tuple[str, ...] = ()
    content: Optional[ContentTraits] = None


def matching_rules(policy: Policy, traits: Traits) -> Tuple[Rule, ...]:
    """The rules that match, in the policy's order. All have to be satisfied; where there are none, that is a refusal.

    Where the content is not known, rules that select by content are left out: see ``undecided_rules``.
    """
    return tuple(rule for rule in policy.rules if _by_name(rule, traits) and _by_content(rule.content, traits.content))


def undecided_rules(policy: Policy, traits: Traits) -> Tuple[Rule, ...]:
    """The rules that may still match once the content is known; none where it is."""
    if traits.content is not None:
        return ()
    return tuple(rule for rule in policy.rules if rule.content is not None and _by_name(rule, traits))


def release_rules(policy: Policy, repo: Optional[str]) -> Tuple[Rule, ...]:
    """The rules that ask for the release statement of the repository ``repo``; of any repository where it is None."""
    return tuple(
        rule
        for rule in policy.rules
        if rule.release is not None and (repo is None or rule.repos is None or match_name(rule.repos, repo))
    )


def mismatch(rule: Rule, traits: Traits) -> Optional[str]:
    """Why a rule does not match, in words that follow "it"; None where it does."""
    if rule.kind != traits.kind:
        return f"is for kind {rule.kind}"
    if rule.repos is not None and not match_name(rule.repos, traits.repo):
        return f"is for the repositories {', '.join(rule.repos)}"
    if not _by_name(rule, traits):
        return f"is for the packages {', '.join(rule.packages or ())}"
    if not _by_content(rule.content, traits.content):
        return "is for packages with other content"
    return None


def _by_name(rule: Rule, traits: Traits) -> bool:
    if rule.kind != traits.kind:
        return False
    if rule.repos is not None and not match_name(rule.repos, traits.repo):
        return False
    if rule.packages is None:
        return True
    return any(match_name(rule.packages, name) for name in (traits.name, *traits.obsoletes))


def _by_content(wanted: Optional[ContentSelector], content: Optional[ContentTraits]) -> bool:
    if wanted is None:
        return True
    if content is None:
        return False
    return (
        (wanted.setuid and content.setuid)
        or (wanted.scripts and content.scripts)
        or any(match_name(wanted.provides, name) for name in content.provides)
        or (bool(wanted.paths) and path_globs(wanted.paths).match_any(content.paths))
    )
