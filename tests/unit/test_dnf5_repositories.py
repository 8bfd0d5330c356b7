# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf 5's side of a repository as a whole: which metadata are in use, who released them."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Dict, List, Mapping, Optional

import pytest

from fixtures.server import Fault, Server
from multisig import index
from multisig.bundle import Attestation, Bundle, encode, parse
from multisig.dnf5 import offline, remotes
from multisig.dnf5.remotes import Remote, Remotes
from multisig.errors import UnreadableError
from multisig.fetching import Wanted
from multisig.repositories import repomd_digests
from multisig.statement import Kind, Subject, make
from multisig.statement import encode as encode_statement
from multisig.times import DAY
from tests.unit.cli_bench import NAMES, Bench
from tests.unit.core import CHANNEL
from tests.unit.test_dnf5 import HELLO, Plugin, machine, plugin, publish, serve, site
from tests.unit.test_metadata import entry, primary, record, repomd

__all__ = ["machine", "site"]


# Which folder of dnf5's cache


def folder(repo: str = "demo", **settings: str) -> str:
    known: Dict[str, Optional[str]] = {"cachedir": "/c", **settings}
    return Remotes(lambda name, _: known.get(name), cacheonly=True).folder(repo)


def named(address: str) -> str:
    return f"/c/demo-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def test_the_folder_is_named_as_libdnf5_names_it() -> None:
    # What dnf5 5.4 made of this address.
    assert folder(baseurl="file:///out/t/r,file:///out/t/r/b1") == "/c/demo-1255c9a1b200b564"
    addresses = {"baseurl": "http://a http://b", "mirrorlist": "http://m", "metalink": "http://l"}
    assert folder(baseurl="http://a http://b") == named("http://a")
    assert folder(**{**addresses, "metalink": ""}) == named("http://m")
    assert folder(**addresses) == named("http://l")
    # Where there is no address it replays what was stored.
    assert folder() == "/c/multisig/offline-demo"


@pytest.mark.parametrize("cache", ["", "relative"])
def test_without_a_place_for_metadata_there_are_none(cache: str) -> None:
    with pytest.raises(UnreadableError, match="where it keeps"):
        folder(cachedir=cache)


# Releases


class Released:
    """The machine with a policy that asks for releases, and the metadata that dnf5 has loaded of the repository."""

    def __init__(self, machine: Bench, site: Server) -> None:
        self.machine = machine
        self.site = site
        self.web = machine.folder / "web"
        self.dnf5: Plugin = plugin(machine, site)
        (machine.policy.parent / "released.yaml").write_text(
            (machine.policy.parent / "demo.yaml").read_text().replace(
                "repos: [demo], channel: demo-stable,",
                "repos: [demo], channel: demo-stable, release: {require: 2 of builders, max-age: 14d},",
            )
        )  # fmt: skip
        conf = machine.folder / "multisig.conf"
        conf.write_text(conf.read_text().replace("demo.yaml", "released.yaml"))
        address = hashlib.sha256(site.url.encode()).hexdigest()[:16]
        self.cache = machine.folder / "cache" / f"demo-{address}"
        publish(machine, *NAMES)
        self.load(machine.rpm.read_bytes())

    def load(self, *packages: bytes, more: str = "") -> None:
        """As dnf5 does with a repository of these packages, whose repomd.xml has more records."""
        sums = [hashlib.sha256(package).hexdigest() for package in packages]
        listed = primary(*(entry(f'<checksum type="sha256" pkgid="YES">{value}</checksum>') for value in sums))
        checksum = f'<checksum type="sha256">{hashlib.sha256(listed).hexdigest()}</checksum>'
        shutil.rmtree(self.cache / "repodata", ignore_errors=True)
        (self.cache / "repodata").mkdir(parents=True)
        (self.cache / "repodata" / "primary.xml").write_bytes(listed)
        self.repomd.write_bytes(repomd(record(checksum=checksum), more))

    @property
    def repomd(self) -> Path:
        return self.cache / "repodata" / "repomd.xml"

    def index(self, *names: str) -> Path:
        """Have the repository say that it has an index with these people's signatures; where it is published."""
        data = gzip.compress(b"".join(index.encode(parse(self.machine.bundle(*names)).attestations)))
        checksum = f'<checksum type="sha256">{hashlib.sha256(data).hexdigest()}</checksum>'
        href = f"repodata/{hashlib.sha256(data).hexdigest()}-multisig.jsonl.gz"
        self.load(self.machine.rpm.read_bytes(), more=record("multisig", href, checksum))
        published = self.web / href
        published.parent.mkdir(exist_ok=True)
        published.write_bytes(data)
        return published

    def release(self, *names: str, serial: int = 1) -> None:
        """Publish a release statement for what is loaded."""
        now = int(time.time())
        subject = Subject("repomd.xml", repomd_digests(self.repomd.read_bytes()))
        statement = make(Kind.RELEASE, CHANNEL, [subject], serial=serial, issued=now - DAY, expires=now + 9 * DAY)
        text = encode_statement(statement)
        signatures = tuple(self.machine.people.sign(name, data=text.encode()) for name in names)
        (self.web / "repodata").mkdir(exist_ok=True)
        (self.web / "repodata" / "repomd.xml.msig").write_bytes(encode(Bundle((Attestation(text, signatures),))))

    def serve(self, hook: str) -> "tuple[int, str]":
        return serve(hook, self.dnf5, self.machine)


