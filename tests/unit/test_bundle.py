# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles: of the right shape to the letter, or malformed as a whole; merging is a set union."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.bundle import (
    MAX_ATTESTATIONS,
    MAX_BUNDLE,
    MAX_SIGNATURES,
    Attestation,
    Bundle,
    encode,
    merge,
    parse,
)
from multisig.errors import BundleError
from tests.unit.core import attest, statement

EXAMPLES = settings(max_examples=30, deadline=None)
GOOD = Bundle((attest(statement(), "marek", "joanna"),))


def test_the_example_of_the_specification_is_read() -> None:
    text = (
        '{"multisig":"bundle/v1",\n "attestations":[\n   {"statement":"{\\"_type\\":1}",\n'
        '    "signatures":["-----BEGIN PGP SIGNATURE-----\\n"]}]}'
    )
    expected = Bundle((Attestation('{"_type":1}', ("-----BEGIN PGP SIGNATURE-----\n",)),))
    assert parse(text.encode()) == expected
    assert parse(text.encode() + b"\n") == expected


def test_what_is_written_is_in_the_specified_form() -> None:
    data = encode(GOOD)
    value = json.loads(data)
    assert value["multisig"] == "bundle/v1"
    assert value["attestations"][0] == {
        "statement": GOOD.attestations[0].statement,
        "signatures": list(GOOD.attestations[0].signatures),
    }
    assert data.isascii()
    assert data.endswith(b"}\n")


