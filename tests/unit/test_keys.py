# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/keys.py: one public key a file, read so that it can only lose rights, never gain them."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.errors import KeyFormatError
from multisig.openpgp.armor import MAX_KEY_FILE, PUBLIC_KEY, armor
from multisig.openpgp.keys import KeyRequirements, key_problem, keyring_for, parse_public_key
from multisig.openpgp.model import PublicKey
from multisig.openpgp.packets import parse_signature_packet
from tests.unit.openpgp_keys import (
    PAST,
    People,
    join,
    key_body,
    mpi,
    packet,
    self_signature,
    subpacket,
)

DAY = 86400
CREATED = 1_700_000_000
PAST_SECONDS = 1_704_067_200
ED25519 = bytes.fromhex("2b06010401da470f01")
OTHER = "FEDCBA9876543210FEDCBA9876543210FEDCBA98"

PRIMARY_BODY = key_body(22, [2**262 + 1], curve=ED25519)
PRIMARY = packet(6, PRIMARY_BODY)
FINGERPRINT = parse_public_key(PRIMARY).fingerprint
SUBKEY = packet(14, key_body(22, [2**262 + 3], curve=ED25519))
SUBKEY_FINGERPRINT = parse_public_key(packet(6, key_body(22, [2**262 + 3], curve=ED25519))).fingerprint
USER_ID = packet(13, b"Marek <marek@example.org>")
CERTIFICATION = self_signature(0x13, FINGERPRINT)

ANYTHING = KeyRequirements(min_rsa_bits=1)


def back_signature(issuer: str = SUBKEY_FINGERPRINT, signature_class: int = 0x19) -> bytes:
    """The subpacket that embeds a subkey's own signature."""
    whole = self_signature(signature_class, issuer, flags=None)
    return subpacket(32, whole[6:])


def binding(flags: Optional[int] = 0x02, created: int = CREATED, extra: bytes = b"", unhashed: bytes = b"") -> bytes:
    return self_signature(0x18, FINGERPRINT, flags=flags, created=created, extra=extra, unhashed=unhashed)


def expires(seconds: int, kind: int = 9) -> bytes:
    return subpacket(kind, seconds.to_bytes(4, "big"))


def key(*signatures: bytes) -> PublicKey:
    """A key with one user id and these signatures on it."""
    return parse_public_key(PRIMARY + USER_ID + b"".join(signatures))


def with_subkey(*signatures: bytes) -> PublicKey:
    return parse_public_key(PRIMARY + USER_ID + CERTIFICATION + SUBKEY + b"".join(signatures))


GOOD_BINDING = binding(unhashed=back_signature())


# Real keys.


@pytest.mark.parametrize(
    "name, algorithm, bits", [("marek", 22, 256), ("rafal", 19, 256), ("rsa2048", 1, 2048), ("rsa1024", 1, 1024)]
)
def test_keys_by_gpg_are_read_armored_or_not(people: People, name: str, algorithm: int, bits: int) -> None:
    found = people.key(name)
    assert found.fingerprint == people.home.fingerprints[name]
    assert (found.algorithm, found.bits) == (algorithm, bits)
    assert found.can_sign
    assert not found.revoked
    assert found.expires is None
    assert found.user_ids == (name,)
    assert found.self_signed >= found.created
    assert parse_public_key(people.home.export(name, "--armor")) == found


def test_an_encryption_subkey_is_not_for_signing(people: People) -> None:
    marek = people.key("marek")
    assert [(part.can_sign, part.back_signed, part.algorithm, part.bits) for part in marek.subkeys] == [
        (False, False, 18, 256)
    ]
    assert marek.subkeys[0].expires == PAST_SECONDS + 10 * DAY
    assert list(marek.signing_parts()) == [marek]


