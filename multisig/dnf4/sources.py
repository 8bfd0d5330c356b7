# SPDX-License-Identifier: GPL-2.0-or-later
"""Where evidence comes from under dnf, one kind of place after the other."""

from __future__ import annotations

from typing import Mapping, Sequence

import dnf

from multisig.dnf4.downloads import Bundles
from multisig.dnf4.indexes import Indexes, Searches
from multisig.dnf4.places import Places
from multisig.gate import Package
from multisig.held import Find, Look, join


class Sources:
    """The gate's EvidenceSource.

    ``urls`` maps a downloaded file's path to the URL it was named by; ``places`` are those of [bundles], by repository.
    """

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str], places: Mapping[str, Sequence[str]]) -> None:
        self._urls = urls
        self._searches = Searches()
        self._indexes = Indexes(self._searches)
        self._places = Places(base, places, self._searches)
        self._bundles = Bundles(base, urls)

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        """To be told of every package before it is asked about."""
        self._searches.add(package)
        self._indexes.add(package, handle)
        self._bundles.add(package, handle)
        path = handle.localPkg()
        self._places.add(package, self._urls.get(path, path) if handle._from_cmdline else handle.location)

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if look is Look.INDEX:
            own, others = self._indexes.fetch(packages), self._places.indexes(packages)
            return {key: join(own.get(key, Find()), others.get(key, Find())) for key in {**own, **others}}
        if look is Look.PLACES:
            return self._places.bundles(packages)
        if look is Look.MIRRORS:
            return self._bundles.ask_mirrors(packages)
        return self._bundles.fetch(packages, fresh=look is Look.AFRESH)