AROUND: Dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "one newline alone": lambda data: b"\n",
    "a blank before": lambda data: b" " + data,
    "a newline before": lambda data: b"\n" + data,
    "a byte order mark before": lambda data: b"\xef\xbb\xbf" + data,
    "text before": lambda data: b"x" + data,
    "two newlines after": lambda data: data + b"\n",
    "a carriage return": lambda data: data[:-1] + b"\r\n",
    "a blank after": lambda data: data[:-1] + b" ",
    "a NUL after": lambda data: data + b"\0",
    "another bundle after": lambda data: data + data,
    "a comment after": lambda data: data + b"# comment",
    "cut off": lambda data: data[: len(data) // 2],
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "not UTF-8": lambda data: data.replace(b"demo", b"\xff\xfe"),
    "UTF-8 of a surrogate": lambda data: data.replace(b"demo", b"\xed\xa0\x80"),
    "a list": lambda data: b"[" + data.strip() + b"]",
    "a string": lambda data: json.dumps(data.decode()).encode(),
    "20,000 [": lambda data: b"[" * 20_000,
    "20,000 [ and ]": lambda data: b"[" * 20_000 + b"]" * 20_000,
    "20,000 { in it": lambda data: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "20,000 [ in place of a signature": lambda data: (
        b'{"multisig":"bundle/v1","attestations":[{"statement":"","signatures":' + b"[" * 20_000 + b"}"
    ),
    "a number of a million digits": lambda data: b'{"multisig":' + b"9" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("what", sorted(AROUND))
def test_bytes_that_are_no_bundle_are_malformed(what: str) -> None:
    started = time.process_time()
    with pytest.raises(BundleError):
        parse(AROUND[what](encode(GOOD)))
    assert time.process_time() - started < 1


DUPLICATE_KEYS = [
    '{"multisig":"bundle/v1","multisig":"bundle/v1","attestations":[]}',
    '{"multisig":"bundle/v1","attestations":[],"attestations":[]}',
    '{"multisig":"bundle/v1","attestations":[],"\\u0061ttestations":[]}',
    '{"multisig":"bundle/v1","attestations":[{"statement":"a","statement":"b","signatures":[]}]}',
    '{"multisig":"bundle/v1","attestations":[{"statement":"a","signatures":[],"signatures":["x"]}]}',
]


@pytest.mark.parametrize("text", DUPLICATE_KEYS)
def test_a_key_twice_is_malformed(text: str) -> None:
    with pytest.raises(BundleError):
        parse(text.encode())


HALF = "\ud83d"
ONE = {"statement": "s", "signatures": ["x"]}
WRONG: Dict[str, Any] = {
    "no keys": {},
    "no type": {"attestations": []},
    "no attestations": {"multisig": "bundle/v1"},
    "another version": {"multisig": "bundle/v2", "attestations": []},
    "the version a list": {"multisig": ["bundle/v1"], "attestations": []},
    "an unknown key": {"multisig": "bundle/v1", "attestations": [], "threshold": 1},
    "an unknown key of an attestation": {"multisig": "bundle/v1", "attestations": [{**ONE, "signer": "marek"}]},
    "attestations an object": {"multisig": "bundle/v1", "attestations": ONE},
    "attestations null": {"multisig": "bundle/v1", "attestations": None},
    "attestations true": {"multisig": "bundle/v1", "attestations": True},
    "an attestation a list": {"multisig": "bundle/v1", "attestations": [["s", []]]},
    "an attestation null": {"multisig": "bundle/v1", "attestations": [None]},
    "no statement": {"multisig": "bundle/v1", "attestations": [{"signatures": []}]},
    "no signatures": {"multisig": "bundle/v1", "attestations": [{"statement": "s"}]},
    "the statement an object": {"multisig": "bundle/v1", "attestations": [{"statement": {}, "signatures": []}]},
    "signatures a string": {"multisig": "bundle/v1", "attestations": [{"statement": "s", "signatures": "x"}]},
    "a signature null": {"multisig": "bundle/v1", "attestations": [{"statement": "s", "signatures": [None]}]},
    "a signature a number": {"multisig": "bundle/v1", "attestations": [{"statement": "s", "signatures": [1]}]},
    "half a pair in the statement": {"multisig": "bundle/v1", "attestations": [{"statement": HALF, "signatures": []}]},
    "half a pair in a signature": {"multisig": "bundle/v1", "attestations": [{"statement": "s", "signatures": [HALF]}]},
    "half a pair in a key": {"multisig": "bundle/v1", "attestations": [], HALF: 1},
    "65 attestations": {"multisig": "bundle/v1", "attestations": [ONE] * 65},
    "65 signatures": {"multisig": "bundle/v1", "attestations": [{"statement": "s", "signatures": ["x"] * 65}]},
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_a_bundle_of_another_shape_is_malformed_as_a_whole(what: str) -> None:
    with pytest.raises(BundleError):
        parse(json.dumps(WRONG[what]).encode())


def test_64_attestations_of_64_signatures_fit() -> None:
    full = {"statement": "s", "signatures": ["x"] * MAX_SIGNATURES}
    bundle = parse(json.dumps({"multisig": "bundle/v1", "attestations": [full] * MAX_ATTESTATIONS}).encode())
    assert len(bundle.attestations) == MAX_ATTESTATIONS


def sized(size: int) -> bytes:
    frame = json.dumps({"multisig": "bundle/v1", "attestations": [{"statement": "", "signatures": []}]}).encode()
    return frame.replace(b'""', b'"' + b"s" * (size - len(frame)) + b'"')


def test_a_mebibyte_is_read_and_a_byte_more_is_not() -> None:
    assert parse(sized(MAX_BUNDLE)).attestations
    with pytest.raises(BundleError) as caught:
        parse(sized(MAX_BUNDLE + 1))
    assert "too large" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{}", "no JSON", '{"_type":"x"}', "x" * 100_000])
def test_a_statement_that_is_none_does_not_make_the_bundle_malformed(text: str) -> None:
    bundle = Bundle((Attestation(text, ("no signature", "", "x" * 10_000)), *GOOD.attestations))
    assert parse(encode(bundle)) == bundle


# --- merging ---------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=5)
ATTESTATIONS = st.builds(Attestation, TEXT, st.lists(TEXT, max_size=4).map(tuple))
BUNDLES = st.lists(ATTESTATIONS, max_size=4).map(lambda items: Bundle(tuple(items)))


def contents(bundle: Bundle) -> "set[Tuple[str, Optional[str]]]":
    found: "set[Tuple[str, Optional[str]]]" = {(item.statement, None) for item in bundle.attestations}
    return found | {(item.statement, signature) for item in bundle.attestations for signature in item.signatures}


@EXAMPLES
@given(BUNDLES)
def test_a_bundle_survives_its_encoding(bundle: Bundle) -> None:
    assert parse(encode(bundle)) == bundle


@EXAMPLES
@given(st.lists(BUNDLES, min_size=1, max_size=4))
def test_merging_is_the_union_each_once_whatever_the_order_and_once_is_enough(bundles: List[Bundle]) -> None:
    merged = merge(bundles)
    assert contents(merged) == set().union(*map(contents, bundles))
    assert len(merged.attestations) == len({item.statement for item in merged.attestations})
    assert all(len(set(item.signatures)) == len(item.signatures) for item in merged.attestations)
    for other in itertools.permutations(bundles):
        assert encode(merge(other)) == encode(merged)
    assert merge([merged]) == merge([merged, *bundles]) == merged


@EXAMPLES
@given(BUNDLES, BUNDLES, BUNDLES)
def test_merging_in_steps_is_merging_at_once(one: Bundle, two: Bundle, three: Bundle) -> None:
    assert merge([merge([one, two]), three]) == merge([one, merge([two, three])]) == merge([one, two, three])


def test_what_does_not_fit_is_an_error_and_nothing_is_dropped() -> None:
    many = [Bundle((Attestation(f"statement {number}", ()),)) for number in range(MAX_ATTESTATIONS + 1)]
    with pytest.raises(BundleError):
        merge(many)
    assert len(merge(many[:-1]).attestations) == MAX_ATTESTATIONS
    much = [Bundle((Attestation("s", (f"signature {number}",)),)) for number in range(MAX_SIGNATURES + 1)]
    with pytest.raises(BundleError):
        merge(much)
    large = [Bundle((Attestation(letter, (letter * (MAX_BUNDLE // 2),)),)) for letter in "ab"]
    with pytest.raises(BundleError):
        encode(merge(large))


def test_merging_nothing_gives_an_empty_bundle() -> None:
    assert merge([]) == parse(encode(merge([]))) == Bundle(())


# --- whatever the bytes ----------------------------------------------------------------------------------------------


def accepted(data: bytes) -> Optional[Bundle]:
    """Anything but a BundleError comes out as it is."""
    with contextlib.suppress(BundleError):
        return parse(data)
    return None


@EXAMPLES
@given(st.binary(max_size=200))
def test_no_random_bytes_are_a_bundle_or_anything_worse_than_malformed(data: bytes) -> None:
    assert accepted(data) is None
    assert accepted(b"{" + data + b"}") is None


@EXAMPLES
@given(BUNDLES, st.floats(0, 0.999), st.integers(0, 9), st.binary(max_size=4))
def test_a_bundle_with_changed_bytes_is_malformed_or_survives_its_encoding(
    bundle: Bundle, place: float, length: int, new: bytes
) -> None:
    data = encode(bundle)
    at = int(place * len(data))
    found = accepted(data[:at] + new + data[at + length :])
    assert found is None or parse(encode(found)) == found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@EXAMPLES
@given(st.sampled_from(["multisig", "attestations", "statement", "signatures", "more"]), JSON)
def test_no_value_of_another_type_gets_through_anywhere(place: str, junk: Any) -> None:
    value = json.loads(encode(GOOD))
    (value if place in ("multisig", "attestations", "more") else value["attestations"][0])[place] = junk
    harmless = place in ("attestations", "signatures") and junk == [] or place == "statement" and isinstance(junk, str)
    strings = place == "signatures" and isinstance(junk, list) and all(isinstance(item, str) for item in junk)
    found = accepted(json.dumps(value).encode())
    assert found is None or harmless or strings


@pytest.mark.parametrize("depth", [100, 900, 950, 980, 990, 1000, 1100])
def test_nesting_of_any_depth_is_malformed(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        inner = opening * depth + ("1" if opening != "[" else "") + closing * depth
        with pytest.raises(BundleError):
            parse(f'{{"multisig":{inner},"attestations":[]}}'.encode())
