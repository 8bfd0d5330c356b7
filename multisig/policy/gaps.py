# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a weak rule (exempt, signed-by) lets a package in that replaces what a strong one (require) protects.

Every rule that matches has to be satisfied, so a strong rule without ``repos`` holds wherever a package comes from. One
with ``repos`` does not: the same name from another repository meets the weak rule alone. This compares selectors, not
packages; where it cannot tell, it reports.
"""

from __future__ import annotations

import re
from typing import Iterator, Optional, Sequence, Tuple

from multisig.policy.globs import covers, overlap
from multisig.policy.model import Policy, Rule

Globs = Optional[Tuple[str, ...]]

# What dnf takes for a repository's id (dnf.repo, and @commandline, @System), and rpm for a package's name.
_REPOSITORY = re.compile(r"@?[A-Za-z0-9._:-]*")
_NAME = re.compile(r"[!-.0-~]*")
_WHAT = {"repos": "repository's id", "packages": "package's name"}
_FILE_NAME = re.compile(r"\.rpm\Z|[0-9][^-]*\.(noarch|x86_64|i[3-6]86|aarch64|armv7hl|ppc64le|s390x|riscv64|src)\Z")


def replaceable(policy: Policy, weak: Rule) -> Tuple[Rule, ...]:
    """The strong rules whose packages could be replaced by what ``weak`` lets in; none where ``weak`` is strong."""
    if weak.require is not None or weak.kind != "rpm":
        return ()
    strong = tuple(rule for rule in policy.rules if rule.require is not None and rule.kind == "rpm")
    if any(_holds_for(rule, weak) for rule in strong):
        return ()
    return tuple(rule for rule in strong if _escapes(rule, weak) and not _guarded(rule, strong))


def exemption_without_effect(policy: Policy, weak: Rule) -> Optional[Rule]:
    """A strong rule that matches everything that ``weak`` does, if there is one."""
    for rule in policy.rules:
        if rule.require is not None and rule.kind == weak.kind and _holds_for(rule, weak):
            return rule
    return None


def unmatchable(rule: Rule) -> Iterator[str]:
    """What of a rule's selectors can never match anything, in sentences."""
    for selector, globs, possible in (("repos", rule.repos, _REPOSITORY), ("packages", rule.packages, _NAME)):
        never = [glob for glob in globs or () if not possible.fullmatch(_literal(glob))]
        if never and globs is not None and len(never) == len(globs):
            yield f"can never match: {_quoted(never)} is no {_WHAT[selector]}"
        elif never:
            yield f"{_quoted(never)} in {selector} can never match: it is no {_WHAT[selector]}"
    files = [glob for glob in rule.packages or () if _FILE_NAME.search(glob)]
    if files:
        yield f"{_quoted(files)} in packages looks like a file's name; a rule is for the package's name alone, as hello"


def _literal(glob: str) -> str:
    """What a glob has to say about its matches, without its wildcards."""
    return re.sub(r"\[!?.[^]]*\]|[*?]", "", glob)


def _quoted(globs: Sequence[str]) -> str:
    return ", ".join(f'"{glob}"' for glob in globs)


def _holds_for(rule: Rule, weak: Rule) -> bool:
    """Whether ``rule`` certainly matches all that ``weak`` matches."""
    return rule.content is None and _covered(weak.repos, rule.repos) and _covered(weak.packages, rule.packages)


def _escapes(strong: Rule, weak: Rule) -> bool:
    """Whether a package under a name that ``strong`` protects could come in by ``weak`` and not match ``strong``."""
    if strong.repos is None or _covered(weak.repos, strong.repos):
        return False
    return strong.packages is None or weak.packages is None or _overlapping(strong.packages, weak.packages)


def _guarded(strong: Rule, others: Tuple[Rule, ...]) -> bool:
    """Whether another strong rule protects the same names wherever they come from."""
    return any(
        other.repos is None and other.content is None and _covered(strong.packages, other.packages) for other in others
    )


def _covered(inner: Globs, outer: Globs) -> bool:
    """Whether ``outer`` matches every name that ``inner`` matches; None matches every name."""
    if outer is None:
        return True
    wanted = ("*",) if inner is None else inner
    return all(any(covers(wide, narrow) for wide in outer) for narrow in wanted)


def _overlapping(one: Tuple[str, ...], other: Tuple[str, ...]) -> bool:
    return any(overlap(left, right) for left in one for right in other)
