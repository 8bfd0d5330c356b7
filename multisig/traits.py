# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a package the policy's selectors look at, and the rule that guards the policy itself. Pure."""

from __future__ import annotations

import re
from typing import Optional, Sequence, Tuple

from multisig.policy import ContentTraits, Policy, Requirement, Rule, Traits, matching_rules
from multisig.subjects.rpm import RpmSubject

# Whoever may ship these could switch the checks off: the policy, the plugins and the checker, rpm's macros.
# Where /bin, /lib, /lib64 and /sbin are links into /usr, a package may name the files either way.
_GUARDED = re.compile(
    rb"/etc/multisig(/|\Z)|/etc/dnf/plugins/multisig\.conf\Z|/etc/(rpm|dnf/libdnf5-plugins)(/|\Z)"
    rb"|/root/\.(rpmmacros|config/rpm)(/|\Z)"
    rb"|(/usr)?/lib/rpm/(.*/)?(macros[^/]*|fileattrs|[^/]*\.attr)(/|\Z)"
    rb"|(/usr(/local)?)?/lib(64)?/python3[^/]*/(dist|site)-packages/(multisig(/|\Z)|dnf-plugins/(__pycache__/)?multisig[^/]*\Z)"
    rb"|(/usr)?/lib(64|/[^/]+)?/rpm-plugins/multisig[^/]*\Z|(/usr(/local)?)?/(s?bin|libexec)/multisig[^/]*(/|\Z)",
    re.DOTALL,
)

FILE_SIGNATURES = "the package carries file signatures, which its content's signers did not sign"
"""Why a package is refused for which ``file_signatures_allowed`` is false."""


def planned_traits(name: str, obsoletes: Tuple[str, ...], repo: str) -> Traits:
    """Of a package that is only planned: its content is not known yet."""
    return Traits(kind="rpm", repo=repo, name=name, obsoletes=obsoletes, content=None)


def rpm_traits(subject: RpmSubject, repo: str) -> Traits:
    """Of a package at hand, by its own header."""
    content = ContentTraits(
        setuid=subject.gains_privileges,
        scripts=subject.has_scripts,
        paths=tuple(path.decode("utf-8", "surrogateescape") for path in subject.files.paths),
        provides=subject.provides,
    )
    return Traits(kind="rpm", repo=repo, name=subject.package, obsoletes=subject.obsoletes, content=content)


def package_rules(policy: Policy, subject: RpmSubject, repo: str) -> Tuple[Rule, ...]:
    """All rules that a package at hand has to satisfy, by its own header."""
    rules = matching_rules(policy, rpm_traits(subject, repo))
    # A rule that only guards the policy adds to those that match; it never stands in for one.
    return rules + guarding_rules(policy, subject) if rules else ()


def file_signatures_allowed(subject: RpmSubject, rules: Sequence[Rule]) -> bool:
    """Whether the package carries no signatures of files in its unsigned header, or one of its rules takes them."""
    return not subject.file_signatures or any(
        rule.file_signatures or rule.exempt is not None or rule.signed_by is not None for rule in rules
    )


def guarding_rules(policy: Policy, subject: RpmSubject) -> Tuple[Rule, ...]:
    """With policy-quorum set, a package that ships the policy, the plugins or rpm macros needs that quorum as well."""
    if policy.quorum is None or not any(_GUARDED.match(path) for path in subject.files.paths):
        return ()
    return (quorum_rule("policy-quorum", "rpm", policy.channel, policy.quorum),)


def quorum_rule(name: str, kind: str, channel: Optional[str], require: Requirement) -> Rule:
    """A rule that nobody wrote into the list of rules, but that has to be satisfied as if they had."""
    return Rule(
        name=name, kind=kind, repos=None, packages=None, content=None, channel=channel,
        require=require, release=None, signed_by=None, exempt=None, file_signatures=False,
    )  # fmt: skip