def test_a_primary_that_only_certifies_leaves_signing_to_its_subkey(people: People) -> None:
    joanna = people.key("joanna")
    assert not joanna.can_sign
    assert [part.fingerprint for part in joanna.signing_parts()] == [people.subkeys["joanna"]]
    assert key_problem(joanna, joanna, KeyRequirements()) is not None
    assert key_problem(joanna.subkeys[0], joanna, KeyRequirements()) is None


def test_a_key_that_ends_says_when(people: People) -> None:
    assert people.key("expired").expires == PAST_SECONDS + 20 * DAY
    assert people.key("expired").self_signed == PAST_SECONDS


@pytest.mark.parametrize("reason", ["1", "2", "3"], ids=["compromised", "superseded", "no longer used"])
def test_any_revocation_ends_a_key_whatever_its_reason(people: People, reason: str) -> None:
    name = f"revoked{reason}"
    people.home.create(name)
    assert not people.home.key(name).revoked
    people.home.revoke(name, reason)
    revoked = people.home.key(name)
    assert revoked.revoked
    assert key_problem(revoked, revoked, KeyRequirements()) == "is revoked"


def test_a_revoked_subkey_is_seen(people: People) -> None:
    people.home.create("parted")
    people.home.add("parted", "ed25519", "sign")
    people.home.ask("--edit-key", people.home.fingerprints["parted"], answers="key 1\nrevkey\ny\n0\n\ny\nsave\n")
    parted = people.home.key("parted")
    assert [part.revoked for part in parted.subkeys] == [True]
    assert key_problem(parted.subkeys[0], parted, KeyRequirements()) == "is revoked"
    assert key_problem(parted, parted, KeyRequirements()) is None


def test_the_latest_flags_decide(people: People) -> None:
    people.home.create("changed", usage="sign,cert", at=PAST)
    assert people.home.key("changed").can_sign
    people.home.ask("--edit-key", people.home.fingerprints["changed"], answers="change-usage\nS\nQ\nsave\n")
    assert not people.home.key("changed").can_sign


def test_a_renewal_counts_from_the_new_self_signature(people: People) -> None:
    people.home.create("renewed", expire="100d", at=PAST)
    before = people.home.key("renewed")
    limit = KeyRequirements(max_validity_days=100)
    assert key_problem(before, before, limit) is None
    people.home.gpg("--quick-set-expire", before.fingerprint, "90d", at="20240301T000000")
    after = people.home.key("renewed")
    assert after.self_signed == PAST_SECONDS + 60 * DAY
    assert after.expires == PAST_SECONDS + 150 * DAY
    assert key_problem(after, after, limit) is None


def test_a_secret_key_is_refused_loudly(people: People) -> None:
    for options in (["--armor"], []):
        people.key("marek")
        secret = people.home.gpg(*options, "--export-secret-keys", people.home.fingerprints["marek"])
        with pytest.raises(KeyFormatError, match="SECRET key"):
            parse_public_key(secret)


def test_two_keys_in_a_file_are_refused_and_the_file_is_named(people: People) -> None:
    people.key("marek")
    people.key("joanna")
    both = people.home.gpg("--armor", "--export", "=marek", "=joanna")
    with pytest.raises(KeyFormatError, match="more than one key") as caught:
        parse_public_key(both, path="keys/both.asc")
    assert caught.value.path == "keys/both.asc"
    with pytest.raises(KeyFormatError):
        parse_public_key(people.home.export("marek", "--armor") + people.home.export("joanna", "--armor"))


def test_other_peoples_certifications_change_nothing(people: People) -> None:
    people.home.create("liked")
    before = people.home.key("liked")
    people.key("marek")
    people.home.gpg("--default-key", people.home.fingerprints["marek"], "--quick-sign-key", before.fingerprint)
    after = people.home.key("liked")
    assert after.binary != before.binary
    assert after._replace(binary=before.binary) == before


# Keys that gpg would not make. Their signatures are not valid, which is not looked at here.


