# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures that several test modules share."""

from __future__ import annotations

from typing import Iterator

import pytest
from hypothesis import settings

from tests.unit.openpgp_keys import Home, People

# A machine with other work to do is no reason to fail.
settings.register_profile("multisig", deadline=None)
settings.load_profile("multisig")


@pytest.fixture(scope="session")
def people() -> Iterator[People]:
    """Keys by real gpg, each made when a test first asks for it."""
    home = Home()
    try:
        yield People(home)
    finally:
        home.close()
