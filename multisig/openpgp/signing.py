# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing with python-gnupg, through the user's own gpg and agent.

No passphrase passes through here: gpg's agent asks for it, with its own pinentry, and smartcards work as always. Only
signing needs python-gnupg, so it is imported no earlier.
"""

from __future__ import annotations

import importlib
import io
import os
import re
from typing import Any, List, Optional

from multisig.errors import EngineError, SignatureFormatError, UsageError
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import PublicKey
from multisig.openpgp.packets import parse_signature

_FINGERPRINT = re.compile(r"[0-9A-F]{40}")

#: What must hold whatever the user's gpg.conf says. The signature is looked at again before it is given out.
_OPTIONS = ("--digest-algo", "SHA512", "--no-emit-version", "--no-comments")
# Split-GPG's client lets only listed options through, and this is not among them (QubesOS/qubes-app-linux-split-gpg,
# src/gpg-common.h, gpg_allowed_options). Where it matters and cannot be given, the signature is refused for its class.
_GPGS_OWN = ("--no-textmode",)


class Signer:
    """Signs as one person with one key.

    ``fingerprint`` is that of a primary key, of which gpg then chooses the part that signs, or of exactly the subkey to
    use: 40 hex digits, blanks allowed. ``gnupghome`` is None for the user's own; ``program`` is found through PATH, as
    the user's shell would, and may be another than gpg that takes gpg's options, as qubes-gpg-client-wrapper.

    Raises UsageError where the fingerprint, python-gnupg or gpg is missing.
    """

    def __init__(self, fingerprint: str, gnupghome: Optional[str] = None, program: str = "gpg") -> None:
        self.fingerprint = re.sub(r"\s", "", fingerprint).upper()
        if not _FINGERPRINT.fullmatch(self.fingerprint):
            raise UsageError("a key is named by its whole fingerprint, 40 hex digits", got=repr(fingerprint))
        self._gpg = _gnupg(gnupghome, program)
        self._own_options = _GPGS_OWN if os.path.basename(program) in ("gpg", "gpg2") else ()
        self._key: Optional[PublicKey] = None

    def public_key(self) -> PublicKey:
        """The public key from the user's keyring; raises UsageError if it is not there or has no part that can sign."""
        if self._key is None:
            self._key = self._checked(self.exported())
        return self._key

    def exported(self) -> PublicKey:
        """The public key as the user's keyring has it, whatever its state; UsageError if it is not there."""
        exported: bytes = self._gpg.export_keys(self.fingerprint, armor=False)
        if not exported:
            raise UsageError(f"gpg has no key {self.fingerprint}; gpg --list-secret-keys shows those that it has")
        return parse_public_key(exported, path=f"key {self.fingerprint}")

    def sign(self, data: bytes) -> str:
        """Return an armored, detached signature over exactly ``data``.

        Raises EngineError with gpg's own words where it did not sign, and where what it made is not what is accepted
        when verifying.
        """
        key = self.public_key()
        # With the exclamation mark gpg uses exactly this part, not the newest one of the same key.
        user = self.fingerprint if self.fingerprint == key.fingerprint else self.fingerprint + "!"
        extra: List[str] = [*_OPTIONS, *self._own_options, "--local-user", user]
        result = self._gpg.sign_file(io.BytesIO(data), detach=True, clearsign=False, extra_args=extra)
        if not result.data:
            raise EngineError(f"gpg did not sign: {_last_words(result.stderr)}")
        try:
            armored = bytes(result.data).decode("ascii")
            signature = parse_signature(armored)
        except (UnicodeDecodeError, SignatureFormatError) as error:
            raise EngineError(f"gpg made a signature that would not count: {error}; look into gpg.conf") from error
        if not key.could_have_issued(signature):
            raise EngineError("gpg signed with another key than the one asked for; look into gpg.conf")
        return armored

    def _checked(self, key: PublicKey) -> PublicKey:
        if self.fingerprint == key.fingerprint:
            able = any(not part.revoked for part in key.signing_parts())
        else:
            able = any(part.fingerprint == self.fingerprint and not part.revoked for part in key.signing_parts())
        if key.revoked:
            raise UsageError(f"the key {self.fingerprint} is revoked")
        if not able:
            raise UsageError(f"the key {self.fingerprint} has no part that can sign")
        return key


def _gnupg(gnupghome: Optional[str], program: str) -> Any:
    """python-gnupg's object for this gpg. Another package of the same module name exists, and is of no use."""
    try:
        module = importlib.import_module("gnupg")
    except ImportError:
        raise UsageError(
            "signing needs python-gnupg: apt install python3-gnupg, or dnf install python3-gnupg (EPEL on RHEL)"
        ) from None
    try:
        return module.GPG(gpgbinary=program, gnupghome=gnupghome)
    except (AttributeError, TypeError):
        raise UsageError("the Python module gnupg is not python-gnupg: apt install python3-gnupg") from None
    except OSError:
        raise UsageError(f"gpg could not be started: {program}; apt install gnupg, or dnf install gnupg2") from None
    except ValueError as error:
        raise UsageError(f"gpg cannot be used: {error}") from error


def _last_words(output: object) -> str:
    """The last line of gpg's messages, without its name; status lines are among them."""
    lines = [line for line in str(output).splitlines() if line.strip() and not line.startswith("[GNUPG:]")]
    text = lines[-1].strip() if lines else "it gave no reason"
    text = text.partition(": ")[2] if text.startswith("gpg: ") else text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
