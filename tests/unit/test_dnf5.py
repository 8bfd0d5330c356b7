# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf 5's side of the gate, with a plugin that answers as libdnf5-actions(8) says, and one that does not."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional
from urllib.parse import quote

import pytest

from fixtures.server import Fault, Server, basic
from multisig import inplace, paths
from multisig.bundle import MAX_BUNDLE, Bundle, encode, parse
from multisig.dnf5 import remotes
from multisig.dnf5.hooks import run
from multisig.dnf5.remotes import Remotes
from multisig.dnf5.sources import Sources
from multisig.dnf5.talk import Actions, ActionsError, Incoming
from multisig.gate import Package
from multisig.held import Find, Look
from multisig.pin import Pinner
from tests.unit.cli_bench import NAMES, NEVRA, Bench, call
from tests.unit.core import attest, statement

HELLO = {"full_nevra": NEVRA, "name": "hello", "repo_id": "demo", "location": "p/hello.rpm", "direction": "IN"}


class Plugin(io.RawIOBase):
    """Answers the requests written to it, to whoever reads from ``replies``."""

    def __init__(self, packages: List[Dict[str, str]], settings: Mapping[str, str]) -> None:
        super().__init__()
        self.packages = packages
        self.settings = dict(settings)
        self.vars: Dict[str, str] = {}
        self.errors: List[str] = []
        self.named: List[str] = []
        self.replies = Replies()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        request = json.loads(data)
        operation, domain, args = request["op"], request.get("domain", ""), request["args"]
        if operation == "error":
            self.errors.append(args["message"])
            return len(data)
        reply: Dict[str, object] = {"op": "reply", "requested_op": operation, "domain": domain, "status": "OK"}
        if domain == "conf":
            found = self.settings.get(args["key"])
            if found is None:
                reply.update(status="ERROR", message="Option value is not set")
            reply["return"] = {"keys_val": [{"key": args["key"], "value": found}]}
        elif domain == "trans_packages":
            (asked,) = args["filters"]
            chosen = [item for item in self.packages if item[asked["key"]] == asked["value"]]
            reply["return"] = {"trans_packages": chosen}
        elif domain == "cmdline_packages_paths":
            reply["return"] = {"cmdline_packages_paths": self.named}
        elif operation == "set":
            self.vars[args["name"]] = args["value"]
            reply["return"] = {"actions_vars": [args]}
        else:
            reply["return"] = {"actions_vars": [{"name": name, "value": value} for name, value in self.vars.items()]}
        self.replies.lines.append(json.dumps(reply).encode() + b"\n")
        return len(data)


class Replies(io.BytesIO):
    def __init__(self) -> None:
        super().__init__()
        self.lines: List[bytes] = []

    def readline(self, size: Optional[int] = -1, /) -> bytes:
        return self.lines.pop(0) if self.lines else b""


def actions(plugin: Plugin) -> Actions:
    return Actions(plugin.replies, plugin)  # type: ignore[arg-type]


@pytest.fixture
def machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench with its policy for the repository demo, a multisig.conf, and the package in dnf5's cache."""
    monkeypatch.setattr(inplace, "Pinner", lambda copies, user: Pinner(copies, user=os.geteuid()))
    monkeypatch.setattr(paths, "APPROVALS", str(bench.folder / "run"))
    text = bench.policy.read_text().replace('"@commandline"', "demo")
    (bench.policy.parent / "demo.yaml").write_text(text)
    settings = f"policy = {bench.policy.parent / 'demo.yaml'}\njournal = {bench.folder / 'journal.sqlite'}\n"
    (bench.folder / "multisig.conf").write_text(f"[main]\n{settings}")
    packages = bench.folder / "cache" / "demo-0123456789abcdef" / "packages"
    packages.mkdir(parents=True)
    (packages / "hello.rpm").write_bytes(bench.rpm.read_bytes())
    return bench


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "web" / "p").mkdir(parents=True)
    with Server(tmp_path / "web") as server:
        yield server


def plugin(machine: Bench, site: Server, **settings: str) -> Plugin:
    return Plugin([dict(HELLO)], {"cachedir": str(machine.folder / "cache"), "demo.baseurl": site.url, **settings})


def publish(machine: Bench, *names: str) -> None:
    (machine.folder / "web" / "p" / "hello.rpm.msig").write_bytes(machine.bundle(*names))


def serve(hook: str, plugin: Plugin, machine: Bench) -> "tuple[int, str]":
    said: List[str] = []
    code = run(hook, actions(plugin), [str(machine.folder)], os.getpid(), said.append)
    return code, "\n".join(said + plugin.errors)


