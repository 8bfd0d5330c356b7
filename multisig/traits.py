# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a package the policy's selectors look at, and the rule that guards the policy itself. Pure."""

from __future__ import annotations

import posixpath
import re
import stat
from functools import cache
from typing import AbstractSet, Optional, Sequence, Tuple

from multisig.policy import ContentTraits, Policy, Requirement, Rule, Traits, matching_rules, undecided_rules
from multisig.subjects.rpm import RpmSubject

# Whoever may ship these could switch the checks off: the policy, the plugins and the checker, rpm's macros, what is
# remembered of policies and releases, and approvals.
# Where /bin, /lib, /lib64 and /sbin are links into /usr, a package may name the files either way.
_GUARDED = (
    rb"/etc/multisig(/|\Z)|/etc/dnf/plugins/multisig\.conf\Z|/etc/(rpm|dnf/libdnf5-plugins)(/|\Z)"
    rb"|/var/lib/multisig(/|\Z)|(/var)?/run/multisig(/|\Z)"
    rb"|/root/\.(rpmmacros|config/rpm)(/|\Z)"
    rb"|(/usr)?/lib/rpm/(.*/)?(macros[^/]*|fileattrs|[^/]*\.attr)(/|\Z)"
    rb"|(/usr(/local)?)?/lib(64)?/python3[^/]*/(dist|site)-packages/(multisig(/|\Z)|dnf-plugins/(__pycache__/)?multisig[^/]*\Z)"
    rb"|(/usr)?/lib(64|/[^/]+)?/rpm-plugins/multisig[^/]*\Z|(/usr(/local)?)?/(s?bin|libexec)/multisig[^/]*(/|\Z)"
)
# The folders that these lie in. A link to one of them is a way for other packages to name the files differently.
_ABOVE = (
    rb"/|/etc(/dnf(/plugins)?)?|/root(/\.config)?|/var(/lib)?|(/var)?/run|/usr(/local)?"
    rb"|(/usr(/local)?)?/(s?bin|libexec|lib(64)?(/rpm|(/[^/]+)?/rpm-plugins|/python3[^/]*(/(dist|site)-packages"
    rb"(/dnf-plugins)?)?)?)"
)
# The links of the merged /usr, of the merged bin, and to /run: either way of naming a file is looked for.
_USUAL_LINKS = rb"(/usr)?/(s?bin|lib|lib64)|(/var)?/run"

FILE_SIGNATURES = (
    "the package carries file signatures, which its content's signers did not sign; "
    "a rule with file-signatures: allow would take it"
)
"""Why a package is refused for which ``file_signatures_allowed`` is false."""


def planned_traits(name: str, obsoletes: Tuple[str, ...], repo: str) -> Traits:
    """Of a package that is only planned: its content is not known yet."""
    return Traits(kind="rpm", repo=repo, name=name, obsoletes=obsoletes, content=None)


def rpm_traits(subject: RpmSubject, repo: str) -> Traits:
    """Of a package at hand, by its own header."""
    content = ContentTraits(
        setuid=subject.gains_privileges,
        scripts=subject.has_scripts,
        paths=tuple(path.decode("utf-8", "surrogateescape") for path in subject.files.paths) + _led_elsewhere(subject),
        provides=subject.provides,
    )
    return Traits(kind="rpm", repo=repo, name=subject.package, obsoletes=subject.obsoletes, content=content)


def _led_elsewhere(subject: RpmSubject) -> Tuple[str, ...]:
    """A path that could be anywhere, where the package has files below what it makes a link itself, as /opt/x/evil
    with /opt/x a link to /etc/sudoers.d; none where it does not, and none for the links of the merged /usr."""
    links = frozenset(path for path, target in zip(*_links(subject)) if not _is_usual(path, _leads(path, target)))
    if not links:
        return ()
    folders = {path.rpartition(b"/")[0] for path in subject.files.paths}
    return ("/..",) if any(_lies_below(folder, links) for folder in folders) else ()


def _lies_below(folder: bytes, links: AbstractSet[bytes]) -> bool:
    """Whether a folder, or one above it, is one of the links."""
    while folder:
        if folder in links:
            return True
        folder = folder.rpartition(b"/")[0]
    return False