def test_a_made_up_key_is_read() -> None:
    found = with_subkey(GOOD_BINDING)
    assert found.fingerprint == FINGERPRINT
    assert (found.can_sign, found.self_signed, found.expires) == (True, CREATED, None)
    assert [(part.fingerprint, part.can_sign, part.back_signed) for part in found.subkeys] == [
        (SUBKEY_FINGERPRINT, True, True)
    ]


FLAGS = {
    "no self-signature": ([], False),
    "no flags": ([self_signature(0x13, FINGERPRINT, flags=None)], False),
    "flags without signing": ([self_signature(0x13, FINGERPRINT, flags=0x01)], False),
    "empty flags": ([self_signature(0x13, FINGERPRINT, flags=None, extra=subpacket(27, b""))], False),
    "flags that contradict each other": (
        [self_signature(0x13, FINGERPRINT, flags=0x02, extra=subpacket(27, b"\x01"))],
        False,
    ),
    "flags that are not hashed": (
        [self_signature(0x13, FINGERPRINT, flags=None, unhashed=subpacket(27, b"\x03"))],
        False,
    ),
    "flags by somebody else": ([self_signature(0x13, OTHER)], False),
    "flags by nobody": ([self_signature(0x13, None)], False),
    "an earlier one without flags": ([CERTIFICATION, self_signature(0x13, FINGERPRINT, flags=1, created=1)], True),
    "a later one without flags": (
        [CERTIFICATION, self_signature(0x13, FINGERPRINT, flags=1, created=CREATED + 1)],
        False,
    ),
    "one of the same second without flags": ([CERTIFICATION, self_signature(0x13, FINGERPRINT, flags=1)], False),
    "a later one by somebody else": ([CERTIFICATION, self_signature(0x10, OTHER, created=CREATED + 1, flags=0)], True),
    "by key id alone": (
        [self_signature(0x13, None, unhashed=subpacket(16, bytes.fromhex(FINGERPRINT[-16:])))],
        True,
    ),
    "a user id revoked since": ([CERTIFICATION, self_signature(0x30, FINGERPRINT, created=CREATED)], False),
    "a user id revoked before": ([CERTIFICATION, self_signature(0x30, FINGERPRINT, created=CREATED - 1)], True),
    "a user id revoked by somebody else": ([CERTIFICATION, self_signature(0x30, OTHER, created=CREATED)], True),
    "a later version 3 self-signature, which has no flags": (
        [CERTIFICATION, packet(2, b"\x03\x05\x10" + b"\xf0\0\0\0" + bytes.fromhex(FINGERPRINT[-16:]) + b"\x16\x08ab")],
        False,
    ),
    "somebody else's version 3 signature": ([CERTIFICATION, packet(2, b"\x03\x05\x10" + bytes(14))], True),
    "their own approval of others' certifications": ([CERTIFICATION, self_signature(0x16, FINGERPRINT)], True),
    "somebody else's unreadable signature": ([CERTIFICATION, packet(2, b"\x09\x10")], True),
}


@pytest.mark.parametrize("signatures, able", FLAGS.values(), ids=FLAGS.keys())
def test_flags_for_signing_are_needed_in_the_latest_self_signature(signatures: List[bytes], able: bool) -> None:
    found = key(*signatures)
    assert found.can_sign is able
    assert (key_problem(found, found, ANYTHING) is None) is able


def test_a_direct_self_signature_counts_like_one_on_a_user_id() -> None:
    direct = self_signature(0x1F, FINGERPRINT, flags=0x01, created=CREATED + 1, extra=expires(DAY))
    found = parse_public_key(PRIMARY + direct + USER_ID + CERTIFICATION)
    assert not found.can_sign
    assert found.expires == CREATED + DAY
    assert found.self_signed == CREATED + 1


