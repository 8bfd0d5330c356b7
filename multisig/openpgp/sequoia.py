# SPDX-License-Identifier: GPL-2.0-or-later
"""Verification by Sequoia, in this process, through pysequoia (tested: 0.1.28 to 0.1.35, with sequoia-openpgp 2).

pysequoia lists nothing of a key, knows only Sequoia's standard policy, and has no clock to set. It judges a key as it
was on the signature's date. So it is asked for the cryptography alone, with a key that holds only the self-signatures
that were read (keys.py); premises.py decides the rest. Three questions that it cannot answer so go to another engine:

- signatures older than the key's latest self-signature. They are common: gpg replaces the self-signature when a key's
  expiry date is moved, and exports the latest alone. To Sequoia such a key did not exist before.
- elliptic curves that not all builds of Sequoia know;
- signatures from ahead of the real clock, where the engine's was moved there (--at).
"""

from __future__ import annotations

import base64
import importlib
import time
from typing import Any, Callable, Dict, Optional, Tuple

from multisig.errors import EngineError, SignatureFormatError, UncheckedSignatureError
from multisig.openpgp.keys import keyring_for
from multisig.openpgp.model import Checked, Engine, Issuer, Outcome, PublicKey, Signature
from multisig.openpgp.packets import canonical
from multisig.openpgp.premises import FUTURE_ALLOWANCE, conclude, settle

INSTALL = "install python3-pysequoia (Fedora; elsewhere pysequoia from PyPI), or set openpgp = gpgv"

#: Curves that every build of Sequoia knows; "" is no curve.
_CURVES = frozenset({"", "Ed25519", "NIST P-256", "NIST P-384", "NIST P-521"})

# A key and its signature over b"multisig", made by gpg for the self-test.
_TEST_KEY = """
mDMEXgvhABYJKwYBBAHaRw8BAQdAcrBLNJOiPxs0+bbC/YXqTedAB9bhZNeAJOJhB/ETFgi0Em11bHRpc2lnIHNlbGYtdGVzdIiQBBMWCAA4FiEEwJfq
5QRRQjQsf9U97kmw+sNGyTkFAl4L4QACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ7kmw+sNGyTloxwEA1lryixprW+Br4m7vYne557StCH9v
BlAQBtGMhamnfDYA/2iYwXux+WsJzuRB5+tHmH4opslr5pC0UBVSdulXyawJ"""
_TEST_FINGERPRINT = "C097EAE5045142342C7FD53DEE49B0FAC346C939"
_TEST_SIGNATURE = """
iHUEABYIAB0WIQTAl+rlBFFCNCx/1T3uSbD6w0bJOQUCXg0ygAAKCRDuSbD6w0bJOchSAP9OmsB5KM7NBRlCv57zNyjix/rtJ9OCgSbAeNXWv4dPqgEA
3qChY7kU5Eq/1WEksxJpDY3VUxb6I/JE8hnMu4gDvw8="""


