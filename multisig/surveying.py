# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a repository for ``multisig.survey``: every header, every signature that could count, each verified once.

Payloads are not looked at: who signed what is asked here, and that the bytes are those is ``multisig verify``'s to say.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Collection, Dict, Iterator, List, Optional, Sequence, Tuple

from multisig.bundle import MAX_BUNDLE, SUFFIX, Attestation, Bundle, encode
from multisig.errors import BundleError, MalformedRpmError, MultisigError, UnreadableError
from multisig.evidence import Evidence as Found
from multisig.files import open_regular, read_bounded, walk
from multisig.index import RECORD, search
from multisig.index import Found as Indexed
from multisig.merging import Grader
from multisig.metadata import REPOMD, check_file, read_metadata, record_of
from multisig.openpgp import Checked, Engine, PublicKey, Signature
from multisig.policy import Policy, Rule
from multisig.policy.publishing import publishing_policy
from multisig.publishing.evidence import Evidence
from multisig.publishing.repository import BATCHES
from multisig.statement import Digests
from multisig.subjects import Progress
from multisig.subjects.embedded import read_embedded
from multisig.subjects.rpm import RpmSubject, read_rpm
from multisig.subjects.signatures import HeaderSignatures, read_header_signatures, signed_bytes
from multisig.survey import Content, Row, make_row
from multisig.traits import FILE_SIGNATURES, file_signatures_allowed, package_rules
from multisig.unpack import unpacked
from multisig.vendor import UNSEEN, HeaderEvidence, header_evidence
from multisig.verdict import Code, Verdict, judge, refuse


@dataclass(frozen=True)
class _Read:
    """A package file, by its path from the repository's top: what it holds, or why that cannot be told."""

    file: str
    subject: Optional[RpmSubject]
    signatures: Optional[HeaderSignatures]
    problem: Optional[Verdict]
    beside: bool
    embedded: Optional[bytes] = None

    @property
    def has_bundle(self) -> bool:
        """Beside it or in it."""
        return self.beside or self.embedded is not None


class _Told:
    """An engine that tells of each signature it has tried."""

    def __init__(self, engine: Engine, progress: Progress) -> None:
        self.name = engine.name
        self._engine = engine
        self._progress = progress

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        """See openpgp.Engine."""
        try:
            return self._engine.verify(data, signature, key)
        finally:
            self._progress(1)

    def close(self) -> None:
        """The engine is its owner's to close."""


