# SPDX-License-Identifier: GPL-2.0-or-later
"""What the index of a repository says of the packages that lie in it, looked up once for all that are asked about."""

from __future__ import annotations

import os
from typing import Dict, Iterator, Mapping, Optional, Sequence, Tuple

from multisig.cli.repository import repository_above
from multisig.errors import MultisigError
from multisig.files import open_regular
from multisig.held import Find
from multisig.index import RECORD, Found, search
from multisig.metadata import read_metadata, record_of
from multisig.unpack import unpacked


class Indexes:
    """The indexes of the repositories that ``paths`` lie in; each is read when a package of it is first asked about."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._found: Dict[str, Tuple[Found, Mapping[str, str]]] = {}

    def find(self, path: str) -> Find:
        """What is said of the RPM at ``path``. An index that cannot be read is a note: it takes nothing away."""
        top = repository_above(path)
        if top is None:
            return Find()
        try:
            if top not in self._found:
                self._found[top] = self._read(top)
        except MultisigError as error:
            self._found[top] = (Found({}, (f"the index: {error.message}",)), {})
        found, names = self._found[top]
        return Find(attestations=found.attestations.get(names.get(path, ""), ()), notes=found.ignored)

    def _read(self, top: str) -> Tuple[Found, Mapping[str, str]]:
        index = _index(top)
        if index is None:
            return Found({}), {}
        names = dict(self._names(top))
        return search(unpacked(index), set(names.values())), names

    def _names(self, top: str) -> Iterator[Tuple[str, str]]:
        """The full names of the packages asked about that lie in a repository, by path."""
        from multisig.subjects.rpm import read_rpm

        for path in self._paths:
            if not os.path.isfile(path) or repository_above(path) != top:
                continue
            try:
                fd = open_regular(path)
                try:
                    yield path, read_rpm(fd).name
                finally:
                    os.close(fd)
            except MultisigError:
                continue  # what is wrong with it is said when it is judged


def _index(top: str) -> Optional[str]:
    """Where the index of a repository lies; None where it has none."""
    record = record_of(read_metadata(top, top).repomd, RECORD)
    return None if record is None else os.path.join(top, record.location)
