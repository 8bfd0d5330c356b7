# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy: who has to sign what. YAML to frozen values, and the choice of rules. Local and trusted.

What only those need who look after a policy stands apart (lint, roster, outlook, changes): it takes time to import.
"""

from __future__ import annotations

from multisig.policy.forecast import notice
from multisig.policy.model import (
    AllOf,
    AnyOf,
    ContentSelector,
    Exemption,
    Key,
    Leaf,
    Policy,
    ReleaseRequirement,
    Requirement,
    Retirement,
    Rule,
    Signer,
    describe,
    leaves,
    satisfied_by,
)
from multisig.policy.parse import parse_policy
from multisig.policy.select import ContentTraits, Traits, matching_rules, mismatch, release_rules, undecided_rules
from multisig.policy.standing import can_sign, key_end
from multisig.policy.store import PolicyFiles, load_policy, read_policy

__all__ = [
    "AllOf",
    "AnyOf",
    "ContentSelector",
    "ContentTraits",
    "Exemption",
    "Key",
    "Leaf",
    "Policy",
    "PolicyFiles",
    "ReleaseRequirement",
    "Requirement",
    "Retirement",
    "Rule",
    "Signer",
    "Traits",
    "can_sign",
    "describe",
    "key_end",
    "leaves",
    "load_policy",
    "matching_rules",
    "mismatch",
    "notice",
    "parse_policy",
    "release_rules",
    "read_policy",
    "satisfied_by",
    "undecided_rules",
]