ENDS: Dict[str, Tuple[List[bytes], Optional[int]]] = {
    "none": ([CERTIFICATION], None),
    "zero means none": ([self_signature(0x13, FINGERPRINT, extra=expires(0))], None),
    "from the key's creation": (
        [self_signature(0x13, FINGERPRINT, extra=expires(DAY), created=CREATED + 500)],
        CREATED + DAY,
    ),
    "two: the earlier": ([self_signature(0x13, FINGERPRINT, extra=expires(9) + expires(8))], CREATED + 8),
    "the self-signature's own end": (
        [self_signature(0x13, FINGERPRINT, extra=expires(DAY, kind=3), created=CREATED + 5)],
        CREATED + 5 + DAY,
    ),
    "a later renewal": (
        [self_signature(0x13, FINGERPRINT, extra=expires(1)), self_signature(0x13, FINGERPRINT, created=CREATED + 1)],
        None,
    ),
    "an end that is not hashed, which is ignored": (
        [self_signature(0x13, FINGERPRINT, unhashed=expires(1))],
        None,
    ),
}


@pytest.mark.parametrize("signatures, end", ENDS.values(), ids=ENDS.keys())
def test_expiry_is_that_of_the_latest_self_signature(signatures: List[bytes], end: Optional[int]) -> None:
    assert key(*signatures).expires == end


REVOCATIONS = {
    "by itself": self_signature(0x20, FINGERPRINT),
    "by a designated revoker, or anybody": self_signature(0x20, OTHER),
    "by nobody": self_signature(0x20, None),
    "dated before the key": self_signature(0x20, FINGERPRINT, created=1),
    "dated in the far future": self_signature(0x20, FINGERPRINT, created=0xFFFFFFFF),
    "of version 3": packet(2, b"\x03\x05\x20" + bytes(14)),
    "that is not readable": packet(2, b"\x04\x20\x16\x08\xff\xff"),
    "that gives two dates": self_signature(0x20, OTHER, extra=subpacket(2, bytes(4))),
}


@pytest.mark.parametrize("revocation", REVOCATIONS.values(), ids=REVOCATIONS.keys())
def test_any_revocation_of_the_primary_ends_the_key(revocation: bytes) -> None:
    found = parse_public_key(PRIMARY + revocation + USER_ID + CERTIFICATION + SUBKEY + GOOD_BINDING)
    assert found.revoked
    assert key_problem(found, found, ANYTHING) == "is revoked"
    assert key_problem(found.subkeys[0], found, ANYTHING) == "is revoked"


SUBKEYS = {
    "bound and signed back": ([GOOD_BINDING], True, True, False),
    "signed back in the hashed area": ([binding(extra=back_signature())], True, True, False),
    "not bound": ([], False, False, False),
    "bound by somebody else": ([self_signature(0x18, OTHER, flags=2, unhashed=back_signature())], False, False, False),
    "no back-signature": ([binding()], False, False, False),
    "a back-signature by another key": ([binding(unhashed=back_signature(OTHER))], False, False, False),
    "a back-signature of another class": (
        [binding(unhashed=back_signature(signature_class=0x18))],
        False,
        False,
        False,
    ),
    "a back-signature that is not readable": ([binding(unhashed=subpacket(32, b"\x04"))], False, False, False),
    "no flags": ([binding(flags=None, unhashed=back_signature())], False, True, False),
    "flags for encryption": ([binding(flags=0x0C, unhashed=back_signature())], False, True, False),
    "flags for certifying": ([binding(flags=0x01, unhashed=back_signature())], False, True, False),
    "flags for authentication": ([binding(flags=0x20, unhashed=back_signature())], False, True, False),
    "flags that are not hashed": (
        [binding(flags=None, unhashed=back_signature() + subpacket(27, b"\x02"))],
        False,
        True,
        False,
    ),
    "a later binding without back-signature": ([GOOD_BINDING, binding(created=CREATED + 1)], False, False, False),
    "an earlier binding without back-signature": ([GOOD_BINDING, binding(created=1)], True, True, False),
    "revoked": ([GOOD_BINDING, self_signature(0x28, FINGERPRINT)], True, True, True),
    "revoked by somebody else": ([GOOD_BINDING, self_signature(0x28, OTHER)], True, True, True),
    "revoked before it was bound again": (
        [self_signature(0x28, FINGERPRINT, created=1), GOOD_BINDING],
        True,
        True,
        True,
    ),
}


