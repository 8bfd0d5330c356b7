# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures that several test modules share."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.conftest import STRICT
from tests.unit.cli_bench import Bench, lay_out, make
from tests.unit.openpgp_keys import Home, People

# A machine with other work to do is no reason to fail, nor is an unlucky draw of large examples. What function-scoped
# fixtures give here is not changed by a test.
UNHEEDED = (
    HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture
)  # fmt: skip
# In continuous integration the examples are the same each time: a change is not to fail for what another one did. New
# ones are drawn wherever else the tests run, and without end by ``make fuzz``.
settings.register_profile("multisig", deadline=None, derandomize=STRICT, suppress_health_check=UNHEEDED)
settings.load_profile("multisig")


@pytest.fixture(scope="session", autouse=True)
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where sign notes what was signed: not in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("data")
        monkeypatch.setenv("XDG_DATA_HOME", str(folder))
        yield folder / "multisig" / "ledger.jsonl"


@pytest.fixture(scope="session")
def people() -> Iterator[People]:
    """Keys by real gpg, each made when a test first asks for it."""
    home = Home()
    try:
        yield People(home)
    finally:
        home.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, people: People) -> Path:
    """What the command line's tests start from; nobody changes it."""
    return make(tmp_path_factory.mktemp("cli"), people)


@pytest.fixture
def bench(made: Path, tmp_path: Path, people: People) -> Bench:
    """A copy of it for one test."""
    return lay_out(made, tmp_path, people)
