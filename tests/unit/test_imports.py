# SPDX-License-Identifier: GPL-2.0-or-later
"""What is imported where: the command line has to work where there is no librpm, no dnf and no rich."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from typing import List

import pytest

from fixtures.running import CHECKOUT
from multisig import cli

COMMANDS = sorted(module.name for module in pkgutil.iter_modules(cli.__path__))
_WITHOUT = """
import importlib, sys
sys.path.insert(0, {checkout!r})
for name in ("rpm", "dnf", "libdnf", "libdnf5", "hawkey", "rich", "jinja2", "gnupg", "yaml", "jsonschema", "pysequoia"):
    sys.modules[name] = None  # import raises ModuleNotFoundError
for name in {names!r}:
    importlib.import_module("multisig.cli." + name)
"""


def loads_alone(names: List[str]) -> "subprocess.CompletedProcess[bytes]":
    script = _WITHOUT.format(checkout=str(CHECKOUT), names=names)
    return subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, timeout=60, check=False)


def test_every_commands_module_loads_where_nothing_but_python_is_installed() -> None:
    assert len(COMMANDS) > 20
    done = loads_alone(COMMANDS)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("name", ["verify", "status", "audit"])
def test_commands_have_what_the_parser_needs_of_them(name: str) -> None:
    assert callable(importlib.import_module(f"multisig.cli.{name}").run)
