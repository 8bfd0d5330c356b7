# SPDX-License-Identifier: GPL-2.0-or-later
"""Gathers the evidence for RPM files from folders that nobody vouches for: what dnf has kept, or another machine sent.

Of what lies there only regular files are opened: indexes, and bundles by the name of one of the RPMs; links are not
followed. What an RPM carries in itself is gathered too. What comes out is named by the RPMs, and is written anew from
what was parsed: nothing of those folders is passed on as it is.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from multisig.bundle import MAX_BUNDLE, SUFFIX, Attestation, Bundle, encode, united
from multisig.errors import BundleError, MultisigError, StatementError, UnreadableError
from multisig.files import open_regular, read_bounded, walk
from multisig.index import RECORD, search
from multisig.merging import Dropped, Fitted, Graded, fit, sound_parts
from multisig.metadata import MAX_REPOMD, REPOMD, check_file, record_of
from multisig.statement import Kind, Statement, parse
from multisig.subjects.embedded import read_embedded
from multisig.subjects.rpm import read_rpm
from multisig.unpack import unpacked

MAX_FILES = 64
"""So many bundles of one RPM, and so many indexes, are read."""

# Beside an RPM, or as dnf's plugin keeps it: after the checksum that the repository's metadata give for the RPM.
_BUNDLE = re.compile(
    r"(?:(?:mirror[0-9]-)?sha[0-9]*-[0-9a-f]{40,128}-)?([^/]+\.rpm)" + re.escape(SUFFIX) + r"\Z", re.DOTALL
)
# As dnf's plugin keeps those of sites.
_INDEX = re.compile(r"[0-9a-f]{40,128}\.index\Z")


@dataclass(frozen=True)
class Gathered:
    """What there was for one RPM: its path, its NEVRA, and the bundle, the shortest statements first."""

    path: str
    name: str
    found: Fitted


class Gatherer:
    """``folders`` are searched with all that is below them; ``dropped`` tells what of it was of no use."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._bundles: Dict[str, List[str]] = {}
        self._indexes: List[str] = []
        self._statements: Dict[str, Optional[Statement]] = {}
        self.dropped: List[Dropped] = []
        for folder in folders:
            self._scan(folder)

    def gather(self, rpms: Sequence[str]) -> List[Gathered]:
        """The evidence for each RPM, in their order. Raises UnreadableError or MalformedRpmError of the RPMs alone."""
        read = {path: _read(path) for path in dict.fromkeys(rpms)}
        indexed = self._indexed({name for name, _ in read.values()})
        gathered = []
        for path, (name, embedded) in read.items():
            parts = [] if embedded is None else [self._parts(embedded, path)]
            parts += self._beside(os.path.basename(path))
            attestations = [item for part in parts for item in part.attestations] + indexed.get(name, [])
            gathered.append(Gathered(path, name, self._fitted(name, attestations)))
        return gathered

    def _scan(self, folder: str) -> None:
        for inside, names in walk(folder, hidden=True):
            for name in names:
                path = os.path.join(inside, name)
                bundle = _BUNDLE.match(name)
                if not _is_file(path):
                    continue
                if bundle is not None:
                    self._bundles.setdefault(bundle[1], []).append(path)
                elif _INDEX.match(name) or path.endswith("/" + REPOMD):
                    self._indexes.append(path)

    def _fitted(self, name: str, attestations: Sequence[Attestation]) -> Fitted:
        """The union of what names the package; of more than a bundle may hold, the shortest statements."""
        graded = []
        for text, signatures in united(attestations).items():
            statement = self._statement(text)
            if statement is not None and signatures and any(line.name == name for line in statement.subjects):
                graded.append(Graded(text, statement, (), signatures))
        return fit(graded)

    def _parts(self, data: bytes, source: str) -> Bundle:
        found, dropped = sound_parts(data, source)
        self.dropped += dropped
        return found

    def _beside(self, file: str) -> Iterator[Bundle]:
        paths = self._bundles.get(file, [])
        for path in paths[:MAX_FILES]:
            try:
                yield self._parts(read_bounded(path, MAX_BUNDLE), path)
            except UnreadableError as error:
                self.dropped.append(Dropped(path, "", error.message))
        self.dropped += [Dropped(path, "", f"more than {MAX_FILES} bundles of {file}") for path in paths[MAX_FILES:]]

    def _indexed(self, names: Set[str]) -> Dict[str, List[Attestation]]:
        found: Dict[str, List[Attestation]] = {}
        for path in self._indexes[:MAX_FILES]:
            try:
                index = path if _INDEX.match(os.path.basename(path)) else _index_of(path)
                attestations = search(unpacked(index), names).attestations if index is not None else {}
            except MultisigError as error:
                self.dropped.append(Dropped(path, "the index", error.message))
                continue
            for name, items in attestations.items():
                found.setdefault(name, []).extend(part for item in items for part in self._sound(item, path))
        return found

    def _sound(self, attestation: Attestation, path: str) -> Tuple[Attestation, ...]:
        try:
            return self._parts(encode(Bundle((attestation,))), path).attestations
        except BundleError as error:
            self.dropped.append(Dropped(path, "the index", error.message))
            return ()

    def _statement(self, text: str) -> Optional[Statement]:
        if text not in self._statements:
            self._statements[text] = _parsed(text)
        return self._statements[text]


def report(gathered: Sequence[Gathered], say: Callable[[str], None]) -> None:
    """Tell of the RPMs that there is nothing for, or of which a bundle cannot hold all that there is."""
    for item in gathered:
        if not item.found.bundle.attestations:
            say(f"{item.path}: no evidence for {item.name}")
        if item.found.statements_left_out or item.found.signatures_left_out:
            left_out = f"{item.found.statements_left_out} statements, {item.found.signatures_left_out} signatures"
            say(f"{item.path}: a bundle has no room for all of the evidence for it; left out: {left_out}")


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _read(path: str) -> Tuple[str, Optional[bytes]]:
    """An RPM's NEVRA, and the bundle that it carries."""
    fd = open_regular(path)
    try:
        return read_rpm(fd).name, read_embedded(fd)
    except MultisigError as error:
        raise error.at(path) from None
    finally:
        os.close(fd)


def _index_of(repomd: str) -> Optional[str]:
    """The index that a repomd.xml names, held against its checksum; None where it names none."""
    folder = os.path.dirname(os.path.dirname(repomd))
    record = record_of(read_bounded(repomd, MAX_REPOMD), RECORD)
    if record is None:
        return None
    check_file(folder, record)
    return os.path.join(folder, record.location)


def _parsed(text: str) -> Optional[Statement]:
    """The statement, if it is one about RPMs."""
    try:
        statement = parse(text)
    except StatementError:
        return None
    return statement if statement.kind is Kind.RPM else None
