# SPDX-License-Identifier: GPL-2.0-or-later
"""How the repositories of one transaction stand: their release statements, and the packages that these bind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Callable, Dict, FrozenSet, List, Optional, Protocol, Tuple

from multisig.bundle import Bundle
from multisig.held import Held, hold
from multisig.metadata import Checksum, Metadata, file_checksum, packages_of
from multisig.policy import ReleaseRequirement, Rule
from multisig.release import judge_release, no_release
from multisig.statement import Digests
from multisig.verdict import ReleaseStanding, Verdict


class ReleaseSource(Protocol):
    """Where release statements come from, and what is remembered of earlier ones. Decides nothing."""

    def metadata(self, key: int) -> Optional[Metadata]:
        """The metadata of the repository that the package with this ``gate.Package.key`` comes from, as they are used;
        None for a package that comes from none. The same for packages of the same repository."""
        ...

    def release_bundle(self, metadata: Metadata, *, fresh: bool) -> Optional[bytes]:
        """The raw bundle of the repository's release statements, at most bundle.MAX_BUNDLE + 1 bytes; None where it has
        none. ``fresh`` asks for what a cache does not answer."""
        ...

    def newest_release(self, repo: str, channel: str) -> int:
        """The highest serial seen of that repository's releases; 0 where none is remembered."""
        ...


@dataclass(frozen=True)
class Listing:
    """The checksums of all packages that a repository's metadata list."""

    repo: str
    checksums: FrozenSet[Checksum]

    def holds(self, fd: int, path: str) -> bool:
        """Whether the file at ``fd``, all of its bytes, is one of the packages."""
        algorithms = {checksum.algorithm for checksum in self.checksums}
        return any(file_checksum(fd, algorithm, path=path) in self.checksums for algorithm in sorted(algorithms))


# The quorum, the digests that it must have signed, the channel, and the bundle that may show it.
QuorumJudge = Callable[[Digests, ReleaseRequirement, str, Bundle], Verdict]


class Repositories:
    """Judges each repository once for each rule that asks. ``now`` is in seconds since the epoch."""

    def __init__(self, source: ReleaseSource, quorum: QuorumJudge, *, now: int) -> None:
        self._source = source
        self._quorum = quorum
        self._now = now
        self._held: Dict[Metadata, Held] = {}
        self._standings: Dict[Tuple[Metadata, str], Tuple[ReleaseStanding, ReleaseRequirement]] = {}
        self._listings: Dict[Metadata, Listing] = {}

    def metadata(self, key: int) -> Optional[Metadata]:
        """See ReleaseSource."""
        return self._source.metadata(key)

    def standing(self, metadata: Metadata, rule: Rule) -> ReleaseStanding:
        """How a repository stands by what a rule's ``release`` asks for. What a cached bundle does not suffice for is
        fetched afresh, once."""
        asked, channel = rule.release, rule.channel
        if asked is None or channel is None:
            raise TypeError("a rule that asks for no release statement")
        known = self._standings.get((metadata, rule.name))
        if known is not None:
            return known[0]
        standing = self._judge(metadata, channel, asked, self._bundle(metadata))
        if not standing.good and self._refresh(metadata):
            standing = self._judge(metadata, channel, asked, self._bundle(metadata))
        self._standings[metadata, rule.name] = (standing, asked)
        return standing

    def standings(self) -> List[Tuple[ReleaseStanding, ReleaseRequirement]]:
        """Every standing that was asked for, with what the rule asks."""
        return list(self._standings.values())

    def listing(self, metadata: Metadata) -> Listing:
        """The packages that the repository's metadata list; raises MetadataError or UnreadableError."""
        if metadata not in self._listings:
            checksums = frozenset(package.checksum for package in packages_of(metadata))
            self._listings[metadata] = Listing(metadata.repo, checksums)
        return self._listings[metadata]

    def _bundle(self, metadata: Metadata) -> Held:
        if metadata not in self._held:
            raw = self._source.release_bundle(metadata, fresh=False)
            self._held[metadata] = hold(() if raw is None else (raw,))
        return self._held[metadata]

    def _refresh(self, metadata: Metadata) -> bool:
        """Ask for the bundle once more; whether anything new came."""
        raw = self._source.release_bundle(metadata, fresh=True)
        before = self._held[metadata].raw
        if raw is None or raw in before:
            return False
        self._held[metadata] = hold((raw, *before))
        return True

    def _judge(self, metadata: Metadata, channel: str, asked: ReleaseRequirement, held: Held) -> ReleaseStanding:
        if held.together is None:
            return no_release(metadata.repo, channel, held.problem)
        digests = repomd_digests(metadata.repomd)

        def quorum(bundle: Bundle) -> Verdict:
            return self._quorum(digests, asked, channel, bundle)

        seen = self._source.newest_release(metadata.repo, channel)
        standing = judge_release(
            held.together, digests, repo=metadata.repo, channel=channel, asked=asked, seen=seen, now=self._now,
            quorum=quorum,
        )  # fmt: skip
        return replace(standing, bundle=held.used)


def repomd_digests(repomd: bytes) -> Digests:
    """The digests that a release statement gives for a repomd.xml."""
    return Digests(hashlib.sha256(repomd).hexdigest(), hashlib.sha512(repomd).hexdigest())
