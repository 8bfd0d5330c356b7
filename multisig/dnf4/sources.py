# SPDX-License-Identifier: GPL-2.0-or-later
"""Where evidence comes from under dnf, one kind of place after the other."""

from __future__ import annotations

from typing import Mapping, Sequence

import dnf

from multisig.dnf4.downloads import Bundles
from multisig.dnf4.indexes import Indexes
from multisig.gate import Package
from multisig.held import Find, Look


class Sources:
    """The gate's EvidenceSource. ``urls`` maps a downloaded file's path to the URL it was named by."""

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str]) -> None:
        self._bundles = Bundles(base, urls)
        self._indexes = Indexes()

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        """To be told of every package before it is asked about."""
        self._bundles.add(package, handle)
        self._indexes.add(package, handle)

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if look is Look.INDEX:
            return self._indexes.fetch(packages)
        if look is Look.PLACES:
            return {}
        return self._bundles.fetch(packages, fresh=look is Look.AFRESH)
