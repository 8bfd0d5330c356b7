# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/signing.py: the user's gpg and agent sign, with the key asked for, what would also count."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Iterator

import pytest

from multisig.errors import EngineError, KeyFormatError, UsageError
from multisig.openpgp.gpgv import GpgvEngine
from multisig.openpgp.model import Outcome
from multisig.openpgp.packets import parse_signature
from multisig.openpgp.signing import Signer
from tests.unit.openpgp_keys import DATA, PAST, Home, People


def signer(people: People, name: str) -> Signer:
    people.key(name)
    return Signer(people.home.fingerprints[name], gnupghome=people.home.path)


@pytest.fixture
def other_home() -> Iterator[Home]:
    home = Home()
    try:
        yield home
    finally:
        home.close()


@pytest.mark.parametrize("name", ["marek", "joanna", "rafal", "rsa2048"])
def test_what_is_signed_verifies_and_is_of_sha512(people: People, name: str) -> None:
    made = signer(people, name)
    armored = made.sign(DATA)
    signature = parse_signature(armored)
    assert signature.hash_algorithm == 10
    assert "Version" not in armored
    assert "Comment" not in armored
    with GpgvEngine() as engine:
        assert engine.verify(DATA, signature, made.public_key()).outcome is Outcome.GOOD


def test_gpg_itself_confirms_it_by_hand(people: People, tmp_path: Path) -> None:
    (tmp_path / "statement").write_bytes(DATA)
    (tmp_path / "signature").write_text(signer(people, "marek").sign(DATA))
    people.home.gpg("--verify", str(tmp_path / "signature"), str(tmp_path / "statement"))


@pytest.mark.parametrize("data", [b"", b"\r\n\0\xff", b"x" * 200_000], ids=["nothing", "odd bytes", "much"])
def test_the_bytes_are_signed_as_they_are(people: People, data: bytes) -> None:
    made = signer(people, "marek")
    with GpgvEngine() as engine:
        assert engine.verify(data, parse_signature(made.sign(data)), made.public_key()).outcome is Outcome.GOOD


def test_the_public_key_comes_from_the_users_keyring(people: People) -> None:
    assert signer(people, "marek").public_key() == people.key("marek")


def test_a_fingerprint_may_be_given_as_gpg_prints_it(people: People) -> None:
    plain = people.key("marek").fingerprint
    groups = " ".join(plain[start : start + 4] for start in range(0, 40, 4)).lower()
    assert Signer(groups, gnupghome=people.home.path).public_key().fingerprint == plain


def test_a_subkeys_fingerprint_means_exactly_that_subkey(people: People) -> None:
    people.home.create("several", at=PAST)
    subkeys = [people.home.add("several", "ed25519", "sign", at=PAST) for _ in range(2)]
    for fingerprint in subkeys:
        made = Signer(fingerprint, gnupghome=people.home.path)
        assert parse_signature(made.sign(DATA)).issuer_fingerprint == fingerprint
        assert made.public_key().fingerprint == people.home.fingerprints["several"]


@pytest.mark.parametrize(
    "name", ["", "marek", "0x1234", "89ABCDEF01234567", "0" * 39, "g" * 40, "0" * 40 + "!", "-" * 40]
)
def test_only_whole_fingerprints_name_a_key(people: People, name: str) -> None:
    with pytest.raises(UsageError, match="whole fingerprint"):
        Signer(name, gnupghome=people.home.path)


def test_a_key_that_is_not_there_is_named(people: People) -> None:
    with pytest.raises(UsageError, match="gpg has no key 0{40}"):
        Signer("0" * 40, gnupghome=people.home.path).sign(DATA)


def test_a_key_or_subkey_that_cannot_sign_is_refused_before_gpg_is_asked(people: People) -> None:
    people.home.create("certifier", usage="cert")
    with pytest.raises(UsageError, match="no part that can sign"):
        Signer(people.home.fingerprints["certifier"], gnupghome=people.home.path).public_key()
    encryption = people.key("marek").subkeys[0].fingerprint
    with pytest.raises(UsageError, match="no part that can sign"):
        Signer(encryption, gnupghome=people.home.path).sign(DATA)


def test_a_revoked_key_is_refused(people: People) -> None:
    people.home.create("withdrawn")
    people.home.revoke("withdrawn", "1")
    with pytest.raises(UsageError, match="is revoked"):
        Signer(people.home.fingerprints["withdrawn"], gnupghome=people.home.path).sign(DATA)


def test_an_expired_key_is_refused_in_gpgs_own_words(people: People) -> None:
    with pytest.raises(EngineError, match="gpg did not sign: .+"):
        signer(people, "expired").sign(DATA)


def test_a_key_without_its_secret_half_is_refused_in_gpgs_own_words(people: People, other_home: Home) -> None:
    other_home.gpg("--import", data=people.key("marek").binary)
    with pytest.raises(EngineError, match="No secret key"):
        Signer(people.key("marek").fingerprint, gnupghome=other_home.path).sign(DATA)


