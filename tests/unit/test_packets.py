# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/packets.py: exactly one detached version 4 signature of class 00, and every byte accounted for."""

from __future__ import annotations

from typing import Union

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from multisig.errors import KeyFormatError, SignatureFormatError
from multisig.openpgp import packets
from multisig.openpgp.armor import PUBLIC_KEY, SIGNATURE, armor
from multisig.openpgp.packets import (
    canonical,
    parse_signature,
    parse_signature_packet,
    read_packets,
    read_signature_body,
)
from tests.unit.openpgp_keys import DATA, PAST, People, join, mpi, packet, parts_of, subpacket

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
CREATED = subpacket(2, (1_700_000_000).to_bytes(4, "big"))
ISSUER_FINGERPRINT = subpacket(33, b"\x04" + bytes.fromhex(FINGERPRINT))
ISSUER = subpacket(16, bytes.fromhex(FINGERPRINT[-16:]))
HEAD = bytes([4, 0x00, 22, 8])
REST = b"\xab\xcd" + mpi(2**255 + 1) + mpi(2**254 + 1)


def made(
    head: bytes = HEAD,
    hashed: bytes = CREATED + ISSUER_FINGERPRINT,
    unhashed: bytes = ISSUER,
    rest: bytes = REST,
) -> bytes:
    """A well-formed signature packet, but for what the test puts in."""
    return join(head, hashed, unhashed, rest)


GOOD = made()
BODY = GOOD[6:]


@pytest.mark.parametrize("name, algorithm", [("marek", 22), ("joanna", 22), ("rafal", 19), ("rsa2048", 1)])
@pytest.mark.parametrize("digest, number", [("SHA256", 8), ("SHA384", 9), ("SHA512", 10)])
def test_what_gpg_signs_is_read(people: People, name: str, algorithm: int, digest: str, number: int) -> None:
    signature = people.signature(name, "--digest-algo", digest, at="20300101T000000")
    issuer = people.subkeys.get(name, people.home.fingerprints[name])
    assert signature.pubkey_algorithm == algorithm
    assert signature.hash_algorithm == number
    assert signature.created == 1_893_456_000
    assert signature.issuer_fingerprint == issuer
    assert signature.issuer_keyid == issuer[-16:]
    assert people.key(name).could_have_issued(signature)
    assert parse_signature(armor(signature.packet, SIGNATURE)) == signature


def test_notations_and_policy_links_are_no_reason_to_refuse(people: People) -> None:
    plain = people.signature("marek", at=PAST)
    adorned = people.signature("marek", "-N", "note@example.org=x", "--sig-policy-url", "http://example.org/", at=PAST)
    assert adorned._replace(packet=plain.packet, values=plain.values) == plain


def test_other_unhashed_subpackets_make_the_same_signature_by_the_same_signer(people: People) -> None:
    text = people.sign("marek")
    head, hashed, unhashed, rest = parts_of(text)
    changed = join(head, hashed, unhashed + subpacket(60, b"anything"), rest)
    assert parse_signature_packet(changed)._replace(packet=b"") == parse_signature(text)._replace(packet=b"")


ACCEPTED = {
    "new format, four octets of length": GOOD,
    "new format, one octet": bytes([0xC2, len(BODY)]) + BODY,
    "old format, one octet": bytes([0x88, len(BODY)]) + BODY,
    "old format, two octets": bytes([0x89, 0, len(BODY)]) + BODY,
    "old format, four octets": packet(2, BODY, old=True),
    "only a key id": made(hashed=CREATED),
    "only a fingerprint": made(unhashed=b""),
    "a fingerprint that is not hashed": made(hashed=CREATED, unhashed=ISSUER_FINGERPRINT),
    "issuers that agree": made(hashed=CREATED + ISSUER + ISSUER_FINGERPRINT * 2),
    "an unknown subpacket": made(hashed=CREATED + ISSUER_FINGERPRINT + subpacket(99, b"x")),
    "what is understood, marked critical": made(
        hashed=subpacket(2, b"aaaa", critical=True) + subpacket(3, b"aaaa", critical=True),
        unhashed=subpacket(16, bytes(8), critical=True),
    ),
    "a date that is not hashed, which is ignored": made(unhashed=ISSUER + subpacket(2, b"\xff" * 4)),
    "a subpacket with two octets of length": made(unhashed=ISSUER + b"\xc0\x08" + bytes([100]) + bytes(199)),
    "a subpacket with five octets of length": made(unhashed=ISSUER + b"\xff\x00\x00\x00\x02" + b"ab"),
    "RSA": made(head=bytes([4, 0, 1, 8]), rest=b"ab" + mpi(2**3071)),
    "an integer with leading zeros": made(rest=b"ab" + b"\x01\x00" + bytes(31) + b"\x01" + mpi(3)),
}


