# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/gpgv.py: real signatures by real keys, and a gpgv that is missing, broken, slow or lying."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple

import pytest

from multisig.errors import EngineError
from multisig.openpgp.gpgv import GpgvEngine
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import Engine, Outcome
from multisig.openpgp.packets import parse_signature, parse_signature_packet
from tests.unit.openpgp_keys import DATA, PAST, People, altered, join, parts_of, subpacket

IN_TIME = "20240103T000000"
IN_TIME_SECONDS = 1_704_240_000


@pytest.fixture(scope="module")
def engine() -> Iterator[GpgvEngine]:
    with GpgvEngine() as one:
        yield one


# Real gpgv, real keys.


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
        found = engine.verify(DATA, replace(signature, packet=signature.packet[:length]), key)
        assert found.outcome is Outcome.BAD


def test_gpgv_never_sees_two_signatures_but_would_not_be_believed(people: People, engine: Engine) -> None:
    one, key = people.signature("marek"), people.key("marek")
    assert engine.verify(DATA, replace(one, packet=one.packet * 2), key).outcome is Outcome.BAD


@pytest.mark.parametrize("digest", ["SHA1", "SHA224"])
def test_a_weak_digest_is_not_good_even_if_the_packet_check_were_passed_by(
    people: People, engine: Engine, digest: str
) -> None:
    strong, key = people.signature("marek"), people.key("marek")
    weak = join(*parts_of(people.sign("marek", "--digest-algo", digest)))
    assert engine.verify(DATA, replace(strong, packet=weak), key).outcome is Outcome.BAD


def test_a_text_mode_signature_is_not_good_even_if_the_packet_check_were_passed_by(
    people: People, engine: Engine
) -> None:
    plain, key = people.signature("marek", at=IN_TIME), people.key("marek")
    text = join(*parts_of(people.sign("marek", "--textmode", at=IN_TIME)))
    assert engine.verify(DATA, replace(plain, packet=text), key).outcome is Outcome.BAD


