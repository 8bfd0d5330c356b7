# SPDX-License-Identifier: GPL-2.0-or-later
"""One set of OpenPGP vectors (fixtures/openpgp), one outcome each, whichever engine is asked."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Dict, Iterator, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.openpgp.building import Recipe, keyid, sign, sub
from fixtures.openpgp.everything import all_vectors
from fixtures.openpgp.model import DATA, MAREK, Expected, Vector, theirs
from fixtures.openpgp.secrets import ed25519_key
from multisig.errors import KeyFormatError, SignatureFormatError
from multisig.openpgp.engines import open_engine
from multisig.openpgp.gpgv import GpgvEngine
from multisig.openpgp.keys import KeyRequirements, key_problem, parse_public_key
from multisig.openpgp.model import Engine, Outcome
from multisig.openpgp.packets import parse_signature, parse_signature_packet

VECTORS: Dict[str, Vector] = {vector.name: vector for vector in all_vectors()}


@pytest.fixture(scope="module", params=["gpgv", "sequoia", "both"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with closing(open_engine(request.param)) as one:
        yield one


def outcome(vector: Vector, engine: Engine) -> Tuple[Expected, str]:
    """What becomes of the vector's signature, in the order in which the gate decides, and what people are told."""
    try:
        signature = parse_signature(vector.signature)
    except SignatureFormatError as error:
        return Expected.SIGNATURE_FORM, str(error)
    try:
        key = parse_public_key(vector.key)
    except KeyFormatError as error:
        return Expected.KEY_FORM, str(error)
    if not key.could_have_issued(signature):
        return Expected.NOT_THEIRS, ""
    found = engine.verify(vector.data, signature, key)
    if found.outcome is Outcome.REVOKED_KEY:
        return Expected.REVOKED, found.reason
    if found.outcome is Outcome.BAD:
        return Expected.BAD, found.reason
    (part,) = (part for part in key.signing_parts() if part.fingerprint == found.issuer)
    assert (found.primary, found.created) == (key.fingerprint, signature.created)
    problem = key_problem(part, key, KeyRequirements())
    if problem is not None:
        return Expected.UNFIT, problem
    return Expected.GOOD if found.outcome is Outcome.GOOD else Expected.RETIRED, found.reason


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_comes_to_what_is_expected_of_it(name: str, engine: Engine) -> None:
    vector = VECTORS[name]
    found, reason = outcome(vector, engine)
    if engine.name == "both" and vector.both is not None:
        assert found is vector.both
        assert "engines differ" in reason
    else:
        assert found is vector.expected, reason
        assert vector.says in reason


def test_there_are_vectors_of_every_kind_and_no_name_is_taken_twice() -> None:
    assert len(VECTORS) == len(list(all_vectors()))
    count = Counter(vector.expected for vector in VECTORS.values())
    assert set(count) == set(Expected)
    assert sum(count.values()) >= 120


def test_only_few_vectors_are_beyond_what_two_engines_can_agree_on() -> None:
    """Curves that Sequoia may not know, and signatures older than all that a key's file tells of."""
    assert {name for name, vector in VECTORS.items() if vector.both is not None} == {
        "good-brainpoolp256r1",
        "good-secp256k1",
        "good-renewed-alone",
        "good-subkey-renewed-alone",
    }


FIRST, LAST = ed25519_key("the first of three"), ed25519_key("the last of three")


@pytest.mark.parametrize("name", [vector.name for vector in VECTORS.values() if vector.data == DATA])
def test_together_with_good_ones_a_vector_comes_to_what_it_comes_to_alone(name: str, together: GpgvEngine) -> None:
    """Neither does a good signature lend anything to its neighbours, nor does a bad one take anything from them."""
    vector = VECTORS[name]
    try:
        asked = [
            (parse_signature_packet(sign(FIRST, DATA)), parse_public_key(theirs(FIRST))),
            (parse_signature(vector.signature), parse_public_key(vector.key)),
            (parse_signature_packet(sign(LAST, DATA)), parse_public_key(theirs(LAST))),
        ]
    except (SignatureFormatError, KeyFormatError):
        assert vector.expected in (Expected.SIGNATURE_FORM, Expected.KEY_FORM)
        return
    alone = [together.verify(DATA, signature, key) for signature, key in asked]
    found = together.verify_together(DATA, asked)
    assert found in (alone, [alone[0], None, alone[2]], [None, None, None])
    valid = alone[1].outcome in (Outcome.GOOD, Outcome.EXPIRED_KEY)
    assert (found == alone) is valid
    assert together.verify_together(DATA, asked[::-1]) == found[::-1]


@pytest.fixture(scope="module")
def together() -> Iterator[GpgvEngine]:
    with GpgvEngine() as one:
        yield one


@pytest.fixture(scope="module")
def engines() -> Iterator[Tuple[Engine, Engine]]:
    with closing(open_engine("gpgv")) as one, closing(open_engine("sequoia")) as other:
        yield one, other


KEY = parse_public_key(theirs(MAREK))
SUBPACKETS = st.builds(
    lambda kind, body, critical: sub(kind, body, critical=critical),
    st.integers(0, 127), st.binary(max_size=40), st.booleans(),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(SUBPACKETS, max_size=3), st.lists(SUBPACKETS, max_size=3), st.none() | st.integers(0, 600))
def test_engines_agree_on_whatever_a_signature_is_made_to_hold(
    engines: Tuple[Engine, Engine], hashed: List[bytes], unhashed: List[bytes], flip: Optional[int]
) -> None:
    """What was signed, what was added since, and one bit changed."""
    recipe = Recipe(extra=b"".join(hashed), unhashed=keyid(MAREK) + b"".join(unhashed))
    packet = bytearray(sign(MAREK, DATA, recipe))
    if flip is not None:
        packet[flip % len(packet)] ^= 1 << flip % 7
    try:
        signature = parse_signature_packet(bytes(packet))
    except SignatureFormatError:
        return
    first, second = (engine.verify(DATA, signature, KEY) for engine in engines)
    assert first.outcome is second.outcome