@pytest.mark.parametrize("binary", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(binary: bytes) -> None:
    signature = parse_signature_packet(binary)
    assert signature.packet == binary
    assert signature.issuer_keyid


@pytest.mark.parametrize("binary", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_engines_get_what_is_signed_in_one_form_and_nothing_else(binary: bytes) -> None:
    signature = parse_signature_packet(binary)
    given = parse_signature_packet(canonical(signature))
    assert given.packet == canonical(given)
    assert given._replace(packet=b"", issuer_fingerprint=None) == signature._replace(
        packet=b"", issuer_fingerprint=None
    )
    body = read_signature_body(read_packets(given.packet, SignatureFormatError)[0].body, SignatureFormatError)
    before = read_signature_body(read_packets(binary, SignatureFormatError)[0].body, SignatureFormatError)
    assert [sub for sub in body.subpackets if sub.hashed] == [sub for sub in before.subpackets if sub.hashed]
    assert [(sub.type, sub.body.hex().upper()) for sub in body.subpackets if not sub.hashed] == [
        (16, signature.issuer_keyid)
    ]


def test_a_packet_that_is_not_what_was_read_is_given_to_no_engine() -> None:
    signature = parse_signature_packet(GOOD)
    others = [
        signature._replace(packet=GOOD * 2),
        signature._replace(packet=GOOD[:-1]),
        signature._replace(packet=b""),
        signature._replace(hash_algorithm=9),
        signature._replace(pubkey_algorithm=1),
        signature._replace(packet=made(head=bytes([4, 1, 22, 8]))),
    ]
    for other in others:
        with pytest.raises(SignatureFormatError):
            canonical(other)


REFUSED = {
    # What it is.
    "nothing": (b"", "exactly one"),
    "two signatures": (GOOD + GOOD, "exactly one"),
    "a signature and a marker packet": (GOOD + packet(10, b"PGP"), "exactly one"),
    "a byte after it": (GOOD + b"\xc2", "cut short"),
    "no packet after it": (GOOD + b"\n", "not an OpenPGP packet"),
    "text": (b"hello", "not an OpenPGP packet"),
    "a literal packet": (packet(11, b"b\0\0\0\0\0hi"), "another OpenPGP packet"),
    "a one-pass signature": (packet(4, b"\x03\x00\x0a\x16" + bytes(8) + b"\x01"), "another OpenPGP packet"),
    "an inline-signed message": (packet(4, bytes(13)) + packet(11, b"b\0\0\0\0\0hi") + GOOD, "exactly one"),
    "a compressed packet": (packet(8, b"\0" + GOOD), "another OpenPGP packet"),
    "a key": (packet(6, bytes(20)), "another OpenPGP packet"),
    "the reserved tag": (b"\x80\x01a", "reserved"),
    "a padding packet": (packet(21, bytes(8)), "another OpenPGP packet"),
    # Lengths.
    "a partial length": (b"\xc2\xe5" + BODY[:32] + bytes([len(BODY) - 32]) + BODY[32:], "partial length"),
    "an indeterminate length": (b"\x8b" + BODY, "indeterminate length"),
    "cut short by one": (GOOD[:-1], "cut short"),
    "no length": (b"\xc2", "cut short"),
    "half a length": (b"\xc2\xff\x00", "cut short"),
    "a length of 4 GiB": (b"\xc2\xff\xff\xff\xff\xff", "cut short"),
    "over the size limit": (made(unhashed=ISSUER + b"\xff\x00\x00\x20\x01" + bytes(8193)), "longer than 8192"),
    # Version, class, algorithms.
    "an empty packet": (packet(2, b""), "cut short"),
    "version 3": (packet(2, b"\x03\x05\x00" + bytes(12) + b"\x01\x08" + REST), "another version"),
    "version 5": (made(head=bytes([5, 0, 22, 8])), "another version"),
    "version 6": (made(head=bytes([6, 0, 22, 8])), "another version"),
    "class 01, text": (made(head=bytes([4, 1, 22, 8])), "text document"),
    "class 02, standalone": (made(head=bytes([4, 2, 22, 8])), "standalone"),
    "class 10, a certification": (made(head=bytes([4, 0x10, 22, 8])), "certification"),
    "class 20, a revocation": (made(head=bytes([4, 0x20, 22, 8])), "class 20"),
    "class ff": (made(head=bytes([4, 0xFF, 22, 8])), "class ff"),
    "DSA": (made(head=bytes([4, 0, 17, 8])), "DSA signatures do not count"),
    "ElGamal": (made(head=bytes([4, 0, 20, 8])), "unknown signature algorithm"),
    "RSA for encryption": (made(head=bytes([4, 0, 2, 8])), "unknown signature algorithm"),
    "algorithm 0": (made(head=bytes([4, 0, 0, 8])), "unknown signature algorithm"),
    "MD5": (made(head=bytes([4, 0, 22, 1])), "MD5 signatures do not count"),
    "SHA-1": (made(head=bytes([4, 0, 22, 2])), "SHA-1 signatures do not count"),
    "RIPEMD-160": (made(head=bytes([4, 0, 22, 3])), "RIPEMD-160 signatures do not count"),
    "SHA-224": (made(head=bytes([4, 0, 22, 11])), "SHA-224 signatures do not count"),
    "digest 0": (made(head=bytes([4, 0, 22, 0])), "unknown digest"),
    "SHA3-256": (made(head=bytes([4, 0, 22, 12])), "unknown digest"),
    # Subpackets.
    "no date": (made(hashed=ISSUER_FINGERPRINT), "creation time"),
    "a date that is not hashed": (made(hashed=ISSUER_FINGERPRINT, unhashed=ISSUER + CREATED), "creation time"),
    "two dates": (made(hashed=CREATED * 2), "creation time"),
    "a date of three octets": (made(hashed=subpacket(2, bytes(3))), "creation time"),
    "no issuer": (made(hashed=CREATED, unhashed=b""), "who issued it"),
    "issuers that differ": (made(unhashed=subpacket(16, bytes(8))), "several issuers"),
    "key ids that differ": (made(hashed=CREATED, unhashed=ISSUER + subpacket(16, bytes(8))), "several issuers"),
    "fingerprints with one key id": (
        made(unhashed=subpacket(33, b"\x04" + bytes(12) + bytes.fromhex(FINGERPRINT[-16:]))),
        "several issuers",
    ),
    "a fingerprint of version 6": (made(hashed=CREATED + subpacket(33, b"\x06" + bytes(32))), "version 4"),
    "a short fingerprint": (made(hashed=CREATED + subpacket(33, b"\x04" + bytes(19))), "version 4"),
    "an empty fingerprint": (made(hashed=CREATED + subpacket(33, b"")), "version 4"),
    "a short key id": (made(unhashed=subpacket(16, bytes(4))), "8 octets"),
    "an unknown critical subpacket": (made(hashed=CREATED + subpacket(99, b"", critical=True)), "critical"),
    "a critical notation": (made(hashed=CREATED + subpacket(20, bytes(8), critical=True)), "critical"),
    "an unknown critical subpacket, not hashed": (made(unhashed=subpacket(99, b"", critical=True)), "critical"),
    "a subpacket without a type": (made(hashed=CREATED + b"\x00"), "without a type"),
    "a subpacket beyond its area": (made(unhashed=b"\x0a\x10" + bytes(8)), "cut short"),
    "a subpacket's length cut off": (made(unhashed=b"\xff\x00"), "cut short"),
    "an area beyond the packet": (packet(2, HEAD + b"\xff\xff" + CREATED), "cut short"),
    "no unhashed area": (packet(2, HEAD + b"\x00\x06" + CREATED), "cut short"),
    # The signature itself.
    "no integers": (made(rest=b"ab"), "cut short"),
    "no left bits of the digest": (made(rest=b""), "cut short"),
    "one integer too few": (made(rest=b"ab" + mpi(3)), "cut short"),
    "one integer too many": (made(rest=REST + mpi(3)), "bytes after"),
    "two integers for RSA": (made(head=bytes([4, 0, 1, 8])), "bytes after"),
    "an integer cut short": (made(rest=REST[:-1]), "cut short"),
    "an integer of no bits": (made(rest=b"ab" + b"\0\0" + mpi(3)), "not what its length says"),
    "an integer with bits beyond its length": (made(rest=b"ab\x00\x01\x03" + mpi(3)), "not what its length says"),
}


@pytest.mark.parametrize("binary, reason", REFUSED.values(), ids=REFUSED.keys())
def test_refused(binary: bytes, reason: str) -> None:
    with pytest.raises(SignatureFormatError, match=reason):
        parse_signature_packet(binary)
    with pytest.raises(SignatureFormatError):
        parse_signature(armor(binary, SIGNATURE))


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--textmode", "--detach-sign"], "text document"),
        (["--digest-algo", "SHA1", "--detach-sign"], "SHA-1 signatures do not count"),
        (["--digest-algo", "SHA224", "--detach-sign"], "SHA-224 signatures do not count"),
        (["--sign"], "does not begin with"),
        (["--clear-sign"], "does not begin with"),
        (["--store"], "does not begin with"),
        (["--export"], "does not begin with"),
    ],
)
def test_what_else_gpg_can_make_is_refused(people: People, options: list[str], reason: str) -> None:
    people.key("marek")
    data = b"" if "--export" in options else DATA
    fingerprint = people.home.fingerprints["marek"]
    named = [fingerprint] if "--export" in options else []
    text = people.home.gpg("--armor", "--local-user", fingerprint, *options, *named, data=data)
    with pytest.raises(SignatureFormatError, match=reason):
        parse_signature(text.decode())


