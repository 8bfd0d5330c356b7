# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy is replaced as one thing: whatever ends an update, and whenever, the old one is in force or the new one."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional
from unittest import mock

import pytest

from fixtures.powerloss import Disk, lay_out, standing_in
from multisig.errors import PolicyError, UnreadableError
from multisig.files import locked
from multisig.policy import PolicyFiles, load_policy, read_policy
from multisig.policy.store import DONE, NEXT, OLD, UPDATE, finish_update, install_policy
from tests.unit.policy_keys import keys

EVIDENCE = b"the bundle"


def text(serial: int, people: Mapping[str, str]) -> bytes:
    lines = ["multisig: policy/v1", f"serial: {serial}", "signers:"]
    for file, name in people.items():
        fingerprint = keys()[name].fingerprint
        lines.append(f'  {file.split(".")[0]}: {{keys: [{{fingerprint: "{fingerprint}", file: keys/{file}}}]}}')
    group = ", ".join(file.split(".")[0] for file in people)
    lines += [f"groups: {{g: [{group}]}}", "rules:", "  - {name: all, channel: c, require: 1 of g}", ""]
    return "\n".join(lines).encode()


def write(folder: Path, serial: int, people: Mapping[str, str], name: str = "policy.yaml") -> str:
    """A policy whose key files are ``people``'s: by file name, whose key is in it."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    for file, person in people.items():
        (folder / "keys" / file).write_bytes(keys()[person].armor)
    (folder / name).write_bytes(text(serial, people))
    return str(folder / name)


# The second one replaces a key under the same name, brings one and leaves one out.
BEFORE = {"marek.asc": "ann", "joanna.asc": "bob", "simon.asc": "soon"}
AFTER = {"marek.asc": "ann", "joanna.asc": "cat", "rafal.asc": "sub"}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """On a disk in memory, where there is one: what is tested here syncs a thousand times."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(prefix="multisig-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def new(tmp_path: Path) -> PolicyFiles:
    return read_policy(write(tmp_path / "new", 2, AFTER))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return write(tmp_path / "etc", 1, BEFORE)


def install(path: str, new: PolicyFiles) -> None:
    with locked(path):
        install_policy(path, new, read_policy(path), evidence=EVIDENCE)


def in_force(path: str) -> int:
    """The serial of the policy at ``path``, which is whole: each key is the one that its version has there."""
    found = read_policy(path)
    people = {1: BEFORE, 2: AFTER}[found.policy.serial]
    assert found.text == text(found.policy.serial, people)
    assert found.files == {f"keys/{file}": keys()[person].armor for file, person in people.items()}
    return found.policy.serial


def in_place(path: str) -> None:
    """What lies at ``path`` and beside it, looked at without our help, is the new policy."""
    folder = Path(path).parent
    assert Path(path).read_bytes() == text(2, AFTER)
    for file, person in AFTER.items():
        assert (folder / "keys" / file).read_bytes() == keys()[person].armor
    assert Path(path + ".msig").read_bytes() == EVIDENCE
    assert not [suffix for suffix in (UPDATE, NEXT, DONE) if os.path.lexists(path + suffix)]


def test_an_update_puts_everything_in_its_place_and_keeps_what_was_there(path: str, new: PolicyFiles) -> None:
    install(path, new)
    assert in_force(path) == 2
    in_place(path)
    assert in_force(os.path.join(path + OLD, "policy.yaml")) == 1


def test_permissions_stay_as_they_are(path: str, new: PolicyFiles) -> None:
    os.chmod(path, 0o640)
    before = os.umask(0o077)
    try:
        install(path, new)
    finally:
        os.umask(before)
    for name in ("policy.yaml", "keys/rafal.asc", "policy.yaml.msig"):
        assert os.stat(os.path.join(os.path.dirname(path), name)).st_mode & 0o777 == 0o640
    assert os.stat(path + OLD).st_mode & 0o777 == 0o755


def test_a_policy_named_without_a_folder(path: str, new: PolicyFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.path.dirname(path))
    install("policy.yaml", new)
    in_place(path)


def test_a_new_policy_of_another_file_name_and_new_folders(path: str, tmp_path: Path) -> None:
    source = write(tmp_path / "other", 2, AFTER, "serial-2.yaml")
    moved = text(2, AFTER).replace(b"keys/rafal.asc", b"more/keys//./rafal.asc")
    (tmp_path / "other" / "more" / "keys").mkdir(parents=True)
    os.rename(tmp_path / "other" / "keys" / "rafal.asc", tmp_path / "other" / "more" / "keys" / "rafal.asc")
    Path(source).write_bytes(moved)
    install(path, read_policy(source))
    assert read_policy(path).text == moved
    assert set(read_policy(path).files) == {"keys/marek.asc", "keys/joanna.asc", "more/keys/rafal.asc"}


@pytest.mark.parametrize(
    "name",
    [
        "policy.yaml", "policy.yaml.update/x", "policy.yaml.msig", ".multisig.lock", ".policy.yaml.part",
        ".policy.yaml.part/key.asc", "keys/.rafal.asc.part",
    ],
)  # fmt: skip
def test_a_policy_whose_files_would_lie_where_ours_do_is_refused(
    path: str, new: PolicyFiles, name: str
) -> None:
    odd = PolicyFiles(new.policy, new.name, new.text, {**new.files, name: b"x"})
    with pytest.raises(PolicyError, match="would lie where the policy itself does"):
        install(path, odd)
    assert in_force(path) == 1


