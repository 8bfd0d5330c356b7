# SPDX-License-Identifier: GPL-2.0-or-later
"""librpm's side of the gate: the checker, which rpm-plugin/multisig.c starts and asks before each transaction."""
