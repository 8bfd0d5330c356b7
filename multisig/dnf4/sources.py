# SPDX-License-Identifier: GPL-2.0-or-later
"""Where evidence comes from under dnf, one kind of place after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

import dnf

from multisig.dnf4.downloads import Bundles
from multisig.dnf4.fetch import Fetcher, index_path
from multisig.gate import Package
from multisig.held import Find, Look
from multisig.searching import Indexes, Searches, join_all

if TYPE_CHECKING:
    from multisig.places import Places


class Sources:
    """The gate's EvidenceSource.

    ``urls`` maps a downloaded file's path to the URL it was named by; ``places`` are those of [bundles], by repository.
    """

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str], places: Mapping[str, Sequence[str]]) -> None:
        self._urls = urls
        self._searches = Searches()
        self._indexes = Indexes(self._searches, lambda repo: index_path(base.repos[repo]))
        self._places = _open_places(base, places, self._searches) if places else None
        self._bundles = Bundles(base, urls)

    def add(self, package: Package, handle: "dnf.package.Package") -> None:
        """To be told of every package before it is asked about."""
        self._searches.add(package)
        self._bundles.add(package, handle)
        path = handle.localPkg()
        if self._places is not None:
            self._places.add(package, self._urls.get(path, path) if handle._from_cmdline else handle.location)

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if look is Look.INDEX:
            own = self._indexes.fetch(packages)
            return own if self._places is None else join_all(own, self._places.indexes(packages))
        if look is Look.PLACES:
            return {} if self._places is None else self._places.bundles(packages)
        if look is Look.MIRRORS:
            return self._bundles.ask_mirrors(packages)
        return self._bundles.fetch(packages, fresh=look is Look.AFRESH)


def _open_places(base: "dnf.Base", places: Mapping[str, Sequence[str]], searches: Searches) -> Places:
    """Imported where there are any."""
    from multisig.places import Places

    return Places(Fetcher(base), base.conf.cachedir, places, searches)
