# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks by OpenPGP on a verdict: two people have to sign; Marek has, and the attack wants to be the second vote.

Each with either engine, from the bundle to the verdict. The single failures are in test_openpgp_vectors.py.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Iterator, List, Sequence

import pytest

from fixtures.openpgp.building import (
    BORN,
    CERTIFY,
    CREATED,
    DAY,
    EXPIRES,
    MD5,
    PLAIN,
    SHA1,
    SIGNED,
    Recipe,
    bind,
    certify,
    fingerprint,
    framed,
    key_with_subkey,
    keyid,
    number,
    packet,
    primary,
    revoke,
    sign,
    sign_v3,
    sub,
    subkey,
    user_id,
)
from fixtures.openpgp.model import HER_SUBKEY, JOANNA, MALLORY, MAREK, armored, theirs
from fixtures.openpgp.secrets import Secret, dsa_key, ed25519_key, rsa_key
from multisig.bundle import Attestation, Bundle, encode
from multisig.gate import Gate
from multisig.openpgp import open_engine, parse_public_key
from multisig.openpgp.model import Engine
from multisig.policy import Key, Signer, load_policy
from multisig.statement import Kind, Subject
from multisig.verdict import Code, Verdict
from tests.unit.core import digests, leaf, policy, rule, statement

NAME = "image.iso"
TEXT = statement(Subject(NAME, digests()), kind=Kind.FILE)
DATA = TEXT.encode()
ANOTHER_SUBKEY = ed25519_key("joanna's other subkey")
HER_KEY = key_with_subkey(JOANNA, HER_SUBKEY)
REVOKED = primary(JOANNA) + revoke(JOANNA, framed(JOANNA), 0x20, reason=1) + HER_KEY[len(primary(JOANNA)) :]
EXPIRED = (
    primary(JOANNA) + user_id(b"J") + certify(JOANNA, b"J", CERTIFY, lasts=20 * DAY)
    + subkey(HER_SUBKEY) + bind(JOANNA, HER_SUBKEY)
)  # fmt: skip