class SequoiaEngine:
    """An Engine (see model.py). ``other`` is asked what Sequoia cannot answer; None: such signatures do not count,
    unless the key's file still holds what it was like at the time.

    ``clock`` gives the time, in seconds since the epoch. Raises EngineError where pysequoia is missing, or is not
    what it was when this was written.
    """

    name = "sequoia"

    def __init__(self, other: Optional[Engine] = None, *, clock: Callable[[], float] = time.time) -> None:
        self._sequoia = _load()
        self._other = other
        self._clock = clock
        self._certs: Dict[Tuple[bytes, Optional[str]], Any] = {}

    def close(self) -> None:
        """Close the other engine, and forget the keys."""
        self._certs.clear()
        if self._other is not None:
            self._other.close()

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        """Verify ``signature`` over exactly ``data`` with only what ``key`` says. Thread-safe.

        Raises UncheckedSignatureError where Sequoia, or the other engine where that is asked, fails on it.
        """
        now = int(self._clock())
        settled = settle(signature, key, now)
        issuer = key.issuer(signature)
        if settled is not None or issuer is None:
            return settled or Checked(Outcome.BAD, "the signature is by another key")
        older = signature.created < issuer.settled
        # Of dates ahead of the real clock, where ours has been moved, Sequoia says what it says of a false signature.
        ahead = signature.created > time.time() + FUTURE_ALLOWANCE
        if self._other is not None and (older or ahead or not issuer.curves <= _CURVES):
            return self._ask_other(self._other, data, signature, key)
        return conclude(self._ask(data, signature, issuer, whole=older), signature, key, now)

    def _ask_other(self, other: Engine, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        try:
            return other.verify(data, signature, key)
        except UncheckedSignatureError:
            raise
        except EngineError as error:
            # It would have to answer for every signature otherwise, and anybody can write an old date.
            raise UncheckedSignatureError(f"Sequoia cannot check it, and {other.name} cannot either: {error}") from None

    def _ask(self, data: bytes, signature: Signature, issuer: Issuer, *, whole: bool) -> Checked:
        """Whether Sequoia finds exactly one valid signature: this one, by a part of this key that is for signing."""
        try:
            packet = _guarded(self._sequoia.Sig.from_bytes, canonical(signature))
            cert = self._cert(signature, issuer.primary, whole=whole)
            result = _guarded(self._sequoia.verify, bytes=data, store=lambda _: [cert], signature=packet)
        except SignatureFormatError as error:
            return Checked(Outcome.BAD, str(error))
        except _RefusedError:
            return Checked(Outcome.BAD, _why(older=whole))
        found = [(valid.certificate.upper(), valid.signing_key.upper()) for valid in result.valid_sigs]
        if len(found) != 1 or found[0][0] != issuer.primary.fingerprint or found[0][1] not in issuer.fingerprints:
            return Checked(Outcome.BAD, "the signature is by another key")
        created = packet.created
        if created is None or int(created.timestamp()) != signature.created:
            return Checked(Outcome.BAD, "Sequoia reads another date than the signature's")
        return Checked(Outcome.GOOD, primary=found[0][0], issuer=found[0][1], created=signature.created)

    def _cert(self, signature: Signature, key: PublicKey, *, whole: bool) -> Any:
        """The key as Sequoia's value, kept for the run; ``whole`` leaves the older self-signatures in."""
        identity = (key.digest, None if whole else signature.issuer_keyid)
        cert = self._certs.get(identity)
        if cert is None:
            cert = _guarded(self._sequoia.Cert.from_bytes, key.binary if whole else keyring_for(key, signature))
            self._certs[identity] = cert
        return cert


class _RefusedError(Exception):
    """Sequoia's no, or its word that something cannot be read; it gives no reason that could be told apart."""


def _guarded(call: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """Call into pysequoia. Its errors are RuntimeErrors; what else comes out of it is a failure of its own.

    A panic of the Rust code arrives as PanicException, which derives from BaseException and cannot be imported.
    """
    try:
        return call(*arguments, **named)
    except RuntimeError:
        raise _RefusedError from None
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise UncheckedSignatureError(f"Sequoia failed on it ({type(error).__name__})") from None
        raise


def _why(*, older: bool) -> str:
    if older:
        return "the signature is older than the key's latest self-signature, and Sequoia finds nothing that covers it"
    return "the signature is not over this content, or not by this key"


def _load() -> Any:
    """Import pysequoia and see that it does what is expected of it: a known good signature, and a known bad one."""
    try:
        sequoia = importlib.import_module("pysequoia")
    except ImportError as error:
        raise EngineError(f"Sequoia cannot be used: {error}; {INSTALL}") from None
    try:
        cert = _guarded(sequoia.Cert.from_bytes, base64.b64decode(_TEST_KEY))
        packet = _guarded(sequoia.Sig.from_bytes, base64.b64decode(_TEST_SIGNATURE))
        result = _guarded(sequoia.verify, bytes=b"multisig", store=lambda _: [cert], signature=packet)
        told = [(valid.certificate.upper(), valid.signing_key.upper()) for valid in result.valid_sigs]
        as_expected = told == [(_TEST_FINGERPRINT, _TEST_FINGERPRINT)] and packet.created.year == 2020
    except (_RefusedError, UncheckedSignatureError, AttributeError):
        as_expected = False
    if not as_expected or _accepts(sequoia, b"multisih", cert, packet):
        raise EngineError(f"this pysequoia fails the self-test; {INSTALL}")
    return sequoia


def _accepts(sequoia: Any, data: bytes, cert: Any, packet: Any) -> bool:
    try:
        _guarded(sequoia.verify, bytes=data, store=lambda _: [cert], signature=packet)
    except _RefusedError:
        return False
    return True
