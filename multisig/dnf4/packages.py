# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf's packages as the gate knows them."""

from __future__ import annotations

import dnf

from multisig.gate import Package


def package_of(key: int, handle: "dnf.package.Package") -> Package:
    """The gate's package for dnf's; ``key`` is the front end's own."""
    nevra = f"{handle.name}-{handle.epoch or 0}:{handle.version}-{handle.release}.{handle.arch}"
    obsoletes = tuple(str(relation).split(" ")[0] for relation in handle.obsoletes)
    return Package(key, nevra, handle.name, handle.reponame, obsoletes)
