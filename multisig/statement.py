# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements: the exact bytes that people sign.

An in-toto Statement v1 (https://github.com/in-toto/attestation, spec/v1/statement.md) in one canonical JSON encoding,
so that ``encode(parse(x)) == x`` for every accepted ``x`` and no second text means the same (docs/formats.md).
Pure: text in, values out.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import re
import time
from typing import Any, Dict, Iterable, Mapping, Optional, Set, Tuple

from multisig import strictjson
from multisig.errors import StatementError
from multisig.namedtuples import NamedTuple
from multisig.times import LAST_SECOND, timestamp

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_SUBJECTS = 2000
MAX_NAME = 1024
MAX_SOURCE = 4096
MAX_SERIAL = 10**18 - 1

_CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z", re.ASCII)
_SHA512 = re.compile(r"[0-9a-f]{128}\Z")
# NAME-EPOCH:VERSION-RELEASE.ARCH; one reading only: no part holds the separator that ends it.
NEVRA_PARTS = (r"[!-.0-~]+", r"[!-,.0-9;-~]+", r"[!-,.0-9;-~]+", r"[A-Za-z0-9_]+")
"""What name, version, release and architecture of an RPM are made of, as regular expressions."""
_NEVRA = re.compile(
    r"(?P<name>{})-(?P<epoch>0|[1-9][0-9]{{0,9}}):(?P<version>{})-(?P<release>{})\.(?P<arch>{})\Z".format(*NEVRA_PARTS)
)


class Kind(enum.Enum):
    """What a statement is about; the value is its predicateType."""

    RPM = "urn:multisig:rpm:v1"
    FILE = "urn:multisig:file:v1"
    TREE = "urn:multisig:tree:v1"
    RELEASE = "urn:multisig:release:v1"
    POLICY = "urn:multisig:policy:v1"

    @property
    def word(self) -> str:
        """The kind as policies and ``--kind`` write it: rpm, file or tree; also release and policy."""
        return self.name.lower()


class Digests(NamedTuple):
    """SHA-256 and SHA-512 of one subject, lower-case hex. Both must match; there is no choice between them."""

    sha256: str
    sha512: str


class Subject(NamedTuple):
    """One line of a statement. ``payload_sha256`` is of the signer's own compressed payload (RPMs only)."""

    name: str
    digests: Digests
    payload_sha256: Optional[str] = None


class Statement(NamedTuple):
    """What a person says: these subjects are approved for this channel. ``source`` is shown and never decided on.

    Releases and policies have a ``serial``, from 1, of which the highest one seen wins; releases also the times, in
    seconds since the epoch, at which they were ``issued`` and cease to be good (``expires``, the later one).
    """

    kind: Kind
    channel: str
    subjects: Tuple[Subject, ...]
    source: Optional[str] = None
    serial: Optional[int] = None
    issued: Optional[int] = None
    expires: Optional[int] = None


#: What the predicate of each kind has to hold, and what it may.
_PREDICATES: Mapping[Kind, Tuple[Set[str], Set[str]]] = {
    Kind.RPM: ({"channel"}, {"source"}),
    Kind.FILE: ({"channel"}, {"source"}),
    Kind.TREE: ({"channel"}, {"source"}),
    Kind.RELEASE: ({"channel", "serial", "issued", "expires"}, set()),
    Kind.POLICY: ({"channel", "serial"}, set()),
}


def is_channel(text: str) -> bool:
    return _CHANNEL.match(text) is not None


def is_nevra(text: str) -> bool:
    """Whether the text is NAME-EPOCH:VERSION-RELEASE.ARCH of printable ASCII, with exactly one way to take it apart."""
    return _NEVRA.match(text) is not None


def package_name(nevra: str) -> str:
    """The NAME in NAME-EPOCH:VERSION-RELEASE.ARCH; raises StatementError where it is none."""
    found = _NEVRA.match(nevra)
    if found is None:
        raise StatementError("not a package's full name", expected="NAME-EPOCH:VERSION-RELEASE.ARCH", got=_shown(nevra))
    return found["name"]


def digests_of(data: bytes) -> Digests:
    """The digests of these bytes."""
    return Digests(hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest())


def statement_id(text: str) -> str:
    """SHA-256 (hex) of a statement's text: how the journal, ledgers and ``retired: statements`` name it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def encode(statement: Statement) -> str:
    """The one canonical text of a statement: ASCII, keys sorted, no white space, no newline.

    Raises StatementError for values that no statement may hold, so what is signed can always be parsed.
    """
    text = _dumps(_to_json(statement))
    if parse(text) != statement:
        raise StatementError("the statement does not survive its own encoding")
    return text


def parse(text: str) -> Statement:
    """Parse a statement's exact text; raises StatementError unless it is the canonical encoding of a known type."""
    try:
        value = strictjson.loads(text)
    except ValueError as error:
        raise StatementError(f"the statement is not JSON: {error}") from None
    statement = _from_json(value)
    if _dumps(_to_json(statement)) != text:
        raise StatementError("the statement is not in canonical form")
    return statement


def make(
    kind: Kind,
    channel: str,
    subjects: Iterable[Subject],
    source: Optional[str] = None,
    *,
    serial: Optional[int] = None,
    issued: Optional[int] = None,
    expires: Optional[int] = None,
) -> Statement:
    """A statement over the subjects in canonical order; ``encode`` says whether it can be one.

    ``issued`` and ``expires`` are seconds since the epoch.
    """
    ordered = tuple(sorted(subjects, key=lambda subject: subject.name))
    return Statement(kind, channel, ordered, source, serial, issued, expires)


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _to_json(statement: Statement) -> Mapping[str, Any]:
    predicate: Dict[str, Any] = {"channel": statement.channel}
    if statement.source is not None:
        predicate["source"] = statement.source
    if statement.serial is not None:
        predicate["serial"] = statement.serial
    if statement.issued is not None:
        predicate["issued"] = _timestamp(statement.issued)
    if statement.expires is not None:
        predicate["expires"] = _timestamp(statement.expires)
    subjects = []
    for subject in statement.subjects:
        digest = {"sha256": subject.digests.sha256, "sha512": subject.digests.sha512}
        if subject.payload_sha256 is not None:
            digest["payload-sha256"] = subject.payload_sha256
        subjects.append({"digest": digest, "name": subject.name})
    return {
        "_type": STATEMENT_TYPE,
        "predicate": predicate,
        "predicateType": statement.kind.value,
        "subject": subjects,
    }


def _from_json(value: Any) -> Statement:
    top = _object(value, "the statement", {"_type", "predicate", "predicateType", "subject"})
    if top["_type"] != STATEMENT_TYPE:
        raise StatementError("unknown _type", expected=STATEMENT_TYPE, got=_shown(top["_type"]))
    kind = _kind(top["predicateType"])
    needed, optional = _PREDICATES[kind]
    predicate = _object(top["predicate"], "the predicate", needed, optional)
    channel = _text(predicate["channel"], "the channel")
    if not is_channel(channel):
        raise StatementError("not a channel name", expected="[a-z0-9][a-z0-9._-]{0,63}", got=_shown(channel))
    source = predicate.get("source")
    if source is not None and not 0 < len(_text(source, "the source")) <= MAX_SOURCE:
        raise StatementError(f"the source must have 1 to {MAX_SOURCE} characters")
    statement = Statement(
        kind,
        channel,
        _subjects(top["subject"], kind),
        source,
        _serial(predicate["serial"]) if "serial" in predicate else None,
        _time(predicate["issued"]) if "issued" in predicate else None,
        _time(predicate["expires"]) if "expires" in predicate else None,
    )
    if statement.issued is not None and statement.expires is not None and statement.issued >= statement.expires:
        raise StatementError("a release must expire after it was issued")
    return statement


def _serial(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SERIAL:
        raise StatementError("a serial is a whole number from 1", got=_shown(value))
    return value


def _time(value: Any) -> int:
    """Seconds since the epoch of a Timestamp (in-toto attestation, spec/v1/field_types.md: RFC 3339, UTC, "Z")."""
    if isinstance(value, str) and _TIMESTAMP.match(value) is not None:
        import calendar  # few statements have times, and this brings in the machine's locales

        with contextlib.suppress(ValueError):
            seconds = calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))
            if seconds >= 0:
                return seconds
    raise StatementError("a time is written as 2026-01-31T12:00:00Z", got=_shown(value))


