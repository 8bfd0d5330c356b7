# SPDX-License-Identifier: GPL-2.0-or-later
"""Which engine verifies signatures: the one place where a setting becomes an engine."""

from __future__ import annotations

from multisig.errors import EngineError
from multisig.openpgp.gpgv import GpgvEngine
from multisig.openpgp.model import Engine

AUTO, GPGV = "auto", "gpgv"
CHOICES = (AUTO, GPGV)


def open_engine(choice: str = AUTO) -> Engine:
    """The engine that ``openpgp`` in multisig.conf names; the caller closes it. Raises EngineError for any other."""
    if choice in (AUTO, GPGV):
        return GpgvEngine()
    raise EngineError("there is no such OpenPGP engine", expected="one of " + ", ".join(CHOICES), got=ascii(choice))
