# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy's text, and the key files it names, to a ``Policy`` (docs/formats.md, "Policy").

The first thing that is wrong is an error with its line and column; there is no policy that is partly understood.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Callable

from multisig.errors import PolicyError
from multisig.policy import rules as rules_module
from multisig.policy import signers as signers_module
from multisig.policy.fields import Fields
from multisig.policy.model import Policy
from multisig.policy.signers import MAX_STATEMENTS, KeyReader
from multisig.policy.yamlnodes import MAX_BYTES, Mapping, Node, parse_yaml

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


def load_policy(path: str) -> Policy:
    """The policy at ``path``, with the files it names, which lie beside it or in folders there.

    Only regular files are read: a policy of at most 64 KiB, other files of at most 4 MiB (keys: 256 KiB, by their
    parser). Raises PolicyError, also where something cannot be read.
    """
    folder = os.path.dirname(path)

    def read_file(name: str) -> bytes:
        return read_regular(os.path.join(folder, name), MAX_STATEMENTS)

    try:
        text = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise PolicyError(f"cannot read the policy: {error.strerror}", path=path) from error
    except PolicyError as error:
        error.at(path)
        raise
    return parse_policy(text, path=path, read_file=read_file)


def read_regular(path: str, limit: int) -> bytes:
    """What a regular file of at most ``limit`` bytes holds. OSError, or PolicyError without a path.

    O_NONBLOCK: a FIFO in the file's place must not make us wait for a writer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PolicyError("it is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise PolicyError(f"it is larger than {limit // 1024} KiB")
    return data
