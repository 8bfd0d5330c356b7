# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig publish: what enough people signed gets in, nothing else does, and nothing is lost on the way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

from fixtures import client
from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import STRING_ARRAY, Rpm
from fixtures.rpmjudge import judged
from fixtures.running import run
from fixtures.tamper import tamper_payload, tampered_script
from multisig import index
from multisig.bundle import MAX_BUNDLE, Attestation, Bundle, encode, parse
from multisig.errors import UnreadableError
from multisig.merging import MAX_BAD
from multisig.publishing import createrepo
from multisig.publishing import run as publishing
from multisig.publishing.evidence import LONG, Remembering
from multisig.publishing.repository import ASIDE, BATCHES, Repository, file_name
from multisig.publishing.uploads import Uploads
from multisig.statement import Subject, statement_id
from multisig.unpack import unpacked
from tests.unit.cli_bench import NEVRA, Bench, call, one_line
from tests.unit.core import digests, statement

FILE = "hello-1.0-1.noarch.rpm"


class Server:
    """An upload directory and a repository."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.incoming = bench.folder / "incoming"
        self.repo = bench.folder / "repo"
        self.incoming.mkdir()

    def upload(self, path: str, data: bytes) -> Path:
        place = self.incoming / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def hello(self, who: str, *signers: str) -> Path:
        """One person's upload: the package, and the bundle of those who signed it."""
        if signers:
            self.upload(f"{who}/hello.rpm.msig", self.bench.bundle(*signers))
        return self.upload(f"{who}/hello.rpm", self.bench.rpm.read_bytes())

    def publish(self, *words: object) -> Dict[str, Any]:
        ran = call(
            "publish", "--incoming", self.incoming, "--repo", self.repo, "--policy", self.bench.policy, "--json", *words
        )
        assert (ran.rc, ran.err) == (0, "")
        assert not (self.repo / ASIDE).exists()
        return dict(json.loads(ran.out))

    def published(self) -> Set[str]:
        return set(client.packages(self.repo)) if (self.repo / "repodata").exists() else set()

    def bundle(self, name: str = FILE) -> Bundle:
        return parse((self.repo / f"{name}.msig").read_bytes())


@pytest.fixture
def server(bench: Bench) -> Server:
    return Server(bench)


def names(items: List[Dict[str, Any]]) -> List[str]:
    return [item["name"] for item in items]


def reasons(done: Dict[str, Any]) -> Dict[str, str]:
    return {os.path.basename(item["source"]): item["reason"] for item in done["dropped"]}


# --- what gets in ----------------------------------------------------------------------------------------------------


def test_what_enough_people_signed_is_published_with_their_signatures(server: Server) -> None:
    server.hello("marek", "marek")
    server.hello("joanna", "joanna")
    done = server.publish()
    assert done["published"] == [{"name": NEVRA, "signers": ["joanna", "marek"]}]
    assert (done["held"], done["dropped"]) == ([], [])
    assert server.published() == {FILE}
    uploaded = [client.signatures(server.incoming / who / "hello.rpm.msig") for who in ("marek", "joanna")]
    assert client.signatures(server.repo / f"{FILE}.msig") == uploaded[0] | uploaded[1]
    assert server.bench.verify(server.repo / FILE)["rc"] == 0


def test_a_package_below_the_threshold_is_held_back_and_it_says_what_it_lacks(server: Server) -> None:
    server.hello("marek", "marek")
    done = server.publish()
    assert server.published() == set()
    (held,) = done["held"]
    assert (held["name"], held["code"]) == (NEVRA, "below-threshold")
    assert "1 of 2 builders signed (marek); needs 1 more of: joanna, rafal" in held["message"]
    ran = call("publish", "--incoming", server.incoming, "--repo", server.repo, "--policy", server.bench.policy)
    assert ran.rc == 0
    assert "held back:" in ran.out and "needs 1 more of: joanna, rafal" in ran.out and "hello.rpm" in ran.out
    assert "0 published, 0 with more signatures, 1 held back" in ran.out


