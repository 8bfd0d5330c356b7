# SPDX-License-Identifier: GPL-2.0-or-later
"""What a front end may leave out: what lacks people, where a good release says that nothing was hidden."""

from __future__ import annotations

from typing import List, Optional, Sequence

import pytest

from multisig.gate import Gate
from multisig.held import Look
from multisig.holding import lacking_people
from multisig.metadata import Metadata
from multisig.policy import Policy, ReleaseRequirement
from multisig.report import held_back
from multisig.statement import Digests, Kind, Subject, encode, make
from multisig.verdict import HeldBack
from tests.unit.core import (
    CHANNEL,
    NOW,
    PEOPLE,
    FakeEngine,
    FakeSource,
    attest,
    bundle,
    digests,
    exemption,
    leaf,
    rule,
    statement,
)
from tests.unit.core import policy as policy_of
from tests.unit.gate_bench import planned

RELEASE = ReleaseRequirement(leaf(1, ["wiktor"], "release"), 86400)
REPOMD = b"<repomd/>"
METADATA = Metadata("demo", "/nowhere", REPOMD)
NAMES = ("good-0:1-1.noarch", "lacking-0:1-1.noarch", "unsigned-0:1-1.noarch")


class Releases:
    """A release source with a statement of somebody's, issued that many seconds ago."""

    def __init__(self, signer: Optional[str], age: int) -> None:
        import hashlib

        found = Digests(hashlib.sha256(REPOMD).hexdigest(), hashlib.sha512(REPOMD).hexdigest())
        text = encode(make(Kind.RELEASE, CHANNEL, [Subject("repomd.xml", found)], serial=1, issued=NOW - age,
                           expires=NOW - age + 2 * 86400))  # fmt: skip
        self._raw = [] if signer is None else [bundle(attest(text, signer, created=NOW - age))]

    def metadata(self, key: int) -> Optional[Metadata]:
        return METADATA

    def release_bundles(self, metadata: Metadata, look: Look) -> Sequence[bytes]:
        return self._raw

    def newest_release(self, repo: str, channel: str) -> int:
        return 0


def lacking(by: Policy, signer: Optional[str] = "wiktor", age: int = 60) -> List[str]:
    packages = [planned(name.partition("-")[0], "demo", name, key) for key, name in enumerate(NAMES)]
    texts = [statement(Subject(name, digests(name))) for name in NAMES]
    evidence = {0: (attest(texts[0], *PEOPLE[:3]),), 1: (attest(texts[1], *PEOPLE[:2]),)}
    releases = Releases(signer, age)
    with Gate(by, FakeEngine(), now=NOW, workers=2, releases=releases) as gate:
        found = lacking_people(gate, packages, FakeSource({}, elsewhere=evidence), releases.metadata)
    return [NAMES[key] for key in found]


def test_what_lacks_people_is_held_back_where_the_release_is_good() -> None:
    assert lacking(policy_of(rule(leaf(3), release=RELEASE))) == list(NAMES[1:])


@pytest.mark.parametrize(("signer", "age"), [(None, 60), ("marek", 60), ("wiktor", 3 * 86400), ("wiktor", -86400)])
def test_where_the_release_is_not_good_nothing_is(signer: Optional[str], age: int) -> None:
    assert lacking(policy_of(rule(leaf(3), release=RELEASE)), signer, age) == []


def test_without_a_rule_on_releases_nothing_is() -> None:
    assert lacking(policy_of(rule(leaf(3)))) == []


def test_packages_of_no_rule_or_of_exempt_ones_are_never_held_back() -> None:
    assert lacking(policy_of(rule(leaf(3), release=RELEASE, packages=["other"]))) == []
    assert lacking(policy_of(exemption())) == []


def test_one_rule_on_releases_among_those_that_match_is_enough() -> None:
    by = policy_of(rule(leaf(2), release=RELEASE), rule(leaf(3), name="strict", packages=["lacking"]))
    assert lacking(by) == list(NAMES[1:])


# --- how it is told --------------------------------------------------------------------------------------------------


def test_what_was_held_back_is_said_with_what_it_lacks_and_since_when() -> None:
    items = [HeldBack("b-0:1-1.noarch", "demo", "needs 1 more"), HeldBack("a-0:1-1.noarch\x1b[2J", "demo", "needs 2")]
    assert held_back(items, {items[0]: 86400}) == (
        "multisig: 2 packages held back, until more people have signed:\n"
        "  a-0:1-1.noarch\\x1b[2J: needs 2\n"
        "      from demo\n"
        "  b-0:1-1.noarch: needs 1 more\n"
        "      from demo, since 1970-01-02 00:00 UTC"
    )


def test_a_thousand_of_them_do_not_fill_the_screen() -> None:
    text = held_back([HeldBack(f"p{number:04d}-0:1-1.noarch", "demo", "needs 1") for number in range(1000)], {})
    assert text.endswith("and 980 more")
    assert text.count("\n") < 50
