# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate where a rule asks for the repository's release: no package of another, older or mixed set goes in."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import pytest

from fixtures.rpmedit import Rpm
from multisig.bundle import Attestation
from multisig.gate import Gate, Judged
from multisig.held import Look
from multisig.metadata import Metadata, read_metadata
from multisig.policy import ReleaseRequirement
from multisig.repositories import repomd_digests
from multisig.statement import Kind, Subject, make
from multisig.statement import encode as encode_statement
from multisig.times import DAY
from multisig.verdict import Code
from tests.unit.core import (
    CHANNEL,
    NOW,
    FakeEngine,
    FakeSource,
    attest,
    bundle,
    key,
    leaf,
    policy,
    public_key,
    rule,
)
from tests.unit.gate_bench import at_hand, build_packages, code, planned, signed
from tests.unit.test_gate_shared import Dated
from tests.unit.test_metadata import entry, primary, record, repomd

ASKED = ReleaseRequirement(leaf(2, ("joanna", "simon"), "release"), 14 * DAY)
POLICY = policy(rule(leaf(2), release=ASKED))
BUILDERS = ("marek", "rafal")
RELEASERS = ("joanna", "simon")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    return build_packages(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"]


class Mirror:
    """A repositories.ReleaseSource: one repository for every package, and what its cache and its server give."""

    def __init__(
        self,
        metadata: Optional[Metadata],
        cached: Optional[bytes],
        fresh: Optional[bytes] = None,
        mirrors: Sequence[bytes] = (),
    ) -> None:
        self.asked: List[Look] = []
        self._metadata = metadata
        self._bundles: Mapping[Look, Sequence[Optional[bytes]]] = {
            Look.BESIDE: [cached], Look.AFRESH: [fresh], Look.MIRRORS: mirrors,
        }  # fmt: skip
        self.seen = 0

    def metadata(self, key: int) -> Optional[Metadata]:
        return self._metadata

    def release_bundles(self, metadata: Metadata, look: Look) -> Sequence[bytes]:
        self.asked.append(look)
        return [raw for raw in self._bundles.get(look, ()) if raw is not None]

    def newest_release(self, repo: str, channel: str) -> int:
        return self.seen if (repo, channel) == ("fedora", CHANNEL) else 0


def repository(folder: Path, *packages: Rpm) -> Metadata:
    """Metadata that list these packages."""
    sums = [hashlib.sha256(package.pack()).hexdigest() for package in packages]
    data = gzip.compress(primary(*(entry(f'<checksum type="sha256" pkgid="YES">{value}</checksum>') for value in sums)))
    (folder / "repodata").mkdir(parents=True)
    (folder / "repodata" / "primary.xml").write_bytes(data)
    checksum = f'<checksum type="sha256">{hashlib.sha256(data).hexdigest()}</checksum>'
    opened = f'<open-checksum type="sha256">{hashlib.sha256(gzip.decompress(data)).hexdigest()}</open-checksum>'
    (folder / "repodata" / "repomd.xml").write_bytes(repomd(record(checksum=checksum, more=opened)))
    return read_metadata(str(folder), "fedora")


def release(
    metadata: Metadata, *names: str, serial: int = 5, issued: int = NOW - DAY, expires: int = NOW + DAY
) -> Attestation:
    subject = Subject("repomd.xml", repomd_digests(metadata.repomd))
    statement = make(Kind.RELEASE, CHANNEL, [subject], serial=serial, issued=issued, expires=expires)
    return attest(encode_statement(statement), *names)


def judged(package: Rpm, mirror: Mirror) -> Judged:
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2, releases=mirror)
    return at_hand(package, signed(package, *BUILDERS), gate=gate)