def test_paths_may_be_relative_and_look_like_options(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.hello("-who", "marek", "joanna")
    server.incoming.rename(server.bench.folder / "-in")
    monkeypatch.chdir(server.bench.folder)
    ran = call("publish", "--incoming=-in", "--repo=-out", "--policy", server.bench.policy)
    assert (ran.rc, ran.err) == (0, "")
    assert set(client.packages(server.bench.folder / "-out")) == {FILE}


def test_nothing_that_was_uploaded_is_changed_or_removed(server: Server) -> None:
    server.hello("marek", "marek", "joanna")
    server.upload("junk.msig", b"junk")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in server.incoming.rglob("*.*")}
    server.publish()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in server.incoming.rglob("*.*")} == before


def test_publishing_again_changes_nothing(server: Server) -> None:
    server.hello("marek", "marek", "joanna")
    server.publish()
    before = {path: path.stat().st_mtime_ns for path in server.repo.rglob("*")}
    done = server.publish()
    assert (done["published"], done["extended"], done["held"], done["dropped"]) == ([], [], [], [])
    assert {path: path.stat().st_mtime_ns for path in server.repo.rglob("*")} == before


def test_a_signature_that_comes_later_joins_the_published_bundle(server: Server) -> None:
    server.hello("marek", "marek", "joanna")
    server.publish()
    before = client.signatures(server.repo / f"{FILE}.msig")
    server.upload("rafal/late.msig", server.bench.bundle("rafal"))
    done = server.publish()
    assert (done["published"], done["extended"]) == ([], [NEVRA])
    assert client.signatures(server.repo / f"{FILE}.msig") == before | client.signatures(
        server.incoming / "rafal/late.msig"
    )
    shutil.rmtree(server.incoming)
    server.incoming.mkdir()
    assert server.publish()["extended"] == []
    assert len(client.signatures(server.repo / f"{FILE}.msig")) == 3


def test_one_statement_of_many_packages_is_kept_once_and_counts(server: Server) -> None:
    subject = Subject(NEVRA, judged(server.bench.rpm.read_bytes()).digests)
    others = [Subject(f"other-0:{number}-1.noarch", digests(str(number))) for number in range(400)]
    text = statement(subject, *others)
    assert len(text) > LONG
    server.hello("marek", "marek")
    server.upload("joanna/batch.msig", server.bench.bundle("joanna", text=text))
    assert names(server.publish()["published"]) == [NEVRA]
    assert [item.statement for item in server.bundle().attestations] == [statement(subject)]
    batch = server.repo / BATCHES / f"{statement_id(text)}.msig"
    assert parse(batch.read_bytes()) == parse((server.incoming / "joanna/batch.msig").read_bytes())
    before = {path: path.stat().st_mtime_ns for path in server.repo.rglob("*")}
    server.publish()
    assert {path: path.stat().st_mtime_ns for path in server.repo.rglob("*")} == before
    server.upload("rafal/batch.msig", server.bench.bundle("rafal", text=text))
    server.publish()
    assert len(client.signatures(batch)) == 2


