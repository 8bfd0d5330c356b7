# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements: one text for each meaning, and one meaning for each text."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any, Callable, Dict, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.errors import StatementError
from multisig.statement import (
    MAX_NAME,
    MAX_SERIAL,
    MAX_SOURCE,
    MAX_SUBJECTS,
    Digests,
    Kind,
    Statement,
    Subject,
    encode,
    is_channel,
    is_nevra,
    make,
    parse,
    statement_id,
)
from tests.unit.core import CHANNEL, NEVRA, digests

EXAMPLES = settings(max_examples=30, deadline=None)

GOOD: Dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicate": {"channel": CHANNEL, "source": "git+https://example.org/hello@0123"},
    "predicateType": "urn:multisig:rpm:v1",
    "subject": [
        {"digest": {"payload-sha256": "c" * 64, "sha256": "a" * 64, "sha512": "b" * 128}, "name": NEVRA},
        {"digest": {"sha256": "a" * 64, "sha512": "b" * 128}, "name": "world-0:1.0-1.noarch"},
    ],
}


def canonical(value: Any) -> str:
    """What the specification says: Python's json.dumps with these arguments."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def changed(edit: Callable[[Dict[str, Any]], object]) -> str:
    value = json.loads(canonical(GOOD))
    edit(value)
    return canonical(value)


def test_the_example_of_the_specification_is_read() -> None:
    text = canonical(GOOD)
    statement = parse(text)
    assert statement.kind is Kind.RPM
    assert (statement.channel, statement.source) == (CHANNEL, "git+https://example.org/hello@0123")
    assert statement.subjects[0] == Subject(NEVRA, Digests("a" * 64, "b" * 128), "c" * 64)
    assert statement.subjects[1].payload_sha256 is None
    assert encode(statement) == text


def test_a_statement_is_named_by_the_digest_of_its_text() -> None:
    assert statement_id(canonical(GOOD)) == hashlib.sha256(canonical(GOOD).encode()).hexdigest()


REENCODED: Dict[str, Callable[[str], str]] = {
    "a newline at the end": lambda text: text + "\n",
    "a blank at the beginning": lambda text: " " + text,
    "a byte order mark": lambda text: "\ufeff" + text,
    "blanks after colons": lambda text: text.replace(":", ": ", 1),
    "indented": lambda text: json.dumps(json.loads(text), sort_keys=True, indent=1),
    "keys in another order": lambda text: json.dumps(
        dict(reversed(list(json.loads(text).items()))), separators=(",", ":")
    ),
    "an escape for a letter": lambda text: text.replace("hello", "\\u0068ello", 1),
    "an escaped slash": lambda text: text.replace("https://in-toto", "https:\\/\\/in-toto", 1),
    "upper-case digest": lambda text: text.replace("a" * 64, "A" * 64),
    "a key twice, the same": lambda text: text.replace('"predicate":', '"predicate":{"channel":"x"},"predicate":', 1),
    "two statements": lambda text: text + text,
    "something after it": lambda text: text + "x",
    "cut off": lambda text: text[:-1],
    "a NUL after it": lambda text: text + "\0",
}


@pytest.mark.parametrize("how", sorted(REENCODED))
def test_exactly_one_encoding_is_accepted(how: str) -> None:
    with pytest.raises(StatementError):
        parse(REENCODED[how](canonical(GOOD)))


def test_characters_beyond_ascii_are_escaped_and_nothing_else_is_accepted() -> None:
    statement = make(Kind.FILE, CHANNEL, [Subject("übung 😀.iso", digests())])
    text = encode(statement)
    assert text.isascii()
    assert parse(text) == statement
    for other in (text.replace("\\u00fc", "ü"), text.replace("\\u00fc", "\\u00FC")):
        with pytest.raises(StatementError):
            parse(other)


def subject(**changes: Any) -> Callable[[Dict[str, Any]], object]:
    return lambda value: value["subject"][0].update(changes)


def digest(**changes: Any) -> Callable[[Dict[str, Any]], object]:
    return lambda value: value["subject"][0]["digest"].update(
        {name.replace("_", "-"): content for name, content in changes.items()}
    )


def put(name: str, content: Any) -> Callable[[Dict[str, Any]], object]:
    return lambda value: value.update({name: content})


def without(*path: str) -> Callable[[Dict[str, Any]], object]:
    def edit(value: Any) -> None:
        for step in path[:-1]:
            value = value[0][step] if isinstance(value, list) else value[step]
        del (value[0] if isinstance(value, list) else value)[path[-1]]

    return edit


WRONG: Dict[str, Callable[[Dict[str, Any]], object]] = {
    "another _type": put("_type", "https://in-toto.io/Statement/v0.1"),
    "_type a list": put("_type", ["https://in-toto.io/Statement/v1"]),
    "no _type": without("_type"),
    "another predicateType": put("predicateType", "urn:multisig:rpm:v2"),
    "predicateType a number": put("predicateType", 1),
    "no predicateType": without("predicateType"),
    "an unknown key": put("threshold", 1),
    "an unknown key of the predicate": lambda value: value["predicate"].update({"signers": 1}),
    "predicate a list": put("predicate", [CHANNEL]),
    "predicate null": put("predicate", None),
    "no channel": without("predicate", "channel"),
    "channel a list": put("predicate", {"channel": [CHANNEL]}),
    "channel null": put("predicate", {"channel": None}),
    "channel with a capital": put("predicate", {"channel": "Demo"}),
    "channel with a newline": put("predicate", {"channel": "demo\n"}),
    "channel empty": put("predicate", {"channel": ""}),
    "channel of 65 characters": put("predicate", {"channel": "a" * 65}),
    "channel that begins with a dash": put("predicate", {"channel": "-demo"}),
    "source empty": put("predicate", {"channel": CHANNEL, "source": ""}),
    "source null": put("predicate", {"channel": CHANNEL, "source": None}),
    "source a number": put("predicate", {"channel": CHANNEL, "source": 7}),
    "source too long": put("predicate", {"channel": CHANNEL, "source": "x" * (MAX_SOURCE + 1)}),
    "source with half a pair": put("predicate", {"channel": CHANNEL, "source": "\ud800"}),
    "no subject": put("subject", []),
    "subject an object": put("subject", GOOD["subject"][0]),
    "subject a string": put("subject", NEVRA),
    "a subject that is a string": put("subject", [NEVRA]),
    "subjects out of order": lambda value: value["subject"].reverse(),
    "a subject twice": lambda value: value["subject"].append(value["subject"][1]),
    "a subject's unknown key": subject(uri="https://example.org"),
    "a subject without a name": without("subject", "name"),
    "a subject without digests": without("subject", "digest"),
    "a name that is a number": subject(name=1),
    "a name that is null": subject(name=None),
    "no sha256": without("subject", "digest", "sha256"),
    "no sha512": without("subject", "digest", "sha512"),
    "sha1 besides": digest(sha1="d" * 40),
    "sha256 short": digest(sha256="a" * 63),
    "sha256 long": digest(sha256="a" * 65),
    "sha256 with a newline": digest(sha256="a" * 64 + "\n"),
    "sha256 not hex": digest(sha256="g" * 64),
    "sha256 empty": digest(sha256=""),
    "sha256 null": digest(sha256=None),
    "sha256 a number": digest(sha256=int("1" * 18)),
    "sha512 of the length of sha256": digest(sha512="b" * 64),
    "payload-sha256 null": digest(payload_sha256=None),
    "payload-sha256 empty": digest(payload_sha256=""),
    "payload-sha256 of the length of sha512": digest(payload_sha256="c" * 128),
    "true for a list": put("subject", True),
    "digits of another script": digest(sha256="\u0661" * 64),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_canonical_text_of_another_shape_is_refused(what: str) -> None:
    with pytest.raises(StatementError):
        parse(changed(WRONG[what]))


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.TREE])
def test_only_rpms_have_a_payload(kind: Kind) -> None:
    with pytest.raises(StatementError):
        parse(changed(put("predicateType", kind.value)))
    with pytest.raises(StatementError):
        encode(make(kind, CHANNEL, [Subject("image.iso", digests(), "c" * 64)]))


NOT_NEVRA = [
    "hello", "hello-1.0-1.noarch", "hello-0:1.0.noarch", "hello-00:1.0-1.noarch", "hello-01:1.0-1.noarch",
    "hello-:1.0-1.noarch", "hello-0:1.0-1", "hello-0:1.0-1.", "hello-0:1.0-1.no-arch",
    "hello-0:-1.noarch", "hello-0:1.0-.noarch", "-0:1.0-1.noarch", "hello-0:1:0-1.noarch", "hello-0:1.0-1:2.noarch",
    "hel lo-0:1.0-1.noarch", "hello-0:1.0-1.noarch\n", "héllo-0:1.0-1.noarch", "hello-0:1.0-1.noarch\0",
    "hello/x-0:1.0-1.noarch", "../hello-0:1.0-1.noarch", "hello-12345678901:1.0-1.noarch", "hello-0:1.0-1\t.noarch",
    "", " ", "hello\x7f-0:1.0-1.noarch",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_NEVRA)
def test_what_cannot_be_taken_apart_in_one_way_names_no_rpm(name: str) -> None:
    assert not is_nevra(name)
    with pytest.raises(StatementError):
        parse(changed(subject(name=name)))


PART = st.text("abc019._+~^", min_size=1, max_size=6)
NAMES = st.text("abc019._+-:", min_size=1, max_size=10)


@EXAMPLES
@given(NAMES, st.integers(0, 2**32 - 1), PART, PART, st.text("abc_64", min_size=1, max_size=6))
def test_a_nevra_has_one_reading(name: str, epoch: int, version: str, release: str, arch: str) -> None:
    """Whatever a name is made of, another one cannot give the same label."""
    label = f"{name}-{epoch}:{version}-{release}.{arch}"
    assert is_nevra(label)
    readings = []
    for first in range(len(label)):
        for second in range(first + 1, len(label)):
            if label[first] == "-" and label[second] == "-":
                middle, end = label[first + 1 : second], label[second + 1 :]
                if ":" not in middle or "." not in end:
                    continue
                readings += [
                    (label[:first], middle[:colon], middle[colon + 1 :], end[:dot], end[dot + 1 :])
                    for colon in range(len(middle))
                    for dot in range(len(end))
                    if middle[colon] == ":" and end[dot] == "."
                ]
    proper = [
        parts
        for parts in readings
        if all(parts) and parts[1].isdigit() and not set("-:") & set(parts[2] + parts[3]) and "." not in parts[4]
    ]
    assert proper == [(name, str(epoch), version, release, arch)]


@pytest.mark.parametrize("name", ["a/b", "/", ".", "..", "", "a\0b", "x" * (MAX_NAME + 1), "\ud800"])
def test_a_file_is_named_by_a_base_name(name: str) -> None:
    for kind in (Kind.FILE, Kind.TREE):
        with pytest.raises(StatementError):
            encode(make(kind, CHANNEL, [Subject(name, digests())]))


@pytest.mark.parametrize("name", ["image.iso", "a b\n", ".hidden", "...", "x" * MAX_NAME, "-0:"])
def test_any_base_name_of_a_file_will_do(name: str) -> None:
    text = encode(make(Kind.FILE, CHANNEL, [Subject(name, digests())]))
    assert parse(text).subjects[0].name == name


def batch(count: int) -> Statement:
    return make(Kind.RPM, CHANNEL, [Subject(f"p{number}-0:1-1.noarch", digests()) for number in range(count)])


def test_2000_subjects_fit_and_2001_do_not() -> None:
    assert len(parse(encode(batch(MAX_SUBJECTS))).subjects) == MAX_SUBJECTS
    with pytest.raises(StatementError):
        encode(batch(MAX_SUBJECTS + 1))


def test_one_name_with_two_contents_is_no_statement() -> None:
    with pytest.raises(StatementError):
        encode(make(Kind.RPM, CHANNEL, [Subject(NEVRA, digests()), Subject(NEVRA, digests("other"))]))


def test_what_is_encoded_can_be_parsed_or_is_not_encoded() -> None:
    for statement in (
        Statement(Kind.RPM, CHANNEL, ()),
        Statement(Kind.RPM, "No Channel", (Subject(NEVRA, digests()),)),
        Statement(Kind.RPM, CHANNEL, (Subject(NEVRA, Digests("a", "b")),)),
        Statement(Kind.RPM, CHANNEL, (Subject(NEVRA, digests()),), ""),
    ):
        with pytest.raises(StatementError):
            encode(statement)


@pytest.mark.parametrize("text", ["a", "0", "qubes-r4.3-stable", "a" * 64, "a_b.c-d"])
def test_channels(text: str) -> None:
    assert is_channel(text)


RELEASE: Dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicate": {
        "channel": CHANNEL, "expires": "2026-02-14T00:00:00Z", "issued": "2026-01-31T12:00:00Z", "serial": 7,
    },
    "predicateType": "urn:multisig:release:v1",
    "subject": [{"digest": {"sha256": "a" * 64, "sha512": "b" * 128}, "name": "repomd.xml"}],
}  # fmt: skip
POLICY: Dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicate": {"channel": CHANNEL, "serial": 8},
    "predicateType": "urn:multisig:policy:v1",
    "subject": [
        {"digest": {"sha256": "a" * 64, "sha512": "b" * 128}, "name": "keys/marek.asc"},
        {"digest": {"sha256": "c" * 64, "sha512": "d" * 128}, "name": "policy.yaml"},
    ],
}


def test_a_release_is_read_and_its_times_are_seconds() -> None:
    release = parse(canonical(RELEASE))
    assert (release.kind, release.serial) == (Kind.RELEASE, 7)
    assert (release.issued, release.expires) == (1769860800, 1771027200)
    assert encode(release) == canonical(RELEASE)


def test_a_policy_names_its_key_files_relative_to_its_folder() -> None:
    found = parse(canonical(POLICY))
    assert (found.kind, found.serial) == (Kind.POLICY, 8)
    assert [item.name for item in found.subjects] == ["keys/marek.asc", "policy.yaml"]


def _of_predicate(base: Dict[str, Any], **changes: Any) -> str:
    predicate = {**base["predicate"], **changes}
    kept = {name: value for name, value in predicate.items() if value is not ...}
    return canonical({**base, "predicate": kept})


WRONG_PREDICATES: Dict[str, str] = {
    **{f"release without {name}": _of_predicate(RELEASE, **{name: ...}) for name in ("serial", "issued", "expires")},
    "policy without serial": _of_predicate(POLICY, serial=...),
    "policy with an end": _of_predicate(POLICY, expires="2026-02-14T00:00:00Z"),
    "release with a source": _of_predicate(RELEASE, source="git+https://example.org"),
    "serial 0": _of_predicate(RELEASE, serial=0),
    "serial true": _of_predicate(RELEASE, serial=True),
    "serial a string": _of_predicate(RELEASE, serial="7"),
    "serial null": _of_predicate(RELEASE, serial=None),
    "serial of 19 digits": _of_predicate(RELEASE, serial=10**18),
    "expires a number": _of_predicate(RELEASE, expires=1771027200),
    "expires before it was issued": _of_predicate(RELEASE, expires="2026-01-31T11:59:59Z"),
    "expires when it was issued": _of_predicate(RELEASE, expires="2026-01-31T12:00:00Z"),
    "a time with fractions": _of_predicate(RELEASE, expires="2026-02-14T00:00:00.5Z"),
    "a time of another zone": _of_predicate(RELEASE, expires="2026-02-14T00:00:00+01:00"),
    "a time in lower case": _of_predicate(RELEASE, expires="2026-02-14t00:00:00z"),
    "a day that does not exist": _of_predicate(RELEASE, expires="2026-02-30T00:00:00Z"),
    "a leap second": _of_predicate(RELEASE, expires="2026-02-14T00:00:60Z"),
    "a time before 1970": _of_predicate(RELEASE, issued="1969-12-31T23:59:59Z"),
    "a time with a newline": _of_predicate(RELEASE, expires="2026-02-14T00:00:00Z\n"),
    "digits of another script in a time": _of_predicate(RELEASE, expires="2026-02-14T00:00:0\u0660Z"),
    "two subjects of a release": canonical({**RELEASE, "subject": POLICY["subject"]}),
    "a key file that climbs": canonical(POLICY).replace("keys/marek", "../marek"),
    "an absolute key file": canonical(POLICY).replace("keys/marek", "/marek"),
    "an rpm with a serial": _of_predicate(GOOD, serial=1),
}


@pytest.mark.parametrize("what", sorted(WRONG_PREDICATES))
def test_a_release_or_policy_of_another_shape_is_refused(what: str) -> None:
    with pytest.raises(StatementError):
        parse(WRONG_PREDICATES[what])


@pytest.mark.parametrize("seconds", [-1, 253402300800, 10**30])
def test_times_beyond_the_calendar_are_not_encoded(seconds: int) -> None:
    with pytest.raises(StatementError):
        encode(make(Kind.RELEASE, CHANNEL, [Subject("repomd.xml", digests())], serial=1, issued=0, expires=seconds))


# --- properties ------------------------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 3).map(str)
DIGESTS = st.builds(lambda one, two: Digests(digests(one).sha256, digests(two).sha512), NUMBERS, NUMBERS)
SOURCES = st.none() | st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)
SERIALS = st.integers(1, MAX_SERIAL)
TIMES = st.integers(0, 253402300799)
CHANNELS = st.sampled_from([CHANNEL, "a", "0_.-"])


@st.composite
def statements(draw: Callable[[Any], Any]) -> Statement:
    kind = draw(st.sampled_from(Kind))
    most = 1 if kind is Kind.RELEASE else 4
    names = st.builds(
        "{}-{}:{}-{}.{}".format, NAMES, st.integers(0, 99), PART, PART, st.sampled_from(["noarch", "x86_64"])
    )
    if kind is not Kind.RPM:
        allowed = st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0")
        names = st.text(allowed, min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
    payloads: st.SearchStrategy[Optional[str]] = st.none()
    if kind is Kind.RPM:
        payloads |= NUMBERS.map(lambda number: digests(number).sha256)
    lines = st.builds(Subject, names, DIGESTS, payloads)
    subjects = draw(st.lists(lines, min_size=1, max_size=most, unique_by=lambda item: item.name))
    if kind is Kind.POLICY:
        return make(kind, draw(CHANNELS), subjects, serial=draw(SERIALS))
    if kind is Kind.RELEASE:
        issued, end = sorted(draw(st.sets(TIMES, min_size=2, max_size=2)))
        return make(kind, draw(CHANNELS), subjects, serial=draw(SERIALS), issued=issued, expires=end)
    return make(kind, draw(CHANNELS), subjects, draw(SOURCES))


@EXAMPLES
@given(statements())
def test_a_statement_survives_its_encoding_which_is_the_specified_one(statement: Statement) -> None:
    text = encode(statement)
    assert parse(text) == statement
    assert canonical(json.loads(text)) == text


@settings(max_examples=10, deadline=None)
@given(statements(), statements())
def test_two_statements_never_share_a_text(one: Statement, other: Statement) -> None:
    assert (encode(one) == encode(other)) == (one == other)


def accepted(text: str) -> Optional[Statement]:
    """Anything but a StatementError comes out as it is."""
    with contextlib.suppress(StatementError):
        return parse(text)
    return None


MUTATION = st.tuples(st.floats(0, 0.999), st.integers(0, 3), st.text(max_size=3))


@EXAMPLES
@given(statements(), st.lists(MUTATION, min_size=1, max_size=3))
def test_no_change_of_a_text_is_accepted_unless_it_is_canonical_itself(
    statement: Statement, mutations: "list[Tuple[float, int, str]]"
) -> None:
    text = encode(statement)
    for place, length, new in mutations:
        at = int(place * len(text))
        text = text[:at] + new + text[at + length :]
    found = accepted(text)
    assert found is None or encode(found) == text


@EXAMPLES
@given(st.text(max_size=300) | st.lists(st.none() | st.booleans() | st.text(max_size=9), max_size=9).map(json.dumps))
def test_whatever_the_text_nothing_but_a_statement_error_comes_out(text: str) -> None:
    assert accepted(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PLACES = ["_type", "predicate", "predicateType", "subject"]


@EXAMPLES
@given(st.dictionaries(st.sampled_from(PLACES), JSON, min_size=1))
def test_no_value_of_another_type_gets_through_anywhere(junk: Dict[str, Any]) -> None:
    assert accepted(changed(lambda value: value.update(junk))) is None


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"_type":[', '{"_type":{"a":'])
def test_20000_open_brackets_are_a_statement_error(opening: str) -> None:
    with pytest.raises(StatementError):
        parse(opening + "[" * 20_000)
