# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf 4's side of the gate: what the transaction holds, where bundles come from, what rpm is told to open.

Facts about dnf that this leans on (dnf 4.14, libdnf 0.69): hooks ``resolved`` and ``pre_transaction`` of dnf.Plugin;
``base.transaction.install_set``; ``libdnf.repo.PackageTarget`` with a byte range, which downloads through the
repository's own librepo handle; rpm opens ``pkg.localPkg()`` again after ``pre_transaction``.
"""

from __future__ import annotations

from multisig.dnf4.hooks import Hooks

__all__ = ["Hooks"]
