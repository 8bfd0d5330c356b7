# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of ``multisig publish``: from an upload directory to a repository.

Needs no key, only the policy's public ones. Nothing that was uploaded is trusted, changed or removed, and nothing that
was published is changed but for bundles, which gain signatures. Whenever a run is killed, the next one goes on from
there, and clients see metadata whose files are all there.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Callable, ContextManager, Dict, List, Mapping, Optional, Sequence

from multisig.bundle import MAX_BUNDLE, SUFFIX, Attestation, Bundle, encode
from multisig.errors import IndexFormatError, MalformedRpmError, ToolError, UnreadableError, UsageError
from multisig.gate import Gate, Package
from multisig.held import Find, Look
from multisig.indexing import gather, put_index
from multisig.merging import Dropped, Graded, Grader, Pool
from multisig.openpgp import Engine
from multisig.policy import Policy
from multisig.publishing.candidates import Content, check_by_rpm, in_order, read_contents
from multisig.publishing.createrepo import build_metadata, install_metadata
from multisig.publishing.evidence import Evidence, Remembering, batch_bundle
from multisig.publishing.repository import Repository, file_name
from multisig.publishing.uploads import Found, Uploads
from multisig.subjects import Progress
from multisig.subjects.embedded import read_embedded
from multisig.subjects.rpm import read_rpm
from multisig.verdict import Code, Verdict

# What says nothing about who signed the content, and all about this one file of it.
_OF_THE_FILE = (Code.MALFORMED_RPM, Code.PAYLOAD_MISMATCH, Code.WEAK_DIGEST)

MOST_EVIDENCE = 128 << 20
"""Bytes of bundles that are looked at in one folder of the upload directory: an uploader cannot fill the memory, and
starves nobody but themselves."""

Part = Callable[[str, int], ContextManager[Progress]]
"""Told what is worked on next and how many bytes that is; gives what to tell of the bytes done."""


@dataclass
class Report:
    """What came of a run: newly published packages, published ones that gained signatures, those that were held back
    with what they lack, how many uploads were published already, and which were not taken."""

    published: List[Verdict] = field(default_factory=list)
    extended: List[str] = field(default_factory=list)
    held: List[Verdict] = field(default_factory=list)
    known: int = 0
    dropped: List[Dropped] = field(default_factory=list)
    changed: bool = False


