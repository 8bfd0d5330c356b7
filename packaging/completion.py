# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints the completion of ``multisig`` for a shell, made by shtab from the command line's own parser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

import shtab


def main(words: Sequence[str]) -> int:
    # Run from a checkout as a program, Python looks for modules beside it only.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from multisig.cli import build_parser

    if len(words) != 1 or words[0] not in ("bash", "zsh"):
        raise SystemExit("usage: completion.py bash|zsh")
    print(shtab.complete(build_parser(), shell=words[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
