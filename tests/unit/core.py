# SPDX-License-Identifier: GPL-2.0-or-later
"""People, policies, statements, signatures and bundles for tests of the trust core, all made in memory.

Signatures have the form of real ones, which the parsers insist on, but their only number is the digest of what they
are over, so that FakeEngine can tell a good one from one over other bytes.
"""

from __future__ import annotations

import hashlib
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from multisig.bundle import Attestation, Bundle, encode
from multisig.gate import Package
from multisig.held import Find, Look
from multisig.openpgp import Checked, KeyRequirements, Outcome, PublicKey, Signature, Subkey, armor
from multisig.openpgp.armor import SIGNATURE
from multisig.policy import (
    AllOf,
    AnyOf,
    ContentSelector,
    Exemption,
    Key,
    Leaf,
    Policy,
    ReleaseRequirement,
    Requirement,
    Retirement,
    Rule,
    Signer,
)
from multisig.statement import Digests, Kind, Subject, make
from multisig.statement import encode as encode_statement
from tests.unit.openpgp_keys import join, mpi, subpacket

NOW = 1_720_000_000
EARLIER = NOW - 86400
CHANNEL = "demo-stable"
PEOPLE = ("marek", "joanna", "rafal", "simon", "wiktor")
NEVRA = "hello-0:1.0-1.noarch"
ED25519, SHA256 = 22, 8


def fingerprint(name: str) -> str:
    """The made-up fingerprint of a person's key, or of anything else with a name."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest().upper()


def public_key(
    name: str,
    *,
    expires: Optional[int] = None,
    revoked: bool = False,
    can_sign: bool = True,
    bits: int = 256,
    algorithm: int = ED25519,
    subkeys: Sequence[Subkey] = (),
) -> PublicKey:
    return PublicKey(
        fingerprint=fingerprint(name),
        algorithm=algorithm,
        bits=bits,
        created=0,
        expires=expires,
        can_sign=can_sign,
        revoked=revoked,
        user_ids=(name,),
        subkeys=tuple(subkeys),
        self_signed=0,
        binary=name.encode(),
    )


def subkey(name: str, *, expires: Optional[int] = None, bits: int = 256, algorithm: int = ED25519) -> Subkey:
    return Subkey(fingerprint(name), algorithm, bits, 0, expires, True, True, False)


def key(public: PublicKey, problem: Optional[str] = None) -> Key:
    return Key(public.fingerprint, f"keys/{public.user_ids[0]}.asc", public, problem)


def signer(
    name: str,
    *keys: Key,
    retired: Optional[int] = None,
    statements: Optional[Iterable[str]] = None,
    compromised: bool = False,
) -> Signer:
    """A person; with one ordinary key of the same name where no key is given. ``retired``: since when."""
    listed = None if statements is None else frozenset(statements)
    return Signer(
        name, keys or (key(public_key(name)),), None if retired is None else Retirement(retired, listed), compromised
    )


def leaf(threshold: int, members: Sequence[str] = PEOPLE, group: str = "builders") -> Leaf:
    return Leaf(threshold, group, tuple(members))


def all_of(*parts: Requirement) -> AllOf:
    return AllOf(parts)


def any_of(*parts: Requirement) -> AnyOf:
    return AnyOf(parts)


def rule(
    require: Optional[Requirement] = None,
    *,
    name: str = "our packages",
    kind: str = "rpm",
    repos: Optional[Sequence[str]] = None,
    packages: Optional[Sequence[str]] = None,
    content: Optional[ContentSelector] = None,
    channel: str = CHANNEL,
    exempt: Optional[Exemption] = None,
    signed_by: Optional[Tuple[Key, ...]] = None,
    release: Optional[ReleaseRequirement] = None,
    file_signatures: bool = False,
) -> Rule:
    return Rule(
        name=name,
        kind=kind,
        repos=None if repos is None else tuple(repos),
        packages=None if packages is None else tuple(packages),
        content=content,
        channel=channel if require is not None else None,
        require=require,
        release=release,
        signed_by=signed_by,
        exempt=exempt,
        file_signatures=file_signatures,
    )


def exemption(name: str = "lab", *, until: Optional[int] = None, repos: Optional[Sequence[str]] = None) -> Rule:
    return rule(name=name, repos=repos, exempt=Exemption("built here", until))


def policy(
    *rules: Rule,
    signers: Sequence[Signer] = (),
    quorum: Optional[Requirement] = None,
    channel: Optional[str] = None,
    requirements: Optional[KeyRequirements] = None,
) -> Policy:
    """A policy of these rules; its people are PEOPLE, unless ``signers`` says otherwise of one or adds some."""
    people = {name: signer(name) for name in PEOPLE}
    people.update((person.name, person) for person in signers)
    return Policy(
        serial=1,
        channel=channel,
        quorum=quorum,
        signers=people,
        groups={"builders": tuple(people)},
        key_requirements=requirements or KeyRequirements(),
        rules=rules,
        sha256="0" * 64,
    )


def digests(content: str = "content") -> Digests:
    return Digests(hashlib.sha256(content.encode()).hexdigest(), hashlib.sha512(content.encode()).hexdigest())


def statement(*subjects: Subject, kind: Kind = Kind.RPM, channel: str = CHANNEL, source: Optional[str] = None) -> str:
    """A statement's text; by default about NEVRA with the digests of ``digests()``."""
    return encode_statement(make(kind, channel, subjects or [Subject(NEVRA, digests())], source))


