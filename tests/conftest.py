# SPDX-License-Identifier: GPL-2.0-or-later
"""A test that is skipped in continuous integration (CI=true) is a failure: it shows nothing, and looks as if it did."""

from __future__ import annotations

import os
import sys
from typing import Union

import pytest
from _pytest.terminal import TerminalReporter

from fixtures.running import SEQUOIA

sys.path.append(str(SEQUOIA))

STRICT = os.environ.get("CI", "") == "true"
skipped: list[str] = []


def _note(report: Union[pytest.TestReport, pytest.CollectReport]) -> None:
    # An expected failure (xfail) is reported as skipped too, and is none.
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        skipped.append(report.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    if skipped:
        terminalreporter.section("skipped, which is a failure where CI=true", red=True)
        for name in skipped:
            terminalreporter.line(name)
