# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf 5's side of the gate: a program that libdnf5's actions plugin runs at its hooks, and talks JSON with.

Facts that this leans on (dnf 5.4, actions plugin 1.4, libdnf5-actions(8)): with ``mode=json`` requests go to standard
output and replies come from standard input, one object a line; with ``raise_error=1`` the request ``error``, or an exit
code other than 0, ends the transaction, and dnf5 exits with 1; packages are kept in CACHEDIR/REPO-HASH/packages.
"""
