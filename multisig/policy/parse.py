# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy's text, and the key files it names, to a ``Policy`` (docs/formats.md, "Policy").

The first thing that is wrong is an error with its line and column; there is no policy that is partly understood.
"""

from __future__ import annotations

import hashlib
from typing import Callable

from multisig.policy import rules as rules_module
from multisig.policy import signers as signers_module
from multisig.policy.fields import Fields
from multisig.policy.model import Policy
from multisig.policy.signers import KeyReader
from multisig.policy.yamlnodes import Mapping, Node, parse_yaml

FORMAT = "policy/v1"
_NEEDED = ("multisig", "serial", "rules")
_OPTIONAL = ("channel", "policy-quorum", "signers", "groups", "keys")


def parse_policy(text: bytes, *, path: str, read_file: Callable[[str], bytes]) -> Policy:
    """The policy in ``text``.

    ``path`` is for messages alone. ``read_file`` is given a file's name as the policy writes it, never absolute and
    never with a ``..`` in it, to be taken relative to the policy's folder; it returns what the file holds or raises
    OSError or a MultisigError. Raises PolicyError and nothing else.
    """
    fields = Fields(path)
    root = parse_yaml(text, path=path)
    _check_format(fields, root)
    values = fields.mapping(root, "the policy", _NEEDED, _OPTIONAL)
    serial = fields.integer(values["serial"], "serial", 1, 10**18 - 1)
    channel, quorum = values.get("channel"), values.get("policy-quorum")
    if quorum is not None and channel is None:
        fields.fail(quorum, "policy-quorum without a channel", "add channel:, so that no other product's policy fits")
    requirements = signers_module.key_requirements(fields, values.get("keys"))
    reader = KeyReader(fields, read_file, requirements)
    signers = signers_module.signers(fields, values.get("signers"), reader)
    groups = signers_module.groups(fields, values.get("groups"), signers)
    return Policy(
        serial=serial,
        channel=None if channel is None else fields.channel(channel),
        quorum=None if quorum is None else rules_module.requirement(fields, quorum, groups),
        signers=signers,
        groups=groups,
        key_requirements=requirements,
        rules=rules_module.rules(fields, values["rules"], groups, reader),
        sha256=hashlib.sha256(text).hexdigest(),
    )


def _check_format(fields: Fields, root: Node) -> None:
    """First of all, so that a policy for a later version is not called full of unknown keys."""
    hint = f"this version reads multisig: {FORMAT}"
    node = root.get("multisig") if isinstance(root, Mapping) else None
    if node is None:
        fields.fail(root, "this is not a policy", hint)
    value = fields.text(node, "multisig")
    if value != FORMAT:
        fields.fail(node, f'a policy of format "{value[:60]}"', hint)