def test_an_inline_signed_message_dressed_as_a_signature_is_refused(people: People) -> None:
    people.key("marek")
    message = people.home.gpg("--compress-algo", "none", "--local-user", "=marek", "--sign", data=DATA)
    with pytest.raises(SignatureFormatError, match="exactly one OpenPGP packet"):
        parse_signature(armor(message, SIGNATURE))


def test_two_people_in_one_block_are_refused(people: People) -> None:
    people.key("rafal")
    with pytest.raises(SignatureFormatError, match="exactly one OpenPGP packet"):
        parse_signature(people.sign("marek", "--local-user", people.home.fingerprints["rafal"]))


def test_a_dsa_signature_by_gpg_is_refused(people: People) -> None:
    with pytest.raises(SignatureFormatError, match="DSA signatures do not count"):
        people.signature("dsa", "--digest-algo", "SHA512")


def test_a_revocation_certificate_is_refused(people: People) -> None:
    people.key("marek")
    folder = people.home.path + "/openpgp-revocs.d/"
    with open(folder + people.home.fingerprints["marek"] + ".rev", encoding="ascii", errors="replace") as file:
        block = file.read().partition(":-----BEGIN")[2]
    with pytest.raises(SignatureFormatError):
        parse_signature("-----BEGIN" + block)
    with pytest.raises(SignatureFormatError, match="does not begin"):
        parse_signature(armor(packet(2, b""), PUBLIC_KEY))


