# SPDX-License-Identifier: GPL-2.0-or-later
"""The signature header, which nobody signs: read within bounds, and nothing in it taken for more than a claim."""

from __future__ import annotations

import base64
import struct
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import BIN, INT32, STRING, STRING_ARRAY, Header, Rpm, Value
from fixtures.rpmjudge import judged, opened
from fixtures.vendor import SIGTAG_DSA, SIGTAG_OPENPGP, SIGTAG_RSA, header_bytes, with_signatures
from multisig.errors import MalformedRpmError
from multisig.subjects.signatures import (
    MAX_PACKET,
    MAX_SIGNATURES,
    HeaderSignatures,
    parse_signature_header,
    read_header_signatures,
    signed_bytes,
)

Item = Tuple[int, int, object]


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return Rpm.read(build(Recipe("hello.spec"), BUILDERS["marek"], tmp_path_factory.mktemp("built"))[0])


def parsed(*entries: Tuple[int, int, "Value | List[Value]"]) -> HeaderSignatures:
    """Of a signature header that holds these tags, types and values, in this order."""
    header = Header()
    for tag, kind, values in entries:
        header.add(tag, kind, values, at=len(header.entries))
    packed = header.pack()
    start = 16 + 16 * len(header.entries)
    return parse_signature_header(packed[16:start], packed[start:])


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_what_a_signature_is_over_is_the_header_with_its_magic(hello: Rpm) -> None:
    assert signed_bytes(judged(hello)) == header_bytes(hello)
    assert header_bytes(hello).startswith(b"\x8e\xad\xe8\x01\0\0\0\0")


def test_all_three_tags_are_read_and_the_same_packet_counts_once(hello: Rpm) -> None:
    package = with_signatures(hello, rsa=b"rsa", dsa=b"dsa", openpgp=[b"one", b"rsa", b"two", b"one"])
    with opened(package) as fd:
        assert read_header_signatures(fd) == HeaderSignatures((b"one", b"rsa", b"two", b"dsa"), ())


def test_a_package_without_signatures_has_none_and_no_problem(hello: Rpm) -> None:
    with opened(with_signatures(hello)) as fd:
        assert read_header_signatures(fd) == HeaderSignatures((), ())


def test_a_signature_over_header_and_payload_is_named_and_does_not_count() -> None:
    for tag in (1002, 1005, 1006):
        found = parsed((tag, BIN, b"packet"))
        assert found.packets == ()
        assert "header and payload together" in found.problems[0]
    assert parsed((SIGTAG_RSA, BIN, b"packet"), (1002, BIN, b"other")) == HeaderSignatures((b"packet",), ())


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ((SIGTAG_RSA, STRING, b"packet"), "another type"),
        ((SIGTAG_RSA, STRING_ARRAY, [b"packet"]), "another type"),
        ((SIGTAG_DSA, INT32, [1]), "another type"),
        ((SIGTAG_RSA, BIN, b""), "impossible length"),
        ((SIGTAG_RSA, BIN, bytes(MAX_PACKET + 1)), "impossible length"),
        ((SIGTAG_OPENPGP, BIN, b"packet"), "another type"),
        ((SIGTAG_OPENPGP, STRING, b64(b"packet")), "another type"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, [b64(bytes([n])) for n in range(MAX_SIGNATURES + 1)]), "impossible count"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, [b64(bytes(3 * MAX_PACKET))]), "cut off, or too long"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, [""]), "not canonical base64"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, [b64(b"packet") + "\n"]), "not canonical base64"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, ["cGFja2V0=="]), "not canonical base64"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, ["YR=="]), "not canonical base64"),
        ((SIGTAG_OPENPGP, STRING_ARRAY, ["pa\u00e7ket"]), "not canonical base64"),
    ],
)
def test_a_tag_that_is_not_as_rpm_writes_it_gives_no_signature(entry: Item, reason: str) -> None:
    tag, kind, values = entry
    other = (SIGTAG_DSA, BIN, b"other") if tag != SIGTAG_DSA else (SIGTAG_RSA, BIN, b"other")
    found = parsed((tag, kind, values), other)  # type: ignore[arg-type]
    assert found.packets == (b"other",)
    assert len(found.problems) == 1
    assert reason in found.problems[0]


def test_a_tag_that_stands_twice_gives_no_signature() -> None:
    found = parsed((SIGTAG_RSA, BIN, b"one"), (SIGTAG_RSA, BIN, b"two"), (SIGTAG_DSA, BIN, b"other"))
    assert found.packets == (b"other",)
    assert "twice" in found.problems[0]


def test_a_tag_whose_data_lies_beyond_the_header_gives_no_signature() -> None:
    entry = struct.Struct(">IIII")
    assert parse_signature_header(entry.pack(SIGTAG_RSA, BIN, 2, 4), b"12345").packets == ()
    assert parse_signature_header(entry.pack(SIGTAG_RSA, BIN, 0xFFFFFFFF, 4), b"12345").packets == ()
    assert parse_signature_header(entry.pack(SIGTAG_OPENPGP, STRING_ARRAY, 9, 1), b"YQ==").packets == ()
    assert parse_signature_header(entry.pack(SIGTAG_OPENPGP, STRING_ARRAY, 0, 2), b"YQ==\0Yg==").packets == ()


def test_a_file_that_ends_within_its_signature_header_is_malformed(hello: Rpm) -> None:
    whole = hello.pack()
    for length in (0, 96, 100, 112, 130):
        with opened(whole[:length]) as fd, pytest.raises(MalformedRpmError):
            read_header_signatures(fd)


@given(st.lists(st.tuples(st.sampled_from([267, 268, 278, 1002, 1007]), st.integers(0, 12), st.integers(0, 60),
                          st.integers(0, 20)), max_size=6), st.binary(max_size=60))  # fmt: skip
def test_nonsense_never_raises_and_gives_nothing_too_long(entries: List[Tuple[int, ...]], data: bytes) -> None:
    index = b"".join(struct.pack(">IIII", *entry) for entry in entries)
    found = parse_signature_header(index, data)
    assert all(0 < len(packet) <= MAX_PACKET for packet in found.packets)
    assert len(found.packets) <= MAX_SIGNATURES + 2
