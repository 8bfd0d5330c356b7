# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules with signed-by: real signatures over a real package's header, by real engines, through the gate."""

from __future__ import annotations

from contextlib import closing
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Union

import pytest

from fixtures.rpmedit import STRING, STRING_ARRAY, Rpm
from fixtures.rpmjudge import edited
from fixtures.vendor import header_bytes, with_signatures
from multisig.gate import Gate, Judged
from multisig.openpgp import Checked, Engine, Outcome, PublicKey, Signature, open_engine, parse_signature_packet
from multisig.openpgp.armor import SIGNATURE, dearmor
from multisig.openpgp.engines import CHOICES
from multisig.policy import Policy, parse_policy
from multisig.vendor import UNSEEN, HeaderEvidence, missing_text
from multisig.verdict import Code
from tests.unit.core import (
    CHANNEL,
    NOW,
    PEOPLE,
    FakeEngine,
    FakeSource,
    exemption,
    key,
    leaf,
    policy,
    public_key,
    rule,
    signer,
)
from tests.unit.gate_bench import at_hand, build_packages, code, planned, signed
from tests.unit.openpgp_keys import PAST, Home, join, parts_of, subpacket

LATER = "20250101T000000"
AT_LATER = 1_735_689_600
KEYS = {
    "vendor": ("rsa3072", "never"),
    "eddy": ("ed25519", "never"),
    "curvy": ("nistp256", "never"),
    "other": ("ed25519", "never"),
    "small": ("rsa2048", "never"),
    "ancient": ("dsa1024", "never"),
    "expired": ("ed25519", "20d"),
    "ending": ("ed25519", "20y"),
    "gone": ("ed25519", "never"),
    "split": ("ed25519", "never"),
}
GOOD = ("vendor", "eddy", "curvy")


class Vendors:
    """Keys of vendors and their signatures over a package's header."""

    def __init__(self, home: Home) -> None:
        self.home = home
        for name, (algorithm, expire) in KEYS.items():
            home.create(name, algorithm, expire=expire, at=PAST)
        self.subkey = home.add("split", "ed25519", "sign", at=PAST)
        self.encryption = home.add("vendor", "cv25519", "encr", at=PAST)
        self.revoked = self._revoked("gone")

    def _revoked(self, name: str) -> bytes:
        """The public key as it is after its owner revoked it; here it can go on signing."""
        fingerprint = self.home.fingerprints[name]
        certificate = self.home.ask("--gen-revoke", fingerprint, answers="y\n2\n\ny\n")
        elsewhere = Home()
        try:
            elsewhere.gpg("--import", data=self.home.export(name))
            elsewhere.gpg("--import", data=certificate)
            return elsewhere.gpg("--export", fingerprint)
        finally:
            elsewhere.close()

    def packet(self, name: str, package: Rpm, *options: str, at: Optional[str] = LATER, user: str = "") -> bytes:
        return dearmor(self.armored(name, package, *options, at=at, user=user), SIGNATURE)

    def armored(self, name: str, package: Rpm, *options: str, at: Optional[str] = LATER, user: str = "") -> str:
        return self.home.sign(user or name, *options, data=header_bytes(package), at=at)

    def policy(self, *rules: Sequence[str], more: str = "") -> Policy:
        """A policy of signed-by rules, each for all packages, by the keys of these names."""
        text = f"multisig: policy/v1\nserial: 1\n{more}rules:\n"
        for number, names in enumerate(rules):
            listed = (f'{{fingerprint: "{self.home.fingerprints[name]}", file: {name}.asc}}' for name in names)
            text += f"  - name: rule {number}\n    signed-by: [{', '.join(listed)}]\n"
        return parse_policy(text.encode(), path="p", read_file=self._file)

    def _file(self, name: str) -> bytes:
        return self.revoked if name == "gone.asc" else self.home.export(name[: -len(".asc")])


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    home = Home()
    try:
        yield Vendors(home)
    finally:
        home.close()