def test_batches_of_several_people_that_no_bundle_could_hold_together_count(server: Server) -> None:
    """Two builders' statements of 2,000 packages each: together more than a bundle's megabyte."""
    subject = Subject(NEVRA, judged(server.bench.rpm.read_bytes()).digests)
    server.hello("marek")
    for who in ("joanna", "rafal"):
        others = [Subject(f"other-0:{number}-1.noarch", digests(f"{who} {number}"), "0" * 64) for number in range(1999)]
        text = statement(subject, *others)
        assert 2 * len(text) > MAX_BUNDLE
        server.upload(f"{who}/batch.msig", server.bench.bundle(who, text=text))
    assert server.publish()["published"] == [{"name": NEVRA, "signers": ["joanna", "rafal"]}]
    assert not (server.repo / f"{FILE}.msig").exists()
    assert len(list((server.repo / BATCHES).iterdir())) == 2
    assert server.publish()["published"] == []
    # No bundle lies beside the package, but the repository's index has the statements.
    assert server.bench.verify(server.repo / FILE)["rc"] == 0
    index = next((server.repo / "repodata").glob("*-multisig.jsonl*"))
    index.write_bytes(index.read_bytes()[:200])
    found = server.bench.verify(server.repo / FILE)
    assert (found["rc"], found["subjects"][0]["code"]) == (1, "no-bundle")
    assert any("the index: " in note for note in found["subjects"][0]["ignored"])
    (server.repo / f"{FILE}.msig").write_bytes(server.bench.bundle("marek", "joanna"))
    assert server.bench.verify(server.repo / FILE)["rc"] == 0


def test_the_rules_of_the_named_repository_hold_and_else_those_of_all(server: Server) -> None:
    server.hello("marek", "marek")
    assert names(server.publish("--repo-id", "other")["held"]) == [NEVRA]
    assert names(server.publish()["held"]) == [NEVRA]
    # A rule of the policy exempts whatever is in the repository "lab".
    assert names(server.publish("--repo-id", "lab")["published"]) == [NEVRA]


# --- several builds of one package -----------------------------------------------------------------------------------


def rebuilt(bench: Bench, who: str) -> Path:
    """The same content, in other bytes."""
    return build(Recipe("hello.spec"), BUILDERS[who], bench.policy.parent)[0]


def test_of_several_builds_of_one_content_the_one_that_most_signers_vouch_for_is_published(server: Server) -> None:
    own, other = server.bench.rpm.read_bytes(), rebuilt(server.bench, "joanna").read_bytes()
    subject = judged(other)
    assert subject.digests == judged(own).digests
    payload = hashlib.sha256(other[subject.payload_offset :]).hexdigest()
    vouching = statement(Subject(NEVRA, subject.digests, payload))
    for order in (("a", "b"), ("b", "a")):
        shutil.rmtree(server.repo, ignore_errors=True)
        shutil.rmtree(server.incoming)
        server.upload(f"{order[0]}/hello.rpm", own)
        server.upload(f"{order[1]}/hello.rpm", other)
        server.upload("x.msig", server.bench.bundle("marek", "joanna", text=vouching))
        server.publish()
        assert (server.repo / FILE).read_bytes() == other


def corrupt_payload(data: bytes, path: Path) -> bytes:
    """Another byte in a file; every digest that rpm looks at first is true of it."""
    path.write_bytes(data)
    return tamper_payload(path, path).read_bytes()


def corrupt_signature_header(data: bytes, path: Path) -> bytes:
    """rpm's own digest of the header, which nobody signs, is another: every client's rpm would refuse the file."""
    digest = Rpm.parse(data).signature.values(273)[0]
    assert isinstance(digest, bytes)
    return data.replace(digest, digest[::-1], 1)


def file_signatures(data: bytes, path: Path) -> bytes:
    """Signatures of files, which nobody signed and rpm's plugins would act on."""
    rpm = Rpm.parse(data)
    rpm.signature.add(274, STRING_ARRAY, ["00"])
    return rpm.pack()


@pytest.mark.parametrize("corrupt", [corrupt_payload, corrupt_signature_header, file_signatures])
def test_a_broken_copy_of_what_was_signed_does_not_keep_the_good_one_out(server: Server, corrupt: Any) -> None:
    good = server.bench.rpm.read_bytes()
    broken = corrupt(good, server.bench.folder / "broken.rpm")
    assert broken != good and judged(broken).digests == judged(good).digests
    server.upload("a/hello.rpm", broken)
    server.upload("hello.msig", server.bench.bundle("marek", "joanna"))
    done = server.publish()
    assert (done["published"], list(reasons(done))) == ([], ["hello.rpm"])
    # Nor does it make the metadata change: a release statement is for one repomd.xml.
    before = (server.repo / "repodata" / "repomd.xml").read_bytes()
    time.sleep(1.1)  # createrepo_c writes the time in seconds
    server.publish()
    assert (server.repo / "repodata" / "repomd.xml").read_bytes() == before
    server.upload("b/hello.rpm", good)
    assert names(server.publish()["published"]) == [NEVRA]
    assert (server.repo / FILE).read_bytes() == good


