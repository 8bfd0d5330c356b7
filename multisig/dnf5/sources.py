# SPDX-License-Identifier: GPL-2.0-or-later
"""Where evidence comes from under dnf5, one kind of place after the other."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Dict, Mapping, Optional, Sequence

from multisig.dnf5.downloads import Bundles, published_name
from multisig.dnf5.remotes import Remotes
from multisig.dnf5.talk import Incoming
from multisig.errors import MetadataError
from multisig.fetching import CACHE
from multisig.gate import Package
from multisig.held import Find, Look
from multisig.index import RECORD
from multisig.metadata import check_file, read_metadata, record_of
from multisig.places import Places
from multisig.searching import Indexes, Searches, join_all, kept_index

_NO_PLACES: Mapping[str, Sequence[str]] = MappingProxyType({})


class Sources:
    """The gate's EvidenceSource.

    ``cache`` is dnf5's cachedir; ``places`` are those of [bundles], by repository. ``urls`` and ``storing`` are as for
    downloads.Bundles.
    """

    def __init__(
        self,
        remotes: Remotes,
        cache: str,
        places: Mapping[str, Sequence[str]] = _NO_PLACES,
        urls: Sequence[str] = (),
        *,
        storing: bool = False,
    ) -> None:
        searches = Searches()
        self._searches = searches
        self._indexes = Indexes(searches, lambda repo: repository_index(remotes, repo))
        self._places = Places(remotes, cache, places, searches)
        self._bundles = Bundles(remotes, cache, urls, storing=storing)
        self._packages: Dict[int, Package] = {}

    def package(self, incoming: Incoming) -> Package:
        """The gate's package for dnf5's, which this knows from now on."""
        package = Package(len(self._packages), incoming.nevra, incoming.name, incoming.repo)
        self._packages[package.key] = package
        self._searches.add(package)
        urls = self._bundles.add(package, incoming)
        self._places.add(package, published_name(urls[0]) if urls else os.path.basename(incoming.location))
        return package

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        if look is Look.INDEX:
            return join_all(self._indexes.fetch(packages), self._places.indexes(packages))
        if look is Look.PLACES:
            return self._places.bundles(packages)
        if look is Look.MIRRORS:
            return self._bundles.ask_mirrors(packages)
        return self._bundles.fetch(packages, fresh=look is Look.AFRESH)


def repository_index(remotes: Remotes, repo: str) -> Optional[str]:
    """The path of the index that belongs to the metadata in use; None where there is none. Raises MultisigError.

    dnf5 downloads what it knows. Where it was told to know ``multisig`` (optional_metadata_types), its own copy is
    taken; else the index is fetched, held against the checksum in repomd.xml, and kept.
    """
    metadata = read_metadata(remotes.folder(repo), repo)
    record = record_of(metadata.repomd, RECORD)
    if record is None:
        return None
    own = os.path.join(metadata.folder, record.location)
    if os.path.lexists(own):
        try:
            check_file(metadata.folder, record)
            return own
        except MetadataError:
            pass  # it is not this one
    return kept_index(remotes, repo, (None, *remotes.mirrors(repo)), record, os.path.join(metadata.folder, CACHE))