def _timestamp(seconds: int) -> str:
    if not 0 <= seconds <= LAST_SECOND:
        raise StatementError("a time must lie in the years 1970 to 9999", got=seconds)
    return timestamp(seconds)


def _kind(value: Any) -> Kind:
    for kind in Kind:
        if kind.value == value:
            return kind
    raise StatementError("unknown predicateType", got=_shown(value))


def _subjects(value: Any, kind: Kind) -> Tuple[Subject, ...]:
    most = 1 if kind is Kind.RELEASE else MAX_SUBJECTS
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise StatementError(f"subject must be a list of 1 to {most}")
    subjects = tuple(_subject(item, kind) for item in value)
    for before, after in zip(subjects, subjects[1:]):
        if before.name >= after.name:
            raise StatementError("subjects must be sorted by name, each name once", got=_shown(after.name))
    return subjects


def _subject(value: Any, kind: Kind) -> Subject:
    item = _object(value, "a subject", {"digest", "name"})
    name = _text(item["name"], "a subject's name")
    if not _is_subject_name(name, kind):
        raise StatementError(f"not the name of a subject of kind {kind.word}", got=_shown(name))
    optional = {"payload-sha256"} if kind is Kind.RPM else set()
    digest = _object(item["digest"], "a digest", {"sha256", "sha512"}, optional)
    payload = digest.get("payload-sha256")
    return Subject(
        name,
        Digests(_hex(digest["sha256"], _SHA256), _hex(digest["sha512"], _SHA512)),
        None if payload is None and "payload-sha256" not in digest else _hex(payload, _SHA256),
    )


def _is_subject_name(name: str, kind: Kind) -> bool:
    if kind is Kind.RPM:
        return len(name) <= MAX_NAME and is_nevra(name)
    # A policy names its key files as it does itself: relative to its folder.
    parts = name.split("/") if kind is Kind.POLICY else [name]
    return len(name) <= MAX_NAME and not any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts)


def _hex(value: Any, pattern: "re.Pattern[str]") -> str:
    if not isinstance(value, str) or pattern.match(value) is None:
        raise StatementError("a digest must be lower-case hex of full length", got=_shown(value))
    return value


def _object(
    value: Any, what: str, required: "set[str]", optional: "frozenset[str] | set[str]" = frozenset()
) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise StatementError(f"{what} must be an object")
    missing, unknown = required - value.keys(), value.keys() - required - optional
    if missing:
        raise StatementError(f"{what} lacks {', '.join(sorted(missing))}")
    if unknown:
        raise StatementError(f"{what} has unknown keys", got=", ".join(_shown(key) for key in sorted(unknown)))
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise StatementError(f"{what} must be a string")
    if strictjson.has_lone_surrogate(value):
        raise StatementError(f"{what} holds a lone surrogate")
    return value


def _shown(value: object) -> str:
    return ascii(value)[:120]
