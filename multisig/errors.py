# SPDX-License-Identifier: GPL-2.0-or-later
"""The exception tree.

Every error carries the reason code that ``multisig verify --json`` prints (docs/formats.md) and fields a caller can
build a message from; ``str()`` is one line for a person: what is wrong, where, what was expected, what was found.
Library code raises these and nothing else on bad input; only the adapters (cli/, dnf-plugins/) turn them into text.
"""

from __future__ import annotations

from typing import Optional


class MultisigError(Exception):
    """Root of the tree.

    ``message`` says what is wrong; ``path`` names the file, where there is one; ``expected`` and ``got`` are shown
    when given. ``code`` is the reason code of the class.
    """

    code = "unreadable"

    def __init__(
        self,
        message: str,
        *,
        path: Optional[str] = None,
        expected: Optional[object] = None,
        got: Optional[object] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.got is not None:
            text += f", found {self.got}"
        return text

    def at(self, path: str) -> "MultisigError":
        """The same error, naming the file it was found in (unless it names one already)."""
        if self.path is None:
            self.path = path
        return self


class UnreadableError(MultisigError):
    """A file could not be opened, read or written; says nothing about what it holds."""


class UsageError(MultisigError):
    """The caller asked for something that cannot be: an option's value, a missing program."""


class ToolError(MultisigError):
    """Another program that was run to do a part of the work says that it failed."""


class SubjectError(MultisigError):
    """What was to be approved is not fit for approval."""

    code = "malformed-rpm"


class MalformedRpmError(SubjectError):
    """An RPM breaks a structural rule of the profile rpm/v1; ``tag`` is the header tag at fault, where there is one."""

    def __init__(
        self,
        message: str,
        *,
        tag: Optional[int] = None,
        path: Optional[str] = None,
        expected: Optional[object] = None,
        got: Optional[object] = None,
    ) -> None:
        super().__init__(message, path=path, expected=expected, got=got)
        self.tag = tag

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} (tag {self.tag})" if self.tag is not None else text


class WeakDigestError(MalformedRpmError):
    """A file of the RPM is bound by a digest weaker than SHA-256, or by none."""

    code = "weak-digest"


class PayloadMismatchError(MalformedRpmError):
    """The payload does not hold what the header says."""

    code = "payload-mismatch"


class MalformedTreeError(SubjectError):
    """A tree holds what a Manifest cannot describe (symbolic links, special files, odd names), or a false Manifest."""

    code = "content-mismatch"


class MetadataError(SubjectError):
    """A repository's metadata that are not what repomd.xml, or the format, says they are."""

    code = "content-mismatch"


class WeakMetadataError(MetadataError):
    """Metadata or packages that a repository binds by a checksum weaker than SHA-224, or by none."""

    code = "weak-digest"


class StatementError(MultisigError):
    """Bytes that are not a canonical statement of a known type."""

    code = "malformed-bundle"


class ReleaseError(MultisigError):
    """A release statement that a person should not sign, or cannot make."""


class BundleError(MultisigError):
    """A bundle of the wrong shape."""

    code = "malformed-bundle"


class IndexFormatError(MultisigError):
    """Bytes that are no index of evidence, or are more than one may be."""

    code = "malformed-bundle"


class OpenPGPError(MultisigError):
    """Armor, a packet or a key that is not what the profile asks for."""


class SignatureFormatError(OpenPGPError):
    """Text that is not exactly one armored, detached, version 4, class 00 signature."""

    code = "malformed-bundle"


class KeyFormatError(OpenPGPError):
    """A key file that does not hold exactly one usable transferable public key."""

    code = "policy-error"


class EngineError(OpenPGPError):
    """A signature could not be checked at all: no gpgv, no memory, no time. Never a statement about the signature."""


class UncheckedSignatureError(EngineError):
    """One signature could not be checked to the end: the engine crashed on it, or took too much time or memory.

    It does not count. Others may, or whoever can add to a bundle could keep everything from being installed.
    """


class PolicyError(MultisigError):
    """A policy that cannot be used. ``line`` and ``column`` count from 1; ``hint`` says what would be right."""

    code = "policy-error"

    def __init__(
        self,
        message: str,
        *,
        path: Optional[str] = None,
        line: Optional[int] = None,
        column: Optional[int] = None,
        hint: Optional[str] = None,
    ) -> None:
        super().__init__(message, path=path)
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        where = [str(part) for part in (self.path, self.line, self.column) if part is not None]
        text = ":".join(where) + ": " + self.message if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(MultisigError):
    """multisig.conf that cannot be used."""

    code = "policy-error"


class JournalError(MultisigError):
    """The journal could not be read or written."""


class LedgerError(MultisigError):
    """A signer's ledger could not be read or written."""


class RefusedError(MultisigError):
    """A transaction that must not go on; the message is the whole refusal, ready to be shown."""

    code = "below-threshold"
