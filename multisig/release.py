# SPDX-License-Identifier: GPL-2.0-or-later
"""Release statements: which state of a repository is the current one, and until when. Pure.

A release statement (docs/formats.md) names one repomd.xml by its digests. That file holds the checksums of all other
metadata, and these those of every package; so whoever signs it says that just these packages belong together, and the
statement's serial and times say which such set is the newest and how long it may be served.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Protocol, Sequence, Tuple

from multisig.bundle import MAX_SIGNATURES, Attestation, Bundle, united
from multisig.errors import ReleaseError, StatementError
from multisig.namedtuples import NamedTuple
from multisig.openpgp.premises import FUTURE_ALLOWANCE
from multisig.policy import ReleaseRequirement
from multisig.statement import Digests, Kind, Statement, Subject, encode, make, parse, statement_id
from multisig.times import DAY, told_span, told_time
from multisig.verdict import Code, ReleaseStanding, Verdict

SUBJECT = "repomd.xml"
DEFAULT_VALIDITY = 14 * DAY
# A statement's serial is nobody's word until it is signed: one that nobody could have reached is not counted on from.
PLAUSIBLE_SERIAL = 10**9
KEPT = 16


class Release(NamedTuple):
    """A release statement in a bundle: what it says, its exact text, and the signatures over it, not verified."""

    statement: Statement
    text: str
    signatures: Tuple[str, ...]

    @property
    def serial(self) -> int:
        return self.statement.serial or 0

    @property
    def issued(self) -> int:
        return self.statement.issued or 0

    @property
    def expires(self) -> int:
        return self.statement.expires or 0

    @property
    def digests(self) -> Digests:
        return self.statement.subjects[0].digests

    def alone(self) -> Bundle:
        """A bundle of this statement and nothing else."""
        starts = range(0, max(1, len(self.signatures)), MAX_SIGNATURES)
        return Bundle(tuple(Attestation(self.text, self.signatures[at : at + MAX_SIGNATURES]) for at in starts))


class Quorum(Protocol):
    """Whether enough people signed: a verdict on what is in this bundle alone."""

    def __call__(self, bundle: Bundle) -> Verdict: ...


def releases(bundle: Bundle, channel: Optional[str] = None) -> Tuple[Release, ...]:
    """The release statements in a bundle, of ``channel`` where one is given, the highest serial first."""
    found: Dict[str, Statement] = {}
    for attestation in bundle.attestations:
        try:
            statement = parse(attestation.statement)
        except StatementError:
            continue
        if statement.kind is Kind.RELEASE and statement.subjects[0].name == SUBJECT:
            found[attestation.statement] = statement
    signatures = united(bundle.attestations)
    known = [Release(statement, text, signatures[text]) for text, statement in found.items()]
    return tuple(
        sorted(
            (item for item in known if channel in (None, item.statement.channel)),
            key=lambda item: (-item.serial, -item.expires, item.text),
        )
    )


def judge_release(
    bundle: Bundle, digests: Digests, *, repo: str, channel: str, asked: ReleaseRequirement, seen: int, now: int,
    quorum: Quorum,
) -> ReleaseStanding:  # fmt: skip
    """How the repository ``repo``, whose repomd.xml has these digests, stands by the release statements in a bundle.

    Each statement is judged by its own signatures: two people who signed two statements signed nothing together.
    Steps, for each statement of the channel, the highest serial first: 1. It names this repomd.xml. 2. The quorum
    signed it. 3. It was not issued more than 300 s ahead of the clock. 4. It has not expired. 5. It is not older than
    the rule allows. 6. Its serial is not below ``seen``, the highest one remembered. The first that passes all of them
    decides; where none does, the first that the quorum signed says why, or the first at all.
    """
    known = releases(bundle, channel)
    failed: List[ReleaseStanding] = []
    for release in known:
        if release.digests != digests:
            continue
        verdict = quorum(release.alone())
        standing = ReleaseStanding(
            repo, channel, False, verdict.code, verdict.message, release.serial, statement_id(release.text),
            min(release.expires, release.issued + asked.max_age), verdict.signers, verdict.ignored,
        )  # fmt: skip
        if not verdict.accepted:
            text = f"the release statement of {repo} lacks signatures: {verdict.message}"
            failed.append(standing._replace(text=text))
            continue
        problem = _untimely(release, asked, seen, now)
        if problem is None:
            text = f"release {release.serial} of {repo}, signed by {', '.join(verdict.signers)}"
            return standing._replace(good=True, code=Code.OK, text=text)
        code, text = problem
        failed.insert(_signed(failed), standing._replace(code=code, text=f"{_named(repo, release)} {text}"))
    if failed:
        return failed[0]
    return _absent(repo, channel, known, bundle)


def _signed(failed: Sequence[ReleaseStanding]) -> int:
    """How many of these the quorum did sign; they come first."""
    return sum(standing.code in (Code.EXPIRED, Code.ROLLBACK) for standing in failed)


def _untimely(release: Release, asked: ReleaseRequirement, seen: int, now: int) -> Optional[Tuple[Code, str]]:
    if release.issued > now + FUTURE_ALLOWANCE:
        return Code.EXPIRED, f"was issued in the future, on {told_time(release.issued)}; is this machine's clock right?"
    if release.expires < now:
        return Code.EXPIRED, f"expired {told_span(now - release.expires)} ago, on {told_time(release.expires)}"
    if now - release.issued > asked.max_age:
        age, limit = told_span(now - release.issued), told_span(asked.max_age)
        return Code.EXPIRED, f"is {age} old, and the rule allows {limit}"
    if release.serial < seen:
        return Code.ROLLBACK, f"is older than release {seen}, which this machine has seen"
    return None


def _named(repo: str, release: Release) -> str:
    return f"the release statement of {repo} (serial {release.serial})"


def _absent(repo: str, channel: str, known: Sequence[Release], bundle: Bundle) -> ReleaseStanding:
    if known:
        text = f"the release statements of {repo} are for another repomd.xml: its metadata are not the released ones"
        return ReleaseStanding(repo, channel, False, Code.CONTENT_MISMATCH, text)
    others = sorted({item.statement.channel for item in releases(bundle)})
    what = f"; there are some for {', '.join(others[:3])}" if others else ""
    text = f"there is no release statement of {repo} for the channel {channel}{what}"
    return ReleaseStanding(repo, channel, False, Code.BELOW_THRESHOLD if others else Code.NO_BUNDLE, text)


def no_release(repo: str, channel: str, problem: Optional[str]) -> ReleaseStanding:
    """The standing of a repository without a bundle of release statements, or with a malformed one (``problem``)."""
    if problem is not None:
        text = f"the release statement of {repo} cannot be used: {problem}"
        return ReleaseStanding(repo, channel, False, Code.MALFORMED_BUNDLE, text)
    text = f"{repo} has no release statement (repodata/repomd.xml.msig)"
    return ReleaseStanding(repo, channel, False, Code.NO_BUNDLE, text)


def warning(standing: ReleaseStanding, asked: ReleaseRequirement, now: int) -> Optional[str]:
    """What to say while a release is still good, but not for long: within three days, or a quarter of what the rule
    allows where that is less."""
    left = standing.ends - now
    if not standing.good or left > min(3 * DAY, asked.max_age // 4):
        return None
    return (
        f"the release statement of {standing.repo} (serial {standing.serial}) expires in {told_span(left)}; "
        "without a new one its packages are refused from then on"
    )


def to_sign(
    bundle: Bundle, digests: Digests, channel: str, *, now: int, expires: int, serial: Optional[int], renew: bool
) -> Tuple[Release, bool]:
    """The release statement that a person is to sign for the repomd.xml with these digests, and whether it is there
    already: others have signed it, and only one and the same text reaches a quorum.

    The newest statement of the channel is joined if it is for this repomd.xml and has not expired; unless ``renew``
    asks for a new one. A new one is issued ``now``, until ``expires``, under ``serial``, or where that is None under
    the number after the highest there is. Raises ReleaseError where what is there must not be joined or counted on.
    """
    known = releases(bundle, channel)
    newest = known[0] if known else None
    current = newest is not None and newest.digests == digests and newest.expires >= now
    if newest is not None and current and not renew and serial in (None, newest.serial):
        _check_joinable(newest, now, expires)
        return newest, True
    highest = newest.serial if newest is not None else 0
    if serial is None and highest >= PLAUSIBLE_SERIAL:
        raise ReleaseError(
            f"the bundle holds a release with the serial {highest}, which nobody can have reached; remove it, or "
            "choose one with --serial"
        )
    if serial is not None and serial <= highest:
        raise ReleaseError(f"there is a release {highest} already, and serials only grow", expected=f"{highest + 1}")
    subject = Subject(SUBJECT, digests)
    statement = make(Kind.RELEASE, channel, [subject], serial=serial or highest + 1, issued=now, expires=expires)
    return Release(statement, encode(statement), ()), False


def _check_joinable(release: Release, now: int, expires: int) -> None:
    """What somebody else wrote must not promise more than this person would: they sign it in full."""
    if release.issued > now + FUTURE_ALLOWANCE:
        raise ReleaseError(f"release {release.serial} was issued in the future, on {told_time(release.issued)}")
    if release.expires > expires + FUTURE_ALLOWANCE:
        raise ReleaseError(
            f"release {release.serial}, which is there already, is to last until {told_time(release.expires)}, longer "
            f"than you would let it ({told_time(expires)}); say --valid or --expires to agree, or --renew for a new one"
        )


def without_old(bundle: Bundle, now: int) -> Bundle:
    """The bundle with at most KEPT release statements: of those that expired, the ones with the lowest serials go.

    What has expired can approve nothing any more, and a bundle's number of statements is limited.
    """
    known = releases(bundle)
    expired = [item.text for item in known[1:] if item.expires < now]
    surplus = max(0, len(known) - KEPT)
    gone = set(expired[len(expired) - surplus :]) if surplus else set()
    return Bundle(tuple(item for item in bundle.attestations if item.statement not in gone))