def _traits_outside(subject: RpmSubject, repo: str) -> Traits:
    """The same for a policy that asks nothing about content."""
    return planned_traits(subject.package, subject.obsoletes, repo)


def package_rules(policy: Policy, subject: RpmSubject, repo: str) -> Tuple[Rule, ...]:
    """All rules that a package at hand has to satisfy, by its own header."""
    # What no rule asks about need not be worked out.
    traits = rpm_traits if policy.looks_at_content else _traits_outside
    rules = matching_rules(policy, traits(subject, repo))
    # A rule that only guards the policy adds to those that match; it never stands in for one.
    return rules + guarding_rules(policy, subject) if rules else ()


def exempting_rules(policy: Policy, traits: Traits) -> Tuple[Rule, ...]:
    """The rules for a package whose content cannot be read, where all of them exempt it: nothing is asked of it then.

    None where some rule asks for anything, or might once the content is known; nor with policy-quorum, since nobody can
    tell whether the package holds the policy.
    """
    rules = matching_rules(policy, traits)
    asking = undecided_rules(policy, traits) or any(rule.exempt is None for rule in rules)
    return () if asking or policy.quorum is not None else rules


def file_signatures_allowed(subject: RpmSubject, rules: Sequence[Rule]) -> bool:
    """Whether the package carries no signatures of files in its unsigned header, or one of its rules takes them."""
    return not subject.file_signatures or any(
        rule.file_signatures or rule.exempt is not None or rule.signed_by is not None for rule in rules
    )


def guarding_rules(policy: Policy, subject: RpmSubject) -> Tuple[Rule, ...]:
    """With policy-quorum set, a package that ships the policy, the plugins or rpm macros needs that quorum as well."""
    if policy.quorum is None:
        return ()
    guarded = map(_pattern(_GUARDED).match, subject.files.paths)
    if not any(guarded) and not any(map(_is_a_way_there, *_links(subject))):
        return ()
    return (quorum_rule("policy-quorum", "rpm", policy.channel, policy.quorum),)


@cache
def _pattern(text: bytes) -> "re.Pattern[bytes]":
    """Compiled once it is needed: few policies ask, and it takes milliseconds."""
    return re.compile(text, re.DOTALL)


def _links(subject: RpmSubject) -> Tuple[Sequence[bytes], Sequence[bytes]]:
    """The paths of the package's symbolic links, and their targets."""
    files = subject.files
    found = [place for place, mode in enumerate(files.modes) if stat.S_ISLNK(mode)]
    return [files.paths[place] for place in found], [files.targets[place] for place in found]


def _is_a_way_there(path: bytes, target: bytes) -> bool:
    """Whether a link leads to a guarded place, or to a folder with one in it.

    A target that goes up after it went down may lead anywhere: what it went down by may be a link itself.
    """
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = next((place for place, part in enumerate(parts) if part != b".."), len(parts))
    leads = _leads(path, target)
    if b".." in parts[ups:]:
        return True
    if _is_usual(path, leads):
        return False
    return _pattern(_ABOVE).fullmatch(leads) is not None or _pattern(_GUARDED).match(leads) is not None


def _leads(path: bytes, target: bytes) -> bytes:
    """Where a link to ``target`` leads, as far as names tell."""
    return posixpath.normpath(posixpath.join(b"/", posixpath.dirname(path), target)).replace(b"//", b"/")


def _is_usual(path: bytes, leads: bytes) -> bool:
    """Whether a link is one of the merged /usr, of the merged bin, or to /run."""
    usual = _pattern(_USUAL_LINKS)
    return usual.fullmatch(path) is not None and usual.fullmatch(leads) is not None


def quorum_rule(name: str, kind: str, channel: Optional[str], require: Requirement) -> Rule:
    """A rule that nobody wrote into the list of rules, but that has to be satisfied as if they had."""
    return Rule(
        name=name, kind=kind, repos=None, packages=None, content=None, channel=channel,
        require=require, release=None, signed_by=None, exempt=None, file_signatures=False,
    )  # fmt: skip