class Surveyor:
    """Surveys the packages below ``folder`` under the rules for the repository ``repo``; under every rule that asks for
    signatures where that is None. ``now`` in seconds since the epoch; ``pool`` verifies signatures."""

    def __init__(
        self, folder: str, repo: Optional[str], policy: Policy, engine: Engine, pool: Executor, *, now: int
    ) -> None:
        self._folder = folder
        self._repo = repo or folder
        # Whether the repository is released is asked once, not of each package.
        self._policy = publishing_policy(policy, repo)
        self._engine = engine
        self._pool = pool
        self._now = now
        self._packages: List[_Read] = []
        self.notes: List[str] = []

    def read(self, progress: Optional[Progress] = None) -> None:
        """Read every package's header; ``progress`` is told of each. Raises UnreadableError for the folder's sake."""
        for file in self.files():
            self._packages.append(self._read(file))
            if progress is not None:
                progress(1)

    def rows(self, progress: Optional[Progress] = None) -> Tuple[Row, ...]:
        """A row for each package file that has been read, sorted by name. ``progress`` is told, from whatever thread,
        of each signature that has been tried. Bundles that cannot be read are noted.
        """
        engine = self._engine if progress is None else _Told(self._engine, progress)
        evidence = self._evidence(self._packages, engine)
        rows = [self._row(package, evidence) for package in self._packages]
        return tuple(sorted(rows, key=lambda row: (row.verdict.name, row.file)))

    def files(self) -> List[str]:
        """Every *.rpm below the folder, by its path from there, sorted; folders that begin with a dot left out."""
        return sorted(
            os.path.relpath(os.path.join(inside, name), self._folder)
            for inside, names in walk(self._folder)
            for name in names
            if name.endswith(".rpm") and not name.startswith(".")
        )

    def _read(self, file: str) -> _Read:
        path = os.path.join(self._folder, file)
        beside = os.path.lexists(path + SUFFIX)
        try:
            fd = open_regular(path)
            try:
                return _Read(file, read_rpm(fd), read_header_signatures(fd), None, beside, self._embedded(fd, file))
            finally:
                os.close(fd)
        except (MalformedRpmError, UnreadableError) as error:
            return _Read(file, None, None, refuse(file, self._repo, Code(error.code), error.message), beside)

    def _embedded(self, fd: int, file: str) -> Optional[bytes]:
        try:
            return read_embedded(fd)
        except MalformedRpmError as error:
            self.notes.append(f"{file}: {error.message}")
            return None

    # Evidence

    def _evidence(self, packages: Sequence[_Read], engine: Engine) -> Evidence:
        names = {package.subject.name for package in packages if package.subject is not None}
        evidence = Evidence(lambda name: name in names)
        for package in packages:
            if package.embedded is not None:
                evidence.add(package.embedded, f"{package.file} (embedded)")
        beside = [package.file + SUFFIX for package in packages if package.beside]
        for path in [*beside, *self._batches()]:
            try:
                evidence.add(read_bounded(os.path.join(self._folder, path), MAX_BUNDLE), path)
            except UnreadableError as error:
                self.notes.append(f"{path}: {error.message}")
        for attestation in self._indexed(names):
            try:
                evidence.add(encode(Bundle((attestation,))), "the index")
            except BundleError as error:
                self.notes.append(f"the index: {error.message}")
        evidence.grade(Grader(self._policy, engine, self._pool, now=self._now))
        self.notes += [str(dropped) for dropped in evidence.dropped]
        return evidence

    def _indexed(self, names: Collection[str]) -> List[Attestation]:
        """What the index in the repository's metadata says of these packages, if there is one that can be read."""
        try:
            path = self._index()
            found = search(unpacked(path), names) if path is not None else Indexed({})
        except MultisigError as error:
            self.notes.append(f"the index: {error.message}")
            return []
        self.notes += [f"the index: {text}" for text in found.ignored]
        return list({id(item): item for items in found.attestations.values() for item in items}.values())

    def _index(self) -> Optional[str]:
        if not os.path.lexists(os.path.join(self._folder, REPOMD)):
            return None
        record = record_of(read_metadata(self._folder, self._repo).repomd, RECORD)
        if record is None:
            return None
        check_file(self._folder, record)
        return os.path.join(self._folder, record.location)

    def _batches(self) -> Iterator[str]:
        try:
            names = os.listdir(os.path.join(self._folder, BATCHES))
        except FileNotFoundError:
            return
        except OSError as error:
            path = os.path.join(self._folder, BATCHES)
            raise UnreadableError(f"cannot be read: {error.strerror}", path=path) from None
        for name in sorted(names):
            if name.endswith(SUFFIX) and not name.startswith("."):
                yield os.path.join(BATCHES, name)

    # Rows

    def _row(self, package: _Read, evidence: Evidence) -> Row:
        subject = package.subject
        if subject is None or package.signatures is None:
            problem = package.problem or refuse(package.file, self._repo, Code.UNREADABLE, "could not be read")
            return make_row(self._policy, self._now, file=package.file, verdict=problem)
        others = self._others(subject, evidence)
        rules = package_rules(self._policy, subject, self._repo)
        if file_signatures_allowed(subject, rules):
            verdict = self._verdict(package, subject, package.signatures, rules, evidence, bool(others))
        else:
            verdict = refuse(subject.name, self._repo, Code.MALFORMED_RPM, FILE_SIGNATURES)
        return make_row(
            self._policy, self._now, file=package.file, verdict=verdict, digests=subject.digests,
            signers=verdict.signers, others=others,
        )  # fmt: skip

    def _verdict(
        self,
        package: _Read,
        subject: RpmSubject,
        signatures: HeaderSignatures,
        rules: Tuple[Rule, ...],
        evidence: Evidence,
        named_otherwise: bool,
    ) -> Verdict:
        approving = evidence.approving(subject.name, subject.digests)
        approvals = [word.approval for item in approving for word in item.words]
        channels = {rule.channel for rule in rules}
        elsewhere = dict.fromkeys(
            f"{item.signer} signed it for {item.channel}" for item in approvals if item.channel not in channels
        )
        there = bool(approving) or named_otherwise or package.has_bundle
        return judge(
            self._policy, rules, approvals, name=subject.name, origin=self._repo, now=self._now,
            evidence=Found((), (), (), named_otherwise) if there else None,
            header=self._header(subject, signatures, rules), ignored=tuple(elsewhere),
        )  # fmt: skip

    def _header(self, subject: RpmSubject, signatures: HeaderSignatures, rules: Tuple[Rule, ...]) -> HeaderEvidence:
        if not any(rule.signed_by for rule in rules):
            return UNSEEN
        data = signed_bytes(subject)
        return header_evidence(
            signatures.packets, signatures.problems, rules, self._policy, self._now,
            lambda signature, key: self._engine.verify(data, signature, key.public),
        )  # fmt: skip

    def _others(self, subject: RpmSubject, evidence: Evidence) -> Tuple[Content, ...]:
        """The other contents that people stand by under this name, those with the most people first."""
        people: Dict[Digests, List[str]] = {}
        for name, digests in sorted(evidence.dissenting(subject.name, subject.digests).items()):
            people.setdefault(digests, []).append(name)
        ordered = sorted(people.items(), key=lambda item: (-len(item[1]), item[0].sha256))
        return tuple(Content(digests, tuple(names)) for digests, names in ordered)