@pytest.mark.parametrize(
    "option",
    ["textmode", "comment hello", "emit-version", "digest-algo SHA1", "personal-digest-preferences SHA1", "armor"],
)
def test_habits_in_gpg_conf_do_not_spoil_signatures(people: People, other_home: Home, option: str) -> None:
    other_home.create("one")
    Path(other_home.path, "gpg.conf").write_text(option + "\n")
    signature = parse_signature(Signer(other_home.fingerprints["one"], gnupghome=other_home.path).sign(DATA))
    assert signature.hash_algorithm == 10


def test_a_signature_that_would_not_count_is_not_given_out(people: People, other_home: Home) -> None:
    """A second local-user in gpg.conf makes two signatures in one block."""
    other_home.create("one")
    other_home.create("two")
    Path(other_home.path, "gpg.conf").write_text(f"local-user {other_home.fingerprints['two']}\n")
    with pytest.raises(EngineError, match="would not count: not exactly one OpenPGP packet"):
        Signer(other_home.fingerprints["one"], gnupghome=other_home.path).sign(DATA)


def test_a_weak_key_is_told_when_signing_not_when_verifying(people: People) -> None:
    with pytest.raises(EngineError, match="DSA signatures do not count"):
        signer(people, "dsa").sign(DATA)


PINENTRY = """#!/bin/bash
echo OK
while read -r word rest; do
    case $word in
        GETPIN)
            echo "$word" >>"$0.asked"
            [ -s "$0.answer" ] || { echo "ERR 83886179 Operation cancelled"; continue; }
            echo "D $(cat "$0.answer")" ;;
        BYE) echo OK; exit ;;
    esac
    echo OK
done
"""


def test_the_agent_asks_for_the_passphrase_with_the_users_pinentry(other_home: Home) -> None:
    pinentry = Path(other_home.path, "pinentry")
    pinentry.write_text(PINENTRY)
    pinentry.chmod(0o755)
    answer = Path(other_home.path, "pinentry.answer")
    settings = f"pinentry-program {pinentry}\nmax-cache-ttl 0\ns2k-count 65536\n"
    Path(other_home.path, "gpg-agent.conf").write_text(settings)
    other_home.gpg("--passphrase", "open sesame", "--quick-gen-key", "careful", "ed25519", "sign", "never")
    made = Signer(other_home.listed("careful")[0], gnupghome=other_home.path)
    subprocess.run(["gpg-connect-agent", "--homedir", other_home.path, "reloadagent", "/bye"], check=True, timeout=120)
    answer.write_text("open sesame\n")
    with GpgvEngine() as engine:
        assert engine.verify(DATA, parse_signature(made.sign(DATA)), made.public_key()).outcome is Outcome.GOOD
    assert Path(other_home.path, "pinentry.asked").read_text() == "GETPIN\n"
    subprocess.run(["gpg-connect-agent", "--homedir", other_home.path, "reloadagent", "/bye"], check=True, timeout=120)
    answer.unlink()
    with pytest.raises(EngineError, match="Operation cancelled"):
        made.sign(DATA)


def test_without_python_gnupg_it_says_what_to_install(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(sys)["modules"], "gnupg", None)
    with pytest.raises(UsageError, match="apt install python3-gnupg, or dnf install python3-gnupg"):
        Signer("0" * 40, gnupghome=people.home.path)


def test_the_other_package_of_that_name_is_told_apart(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    other = types.ModuleType("gnupg")
    monkeypatch.setitem(sys.modules, "gnupg", other)
    with pytest.raises(UsageError, match="not python-gnupg"):
        Signer("0" * 40, gnupghome=people.home.path)


def test_a_missing_gpg_or_home_is_a_matter_of_usage(people: People, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not be started"):
        Signer("0" * 40, gnupghome=people.home.path, program=str(tmp_path / "gpg"))
    with pytest.raises(UsageError, match="cannot be used"):
        Signer("0" * 40, gnupghome=str(tmp_path / "home"))


def test_a_keyring_that_exports_nonsense_is_an_error_of_the_key(people: People, tmp_path: Path) -> None:
    program = tmp_path / "gpg"
    program.write_text('#!/bin/bash\ncase "$*" in *--version*) exec gpg --version ;; esac\necho nonsense\n')
    program.chmod(0o755)
    with pytest.raises(KeyFormatError):
        Signer("0" * 40, gnupghome=people.home.path, program=str(program)).public_key()


def test_reading_needs_neither_python_gnupg_nor_subprocess() -> None:
    code = (
        "import sys, multisig.openpgp as o; "
        "o.parse_signature, o.parse_public_key; "
        "assert not {'gnupg', 'subprocess', 'tempfile', 'asyncio', 'email'} & set(sys.modules), sorted(sys.modules); "
        "o.GpgvEngine; assert 'subprocess' in sys.modules and 'gnupg' not in sys.modules; "
        "o.Signer; assert 'gnupg' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); {code}"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=120)