def test_a_signature_described_otherwise_than_gpgv_does_is_bad(people: People, engine: Engine) -> None:
    signature, key = people.signature("marek"), people.key("marek")
    for changed in (
        replace(signature, created=signature.created + 1),
        replace(signature, hash_algorithm=signature.hash_algorithm + 1),
        replace(signature, pubkey_algorithm=1),
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
    people.home.create("late", at=PAST)
    subkey = people.home.add("late", "ed25519", "sign", at=PAST)
    signature = parse_signature(people.home.sign(subkey))
    people.home.gpg("--quick-set-expire", people.home.fingerprints["late"], "10d", subkey, at="20240102T000000")
    key = people.home.key("late")
    found = engine.verify(DATA, signature, key)
    assert found.outcome is Outcome.EXPIRED_KEY
    assert key.subkeys[0].expires is not None
    assert found.created > key.subkeys[0].expires


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
    name = f"gone{reason}"
    people.home.create(name, at=PAST)
    signatures = [parse_signature(people.home.sign(name, at=at)) for at in (None, IN_TIME)]
    before = people.home.key(name)
    people.home.revoke(name, reason)
    for signature in signatures:
        assert engine.verify(DATA, signature, before).outcome is Outcome.GOOD
        found = engine.verify(DATA, signature, people.home.key(name))
        assert (found.outcome, found.primary) == (Outcome.REVOKED_KEY, "")


def test_a_revoked_subkey_ends_its_own_signatures_only(people: People, engine: Engine) -> None:
    people.home.create("halved", at=PAST)
    subkey = people.home.add("halved", "ed25519", "sign", at=PAST)
    by_primary = parse_signature(people.home.sign("halved"))
    by_subkey = parse_signature(people.home.sign(subkey))
    people.home.ask("--edit-key", people.home.fingerprints["halved"], answers="key 1\nrevkey\ny\n0\n\ny\nsave\n")
    key = people.home.key("halved")
    assert engine.verify(DATA, by_primary, key).outcome is Outcome.GOOD
    assert engine.verify(DATA, by_subkey, key).outcome is Outcome.REVOKED_KEY


@pytest.mark.parametrize("part", ["primary", "subkey"])
def test_a_part_that_is_no_longer_for_signing_does_not_count(people: People, engine: Engine, part: str) -> None:
    name = f"demoted-{part}"
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


# The engine and its processes.


def script(folder: Path, text: str) -> str:
    """A stand-in for gpgv; it is called with --status-fd and a number, the fifth and sixth argument."""
    path = folder / "gpgv"
    path.write_text("#!/bin/bash\nfd=$6\nstatus() { printf '[GNUPG:] %s\\n' \"$1\" >&$fd; }\n" + text)
    path.chmod(0o755)
    return str(path)


@contextlib.contextmanager
def concurrent(read: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """Read in another thread; what is yielded waits for the result."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(read)
        yield lambda: future.result(10)


def run(program: str, people: People, timeout: float = 20, memory: int = 512 * 1024 * 1024) -> Outcome:
    with GpgvEngine(program, timeout=timeout, memory=memory) as engine:
        return engine.verify(DATA, people.signature("marek", at=IN_TIME), people.key("marek")).outcome


def good_lines(people: People) -> str:
    print_ = people.key("marek").fingerprint
    return (
        f"status NEWSIG; status 'GOODSIG {print_[-16:]} marek'; "
        f"status 'VALIDSIG {print_} 2024-01-03 {IN_TIME_SECONDS} 0 4 0 22 8 00 {print_}'; "
    )


def test_the_stand_in_can_say_good_so_that_the_others_mean_something(people: People, tmp_path: Path) -> None:
    assert run(script(tmp_path, "cat >/dev/null; " + good_lines(people)), people) is Outcome.GOOD


UNBELIEVABLE: Dict[str, Callable[[str], str]] = {
    "nothing": lambda good: "exit 0",
    "a good signature twice": lambda good: good + good,
    "two good ones of one signature": lambda good: good + "status 'GOODSIG 0123456789ABCDEF x'",
    "only its first line": lambda good: "status NEWSIG",
    "good, and a bad one": lambda good: good + "status 'BADSIG 0123456789ABCDEF x'",
    "good, and an unknown word": lambda good: good + "status SURPRISE",
    "good, and another exit code": lambda good: good + "exit 1",
    "good, and a line of another kind": lambda good: good + "echo hello >&$fd",
    "good, and a line that is cut off": lambda good: good + "printf '[GNUPG:] SIG_ID' >&$fd",
    "good, but on its standard output": lambda good: "fd=1; " + good,
    "good, but on its error output": lambda good: "fd=2; " + good,
}


@pytest.mark.parametrize("text", UNBELIEVABLE.values(), ids=UNBELIEVABLE.keys())
def test_a_gpgv_that_contradicts_itself_is_not_believed(
    people: People, tmp_path: Path, text: Callable[[str], str]
) -> None:
    assert run(script(tmp_path, "cat >/dev/null; " + text(good_lines(people))), people) is Outcome.BAD


BROKEN = {
    "fails without a word": ("exit 2", "gpgv failed"),
    "fails with a complaint": ("echo 'gpgv: keyblock resource: oh' >&2; exit 2", "keyblock resource: oh"),
    "ends with a code it does not have": ("exit 3", "code 3"),
    "is killed": ("kill -9 $$", "signal 9"),
    "crashes": ("kill -11 $$", "signal 11"),
    "floods its status output": (
        "yes '[GNUPG:] SIG_ID x' | head -c 100000 >&$fd",
        "more than 65536 bytes of status output",
    ),
    "has no memory": ("status NEWSIG; echo 'gpgv: out of core' >&2; exit 2", "ran out of memory"),
}


@pytest.mark.parametrize("text, message", BROKEN.values(), ids=BROKEN.keys())
def test_a_gpgv_that_cannot_do_its_work_is_an_error_and_no_finding(
    people: People, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        run(script(tmp_path, text), people)


def test_a_crash_after_saying_good_is_an_error(people: People, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="signal 9"):
        run(script(tmp_path, good_lines(people) + "kill -9 $$"), people)


def test_a_flood_of_complaints_neither_blocks_nor_counts(people: People, tmp_path: Path) -> None:
    text = "yes | head -c 300000 >&2; cat >/dev/null; " + good_lines(people)
    assert run(script(tmp_path, text), people) is Outcome.GOOD


@pytest.mark.parametrize(
    "text",
    ["exec sleep 60", "exec >&- 2>&- {fd}>&-; exec sleep 60", "while :; do :; done"],
    ids=["silent", "silent, with everything closed", "busy"],
)
def test_a_gpgv_that_hangs_is_ended(people: People, tmp_path: Path, text: str) -> None:
    people.signature("marek", at=IN_TIME)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"longer than 0\.3 seconds"):
        run(script(tmp_path, text), people, timeout=0.3)
    assert time.monotonic() - start < 5


def test_a_missing_gpgv_is_named_with_what_to_install(people: People, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="apt install gpgv") as caught:
        run(str(tmp_path / "gpgv"), people)
    assert str(tmp_path / "gpgv") in str(caught.value)


def test_no_gpgv_at_the_usual_places_is_an_error(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multisig.openpgp.gpgv._PLACES", ())
    with GpgvEngine() as engine, pytest.raises(EngineError, match="no gpgv on this system; install it"):
        engine.verify(DATA, people.signature("marek"), people.key("marek"))


def test_a_gpgv_that_may_not_be_run_is_an_error(people: People, tmp_path: Path) -> None:
    path = tmp_path / "gpgv"
    path.write_text("")
    with pytest.raises(EngineError, match="could not be started"):
        run(str(path), people)


def test_too_little_memory_is_an_error_and_no_finding(people: People, tmp_path: Path) -> None:
    hungry = "cat >/dev/null; x=$(head -c 200000000 /dev/zero | tr '\\0' x); "
    with pytest.raises(EngineError, match="allocate"):
        run(script(tmp_path, hungry + good_lines(people)), people, memory=64 * 1024 * 1024)


def test_the_limits_hold_while_the_signature_is_read(people: People, tmp_path: Path) -> None:
    program = script(tmp_path, "cat >/dev/null; grep -E 'cpu|address|core|file size' /proc/$$/limits; exit 2")
    os.rename(program, program + "-stand-in")
    seen = tmp_path / "seen"
    # The limits keep it from writing a file, so what it says goes through a pipe.
    os.mkfifo(seen)
    wrapped = script(tmp_path, f"exec {program}-stand-in >{seen}")
    with concurrent(seen.read_text) as output, pytest.raises(EngineError):
        run(wrapped, people, timeout=7, memory=256 * 1024 * 1024)
    rows = {line[:25].strip(): line[26:].split()[:2] for line in output().splitlines()}
    assert rows == {
        "Max cpu time": ["7", "7"],
        "Max file size": ["0", "0"],
        "Max core file size": ["0", "0"],
        "Max address space": [str(256 * 1024 * 1024)] * 2,
    }


def test_limits_that_the_machine_sets_already_are_kept(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Dict[int, Tuple[int, int]] = {}
    monkeypatch.setattr("multisig.openpgp.gpgv.resource.getrlimit", lambda limit: (64 << 20, 64 << 20))
    monkeypatch.setattr("multisig.openpgp.gpgv.resource.prlimit", lambda _, limit, value: asked.update({limit: value}))
    assert run("/usr/bin/gpgv", people) is Outcome.GOOD
    assert asked[resource.RLIMIT_AS] == (64 << 20, 64 << 20)
    assert asked[resource.RLIMIT_CPU] == (20, 20)


def test_gpgv_is_told_nothing_of_the_users_world(people: People, tmp_path: Path) -> None:
    """Its arguments, environment, descriptors and home."""
    seen = tmp_path / "seen"
    os.mkfifo(seen)
    lines = ["$*", "$(ls -A $2)", "$(tr '\\0' ' ' </proc/$$/environ)", "$(readlink /proc/$$/fd/*)"]
    text = "cat >/dev/null; { " + " ".join(f'echo "{line}";' for line in lines) + f" }} | tee {seen} >&2; exit 2"
    leak = os.open("/dev/zero", os.O_RDONLY)
    try:
        os.set_inheritable(leak, True)
        with concurrent(seen.read_text) as output, pytest.raises(EngineError):
            run(script(tmp_path, text), people)
    finally:
        os.close(leak)
    arguments, listing, environment, *descriptors = output().split("\n")
    words = arguments.split()
    assert words[0::2][:3] == ["--homedir", "--keyring", "--status-fd"]
    assert words[6] == "-"
    assert listing == ""
    names = {setting.partition("=")[0] for setting in environment.split()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"LC_ALL", "HOME", "GNUPGHOME", "PATH"}
    assert sorted(where.partition(":")[0] for where in descriptors if where and "gpgv" not in where) == [
        "/dev/null",
        "pipe",
        "pipe",
        "pipe",
    ]


def test_temporary_files_are_private_shared_and_gone_afterwards(people: People, tmp_path: Path) -> None:
    signature, key = people.signature("marek"), people.key("marek")
    engine = GpgvEngine(base=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    for _ in range(3):
        engine.verify(DATA, signature, key)
    engine.verify(DATA + b"x", signature, key)
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [path.name.partition("-")[0] for path in files] == ["data", "data", "home", "key"]
    assert all(stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600) for path in files)
    assert list((folder / "home").iterdir()) == []
    engine.close()
    assert list(tmp_path.iterdir()) == []
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.verify(DATA, signature, key)


def test_an_engine_that_is_forgotten_leaves_nothing(people: People, tmp_path: Path) -> None:
    engine = GpgvEngine(base=str(tmp_path))
    engine.verify(DATA, people.signature("marek"), people.key("marek"))
    assert len(list(tmp_path.iterdir())) == 1
    del engine
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(people: People, tmp_path: Path) -> None:
    with GpgvEngine(base=str(tmp_path / "no")) as engine, pytest.raises(EngineError, match="temporary folder"):
        engine.verify(DATA, people.signature("marek"), people.key("marek"))


def test_a_full_disk_is_an_error_and_leaves_nothing(
    people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, key = people.signature("marek"), people.key("marek")
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        return real("/dev/full", os.O_WRONLY) if "data-" in path else real(path, flags, mode)

    with GpgvEngine(base=str(tmp_path)) as engine:
        monkeypatch.setattr("multisig.openpgp.gpgv.os.open", full)
        with pytest.raises(EngineError, match="could not be written: No space left"):
            engine.verify(DATA, signature, key)
        monkeypatch.undo()
        assert engine.verify(DATA, signature, key).outcome is Outcome.GOOD


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


def test_no_descriptor_and_no_process_is_left_behind(people: People, tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    run("/usr/bin/gpgv", people)
    for text in ("exit 2", "exec sleep 60"):
        with pytest.raises(EngineError):
            run(script(tmp_path, text), people, timeout=0.2)
    with pytest.raises(EngineError):
        run(str(tmp_path / "no"), people)
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
