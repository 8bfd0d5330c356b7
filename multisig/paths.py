# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things lie unless somebody says otherwise."""

POLICY = "/etc/multisig/policy.yaml"
JOURNAL = "/var/lib/multisig/journal.sqlite"
CONFIG = "/etc/dnf/plugins"  # the folder of multisig.conf
APPROVALS = "/run/multisig"  # see approvals.py