def test_a_package_of_the_current_release_is_accepted(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    found = judged(hello, Mirror(metadata, bundle(release(metadata, *RELEASERS))))
    assert code(found) is Code.OK
    assert "release 5 of fedora, signed by joanna, simon" in found.verdict.message


def test_a_package_that_the_released_metadata_do_not_list_is_refused(tmp_path: Path, built: Dict[str, Rpm]) -> None:
    """Signed by its builders, and for this channel; but it never belonged to this set."""
    metadata = repository(tmp_path, built["world"])
    found = judged(built["hello"], Mirror(metadata, bundle(release(metadata, *RELEASERS))))
    assert code(found) is Code.CONTENT_MISMATCH
    assert "none of those that the released metadata of fedora list" in found.verdict.message


def test_metadata_that_were_exchanged_under_the_release_are_refused(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    (tmp_path / "repodata" / "primary.xml").write_bytes(gzip.compress(primary(entry(), entry())))
    found = judged(hello, Mirror(metadata, bundle(release(metadata, *RELEASERS))))
    assert code(found) is Code.CONTENT_MISMATCH
    assert "is not the file that repomd.xml names" in found.verdict.message


def test_metadata_that_are_gone_are_refused(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    (tmp_path / "repodata" / "primary.xml").unlink()
    assert code(judged(hello, Mirror(metadata, bundle(release(metadata, *RELEASERS))))) is Code.UNREADABLE


REFUSED: Dict[str, Tuple[Code, str]] = {
    "no bundle": (Code.NO_BUNDLE, "has no release statement"),
    "malformed": (Code.MALFORMED_BUNDLE, "cannot be used"),
    "too few": (Code.BELOW_THRESHOLD, "needs 1 more of: simon"),
    "by builders alone": (Code.BELOW_THRESHOLD, "0 of 2 release signed"),
    "expired": (Code.EXPIRED, "expired 2 minutes ago"),
    "too old": (Code.EXPIRED, "is 20 days old"),
    "of other metadata": (Code.CONTENT_MISMATCH, "are for another repomd.xml"),
}


def bundle_that_is(how: str, metadata: Metadata) -> Optional[bytes]:
    return {
        "no bundle": None,
        "malformed": b"[" * 20_000,
        "too few": bundle(release(metadata, "joanna")),
        "by builders alone": bundle(release(metadata, *BUILDERS)),
        "expired": bundle(release(metadata, *RELEASERS, expires=NOW - 120)),
        "too old": bundle(release(metadata, *RELEASERS, issued=NOW - 20 * DAY)),
        "of other metadata": bundle(release(metadata._replace(repomd=b"other"), *RELEASERS)),
    }[how]


@pytest.mark.parametrize("how", REFUSED)
def test_without_a_good_release_nothing_goes_in(tmp_path: Path, hello: Rpm, how: str) -> None:
    metadata = repository(tmp_path, hello)
    mirror = Mirror(metadata, bundle_that_is(how, metadata))
    found = judged(hello, mirror)
    wanted, words = REFUSED[how]
    assert code(found) is wanted
    assert words in found.verdict.message
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2, releases=mirror)
    source = FakeSource({1: signed(hello, *BUILDERS)})
    (early,) = gate.judge_planned([planned()], source)
    assert (early.verdict.code, words in early.verdict.message) == (wanted, True), "before anything is downloaded"


def test_metadata_that_nobody_released_are_not_read(tmp_path: Path, hello: Rpm) -> None:
    """They are whatever a mirror sends. A second rule, by the header's signature, had them read all the same."""
    metadata = repository(tmp_path, hello)
    (tmp_path / "repodata" / "primary.xml").unlink()
    by = policy(rule(leaf(2), release=ASKED), rule(signed_by=(key(public_key("vendor")),), name="vendor"))
    gate = Gate(by, FakeEngine(), now=NOW, workers=2, releases=Mirror(metadata, None))
    found = at_hand(hello, signed(hello, *BUILDERS), gate=gate)
    assert code(found) is Code.BELOW_THRESHOLD
    assert "has no release statement" in found.verdict.message


def test_an_older_release_than_the_one_remembered_is_refused(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    mirror = Mirror(metadata, bundle(release(metadata, *RELEASERS)))
    mirror.seen = 6
    found = judged(hello, mirror)
    assert code(found) is Code.ROLLBACK
    assert "is older than release 6" in found.verdict.message


@pytest.mark.parametrize("source", ["no repository", "no source"])
def test_a_package_from_nowhere_cannot_satisfy_a_rule_that_asks_for_its_release(hello: Rpm, source: str) -> None:
    mirror = Mirror(None, None) if source == "no repository" else None
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2, releases=mirror)
    found = at_hand(hello, signed(hello, *BUILDERS), gate=gate)
    assert code(found) is Code.BELOW_THRESHOLD
    assert "no repository is known" in found.verdict.message


def test_a_release_does_not_stand_in_for_the_packages_own_signatures(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    mirror = Mirror(metadata, bundle(release(metadata, *RELEASERS)))
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2, releases=mirror)
    found = at_hand(hello, signed(hello, "marek"), gate=gate)
    assert code(found) is Code.BELOW_THRESHOLD
    assert "1 of 2 builders signed" in found.verdict.message


def test_what_the_cache_does_not_suffice_for_is_fetched_once(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    old = bundle(release(metadata, *RELEASERS, serial=4, expires=NOW - 1))
    new = bundle(release(metadata, *RELEASERS))
    mirror = Mirror(metadata, old, new)
    assert code(judged(hello, mirror)) is Code.OK
    assert mirror.asked == [Look.BESIDE, Look.AFRESH]
    mirror = Mirror(metadata, new, new)
    assert code(judged(hello, mirror)) is Code.OK
    assert mirror.asked == [Look.BESIDE]


def test_a_server_cannot_take_away_what_the_cache_holds(tmp_path: Path, hello: Rpm) -> None:
    """One signature is in the cache, the other comes fresh."""
    metadata = repository(tmp_path, hello)
    mirror = Mirror(metadata, bundle(release(metadata, "joanna")), bundle(release(metadata, "simon")))
    assert code(judged(hello, mirror)) is Code.OK
    mirror = Mirror(metadata, bundle(release(metadata, *RELEASERS)), b"junk")
    assert code(judged(hello, mirror)) is Code.OK


def test_a_mirror_that_answers_with_what_is_of_no_use_does_not_end_the_search(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    good = bundle(release(metadata, *RELEASERS))
    old = bundle(release(metadata, *RELEASERS, serial=4, expires=NOW - 1))
    mirror = Mirror(metadata, b"junk", old, [b"[", old, good])
    assert code(judged(hello, mirror)) is Code.OK
    assert mirror.asked == [Look.BESIDE, Look.AFRESH, Look.MIRRORS]


def test_bad_signatures_of_one_mirror_take_nothing_from_what_another_sends(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    good = release(metadata, *RELEASERS)
    bad = [attest(good.statement, name, created=at).signatures[0] for name in RELEASERS for at in range(1, 9)]
    floods = [bundle(Attestation(good.statement, tuple(bad[at::2]))) for at in range(2)]
    mirror = Mirror(metadata, floods[0], mirrors=[floods[1], bundle(good)])
    gate = Gate(POLICY, Dated(), now=NOW, workers=2, releases=mirror)
    assert code(at_hand(hello, signed(hello, *BUILDERS), gate=gate)) is Code.OK


def test_each_place_is_asked_once_however_many_rules_there_are(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    mirror = Mirror(metadata, None)
    other = rule(leaf(1), name="other", release=ASKED)
    gate = Gate(policy(rule(leaf(2), release=ASKED), other), FakeEngine(), now=NOW, workers=2, releases=mirror)
    assert code(at_hand(hello, signed(hello, *BUILDERS), gate=gate)) is Code.NO_BUNDLE
    assert mirror.asked == [Look.BESIDE, Look.AFRESH, Look.MIRRORS]


def test_each_rule_asks_for_a_release_of_its_own(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    strict = rule(leaf(1), name="strict", release=ASKED._replace(max_age=3600))
    gate = Gate(
        policy(rule(leaf(2), release=ASKED), strict), FakeEngine(), now=NOW, workers=2,
        releases=Mirror(metadata, bundle(release(metadata, *RELEASERS))),
    )  # fmt: skip
    found = at_hand(hello, signed(hello, *BUILDERS), gate=gate)
    assert code(found) is Code.EXPIRED
    assert [(outcome.rule, outcome.satisfied) for outcome in found.verdict.rules] == [
        ("our packages", True), ("strict", False),
    ]  # fmt: skip
    assert [standing.good for standing, _ in gate.release_standings()] == [True, False]


def test_a_mirror_cannot_pad_what_is_remembered_of_a_release(tmp_path: Path, hello: Rpm) -> None:
    metadata = repository(tmp_path, hello)
    own = release(metadata, *RELEASERS)
    padding = [Attestation(f"{number} " * 5000, own.signatures) for number in range(60)]
    gate = Gate(POLICY, FakeEngine(), now=NOW, workers=2, releases=Mirror(metadata, bundle(*padding, own)))
    assert code(at_hand(hello, signed(hello, *BUILDERS), gate=gate)) is Code.OK
    ((standing, _),) = gate.release_standings()
    assert standing.good and standing.bundle == bundle(own)
