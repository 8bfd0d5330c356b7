# SPDX-License-Identifier: GPL-2.0-or-later
"""Repositories whose release is not good, whether or not anything of them is about to come in.

Who keeps news back does it best by offering nothing: then there is no package to judge, and so no release. It would be
an old one for ever, and dnf would say that there is nothing to do.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import dnf
import dnf.repo
import hawkey

from multisig.errors import MultisigError
from multisig.gate import Gate
from multisig.policy import Rule, release_rules
from multisig.releasing import Releases

_MODULES = "modules"
_SHOWN = 5


def unreleased(base: "dnf.Base", gate: Gate, releases: Releases) -> List[str]:
    """What is wrong with the releases of the repositories that are in use, a line for each of which something is.

    Asked about are those that a rule with ``release`` names, and those of which a release for its channel is
    remembered: what a repository offers decides nothing, for that is what would be kept back. Raises JournalError.
    """
    texts = []
    whose: Dict[bytes, str] = {}
    for repo in base.repos.iter_enabled():
        rules = _rules(gate, releases, repo.id)
        text = _problem(gate, releases, repo.id, rules, whose) or _hidden(base, repo) if rules else None
        if text is not None:
            texts.append(f"{text}; updates may be kept back")
    return texts


def _rules(gate: Gate, releases: Releases, repo: str) -> Tuple[Rule, ...]:
    return tuple(
        rule
        for rule in release_rules(gate.policy, repo)
        if rule.repos is not None or releases.newest_release(repo, rule.channel or "")
    )


def _problem(
    gate: Gate, releases: Releases, repo: str, rules: Tuple[Rule, ...], whose: Dict[bytes, str]
) -> Optional[str]:
    """``whose`` are the repositories by what their repomd.xml holds: a release names none, so one could stand in for
    another of its channel."""
    try:
        metadata = releases.metadata_of(repo)
    except MultisigError as error:
        return f"the release of {repo} cannot be judged: {error}"
    other = whose.setdefault(metadata.repomd, repo)
    if other != repo:
        return f"{repo} has the very metadata of {other}, as if the one was served in the other's place"
    standings = [gate.repository_standing(metadata, rule) for rule in rules]
    return next((standing.text for standing in standings if not standing.good), None)


def _hidden(base: "dnf.Base", repo: "dnf.repo.Repo") -> Optional[str]:
    """What is newer than what is installed, and hidden by a module that is not the repository's own: dnf leaves out
    whatever a module of any repository lists in other versions, and no release binds those others' metadata."""
    if repo.get_metadata_path(_MODULES):
        return None
    there = base.sack.query(flags=hawkey.IGNORE_MODULAR_EXCLUDES).available().filter(reponame=repo.id, upgrades=True)
    names = sorted({handle.name for handle in there.difference(base.sack.query().available())})
    if not names:
        return None
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"a module of another repository hides what is new in {repo.id}: {', '.join(names[:_SHOWN])}{more}"
