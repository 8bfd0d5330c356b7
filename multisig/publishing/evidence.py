# SPDX-License-Identifier: GPL-2.0-or-later
"""Who signed what, of all that was uploaded and all that is published already: each signature verified once."""

from __future__ import annotations

import hashlib
from typing import Callable, Dict, Iterable, List, Sequence, Set, Tuple

from multisig.bundle import Bundle
from multisig.merging import Dropped, Fitted, Graded, Grader, Pool, fit, sound_parts
from multisig.openpgp import Checked, Engine, PublicKey, Signature
from multisig.statement import Digests, Kind, Statement, parse

LONG = 64 << 10
"""Bytes of a statement that is too long to be repeated beside each package that it names."""

SPARE = 16 << 10
"""Bytes, a package, of what is kept of signatures that are nobody's under the policy."""


class Evidence:
    """Collects bundles, grades them, and tells of one package what is worth keeping.

    ``wanted`` says of a package's full name whether it is one that is, or may come to be, in the repository.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._pool = Pool()
        self._names: Set[str] = set()
        self._by_name: Dict[str, List[Tuple[Graded, Digests]]] = {}
        self.dropped: List[Dropped] = []

    @property
    def names(self) -> Set[str]:
        """The wanted names that statements are about."""
        return self._names

    def add(self, data: bytes, source: str) -> None:
        """Take in what concerns wanted packages of a bundle file's bytes."""
        found, dropped = sound_parts(data, source)
        self.dropped += dropped
        kept = []
        for item in found.attestations:
            names = [name for name in _names(parse(item.statement)) if self._wanted(name)]
            self._names.update(names)
            if names:
                kept.append(item)
        self._pool.add(Bundle(tuple(kept)), source)

    def grade(self, grader: Grader) -> None:
        """Verify the signatures; what ``add`` was given after that is not looked at."""
        for item in grader.grade(self._pool):
            for line in item.statement.subjects:
                if line.name in self._names:
                    self._by_name.setdefault(line.name, []).append((item, line.digests))
        self.dropped += grader.dropped

    def approving(self, name: str, digests: Digests) -> List[Graded]:
        """The statements that name this content."""
        return [item for item, found in self._by_name.get(name, []) if found == digests]

    def signers(self, name: str, digests: Digests) -> Tuple[str, ...]:
        """Whose words on this content count, for whatever channel; sorted."""
        return tuple(sorted({word.approval.signer for item in self.approving(name, digests) for word in item.words}))

    def dissenting(self, name: str, digests: Digests) -> Dict[str, Digests]:
        """Who signed another content of that name and not this one, and which."""
        signed = self.signers(name, digests)
        return {
            word.approval.signer: found
            for item, found in self._by_name.get(name, [])
            if found != digests
            for word in item.words
            if word.approval.signer not in signed
        }

    def bundle(self, name: str, digests: Digests) -> Fitted:
        """What is to lie beside the package: who signed this content, then who signed another one under this name, then
        what is nobody's. Batches are left out."""
        chosen = []
        for item, found in self._by_name.get(name, []):
            if len(item.text) > LONG:
                continue
            if found == digests:
                chosen.append(item)
            elif item.words:
                chosen.append(Graded(item.text, item.statement, item.words, ()))
        same = {item.text for item in self.approving(name, digests)}
        return fit(chosen, rank=lambda item: int(item.text not in same), spare=SPARE)

    def batches(self, names: Iterable[str]) -> List[Graded]:
        """The long statements about any of these packages that some signer stands by."""
        found = {item.text: item for name in names for item, _ in self._by_name.get(name, []) if len(item.text) > LONG}
        return [item for _, item in sorted(found.items()) if item.words]


def batch_bundle(item: Graded) -> Bundle:
    """The bundle that a batch is kept in, alone."""
    return fit([item], spare=SPARE).bundle


def _names(statement: Statement) -> Sequence[str]:
    return [line.name for line in statement.subjects] if statement.kind is Kind.RPM else []


class Remembering:
    """An engine that is not asked twice about the same signature, statement and key."""

    name = "remembering"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._found: Dict[Tuple[bytes, bytes, str], Checked] = {}

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        """See openpgp.Engine."""
        asked = (hashlib.sha256(data).digest(), hashlib.sha256(signature.packet).digest(), key.fingerprint)
        if asked not in self._found:
            self._found[asked] = self._engine.verify(data, signature, key)
        return self._found[asked]

    def close(self) -> None:
        """The engine is its owner's to close."""