class Publisher:
    """``policy`` must be a ``publishing_policy``; ``origin`` is the repository's id; ``now``: seconds since the epoch.

    ``pool`` verifies signatures and payloads, ``workers`` at a time. A ``repo`` that is not there is made.
    """

    def __init__(
        self, incoming: str, repo: str, policy: Policy, engine: Engine, pool: Executor, *, origin: str, now: int,
        workers: int, part: Part,
    ) -> None:  # fmt: skip
        inside = os.path.realpath(incoming), os.path.realpath(repo)
        if os.path.commonpath(inside) in inside:
            raise UsageError("the upload directory and the repository must not lie in each other", path=incoming)
        self._uploads = Uploads(incoming)
        self._repository = Repository(repo)
        self._policy = policy
        self._engine = Remembering(engine)
        self._pool = pool
        self._origin = origin
        self._now = now
        self._workers = workers
        self._part = part
        self._report = Report()

    def run(self) -> Report:
        """Publish. The steps, each of which a killed run may not have got beyond:

        1. The repository is locked; what a killed run left is cleared away. 2. Uploads are found, without following
        links; headers are read. 3. Bundles are collected, from the uploads and from what is published; every signature
        is verified once. 4. What enough people signed is copied, and the copy judged by the gate. 5. Its bundle is put
        in place, then the file. 6. Published packages gain the signatures that came since. 7. The metadata are made
        aside and put in place. 8. What says that they are not finished is removed.
        """
        try:
            with self._repository.opened():
                found = self._uploads.scan()
                self._report.dropped += found.refused
                contents, dropped = read_contents(self._uploads, found.rpms)
                self._report.dropped += dropped
                evidence = self._collect(found, contents)
                with Gate(self._policy, self._engine, now=self._now, workers=self._workers) as gate:
                    self._publish(gate, contents, evidence)
                self._extend(evidence)
                self._finish()
        finally:
            self._uploads.close()
        return self._report

    def _collect(self, found: Found, contents: Sequence[Content]) -> Evidence:
        names = {content.nevra for content in contents}
        evidence = Evidence(lambda name: name in names or self._repository.may_hold(name))
        taken: "Counter[str]" = Counter()
        for path in (*found.bundles, *found.rpms):
            data = self._uploaded_bundle(path)
            if data is None:
                continue
            uploader = path.partition("/")[0] if "/" in path else "the top folder"
            taken[uploader] += len(data)
            if taken[uploader] > MOST_EVIDENCE:
                reason = f"{uploader} holds more than {MOST_EVIDENCE >> 20} MiB of bundles"
                self._report.dropped.append(Dropped(self._uploads.shown(path), "", reason))
            else:
                evidence.add(data, self._uploads.shown(path))
        for path, batch in self._repository.batches():
            evidence.add(batch, path)
        for name in sorted(names | evidence.names):
            published = self._repository.find(name)
            beside = None if published is None else self._repository.bundle(published)
            if published is not None and beside is not None:
                evidence.add(beside, published + SUFFIX)
        evidence.grade(Grader(self._policy, self._engine, self._pool, now=self._now, owner=self._uploader))
        self._report.dropped += evidence.dropped
        return evidence

    def _uploader(self, source: str) -> str:
        """Whose a file is: all that lies in one folder of the upload directory is one's own."""
        top = self._uploads.shown("")
        folder, below, _ = source[len(top) :].partition("/")
        return top + folder if source.startswith(top) and below else source

    def _uploaded_bundle(self, path: str) -> Optional[bytes]:
        """What a bundle file holds, or a package carries."""
        try:
            if path.endswith(SUFFIX):
                return self._uploads.read(path, MAX_BUNDLE)
            fd = self._uploads.open(path)
            try:
                return read_embedded(fd)
            finally:
                os.close(fd)
        except UnreadableError as error:
            if path.endswith(SUFFIX):
                self._report.dropped.append(Dropped(self._uploads.shown(path), "", error.message))
        except MalformedRpmError:
            pass  # said where it is read as a package
        return None

    # What is new

    def _publish(self, gate: Gate, contents: Sequence[Content], evidence: Evidence) -> None:
        fresh = [content for content in contents if not self._is_published(content)]
        if not fresh:
            return
        source = _Source(fresh, evidence)
        packages = [Package(key, item.nevra, item.name, self._origin, item.obsoletes) for key, item in enumerate(fresh)]
        planned = gate.judge_planned(packages, source)
        ready: Dict[str, List[int]] = {}
        for package, judged in zip(packages, planned):
            if judged.verdict.accepted:
                ready.setdefault(package.nevra, []).append(package.key)
            else:
                self._hold(fresh[package.key], judged.verdict, evidence)
        for keys in ready.values():
            signers = {key: evidence.signers(fresh[key].nevra, fresh[key].digests) for key in keys}
            keys.sort(key=lambda key: (-len(signers[key]), fresh[key].digests.sha256))
            while keys and not self._try(gate, packages[keys[0]], fresh[keys[0]], evidence, source):
                del keys[0]
            for key in keys[1:]:
                self._drop(
                    fresh[key], f"another content of {fresh[key].nevra} is published, with as many signers or more"
                )

    def _try(self, gate: Gate, package: Package, content: Content, evidence: Evidence, source: "_Source") -> bool:
        """Judge a copy of one upload after the other until one is what was signed and what rpm takes; publish that."""
        refused: Optional[Verdict] = None
        for number, path in enumerate(in_order(content, self._uploads, evidence)):
            shown = self._uploads.shown(path)
            try:
                uploaded = self._uploads.open(path)
            except UnreadableError as error:
                self._report.dropped.append(Dropped(shown, "", error.message))
                continue
            try:
                copy, made = self._repository.copy(uploaded, f"{package.key}-{number}", content.longest + 1)
            finally:
                os.close(uploaded)
            try:
                verdict = self._judge(gate, package, content, copy, made, source)
                if verdict.accepted:
                    self._place(made, verdict, content, evidence)
                    return True
            except (MalformedRpmError, ToolError) as error:
                self._report.dropped.append(Dropped(shown, "", error.message))
                continue
            finally:
                os.close(copy)
                # All the copies of junk together could fill the disk.
                self._repository.discard(made)
            if verdict.code in _OF_THE_FILE:
                self._report.dropped.append(Dropped(shown, "", verdict.message))
            else:
                refused = verdict
        if refused is not None:
            self._hold(content, refused, evidence)
        return False

    def _place(self, made: str, verdict: Verdict, content: Content, evidence: Evidence) -> None:
        place = self._repository.room(content.nevra)
        if place is None:
            self._drop(content, f"other packages are published as {file_name(content.nevra)}")
            return
        self._repository.place(made, place, evidence.bundle(content.nevra, content.digests).bundle)
        # The gate stops where the rules are satisfied; whoever reads the report wants to know of all.
        everybody = evidence.signers(content.nevra, content.digests)
        self._report.published.append(verdict._replace(signers=everybody))

    def _judge(
        self, gate: Gate, package: Package, content: Content, copy: int, made: str, source: "_Source"
    ) -> Verdict:
        """The verdict on the copy; ToolError where rpm does not take it, MalformedRpmError where it is another file."""
        if read_rpm(copy).digests != content.digests:
            raise MalformedRpmError("was changed while it was read")
        with self._part(f"checking {package.nevra}", 2 * os.fstat(copy).st_size) as advance:
            taken_by_rpm = self._pool.submit(check_by_rpm, made, self._repository.workspace())
            judged = gate.judge_file(copy, made, package, source, progress=advance).result()
            taken_by_rpm.result()
        return judged.verdict

    def _is_published(self, content: Content) -> bool:
        path = self._repository.find(content.nevra)
        if path is None:
            return False
        published = self._repository.digests(path)
        if published == content.digests:
            self._report.known += len(content.paths)
        elif published is None:
            self._drop(content, f"{path} is published already, and is no package that could be approved")
        else:
            self._drop(content, f"{path} is published already, with another content of {content.nevra}")
        return True

    def _hold(self, content: Content, verdict: Verdict, evidence: Evidence) -> None:
        others = sorted(evidence.dissenting(content.nevra, content.digests))
        notes = [
            f"{signer} signed another content of this name (multisig diff shows what differs)" for signer in others
        ]
        ignored = tuple(dict.fromkeys((*verdict.ignored, *notes)))
        where = ", ".join(self._uploads.shown(path) for path in content.paths)
        self._report.held.append(verdict._replace(name=content.nevra, origin=where, ignored=ignored))

    def _drop(self, content: Content, message: str) -> None:
        self._report.dropped += [Dropped(self._uploads.shown(path), "", message) for path in content.paths]

    # What is there

    def _extend(self, evidence: Evidence) -> None:
        """Published packages, new ones too, get every signature that came for them."""
        new = {verdict.name for verdict in self._report.published}
        present = []
        for name in sorted(evidence.names):
            path = self._repository.find(name)
            digests = None if path is None else self._repository.digests(path)
            if path is None or digests is None:
                continue
            present.append(name)
            fitted = evidence.bundle(name, digests)
            if fitted.bundle.attestations and self._repository.write_bundle(path, fitted.bundle) and name not in new:
                self._report.extended.append(name)
            if fitted.statements_left_out or fitted.signatures_left_out:
                part = f"{fitted.statements_left_out} statements, {fitted.signatures_left_out} signatures"
                reason = "there is no room for them in the bundle; those that count come first"
                self._report.dropped.append(Dropped(name, part, reason))
        for item in evidence.batches(present):
            bundle = batch_bundle(item)
            if bundle.attestations:
                self._repository.write_batch(bundle)

    def _finish(self) -> None:
        self._report.changed = self._repository.changed
        if self._repository.changed:
            aside = self._repository.fresh_folder()
            made = build_metadata(self._repository.path, aside)
            self._put_index(aside)
            install_metadata(made, self._repository.path)
        self._repository.finished()

    def _put_index(self, folder: str) -> None:
        """Put the index into the metadata in ``folder``. Where it were too large, it holds only what counts: what
        uploaders have added that is nobody's lies beside the packages, and does not keep others from publishing."""
        everything = gather(self._repository.path).attestations
        try:
            put_index(folder, everything, now=self._now)
        except IndexFormatError:
            put_index(folder, self._counting(everything), now=self._now)

    def _counting(self, attestations: Sequence[Attestation]) -> List[Attestation]:
        offered = Pool()
        for number, item in enumerate(attestations):
            # Each is a source of its own: what is false in one says nothing of another.
            offered.add(Bundle((item,)), f"attestation {number}")
        graded = Grader(self._policy, self._engine, self._pool, now=self._now).grade(offered)
        return [Attestation(item.text, tuple(word.armored for word in item.words)) for item in graded if item.words]


class _Source:
    """The evidence on the packages under judgement: the words that count, whatever their statements' length."""

    def __init__(self, contents: Sequence[Content], evidence: Evidence) -> None:
        self._contents = contents
        self._evidence = evidence
        # One object for each statement: what the gate finds out about one it need not find out again.
        self._made: Dict[str, Attestation] = {}

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        found: Dict[int, Find] = {}
        for package in packages if look is Look.INDEX else ():
            content = self._contents[package.key]
            approving = self._evidence.approving(content.nevra, content.digests)
            given = tuple(self._attestation(item) for item in approving if item.words)
            # Where nobody signed it an empty bundle says so; none at all would say that none was found.
            found[package.key] = Find(bundle=None if given else encode(Bundle(())), attestations=given)
        return found

    def _attestation(self, item: Graded) -> Attestation:
        if item.text not in self._made:
            self._made[item.text] = Attestation(item.text, tuple(word.armored for word in item.words))
        return self._made[item.text]
