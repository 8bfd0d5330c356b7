# SPDX-License-Identifier: GPL-2.0-or-later
"""One transaction: collect evidence, verify signatures, decide. The only place where the parts are put together.

Twice for each package. Planned: before anything is downloaded, on the name and repository that the front end intends,
by the statements and signers of its bundle. At hand: on the very file that rpm is going to open, by its header and
payload. Only the second decides; nothing of the first is taken for granted in it but signatures already checked, and
the answer where the header turns out to ask the very same question.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Protocol, Sequence, Set, Tuple

from multisig.bundle import Bundle
from multisig.checking import Case, Checker, Question
from multisig.errors import MalformedRpmError, MetadataError, UnreadableError
from multisig.evidence import Objection, about, content_variants, no_objection
from multisig.hand import AtHand, judge_bytes
from multisig.hand import Judged as Judged
from multisig.held import Find, Held, Look, extend, hold
from multisig.keeping import bundle_to_keep, shared_to_keep
from multisig.namedtuples import NamedTuple
from multisig.openpgp import Engine
from multisig.policy import Policy, ReleaseRequirement, Requirement, Rule, Traits, matching_rules, undecided_rules
from multisig.statement import Digests, Kind
from multisig.subjects import Progress
from multisig.subjects.rpm import RpmSubject, read_identity, read_rpm
from multisig.traits import (
    FILE_SIGNATURES,
    exempting_rules,
    file_signatures_allowed,
    package_rules,
    planned_traits,
    quorum_rule,
    rpm_traits,
)
from multisig.vendor import UNSEEN
from multisig.verdict import (
    NO_REPOSITORY,
    Code,
    ReleaseStanding,
    Verdict,
    judge,
    lacks_people,
    refuse,
)

if TYPE_CHECKING:
    from multisig.metadata import Metadata
    from multisig.repositories import Listing, ReleaseSource, Repositories

_NONE: Mapping[str, ReleaseStanding] = MappingProxyType({})
_NOTHING = Held()
# Of so many contents of one name all the evidence is told; made-up ones beyond are gone through without the others'.
_FULL_ATTEMPTS = 8


class Package(NamedTuple):
    """A package as the front end knows it: NAME-EPOCH:VERSION-RELEASE.ARCH, its name, where it comes from.

    ``key`` is the front end's own handle; two packages of a transaction never share one.
    """

    key: int
    nevra: str
    name: str
    repo: str
    obsoletes: Tuple[str, ...] = ()


class EvidenceSource(Protocol):
    """Where evidence comes from. Says what it got and decides nothing."""

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """What is found in one place for these packages, by Package.key; those with nothing there are left out.

        Asked once of each package and place.
        """
        ...


class Gate:
    """Judges one transaction's packages under one policy and one reading of the clock (seconds since the epoch).

    Signatures are checked by ``workers`` threads, from the moment that they are known to be worth it; ``close`` ends
    them. ``releases`` is where rules with ``release`` look; without it they are not satisfied. ``thorough``: all
    signatures are tried, and what the rules were chosen by is kept, for whoever wants an explanation.
    """

    def __init__(
        self,
        policy: Policy,
        engine: Engine,
        *,
        now: int,
        workers: int,
        releases: Optional[ReleaseSource] = None,
        thorough: bool = False,
    ) -> None:
        self._policy = policy
        self._now = now
        self._pool = ThreadPoolExecutor(max(1, workers), "multisig")
        self._thorough = thorough
        self._checker = Checker(policy, engine, self._pool, now=now, thorough=thorough)
        self._held: Dict[int, Held] = {}
        self._accepted: Dict[int, Tuple[Case, Judged]] = {}
        self._looked: Dict[Look, Set[int]] = {look: set() for look in Look}
        self._release_source = releases
        self._repositories: Optional[Repositories] = None

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; what has not been started is dropped."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def policy(self) -> Policy:
        return self._policy

    def judge_planned(self, packages: Sequence[Package], source: EvidenceSource) -> List[Judged]:
        """A first verdict on what is planned: whether the evidence approves packages of these names at all.

        Rules that need the header (content, signed-by) are left for later. Evidence is looked for in one place after
        the other, only of what is not accepted by then.
        """
        rules = {package.key: self._planned_rules(package) for package in packages}
        pending = [package for package in packages if any(rule.require for rule in rules[package.key])]
        judged: Dict[int, Judged] = {}
        for look in Look:
            judged.update(self._judge_names(self._take(pending, source, look), rules))
            pending = [item for item in pending if _lacking(rules[item.key], judged.get(item.key))]
        judged.update(self._judge_names([package for package in packages if package.key not in judged], rules))
        return [judged[package.key] for package in packages]

    def look_ahead(self, packages: Sequence[Package], source: EvidenceSource) -> None:
        """Have at hand what rules could ask for that only the header decides: when it is there, no network may be.

        Judged as if all of them matched, so that no more is looked for than they could need.
        """
        rules = {package.key: self._planned_rules(package) + self._undecided(package) for package in packages}
        pending = [package for package in packages if any(rule.require for rule in self._undecided(package))]
        for look in (Look.INDEX, Look.PLACES, Look.BESIDE):
            self._take(pending, source, look)
            judged = self._judge_names(pending, rules)
            pending = [package for package in pending if _lacking(rules[package.key], judged.get(package.key))]

    def judge_file(
        self,
        fd: int,
        path: str,
        package: Package,
        source: EvidenceSource,
        *,
        progress: Optional[Progress] = None,
    ) -> "Future[Judged]":
        """Judge the RPM at ``fd``, which the caller has pinned and leaves alone until the result is there.

        ``path`` names the file for people; ``package`` is what the front end planned, with an empty ``nevra`` where
        nothing was. Steps: 1. The header is read, its structure checked. 2. It is the package that was planned.
        3. Rules are chosen by the header. 4. File signatures are refused unless a rule allows them. 5. The evidence
        for its digests is collected and verified. 6. The rules are judged; where some ask for the header's own
        signature, that is verified, and they are judged again. 7. The payload is the one that a sufficient number of
        signers, or the signed header, vouch for to the byte, or is decompressed and held against the signed header.
        The header's signature and the payload are looked at while the caller has the next file judged, and
        ``progress`` is told, from their thread, of the bytes that step 7 reads, at most twice the file's. Raises
        UnreadableError, here or from the result.
        """
        try:
            return self._judge_file(fd, path, package, source, progress)
        except UnreadableError as error:
            raise error.at(path) from None

    def judge_digests(self, kind: Kind, name: str, digests: Digests, repo: str, bundle: Optional[bytes]) -> Judged:
        """The verdict on a file or tree of these digests, with the bundle that lay beside it."""
        traits = Traits(kind=kind.word, repo=repo, name="", obsoletes=(), content=None)
        held = hold((bundle,) if bundle is not None else ())
        case = self._checker.case(Question(kind, name, digests, repo, matching_rules(self._policy, traits), held))
        case.traits = traits
        self._checker.verify([case])
        return self._conclude(case, held, digests)

    def judge_quorum(
        self,
        kind: Kind,
        name: str,
        digests: Digests,
        quorum: Requirement,
        channel: str,
        bundle: Optional[bytes],
        *,
        objection: Objection = no_objection,
        lapsed_count: bool = False,
    ) -> Judged:
        """The verdict on a release or a policy of these digests: whether ``quorum`` signed it for ``channel``.

        ``objection`` looks at the rest of each statement (see evidence.Wanted). ``lapsed_count``: keys that have merely
        expired count too.
        """
        rule = quorum_rule(f"quorum for the {kind.word}", kind.word, channel, quorum)
        held = hold((bundle,) if bundle is not None else ())
        asked = Question(kind, name, digests, name, (rule,), held, objection=objection, lapsed_count=lapsed_count)
        case = self._checker.case(asked)
        self._checker.verify([case])
        return self._conclude(case, held, digests)

    def release_standings(self) -> List[Tuple[ReleaseStanding, ReleaseRequirement]]:
        """How the repositories stand that rules with ``release`` have asked about so far, and what the rules ask."""
        return [] if self._repositories is None else self._repositories.standings()

    def repository_standing(self, metadata: Metadata, rule: Rule) -> ReleaseStanding:
        """How a repository stands by a rule with ``release``, whatever packages there are."""
        repositories = self._asked_repositories()
        return NO_REPOSITORY if repositories is None else repositories.standing(metadata, rule)

    # Planned packages

    def _planned_rules(self, package: Package) -> Tuple[Rule, ...]:
        return matching_rules(self._policy, planned_traits(package.name, package.obsoletes, package.repo))

    def _undecided(self, package: Package) -> Tuple[Rule, ...]:
        return undecided_rules(self._policy, planned_traits(package.name, package.obsoletes, package.repo))

    def _judge_names(self, packages: Sequence[Package], rules: Mapping[int, Tuple[Rule, ...]]) -> Dict[int, Judged]:
        """Judge by name alone: each content that statements give for the name is tried until one is approved."""
        judged: Dict[int, Judged] = {}
        variants: Dict[int, Tuple[Digests, ...]] = {}
        for package in packages:
            early = self._judge_without_evidence(package, rules[package.key])
            if early is not None:
                judged[package.key] = Judged(early)
                continue
            held = self._held.get(package.key, _NOTHING)
            all_of_it = held.together or Bundle(())
            variants[package.key] = content_variants(all_of_it, Kind.RPM, package.nevra)
        attempt = 0
        pending = [package for package in packages if package.key in variants]
        while pending:
            tried = self._judge_attempt(pending, rules, variants, attempt)
            for key, found in tried.items():
                best = judged.get(key)
                if best is None or found.verdict.accepted or len(found.verdict.signers) > len(best.verdict.signers):
                    judged[key] = found
            attempt += 1
            pending = [
                package
                for package in pending
                if not judged[package.key].verdict.accepted and attempt < len(variants[package.key])
            ]
        return judged

    def _judge_attempt(
        self,
        packages: Sequence[Package],
        rules: Mapping[int, Tuple[Rule, ...]],
        variants: Mapping[int, Tuple[Digests, ...]],
        attempt: int,
    ) -> Dict[int, Judged]:
        cases: Dict[int, Case] = {}
        for package in packages:
            contents = variants[package.key]
            digests = contents[attempt] if attempt < len(contents) else None
            decidable = _decidable(rules[package.key])
            held = self._held.get(package.key, _NOTHING)
            if attempt >= _FULL_ATTEMPTS and held.together is not None and digests is not None:
                few = about(held.together, package.nevra, digests)
                held = held._replace(together=few, starts=tuple(range(len(few.attestations))))
            releases = self._releases(package, decidable)
            asked = Question(Kind.RPM, package.nevra, digests, package.repo, decidable, held, releases)
            case = self._checker.case(asked)
            self._checker.begin(case)
            cases[package.key] = case
        self._checker.verify(list(cases.values()))
        judged = {key: self._conclude(case, self._held.get(key, _NOTHING), None) for key, case in cases.items()}
        if not self._thorough:
            self._accepted.update((key, (cases[key], it)) for key, it in judged.items() if it.verdict.accepted)
        return judged

    def _judge_without_evidence(self, package: Package, rules: Tuple[Rule, ...]) -> Optional[Verdict]:
        """The planned packages that no bundle decides: without any rule, or with rules only the header can answer."""
        if any(rule.require for rule in rules):
            return None
        waiting = [rule for rule in rules if rule.signed_by is not None]
        if waiting or (not rules and self._undecided(package)):
            return Verdict(package.nevra, package.repo, True, Code.OK, "decided when the package is at hand")
        return judge(self._policy, rules, (), name=package.nevra, origin=package.repo, now=self._now)

    # Files at hand

    def _judge_file(
        self, fd: int, path: str, package: Package, source: EvidenceSource, progress: Optional[Progress]
    ) -> "Future[Judged]":
        try:
            subject = read_rpm(fd)
        except MalformedRpmError as error:
            return _settled(Judged(self._judge_unfit(fd, path, package, error)))
        if package.nevra and subject.name != package.nevra:
            return _settled(Judged(_not_the_planned(package, subject.name)))
        rules = package_rules(self._policy, subject, package.repo)
        if not file_signatures_allowed(subject, rules):
            refused = refuse(subject.name, package.repo, Code.MALFORMED_RPM, FILE_SIGNATURES)
            return _settled(Judged(refused, subject.digests))
        case, judged = self._judge_subject(subject, package, rules)
        if any(rule.require for rule in rules):
            for look in Look:
                if not lacks_people(rules, judged.verdict):
                    break
                if self._take([package], source, look):
                    case, judged = self._judge_subject(subject, package, rules)
        if not any(rule.signed_by for rule in rules) and judged.verdict.code is not Code.OK:
            return _settled(judged)
        try:
            # What nobody released is not read: it is whatever a mirror sends, and refused by the rules.
            released = any(standing.good for standing in case.question.releases.values())
            listing = self._listing(package) if released else None
        except (MetadataError, UnreadableError) as error:
            return _settled(judged.refused(Code(error.code), f"the metadata of {package.repo}: {error}"))
        return self._pool.submit(judge_bytes, AtHand(fd, path, subject, case, progress, listing), judged, self._checker)

    def _judge_unfit(self, fd: int, path: str, planned: Package, error: MalformedRpmError) -> Verdict:
        """A package that the profile refuses; where nothing is checked of it anyhow, its readable header is enough."""
        name = planned.nevra or path
        refused = refuse(name, planned.repo, Code(error.code), str(error))
        identity = read_identity(fd)
        if identity is None or (planned.nevra and identity.nevra != planned.nevra):
            return refused
        traits = planned_traits(identity.name, identity.obsoletes, planned.repo)
        rules = exempting_rules(self._policy, traits)
        if not rules:
            return refused
        return judge(self._policy, rules, (), name=identity.nevra, origin=planned.repo, now=self._now)

    def _judge_subject(self, subject: RpmSubject, package: Package, rules: Tuple[Rule, ...]) -> Tuple[Case, Judged]:
        """By the evidence for its digests alone: a rule that asks for the header's signature is not satisfied yet."""
        held = self._held.get(package.key, _NOTHING)
        releases = self._releases(package, rules)
        asked = Question(Kind.RPM, subject.name, subject.digests, package.repo, rules, held, releases)
        planned = self._accepted.pop(package.key, None)
        if planned is not None and planned[0].question == asked:
            return planned[0], self._concluded(planned[0], held, subject.digests, planned[1].verdict)
        case = self._checker.case(asked)
        case.traits = rpm_traits(subject, package.repo) if self._thorough else None
        self._checker.verify([case])
        return case, self._conclude(case, held, subject.digests)

    # Releases

    def _releases(self, package: Package, rules: Sequence[Rule]) -> Mapping[str, ReleaseStanding]:
        """How the package's repository stands, by the names of the rules that ask for it."""
        asking = [rule for rule in rules if rule.release is not None]
        repositories = self._asked_repositories() if asking else None
        metadata = None if repositories is None else repositories.metadata(package.key)
        if repositories is None or metadata is None:
            return _NONE
        return {rule.name: repositories.standing(metadata, rule) for rule in asking}

    def _asked_repositories(self) -> Optional[Repositories]:
        """Made, and imported, once a rule asks for a release, as in most policies none does; None without a source."""
        if self._repositories is None and self._release_source is not None:
            from multisig.repositories import Repositories

            self._repositories = Repositories(self._release_source, self._release_quorum, now=self._now)
        return self._repositories

    def _listing(self, package: Package) -> Optional[Listing]:
        metadata = None if self._repositories is None else self._repositories.metadata(package.key)
        return None if self._repositories is None or metadata is None else self._repositories.listing(metadata)

    def _release_quorum(
        self, digests: Digests, asked: ReleaseRequirement, channel: str, bundle: Bundle
    ) -> Tuple[Verdict, Optional[bytes]]:
        from multisig.release import SUBJECT

        rule = quorum_rule("quorum for the release", Kind.RELEASE.word, channel, asked.require)
        held = Held(together=bundle)
        case = self._checker.case(Question(Kind.RELEASE, SUBJECT, digests, SUBJECT, (rule,), held))
        self._checker.verify([case])
        judged = self._conclude(case, held, digests)
        return judged.verdict, judged.bundle

    # Evidence

    def _take(self, packages: Sequence[Package], source: EvidenceSource, look: Look) -> List[Package]:
        """Look in one place for the evidence of packages, once; those of which there is more now."""
        looked = self._looked[look]
        asking = [package for package in packages if package.key not in looked]
        looked.update([package.key for package in asking])
        found = source.fetch(asking, look) if asking else {}
        news = []
        for package in asking if found else ():
            if package.key not in found:
                continue
            held = self._held.get(package.key, _NOTHING)
            now = extend(held, found[package.key])
            if now is not held:
                self._held[package.key] = now
                news.append(package)
        return news

    def _conclude(self, case: Case, held: Held, digests: Optional[Digests]) -> Judged:
        verdict = self._checker.verdict(case, case.approvals, UNSEEN, [*held.notes, *case.ignored])
        wondering = self._thorough or lacks_people(case.question.rules, verdict)
        if wondering and case.evidence is not None and case.evidence.others:
            verdict = verdict._replace(ignored=verdict.ignored + self._checker.over_other_content(case, case.evidence))
        return self._concluded(case, held, digests, verdict)

    def _concluded(self, case: Case, held: Held, digests: Optional[Digests], verdict: Verdict) -> Judged:
        """A verdict with what it rests on."""
        approvals, looked_at = tuple(case.approvals), case if self._thorough else None
        if looked_at is not None and looked_at.evidence is not None:
            self._checker.look_beyond(looked_at, looked_at.evidence)
        if digests is None and verdict.accepted:  # a plan that is carried out is judged again, and that is recorded
            return Judged(verdict, digests, None, (), approvals, looked_at)
        shared = shared_to_keep(held, case, verdict.statements)
        return Judged(verdict, digests, bundle_to_keep(held, case), shared, approvals, looked_at)


def _decidable(rules: Sequence[Rule]) -> Tuple[Rule, ...]:
    """The rules that can be judged before the header is at hand."""
    return tuple(rule for rule in rules if rule.signed_by is None)


def _lacking(rules: Sequence[Rule], judged: Optional[Judged]) -> bool:
    """Whether more evidence could help: a plan that a repository's release stands against needs none."""
    return judged is None or lacks_people(_decidable(rules), judged.verdict)


def _settled(judged: Judged) -> "Future[Judged]":
    future: "Future[Judged]" = Future()
    future.set_result(judged)
    return future


def _not_the_planned(package: Package, found: str) -> Verdict:
    message = f"the file is another package than the repository's metadata says: {found}"
    return refuse(package.nevra, package.repo, Code.CONTENT_MISMATCH, message)