def other_content(bench: Bench) -> bytes:
    """Another script under the same name."""
    return build(tampered_script(Recipe("hello.spec")), BUILDERS["marek"], bench.policy.parent)[0].read_bytes()


def bundle_of(bench: Bench, package: bytes, *signers: str) -> bytes:
    return bench.bundle(*signers, text=statement(Subject(NEVRA, judged(package).digests)))


def test_who_built_something_else_is_named_and_diff_is_the_next_step(server: Server) -> None:
    other = other_content(server.bench)
    server.hello("marek", "marek")
    server.upload("rafal/hello.rpm", other)
    server.upload("rafal/hello.rpm.msig", bundle_of(server.bench, other, "rafal"))
    held = server.publish()["held"]
    assert names(held) == [NEVRA, NEVRA]
    for item, dissenter in zip(sorted(held, key=lambda item: str(item["message"])), ("rafal", "marek")):
        assert f"{dissenter} signed another content of this name (multisig diff shows what differs)" in item["ignored"]
    server.upload("joanna/hello.msig", server.bench.bundle("joanna"))
    assert names(server.publish()["published"]) == [NEVRA]
    assert (server.repo / FILE).read_bytes() == server.bench.rpm.read_bytes()
    # The dissent is kept, after those who agree.
    mine = judged(server.bench.rpm.read_bytes()).sha256
    assert [mine in item.statement for item in server.bundle().attestations] == [True, False]


def test_another_content_of_a_published_package_is_never_put_in_its_place(server: Server) -> None:
    server.hello("marek", "marek", "joanna")
    server.publish()
    other = other_content(server.bench)
    server.upload("x/hello.rpm", other)
    server.upload("x/hello.rpm.msig", bundle_of(server.bench, other, "marek", "joanna", "rafal"))
    done = server.publish()
    assert "is published already, with another content of " + NEVRA in reasons(done)["hello.rpm"]
    assert (server.repo / FILE).read_bytes() == server.bench.rpm.read_bytes()


def test_of_two_contents_that_enough_people_signed_the_one_with_more_signers_is_published(server: Server) -> None:
    """A policy that two disjoint sets of people can satisfy asks for it; the choice does not depend on any order."""
    policy = server.bench.policy.parent / "one.yaml"
    policy.write_text(server.bench.policy.read_text().replace("2 of builders", "1 of builders"))
    other = other_content(server.bench)
    server.hello("a", "marek")
    server.upload("b/other.rpm", other)
    server.upload("b/other.msig", bundle_of(server.bench, other, "joanna", "rafal"))
    done = server.publish("--policy", policy)
    assert done["published"] == [{"name": NEVRA, "signers": ["joanna", "rafal"]}]
    assert "another content" in reasons(done)["hello.rpm"]
    assert (server.repo / FILE).read_bytes() == other


