# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy sign: one person's word for the next policy."""

from __future__ import annotations

import argparse
import os
from typing import List

from multisig.cli.bundles import bundle_path
from multisig.cli.signing import extend
from multisig.errors import PolicyError
from multisig.openpgp import GpgvEngine, Signer
from multisig.policy import Policy, load_policy, read_policy
from multisig.policy.changes import changes
from multisig.succession import policy_statement
from multisig.text import counted, plain


def run(options: argparse.Namespace) -> int:
    """Add a signature over NEW, and the files it names, to the bundle beside it; says what it would change."""
    draft = read_policy(options.new)
    statement = policy_statement(draft)
    for line in _changes(options.policy, draft.policy):
        print(plain(line))
    signer = Signer(options.key, options.gnupghome, options.gpg)
    signer.public_key()
    path = bundle_path(options.new)
    with GpgvEngine() as engine:
        extend(path, [statement], signer, engine, ledger=options.ledger)
    what = f"serial {statement.serial} for {statement.channel}, with {counted(len(draft.files), 'file')}"
    print(plain(f"{path}: {what}, signed by {signer.public_key().fingerprint}"))
    return 0


def _changes(path: str, new: Policy) -> List[str]:
    """Compared with the policy in force, where there is one on this machine."""
    if not os.path.lexists(path):
        return [f"{path}: there is no policy here to compare with"]
    try:
        old = load_policy(path)
    except PolicyError as error:
        return [f"no comparison with the policy here, which cannot be used: {error}"]
    if new.channel != old.channel:
        return [f"{path} is for another channel, {old.channel or 'none'}: this one cannot take its place"]
    if new.serial <= old.serial:
        return [f"{path} has serial {old.serial} already: this one cannot take its place"]
    return [f"compared with {path}, serial {old.serial}:"] + [f"  {line}" for line in changes(old, new)]
