# SPDX-License-Identifier: GPL-2.0-or-later
"""Looking a name up in a statement says of every text what parsing all of it says."""

from __future__ import annotations

import json
import time
from typing import List, Optional

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multisig.claims import _Located, claims
from multisig.errors import StatementError
from multisig.statement import MAX_NAME, MAX_SUBJECTS, Digests, Kind, Statement, Subject, encode, make, parse
from tests.unit.core import CHANNEL, NEVRA, digests, statement

SUBJECTS = (
    Subject("aaa-0:1-1.noarch", digests("a")),
    Subject("bbb-1:2~rc1-1.fc43.x86_64", digests("b"), digests("payload").sha256),
    Subject("ccc+x-0:1^git-1.noarch", digests("c")),
)
TEXT = statement(*SUBJECTS)


def outcome(text: str) -> Optional[Statement]:
    """What parsing says; None where it raises."""
    try:
        return parse(text)
    except StatementError:
        return None


def agree(text: str) -> bool:
    """Whether ``claims`` says the same; True where both take the text for a statement."""
    parsed = outcome(text)
    try:
        found = claims(text)
    except StatementError:
        assert parsed is None, "only the lookup refuses it"
        return False
    assert parsed is not None, "only the lookup accepts it"
    assert (found.kind, found.channel, found.data) == (parsed.kind, parsed.channel, text.encode())
    for subject in parsed.subjects:
        assert found.named(subject.name) == subject
    assert found.holding(parsed.subjects[-1].digests) is not None
    assert found.named("nobody-0:1-1.noarch") is None
    assert found.holding(digests("of nothing")) is None
    return True


def test_a_batch_is_looked_up_without_parsing_its_lines() -> None:
    assert agree(TEXT)
    assert isinstance(claims(TEXT).lines, _Located)


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.TREE])
def test_other_kinds_are_parsed(kind: Kind) -> None:
    assert agree(statement(Subject("a.iso", digests("a")), Subject('b".iso', digests("b")), kind=kind))


def test_a_statement_with_a_source_in_any_script_is_the_same_statement() -> None:
    marker = f'"predicateType":"{Kind.RPM.value}","subject":['
    for source in ("git+https://example.org/x@1", "ü\n\0", marker, marker + "{}]}", json.dumps(marker), "\\" * 9):
        assert agree(statement(*SUBJECTS, source=source)), source


def test_unusual_names_are_looked_up_too() -> None:
    for name in ('quote"-0:1-1.noarch', "back\\slash-0:1-1.noarch", "x" * (MAX_NAME - 13) + "-0:1-1.noarch"):
        assert agree(statement(*SUBJECTS, Subject(name, digests("odd"))))


def test_as_many_subjects_as_a_statement_may_have_and_no_more() -> None:
    subjects = [Subject(f"n{number:05d}-0:1-1.noarch", digests(str(number))) for number in range(MAX_SUBJECTS)]
    text = encode(make(Kind.RPM, CHANNEL, subjects))
    assert agree(text)
    line = json.dumps(json.loads(text)["subject"][-1], sort_keys=True, separators=(",", ":"))
    assert not agree(text.replace(line, line + "," + line.replace("n01999", "n02000")))


SHA = digests("a").sha256
CHANGES = {
    "a space": ('"subject":[', '"subject": ['),
    "a line end": ("]}", "]}\n"),
    "something before": ('{"_type"', ' {"_type"'),
    "an escape": ("aaa-", "\\u0061aa-"),
    "upper-case hex": (SHA, SHA.upper()),
    "short hex": (SHA, SHA[:-1]),
    "long hex": (SHA, SHA + "0"),
    "no hex": (SHA, "g" * 64),
    "a quote in a digest": (SHA, '"' + SHA[1:]),
    "another digest's name": ('"sha512"', '"sha513"'),
    "a key that folds to the same": ('"sha512"', '"sha612"'),
    "the payload's digest last": ('"sha256"', '"zayload-sha256"'),
    "the order": ("aaa-", "zzz-"),
    "a name twice": ("bbb-1:2~rc1-1.fc43.x86_64", "aaa-0:1-1.noarch"),
    "an epoch with a zero": ("bbb-1:", "bbb-01:"),
    "no epoch": ("bbb-1:", "bbb-"),
    "no architecture": (".noarch", ""),
    "a slash": ("bbb-", "b/b-"),
    "a space in a name": ("bbb-", "b b-"),
    "an empty name": ("aaa-0:1-1.noarch", ""),
    "another type": ("/Statement/", "/statement/"),
    "another kind": ("rpm:v1", "rpm:v2"),
    "a channel that is none": (CHANNEL, "Demo"),
    "an unknown key": ('"predicate":{', '"predicate":{"a":"b",'),
    "no list": ('"subject":[', '"subject":{'),
    "two lists": ('"subject":[', '"subject":[],"subject":['),
    "a comma too many": ("}]}", "},]}"),
    "a comma too few": ("},{", "}{"),
    "no comma but another character": ("},{", "};{"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_not_canonical_is_refused_by_both(change: "tuple[str, str]") -> None:
    old, new = change
    assert old in TEXT
    assert not agree(TEXT.replace(old, new))


def test_an_empty_list_is_refused_by_both() -> None:
    head, _, _ = TEXT.partition('"subject":[')
    assert not agree(head + '"subject":[]}')


PLACES = st.integers(0, len(TEXT) + 5)
LETTERS = '"{}[],:\\0aAfFgxé-~ '


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(PLACES, st.sampled_from(["put", "drop", "set"]), st.sampled_from(LETTERS)), max_size=3))
@example([])
def test_both_agree_on_every_text_near_a_statement(edits: "List[tuple[int, str, str]]") -> None:
    text = TEXT
    for at, what, letter in edits:
        text = text[:at] + (letter if what != "drop" else "") + text[at + (what != "put") :]
    agree(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text('abc-0:.19~^+_"\\é/ ', max_size=20), max_size=4), st.booleans())
def test_both_agree_on_every_name(names: List[str], sort: bool) -> None:
    ordered = sorted(names) if sort else names
    lines = [{"digest": digests(name)._asdict(), "name": name} for name in ordered]
    whole = {**json.loads(TEXT), "subject": lines}
    agree(json.dumps(whole, sort_keys=True, separators=(",", ":")))


def test_names_made_to_take_long_do_not() -> None:
    head, _, _ = TEXT.partition('"subject":[')
    begun = time.process_time()
    for name in ("-0:" * 300, "a-0:1-" + "." * 900, "-" * 1000, "a-0:1-1." + "a" * 900, "0-0:0-0.0" * 90):
        line = json.dumps({"digest": digests()._asdict(), "name": name}, separators=(",", ":"))
        agree(head + '"subject":[' + ",".join([line] * MAX_SUBJECTS) + "x]}")
    assert time.process_time() - begun < 20


def test_a_name_that_no_statement_can_hold_is_not_found() -> None:
    assert claims(TEXT).named("\udc80") is None
    assert claims(statement(Subject(NEVRA, Digests(SHA, digests("a").sha512)))).named(NEVRA) is not None