def test_packages_that_differ_in_their_epoch_alone_are_all_published_each_in_its_place(server: Server) -> None:
    """An epoch is no part of a file's name: what a package is stands in its header."""
    assert file_name("a-b-7:1.0-2.x86_64") == "a-b-1.0-2.x86_64.rpm"
    aged = build(Recipe("hello.spec", (("age", "3"),)), BUILDERS["marek"], server.bench.policy.parent)[0].read_bytes()
    name, place = "hello-3:1.0-1.noarch", f"epoch-3/{FILE}"
    text = statement(Subject(name, judged(aged).digests))
    server.hello("marek", "marek", "joanna")
    server.publish()
    server.upload("b/aged.rpm", aged)
    server.upload("b/aged.msig", server.bench.bundle("marek", "joanna", text=text))
    assert names(server.publish()["published"]) == [name]
    assert (server.repo / FILE).read_bytes() == server.bench.rpm.read_bytes()
    assert (server.repo / place).read_bytes() == aged
    assert server.published() == {FILE, place}
    server.upload("c/late.msig", server.bench.bundle("rafal", text=text))
    done = server.publish()
    assert (done["published"], done["extended"], done["dropped"]) == ([], [name], [])
    assert len(client.signatures(server.repo / f"{place}.msig")) == 3
    assert len(client.signatures(server.repo / f"{FILE}.msig")) == 2
    assert server.bench.verify(server.repo / place)["rc"] == 0


def test_a_package_whose_places_others_have_is_named_and_replaces_nothing(server: Server) -> None:
    aged = build(Recipe("hello.spec", (("age", "3"),)), BUILDERS["marek"], server.bench.policy.parent)[0].read_bytes()
    for place in (server.repo / FILE, server.repo / "epoch-0" / FILE):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(aged)
    server.hello("marek", "marek", "joanna")
    done = server.publish()
    assert done["published"] == []
    assert reasons(done)["hello.rpm"] == f"other packages are published as {FILE}"
    assert (server.repo / FILE).read_bytes() == (server.repo / "epoch-0" / FILE).read_bytes() == aged


# --- hostile uploads -------------------------------------------------------------------------------------------------


def test_junk_does_not_crowd_out_what_counts(server: Server) -> None:
    """As many statements and signatures as bundles hold, many of which claim to be a signer's, in five files."""
    (whole,) = parse(server.bench.bundle("marek", "joanna")).attestations
    stranger = server.bench.people.sign("compromised", data=whole.statement.encode())
    false = server.bench.people.sign("marek", data=b"something else")
    for number in range(5):
        texts = [statement(Subject(NEVRA, digests(f"{number} {place}"))) for place in range(63)]
        junk = [Attestation(text, (false, stranger)) for text in texts]
        same = Attestation(whole.statement, (false, stranger))
        server.upload(f"a/{number}.msig", encode(Bundle((same, *junk))))
    server.hello("z")
    server.upload("z/hello.rpm.msig", encode(Bundle((whole,))))
    assert names(server.publish()["published"]) == [NEVRA]
    first = server.bundle().attestations[0]
    assert first.statement == whole.statement
    assert set(first.signatures[:2]) == set(whole.signatures)
    assert len((server.repo / f"{FILE}.msig").read_bytes()) < 3 * LONG


def test_false_signatures_in_many_files_keep_nobody_waiting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file has its few, and all of them are one uploader's."""
    tried: List[str] = []
    genuine = Remembering.verify

    def counted(self: Remembering, data: bytes, signature: Any, key: Any) -> Any:
        tried.append(key.fingerprint)
        return genuine(self, data, signature, key)

    monkeypatch.setattr(Remembering, "verify", counted)
    false = server.bench.people.sign("marek", data=b"something else")
    for number in range(5):
        texts = [statement(Subject(NEVRA, digests(f"{number} {place}"))) for place in range(60)]
        server.upload(f"evil/{number}.msig", encode(Bundle(tuple(Attestation(text, (false,)) for text in texts))))
    server.hello("good", "marek", "joanna")
    done = server.publish()
    assert names(done["published"]) == [NEVRA]
    assert MAX_BAD <= len(tried) < 2 * MAX_BAD
    assert "of its signatures were false" in reasons(done)["evil"]