@pytest.fixture
def released(machine: Bench, site: Server) -> Released:
    return Released(machine, site)


def test_a_release_is_judged_at_both_hooks_fetched_once_and_remembered(released: Released) -> None:
    released.release(*NAMES)
    assert released.serve("goal_resolved") == (0, "")
    code, text = released.serve("pre_transaction")
    assert code == 0 and "1 package" in text
    assert released.site.count("*repomd.xml.msig") == 1
    with closing(sqlite3.connect(released.machine.folder / "journal.sqlite")) as journal:
        assert journal.execute("SELECT repo, serial FROM releases").fetchall() == [("demo", 1)]
    released.load(released.machine.rpm.read_bytes(), b"another package")
    released.release(*NAMES, serial=2)
    assert released.serve("goal_resolved")[0] == 0
    assert len(list((released.cache / "multisig").glob("release-*"))) == 1
    released.load(released.machine.rpm.read_bytes())
    released.release(*NAMES, serial=1)
    code, text = released.serve("goal_resolved")
    assert code == 1 and "older than release 2" in text


def test_a_repository_without_a_release_or_with_one_that_too_few_signed(released: Released) -> None:
    code, text = released.serve("goal_resolved")
    assert code == 1 and "demo has no release statement" in text
    released.release("marek")
    code, text = released.serve("goal_resolved")
    assert code == 1 and "lacks signatures" in text


def test_metadata_that_are_not_where_dnf5_keeps_them_are_a_refusal(released: Released) -> None:
    released.release(*NAMES)
    # As of another address, or of another version of libdnf5.
    released.cache.rename(released.cache.with_name("demo-0000000000000000"))
    for hook in ("goal_resolved", "pre_transaction"):
        code, text = released.serve(hook)
        assert code == 1 and "repomd.xml" in text and "refused" in text


def test_a_package_that_the_released_metadata_do_not_list(released: Released) -> None:
    """It is signed by enough people, and of the name that dnf5 planned."""
    released.load(b"another package")
    released.release(*NAMES)
    assert released.serve("goal_resolved")[0] == 0
    code, text = released.serve("pre_transaction")
    assert code == 1 and "none of those that the released metadata of demo list" in text


def test_metadata_that_were_replaced_while_the_transaction_waited(released: Released) -> None:
    released.release(*NAMES)
    assert released.serve("goal_resolved")[0] == 0
    released.load(released.machine.rpm.read_bytes(), b"another package")
    released.release(*NAMES, serial=2)
    code, text = released.serve("pre_transaction")
    assert code == 1 and "the metadata of demo were replaced while this transaction was waiting" in text
    assert released.serve("goal_resolved")[0] == 0 and released.serve("pre_transaction")[0] == 0