@pytest.fixture(scope="module", params=["gpgv", "sequoia", "both"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with closing(open_engine(request.param)) as one:
        yield one


def person(name: str, *files: bytes) -> Signer:
    """Whatever is wrong with a key: what the policy's reader would say of it is not asked here."""
    publics = [parse_public_key(data) for data in files]
    return Signer(name, tuple(Key(public.fingerprint, f"{name}.asc", public, None) for public in publics), None, False)


def by(secret: Secret, recipe: Recipe = PLAIN, data: bytes = DATA) -> str:
    return armored(sign(secret, data, recipe))


def judge(engine: Engine, signatures: Sequence[str], *her_files: bytes, his: bytes = b"") -> Verdict:
    """The verdict where Marek's and Joanna's signatures are asked for, and these are there."""
    people = [person("marek", his or theirs(MAREK)), person("joanna", *(her_files or (HER_KEY,)))]
    asking = policy(rule(leaf(2, ("marek", "joanna")), kind="file"), signers=people)
    bundle = encode(Bundle((Attestation(TEXT, tuple(signatures)),)))
    with Gate(asking, engine, now=int(time.time()), workers=2) as gate:
        return gate.judge_digests(Kind.FILE, NAME, digests(), "@commandline", bundle).verdict


def refused(found: Verdict, *signers: str) -> None:
    assert (found.accepted, found.code) == (False, Code.BELOW_THRESHOLD)
    assert found.signers == (signers or ("marek",))


def test_two_people_are_two_votes_so_that_the_attacks_mean_something(engine: Engine) -> None:
    found = judge(engine, [by(MAREK), by(HER_SUBKEY)])
    assert found.accepted
    assert found.signers == ("marek", "joanna")


KEYS = {
    "a key that is revoked, at which gpgv exits with 0": REVOKED,
    "a key that has expired, with which VALIDSIG comes": EXPIRED,
    "a subkey that may not sign": key_with_subkey(JOANNA, HER_SUBKEY, bind(JOANNA, HER_SUBKEY, CERTIFY)),
    "a subkey that has expired": key_with_subkey(JOANNA, HER_SUBKEY, bind(JOANNA, HER_SUBKEY, lasts=20 * DAY)),
    "a subkey that had expired when it signed": key_with_subkey(
        JOANNA, HER_SUBKEY, bind(JOANNA, HER_SUBKEY, lasts=5 * DAY)
    ),
    "a subkey that did not consent": key_with_subkey(JOANNA, HER_SUBKEY, bind(JOANNA, HER_SUBKEY, back=b"")),
    "a subkey that is not bound": key_with_subkey(JOANNA, HER_SUBKEY, b""),
    "a forged binding": key_with_subkey(JOANNA, HER_SUBKEY, bind(JOANNA, HER_SUBKEY, recipe=Recipe(forged=True))),
    "somebody else's key with this subkey": key_with_subkey(MALLORY, HER_SUBKEY, bind(MALLORY, HER_SUBKEY, back=b"")),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_a_signature_by_a_key_that_does_not_count_is_no_vote(engine: Engine, key: bytes) -> None:
    refused(judge(engine, [by(MAREK), by(HER_SUBKEY)], key))


@pytest.mark.parametrize("reason", [None, 0, 1, 2, 3])
def test_an_old_date_does_not_save_what_a_revoked_key_signs(engine: Engine, reason: int) -> None:
    """Even a superseded one: dates are written by whoever holds the key."""
    key = primary(JOANNA) + revoke(JOANNA, framed(JOANNA), 0x20, reason=reason, created=SIGNED + DAY)
    refused(judge(engine, [by(MAREK), by(HER_SUBKEY)], key + HER_KEY[len(primary(JOANNA)) :]))


WEAK = {"RSA of 1024 bits": rsa_key(1024), "RSA of 2048 bits": rsa_key(2048), "DSA": dsa_key()}


@pytest.mark.parametrize("secret", WEAK.values(), ids=WEAK.keys())
def test_weak_keys_do_not_count_and_the_key_lint_says_so(
    engine: Engine, secret: Secret, tmp_path: Path
) -> None:
    refused(judge(engine, [by(MAREK), by(secret)], theirs(secret)))
    assert loaded(tmp_path, theirs(secret)) is not None


@pytest.mark.parametrize("digest", [MD5, SHA1])
def test_weak_digests_do_not_count_and_the_key_lint_says_so(engine: Engine, digest: int, tmp_path: Path) -> None:
    rsa = rsa_key()
    refused(judge(engine, [by(MAREK), by(rsa, Recipe(digest=digest))], theirs(rsa)))
    weak = primary(rsa) + user_id(b"R") + certify(rsa, b"R", recipe=Recipe(digest=digest))
    refused(judge(engine, [by(MAREK), by(rsa)], weak))
    assert loaded(tmp_path, weak) == "has a self-signature by too weak a digest; its owner should renew it " \
        "(gpg --quick-set-expire)"  # fmt: skip
    assert loaded(tmp_path, theirs(rsa)) is None


def loaded(folder: Path, key: bytes) -> "str | None":
    """What is said about the key when a policy with it is loaded."""
    public = parse_public_key(key)
    (folder / "key.asc").write_bytes(key)
    text = (
        "multisig: policy/v1\nserial: 1\nsigners:\n  joanna:\n"
        f'    keys: [{{fingerprint: "{public.fingerprint}", file: key.asc}}]\n'
        "groups: {builders: [joanna]}\n"
        "rules: [{name: all, packages: ['*'], channel: demo-stable, require: 1 of builders}]\n"
    )
    (folder / "policy.yaml").write_text(text)
    return load_policy(str(folder / "policy.yaml")).signers["joanna"].keys[0].problem


KINDS = {"text": 1, "standalone": 2, "certification": 0x13, "direct": 0x1F, "revocation": 0x20, "timestamp": 0x40}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_only_signatures_over_binary_documents_count(engine: Engine, kind: int) -> None:
    refused(judge(engine, [by(MAREK), by(HER_SUBKEY, Recipe(kind=kind))]))


def test_line_ends_cannot_be_changed(engine: Engine) -> None:
    changed = DATA.replace(b",", b",\r\n")
    refused(judge(engine, [by(MAREK), by(HER_SUBKEY, Recipe(kind=1), data=changed)]))


def inline(signature: bytes) -> List[str]:
    """What gpg and its relatives take in place of a detached signature."""
    one_pass = packet(4, b"\x03\x00\x08\x16" + HER_SUBKEY.fingerprint[-8:] + b"\x01")
    literal = packet(11, b"b\0\0\0\0\0" + DATA)
    block = armored(signature)
    return [
        armored(one_pass + literal + signature),
        armored(one_pass + literal + signature).replace("SIGNATURE", "MESSAGE"),
        armored(signature + literal),
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{TEXT}\n{block}",
        f"{block}{block}",
        armored(packet(8, b"\0" + signature)),
    ]


@pytest.mark.parametrize("place", range(6))
def test_messages_do_not_stand_in_for_detached_signatures(engine: Engine, place: int) -> None:
    refused(judge(engine, [by(MAREK), inline(sign(HER_SUBKEY, DATA))[place]]))


TWICE = {
    "the same signature twice": [by(MAREK), by(MAREK)],
    "with something added that is not hashed": [by(MAREK), by(MAREK, Recipe(unhashed=keyid(MAREK) + sub(99, b"?")))],
    "with other left bits": [by(MAREK), by(MAREK, Recipe(left=b"zz"))],
    "in another packet": [by(MAREK), by(MAREK, Recipe(old=True))],
    "a second signature": [by(MAREK), by(MAREK, Recipe(created=SIGNED + 1))],
}


@pytest.mark.parametrize("signatures", TWICE.values(), ids=TWICE.keys())
def test_one_person_is_one_vote_however_often_they_sign(engine: Engine, signatures: List[str]) -> None:
    refused(judge(engine, signatures))


def test_two_subkeys_of_one_key_are_one_vote(engine: Engine) -> None:
    two = HER_KEY + subkey(ANOTHER_SUBKEY) + bind(JOANNA, ANOTHER_SUBKEY)
    refused(judge(engine, [by(HER_SUBKEY), by(ANOTHER_SUBKEY)], two), "joanna")


def test_two_keys_of_one_person_are_one_vote(engine: Engine) -> None:
    other = ed25519_key("joanna's other key")
    refused(judge(engine, [by(HER_SUBKEY), by(other)], HER_KEY, theirs(other)), "joanna")


def test_a_key_id_leads_to_a_key_and_decides_nothing(engine: Engine) -> None:
    """Mallory's signatures that name Joanna's subkey, by key id, in full, and both."""
    when = number(CREATED, SIGNED)
    for recipe in (
        Recipe(hashed=when, unhashed=keyid(HER_SUBKEY)),
        Recipe(hashed=when + fingerprint(HER_SUBKEY), unhashed=b""),
        Recipe(hashed=when + fingerprint(HER_SUBKEY), unhashed=keyid(HER_SUBKEY)),
        Recipe(hashed=when + fingerprint(MALLORY), unhashed=keyid(HER_SUBKEY)),
    ):
        refused(judge(engine, [by(MAREK), by(MALLORY, recipe)]))


def test_signatures_from_before_a_subkey_and_after_its_end_do_not_count(engine: Engine) -> None:
    young = ed25519_key("young", SIGNED + 1)
    key = key_with_subkey(JOANNA, young, bind(JOANNA, young, created=SIGNED + 1))
    refused(judge(engine, [by(MAREK), by(young)], key))
    ended = key_with_subkey(JOANNA, HER_SUBKEY, bind(JOANNA, HER_SUBKEY, lasts=SIGNED - BORN))
    refused(judge(engine, [by(MAREK), by(HER_SUBKEY)], ended))
    refused(judge(engine, [by(MAREK), by(HER_SUBKEY, Recipe(extra=number(EXPIRES, 1)))]))


def test_version_3_does_not_count(engine: Engine) -> None:
    refused(judge(engine, [by(MAREK), armored(sign_v3(HER_SUBKEY, DATA))]))
