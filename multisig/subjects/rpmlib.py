# SPDX-License-Identifier: GPL-2.0-or-later
"""librpm's Python module, imported when something first needs it: files and trees are judged where there is none."""

from __future__ import annotations

import importlib
from typing import Any

from multisig.errors import UnreadableError


def librpm() -> Any:
    """The module ``rpm``; UnreadableError where it is not installed."""
    try:
        return importlib.import_module("rpm")
    except ModuleNotFoundError:
        why = "is not installed"
    except ImportError as error:
        why = f"cannot be loaded: {error}"
    raise UnreadableError(
        f"RPMs are read with librpm, whose Python module {why}; apt install python3-rpm, or dnf install python3-rpm"
    )
