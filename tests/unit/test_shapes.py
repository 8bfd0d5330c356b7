# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of headers' shapes speeds up and decides nothing: no header is judged by another one's."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Any, Iterator, List, Tuple

import pytest
import rpm

from fixtures.rpmedit import INT32, STRING, Header, Rpm
from fixtures.vectors.everything import all_vectors
from multisig.errors import MalformedRpmError
from multisig.subjects import header, manifest, structure
from multisig.subjects.rpm import read_installed
from tests.unit.rpm_samples import built

KEPT = (header._kept_shape, structure._checks, structure._file_columns, manifest._records)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("shapes"))[0]


def forget() -> None:
    for kept in KEPT:
        kept.cache_clear()


def sizes() -> List[int]:
    return [kept.cache_info().currsize for kept in KEPT]


def region(package: Rpm) -> bytes:
    return package.header.pack()[8:]


def judged(raw: bytes) -> Tuple[Any, ...]:
    """Everything that reading a region says."""
    try:
        subject = read_installed({rpm.RPMTAG_HEADERIMMUTABLE: raw})
    except MalformedRpmError as error:
        return error.code, str(error), error.tag
    return subject.name, subject.manifest, subject.digests, subject.files, subject.compressor, dict(subject.entries)


def regions() -> List[bytes]:
    """The headers of all vectors, as far as they can be taken apart."""
    found = []
    for vector in all_vectors():
        try:
            found.append(region(Rpm.parse(vector.blob)))
        except (ValueError, IndexError, KeyError, struct.error):
            continue
    return found


def test_headers_are_judged_alike_whichever_were_read_before() -> None:
    vectors = regions()
    assert len(vectors) > 400
    alone = []
    for raw in vectors:
        forget()
        alone.append(judged(raw))
    for seed in range(3):
        order = list(range(len(vectors)))
        random.Random(seed).shuffle(order)
        for place in order:
            assert judged(vectors[place]) == alone[place]


def test_a_good_header_does_not_open_the_door_to_a_bad_one_of_its_shape(everything: Rpm) -> None:
    good = region(everything)
    others = []
    for place, entry in enumerate(everything.header.entries):
        for count in (0, entry.count + 1, entry.count - 1, 1 << 30):
            other = everything.copy()
            other.header.entries[place] = replace(entry, count=count)
            others.append(region(other))
    alone = []
    for raw in others:
        forget()
        alone.append(judged(raw))
    # Where zeros follow that align the next tag, one text more is an empty one, and that is what rpm reads as well.
    assert [len(answer) for answer in alone].count(3) > 0.95 * len(others)
    assert len(judged(good)) > 3
    assert [judged(raw) for raw in others] == alone
    assert len(judged(good)) > 3


def test_what_is_kept_is_bounded_however_many_shapes_come_by(everything: Rpm) -> None:
    optional = (1010, 1011, 1015, 1020, 1123, 1155, 5012, 5034, 5096, 5100)
    package = everything.copy()
    for tag in optional:
        package.header.remove(tag)
    for number in range(header.SHAPES_KEPT + 100):
        one = package.copy()
        for bit, tag in enumerate(optional):
            if number >> bit & 1:
                one.header.set(tag, STRING, "x")
        assert len(judged(region(one))) > 3
    assert sizes() == [header.SHAPES_KEPT] * len(KEPT)


def test_nothing_is_kept_of_headers_whose_shape_is_refused(everything: Rpm) -> None:
    twice, unknown = everything.copy(), everything.copy()
    twice.header.entries.append(twice.header.entries[-1])
    unknown.header.add(999_999, INT32, [1])
    wrong = everything.copy()
    wrong.header.set(1000, INT32, [1])
    for package in (twice, unknown, wrong):
        assert len(judged(region(package))) == 3
    assert sizes()[1:] == [0, 0, 0]


def test_a_header_of_very_many_tags_takes_no_room() -> None:
    many = Header([], region=63)
    for tag in range(10_000, 10_000 + header.MAX_TAGS - 10):
        many.add(tag, INT32, [1], len(many.entries))
    assert judged(many.pack()[8:])[:1] == ("malformed-rpm",)
    assert sizes() == [0, 0, 0, 0]
