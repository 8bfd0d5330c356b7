# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenPGP engines: real signatures by real keys, and one finding, whichever engine is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Iterator, Tuple

import pytest

from multisig.errors import EngineError
from multisig.openpgp.engines import open_engine
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import Engine, Outcome
from multisig.openpgp.packets import parse_signature, parse_signature_packet
from tests.unit.openpgp_keys import DATA, PAST, People, altered, join, parts_of, subpacket

IN_TIME = "20240103T000000"
IN_TIME_SECONDS = 1_704_240_000


@pytest.fixture(scope="module", params=["gpgv", "sequoia", "both"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with closing(open_engine(request.param)) as one:
        yield one


@pytest.mark.parametrize("name", ["marek", "joanna", "rafal", "rsa2048"])
@pytest.mark.parametrize("digest", ["SHA256", "SHA512"])
def test_a_good_signature_is_good(people: People, engine: Engine, name: str, digest: str) -> None:
    signature = people.signature(name, "--digest-algo", digest)
    found = engine.verify(DATA, signature, people.key(name))
    assert found.outcome is Outcome.GOOD
    assert found.reason == ""
    assert found.primary == people.key(name).fingerprint
    assert found.issuer == signature.issuer_fingerprint
    assert found.created == signature.created


def test_a_good_key_is_not_held_to_its_expired_subkeys(people: People, engine: Engine) -> None:
    key = people.key("lapsing")
    signature = parse_signature(people.home.sign(key.fingerprint))
    assert engine.verify(DATA, signature, key).outcome is Outcome.GOOD


def test_notations_and_policy_links_do_not_disturb(people: People, engine: Engine) -> None:
    notation = "note@example.org=" + "x%0a[GNUPG:] BADSIG " * 20
    signature = people.signature("marek", "-N", notation, "--sig-policy-url", "http://example.org/")
    assert engine.verify(DATA, signature, people.key("marek")).outcome is Outcome.GOOD


def test_an_expiry_date_still_to_come_does_not_disturb(people: People, engine: Engine) -> None:
    signature = people.signature("marek", "--default-sig-expire", "1d")
    assert engine.verify(DATA, signature, people.key("marek")).outcome is Outcome.GOOD


def test_the_longest_notation_does_not_stop_the_engine(people: People, engine: Engine) -> None:
    head, hashed, _, rest = parts_of(people.sign("marek"))
    note = bytes([0x80, 0, 0, 0, 0, 3, 0x1F, 0x00]) + b"a@b" + b"\n" * 0x1F00
    filler = b"\xff" + (len(note) + 1).to_bytes(4, "big") + b"\x14" + note
    issuer = subpacket(16, bytes.fromhex(people.key("marek").keyid))
    signature = parse_signature_packet(join(head, hashed, issuer + filler, rest))
    assert engine.verify(DATA, signature, people.key("marek")).outcome is Outcome.GOOD


def test_other_unhashed_subpackets_still_name_the_same_signer(people: People, engine: Engine) -> None:
    text = people.sign("joanna")
    head, hashed, unhashed, rest = parts_of(text)
    changed = parse_signature_packet(join(head, hashed, unhashed + subpacket(60, b"anything"), rest))
    found = [engine.verify(DATA, one, people.key("joanna")) for one in (parse_signature(text), changed)]
    assert found[0].outcome is Outcome.GOOD
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "data", [b"", DATA[:-1], DATA + b"\n", DATA.replace(b"v1", b"v2"), DATA.upper()], ids=range(5)
)
def test_a_signature_over_other_content_is_bad(people: People, engine: Engine, data: bytes) -> None:
    found = engine.verify(data, people.signature("marek"), people.key("marek"))
    assert found.outcome is Outcome.BAD
    assert "not over this content" in found.reason
    assert found.primary == ""


def test_an_empty_statement_can_be_signed(people: People, engine: Engine) -> None:
    assert engine.verify(b"", people.signature("marek", data=b""), people.key("marek")).outcome is Outcome.GOOD


def test_line_ends_matter(people: People, engine: Engine) -> None:
    signature = people.signature("marek", data=b"one\ntwo\n")
    assert engine.verify(b"one\ntwo\n", signature, people.key("marek")).outcome is Outcome.GOOD
    assert engine.verify(b"one\r\ntwo\r\n", signature, people.key("marek")).outcome is Outcome.BAD


@pytest.mark.parametrize("name", ["joanna", "rafal", "rsa2048", "expired"])
def test_a_signature_is_bad_under_every_other_key(people: People, engine: Engine, name: str) -> None:
    assert engine.verify(DATA, people.signature("marek"), people.key(name)).outcome is Outcome.BAD


def test_a_signature_that_claims_another_issuer_is_bad(people: People, engine: Engine) -> None:
    """The unhashed issuer is anybody's to change: it leads to the wrong key, and gets nowhere there."""
    marek, rafal = people.key("marek"), people.key("rafal")
    head, hashed, _, rest = parts_of(people.sign("marek"))
    hints = subpacket(33, b"\x04" + bytes.fromhex(rafal.fingerprint))
    without = hashed.replace(subpacket(33, b"\x04" + bytes.fromhex(marek.fingerprint)), b"")
    forged = parse_signature_packet(join(head, without, hints, rest))
    assert rafal.could_have_issued(forged)
    assert engine.verify(DATA, forged, rafal).outcome is Outcome.BAD


def test_no_flipped_bit_goes_unseen_where_the_signature_protects(people: People, engine: Engine) -> None:
    """Every other byte of the packet, one bit each. The unhashed area and the digest's left 16 bits are hints."""
    signature, key = people.signature("marek"), people.key("marek")
    _, hashed, unhashed, _ = parts_of(people.sign("marek"))
    start = 2 + 4 + 2 + len(hashed) + 2
    assert signature.packet[start:].startswith(unhashed)
    advisory = set(range(start, start + len(unhashed) + 2))

    def flipped(position: int) -> Tuple[int, Outcome]:
        def flip(packet: bytearray) -> None:
            packet[position] ^= 1 << position % 8

        try:
            return position, engine.verify(DATA, altered(signature, flip), key).outcome
        except EngineError:
            return position, Outcome.BAD

    with ThreadPoolExecutor(2) as pool:
        found = dict(pool.map(flipped, range(0, len(signature.packet), 2)))
    assert {at for at, outcome in found.items() if outcome is Outcome.GOOD} <= advisory
    assert len(found) > 50


def test_a_truncated_signature_is_not_good(people: People, engine: Engine) -> None:
    signature, key = people.signature("marek"), people.key("marek")
    for length in (0, 1, 2, 40, len(signature.packet) - 1):
        found = engine.verify(DATA, signature._replace(packet=signature.packet[:length]), key)
        assert found.outcome is Outcome.BAD


def test_gpgv_never_sees_two_signatures_but_would_not_be_believed(people: People, engine: Engine) -> None:
    one, key = people.signature("marek"), people.key("marek")
    assert engine.verify(DATA, one._replace(packet=one.packet * 2), key).outcome is Outcome.BAD


@pytest.mark.parametrize("digest", ["SHA1", "SHA224"])
def test_a_weak_digest_is_not_good_even_if_the_packet_check_were_passed_by(
    people: People, engine: Engine, digest: str
) -> None:
    strong, key = people.signature("marek"), people.key("marek")
    weak = join(*parts_of(people.sign("marek", "--digest-algo", digest)))
    assert engine.verify(DATA, strong._replace(packet=weak), key).outcome is Outcome.BAD


def test_a_text_mode_signature_is_not_good_even_if_the_packet_check_were_passed_by(
    people: People, engine: Engine
) -> None:
    plain, key = people.signature("marek", at=IN_TIME), people.key("marek")
    text = join(*parts_of(people.sign("marek", "--textmode", at=IN_TIME)))
    assert engine.verify(DATA, plain._replace(packet=text), key).outcome is Outcome.BAD


def test_a_signature_described_otherwise_than_gpgv_does_is_bad(people: People, engine: Engine) -> None:
    signature, key = people.signature("marek"), people.key("marek")
    for changed in (
        signature._replace(created=signature.created + 1),
        signature._replace(hash_algorithm=signature.hash_algorithm + 1),
        signature._replace(pubkey_algorithm=1),
    ):
        assert engine.verify(DATA, changed, key).outcome is Outcome.BAD


def test_an_expired_key_is_told_from_a_bad_signature(people: People, engine: Engine) -> None:
    key, signature = people.key("expired"), people.signature("expired", at=IN_TIME)
    found = engine.verify(DATA, signature, key)
    assert found.outcome is Outcome.EXPIRED_KEY
    assert (found.primary, found.issuer) == (key.fingerprint, key.fingerprint)
    assert found.created == IN_TIME_SECONDS
    assert engine.verify(DATA + b"x", signature, key).outcome is Outcome.BAD


def test_an_expired_subkey_counts_as_expired(people: People, engine: Engine) -> None:
    found = engine.verify(DATA, people.signature("lapsing", at=IN_TIME), people.key("lapsing"))
    assert found.outcome is Outcome.EXPIRED_KEY
    assert found.issuer == people.subkeys["lapsing"]


def test_a_subkey_that_signed_after_its_end_is_not_good(people: People, engine: Engine) -> None:
    """It had no end when it signed; the later binding gives it one that lies before the signature."""
    name = f"late-{engine.name}"
    people.home.create(name, at=PAST)
    subkey = people.home.add(name, "ed25519", "sign", at=PAST)
    signature = parse_signature(people.home.sign(subkey))
    people.home.gpg("--quick-set-expire", people.home.fingerprints[name], "10d", subkey, at="20240102T000000")
    key = people.home.key(name)
    assert key.subkeys[0].expires is not None
    assert signature.created > key.subkeys[0].expires
    found = engine.verify(DATA, signature, key)
    assert (found.outcome, found.reason) == (Outcome.BAD, "the key had expired when it signed")


def test_an_expired_signature_is_bad(people: People, engine: Engine) -> None:
    signature = people.signature("marek", "--default-sig-expire", "3d", at=IN_TIME)
    found = engine.verify(DATA, signature, people.key("marek"))
    assert (found.outcome, found.reason) == (Outcome.BAD, "the signature has expired")


def test_a_signature_older_than_its_key_is_bad(people: People, engine: Engine) -> None:
    people.key("rafal")
    signature = people.signature("rafal", "--ignore-time-conflict", at=IN_TIME)
    assert engine.verify(DATA, signature, people.key("rafal")).outcome is Outcome.BAD


@pytest.mark.parametrize("reason", ["1", "2"], ids=["compromised", "superseded"])
def test_no_signature_of_a_revoked_key_counts_whatever_its_date(people: People, engine: Engine, reason: str) -> None:
    """gpgv exits with 0 here, and reports VALIDSIG."""
    name = f"gone{reason}-{engine.name}"
    people.home.create(name, at=PAST)
    signatures = [parse_signature(people.home.sign(name, at=at)) for at in (None, IN_TIME)]
    before = people.home.key(name)
    people.home.revoke(name, reason)
    for signature in signatures:
        assert engine.verify(DATA, signature, before).outcome is Outcome.GOOD
        found = engine.verify(DATA, signature, people.home.key(name))
        assert (found.outcome, found.primary) == (Outcome.REVOKED_KEY, "")


def test_a_revoked_subkey_ends_its_own_signatures_only(people: People, engine: Engine) -> None:
    name = f"halved-{engine.name}"
    people.home.create(name, at=PAST)
    subkey = people.home.add(name, "ed25519", "sign", at=PAST)
    by_primary = parse_signature(people.home.sign(name))
    by_subkey = parse_signature(people.home.sign(subkey))
    people.home.ask("--edit-key", people.home.fingerprints[name], answers="key 1\nrevkey\ny\n0\n\ny\nsave\n")
    key = people.home.key(name)
    assert engine.verify(DATA, by_primary, key).outcome is Outcome.GOOD
    assert engine.verify(DATA, by_subkey, key).outcome is Outcome.REVOKED_KEY


@pytest.mark.parametrize("part", ["primary", "subkey"])
def test_a_part_that_is_no_longer_for_signing_does_not_count(people: People, engine: Engine, part: str) -> None:
    name = f"demoted-{part}-{engine.name}"
    people.home.create(name, usage="sign,cert", at=PAST)
    subkey = people.home.add(name, "ed25519", "sign", at=PAST)
    signature = parse_signature(people.home.sign(subkey if part == "subkey" else name))
    before = people.home.key(name)
    answers = ("key 1\n" if part == "subkey" else "") + "change-usage\nS\nA\nQ\nsave\n"
    people.home.ask("--edit-key", people.home.fingerprints[name], answers=answers)
    after = people.home.key(name)
    assert engine.verify(DATA, signature, before).outcome is Outcome.GOOD
    assert not after.could_have_issued(signature)
    assert engine.verify(DATA, signature, after).outcome is Outcome.BAD


def test_a_subkey_without_back_signature_does_not_count(people: People, engine: Engine) -> None:
    """Otherwise anybody could bind another person's subkey, and pass off that person's signatures as their own."""
    key, signature = people.key("joanna"), people.signature("joanna")
    start = key.binary.index(b"\x19\x16", key.binary.index(bytes.fromhex(people.subkeys["joanna"][:8])) - 12)
    # The embedded signature is not hashed, so spoiling its class leaves the binding itself valid.
    spoilt = parse_public_key(key.binary[:start] + b"\x18" + key.binary[start + 1 :])
    assert not spoilt.subkeys[0].back_signed
    assert not spoilt.could_have_issued(signature)
    assert engine.verify(DATA, signature, spoilt).outcome is Outcome.BAD


def test_threads_do_not_mix_results(people: People, engine: Engine) -> None:
    names = ("marek", "joanna", "rafal", "rsa2048")
    signatures = {name: people.signature(name) for name in names}

    def check(turn: int) -> Tuple[Outcome, Outcome]:
        by, under = names[turn % 4], names[turn // 4 % 4]
        return (
            engine.verify(DATA, signatures[by], people.key(under)).outcome,
            Outcome.GOOD if by == under else Outcome.BAD,
        )

    with ThreadPoolExecutor(4) as pool:
        for found, expected in pool.map(check, range(64)):
            assert found is expected