def test_both_hooks_accept_and_the_last_one_notes_the_end(machine: Bench, site: Server) -> None:
    publish(machine, *NAMES)
    dnf5 = plugin(machine, site)
    assert serve("goal_resolved", dnf5, machine) == (0, "")
    code, text = serve("pre_transaction", dnf5, machine)
    assert code == 0 and "1 package, 2 of 3 builders signed" in text
    assert serve("post_transaction", dnf5, machine) == (0, "")
    assert site.count("*.msig") == 1  # kept from one hook to the next
    with closing(sqlite3.connect(machine.folder / "journal.sqlite")) as journal:
        assert journal.execute("SELECT stage, accepted, finished IS NOT NULL FROM decisions").fetchall() == [
            ("at hand", 1, 1)
        ]


@pytest.mark.parametrize("hook", ["goal_resolved", "pre_transaction"])
def test_a_refusal_is_sent_as_an_error(machine: Bench, site: Server, hook: str) -> None:
    publish(machine, "marek")
    dnf5 = plugin(machine, site)
    code, text = serve(hook, dnf5, machine)
    assert code == 1 and dnf5.errors == [text]
    assert text.startswith("multisig: refused; nothing was") and "needs 1 more of" in text and "\n" in text


def test_a_bundle_that_does_not_suffice_is_fetched_afresh(machine: Bench, site: Server) -> None:
    publish(machine, "marek")
    dnf5 = plugin(machine, site)
    assert serve("goal_resolved", dnf5, machine)[0] == 1
    publish(machine, *NAMES)
    assert serve("goal_resolved", dnf5, machine)[0] == 0


def test_nothing_that_comes_in_needs_no_policy(machine: Bench, site: Server) -> None:
    (machine.folder / "multisig.conf").write_text("nonsense")
    dnf5 = plugin(machine, site)
    dnf5.packages = []
    assert serve("goal_resolved", dnf5, machine) == serve("pre_transaction", dnf5, machine) == (0, "")


def test_each_file_that_dnf5_may_mean_has_to_be_fit(machine: Bench, site: Server) -> None:
    publish(machine, *NAMES)
    other = machine.folder / "cache" / "demo-fedcba9876543210" / "packages"
    other.mkdir(parents=True)
    (other / "hello.rpm").write_bytes(machine.rpm.read_bytes()[:-1])
    assert serve("pre_transaction", plugin(machine, site), machine)[0] == 1
    (other / "hello.rpm").unlink()
    assert serve("pre_transaction", plugin(machine, site), machine)[0] == 0


def test_a_repository_on_this_machine_is_judged_where_it_lies_whatever_a_cache_holds(
    machine: Bench, site: Server
) -> None:
    publish(machine, *NAMES)
    there = machine.folder / "a repository" / HELLO["location"]
    there.parent.mkdir(parents=True)
    there.write_bytes(machine.rpm.read_bytes()[:-1])
    dnf5 = plugin(machine, site, **{"demo.baseurl": f"file://{quote(str(machine.folder))}/a%20repository {site.url}"})
    assert serve("pre_transaction", dnf5, machine)[0] == 1
    there.write_bytes(machine.rpm.read_bytes())
    dnf5 = plugin(machine, site, **{"demo.baseurl": f"file://{quote(str(machine.folder))}/a%20repository {site.url}"})
    assert serve("pre_transaction", dnf5, machine)[0] == 0


def test_metadata_that_name_another_file_of_this_machine(machine: Bench, site: Server) -> None:
    """That file is approved, and dnf5 has rpm open what the repository sent under its name."""
    (machine.folder / "hello.rpm.msig").write_bytes(machine.bundle(*NAMES))
    (machine.folder / "cache" / "demo-0123456789abcdef" / "packages" / "hello.rpm").write_bytes(b"anything")
    dnf5 = plugin(machine, site)
    dnf5.packages = [{**HELLO, "location": str(machine.rpm)}]
    for hook in ("goal_resolved", "pre_transaction"):
        code, text = serve(hook, dnf5, machine)
        assert code == 1 and "outside of the repository" in text


def gone(name: str, action: str) -> Dict[str, str]:
    return {"full_nevra": f"{name}-0:0.9-1.noarch", "name": name, "evr": "0.9-1", "action": action, "direction": "OUT"}