@pytest.mark.parametrize("signatures, can_sign, back_signed, revoked", SUBKEYS.values(), ids=SUBKEYS.keys())
def test_a_subkey_signs_only_if_flagged_signed_back_and_not_revoked(
    signatures: List[bytes], can_sign: bool, back_signed: bool, revoked: bool
) -> None:
    primary = with_subkey(*signatures)
    (subkey,) = primary.subkeys
    assert (subkey.can_sign, subkey.back_signed, subkey.revoked) == (can_sign, back_signed, revoked)
    assert (key_problem(subkey, primary, ANYTHING) is None) is (can_sign and not revoked)
    assert (subkey in list(primary.signing_parts())) is can_sign


REFUSED = {
    "nothing": b"",
    "text": b"hello",
    "a blank before the block": b"\n" + armor(PRIMARY, PUBLIC_KEY).encode(),
    "two blocks": armor(PRIMARY, PUBLIC_KEY).encode() * 2,
    "over the size limit": PRIMARY + packet(13, bytes(MAX_KEY_FILE)),
    "no key": USER_ID,
    "only a signature": CERTIFICATION,
    "a subkey first": SUBKEY + PRIMARY,
    "two keys": PRIMARY + USER_ID + PRIMARY,
    "two keys of two people": PRIMARY + packet(6, key_body(1, [2**2047, 3])),
    "a secret key": packet(5, PRIMARY_BODY),
    "a secret subkey": PRIMARY + packet(7, PRIMARY_BODY),
    "a version 3 key": packet(6, b"\x03" + bytes(6) + b"\x01" + mpi(2**2047) + mpi(3)),
    "a version 5 key": packet(6, b"\x05" + PRIMARY_BODY[1:]),
    "a version 6 key": packet(6, b"\x06" + PRIMARY_BODY[1:]),
    "a subkey of another version": PRIMARY + packet(14, b"\x05" + PRIMARY_BODY[1:]),
    "an empty key packet": packet(6, b""),
    "a key cut short": packet(6, PRIMARY_BODY[:-1]),
    "bytes after the key's numbers": packet(6, PRIMARY_BODY + b"\0"),
    "the primary again as a subkey": PRIMARY + USER_ID + CERTIFICATION + packet(14, PRIMARY_BODY),
    "a subkey twice": PRIMARY + USER_ID + CERTIFICATION + SUBKEY + SUBKEY,
    "a user id after the subkeys": PRIMARY + SUBKEY + USER_ID,
    "a trust packet of gpg's own keyrings": PRIMARY + packet(12, b"\0\0"),
    "a marker packet": packet(10, b"PGP") + PRIMARY,
    "a padding packet": PRIMARY + packet(21, b"\0\0"),
    "a literal packet": PRIMARY + packet(11, b"b\0\0\0\0\0hi"),
    "an unknown packet": PRIMARY + packet(40, b""),
    "a partial length": PRIMARY + b"\xcd\xe0a\x00",
    "an indeterminate length": b"\x9b" + PRIMARY_BODY,
    "bytes after it": PRIMARY + b"\n",
    "a binding on a user id": PRIMARY + USER_ID + GOOD_BINDING,
    "a direct signature on a user id": PRIMARY + USER_ID + self_signature(0x1F, FINGERPRINT),
    "a certification on no user id": PRIMARY + CERTIFICATION,
    "a revocation at the wrong place": PRIMARY + USER_ID + self_signature(0x20, FINGERPRINT),
    "a subkey's revocation on the primary": PRIMARY + self_signature(0x28, FINGERPRINT),
    "an own signature of a class that has no place": PRIMARY + USER_ID + self_signature(0x00, FINGERPRINT),
    "a self-signature without a date": PRIMARY
    + USER_ID
    + join(b"\x04\x13\x16\x08", subpacket(33, b"\x04" + bytes.fromhex(FINGERPRINT)), b"", b"ab"),
    "a self-signature with two dates": PRIMARY + USER_ID + self_signature(0x13, FINGERPRINT, extra=expires(1, kind=2)),
    "an end of three octets": PRIMARY + USER_ID + self_signature(0x13, FINGERPRINT, extra=subpacket(9, b"abc")),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes) -> None:
    with pytest.raises(KeyFormatError) as caught:
        parse_public_key(data, path="keys/x.asc")
    assert str(caught.value).startswith("keys/x.asc: ")


