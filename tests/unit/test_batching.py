# SPDX-License-Identifier: GPL-2.0-or-later
"""Batches: every subject in one statement, every statement in a bundle that readers take, as few of both as can be."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

from hypothesis import given
from hypothesis import strategies as st

from multisig.batching import lists, numbered, spread
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode, parse
from multisig.openpgp import MAX_ARMORED_SIGNATURE
from multisig.statement import MAX_SOURCE, MAX_SUBJECTS, Kind, Subject, make
from multisig.statement import encode as encode_statement
from multisig.statement import parse as parse_statement
from tests.unit.cli_bench import Bench, call
from tests.unit.core import CHANNEL, digests

SIGNATURE = "x" * MAX_ARMORED_SIGNATURE


def rpms(count: int, name: str = "package") -> List[Subject]:
    return [Subject(f"{name}{number:05}-0:1.0-1.noarch", digests(str(number)), "0" * 64) for number in range(count)]


def texts_of(subjects: List[Subject], kind: Kind = Kind.RPM, source: Optional[str] = None) -> List[str]:
    found = lists([(kind, subject) for subject in subjects])
    return [encode_statement(make(kind, CHANNEL, some, source)) for kind, some in found]


def test_as_many_as_a_statement_may_hold_are_one_statement() -> None:
    for count, expected in ((1, 1), (MAX_SUBJECTS, 1), (MAX_SUBJECTS + 1, 2), (3 * MAX_SUBJECTS, 3)):
        texts = texts_of(rpms(count))
        assert len(texts) == expected
        assert sum(len(parse_statement(text).subjects) for text in texts) == count


ODD_NAMES = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=1000
).filter(lambda name: name not in (".", ".."))


@given(st.lists(ODD_NAMES, min_size=1, max_size=40, unique=True), st.integers(1, 60))
def test_whatever_the_names_each_statement_has_room_in_a_bundle_with_any_signature(
    names: List[str], copies: int
) -> None:
    """Names of files may be of any characters, and some take seven bytes in JSON within JSON."""
    subjects = [Subject(f"{name[:900]}{number}", digests("")) for number in range(copies) for name in names]
    subjects = list({subject.name: subject for subject in subjects}.values())
    texts = texts_of(subjects, Kind.FILE, "\u2028" * (MAX_SOURCE // 2))
    found = [subject.name for text in texts for subject in parse_statement(text).subjects]
    assert sorted(found) == sorted(subject.name for subject in subjects)
    for text in texts:
        assert len(encode(Bundle((Attestation(text, (SIGNATURE,)),)))) <= MAX_BUNDLE


def test_kinds_are_not_mixed() -> None:
    pairs = [(Kind.FILE, Subject("a", digests())), *((Kind.RPM, subject) for subject in rpms(2))]
    assert {kind: len(some) for kind, some in lists(pairs)} == {Kind.FILE: 1, Kind.RPM: 2}


def filled(texts: List[str], held: Dict[str, Bundle]) -> Dict[str, Bundle]:
    """What the files hold once each statement has a signature."""
    files = dict(held)
    for text, name in zip(texts, spread(texts, "all.msig", held.get)):
        before = {item.statement: item.signatures for item in files.get(name, Bundle(())).attestations}
        before[text] = (*before.get(text, ()), SIGNATURE)
        files[name] = Bundle(tuple(Attestation(*item) for item in before.items()))
    return files


def test_statements_go_into_the_next_file_where_one_has_no_room() -> None:
    texts = texts_of(rpms(5000))
    files = filled(texts, {})
    assert sorted(files) == ["all-2.msig", "all-3.msig", "all.msig"]
    assert all(len(encode(bundle)) <= MAX_BUNDLE for bundle in files.values())
    few = texts_of(rpms(20)) + texts_of(rpms(20, "other"))
    assert list(filled(few, {})) == ["all.msig"]


def test_what_is_in_the_files_stays_and_a_statement_goes_where_it_is_already() -> None:
    texts = texts_of(rpms(5000))
    held = {"all.msig": Bundle((Attestation(texts[0], ("y" * 100,)),))}
    files = filled(texts, held)
    assert files["all.msig"].attestations[0].signatures == ("y" * 100, SIGNATURE)
    again = spread(texts, "all.msig", files.get)
    assert again == spread(texts, "all.msig", held.get)


def test_a_bundle_has_room_for_so_many_statements_however_short() -> None:
    texts = [text for number in range(70) for text in texts_of(rpms(1, f"n{number}-"))]
    files = filled(texts, {})
    assert {name: len(bundle.attestations) for name, bundle in files.items()} == {"all.msig": 64, "all-2.msig": 6}


def test_files_are_numbered_before_their_extension() -> None:
    assert [numbered("d.x/all.msig", number) for number in (1, 2, 13)] == [
        "d.x/all.msig", "d.x/all-2.msig", "d.x/all-13.msig",
    ]  # fmt: skip
    assert numbered("all", 2) == "all-2"


def test_a_release_of_more_than_one_bundle_is_signed_and_told(bench: Bench, tmp_path: Path) -> None:
    folder = bench.folder / "files"
    folder.mkdir()
    paths = [folder / f"{'long-name-' * 20}{number:04}" for number in range(2500)]
    for path in paths:
        path.write_bytes(path.name.encode())
    bench.people.key("marek")
    words = ("--key", bench.people.home.fingerprints["marek"], "--gnupghome", bench.people.home.path)
    out = bench.folder / "all.msig"
    ran = call("sign", *words, "--channel", CHANNEL, "--batch", out, *paths)
    assert (ran.rc, ran.err) == (0, "")
    assert f"signed into {out}, {bench.folder / 'all-2.msig'}" in ran.out
    names = [
        subject.name
        for file in (out, bench.folder / "all-2.msig")
        for item in parse(file.read_bytes()).attestations
        for subject in parse_statement(item.statement).subjects
    ]
    assert sorted(names) == [path.name for path in paths]
    ran = call("sign", *words, "--channel", CHANNEL, "--batch", out, *paths)
    assert (ran.rc, ran.err.count("already signed")) == (0, 2)
