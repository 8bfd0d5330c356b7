# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing statements on the command line: what is given out verifies, is in the ledger, and joins the bundle."""

from __future__ import annotations

import os
import sys
import time
from typing import List, Optional, Sequence

from multisig import ledger
from multisig.bundle import Attestation, Bundle
from multisig.cli.bundles import extend_bundle, read_bundle
from multisig.errors import EngineError, SignatureFormatError
from multisig.files import locked
from multisig.openpgp import Engine, Outcome, Signer, parse_signature
from multisig.statement import Statement, encode, parse

_LEDGER = os.path.join("multisig", "ledger.jsonl")


def default_ledger() -> str:
    """Where the user's ledger lies: below XDG_DATA_HOME (the XDG Base Directory Specification; ~/.local/share)."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # "All paths set in these environment variables must be absolute"; a relative one is to be ignored.
    if not os.path.isabs(base):
        base = os.path.expanduser(os.path.join("~", ".local", "share"))
    return os.path.join(base, _LEDGER)


def extend(
    path: str, statements: Sequence[Statement], signer: Signer, engine: Engine, *, ledger: Optional[str] = None
) -> int:
    """Add this signer's word to the bundle at ``path``, where whatever is in it stays; how many of the statements they
    had not signed yet."""
    with locked(path):
        before = read_bundle(path).attestations if os.path.lexists(path) else ()
        new: List[Attestation] = []
        for text in map(encode, statements):
            if has_signed(before, text, signer, engine):
                print(f"multisig: {path}: already signed by this key", file=sys.stderr)
            else:
                new.append(Attestation(text, (sign_text(text, signer, engine, ledger=ledger),)))
        if new:
            extend_bundle(path, [Bundle(tuple(new))])
    return len(new)


def has_signed(before: Sequence[Attestation], text: str, signer: Signer, engine: Engine) -> bool:
    """Whether a good signature by this key over the statement ``text`` is among these."""
    signatures = [armored for item in before if item.statement == text for armored in item.signatures]
    return any(_is_good(armored, text, signer, engine) for armored in signatures)


def sign_text(text: str, signer: Signer, engine: Engine, *, ledger: Optional[str] = None) -> str:
    """A signature that verification accepts, or an error: nobody is served by one that cannot count."""
    armored = signer.sign(text.encode())
    checked = engine.verify(text.encode(), parse_signature(armored), signer.public_key())
    if checked.outcome is not Outcome.GOOD:
        raise EngineError(f"the signature that gpg made does not verify: {checked.reason or checked.outcome.value}")
    record(text, signer, ledger)
    return armored


def record(text: str, signer: Signer, path: Optional[str]) -> None:
    """Note a signed statement in the ledger, before its signature gets anywhere."""
    entry = ledger.entry_for(parse(text), text, signer.public_key().fingerprint, int(time.time()))
    ledger.append(default_ledger() if path is None else path, entry)


def _is_good(armored: str, text: str, signer: Signer, engine: Engine) -> bool:
    try:
        signature = parse_signature(armored)
    except SignatureFormatError:
        return False
    key = signer.public_key()
    return key.could_have_issued(signature) and engine.verify(text.encode(), signature, key).outcome is Outcome.GOOD