def test_a_removal_that_only_the_metadata_ask_for(machine: Bench, site: Server) -> None:
    """Nobody signs the metadata: with a line in them a mirror would have any package taken away, this program too."""
    publish(machine, *NAMES)
    dnf5 = plugin(machine, site)
    # What is upgraded, and what goes because somebody asked for that.
    dnf5.packages += [gone("hello", "O"), gone("world", "E")]
    assert serve("pre_transaction", dnf5, machine)[0] == 0
    dnf5.packages += [gone("multisig-dnf5", "O")]
    code, text = serve("pre_transaction", dnf5, machine)
    assert code == 1 and "obsoletes multisig-dnf5-0:0.9-1.noarch, which would be removed" in text


def test_another_repository_whose_name_begins_alike_has_no_say(machine: Bench, site: Server) -> None:
    publish(machine, *NAMES)
    other = machine.folder / "cache" / "demo-testing-0123456789abcdef" / "packages"
    other.mkdir(parents=True)
    (other / "hello.rpm").write_bytes(b"another build")
    assert serve("pre_transaction", plugin(machine, site), machine)[0] == 0


def test_a_file_that_is_not_there(machine: Bench, site: Server) -> None:
    publish(machine, *NAMES)
    code, text = serve("pre_transaction", plugin(machine, site, cachedir=str(machine.folder)), machine)
    assert code == 1 and "not where it is expected" in text


@pytest.mark.parametrize("flags", ["justdb", "nodocs,justdb", "nocrypto", "no_such_flag"])
def test_flags_that_leave_out_what_was_signed_and_unknown_ones(machine: Bench, site: Server, flags: str) -> None:
    publish(machine, *NAMES)
    code, text = serve("pre_transaction", plugin(machine, site, tsflags=flags), machine)
    assert code == 1 and "refused" in text
    assert serve("pre_transaction", plugin(machine, site, tsflags="nodocs"), machine)[0] == 0


def test_bundles_in_a_folder_that_the_configuration_names(machine: Bench, site: Server) -> None:
    (machine.folder / "medium").mkdir()
    (machine.folder / "medium" / "hello.rpm.msig").write_bytes(machine.bundle(*NAMES))
    conf = machine.folder / "multisig.conf"
    conf.write_text(conf.read_text() + f"[bundles]\ndemo = {site.url}/elsewhere {machine.folder}/medium\n")
    dnf5 = plugin(machine, site)
    assert serve("goal_resolved", dnf5, machine)[0] == 0
    assert serve("pre_transaction", dnf5, machine)[0] == 0 and site.count("/p/*") == 0


def test_dnf5_is_asked_from_one_thread_alone(site: Server, tmp_path: Path) -> None:
    """There is one pipe: answers to two questions at once would be anybody's."""
    threads = set()

    def setting(name: str, repo: str) -> Optional[str]:
        threads.add(threading.get_ident())
        return {"baseurl": f"{site.url}/1 {site.url}/2", "cachedir": str(tmp_path)}.get(name)

    sources = Sources(Remotes(setting, cacheonly=False), str(tmp_path), {}, [f"{site.url}/p/x.rpm"])
    named = Incoming(NEVRA, "hello", "@commandline", str(tmp_path / "@commandline-1" / "packages" / "1-x.rpm"))
    packages = [sources.package(item) for item in (named, Incoming(NEVRA, "hello", "demo", "p/hello.rpm"))]
    for look in reversed(Look):
        sources.fetch(packages, look)
    assert site.count() > 3 and threads == {threading.get_ident()}


@pytest.mark.parametrize("repo", ["demo", '"@commandline"'])
def test_bundles_on_a_site_that_the_configuration_names(machine: Bench, site: Server, repo: str) -> None:
    elsewhere = machine.folder / "web" / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "hello.rpm.msig").write_bytes(machine.bundle(*NAMES))
    conf = machine.folder / "multisig.conf"
    conf.write_text(conf.read_text() + f"[bundles]\n{repo.strip(chr(34))} = {site.url}/elsewhere\n")
    dnf5 = plugin(machine, site)
    if repo != "demo":
        policy = machine.policy.parent / "demo.yaml"
        policy.write_text(policy.read_text().replace("repos: [demo]", f"repos: [{repo}]"))
        dnf5.packages = [{**HELLO, "repo_id": "@commandline", "location": str(machine.rpm)}]
    assert serve("goal_resolved", dnf5, machine)[0] == 0
    assert serve("pre_transaction", dnf5, machine)[0] == 0 and site.count("/p/*") == 0


