# SPDX-License-Identifier: GPL-2.0-or-later
"""Two engines that have to agree: a signature on which they differ does not count."""

from __future__ import annotations

from multisig.openpgp.model import Checked, Engine, Outcome, PublicKey, Signature


class BothEngine:
    """An Engine (see model.py) whose word is that of two. It counts a signature only if both find the same of it."""

    name = "both"

    def __init__(self, first: Engine, second: Engine) -> None:
        self._engines = (first, second)

    def close(self) -> None:
        """Close both."""
        for engine in self._engines:
            engine.close()

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        """What both found; BAD, with what each said, where they differ. Errors of either are raised."""
        first, second = (engine.verify(data, signature, key) for engine in self._engines)
        if _counting(first) == _counting(second):
            return first
        said = "; ".join(
            f"{engine.name}: {found.reason or found.outcome.value}"
            for engine, found in zip(self._engines, (first, second))
        )
        return Checked(Outcome.BAD, f"the two OpenPGP engines differ, so it does not count ({said})")


def _counting(found: Checked) -> object:
    """All that a decision could rest on; reasons may differ, and so may the ways of not counting."""
    if found.outcome in (Outcome.GOOD, Outcome.EXPIRED_KEY):
        return found.outcome, found.primary, found.issuer, found.created
    return None
