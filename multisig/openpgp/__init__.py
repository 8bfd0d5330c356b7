# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenPGP: strict reading of signatures and keys, engines that verify them, and signing.

What starts other programs is imported when it is first asked for: reading a policy needs no subprocess, and only
signing needs python-gnupg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multisig.openpgp.armor import MAX_ARMORED_SIGNATURE, armor, dearmor
from multisig.openpgp.keys import KeyRequirements, key_problem, parse_public_key
from multisig.openpgp.model import Checked, Engine, Grouping, Outcome, PublicKey, Signature, Subkey
from multisig.openpgp.packets import parse_signature, parse_signature_packet

if TYPE_CHECKING:
    from multisig.openpgp.engines import open_engine
    from multisig.openpgp.gpgv import GpgvEngine
    from multisig.openpgp.signing import Signer

__all__ = [
    "MAX_ARMORED_SIGNATURE",
    "Checked",
    "Engine",
    "GpgvEngine",
    "Grouping",
    "KeyRequirements",
    "Outcome",
    "PublicKey",
    "Signature",
    "Signer",
    "Subkey",
    "armor",
    "dearmor",
    "key_problem",
    "open_engine",
    "parse_public_key",
    "parse_signature",
    "parse_signature_packet",
]


def __getattr__(name: str) -> object:
    """Import what is costly (PEP 562)."""
    if name == "GpgvEngine":
        from multisig.openpgp.gpgv import GpgvEngine

        return GpgvEngine
    if name == "open_engine":
        from multisig.openpgp.engines import open_engine

        return open_engine
    if name == "Signer":
        from multisig.openpgp.signing import Signer

        return Signer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
