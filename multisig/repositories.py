# SPDX-License-Identifier: GPL-2.0-or-later
"""How the repositories of one transaction stand: their release statements, and the packages that these bind."""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, List, Optional, Protocol, Sequence, Set, Tuple

from multisig.bundle import Bundle
from multisig.held import Held, Look, hold
from multisig.metadata import Checksum, Metadata, checksums_of, file_checksum
from multisig.namedtuples import NamedTuple
from multisig.policy import ReleaseRequirement, Rule
from multisig.release import judge_release, no_release
from multisig.statement import Digests, digests_of, statement_id
from multisig.verdict import ReleaseStanding, Verdict


class ReleaseSource(Protocol):
    """Where release statements come from, and what is remembered of earlier ones. Decides nothing."""

    def metadata(self, key: int) -> Optional[Metadata]:
        """The metadata of the repository that the package with this ``gate.Package.key`` comes from, as they are used;
        None for a package that comes from none. The same for packages of the same repository."""
        ...

    def release_bundles(self, metadata: Metadata, look: Look) -> Sequence[bytes]:
        """Raw bundles of the repository's release statements, each at most bundle.MAX_BUNDLE + 1 bytes.

        ``look`` is one of RELEASE_LOOKS. Where there is nothing, or nothing more than before, there is none.
        """
        ...

    def newest_release(self, repo: str, channel: str) -> int:
        """The highest serial seen of that repository's releases; 0 where none is remembered."""
        ...


RELEASE_LOOKS = (Look.BESIDE, Look.AFRESH, Look.MIRRORS)
"""Where release statements are looked for, in this order; each only where what came before does not suffice."""


class Listing(NamedTuple):
    """The checksums of all packages that a repository's metadata list."""

    repo: str
    checksums: FrozenSet[Checksum]

    def holds(self, fd: int, path: str) -> bool:
        """Whether the file at ``fd``, all of its bytes, is one of the packages."""
        algorithms = {checksum.algorithm for checksum in self.checksums}
        return any(file_checksum(fd, algorithm, path=path) in self.checksums for algorithm in sorted(algorithms))


# The quorum, the digests that it must have signed, the channel, and the bundle that may show it: to the verdict, and
# what of the bundle is worth keeping.
QuorumJudge = Callable[[Digests, ReleaseRequirement, str, Bundle], Tuple[Verdict, Optional[bytes]]]


class Repositories:
    """Judges each repository once for each rule that asks. ``now`` is in seconds since the epoch."""

    def __init__(self, source: ReleaseSource, quorum: QuorumJudge, *, now: int) -> None:
        self._source = source
        self._quorum = quorum
        self._now = now
        self._held: Dict[Metadata, Held] = {}
        self._looked: Set[Tuple[Metadata, Look]] = set()
        self._standings: Dict[Tuple[Metadata, str], Tuple[ReleaseStanding, ReleaseRequirement]] = {}
        self._listings: Dict[Metadata, Listing] = {}

    def metadata(self, key: int) -> Optional[Metadata]:
        """See ReleaseSource."""
        return self._source.metadata(key)

    def standing(self, metadata: Metadata, rule: Rule) -> ReleaseStanding:
        """How a repository stands by what a rule's ``release`` asks for."""
        asked, channel = rule.release, rule.channel
        if asked is None or channel is None:
            raise TypeError("a rule that asks for no release statement")
        known = self._standings.get((metadata, rule.name))
        if known is not None:
            return known[0]
        standing = self._judge(metadata, channel, asked)
        for look in RELEASE_LOOKS:
            if not standing.good and self._take(metadata, look):
                standing = self._judge(metadata, channel, asked)
        self._standings[metadata, rule.name] = (standing, asked)
        return standing

    def standings(self) -> List[Tuple[ReleaseStanding, ReleaseRequirement]]:
        """Every standing that was asked for, with what the rule asks."""
        return list(self._standings.values())

    def listing(self, metadata: Metadata) -> Listing:
        """The packages that the repository's metadata list; raises MetadataError or UnreadableError."""
        if metadata not in self._listings:
            self._listings[metadata] = Listing(metadata.repo, checksums_of(metadata))
        return self._listings[metadata]

    def _take(self, metadata: Metadata, look: Look) -> bool:
        """Look in one more place for the repository's statements, once; whether anything new came."""
        if (metadata, look) in self._looked:
            return False
        self._looked.add((metadata, look))
        before = self._held.get(metadata, Held())
        new = [raw for raw in self._source.release_bundles(metadata, look) if raw not in before.raw]
        if new:
            self._held[metadata] = hold((*dict.fromkeys(new), *before.raw))
        return bool(new)

    def _judge(self, metadata: Metadata, channel: str, asked: ReleaseRequirement) -> ReleaseStanding:
        """By all bundles as one, or where that does not do by each alone: bad signatures that a mirror sends take
        nothing away from what another does."""
        held = self._held.get(metadata, Held())
        standing = self._judge_held(held, metadata, channel, asked)
        for raw in held.raw if len(held.raw) > 1 else ():
            if not standing.good:
                alone = self._judge_held(hold((raw,)), metadata, channel, asked)
                standing = alone if alone.good else standing
        return standing

    def _judge_held(self, held: Held, metadata: Metadata, channel: str, asked: ReleaseRequirement) -> ReleaseStanding:
        if held.together is None:
            return no_release(metadata.repo, channel, held.problem)
        digests = repomd_digests(metadata.repomd)

        kept: Dict[str, Optional[bytes]] = {}

        def quorum(bundle: Bundle) -> Verdict:
            verdict, worth = self._quorum(digests, asked, channel, bundle)
            kept[statement_id(bundle.attestations[0].statement)] = worth
            return verdict

        seen = self._source.newest_release(metadata.repo, channel)
        standing = judge_release(
            held.together, digests, repo=metadata.repo, channel=channel, asked=asked, seen=seen, now=self._now,
            quorum=quorum,
        )  # fmt: skip
        return standing._replace(bundle=kept.get(standing.statement))


def repomd_digests(repomd: bytes) -> Digests:
    """The digests that a release statement gives for a repomd.xml."""
    return digests_of(repomd)