def test_an_uploader_who_sends_too_much_starves_nobody_else(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MOST_EVIDENCE", 10_000)
    for number in range(20):
        server.upload(f"a/{number:02}.msig", server.bench.bundle("rafal", text=statement(source=f"{number} " * 200)))
    server.hello("b", "marek", "joanna")
    done = server.publish()
    assert names(done["published"]) == [NEVRA]
    assert "a holds more than 0 MiB of bundles" in reasons(done)["19.msig"]
    assert "00.msig" not in reasons(done)


def test_a_signed_header_over_an_endless_payload_is_neither_read_nor_copied(server: Server) -> None:
    """A file with a hole of a tebibyte takes its uploader no time, and whoever reads or copies it for ever."""
    forged = Rpm.read(server.bench.rpm)
    for tag in (5092, 5093, 5097):  # digests of the payload, which nobody signs
        forged.remove(tag)
    endless = server.upload("evil/hello.rpm", b"")
    forged.write(endless)
    os.truncate(endless, 1 << 40)
    server.upload("joanna/hello.rpm.msig", server.bench.bundle("marek", "joanna"))
    done = server.publish()
    assert (names(done["published"]), set(reasons(done))) == ([], {"hello.rpm"})
    server.hello("marek")
    assert names(server.publish()["published"]) == [NEVRA]


def test_a_file_that_grows_after_it_was_looked_at_is_not_copied_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = server.hello("who", "marek", "joanna")
    genuine = Repository.copy

    def grown(self: Repository, fd: int, name: str, limit: int) -> Any:
        os.truncate(path, 1 << 40)
        return genuine(self, fd, name, limit)

    monkeypatch.setattr(Repository, "copy", grown)
    done = server.publish()
    assert (done["published"], set(reasons(done))) == ([], {"hello.rpm"})


def test_copies_of_junk_do_not_pile_up_on_the_disk(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        tamper_payload(server.bench.rpm, server.upload(f"evil/{number}.rpm", b""))
    server.hello("who", "marek", "joanna")
    genuine = Repository.copy
    seen: List[int] = []

    def counted(self: Repository, fd: int, name: str, limit: int) -> Any:
        seen.append(len(list(Path(self.path).rglob("*.part"))))
        return genuine(self, fd, name, limit)

    monkeypatch.setattr(Repository, "copy", counted)
    server.publish()
    assert seen and set(seen) == {0}


def test_a_file_in_the_repository_that_could_not_be_approved_keeps_nobody_from_publishing(server: Server) -> None:
    """Whoever uploads something of its name would stop everybody's packages for good."""
    odd = Rpm.read(server.bench.rpm)
    odd.add(4_000_000, STRING_ARRAY, ["of a tag that nobody knows"])
    server.repo.mkdir()
    odd.write(server.repo / FILE)
    server.upload("evil/any.msig", server.bench.bundle("rafal"))
    server.publish()
    server.hello("marek", "marek", "joanna")
    done = server.publish()
    assert done["published"] == [] and (server.repo / FILE).read_bytes() == odd.pack()
    assert reasons(done)["hello.rpm"].endswith("is published already, and is no package that could be approved")


def test_a_file_that_vanishes_while_its_folder_is_listed_takes_nothing_else_with_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hello("marek", "marek", "joanna")
    gone = server.upload("marek/0.rpm", b"")
    genuine = os.scandir

    class Slow:
        """Lists what was there, and by then one is gone."""

        def __init__(self, folder: Any) -> None:
            with genuine(folder) as entries:
                self.entries = list(entries)
            if any(entry.name == gone.name for entry in self.entries):
                gone.unlink(missing_ok=True)

        def __enter__(self) -> Any:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", Slow)
        uploads = Uploads(str(server.incoming))
        found = uploads.scan()
        uploads.close()
    assert not gone.exists()
    assert (found.rpms, found.bundles, found.refused) == (("marek/hello.rpm",), ("marek/hello.rpm.msig",), ())


def test_junk_that_would_make_the_index_too_large_is_left_out_of_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a little beside each package uploaders could keep the metadata from ever being made again."""
    monkeypatch.setattr(index, "MAX_INDEX", 6_000)
    (whole,) = parse(server.bench.bundle("marek", "joanna")).attestations
    stranger = server.bench.people.sign("compromised", data=whole.statement.encode())
    content = judged(server.bench.rpm.read_bytes()).digests
    texts = [statement(Subject(NEVRA, content), source=f"https://example.org/{number}") for number in range(8)]
    server.upload("evil/junk.msig", encode(Bundle(tuple(Attestation(text, (stranger,)) for text in texts))))
    server.hello("marek", "marek", "joanna")
    assert names(server.publish()["published"]) == [NEVRA]
    assert len((server.repo / f"{FILE}.msig").read_bytes()) > 6_000
    (path,) = (server.repo / "repodata").glob("*-multisig.jsonl.zst")
    (found,) = index.attestations(unpacked(str(path)), lambda _: None)
    assert (found.statement, set(found.signatures)) == (whole.statement, set(whole.signatures))


def test_what_is_no_package_or_bundle_is_refused_by_name(server: Server) -> None:
    outside = server.bench.write("outside.rpm", server.bench.rpm.read_bytes())
    server.hello("good", "marek", "joanna")
    (server.incoming / "link.rpm").symlink_to(outside)
    (server.incoming / "linked").symlink_to(server.bench.folder)
    os.mkfifo(server.incoming / "fifo.rpm")
    server.upload("bad.rpm", b"no package")
    server.upload("short.rpm", server.bench.rpm.read_bytes()[:3000])
    server.upload("bad.msig", b"no bundle")
    server.upload("long.msig", b" " * (MAX_BUNDLE + 1))
    server.upload("new\nline.rpm", b"")
    server.upload(".hello.rpm.part", b"on its way")
    server.upload("notes.txt", b"nobody's business")
    deep = server.incoming / "/".join("d" * 40)
    deep.mkdir(parents=True)
    found = reasons(server.publish())
    assert sorted(found) == sorted(
        ["link.rpm", "linked", "fifo.rpm", "bad.rpm", "short.rpm", "bad.msig", "long.msig", "new\nline.rpm", "d"]
    )
    assert found["link.rpm"] == "it is a symbolic link"
    assert found["fifo.rpm"] == "it is no regular file"
    assert server.published() == {FILE}


def test_a_folder_that_becomes_a_link_is_not_followed(server: Server) -> None:
    server.hello("who", "marek", "joanna")
    uploads = Uploads(str(server.incoming))
    assert uploads.scan().rpms == ("who/hello.rpm",)
    shutil.move(server.incoming / "who", server.bench.folder / "who")
    (server.incoming / "who").symlink_to(server.bench.folder / "who")
    for path in ("who/hello.rpm", "who", "nothing", "../incoming/who/hello.rpm"):
        with pytest.raises(UnreadableError):
            uploads.open(path)
    uploads.close()


def test_a_file_that_changes_between_the_looks_is_not_published(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header that was signed is shown first, another package when it is copied."""
    other = other_content(server.bench)
    path = server.hello("who", "marek", "joanna")
    genuine = Repository.copy

    def swapped(self: Repository, fd: int, name: str, limit: int) -> Any:
        path.write_bytes(other)
        return genuine(self, fd, name, limit)

    monkeypatch.setattr(Repository, "copy", swapped)
    done = server.publish()
    assert (done["published"], reasons(done)) == ([], {"hello.rpm": "was changed while it was read"})


@pytest.mark.parametrize("layout", ["same", "inside", "around"])
def test_uploads_and_repository_do_not_lie_in_each_other(server: Server, layout: str) -> None:
    repo = {"same": server.incoming, "inside": server.incoming / "repo", "around": server.bench.folder}[layout]
    ran = call("publish", "--incoming", server.incoming, "--repo", repo, "--policy", server.bench.policy)
    assert ran.rc == 2
    one_line(ran.err, "must not lie in each other")


@pytest.mark.parametrize("what", ["incoming", "policy", "repo"])
def test_what_is_not_there_is_2(server: Server, what: str) -> None:
    given = {"incoming": server.incoming, "repo": server.repo, "policy": server.bench.policy}
    given[what] = server.bench.folder / "no" / "such"
    ran = call("publish", *(word for key, value in given.items() for word in (f"--{key}", value)))
    assert ran.rc == 2
    one_line(ran.err, "such")


# --- metadata --------------------------------------------------------------------------------------------------------


def test_other_records_of_the_metadata_are_kept(server: Server) -> None:
    server.hello("marek", "marek", "joanna")
    server.publish()
    groups = server.bench.write("comps.xml", b"<comps/>")
    run(["modifyrepo_c", "--mdtype", "group", groups, server.repo / "repodata"])
    server.upload("rafal/late.msig", server.bench.bundle("rafal"))
    assert server.publish()["extended"] == [NEVRA]
    assert "group" in client.records(server.repo)


def test_files_of_the_metadata_before_stay_for_one_more_round(server: Server) -> None:
    """A client that has just read the old repomd.xml still finds what it names."""
    generations: List[Set[str]] = []
    for number in range(4):
        server.upload(f"{number}.rpm", release(server.bench, number))
        text = statement(Subject(f"hello-0:1.0-{number + 1}.noarch", judged(release(server.bench, number)).digests))
        server.upload(f"{number}.msig", server.bench.bundle("marek", "joanna", text=text))
        assert len(server.publish()["published"]) == 1
        generations.append({path.name for path in (server.repo / "repodata").glob("*-*")})
        client.packages(server.repo)
    assert generations[0] < generations[1]
    each = len(generations[0])
    assert any("-multisig.jsonl." in name for name in generations[0])
    for before, after in zip(generations, generations[2:]):
        assert not generations[0] & after
        assert len(after) == len(before) + each * (len(before) == each)


def release(bench: Bench, number: int) -> bytes:
    return build(Recipe("hello.spec", (("rel", str(number + 1)),)), BUILDERS["marek"], bench.policy.parent)[
        0
    ].read_bytes()


def test_signatures_over_the_old_metadata_are_named(server: Server) -> None:
    server.hello("marek", "marek", "joanna")
    server.publish()
    for suffix in (".msig", ".asc"):
        (server.repo / "repodata" / f"repomd.xml{suffix}").write_bytes(server.bench.bundle("marek"))
    words = ("publish", "--incoming", server.incoming, "--repo", server.repo, "--policy", server.bench.policy)
    assert call(*words).err == ""
    server.upload("rafal/late.msig", server.bench.bundle("rafal"))
    ran = call(*words)
    assert ran.rc == 0
    assert ran.err.count("is not over the new repomd.xml") == 2
    assert "multisig release sign" in ran.err


def test_a_program_that_fails_is_named_and_the_next_run_mends_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hello("marek", "marek", "joanna")
    words = ("publish", "--incoming", server.incoming, "--repo", server.repo, "--policy", server.bench.policy)
    with monkeypatch.context() as context:
        context.setattr(createrepo, "_ENVIRONMENT", {"PATH": str(server.bench.folder)})
        program = server.bench.write("createrepo_c", b"#!/bin/sh\necho it is full >&2\nexit 3\n")
        program.chmod(0o755)
        server.bench.write("rpmkeys", b"#!/bin/sh\n").chmod(0o755)
        ran = call(*words)
        assert ran.rc == 2
        one_line(ran.err, "createrepo_c failed with exit code 3: it is full")
        program.unlink()
        ran = call(*words)
        assert ran.rc == 2
        one_line(ran.err, "createrepo_c is not installed")
    assert server.publish()["published"] == []
    assert server.published() == {FILE}