def rsa(bits: int, algorithm: int = 1) -> bytes:
    return key_body(algorithm, [2 ** (bits - 1) + 1, 65537])


P256 = bytes.fromhex("2a8648ce3d030107")
WEAK = {
    "RSA-1024": (rsa(1024), "RSA key of 1024 bits; 3072 are needed"),
    "RSA-2048": (rsa(2048), "RSA key of 2048 bits"),
    "RSA-3071": (rsa(3071), "RSA key of 3071 bits"),
    "RSA-3072": (rsa(3072), None),
    "RSA for signing": (rsa(4096, 3), None),
    "RSA for encryption": (rsa(4096, 2), "not for signing"),
    "DSA": (key_body(17, [2**3071 + 1, 2**255 + 1, 5, 7]), "DSA key, which is too weak"),
    "ElGamal": (key_body(16, [2**3071 + 1, 5, 7]), "ElGamal key"),
    "ElGamal for signing": (key_body(20, [2**3071 + 1, 5, 7]), "ElGamal key"),
    "ECDSA": (key_body(19, [2**514 + 1], curve=P256), None),
    "EdDSA": (key_body(22, [2**262 + 5], curve=ED25519), None),
    "an unknown curve": (key_body(19, [2**514 + 1], curve=b"\x2b\x01"), "unknown elliptic curve"),
    "ECDH": (key_body(18, [2**262 + 1], curve=P256) + b"\x03\x01\x08\x07", "cannot sign or is not known"),
    "an algorithm of later days": (key_body(27, []) + bytes(32), "cannot sign or is not known"),
    "algorithm 0": (key_body(0, []), "cannot sign or is not known"),
}


@pytest.mark.parametrize("body, problem", WEAK.values(), ids=WEAK.keys())
def test_weak_and_unknown_algorithms_are_named_in_primaries_and_in_subkeys(body: bytes, problem: Optional[str]) -> None:
    fingerprint = parse_public_key(packet(6, body)).fingerprint
    primary = parse_public_key(packet(6, body) + USER_ID + self_signature(0x13, fingerprint))
    subkey = with_subkey()
    bound = parse_public_key(
        PRIMARY + USER_ID + CERTIFICATION + packet(14, body) + binding(unhashed=back_signature(fingerprint))
    )
    strong_below = subkey.subkeys[0]._replace(can_sign=True, back_signed=True)
    found = [
        key_problem(primary, primary, KeyRequirements()),
        key_problem(bound.subkeys[0], bound, KeyRequirements()),
        key_problem(strong_below, primary, KeyRequirements()),
    ]
    if problem is None:
        assert found == [None, None, None]
    else:
        # A strong subkey does not help: whoever breaks the primary binds subkeys of their own.
        assert all(text is not None for text in (found if "not for signing" not in problem else found[:2]))
        assert problem in str(found[0])


def test_a_policy_may_ask_for_more_or_fewer_bits() -> None:
    body = rsa(4096)
    fingerprint = parse_public_key(packet(6, body)).fingerprint
    found = parse_public_key(packet(6, body) + USER_ID + self_signature(0x13, fingerprint))
    assert found.bits == 4096
    assert key_problem(found, found, KeyRequirements(min_rsa_bits=4096)) is None
    assert key_problem(found, found, KeyRequirements(min_rsa_bits=4097)) is not None