@pytest.mark.parametrize("what", ["a folder in a file's place", "a file in a folder's place"])
def test_what_could_not_be_finished_is_not_begun(path: str, new: PolicyFiles, what: str) -> None:
    folder = Path(path).parent
    if what == "a folder in a file's place":
        (folder / "keys" / "rafal.asc").mkdir()
        odd = new
    else:
        (folder / "more").write_text("a file")
        odd = PolicyFiles(new.policy, new.name, new.text, {**new.files, "more/keys/x": b"x"})
    with pytest.raises(PolicyError):
        install(path, odd)
    assert in_force(path) == 1
    assert not os.path.lexists(path + UPDATE)


# --- whatever ends it ------------------------------------------------------------------------------------------------

STEPS = ("open", "mkdir", "chmod", "fchmod", "fsync", "rename", "replace", "unlink", "rmdir")


def dying_at(step: int, work: Callable[[], None], last_words: Callable[[], None]) -> bool:
    """Do the work in a process that is killed before its ``step``-th call that changes a disk; whether it was."""
    child = os.fork()
    if child == 0:
        left = [step]

        def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    last_words()
                return function(*args, **options)

            return call

        try:
            with standing_in({name: deadly(getattr(os, name)) for name in STEPS}):
                work()
            os._exit(0)
        except BaseException:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_before_any_step_the_old_policy_is_whole_or_the_new_one(tmp_path: Path, new: PolicyFiles) -> None:
    serials: List[int] = []
    step, killed = 0, True
    while killed:
        step += 1
        path = write(tmp_path / f"etc{step}", 1, BEFORE)
        killed = dying_at(step, partial(install, path, new), lambda: os.kill(os.getpid(), signal.SIGKILL))
        serials.append(in_force(path))
        with locked(path):
            finished = finish_update(path)
        assert in_force(path) == serials[-1]
        if finished or not killed:
            in_place(path)
        if step % 5 == 0:
            install(path, new)  # whatever it has left behind is no hindrance
            in_place(path)
    assert step > 60
    assert serials == sorted(serials)
    assert set(serials) == {1, 2}


@pytest.mark.parametrize("kind", [OSError(28, "No space left on device"), OSError(5, "Input/output error")])
def test_a_disk_that_fails_at_any_step_is_an_error_and_one_of_the_two_is_whole(
    tmp_path: Path, new: PolicyFiles, kind: OSError
) -> None:
    for step in range(1, 200):
        path = write(tmp_path / f"etc{step}", 1, BEFORE)
        calls = [0]

        def failing(function: Callable[..., Any], step: int = step, calls: List[int] = calls) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                calls[0] += 1
                if calls[0] == step:
                    raise kind
                return function(*args, **options)

            return call

        error: Optional[Exception] = None
        with standing_in({name: failing(getattr(os, name)) for name in ("mkdir", "fsync", "rename")}):
            try:
                install(path, new)
            except (UnreadableError, PolicyError) as caught:
                error = caught
        serial = in_force(path)
        if calls[0] < step:
            assert error is None
            assert serial == 2
            return
        assert error is not None
        assert ("the new policy is in force" in str(error)) is (serial == 2)
    raise AssertionError("it never came to an end")


def test_a_loss_of_power_leaves_the_old_policy_whole_or_the_new_one(
    path: str, new: PolicyFiles, tmp_path: Path
) -> None:
    disk = Disk(Path(path).parent)
    with disk.watched():
        install(path, new)
    serials: Dict[int, int] = {}
    for number, contents in enumerate(disk.outcomes()):
        found = tmp_path / f"after{number}"
        lay_out(contents, found)
        serial = in_force(str(found / "policy.yaml"))
        with locked(str(found / "policy.yaml")):
            finish_update(str(found / "policy.yaml"))
        assert in_force(str(found / "policy.yaml")) == serial
        serials[serial] = serials.get(serial, 0) + 1
    assert serials[1] > 20
    assert serials[2] > 20


def test_the_model_of_a_disk_finds_what_was_forgotten_to_be_synced(path: str, new: PolicyFiles, tmp_path: Path) -> None:
    """The same without any sync: there must be disks that hold no whole policy, or the test above shows nothing."""
    disk = Disk(Path(path).parent)
    with disk.watched(), mock.patch.object(os, "fsync", lambda descriptor: None):
        install(path, new)
    broken = 0
    for number, contents in enumerate(disk.outcomes()):
        lay_out(contents, tmp_path / f"after{number}")
        try:
            in_force(str(tmp_path / f"after{number}" / "policy.yaml"))
        except (PolicyError, AssertionError):
            broken += 1
    assert broken


def test_who_reads_while_it_is_replaced_never_sees_a_mixture(path: str, tmp_path: Path) -> None:
    versions = {1: BEFORE, 2: AFTER}
    sources = {number: read_policy(write(tmp_path / str(number), number, held)) for number, held in versions.items()}
    seen: Dict[int, int] = {1: 0, 2: 0}
    failures: List[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen[in_force(path)] += 1
            except PolicyError as error:
                if "changes while it is read" not in str(error):
                    failures.append(str(error))
            except AssertionError as error:
                failures.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(12):
        install(path, sources[2 if number % 2 == 0 else 1])
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert sum(seen.values()) > 2


def test_a_policy_that_changes_between_two_reads_is_read_again(path: str, new: PolicyFiles) -> None:
    """Just after the text was read, the keys change: they are never put together with it."""
    original = os.open
    once = [True]

    def meddling(name: Any, *args: Any, **options: Any) -> int:
        if once[0] and str(name).endswith("marek.asc"):
            once[0] = False
            install(path, new)
        return original(name, *args, **options)

    with mock.patch.object(os, "open", meddling):
        assert in_force(path) == 2
    assert load_policy(path).serial == 2
