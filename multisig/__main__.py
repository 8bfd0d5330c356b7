# SPDX-License-Identifier: GPL-2.0-or-later
"""``python3 -m multisig``: the command line, from a checkout too."""

import sys

from multisig.cli import main

if __name__ == "__main__":
    sys.exit(main())