VALIDITIES = {
    "no limit": (None, None, None),
    "no limit, with an end": (10 * DAY, None, None),
    "a key without an end": (None, 400, "never expires; keys may be valid for at most 400 days"),
    "exactly the limit": (400 * DAY, 400, None),
    "a second over it": (400 * DAY + 1, 400, "is valid for 401 days"),
    "far over it": (4000 * DAY, 400, "is valid for 4000 days"),
}


@pytest.mark.parametrize("seconds, days, problem", VALIDITIES.values(), ids=VALIDITIES.keys())
def test_validity_is_measured_from_the_latest_self_signature(
    seconds: Optional[int], days: Optional[int], problem: Optional[str]
) -> None:
    signed = CREATED + 1000 * DAY
    extra = expires(signed - CREATED + seconds) if seconds else b""
    found = key(self_signature(0x13, FINGERPRINT, created=signed, extra=extra))
    text = key_problem(found, found, KeyRequirements(max_validity_days=days))
    assert text is None if problem is None else problem in str(text)


def test_a_subkey_that_ends_does_not_excuse_a_primary_that_does_not() -> None:
    primary = with_subkey(binding(extra=expires(DAY), unhashed=back_signature()))
    assert primary.subkeys[0].expires == CREATED + DAY
    assert "never expires" in str(key_problem(primary.subkeys[0], primary, KeyRequirements(max_validity_days=400)))


def test_a_user_id_cannot_draw_on_the_terminal() -> None:
    found = parse_public_key(PRIMARY + packet(13, b"\x1b[31mroot\n\xff\xe2\x80\xae Rafa\xc5\x82"))
    assert found.user_ids == ("\ufffd[31mroot\ufffd\ufffd\ufffd Rafał",)


def test_photographs_are_no_names() -> None:
    found = parse_public_key(PRIMARY + USER_ID + CERTIFICATION + packet(17, bytes(50)) + CERTIFICATION)
    assert found.user_ids == ("Marek <marek@example.org>",)
    assert found.can_sign


def test_a_keyring_holds_the_issuer_all_revocations_and_nothing_of_other_people() -> None:
    revocation, foreign = self_signature(0x20, OTHER), self_signature(0x10, OTHER)
    other = packet(14, key_body(22, [2**262 + 7], curve=ED25519))
    whole = parse_public_key(
        PRIMARY + revocation + USER_ID + foreign + CERTIFICATION + other + GOOD_BINDING + SUBKEY + GOOD_BINDING
    )
    start = PRIMARY + revocation + USER_ID + CERTIFICATION

    def by(fingerprint: str) -> bytes:
        hashed = subpacket(2, bytes(4)) + subpacket(33, b"\x04" + bytes.fromhex(fingerprint))
        return keyring_for(whole, parse_signature_packet(join(b"\x04\0\x16\x08", hashed, b"", b"ab" + mpi(3) * 2)))

    assert by(FINGERPRINT) == start
    assert by(OTHER) == start
    assert by(SUBKEY_FINGERPRINT) == start + SUBKEY + GOOD_BINDING


@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_key_format_error(data: bytes) -> None:
    with pytest.raises(KeyFormatError):
        parse_public_key(data)


WHOLE = PRIMARY + USER_ID + CERTIFICATION + SUBKEY + GOOD_BINDING


@given(st.binary(max_size=60), st.integers(0, len(WHOLE)), st.integers(0, 60))
def test_damaged_keys_are_read_or_refused_with_key_format_error(data: bytes, at: int, drop: int) -> None:
    damaged = WHOLE[:at] + data + WHOLE[at + drop :]
    try:
        found = parse_public_key(damaged)
    except KeyFormatError:
        return
    assert found.binary == damaged
    assert found == parse_public_key(armor(damaged, PUBLIC_KEY).encode())
    key_problem(found, found, KeyRequirements(max_validity_days=1))
    for subkey in found.subkeys:
        key_problem(subkey, found, KeyRequirements(max_validity_days=1))
