# SPDX-License-Identifier: GPL-2.0-or-later
"""Which engine verifies signatures: the one place where a setting becomes an engine."""

from __future__ import annotations

import time
from typing import Callable

from multisig.errors import EngineError
from multisig.openpgp.model import Engine

AUTO, GPGV, SEQUOIA, BOTH = "auto", "gpgv", "sequoia", "both"
CHOICES = (AUTO, GPGV, SEQUOIA, BOTH)


def open_engine(choice: str = AUTO, *, clock: Callable[[], float] = time.time) -> Engine:
    """The engine that ``openpgp`` in multisig.conf names; the caller closes it.

    auto: Sequoia where pysequoia is installed and passes its self-test, else gpgv. sequoia: Sequoia, with gpgv for what
    Sequoia cannot answer (sequoia.py). both: gpgv and Sequoia have to agree. ``clock`` gives the time, in seconds since
    the epoch, by which signatures are dated in the future or have expired. Raises EngineError for any other choice, and
    for sequoia and both where there is no pysequoia.
    """
    if choice not in CHOICES:
        raise EngineError("there is no such OpenPGP engine", expected="one of " + ", ".join(CHOICES), got=ascii(choice))
    from multisig.openpgp.gpgv import GpgvEngine

    if choice == GPGV:
        return GpgvEngine(clock=clock)
    from multisig.openpgp.sequoia import SequoiaEngine

    if choice == BOTH:
        from multisig.openpgp.both import BothEngine

        return BothEngine(GpgvEngine(clock=clock), SequoiaEngine(clock=clock))
    try:
        return SequoiaEngine(GpgvEngine(clock=clock), clock=clock)
    except EngineError:
        if choice == SEQUOIA:
            raise
    return GpgvEngine(clock=clock)
