# SPDX-License-Identifier: GPL-2.0-or-later
"""What people read: plain text, complete, and with nothing in it that a terminal obeys."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig import report
from multisig.text import plain
from multisig.verdict import Code, LeafProgress, RuleOutcome, Verdict, refuse

GOOD = Verdict(
    "hello-0:1.0-1.noarch", "fedora", True, Code.OK, "3 of 3 builders signed (marek, joanna, rafal)",
    (RuleOutcome("ours", True, (LeafProgress(3, "builders", 5, ("marek", "joanna", "rafal"), ("simon", "wiktor")),)),),
    ("marek", "joanna", "rafal"),
)  # fmt: skip
BAD = Verdict(
    "glibc-0:2.36-9.x86_64", "fedora", False, Code.BELOW_THRESHOLD,
    "1 of 3 builders signed (marek); needs 2 more of: joanna, rafal",
    (RuleOutcome("ours", False), RuleOutcome("names", True)),
    ("marek",), ("joanna: the signature is not valid", "a key nobody here knows"),
)  # fmt: skip


def test_a_refusal_says_for_each_package_what_it_lacks_who_asked_and_what_was_set_aside() -> None:
    assert report.refusal([GOOD, BAD], consequence="nothing was installed").splitlines() == [
        "multisig: refused; nothing was installed.",
        "",
        "  glibc-0:2.36-9.x86_64: 1 of 3 builders signed (marek); needs 2 more of: joanna, rafal",
        '      from fedora, rule "ours"',
        "      ignored   joanna: the signature is not valid",
        "                a key nobody here knows",
        "",
        "1 of 2 packages is not approved. Ask the people named, or try again when they have signed.",
    ]


def test_where_several_things_are_lacking_each_has_its_line_and_its_rule() -> None:
    lacking = ("1 of 3 builders signed; needs 2 more of: joanna, rafal", "0 of 1 qa signed; needs 1 more of: eve")
    rules = (
        RuleOutcome("ours", False, lacks=lacking, channel="stable"),
        RuleOutcome("names", True),
        RuleOutcome("again", False, lacks=("0 of 1 release signed; needs 1 more of: joanna",), channel="security"),
    )
    several = BAD._replace(rules=rules, about="no bundle of signatures was found", ignored=("a note",))
    assert report.block(several).splitlines() == [
        "  glibc-0:2.36-9.x86_64: no bundle of signatures was found; " + lacking[0],
        "      and       " + lacking[1],
        '      from fedora, rule "ours", for stable',
        "      and       0 of 1 release signed; needs 1 more of: joanna",
        '      rule "again", for security',
        "      ignored   a note",
    ]


def test_that_there_is_no_bundle_is_said_where_people_are_asked_for() -> None:
    leaf = LeafProgress(1, "qa", 1, (), ("eve",))
    vendor = RuleOutcome("vendor", False, vendor=True, lacks=("is not signed",))
    people = RuleOutcome("ours", False, (leaf,), lacks=(str(leaf),))
    assert report.block(BAD._replace(rules=(vendor, people), about="no bundle", ignored=())).splitlines() == [
        "  glibc-0:2.36-9.x86_64: is not signed",
        '      from fedora, rule "vendor"',
        "      and       no bundle; 0 of 1 qa signed; needs 1 more of: eve",
        '      rule "ours"',
    ]


def test_a_refusal_lists_every_package_that_was_refused_and_no_other() -> None:
    refused = [refuse(f"p{number}-0:1-1.noarch", "repo", Code.NO_BUNDLE, "no bundle") for number in range(20)]
    text = report.refusal([*refused, GOOD])
    assert all(f"  {verdict.name}: no bundle" in text for verdict in refused)
    assert GOOD.name not in text
    assert "20 of 21 packages are not approved." in text


def test_warn_mode_says_what_it_would_have_refused() -> None:
    text = report.warning([GOOD, BAD])
    assert text.startswith("multisig: would have refused 1 of 2 packages (mode = warn):\n  glibc")
    assert GOOD.name not in text


def test_where_all_is_well_one_line_says_so() -> None:
    assert report.acceptance([GOOD], 0.31) == "multisig: 1 package, 3 of 5 builders signed (0.3 s)"
    assert report.acceptance([GOOD] * 24, 0.31) == "multisig: 24 packages, 3 of 5 builders signed each (0.3 s)"
    exempt = GOOD._replace(rules=(RuleOutcome("lab", True, text="exempt: built here"),))
    assert report.acceptance([GOOD, exempt], 1) == (
        "multisig: 2 packages, 3 of 5 builders signed; exempt: built here (1.0 s)"
    )
    ways: List[Verdict] = [
        GOOD._replace(rules=(RuleOutcome("lab", True, text=f"exempt: {number}"),)) for number in range(9)
    ]
    assert report.acceptance(ways, 1) == ("multisig: 9 packages, exempt: 0; exempt: 1; exempt: 2; 6 other ways (1.0 s)")


def test_only_leaves_that_are_satisfied_are_boasted_of() -> None:
    either = RuleOutcome(
        "ours", True, (LeafProgress(1, "a", 2, ("x",), ("y",)), LeafProgress(2, "b", 2, (), ("z", "w")))
    )
    assert "1 of 2 a signed (" in report.acceptance([GOOD._replace(rules=(either,))], 0)


@pytest.mark.parametrize("code", set(Code) - {Code.OK, Code.EXEMPT})
def test_every_refusal_is_one_of_so_many(code: Code) -> None:
    text = report.refusal([refuse("x", "y", code, "reason")])
    assert "1 of 1 package is not approved." in text


EVIL = ["\x1b[2J\x1b[H", "\r", "\n", "\x07", "\x00", "\u202e", "\u2028", "\x9b2J", "\udc80", "\ufeff", "\u200b", "\x85"]


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_nothing_that_a_terminal_obeys_gets_through_from_anywhere(evil: str) -> None:
    rules = (RuleOutcome(f"r{evil}", False, text=f"t{evil}"),)
    verdict = Verdict(f"n{evil}", f"o{evil}", False, Code.NO_RULE, f"m{evil}", rules, (f"s{evil}",), (f"i{evil}",))
    texts = [report.line(verdict), report.acceptance([verdict], 0)]
    texts += report.block(verdict).split("\n") + report.refusal([verdict]).split("\n")
    texts += report.warning([verdict]).split("\n")
    assert all(text.isprintable() for text in texts)
    assert len(report.block(verdict).split("\n")) == 3


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_plain_text_is_printable_and_what_is_printable_stays(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    if text.isprintable():
        assert shown == text


def test_where_only_a_release_is_lacking_the_advice_is_to_refresh() -> None:
    stale = RuleOutcome("ours", False, text="expired", code=Code.EXPIRED)
    verdict = Verdict("hello-0:1.0-1.noarch", "demo", False, Code.EXPIRED, "expired", (stale,))
    text = report.refusal([verdict, GOOD])
    assert text.endswith("Try dnf --refresh; if that does not help, tell those who run the repository.")
    assert "Ask the people named" in report.refusal([verdict, BAD])
