# SPDX-License-Identifier: GPL-2.0-or-later
"""The values that OpenPGP parsing and checking hand to the rest: signatures, keys, and what an engine found."""

from __future__ import annotations

import enum
import hashlib
from functools import cached_property
from typing import (
    Dict,
    Final,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
    runtime_checkable,
)

from multisig.namedtuples import NamedTuple


class Signature(NamedTuple):
    """One detached signature whose armor and packet have been checked for form; not yet verified.

    ``packet`` is the binary packet with its packet header. ``created`` is the signer's claim, seconds since the epoch,
    and ``expires`` the moment from which the signer wants it not to count, None for never. Issuer fields are upper-case
    hex: 40 digits for a version 4 fingerprint, 16 for a key id. They are hints for the choice of a key to try and never
    decide anything. ``values`` are the algorithm's integers.
    """

    packet: bytes
    pubkey_algorithm: int
    hash_algorithm: int
    created: int
    issuer_fingerprint: Optional[str]
    issuer_keyid: Optional[str]
    expires: Optional[int] = None
    values: Tuple[int, ...] = ()


class Subkey(NamedTuple):
    """A subkey as its latest binding signature describes it (RFC 4880, 5.2.1). Times are seconds since the epoch.

    ``curve`` is the elliptic curve's name, empty for other algorithms and unknown curves; ``modulus`` RSA's, 0 for
    other algorithms. ``numbers`` is the SHA-256 of the curve and the public numbers, which are the same in whatever key
    the same secret stands. ``bound`` is the date of that binding, or of the subkey's own signature in it if that is
    later. ``weakly_signed``: one of these two is by a digest that is too weak.
    """

    fingerprint: str
    algorithm: int
    bits: int
    created: int
    expires: Optional[int]
    can_sign: bool
    back_signed: bool
    revoked: bool
    curve: str = ""
    modulus: int = 0
    bound: int = 0
    weakly_signed: bool = False
    numbers: bytes = b""

    @property
    def keyid(self) -> str:
        return self.fingerprint[-16:]


class _PublicKey(NamedTuple):
    fingerprint: str
    algorithm: int
    bits: int
    created: int
    expires: Optional[int]
    can_sign: bool
    revoked: bool
    user_ids: Tuple[str, ...]
    subkeys: Tuple[Subkey, ...]
    self_signed: int
    binary: bytes
    curve: str = ""
    modulus: int = 0
    weakly_signed: bool = False
    numbers: bytes = b""