def test_what_is_not_told_of_the_metadata_that_were_judged_is_not_taken_for_the_same(released: Released) -> None:
    released.release(*NAMES)
    assert released.serve("goal_resolved")[0] == 0
    released.dnf5.vars.clear()
    code, text = released.serve("pre_transaction")
    assert code == 1 and "dnf5 does not tell what metadata were judged" in text


def test_a_package_from_the_command_line_has_no_release(released: Released) -> None:
    released.release(*NAMES)
    policy = released.machine.policy.parent / "released.yaml"
    policy.write_text(policy.read_text().replace("repos: [demo]", 'repos: ["@commandline"]'))
    bundle = released.machine.folder / "hello.rpm.msig"
    bundle.write_bytes(released.machine.bundle(*NAMES))
    released.dnf5.packages = [{**HELLO, "repo_id": "@commandline", "location": str(released.machine.rpm)}]
    code, text = released.serve("goal_resolved")
    assert code == 1 and "no repository is known" in text


def test_warn_mode_says_what_a_release_lacks_and_remembers_a_good_one(released: Released) -> None:
    conf = released.machine.folder / "multisig.conf"
    conf.write_text(conf.read_text() + "mode = warn\n")
    code, text = released.serve("goal_resolved")
    assert code == 0 and "no release statement" in text
    released.release(*NAMES, serial=7)
    assert released.serve("goal_resolved")[0] == 0
    with closing(sqlite3.connect(released.machine.folder / "journal.sqlite")) as journal:
        assert journal.execute("SELECT serial FROM releases").fetchall() == [(7,)]


# Mirror lists and metalinks


@pytest.fixture
def mirrored(machine: Bench, site: Server) -> Path:
    """The folder of a repository that has no base URL."""
    settings = {"demo.mirrorlist": f"{site.url}/mirrors", "cachedir": str(machine.folder / "cache")}
    folder = Path(Remotes(lambda name, repo: settings.get(f"{repo}.{name}"[not repo :]), cacheonly=True).folder("demo"))
    folder.mkdir()
    return folder


def ask(machine: Bench, **settings: str) -> int:
    known = {"cachedir": str(machine.folder / "cache"), **settings}
    return serve("goal_resolved", Plugin([dict(HELLO)], known), machine)[0]


def test_the_mirrors_of_a_list_are_asked_but_not_all_of_them(machine: Bench, site: Server, mirrored: Path) -> None:
    for number in range(1, 10):
        (machine.folder / "web" / str(number) / "p").mkdir(parents=True)
    settings = {"demo.mirrorlist": f"{site.url}/mirrors"}
    assert ask(machine, **settings) == 1 and site.count() == 0
    (mirrored / "mirrorlist").write_text("".join(f"{site.url}/{number}/\n" for number in range(1, 10)))
    bundle = machine.folder / "web" / "5" / "p" / "hello.rpm.msig"
    bundle.write_bytes(machine.bundle(*NAMES))
    assert ask(machine, **settings) == 1 and site.count("/5/*") == 0 and site.count("/4/*") > 0
    bundle.rename(machine.folder / "web" / "3" / "p" / "hello.rpm.msig")
    # One that sends anything does not end the search.
    (machine.folder / "web" / "1" / "p" / "hello.rpm.msig").write_bytes(b"It works!")
    assert ask(machine, **settings) == 0


@pytest.mark.parametrize("option", ["metalink", "mirrorlist"])
def test_the_mirrors_of_a_metalink_are_asked(machine: Bench, site: Server, option: str) -> None:
    settings = {f"demo.{option}": f"{site.url}/metalink"}
    digest = hashlib.sha256(f"{site.url}/metalink".encode()).hexdigest()[:16]
    folder = machine.folder / "cache" / f"demo-{digest}"
    folder.mkdir()
    publish(machine, *NAMES)
    for text, code in (("nonsense", 1), (f"{site.url}/repodata/repomd.xml", 0)):
        url = f'<url protocol="http" preference="99">{text}</url>'
        found = f'<file name="repomd.xml"><resources>{url}</resources></file>'
        (folder / "metalink.xml").write_text(f"<metalink><files>{found}</files></metalink>")
        assert ask(machine, **settings) == code