def test_the_bundle_beside_a_package_given_by_url(machine: Bench, site: Server) -> None:
    policy = machine.policy.parent / "demo.yaml"
    policy.write_text(policy.read_text().replace("repos: [demo]", 'repos: ["@commandline"]'))
    publish(machine, *NAMES)
    here = machine.folder / "cache" / "@commandline-0123456789abcdef" / "packages" / "fedcba98-hello.rpm"
    here.parent.mkdir(parents=True)
    here.write_bytes(machine.rpm.read_bytes())
    dnf5 = plugin(machine, site)
    dnf5.packages = [{**HELLO, "repo_id": "@commandline", "location": str(here)}]
    assert serve("goal_resolved", dnf5, machine)[0] == 1 and site.count() == 0
    dnf5.named = ["greet", str(machine.rpm), f"{site.url}/q/greet.rpm", f"{site.url}/p/hello.rpm"]
    dnf5.errors.clear()
    assert serve("pre_add_cmdline_packages", dnf5, machine) == (0, "")
    assert serve("goal_resolved", dnf5, machine) == (0, "")
    assert serve("pre_transaction", dnf5, machine)[0] == 0
    assert site.count("/p/hello.rpm.msig") == site.count() == 1
    # One that does not suffice is fetched afresh.
    Path(f"{here}.msig").write_bytes(machine.bundle("marek"))
    assert serve("goal_resolved", dnf5, machine)[0] == 0 and site.count() == 2


NAMED: Mapping[str, "tuple[str, str]"] = {
    "another name": ("p/hallo.rpm", "1-hello.rpm"),
    "a query": ("p/hello.rpm?x", "1-hello.rpm"),
    "no digits before it": ("p/hello.rpm", "hello.rpm"),
    "no name": ("p/", "1-"),
    "no digits": ("p/hello.rpm", "-hello.rpm"),
    "another place": ("p/hello.rpm", "1-hello.rpm"),
}


@pytest.mark.parametrize("label", NAMED)
def test_what_a_package_was_not_named_by_is_not_asked(site: Server, tmp_path: Path, label: str) -> None:
    url, name = NAMED[label]
    sources = Sources(Remotes(lambda name, repo: None, cacheonly=False), str(tmp_path), urls=[f"{site.url}/{url}"])
    place = tmp_path / ("@commandline-1/packages" if label != "another place" else "@commandline-1/x/packages")
    package = sources.package(Incoming(NEVRA, "hello", "@commandline", str(place / name)))
    sources.fetch([package], Look.BESIDE)
    sources.fetch([package], Look.AFRESH)
    assert site.count() == 0


def test_without_an_answer_about_the_command_line_no_url_is_known(machine: Bench, site: Server) -> None:
    asked = Actions(io.BytesIO(b'{"status":"ERROR","message":"used outside"}\n'), io.BytesIO())
    with pytest.raises(ActionsError):
        run("pre_add_cmdline_packages", asked, [str(machine.folder)], os.getpid(), print)
    dnf5 = plugin(machine, site)
    dnf5.vars["multisig_urls"] = "[" * 100_000
    assert serve("goal_resolved", dnf5, machine)[0] == 1


def test_an_unknown_hook(machine: Bench, site: Server) -> None:
    assert serve("repos_loaded", plugin(machine, site), machine)[0] == 1


def test_warn_mode_says_it_and_goes_on(machine: Bench, site: Server) -> None:
    conf = machine.folder / "multisig.conf"
    conf.write_text(conf.read_text() + "mode = warn\n")
    code, text = serve("goal_resolved", plugin(machine, site), machine)
    assert code == 0 and "would have refused" in text
    code, text = serve("pre_transaction", plugin(machine, site, cachedir="/nowhere"), machine)
    assert code == 0 and "would have refused" in text


# The talk

