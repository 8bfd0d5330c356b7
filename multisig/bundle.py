# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles: statements with their detached signatures, as they lie beside an RPM, file or folder (docs/formats.md).

A bundle carries evidence and nothing else. One of the wrong shape is refused as a whole; one of the right shape may
hold statements and signatures that are nonsense: those are for ``evidence`` to set aside with a reason. Pure.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from multisig import strictjson
from multisig.errors import BundleError
from multisig.namedtuples import NamedTuple

MAX_BUNDLE = 1 << 20
MAX_ATTESTATIONS = 64
MAX_SIGNATURES = 64
BUNDLE_TYPE = "bundle/v1"
SUFFIX = ".msig"


class Attestation(NamedTuple):
    """One statement's exact text and the armored signatures over its UTF-8 bytes, as received."""

    statement: str
    signatures: Tuple[str, ...]


class Bundle(NamedTuple):
    attestations: Tuple[Attestation, ...]


def parse(data: bytes, *, limit: int = MAX_BUNDLE) -> Bundle:
    """Parse a bundle file's bytes; raises BundleError where anything of its shape is wrong (never anything else).

    ``limit``: in bytes; a batch's bundle, which lies beside no single package, may be larger than others.
    """
    if len(data) > limit:
        raise BundleError("the bundle is too large", expected=f"at most {limit} bytes", got=f"{len(data)} or more")
    if not data:
        raise BundleError("the bundle is empty")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"the bundle is not UTF-8 (byte {error.start})") from None
    value = _load(text[:-1] if text.endswith("\n") else text)
    if not isinstance(value, dict) or value.keys() != {"multisig", "attestations"}:
        raise BundleError('a bundle has exactly the keys "multisig" and "attestations"')
    if value["multisig"] != BUNDLE_TYPE:
        raise BundleError("unknown bundle type", expected=BUNDLE_TYPE, got=ascii(value["multisig"])[:80])
    attestations = _list(value["attestations"], "attestations", MAX_ATTESTATIONS)
    return Bundle(tuple(attestation(item) for item in attestations))


def encode(bundle: Bundle) -> bytes:
    """The bytes of a bundle file, one attestation's parts a line; raises BundleError where a limit is exceeded."""
    value = {
        "multisig": BUNDLE_TYPE,
        "attestations": [
            {"statement": item.statement, "signatures": list(item.signatures)} for item in bundle.attestations
        ],
    }
    data = (json.dumps(value, ensure_ascii=True, indent=1) + "\n").encode("ascii")
    if parse(data) != bundle:
        raise BundleError("the bundle does not survive its own encoding")
    return data


def united(attestations: Iterable[Attestation]) -> Mapping[str, Tuple[str, ...]]:
    """Each statement where it first stands, with every signature on it, each once, in the order they came."""
    union: Dict[str, Dict[str, None]] = {}
    for item in attestations:
        union.setdefault(item.statement, {}).update(dict.fromkeys(item.signatures))
    return {statement: tuple(signatures) for statement, signatures in union.items()}


def merge(bundles: Iterable[Bundle]) -> Bundle:
    """The set union: every statement once, every signature text once under it, in one order whatever the inputs' is.

    Raises BundleError where the union no longer fits a bundle; nothing is dropped to make it fit.
    """
    union = united(item for bundle in bundles for item in bundle.attestations)
    if len(union) > MAX_ATTESTATIONS:
        raise BundleError("too many statements to merge", expected=f"at most {MAX_ATTESTATIONS}", got=len(union))
    for signatures in union.values():
        if len(signatures) > MAX_SIGNATURES:
            raise BundleError(
                "too many signatures of one statement to merge",
                expected=f"at most {MAX_SIGNATURES}",
                got=len(signatures),
            )
    return Bundle(tuple(Attestation(text, tuple(sorted(union[text]))) for text in sorted(union)))


class Room:
    """Fills a bundle up to its limits; what does not fit is passed over for what may."""

    # What encode() adds around a statement and a signature, and around them all.
    _FRAME, _AROUND_STATEMENT, _AROUND_SIGNATURE = 64, 64, 8

    def __init__(self) -> None:
        self.taken: Dict[str, List[str]] = {}
        self.size = self._FRAME

    def take(self, text: str, armored: Optional[str], limit: int) -> None:
        """Take in a signature over a statement's text, or the text alone; not where that made it more than ``limit``
        bytes, or more of anything than a bundle may hold."""
        known = self.taken.get(text)
        more = 0
        if known is None:
            if len(self.taken) >= MAX_ATTESTATIONS:
                return
            more += len(json.dumps(text)) + self._AROUND_STATEMENT
        elif armored is None or len(known) >= MAX_SIGNATURES:
            return
        if armored is not None:
            more += len(json.dumps(armored)) + self._AROUND_SIGNATURE
        if self.size + more > limit:
            return
        self.size += more
        signatures = self.taken.setdefault(text, [])
        if armored is not None:
            signatures.append(armored)

    def bundle(self) -> Bundle:
        """What has found room."""
        return Bundle(tuple(Attestation(text, tuple(signatures)) for text, signatures in self.taken.items()))


def attestation(value: Any) -> Attestation:
    """An attestation from the JSON value of one; raises BundleError where anything of its shape is wrong."""
    if not isinstance(value, dict) or value.keys() != {"statement", "signatures"}:
        raise BundleError('an attestation has exactly the keys "statement" and "signatures"')
    signatures = _list(value["signatures"], "signatures", MAX_SIGNATURES)
    return Attestation(_text(value["statement"]), tuple(_text(item) for item in signatures))


def _load(text: str) -> Any:
    if not text.startswith("{") or not text.endswith("}"):
        raise BundleError("a bundle is one JSON object with nothing before it, and after it at most one newline")
    try:
        return strictjson.loads(text)
    except ValueError as error:
        raise BundleError(f"the bundle is not JSON: {error}") from None


def _list(value: Any, what: str, limit: int) -> List[Any]:
    if not isinstance(value, list):
        raise BundleError(f"{what} must be a list")
    if len(value) > limit:
        raise BundleError(f"too many {what}", expected=f"at most {limit}", got=len(value))
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BundleError("statements and signatures must be strings")
    if strictjson.has_lone_surrogate(value):
        raise BundleError("a string holds a lone surrogate")
    return value