def test_a_mirror_that_keeps_silent_is_asked_after_the_others(
    machine: Bench, site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: List[str] = []

    def download(url: str, remote: Remote, limit: int) -> Optional[bytes]:
        asked.append(url)
        if "silent" in url:
            raise TimeoutError
        return None

    monkeypatch.setattr(remotes, "_download", download)
    reached = Remotes(lambda name, repo: {"baseurl": "http://silent http://other"}.get(name), cacheonly=False)
    for _ in range(3):
        assert reached.fetch("demo", [Wanted(None, "x", str(machine.folder / "x"))], "x") == [None]
    silent, other = "http://silent/x", "http://other/x"
    assert asked == [silent, other, silent, other, other, silent]


# Indexes


@pytest.fixture
def repository(machine: Bench, site: Server) -> Released:
    """One whose packages no rule asks to be released, and which has no bundles."""
    made = Released(machine, site)
    conf = machine.folder / "multisig.conf"
    conf.write_text(conf.read_text().replace("released.yaml", "demo.yaml"))
    (made.web / "p" / "hello.rpm.msig").unlink()
    return made


def kept(repository: Released) -> List[Path]:
    return sorted((repository.cache / "multisig").glob("*.index*"))


def test_an_index_suffices_and_is_fetched_once(repository: Released) -> None:
    repository.index(*NAMES)
    assert repository.serve("goal_resolved") == (0, "") and repository.serve("pre_transaction")[0] == 0
    assert repository.site.count("*-multisig.jsonl.gz") == repository.site.count() == 1 == len(kept(repository))


def test_an_index_of_before_is_not_kept(repository: Released) -> None:
    repository.index("marek")
    assert repository.serve("goal_resolved")[0] == 1
    before = kept(repository)
    repository.index(*NAMES)
    assert repository.serve("goal_resolved")[0] == 0
    assert len(before) == len(kept(repository)) == 1 and before != kept(repository)


def test_offline_the_index_that_was_kept_counts(repository: Released) -> None:
    repository.index(*NAMES)
    repository.dnf5.settings["cacheonly"] = "all"
    assert repository.serve("goal_resolved")[0] == 1 and repository.site.count() == 0
    repository.dnf5.settings["cacheonly"] = "none"
    assert repository.serve("goal_resolved")[0] == 0
    repository.dnf5.settings["cacheonly"] = "all"
    repository.site.reset()
    assert repository.serve("pre_transaction")[0] == 0 and repository.site.count() == 0


def test_what_dnf5_itself_has_downloaded_is_not_fetched_again(repository: Released) -> None:
    published = repository.index(*NAMES)
    own = repository.cache / "repodata" / published.name
    published.rename(own)
    assert repository.serve("goal_resolved")[0] == 0 and repository.site.count() == 0
    own.write_bytes(b"another file")
    assert repository.serve("goal_resolved")[0] == 1


FAULTS: Mapping[str, Fault] = {
    "withheld": Fault(status=404),
    "cut off": Fault(truncate=20),
    "another file": Fault(body=b"It works!"),
    "endless": Fault(endless=True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_an_index_that_does_not_arrive(repository: Released, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another address is asked, and where none has it, the package's bundle counts; nothing wrong is kept."""
    monkeypatch.setattr(index, "MAX_INDEX", 1 << 20)
    name = repository.index(*NAMES).name
    repository.site.fault("/repodata/*", fault)
    assert repository.serve("goal_resolved")[0] == 1 and kept(repository) == []
    publish(repository.machine, *NAMES)
    assert repository.serve("goal_resolved")[0] == 0 and kept(repository) == []
    (repository.web / "p" / "hello.rpm.msig").unlink()
    shutil.rmtree(repository.machine.folder / "cache" / "multisig")
    (repository.web / "second" / "repodata").mkdir(parents=True)
    (repository.web / "second" / "repodata" / name).write_bytes((repository.web / "repodata" / name).read_bytes())
    repository.dnf5.settings["demo.baseurl"] = f"{repository.site.url} {repository.site.url}/second"
    assert repository.serve("goal_resolved")[0] == 0 and len(kept(repository)) == 1


def test_an_index_in_metadata_that_cannot_be_read_is_no_error_where_bundles_are(repository: Released) -> None:
    repository.index(*NAMES)
    repository.repomd.write_bytes(b"nonsense")
    code, text = repository.serve("goal_resolved")
    assert code == 1 and "no bundle" in text
    publish(repository.machine, *NAMES)
    assert repository.serve("goal_resolved")[0] == 0


def test_the_index_of_a_folder_that_the_configuration_names(repository: Released) -> None:
    published = repository.index(*NAMES)
    medium = repository.machine.folder / "medium"
    (medium / "repodata").mkdir(parents=True)
    (medium / "repodata" / "repomd.xml").write_bytes(repository.repomd.read_bytes())
    published.rename(medium / "repodata" / published.name)
    conf = repository.machine.folder / "multisig.conf"
    conf.write_text(conf.read_text() + f"[bundles]\ndemo = {medium}\n")
    repository.load(repository.machine.rpm.read_bytes())
    assert repository.serve("goal_resolved")[0] == 0 and repository.site.count() == 0


# Offline transactions


class Offline:
    """What dnf5 stores of a released repository, and replays when there is no network, and nobody knows its address."""

    def __init__(self, repository: Released, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repository = repository
        self.monkeypatch = monkeypatch
        self.folder = repository.machine.folder / "offline"
        self.folder.mkdir()

    def store(self, dnf5: Plugin, *words: str) -> "tuple[int, str]":
        self.monkeypatch.setattr(offline, "words_of", lambda process: frozenset(("dnf5", *words)))
        return serve("goal_resolved", dnf5, self.repository.machine)

    def replay(self, dnf5: Plugin, *, package: Optional[bytes] = None) -> "list[int]":
        self.monkeypatch.setattr(offline, "words_of", lambda process: frozenset(("dnf5", "offline", "_execute")))
        self.repository.site.reset()
        item = dict(dnf5.packages[0])
        stored = self.folder / os.path.basename(item["location"])
        stored.write_bytes(package or self.repository.machine.rpm.read_bytes())
        settings = {"cachedir": dnf5.settings["cachedir"], "cacheonly": "all"}
        replayed = Plugin([{**item, "location": str(stored)}], settings)
        hooks = ("goal_resolved", "pre_transaction", "post_transaction")
        codes = [serve(hook, replayed, self.repository.machine)[0] for hook in hooks]
        assert self.repository.site.count() == 0
        return codes


@pytest.fixture
def storing(released: Released, monkeypatch: pytest.MonkeyPatch) -> Offline:
    return Offline(released, monkeypatch)


def test_a_stored_transaction_is_judged_by_what_was_kept(storing: Offline) -> None:
    repository = storing.repository
    (repository.web / "p" / "hello.rpm.msig").unlink()
    repository.index(*NAMES)
    repository.release(*NAMES)
    assert storing.store(repository.dnf5, "install", "--offline") == (0, "")
    # Another dnf5 has brought the metadata up to date since then.
    repository.load(b"another package")
    assert storing.replay(repository.dnf5) == [0, 0, 0]
    assert not (repository.machine.folder / "cache" / "multisig" / "offline-demo").exists()
    # Done is done.
    assert storing.replay(repository.dnf5)[:2] == [1, 1]


def test_a_stored_package_that_was_exchanged(storing: Offline) -> None:
    repository = storing.repository
    repository.release(*NAMES)
    assert storing.store(repository.dnf5, "offline-upgrade")[0] == 0
    assert storing.replay(repository.dnf5, package=repository.machine.rpm.read_bytes()[:-1])[1] == 1


def test_what_was_released_since_a_transaction_was_stored_ends_it(storing: Offline) -> None:
    repository = storing.repository
    repository.release(*NAMES)
    assert storing.store(repository.dnf5, "--offline")[0] == 0
    repository.load(repository.machine.rpm.read_bytes(), b"another package")
    repository.release(*NAMES, serial=2)
    assert storing.store(repository.dnf5, "install")[0] == 0
    assert storing.replay(repository.dnf5)[:2] == [1, 1]


def test_a_transaction_that_is_not_stored_keeps_no_metadata(storing: Offline) -> None:
    repository = storing.repository
    repository.release(*NAMES)
    assert storing.store(repository.dnf5, "install")[0] == 0
    assert storing.replay(repository.dnf5)[:2] == [1, 1]


@pytest.mark.parametrize("by", ["path", "URL"])
def test_a_stored_package_that_was_named_by_its_path_or_url(storing: Offline, by: str) -> None:
    machine = storing.repository.machine
    policy = machine.policy.parent / "released.yaml"
    policy.write_text(
        (machine.policy.parent / "demo.yaml").read_text().replace("repos: [demo]", 'repos: ["@commandline"]')
    )
    there = machine.folder / "cache" / "@commandline-1" / "packages"
    here = there / ("1-hello.rpm" if by == "URL" else "hello.rpm")
    here.parent.mkdir(parents=True)
    here.write_bytes(machine.rpm.read_bytes())
    dnf5 = storing.repository.dnf5
    dnf5.packages = [{**HELLO, "repo_id": "@commandline", "location": str(here)}]
    if by == "URL":
        dnf5.named = [f"{storing.repository.site.url}/p/hello.rpm"]
        assert serve("pre_add_cmdline_packages", dnf5, machine)[0] == 0
    else:
        Path(f"{here}.msig").write_bytes(machine.bundle(*NAMES))
    assert storing.store(dnf5, "--offline") == (0, "")
    shutil.rmtree(here.parent)
    assert storing.replay(dnf5) == [0, 0, 0]


def test_the_words_of_a_process(tmp_path: Path) -> None:
    assert offline.words_of(os.getpid()) and not offline.words_of(2**31 - 1)
    assert offline.stores(frozenset(("dnf5", "install", "--offline"))) and not offline.stores(frozenset(("offline",)))
    assert offline.replays(frozenset(("dnf5", "offline", "_execute"))) and not offline.replays(frozenset(("offline",)))
    assert offline.downloads(frozenset(("--downloadonly",))) and not offline.stores(frozenset(("--downloadonly",)))
    offline.forget("")
    offline.forget(str(tmp_path))


def test_what_only_the_header_will_ask_for_is_looked_for_before_there_is_no_network(storing: Offline) -> None:
    machine, site = storing.repository.machine, storing.repository.site
    plain = (machine.policy.parent / "demo.yaml").read_text()
    text = plain.replace("repos: [demo], ", "repos: [demo], content: {scripts: true}, ")
    (machine.policy.parent / "released.yaml").write_text(text)
    assert storing.store(storing.repository.dnf5, "install")[0] == 0 and site.count() == 0
    assert storing.store(storing.repository.dnf5, "install", "--downloadonly")[0] == 0
    assert site.count("*hello.rpm.msig") == site.count() == 1


def test_that_nothing_is_held_back_is_said(repository: Released) -> None:
    conf = repository.machine.folder / "multisig.conf"
    conf.write_text(conf.read_text() + "hold-back = yes\n")
    code, text = repository.serve("goal_resolved")
    assert code == 1 and "dnf5 can hold nothing back (hold-back = yes)" in text
    publish(repository.machine, *NAMES)
    repository.dnf5.errors.clear()
    assert repository.serve("goal_resolved") == (0, "")
