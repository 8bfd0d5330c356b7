# SPDX-License-Identifier: GPL-2.0-or-later
"""The last look at a file, whose header and evidence have been judged: signatures in it, its payload, its release.

This runs in threads. It is handed all that it works with, and touches nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Sequence, Tuple

from multisig.bundle import Attestation
from multisig.checking import Case, Checker
from multisig.errors import MalformedRpmError, UnreadableError
from multisig.namedtuples import NamedTuple
from multisig.statement import Digests
from multisig.subjects import Progress
from multisig.subjects.payload import hash_payload, names_payload, prove_payload
from multisig.subjects.rpm import RpmSubject
from multisig.vendor import UNSEEN, HeaderEvidence
from multisig.verdict import Approval, Code, Verdict, refuse

if TYPE_CHECKING:
    from multisig.repositories import Listing


class Judged(NamedTuple):
    """A verdict, and what it rests on: the digests judged, the bundle used, what counted of the attestations from
    elsewhere, and whose word was good. ``case`` is all that was looked at, where it came so far, and ``proof`` says in
    words why the payload is the right one, where it was looked at."""

    verdict: Verdict
    digests: Optional[Digests] = None
    bundle: Optional[bytes] = None
    attestations: Tuple[Attestation, ...] = ()
    approvals: Tuple[Approval, ...] = ()
    case: Optional[Case] = None
    proof: str = ""

    def refused(self, code: Code, message: str) -> "Judged":
        """The same with a refusal in the verdict's place."""
        return self._replace(verdict=refuse(self.verdict.name, self.verdict.origin, code, message))


class AtHand(NamedTuple):
    """A file that is being judged: ``path`` names it for people; ``listing``, if there is one, has to hold it."""

    fd: int
    path: str
    subject: RpmSubject
    case: Case
    progress: Optional[Progress]
    listing: Optional[Listing]


def judge_bytes(hand: AtHand, judged: Judged, checker: Checker) -> Judged:
    """The final verdict; ``judged`` is the one by the evidence alone.

    1. Where rules ask for the header's signature, it is looked at, and the rules are judged once more. 2. The payload
    is proven, or vouched for. 3. The file is one that its repository's release lists. Raises UnreadableError.
    """
    verdict, header, proof = judged.verdict, UNSEEN, ""
    try:
        if any(rule.signed_by for rule in hand.case.question.rules):
            header = _header_evidence(hand, checker)
            verdict = checker.verdict(hand.case, judged.approvals, header, verdict.ignored)
        if verdict.code is Code.OK:
            proof = _prove(hand, judged.approvals, header, checker)
            if hand.listing is not None and not hand.listing.holds(hand.fd, hand.path):
                text = f"the file is none of those that the released metadata of {hand.listing.repo} list"
                return judged.refused(Code.CONTENT_MISMATCH, text)
    except MalformedRpmError as error:
        return judged.refused(Code(error.code), str(error))
    except UnreadableError as error:
        raise error.at(hand.path) from None
    return judged._replace(verdict=verdict, proof=proof)


def _header_evidence(hand: AtHand, checker: Checker) -> HeaderEvidence:
    from multisig.subjects.signatures import read_header_signatures, signed_bytes

    found = read_header_signatures(hand.fd)
    return checker.header(hand.case.question.rules, signed_bytes(hand.subject), found.packets, found.problems)


def _prove(hand: AtHand, approvals: Sequence[Approval], header: HeaderEvidence, checker: Checker) -> str:
    """Prove the payload, or find its bytes vouched for: by people's statements, and for rules that ask for the header's
    signature by the digest of the payload in that header, if it gives one. Says which. Raises MalformedRpmError.

    Only for what ``approvals`` and ``header`` have the rules accept.
    """
    payload = hash_payload(hand.fd, hand.subject, progress=hand.progress)
    vouching = [item for item in approvals if item.payload == payload]
    bound = header if header is UNSEEN or names_payload(hand.subject) else UNSEEN
    # All that the verdict rests on vouches for them: no need to judge the same once more.
    everything = len(vouching) == len(approvals) and bound is header
    if everything or checker.verdict(hand.case, vouching, bound).accepted:
        who = ", ".join(dict.fromkeys(item.signer for item in vouching)) or "the signed header"
        return f"its bytes are those that {who} vouched for"
    prove_payload(hand.fd, hand.subject, progress=hand.progress)
    return "unpacked, and each file is the one that the header says"