@pytest.fixture(scope="module", params=CHOICES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with closing(open_engine(request.param)) as opened:
        yield opened


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    return build_packages(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"]


class OfBoth(FakeEngine):
    """A real engine for the vendor's key, made-up signatures for people."""

    def __init__(self, real: Engine) -> None:
        super().__init__()
        self._real = real

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        if key.user_ids == ("vendor",):
            return self._real.verify(data, signature, key)
        return super().verify(data, signature, key)


class Counting(FakeEngine):
    """Counts how often an engine is asked; ``always`` is what it finds instead of asking."""

    def __init__(self, real: Engine, always: Optional[Checked] = None) -> None:
        super().__init__()
        self.asked = 0
        self._real = real
        self._always = always

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        self.asked += 1
        return self._always or self._real.verify(data, signature, key)


def judged(
    package: Rpm, by: Policy, engine: Engine, *, now: int = AT_LATER + 60, bundle: Optional[bytes] = None
) -> Judged:
    with Gate(by, engine, now=now, workers=2) as gate:
        return at_hand(package, bundle, gate=gate)


def refused(package: Rpm, by: Policy, engine: Engine, reason: str, *, now: int = AT_LATER + 60) -> Judged:
    found = judged(package, by, engine, now=now)
    assert code(found) is Code.BELOW_THRESHOLD
    assert reason in found.verdict.message
    assert found.verdict.signers == ()
    return found


# --- whose signature counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("place", ["rsa", "dsa", "openpgp"])
@pytest.mark.parametrize("digest", ["SHA256", "SHA512"])
def test_a_good_signature_counts_in_whichever_tag_it_stands(
    vendors: Vendors, engine: Engine, hello: Rpm, name: str, place: str, digest: str
) -> None:
    packet = vendors.packet(name, hello, "--digest-algo", digest)
    package = {
        "rsa": with_signatures(hello, rsa=packet),
        "dsa": with_signatures(hello, dsa=packet),
        "openpgp": with_signatures(hello, openpgp=[packet]),
    }[place]
    found = judged(package, vendors.policy([name]), engine)
    assert code(found) is Code.OK
    assert found.verdict.message.startswith(f"signed by {name} (key ")
    assert found.verdict.signers == ()  # people alone


def test_a_signature_by_a_signing_subkey_counts(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = vendors.packet("split", hello, user=vendors.subkey)
    assert code(judged(with_signatures(hello, openpgp=[packet]), vendors.policy(["split"]), engine)) is Code.OK


def test_one_good_signature_among_others_suffices(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    junk: List[Union[bytes, str]] = [
        "YQ==",
        vendors.packet("other", hello),
        vendors.packet("gone", hello),
        vendors.packet("eddy", hello),
    ]
    package = with_signatures(hello, rsa=vendors.packet("ancient", hello), openpgp=junk)
    assert code(judged(package, vendors.policy(["vendor", "eddy"]), engine)) is Code.OK


def test_one_of_a_rule_s_keys_suffices_and_each_rule_needs_one(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    one, other = vendors.packet("vendor", hello), vendors.packet("eddy", hello)
    either, both = vendors.policy(["vendor", "eddy"]), vendors.policy(["vendor"], ["eddy"])
    for packet in (one, other):
        assert code(judged(with_signatures(hello, openpgp=[packet]), either, engine)) is Code.OK
        refused(with_signatures(hello, openpgp=[packet]), both, engine, "must be signed by ")
    assert code(judged(with_signatures(hello, openpgp=[one, other]), both, engine)) is Code.OK


def test_a_package_without_a_signature_is_refused(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    refused(with_signatures(hello), vendors.policy(["vendor"]), engine, "but is not signed")


def test_a_signature_over_another_header_does_not_count(
    vendors: Vendors, engine: Engine, built: Dict[str, Rpm]
) -> None:
    moved = with_signatures(built["hello"], rsa=vendors.packet("vendor", built["world"]))
    refused(moved, vendors.policy(["vendor"]), engine, "carries a signature by vendor")


@pytest.mark.parametrize(
    "edit",
    [
        lambda package: package.set(1004, STRING, "another summary"),
        lambda package: package.set(1007, STRING, "elsewhere.example.org"),
        lambda package: package.set(1124, STRING, "cpio "),
    ],
    ids=["SUMMARY", "BUILDHOST, which people do not sign", "PAYLOADFORMAT"],
)
def test_any_change_of_the_header_ends_its_signature(
    vendors: Vendors, engine: Engine, hello: Rpm, edit: Callable[[Rpm], object]
) -> None:
    package = edited(with_signatures(hello, rsa=vendors.packet("vendor", hello)), edit)
    assert not judged(package, vendors.policy(["vendor"]), engine).verdict.accepted


def test_a_signature_without_the_header_s_magic_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = dearmor(vendors.home.sign("vendor", data=header_bytes(hello)[8:], at=LATER), SIGNATURE)
    refused(with_signatures(hello, rsa=packet), vendors.policy(["vendor"]), engine, "that does not hold")


def test_a_signature_over_header_and_payload_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    both = header_bytes(hello) + hello.payload
    packet = dearmor(vendors.home.sign("vendor", data=both, at=LATER), SIGNATURE)
    refused(with_signatures(hello, rsa=packet), vendors.policy(["vendor"]), engine, "that does not hold")
    old = with_signatures(hello)
    old.signature.add(1002, 7, packet)
    refused(old, vendors.policy(["vendor"]), engine, "header and payload together")


# --- keys and dates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("small", "the key is an RSA key of 2048 bits; 3072 are needed"),
        ("gone", "the key is revoked"),
    ],
)
def test_a_key_that_fails_a_requirement_does_not_count(
    vendors: Vendors, engine: Engine, hello: Rpm, name: str, reason: str
) -> None:
    packet = vendors.packet(name, hello, at="20240105T000000")
    refused(with_signatures(hello, rsa=packet), vendors.policy([name]), engine, f"is signed by {name} (key ")
    refused(with_signatures(hello, rsa=packet), vendors.policy([name]), engine, reason)


def test_a_key_that_has_expired_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    package = with_signatures(hello, rsa=vendors.packet("expired", hello, at="20240105T000000"))
    refused(package, vendors.policy(["expired"]), engine, "is signed by expired (key ")
    refused(package, vendors.policy(["expired"]), engine, "the key has expired")


def test_dsa_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    package = with_signatures(hello, dsa=vendors.packet("ancient", hello))
    refused(package, vendors.policy(["ancient"]), engine, "DSA signatures do not count")


def test_what_an_expired_key_signed_while_it_held_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    package = with_signatures(hello, rsa=vendors.packet("ending", hello))
    ends = vendors.policy(["ending"]).rules[0].signed_by
    assert ends is not None
    end = ends[0].public.expires
    assert end is not None
    assert code(judged(package, vendors.policy(["ending"]), engine, now=end - 1)) is Code.OK
    refused(package, vendors.policy(["ending"]), engine, "the key has expired", now=end)


def test_a_limit_on_validity_holds_for_vendors_too(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    by = vendors.policy(["vendor"], more="keys: {max-validity-days: 400}\n")
    refused(with_signatures(hello, rsa=vendors.packet("vendor", hello)), by, engine, "the key never expires")


def test_a_signature_with_a_date_in_the_future_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    package = with_signatures(hello, rsa=vendors.packet("vendor", hello))
    by = vendors.policy(["vendor"])
    refused(package, by, engine, "with a date in the future", now=AT_LATER - 301)
    assert code(judged(package, by, engine, now=AT_LATER - 300)) is Code.OK


def test_a_signature_that_has_expired_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = vendors.packet("vendor", hello, "--default-sig-expire", "1d")
    refused(with_signatures(hello, rsa=packet), vendors.policy(["vendor"]), engine, "has expired")
    by = vendors.policy(["vendor"])
    short = vendors.packet("vendor", hello, "--default-sig-expire", "30y")
    end = parse_signature_packet(short).expires
    assert end is not None
    refused(with_signatures(hello, rsa=short), by, engine, "and the signature has expired", now=end)
    assert code(judged(with_signatures(hello, rsa=short), by, engine, now=end - 1)) is Code.OK


# --- forms that do not count -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", ["SHA1", "SHA224"])
def test_a_weak_digest_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm, digest: str) -> None:
    # gpg refuses to sign so in some set-ups; the number in the packet is what is looked at.
    head, hashed, unhashed, rest = parts_of(vendors.armored("vendor", hello))
    number = {"SHA1": 2, "SHA224": 11}[digest]
    packet = join(head[:3] + bytes([number]), hashed, unhashed, rest)
    refused(with_signatures(hello, rsa=packet), vendors.policy(["vendor"]), engine, "signatures do not count")


def test_a_version_3_signature_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = vendors.packet("vendor", hello)
    at = next(index for index in range(1, 6) if packet[index] == 4)
    old = packet[:at] + b"\x03" + packet[at + 1 :]
    refused(with_signatures(hello, rsa=old), vendors.policy(["vendor"]), engine, "another version")


def test_a_text_signature_does_not_count(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = vendors.packet("vendor", hello, "--textmode")
    refused(with_signatures(hello, rsa=packet), vendors.policy(["vendor"]), engine, "class 01")


def test_an_inline_signed_message_is_no_signature(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    message = vendors.home.gpg("--local-user", "vendor", "--compress-algo", "none", "--sign", data=b"x", at=LATER)
    refused(
        with_signatures(hello, rsa=message), vendors.policy(["vendor"]), engine, "carries a signature that does not"
    )


def test_two_packets_in_one_place_are_no_signature(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = vendors.packet("vendor", hello)
    refused(
        with_signatures(hello, rsa=packet + packet), vendors.policy(["vendor"]), engine, "exactly one OpenPGP packet"
    )


def test_bytes_after_a_packet_are_no_signature(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    packet = vendors.packet("vendor", hello)
    refused(with_signatures(hello, rsa=packet + b"\0"), vendors.policy(["vendor"]), engine, "does not count")


# --- whom it names ---------------------------------------------------------------------------------------------------


def test_a_stranger_s_key_is_named_by_its_ends(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    package = with_signatures(hello, rsa=vendors.packet("other", hello))
    number = vendors.home.fingerprints["other"]
    shown = f"{number[:4]} {number[4:8]} … {number[-4:]}"
    refused(package, vendors.policy(["vendor"]), engine, f"but is signed by a key nobody here knows, {shown}")


def test_a_key_of_another_rule_is_named_and_counts_for_that_rule_alone(
    vendors: Vendors, engine: Engine, hello: Rpm
) -> None:
    by = vendors.policy(["vendor"], ["other"])
    elsewhere = by._replace(rules=(by.rules[0], by.rules[1]._replace(repos=("elsewhere",))))
    package = with_signatures(hello, rsa=vendors.packet("other", hello))
    refused(package, elsewhere, engine, "but is signed by other (key ")
    refused(package, elsewhere, engine, "which no signed-by rule for this package names")
    refused(package, by, engine, "but is signed by other (key ")


def test_a_long_list_of_keys_is_cut_short() -> None:
    keys = [key(public_key(f"vendor {number}")) for number in range(9)]
    assert "vendor 2 (key" in missing_text(keys, UNSEEN)
    assert missing_text(keys, UNSEEN).endswith(" or 6 more")


# --- the header's signature is a hint to nothing else ----------------------------------------------------------------


def test_nobody_has_looked_is_not_satisfied() -> None:
    vendor = key(public_key("vendor"))
    assert not UNSEEN.counts(vendor)
    assert HeaderEvidence((vendor,)).counts(vendor)
    assert not HeaderEvidence((vendor,)).counts(vendor._replace(problem="is revoked"))


def test_at_most_four_signatures_of_a_key_are_tried(vendors: Vendors, hello: Rpm) -> None:
    head, hashed, _, rest = parts_of(vendors.armored("vendor", hello))
    flood = [join(head, hashed, subpacket(100, bytes([number])), rest) for number in range(9)]
    never = Counting(FakeEngine(), Checked(Outcome.BAD))
    found = judged(with_signatures(hello, openpgp=flood), vendors.policy(["vendor"]), never)
    assert code(found) is Code.BELOW_THRESHOLD
    assert never.asked == 4


def test_no_more_are_tried_once_the_rules_are_satisfied(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    counting = Counting(engine)
    package = with_signatures(hello, openpgp=[vendors.packet("vendor", hello), vendors.packet("eddy", hello)])
    assert code(judged(package, vendors.policy(["vendor", "eddy"]), counting)) is Code.OK
    assert counting.asked == 1


# --- the payload -----------------------------------------------------------------------------------------------------


def with_other_payload(package: Rpm) -> Rpm:
    def edit(copy: Rpm) -> None:
        copy.set_archive(copy.archive.replace(b"Hello, world!", b"Hello, enemy!"))

    return edited(package, edit)


def without_payload_digest(package: Rpm) -> Rpm:
    def edit(copy: Rpm) -> None:
        for tag in (5092, 5093, 5097):
            copy.remove(tag)

    return edited(package, edit)


def test_another_payload_under_a_signed_header_is_refused(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    package = with_signatures(hello, rsa=vendors.packet("vendor", hello))
    assert code(judged(package, vendors.policy(["vendor"]), engine)) is Code.OK
    assert code(judged(with_other_payload(package), vendors.policy(["vendor"]), engine)) is Code.PAYLOAD_MISMATCH


def test_without_a_digest_of_the_payload_in_the_header_the_payload_is_held_to_the_file_digests(
    vendors: Vendors, engine: Engine, hello: Rpm
) -> None:
    bare = without_payload_digest(hello)
    package = with_signatures(bare, rsa=vendors.packet("vendor", bare))
    assert code(judged(package, vendors.policy(["vendor"]), engine)) is Code.OK
    assert code(judged(with_other_payload(package), vendors.policy(["vendor"]), engine)) is Code.PAYLOAD_MISMATCH


def test_a_digest_of_the_uncompressed_payload_alone_binds_nothing(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    bare = edited(hello, lambda copy: copy.remove(5092), lambda copy: copy.remove(5093))
    package = with_signatures(bare, rsa=vendors.packet("vendor", bare))
    assert code(judged(with_other_payload(package), vendors.policy(["vendor"]), engine)) is Code.PAYLOAD_MISMATCH


def test_a_signed_digest_of_the_payload_vouches_for_no_rule_that_asks_people(
    vendors: Vendors, engine: Engine, hello: Rpm
) -> None:
    """The vendor's header gives the digest of a payload that does not hold what the header says of its files."""
    lying = with_other_payload(hello)
    lying.fix_payload_digest()
    package = with_signatures(lying, rsa=vendors.packet("vendor", lying))
    vendor_rule = vendors.policy(["vendor"]).rules[0]
    assert code(judged(package, policy(vendor_rule), engine)) is Code.OK  # as the vendor has it
    both = policy(vendor_rule, rule(leaf(2)))
    bundle = signed(package, *PEOPLE[:2])
    assert code(judged(package, both, OfBoth(engine), bundle=bundle)) is Code.PAYLOAD_MISMATCH


# --- together with other rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor_signed", [True, False])
@pytest.mark.parametrize("people", [0, 1, 2])
def test_a_package_that_both_kinds_of_rule_match_needs_both(
    vendors: Vendors, engine: Engine, hello: Rpm, vendor_signed: bool, people: int
) -> None:
    by = policy(vendors.policy(["vendor"]).rules[0], rule(leaf(2)))
    package = with_signatures(hello, rsa=vendors.packet("vendor", hello) if vendor_signed else None)
    bundle = signed(hello, *PEOPLE[:people]) if people else None
    found = judged(package, by, OfBoth(engine), bundle=bundle)
    assert found.verdict.accepted is (vendor_signed and people == 2)
    if not found.verdict.accepted:
        assert code(found) is (Code.BELOW_THRESHOLD if people else Code.NO_BUNDLE)
        assert ("must be signed by vendor" in found.verdict.message) is not vendor_signed
        assert ("needs" in found.verdict.message) is (people < 2)


def test_people_s_signatures_do_not_stand_in_for_the_vendor_s(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    found = judged(hello, vendors.policy(["vendor"]), OfBoth(engine), bundle=signed(hello, *PEOPLE))
    assert code(found) is Code.BELOW_THRESHOLD


def test_bundles_are_not_fetched_anew_for_want_of_a_vendor_s_signature(hello: Rpm) -> None:
    vendor = rule(name="vendor", signed_by=(key(public_key("fedora")),))
    source = FakeSource({1: signed(hello, *PEOPLE[:2])}, {1: signed(hello, *PEOPLE)})
    found = at_hand(hello, by=policy(vendor, rule(leaf(2))), source=source)
    assert code(found) is Code.BELOW_THRESHOLD
    assert source.asked == [(False, {1})]


def test_an_exemption_beside_it_does_not_stand_in_for_the_signature(
    vendors: Vendors, engine: Engine, hello: Rpm
) -> None:
    by = policy(vendors.policy(["vendor"]).rules[0], exemption())
    assert code(judged(hello, by, engine)) is Code.BELOW_THRESHOLD
    assert code(judged(with_signatures(hello, rsa=vendors.packet("vendor", hello)), by, engine)) is Code.OK


def test_the_guard_of_the_policy_holds_beside_it(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    def move(copy: Rpm) -> None:
        copy.set(1118, STRING_ARRAY, [b"/etc/multisig/" if name == b"/etc/" else name for name in copy.values(1118)])

    guarded = edited(hello, move)
    package = with_signatures(guarded, rsa=vendors.packet("vendor", guarded))
    vendor_rule = vendors.policy(["vendor"]).rules[0]
    by = policy(vendor_rule, quorum=leaf(2), channel=CHANNEL)
    assert code(judged(package, by, engine)) is Code.NO_BUNDLE
    assert code(judged(package, by._replace(quorum=None), engine)) in (Code.OK, Code.PAYLOAD_MISMATCH)


def test_a_plan_under_such_a_rule_waits_for_the_package(vendors: Vendors, engine: Engine) -> None:
    with Gate(vendors.policy(["vendor"]), engine, now=NOW, workers=2) as gate:
        (found,) = gate.judge_planned([planned()], FakeSource({}))
    assert found.verdict.accepted
    assert "when the package is at hand" in found.verdict.message


def test_a_compromised_signer_s_key_may_still_be_a_vendor_s(vendors: Vendors, engine: Engine, hello: Rpm) -> None:
    """The two roles are apart: what people may do says nothing of the keys that rules name for headers."""
    by = vendors.policy(["vendor"])._replace(signers={"marek": signer("marek", compromised=True)})
    assert code(judged(with_signatures(hello, rsa=vendors.packet("vendor", hello)), by, engine)) is Code.OK
