# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp/gpgv.py: the engine and its processes, with a gpgv that is missing, broken, slow or lying."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from fixtures.openpgp.building import sign
from fixtures.openpgp.model import theirs
from fixtures.openpgp.secrets import ed25519_key
from multisig.errors import EngineError
from multisig.openpgp.gpgv import GpgvEngine
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import Outcome, PublicKey, Signature
from multisig.openpgp.packets import parse_signature, parse_signature_packet
from tests.unit.openpgp_keys import DATA, PAST, Home, People

IN_TIME = "20240103T000000"
IN_TIME_SECONDS = 1_704_240_000


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
    assert time.monotonic() - start < 45  # the sleeping ones would take a minute, the busy one for ever


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


def test_what_is_large_is_removed_after_each_use_and_verified_all_the_same(people: People, tmp_path: Path) -> None:
    data = DATA * 1000
    signature = people.signature("marek", data=data)
    with GpgvEngine(base=str(tmp_path)) as engine:
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(engine.verify, data, signature, people.key("marek")) for _ in range(8)]
            jobs.append(pool.submit(engine.verify, data + b"x", signature, people.key("marek")))
        assert [job.result().outcome for job in jobs] == [Outcome.GOOD] * 8 + [Outcome.BAD]
        (folder,) = tmp_path.iterdir()
        assert [path.name.partition("-")[0] for path in folder.iterdir() if path.is_file()] == ["key"]


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


@pytest.mark.parametrize("part", ["primary", "subkey"])
def test_a_signature_from_after_the_keys_end_is_bad_but_where_it_is_asked_for(part: str) -> None:
    """As where a renewed key signs, and the key at hand is the one from before."""
    home = Home()
    try:
        home.create("late", usage="cert" if part == "subkey" else "sign", expire="20d", at=PAST)
        user = home.add("late", "ed25519", "sign", "10d", at=PAST) if part == "subkey" else "late"
        before = home.key("late")
        home.gpg("--quick-set-expire", home.fingerprints["late"], "0")
        if part == "subkey":
            home.gpg("--quick-set-expire", home.fingerprints["late"], "0", user)
        signature = parse_signature(home.sign(user))
        renewed = home.key("late")
        home.revoke("late", "1")
        revoked = home.key("late")
    finally:
        home.close()
    with GpgvEngine() as usual, GpgvEngine(late=True) as late:
        assert usual.verify(DATA, signature, renewed).outcome is Outcome.GOOD
        assert usual.verify(DATA, signature, before).outcome is Outcome.BAD
        assert late.verify(DATA, signature, before).outcome is Outcome.EXPIRED_KEY
        assert late.verify(DATA, signature, renewed).outcome is Outcome.GOOD
        assert late.verify(DATA, signature, revoked).outcome is Outcome.REVOKED_KEY
        assert late.verify(DATA + b"x", signature, before).outcome is Outcome.BAD


# Several signatures by one process.


class Counting(GpgvEngine):
    """The real gpgv, and how often it was started."""

    started = 0

    def _run(self, keyring: str, content: str, packet: bytes) -> Tuple[int, bytes, bytes]:
        self.started += 1
        return super()._run(keyring, content, packet)


def asked(people: People, *names: str) -> List[Tuple[Signature, PublicKey]]:
    return [(people.signature(name, at=IN_TIME), people.key(name)) for name in names]


def test_good_signatures_over_one_statement_cost_one_process(people: People) -> None:
    three = asked(people, "marek", "joanna", "lapsing")
    with contextlib.closing(Counting()) as engine:
        found = engine.verify_together(DATA, three)
        assert [checked and checked.outcome for checked in found] == [
            Outcome.GOOD, Outcome.GOOD, Outcome.EXPIRED_KEY
        ]  # fmt: skip
        assert [checked and checked.issuer for checked in found] == [
            signature.issuer_fingerprint for signature, _ in three
        ]
        assert engine.started == 1
        assert found == [engine.verify(DATA, *one) for one in three]


def test_one_bad_signature_among_several_leaves_all_to_be_asked_about_one_by_one(people: People) -> None:
    others = parse_signature(people.sign("joanna", data=b"something else", at=IN_TIME)), people.key("joanna")
    with contextlib.closing(Counting()) as engine:
        for place in range(3):
            three = asked(people, "marek", "lapsing")
            three.insert(place, others)
            assert engine.verify_together(DATA, three) == [None, None, None]
        assert engine.started == 3


def test_what_gpgv_need_not_be_asked_about_spoils_nothing_for_the_others(people: People) -> None:
    ahead = people.signature("rafal")._replace(created=2**32 - 1)
    three = [*asked(people, "marek", "joanna"), (ahead, people.key("rafal"))]
    with contextlib.closing(Counting()) as engine:
        found = engine.verify_together(DATA, three)
        assert [checked and checked.outcome for checked in found] == [Outcome.GOOD, Outcome.GOOD, None]


def test_of_two_signatures_of_one_key_the_second_is_left(people: People) -> None:
    again = parse_signature(people.sign("marek", at="20240104T000000")), people.key("marek")
    with contextlib.closing(Counting()) as engine:
        found = engine.verify_together(DATA, [*asked(people, "marek", "joanna"), again])
        assert [checked and checked.outcome for checked in found] == [Outcome.GOOD, Outcome.GOOD, None]
        assert engine.verify_together(DATA, asked(people, "marek")) == [None]
        assert engine.verify_together(DATA, []) == []
        assert engine.started == 1


def test_at_most_sixteen_signatures_are_given_to_one_process() -> None:
    many = [ed25519_key(f"one of {number}") for number in range(18)]
    pairs = [(parse_signature_packet(sign(secret, DATA)), parse_public_key(theirs(secret))) for secret in many]
    with GpgvEngine() as engine:
        found = engine.verify_together(DATA, pairs)
    assert [checked and checked.outcome for checked in found] == [Outcome.GOOD] * 16 + [None] * 2


@pytest.mark.parametrize("text", ["kill -9 $$", "exit 2", "yes '[GNUPG:] SIG_ID x' | head -c 100000 >&$fd", "sleep 9"])
def test_a_gpgv_that_fails_on_several_is_asked_about_each(people: People, tmp_path: Path, text: str) -> None:
    with GpgvEngine(script(tmp_path, text), timeout=0.3) as engine:
        assert engine.verify_together(DATA, asked(people, "marek", "joanna")) == [None, None]


def test_no_gpgv_for_several_is_an_error_too(people: People, tmp_path: Path) -> None:
    with GpgvEngine(str(tmp_path / "no")) as engine, pytest.raises(EngineError, match="install it"):
        engine.verify_together(DATA, asked(people, "marek", "joanna"))