def test_every_cut_of_a_signature_is_refused() -> None:
    for end in range(len(GOOD)):
        with pytest.raises(SignatureFormatError):
            parse_signature_packet(GOOD[:end])


def test_packets_are_split_where_they_end() -> None:
    data = packet(13, b"one") + packet(13, b"", old=True) + bytes([0xCD, 0xC0, 0x00]) + bytes(192)
    assert [(one.tag, len(one.body)) for one in read_packets(data, KeyFormatError)] == [(13, 3), (13, 0), (13, 192)]


@given(st.one_of(st.text(), st.binary()))
@example("")
@example(armor(b"\xc2", SIGNATURE))
def test_arbitrary_text_raises_nothing_but_signature_format_error(text: Union[str, bytes]) -> None:
    with pytest.raises(SignatureFormatError):
        parse_signature(text)


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_arbitrary_packets_are_read_or_refused_with_signature_format_error(data: bytes, at: int, drop: int) -> None:
    """What is read accounts for every byte: nothing may be left over to hide something in."""
    binary = GOOD[:at] + data + GOOD[at + drop :]
    try:
        signature = parse_signature_packet(binary)
    except SignatureFormatError:
        return
    assert signature.packet == binary
    with pytest.raises(SignatureFormatError):
        parse_signature_packet(binary + b"\0")
    with pytest.raises(SignatureFormatError):
        parse_signature_packet(binary[:-1])


def as_gpg_writes(head: bytes, rest: bytes) -> bytes:
    body = made(head=head, hashed=ISSUER_FINGERPRINT + CREATED, rest=rest)[6:]
    return b"\x88" + bytes([len(body)]) + body if len(body) < 256 else b"\x89" + len(body).to_bytes(2, "big") + body


USUAL = (as_gpg_writes(HEAD, REST), as_gpg_writes(bytes([4, 0x00, 1, 10]), b"\xab\xcd" + mpi(2**3071 + 1)))
EDITS = st.lists(st.tuples(st.integers(0, 70), st.sampled_from((0, 1)), st.binary(max_size=1)), max_size=3)


def read(binary: bytes) -> object:
    try:
        return parse_signature_packet(binary)
    except SignatureFormatError as error:
        return str(error)


@given(st.sampled_from(USUAL), EDITS, st.integers(0, 2))
@example(USUAL[0], [], 0)
@example(USUAL[1], [], 0)
def test_what_is_laid_out_as_gpg_does_is_read_as_anything_else_is(
    binary: bytes, edits: list[tuple[int, int, bytes]], drop: int
) -> None:
    assert packets._as_gpg_writes_it(binary) is not None
    for place, gone, new in edits:
        binary = binary[:place] + new + binary[place + gone :]
    binary = binary[: len(binary) - drop]
    with pytest.MonkeyPatch.context() as patch:
        quickly = read(binary)
        patch.setattr(packets, "_as_gpg_writes_it", lambda _: None)
        assert quickly == read(binary)