def signature(
    name: str,
    text: str,
    *,
    created: int = EARLIER,
    over: Optional[str] = None,
    unhashed: bytes = b"",
    hashed: bytes = b"",
) -> str:
    """An armored signature by the key or subkey called ``name``; ``over`` is what it is really over."""
    dates = subpacket(2, created.to_bytes(4, "big"))
    issuer = subpacket(33, b"\x04" + bytes.fromhex(fingerprint(name)))
    number = mpi(_number(text if over is None else over))
    packet = join(bytes([4, 0, ED25519, SHA256]), dates + issuer + hashed, unhashed, b"\0\0" + number + number)
    return armor(packet, SIGNATURE)


def _number(text: str) -> int:
    """Told from others' by the text, and small enough for EdDSA, which reads it from its other end."""
    return 1 << 255 | int(hashlib.sha256(text.encode()).hexdigest(), 16) & ~0xFF


def attest(text: str, *names: str, created: int = EARLIER) -> Attestation:
    """The statement with a good signature of each of these people."""
    return Attestation(text, tuple(signature(name, text, created=created) for name in names))


def bundle(*attestations: Attestation) -> bytes:
    return encode(Bundle(attestations))


class FakeEngine:
    """Finds a signature good where its number is the digest of the data, and the key or a subkey of it issued it.

    ``tried`` are the issuers of what it was asked about, in order. ``outcomes`` overrules what it finds of an issuer.
    """

    name = "fake"

    def __init__(self, outcomes: Optional[Mapping[str, Outcome]] = None) -> None:
        self.tried: List[str] = []
        self._outcomes = {fingerprint(name): outcome for name, outcome in (outcomes or {}).items()}

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        issuer = signature.issuer_fingerprint or ""
        self.tried.append(issuer)
        good = signature.packet.endswith(mpi(_number(data.decode()))) and key.could_have_issued(signature)
        outcome = self._outcomes.get(issuer, Outcome.GOOD) if good else Outcome.BAD
        return Checked(outcome, primary=key.fingerprint, issuer=issuer, created=signature.created)

    def close(self) -> None:
        """Nothing is kept."""


class FakeSource:
    """Bundles by package key; ``fresh`` are what a server gives when asked again. Notes what it was asked for.

    ``elsewhere`` is what an index has: attestations by package key. Whether it was asked for that is not noted.
    """

    def __init__(
        self,
        bundles: Mapping[int, bytes],
        fresh: Optional[Mapping[int, bytes]] = None,
        elsewhere: Optional[Mapping[int, Tuple[Attestation, ...]]] = None,
    ) -> None:
        self.asked: List[Tuple[bool, Set[int]]] = []
        self._bundles: Dict[Look, Mapping[int, bytes]] = {Look.BESIDE: bundles, Look.AFRESH: fresh or {}}
        self._elsewhere = elsewhere or {}

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        keys = {package.key for package in packages}
        if look is Look.INDEX:
            return {number: Find(attestations=found) for number, found in self._elsewhere.items() if number in keys}
        if look in (Look.PLACES, Look.MIRRORS):
            return {}
        self.asked.append((look is Look.AFRESH, keys))
        return {number: Find(bundle=raw) for number, raw in self._bundles[look].items() if number in keys}
