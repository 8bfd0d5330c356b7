# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/policy-examples.md: each policy gives the verdicts that the table below it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from multisig.policy import ContentTraits, Policy, Traits, matching_rules, parse_policy
from multisig.policy.lint import lint
from multisig.vendor import HeaderEvidence
from multisig.verdict import Approval, judge
from tests.unit.core import NOW
from tests.unit.made_keys import read_made, with_made_keys

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy-examples.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| (?P<subject>[^|]+) \| `(?P<repo>[^`]+)` \| (?P<signed>[^|]*)\| (?P<verdict>accepted|refused) \|")
SUBJECT = re.compile(r"(?:a (?P<kind>file|tree)|`(?P<name>[^`]+)`(?: with (?:(?P<setuid>setuid)|`(?P<path>[^`]+)`))?)")


def examples() -> Dict[str, Tuple[Policy, List[str]]]:
    """By heading: the policy, and the rows of its table."""
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        ((text, table),) = re.findall(r"^```yaml\n(.*?)^```$(.*)", rest, re.MULTILINE | re.DOTALL)
        policy = parse_policy(with_made_keys(text).encode(), path=title, read_file=read_made)
        found[title] = policy, [line for line in table.splitlines() if line.endswith(("accepted |", "refused |"))]
    return found


def rows() -> Iterator[Tuple[str, str]]:
    for title, (_, table) in examples().items():
        for row in table:
            yield title, row


def traits(subject: str, repo: str) -> Traits:
    said = SUBJECT.fullmatch(subject)
    assert said is not None, subject
    if said["kind"]:
        return Traits(kind=said["kind"], repo=repo)
    paths = ("/usr/share/doc/x", *filter(None, [said["path"]]))
    content = ContentTraits(setuid=bool(said["setuid"]), scripts=False, paths=paths, provides=(said["name"],))
    return Traits(kind="rpm", repo=repo, name=said["name"], content=content)


def accepted(policy: Policy, subject: str, repo: str, signed: List[str]) -> bool:
    """The verdict where these people have signed for every channel, and the vendor's key, where it is among them."""
    # Releases have tests of their own; the table is about packages.
    rules = [rule._replace(release=None) for rule in matching_rules(policy, traits(subject, repo))]
    channels = {rule.channel for rule in rules if rule.channel is not None}
    approvals = [Approval(name, channel, None, "s", "i") for name in signed for channel in sorted(channels)]
    vendors = [key for rule in policy.rules for key in rule.signed_by or ()]
    header = HeaderEvidence(tuple(key for key in vendors if key.file in [f"keys/{name}.asc" for name in signed]))
    known = {*policy.signers, *(key.file[len("keys/") : -len(".asc")] for key in vendors)}
    assert set(signed) <= known
    return judge(policy, rules, approvals, name=subject, origin=repo, now=NOW, header=header).accepted


@pytest.mark.parametrize(("title", "row"), list(rows()))
def test_the_verdict_is_the_one_that_the_page_says(title: str, row: str) -> None:
    said = ROW.fullmatch(row)
    assert said is not None, row
    policy, _ = examples()[title]
    signed = [name for name in said["signed"].strip().split(", ") if name]
    assert accepted(policy, said["subject"], said["repo"], signed) is (said["verdict"] == "accepted")


def test_there_are_five_and_each_says_what_is_accepted_and_what_is_not() -> None:
    found = examples()
    assert len(found) == 5
    for title, (_, table) in found.items():
        assert {row.split("|")[-2].strip() for row in table} == {"accepted", "refused"}, title


@pytest.mark.parametrize("title", list(examples()))
def test_policy_check_has_no_complaint_but_about_what_the_page_points_out(title: str) -> None:
    policy, _ = examples()[title]
    texts = [f"{finding.subject}: {finding.text}" for finding in lint(policy, NOW)]
    expected = ("one lost key blocks everything", "exempt", "could replace packages", "its exemption ends")
    assert [text for text in texts if not any(words in text for words in expected)] == []
