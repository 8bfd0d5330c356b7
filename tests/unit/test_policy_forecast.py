# SPDX-License-Identifier: GPL-2.0-or-later
"""Until when thresholds can be reached, and what a policy's people and keys are told to be."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import pytest

from multisig.openpgp.model import PublicKey
from multisig.policy import ContentSelector, Policy, ReleaseRequirement, Signer, notice
from multisig.policy.forecast import AHEAD, forecast
from multisig.policy.lint import lint
from multisig.policy.outlook import asked, circles, decision_words, needs, selector_words, vendor_keys
from multisig.policy.roster import SOON, algorithm, key_line, people, standing_words, vendors
from multisig.policy.standing import can_sign, signing_end
from tests.unit.core import NOW, all_of, exemption, key, leaf, policy, public_key, rule, signer, subkey

DAY = 86400
# NOW is 2024-07-03.


def ending(**days: Optional[int]) -> List[Signer]:
    return [
        signer(name, key(public_key(name, expires=None if left is None else NOW + left * DAY)))
        for name, left in days.items()
    ]


def with_ends(threshold: int, members: Sequence[str], **days: Optional[int]) -> Policy:
    return policy(rule(leaf(threshold, members)), signers=ending(**days))


@pytest.mark.parametrize(
    ("threshold", "days", "expected"),
    [
        (2, {"a": 10, "b": None, "c": None}, None),
        (3, {"a": 10, "b": None, "c": None}, "from 2024-07-13 on nobody can reach 3 of builders: a's key expires on "
                                             "2024-07-13"),
        (2, {"a": 10, "b": 20, "c": None}, "from 2024-07-23 on nobody can reach 2 of builders: a's key expires on "
                                           "2024-07-13, b's key expires on 2024-07-23"),
        (1, {"a": 59}, "from 2024-08-31 on"),
        (1, {"a": 60}, "from 2024-09-01 on"),
        (1, {"a": 61}, None),
        (1, {"a": 0}, None),  # that is no forecast
    ],
)  # fmt: skip
def test_sixty_days_before_a_threshold_goes_out_of_reach_it_is_said(
    threshold: int, days: Dict[str, Optional[int]], expected: Optional[str]
) -> None:
    made = with_ends(threshold, list(days), **days)
    found = forecast(made, NOW)
    assert AHEAD == 60 * DAY
    if expected is None:
        assert found == ()
        assert notice(made, NOW) is None
        return
    assert len(found) == 1
    assert str(found[0]).startswith(expected)
    assert notice(made, NOW) == f'rule "our packages": {found[0]} (see: multisig policy check)'
    texts = [f"{item.severity}: {item.subject}: {item.text}" for item in lint(made, NOW)]
    assert f'warning: rule "our packages": {found[0]}; renew in time' in texts


def test_retirements_are_foreseen_too() -> None:
    leaving = [signer("a", retired=NOW + 5 * DAY), signer("b")]
    found = forecast(policy(rule(leaf(2, "ab")), signers=leaving), NOW)
    assert str(found[0]) == "from 2024-07-08 on nobody can reach 2 of builders: a retires on 2024-07-08"


def test_the_quorum_releases_and_vendors_keys_are_foreseen_and_the_first_is_the_notice() -> None:
    soon = key(public_key("fedora", expires=NOW + 3 * DAY))
    late = key(public_key("late", expires=NOW + 9 * DAY))
    rules = [
        rule(leaf(1, "b"), release=ReleaseRequirement(leaf(1, "a", "release"), DAY)),
        rule(signed_by=(soon, late), name="vendor"),
        rule(signed_by=(soon, key(public_key("for ever"))), name="fine"),
    ]
    made = policy(*rules, signers=ending(a=7, b=None), quorum=leaf(2, "ab", "keepers"), channel="p")
    found = forecast(made, NOW)
    assert [(item.subject, item.since) for item in found] == [
        ("policy-quorum", NOW + 7 * DAY),
        ('release of rule "our packages"', NOW + 7 * DAY),
        ('rule "vendor"', NOW + 9 * DAY),
    ]
    told = notice(made, NOW)
    assert told is not None
    assert told.startswith("policy-quorum: from 2024-07-10 on nobody can reach 2 of keepers")
    assert told.endswith(", and 2 more (see: multisig policy check)")


def test_who_can_sign_and_until_when() -> None:
    made = policy(rule(leaf(1)))
    assert can_sign(signer("a"), made, NOW)
    assert signing_end(signer("a"), made) is None
    assert not can_sign(signer("a", compromised=True), made, NOW)
    assert not can_sign(signer("a", retired=NOW), made, NOW)
    assert can_sign(signer("a", retired=NOW + 1), made, NOW)
    assert not can_sign(signer("a", retired=NOW + 1, statements=["0" * 64]), made, NOW)
    two = signer("a", key(public_key("a", expires=NOW + 1)), key(public_key("a2", expires=NOW + 9)), retired=NOW + 5)
    assert signing_end(two, made) == NOW + 5


UNMATCHABLE = [
    (["qubes current"], None, 'can never match: "qubes current" is no repository\'s id'),
    (["a/b", "fine-*"], None, '"a/b" in repos can never match: it is no repository\'s id'),
    (None, ["usr/bin/bash"], 'can never match: "usr/bin/bash" is no package\'s name'),
    (None, ["b\u00e4r*"], "can never match"),
    (None, ["hello-1.0-1.noarch"], "looks like a file's name"),
    (None, ["hello-*.rpm"], "looks like a file's name"),
    (["@commandline", "qubes-[a-z]?*", "@System", "A.b:c_d"], ["gtk+*", "perl-[!/]*", "glibc.i686-compat"], None),
]


@pytest.mark.parametrize(("repos", "packages", "expected"), UNMATCHABLE)
def test_selectors_that_can_never_match_are_named(
    repos: Optional[List[str]], packages: Optional[List[str]], expected: Optional[str]
) -> None:
    made = policy(rule(leaf(2), repos=repos, packages=packages))
    texts = [item.text for item in lint(made, NOW) if "never match" in item.text or "file's name" in item.text]
    assert len(texts) == (expected is not None)
    assert all(expected in text for text in texts if expected is not None)


# --- the roster ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (public_key("a", algorithm=1, bits=4096), "RSA 4096"),
        (public_key("a", algorithm=17, bits=1024), "DSA 1024"),
        (public_key("a", algorithm=99), "algorithm 99"),
        (public_key("a", algorithm=22), "EdDSA"),
    ],
)
def test_algorithms_have_their_usual_names(part: PublicKey, expected: str) -> None:
    assert algorithm(part) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [(None, "counts"), (31, "counts"), (30, "expires in 30 days"), (1, "expires in 1 day"), (0, "has expired")],
)
def test_the_status_of_a_key_says_whether_it_counts(days: Optional[int], expected: str) -> None:
    made = policy(rule(leaf(1)))
    found = key_line(key(public_key("a", expires=None if days is None else NOW + days * DAY)), made, NOW)
    assert (found.status, found.counts) == (expected, days != 0)
    assert found.soon is expected.startswith("expires")
    assert SOON == 30 * DAY


def test_a_key_that_signs_by_a_subkey_is_described_by_it() -> None:
    made = policy(rule(leaf(1)))
    sub = subkey("sub", expires=NOW + 5 * DAY)
    found = key_line(key(public_key("a", algorithm=1, bits=4096, can_sign=False, subkeys=[sub])), made, NOW)
    assert (found.algorithm, found.expires, found.status) == ("EdDSA", NOW + 5 * DAY, "expires in 5 days")
    assert [(part.signs, part.counts) for part in found.parts] == [(False, False), (True, True)]


def test_people_are_listed_with_their_standing_and_groups() -> None:
    made = policy(
        rule(leaf(1)),
        rule(signed_by=(key(public_key("fedora")),), name="vendor"),
        signers=[signer("joanna", retired=NOW), signer("rafal", retired=NOW + DAY), signer("simon", compromised=True)],
    )
    found = {person.name: person for person in people(made, NOW)}
    assert {name: person.standing for name, person in found.items()} == {
        "marek": "active", "joanna": "retired", "rafal": "active", "simon": "compromised", "wiktor": "active",
    }  # fmt: skip
    assert standing_words(found["marek"]) == ""
    assert standing_words(found["joanna"]) == "retired since 2024-07-03"
    assert standing_words(found["rafal"]) == "retires on 2024-07-04"
    assert standing_words(found["simon"]) == "compromised: nothing of theirs counts"
    assert found["marek"].groups == ("builders",)
    assert [vendor.rule for vendor in vendors(made, NOW)] == ["vendor"]


# --- what it would take ----------------------------------------------------------------------------------------------

CONTENT = ContentSelector(True, True, ("/etc/sudoers.d/**",), ("glibc*", "sh"))
RULES = [
    rule(leaf(2), name="ours", repos=["qubes-*"]),
    rule(leaf(1), name="named", packages=["xen*"]),
    rule(leaf(3), name="held", content=CONTENT),
    rule(leaf(1), name="images", kind="file"),
    exemption("lab", repos=["lab"], until=NOW + DAY),
]


@pytest.mark.parametrize(
    ("package", "repo", "expected"),
    [
        ("foo", "qubes-x", {"ours": 0, "held": 1}),
        ("foo", "other", {"held": 1}),
        ("xen-libs", "lab", {"named": 0, "held": 1, "lab": 0}),
        ("glibc", "qubes-x", {"ours": 0, "held": 0}),  # it provides its own name
        ("foo", None, {"ours": 1, "held": 1, "lab": 1}),
    ],
)
def test_what_a_package_of_that_name_would_need(package: str, repo: Optional[str], expected: Dict[str, int]) -> None:
    found = needs(policy(*RULES), package, repo)
    assert {need.rule.name: len(need.conditions) for need in found} == expected


def test_what_the_answer_depends_on_is_said_in_words() -> None:
    found = {need.rule.name: need.conditions for need in needs(policy(*RULES), "foo", None)}
    assert found["ours"] == ("it comes from qubes-*",)
    assert found["held"] == (
        "it has setuid or setgid files, or file capabilities, or it has scripts, triggers, or users to create, or it "
        "has a file that matches /etc/sudoers.d/**, or it provides or obsoletes glibc* or sh",
    )


def test_rules_are_told_in_words() -> None:
    assert selector_words(rule(leaf(1))) == "every RPM"
    assert selector_words(rule(leaf(1), kind="tree", repos=["a", "b"])) == "directory trees from a, b"
    assert selector_words(rule(leaf(1), packages=["a*"], repos=["r"])) == "packages a* from r"
    assert decision_words(exemption(), NOW) == ("nothing is checked, without an end: built here",)
    assert decision_words(exemption(until=NOW + DAY), NOW)[0].startswith("nothing is checked, until 2024-07-04")
    assert decision_words(exemption(until=NOW), NOW)[0].startswith("nothing can satisfy it: its exemption")
    release = ReleaseRequirement(leaf(1, group="release"), 14 * DAY)
    assert decision_words(rule(leaf(2), release=release), NOW) == (
        "2 of builders, for the channel demo-stable",
        "and a release of the repository that 1 of release signed, at most 14 days old",
    )
    hours = rule(leaf(2), release=ReleaseRequirement(leaf(1), 3600))
    assert "at most 1 hour old" in decision_words(hours, NOW)[1]
    assert asked(rule(leaf(2), release=release)) == ("builders", "release")
    assert asked(rule(all_of(leaf(2), leaf(1)))) == ("builders",)


def test_who_can_be_asked_and_who_cannot_and_why() -> None:
    expired = signer("rafal", key(public_key("rafal", expires=NOW)))
    soon = signer("simon", key(public_key("simon", expires=NOW + 3 * DAY)))
    weak = signer("wiktor", key(public_key("wiktor"), "is revoked"))
    made = policy(rule(leaf(2)), signers=[signer("joanna", retired=NOW), expired, soon, weak])
    (found,) = circles(["builders"], made, NOW)
    assert found.able == ("marek", "simon (key expires in 3 days)")
    assert found.unable == ("joanna (retired since 2024-07-03)", "rafal (key has expired)", "wiktor (key is revoked)")


def test_a_vendors_keys_are_shown_with_their_owner_and_what_is_wrong_with_them() -> None:
    vendor = rule(signed_by=(key(public_key("fedora")), key(public_key("old", expires=NOW))))
    lines = vendor_keys(vendor, policy(vendor), NOW)
    assert lines[0].endswith("  fedora")
    assert lines[1].endswith("  old  (has expired)")