REPLIES: Mapping[str, bytes] = {
    "none": b"",
    "no JSON": b"OK\n",
    "deep": b"[" * 100_000 + b"\n",
    "no object": b"[]\n",
    "an error": b'{"status":"ERROR","message":"no"}\n',
    "no status": b'{"return":{"trans_packages":[]}}\n',
    "nothing returned": b'{"status":"OK"}\n',
    "another return": b'{"status":"OK","return":[]}\n',
    "no list": b'{"status":"OK","return":{"trans_packages":{}}}\n',
    "a list of texts": b'{"status":"OK","return":{"trans_packages":["hello"]}}\n',
    "a package without a name": b'{"status":"OK","return":{"trans_packages":[{"full_nevra":"x"}]}}\n',
    "numbers": b'{"status":"OK","return":{"trans_packages":[{"full_nevra":1,"name":2,"repo_id":3,"location":4}]}}\n',
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_what_is_no_answer_is_an_error_and_never_an_empty_transaction(reply: bytes) -> None:
    with pytest.raises(ActionsError):
        Actions(io.BytesIO(reply), io.BytesIO()).incoming()


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_no_answer_ends_the_transaction(machine: Bench, reply: bytes) -> None:
    code = run("pre_transaction", Actions(io.BytesIO(reply), io.BytesIO()), [str(machine.folder)], os.getpid(), print)
    assert code == 1


def test_the_setting_of_another_repository_is_not_taken() -> None:
    reply = {"status": "OK", "return": {"keys_val": [{"key": "other.baseurl", "value": "x"}]}}
    asked = Actions(io.BytesIO(json.dumps(reply).encode() + b"\n"), io.BytesIO())
    assert asked.setting("baseurl", "oth*") is None


# Bundles


def ask(
    site: Server, look: Look = Look.BESIDE, *, offline: bool = False, **settings: str
) -> Callable[[Path], Optional[bytes]]:
    def fetched(cache: Path) -> Optional[bytes]:
        known = {"baseurl": site.url, **settings}
        bundles = Sources(Remotes(lambda name, repo: known.get(name), cacheonly=offline), str(cache))
        package = bundles.package(Incoming(NEVRA, "hello", "demo", "p/hello.rpm"))
        found = bundles.fetch([package], look).get(package.key)
        return None if found is None else found.bundle

    return fetched


@pytest.fixture
def msig(tmp_path: Path, site: Server) -> bytes:
    (tmp_path / "web" / "p" / "hello.rpm.msig").write_bytes(b"bundle")
    return b"bundle"


def test_a_bundle_over_http_is_kept(site: Server, msig: bytes, tmp_path: Path) -> None:
    assert ask(site)(tmp_path) == msig and ask(site)(tmp_path) == msig
    assert site.count("*.msig") == 1
    assert ask(site, offline=True)(tmp_path) == msig
    assert ask(site, Look.AFRESH)(tmp_path) == msig and site.count("*.msig") == 2


def test_a_cache_that_cannot_be_written_costs_a_request_and_no_more(site: Server, msig: bytes, tmp_path: Path) -> None:
    (tmp_path / "multisig").write_text("in the way")
    assert ask(site)(tmp_path) == msig and ask(site)(tmp_path) == msig
    (tmp_path / "multisig").unlink()
    # As where a folder of that name is in the way: nothing is left of what arrived.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", broken)
        assert ask(site)(tmp_path) == msig
    assert site.count("*.msig") == 3 and not list((tmp_path / "multisig").iterdir())


def broken(*_: object) -> None:
    raise OSError(errno.EISDIR, "Is a directory")


def test_what_was_kept_can_be_gathered_for_another_machine(machine: Bench, site: Server) -> None:
    publish(machine, *NAMES)
    (published,) = parse((machine.folder / "web" / "p" / "hello.rpm.msig").read_bytes()).attestations
    assert serve("goal_resolved", plugin(machine, site), machine)[0] == 0
    shutil.rmtree(machine.folder / "web")
    out = machine.folder / "out"
    assert call("gather", "-o", out, "--from", machine.folder / "cache", machine.rpm).rc == 0
    (gathered,) = parse((out / "hello.rpm.msig").read_bytes()).attestations
    assert gathered.statement == published.statement and set(gathered.signatures) == set(published.signatures)


def test_offline_nothing_is_asked(site: Server, msig: bytes, tmp_path: Path) -> None:
    assert ask(site, offline=True)(tmp_path) is None and site.count() == 0


def test_of_several_addresses_the_next_one_is_tried(site: Server, msig: bytes, tmp_path: Path) -> None:
    assert ask(site, baseurl=f"{site.url}/nothing, {site.url}/")(tmp_path) == msig


def test_an_address_that_answers_with_nothing_of_use_does_not_end_the_search(site: Server, tmp_path: Path) -> None:
    web, good = tmp_path / "web", encode(Bundle((attest(statement(), "marek"),)))
    urls = []
    for place, data in {"junk": b"junk", "bad": b"[" * 20_000, "good": good, "x": good, "beyond": good}.items():
        (web / place / "p").mkdir(parents=True)
        (web / place / "p" / "hello.rpm.msig").write_bytes(data)
        urls.append(f"{site.url}/{place}")

    def looks(*, offline: bool) -> Find:
        known = {} if offline else {"baseurl": " ".join(urls)}  # dnf5 replays it under another repository's name
        bundles = Sources(Remotes(lambda name, repo: known.get(name), cacheonly=offline), str(tmp_path / "cache"))
        package = bundles.package(Incoming(NEVRA, "hello", "demo", "p/hello.rpm"))
        assert bundles.fetch([package], Look.BESIDE)[package.key].bundle == b"junk"
        return bundles.fetch([package], Look.MIRRORS)[package.key]

    found = looks(offline=False)
    assert set(found.attestations) == {attest(statement(), "marek")}
    assert [note.partition(":")[0] for note in found.notes] == ["the bundle of the mirror 127.0.0.1/bad"]
    assert site.count("/beyond/*") == 0 and site.count("*.msig") == 4
    assert looks(offline=True).attestations == found.attestations and site.count("*.msig") == 4


@pytest.mark.parametrize(
    "fault", [Fault(status=404), Fault(status=500), Fault(truncate=3), Fault(redirect="file:///etc/passwd")]
)
def test_a_server_that_has_none(site: Server, msig: bytes, tmp_path: Path, fault: Fault) -> None:
    site.fault("*.msig", fault)
    assert ask(site)(tmp_path) is None


def test_what_never_ends_is_cut_off(site: Server, msig: bytes, tmp_path: Path) -> None:
    site.fault("*.msig", Fault(endless=True))
    found = ask(site)(tmp_path)
    assert found is not None and len(found) == MAX_BUNDLE + 1


def test_what_drips_is_given_up(site: Server, msig: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "_DEADLINE", 1.0)
    monkeypatch.setattr(remotes, "_SLOWEST", 1 << 30)
    site.fault("*.msig", Fault(drip=0.3))
    started = time.monotonic()
    assert ask(site)(tmp_path) is None and time.monotonic() - started < 60  # all of it would take ten minutes


def test_login(site: Server, msig: bytes, tmp_path: Path) -> None:
    site.fault("*.msig", Fault(login="joe:secret"))
    assert basic("joe:secret") and ask(site)(tmp_path) is None
    assert ask(site, username="joe", password="secret")(tmp_path) == msig


def test_a_proxy_is_used_with_its_login(site: Server, tmp_path: Path) -> None:
    """What the proxy is asked for is the whole URL; this server, no proxy, takes its path."""
    assert ask(site, baseurl="http://elsewhere.invalid/repo", proxy=site.url)(tmp_path) is None
    assert site.count("*hello.rpm.msig") == 1
    assert remotes._with_user("http://p:3128", "a b", "c@d") == "http://a%20b:c%40d@p:3128"


def test_what_was_kept_serves_the_replay_of_an_offline_transaction(site: Server, msig: bytes, tmp_path: Path) -> None:
    """dnf5 stores the packages in a folder of its own, and says the repository's name or another one."""
    assert ask(site)(tmp_path) == msig
    stored = tmp_path / "offline" / "hello.rpm"
    stored.parent.mkdir()
    stored.write_bytes(b"no package")
    before = site.count()
    for repo, expected in (("demo", msig), ("@stored_transaction", msig), ("@commandline", None)):
        replay = Sources(Remotes(lambda name, _: {"baseurl": site.url}.get(name), cacheonly=False), str(tmp_path))
        package = replay.package(Incoming(NEVRA, "hello", repo, str(stored)))
        assert replay.fetch([package], Look.BESIDE)[package.key].bundle == expected
        other = replay.package(Incoming(NEVRA.replace("1.0", "1.1"), "hello", repo, str(stored)))
        assert replay.fetch([other], Look.BESIDE)[other.key].bundle is None
    assert site.count() == before


def test_a_folder_as_base_url(tmp_path: Path, site: Server, msig: bytes) -> None:
    assert ask(site, baseurl=f"file://{tmp_path}/web")(tmp_path / "cache") == msig and site.count() == 0


def test_a_bundle_beside_a_local_file(tmp_path: Path) -> None:
    (tmp_path / "x.rpm.msig").write_bytes(b"b")
    (tmp_path / "x.rpm").write_bytes(b"no package")
    bundles = Sources(Remotes(lambda name, repo: None, cacheonly=False), str(tmp_path))
    package: Package = bundles.package(Incoming(NEVRA, "hello", "@commandline", str(tmp_path / "x.rpm")))
    assert bundles.fetch([package], Look.BESIDE)[package.key].bundle == b"b"
    assert bundles.fetch([package], Look.AFRESH) == {}
