# SPDX-License-Identifier: GPL-2.0-or-later
"""What a signer wants to know of a repository: signatures by their keys that they did not make, and keys that carry
their name and are not theirs.

The signer's ledger says what they made. A signature is verified before it is called theirs: anybody can write down
somebody's fingerprint as the issuer.
"""

from __future__ import annotations

import re
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from multisig.bundle import Attestation
from multisig.errors import SignatureFormatError, StatementError
from multisig.openpgp import Checked, Engine, Outcome, PublicKey, Signature, parse_signature
from multisig.policy import Policy
from multisig.statement import parse, statement_id

_MAIL = re.compile(r"[^\s<>@]+@[^\s<>@]+")


@dataclass(frozen=True)
class Misuse:
    """A statement that was signed with a key of the signer's and is not in their ledger.

    ``key``: of the primary, ``issuer``: of the part that signed. ``created``: the signature's date, seconds since the
    epoch. ``statement``: SHA-256 of its text; ``kind``, ``channel`` and ``names`` are None and empty where the text is
    no statement. ``sources``: the files that the signature was found in.
    """

    key: str
    issuer: str
    created: int
    statement: str
    kind: Optional[str]
    channel: Optional[str]
    names: Tuple[str, ...]
    sources: Tuple[str, ...]


@dataclass(frozen=True)
class Lookalike:
    """A key that passes for the signer's and is none of theirs: by a name or address that it carries, or by what the
    policy says. ``where``: what knows it."""

    fingerprint: str
    user_ids: Tuple[str, ...]
    where: str


@dataclass
class _Claim:
    """One signature that claims to be by a key of the signer's."""

    key: PublicKey
    text: str
    signature: Signature
    sources: Dict[str, None]


class Watcher:
    """Collects signatures that claim to be by one of ``own`` keys and are over nothing that ``signed`` lists.

    ``signed``: the statements (by SHA-256) that were signed with each key, by its primary's fingerprint.
    """

    def __init__(self, own: Sequence[PublicKey], signed: Mapping[str, FrozenSet[str]]) -> None:
        self._own = own
        self._signed = signed
        self._claims: Dict[Tuple[str, bytes, str], _Claim] = {}
        self.looked_at = 0

    def add(self, attestations: Iterable[Attestation], source: str) -> None:
        """Look at what a file holds; statements need not be well-formed, a signature over anything is a signature."""
        for item in attestations:
            identifier = statement_id(item.statement)
            for armored in item.signatures:
                self.looked_at += 1
                try:
                    signature = parse_signature(armored)
                except SignatureFormatError:
                    continue
                for key in self._own:
                    if key.could_have_issued(signature) and identifier not in self._signed.get(key.fingerprint, ()):
                        name = (key.fingerprint, signature.packet, identifier)
                        claim = self._claims.setdefault(name, _Claim(key, item.statement, signature, {}))
                        claim.sources[source] = None

    def misuse(self, engine: Engine, pool: Executor) -> List[Misuse]:
        """What of it is true, the newest first; of one statement and key one signature.

        A key that has expired or was revoked has been used all the same. Raises EngineError where that cannot be told.
        """
        claims = list(self._claims.values())
        found: Dict[Tuple[str, str], Misuse] = {}
        for claim, checked in zip(claims, pool.map(lambda claim: _checked(engine, claim), claims)):
            if checked.outcome is Outcome.BAD:
                continue
            one = _misuse(claim, checked)
            known = found.get((one.key, one.statement))
            if known is None or one.created > known.created:
                found[one.key, one.statement] = one
        return sorted(found.values(), key=lambda item: (-item.created, item.statement))


def lookalikes(
    own: Sequence[PublicKey], others: Iterable[Tuple[PublicKey, str]], policy: Optional[Policy]
) -> Iterator[Lookalike]:
    """Keys that pass for ``own`` ones: those of ``others``, each with what knows it, and of the policy, that share a
    name or an address with one; and those that the policy gives to the person whom it gives an own one."""
    mine = {key.fingerprint for key in own}
    names = {name for key in own for name in _names(key)}
    found: Dict[Tuple[str, str], Lookalike] = {}
    for key, where in others:
        if key.fingerprint not in mine and not names.isdisjoint(_names(key)):
            found[key.fingerprint, where] = Lookalike(key.fingerprint, key.user_ids, where)
    for signer in policy.signers.values() if policy is not None else ():
        same_person = any(key.fingerprint in mine for key in signer.keys)
        where = f"the policy, as a key of {signer.name}"
        for item in signer.keys:
            public = item.public
            if public.fingerprint not in mine and (same_person or not names.isdisjoint(_names(public))):
                found[public.fingerprint, where] = Lookalike(public.fingerprint, public.user_ids, where)
    yield from found.values()


def _checked(engine: Engine, claim: _Claim) -> Checked:
    return engine.verify(claim.text.encode("utf-8"), claim.signature, claim.key)


def _misuse(claim: _Claim, checked: Checked) -> Misuse:
    signature = claim.signature
    issuer = checked.issuer or signature.issuer_fingerprint or signature.issuer_keyid or ""
    kind = channel = None
    names: Tuple[str, ...] = ()
    try:
        statement = parse(claim.text)
        kind, channel = statement.kind.word, statement.channel
        names = tuple(subject.name for subject in statement.subjects)
    except StatementError:
        pass
    return Misuse(
        claim.key.fingerprint, issuer, signature.created, statement_id(claim.text), kind, channel, names,
        tuple(claim.sources),
    )  # fmt: skip


def _names(key: PublicKey) -> Iterator[str]:
    """What people know a key by: the names and addresses in its user ids, in one spelling."""
    for user_id in key.user_ids:
        for address in _MAIL.findall(user_id):
            yield address.casefold()
        name = " ".join(re.sub(r"<[^>]*>|\([^)]*\)", " ", user_id).split()).casefold()
        if name and not _MAIL.fullmatch(name):
            yield name