class PublicKey(_PublicKey):
    """One transferable public key (RFC 4880, 11.1): exactly one version 4 primary key.

    ``binary`` is the dearmored key, fit for a gpgv keyring. ``bits`` is the modulus length for RSA and the field
    size for elliptic curves; ``curve``, ``modulus`` and ``numbers`` are as in Subkey. ``can_sign`` is what the key
    flags of the latest self-signature say, ``self_signed`` its date; ``weakly_signed``: it is by a digest that is too
    weak.
    """

    @property
    def keyid(self) -> str:
        return self.fingerprint[-16:]

    def signing_parts(self) -> Iterator[Union["PublicKey", Subkey]]:
        """The primary key and every subkey that could have issued a signature: those flagged for signing."""
        if self.can_sign:
            yield self
        for subkey in self.subkeys:
            if subkey.can_sign:
                yield subkey

    def issuer(self, signature: Signature) -> Optional["Issuer"]:
        """What the signature's issuer hints name of this key; None where that is nothing that is for signing."""
        return self._issuers.get(signature.issuer_fingerprint or signature.issuer_keyid or "")

    def could_have_issued(self, signature: Signature) -> bool:
        """Whether the signature's issuer hints name this key or one of its signing subkeys."""
        return self.issuer(signature) is not None

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of ``binary``."""
        return hashlib.sha256(self.binary).digest()

    @cached_property
    def _issuers(self) -> Mapping[str, "Issuer"]:
        """By fingerprint and by key id, of which the latter may name several parts."""
        named: Dict[str, List[Union[PublicKey, Subkey]]] = {}
        for part in self.signing_parts():
            named.setdefault(part.fingerprint, []).append(part)
            named.setdefault(part.keyid, []).append(part)
        return {hint: Issuer(self, tuple(parts)) for hint, parts in named.items()}


class Issuer:
    """The parts of a key that a hint names, one but where key ids collide; and the facts about them and their primary
    that decide on every signature, worked out once. Of several parts the worst counts."""

    def __init__(self, primary: PublicKey, parts: Tuple[Union[PublicKey, Subkey], ...]) -> None:
        self.primary: Final = primary
        self.parts: Final = parts

    @cached_property
    def fingerprints(self) -> FrozenSet[str]:
        """Those of the parts."""
        return frozenset(part.fingerprint for part in self.parts)

    @cached_property
    def revoked(self) -> bool:
        return any(part.revoked for part in self._all)

    @cached_property
    def weakly_signed(self) -> bool:
        return any(part.weakly_signed for part in self._all)

    @cached_property
    def created(self) -> int:
        """When the youngest of them was made."""
        return max(part.created for part in self._all)

    @cached_property
    def expires(self) -> Optional[int]:
        """When the first of them ends."""
        return min((part.expires for part in self._all if part.expires is not None), default=None)

    @cached_property
    def settled(self) -> int:
        """From when on all that the key's file says of them holds; a signature may well be older."""
        return max([self.primary.self_signed, *(part.bound for part in self.parts if isinstance(part, Subkey))])

    @cached_property
    def rsa_bits(self) -> Optional[int]:
        """Those of the shortest RSA key, None where there is none."""
        return min((part.modulus.bit_length() for part in self._all if part.modulus), default=None)

    @cached_property
    def moduli(self) -> Tuple[int, ...]:
        """The RSA moduli of the parts."""
        return tuple(part.modulus for part in self.parts if part.modulus)

    @cached_property
    def curves(self) -> FrozenSet[str]:
        """The names of their elliptic curves, "" for none and for unknown ones."""
        return frozenset(part.curve for part in self._all)

    @cached_property
    def _all(self) -> Tuple[Union[PublicKey, Subkey], ...]:
        return (self.primary, *self.parts)


class Outcome(enum.Enum):
    """What an engine found. Only GOOD counts; EXPIRED_KEY may count for people marked retired."""

    GOOD = "good"
    EXPIRED_KEY = "the key has expired"
    REVOKED_KEY = "the key is revoked"
    BAD = "the signature is not valid"


class Checked(NamedTuple):
    """An engine's finding about one signature, one key and the exact bytes signed.

    ``primary`` and ``issuer`` are the full fingerprints that the engine itself reported; ``created`` the signature's
    date in seconds since the epoch; all three are only meaningful for GOOD and EXPIRED_KEY. ``reason`` is for people.
    """

    outcome: Outcome
    reason: str = ""
    primary: str = ""
    issuer: str = ""
    created: int = 0


class Engine(Protocol):
    """Something that verifies a detached signature. Thread-safe: the gate calls it from a pool."""

    name: str

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        """Verify over exactly ``data`` with exactly ``key``.

        Raises EngineError where the engine cannot be used at all, UncheckedSignatureError where it failed on this one.
        """
        ...

    def close(self) -> None:
        """Release temporary files."""
        ...


@runtime_checkable
class Grouping(Protocol):
    """An engine for which it costs less to be asked about several signatures over the same bytes at once."""

    def verify_together(self, data: bytes, asked: Sequence[Tuple[Signature, PublicKey]]) -> List[Optional[Checked]]:
        """What ``verify`` would find of each, or None of those that it has to be asked about by itself.

        Raises EngineError where the engine cannot be used at all.
        """
        ...
