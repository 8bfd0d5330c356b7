# SPDX-License-Identifier: GPL-2.0-or-later
"""What `policy check` says about a policy that can be read but may not do what its admin wants."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence

import pytest

from multisig.policy import Policy, parse_policy
from multisig.policy.lint import Finding, lint
from tests.unit.policy_keys import OLD_ENDS, SOON_ENDS, keys, read_file

DAY = 86400
NOW = SOON_ENDS - 200 * DAY  # 2024-07-19: old has expired, soon has not
ALL = '  - {name: everything, packages: ["*"], channel: c, require: 2 of g}\n'


def policy(
    members: Sequence[str], rules: str = ALL, *, extra: str = "", remarks: Optional[Dict[str, str]] = None
) -> Policy:
    text = "multisig: policy/v1\nserial: 1\n" + extra + "signers:\n"
    for name in members:
        remark = ", " + (remarks or {})[name] if name in (remarks or {}) else ""
        text += f'  {name}: {{keys: [{{fingerprint: "@{name}@", file: keys/{name}.asc}}]{remark}}}\n'
    text += f"groups:\n  g: [{', '.join(members)}]\nrules:\n{rules}"
    filled = re.sub("@([a-z]+)@", lambda match: keys()[match.group(1)].fingerprint, text)
    return parse_policy(filled.encode(), path="p", read_file=read_file)


def texts(findings: Sequence[Finding], severity: str = "") -> List[str]:
    return [f"{found.subject}: {found.text}" for found in findings if severity in ("", found.severity)]


def test_a_policy_without_faults_has_no_findings() -> None:
    assert lint(policy(["ann", "bob", "cat"]), NOW) == ()


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        ("weak", NOW, "RSA key of 2048 bits; 3072 are needed, so it does not count"),
        ("gone", NOW, "is revoked, so it does not count"),
        ("old", NOW, "expired on 2024-01-11, so it does not count"),
        ("old", OLD_ENDS, "expired on 2024-01-11"),
        ("old", OLD_ENDS - 1, "expires on 2024-01-11"),
        ("soon", SOON_ENDS - 30 * DAY + 1, "expires on 2025-02-04; ask for a renewed one"),
    ],
)
def test_a_key_that_counts_no_longer_or_not_much_longer_is_named(name: str, now: int, expected: str) -> None:
    found = texts(lint(policy(["ann", "bob", "cat", name]), now), "warning")
    assert len(found) == 1
    assert f"signer {name}: key {keys()[name].fingerprint} (keys/{name}.asc)" in found[0]
    assert expected in found[0]


def test_a_key_that_expires_in_thirty_days_is_not_worth_a_word() -> None:
    assert lint(policy(["ann", "bob", "cat", "soon"]), SOON_ENDS - 30 * DAY) == ()


def test_the_keys_of_people_who_no_longer_count_are_not_worth_a_word() -> None:
    remarks = {"old": "retired: 2024-01-05", "weak": "compromised: true"}
    assert lint(policy(["ann", "bob", "cat", "old", "weak"], remarks=remarks), NOW) == ()


@pytest.mark.parametrize(
    "remarks",
    [
        {"cat": "compromised: true", "bob": "compromised: true"},
        {"cat": "compromised: true", "bob": "retired: 2020-01-01"},
    ],
)
def test_a_threshold_that_nobody_can_reach_is_named(remarks: Dict[str, str]) -> None:
    found = lint(policy(["ann", "bob", "cat"], remarks=remarks), NOW)
    assert [item.severity for item in found] == ["warning" if "retired" in str(remarks) else "error"]
    assert 'rule "everything": needs 2 of g, which' in texts(found)[0]
    assert "2 of g, where only 1 of 3 count (ann)" in texts(found)[0]


@pytest.mark.parametrize("name", ["weak", "gone", "old"])
def test_keys_that_do_not_count_make_a_threshold_unreachable(name: str) -> None:
    assert "where only 1 of 2 count (ann)" in texts(lint(policy(["ann", name]), NOW), "error")[0]


def test_someone_who_retires_later_still_counts_today() -> None:
    remarks = {"bob": "retired: 2024-12-31"}
    assert texts(lint(policy(["ann", "bob"], remarks=remarks), NOW), "error") == []
    assert "only old packages" in texts(lint(policy(["ann", "bob"], remarks=remarks), SOON_ENDS), "warning")[0]


def test_an_alternative_that_can_be_reached_is_enough() -> None:
    rules = ALL.replace("2 of g", "{any: [3 of g, 2 of g]}")
    found = lint(policy(["ann", "bob", "cat", "sub"], rules, remarks={"cat": "compromised: true"}), NOW)
    assert found == ()


def test_a_quorum_and_a_release_that_cannot_be_reached_are_named_too() -> None:
    rules = ALL.replace("2 of g", "1 of g, release: {require: 3 of g, max-age: 1d}")
    remarks = {"cat": "compromised: true"}
    extra = "channel: c\npolicy-quorum: 3 of g\n"
    found = lint(policy(["ann", "bob", "cat"], rules, remarks=remarks, extra=extra), NOW)
    errors = texts(found, "error")
    assert [error.split(":")[0] for error in errors] == ["policy-quorum", 'release of rule "everything"']
    assert found[: len(errors)] == tuple(item for item in found if item.severity == "error")


def test_where_one_lost_key_blocks_everything_it_is_said() -> None:
    (found,) = texts(lint(policy(["ann", "bob"]), NOW))
    assert "without ann or bob nobody can reach it: one lost key blocks everything" in found


def test_where_one_stolen_key_is_enough_it_is_said() -> None:
    (found,) = texts(lint(policy(["ann", "bob"], ALL.replace("2 of g", "1 of g")), NOW))
    assert "one person alone can give: ann, bob; one stolen key is enough" in found


def test_people_in_no_group_and_groups_without_use_are_named() -> None:
    person = '  sub: {keys: [{fingerprint: "@sub@", file: keys/sub.asc}]}\ngroups:\n  idle: [ann]\n'
    text = "multisig: policy/v1\nserial: 1\nsigners:\n"
    for name in ("ann", "bob", "cat"):
        text += person.split("groups")[0].replace("sub", name)
    text += person + "  g: [ann, bob, cat]\nrules:\n" + ALL
    filled = re.sub("@([a-z]+)@", lambda match: keys()[match.group(1)].fingerprint, text)
    found = texts(lint(parse_policy(filled.encode(), path="p", read_file=read_file), NOW))
    assert found == [
        "signer sub: is in no group, so their signatures count for nothing",
        "group idle: is used by no rule and by no quorum",
    ]


VENDOR = '  - {{name: fedora, repos: [fedora], signed-by: [{{fingerprint: "@{0}@", file: keys/{0}.asc}}]}}\n'
def test_a_vendors_key_that_is_also_a_persons_is_named() -> None:
    found = texts(lint(policy(["ann", "bob", "cat"], NAMED + VENDOR.format("ann")), NOW), "warning")
    assert [text for text in found if f"its key {keys()['ann'].fingerprint} is also ann's" in text]
    found = texts(lint(policy(["ann", "bob", "sub"], NAMED + VENDOR.format("thief")), NOW), "warning")
    assert [text for text in found if f"its key {keys()['sub'].subkeys[0]} is also sub's" in text]


LAB = "  - {name: lab, repos: [lab], exempt: built here, until: 2024-07-31}\n"
OURS = '  - {name: ours, repos: ["qubes-*"], channel: c, require: 2 of g}\n'
NAMED = '  - {name: named, packages: ["qubes-*", "xen*"], channel: c, require: 2 of g}\n'


@pytest.mark.parametrize(("name", "reason"), [("gone", "revoked"), ("weak", "2048 bits"), ("old", "expired on")])
def test_a_signed_by_rule_none_of_whose_keys_counts_is_an_error(name: str, reason: str) -> None:
    found = lint(policy(["ann", "bob", "cat"], NAMED + VENDOR.format(name)), NOW)
    assert texts(found, "error") == ['rule "fedora": none of its keys counts, so nothing can satisfy it']
    assert reason in texts(found, "warning")[0]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2024-07-18", "its exemption ended with 2024-07-18; whatever it matches is refused"),
        ("2024-07-19", "its exemption ends with 2024-07-19"),
        ("2024-08-16", "its exemption ends with 2024-08-16"),
        ("never", "and never ends: nothing is checked"),
        ("2025-07-19", "until 2025-07-19: nothing is checked, and its packages run scripts as root"),
    ],
)
def test_exemptions_are_told_with_their_end(until: str, expected: str) -> None:
    found = texts(lint(policy(["ann", "bob", "cat"], NAMED + LAB.replace("2024-07-31", until)), NOW), "warning")
    assert any(text.startswith('rule "lab": ') and expected in text for text in found)
    assert not [text for text in found if "could replace" in text]


@pytest.mark.parametrize("weak", [LAB, VENDOR.format("sub"), LAB.replace("repos: [lab], ", "")])
def test_a_weak_rule_that_could_replace_what_another_protects_by_repository_is_named(weak: str) -> None:
    found = [text for text in texts(lint(policy(["ann", "bob", "cat"], OURS + weak), NOW)) if "could replace" in text]
    assert len(found) == 1
    assert '"ours" protects in named repositories only' in found[0]


@pytest.mark.parametrize(
    "rules",
    [
        NAMED + LAB,  # protected wherever it comes from
        ALL + OURS + LAB,
        OURS + LAB.replace("lab]", "qubes-lab]"),  # the strong rule matches there too
        OURS.replace('repos: ["qubes-*"]', 'repos: ["qubes-*"], packages: ["xen*"]') + NAMED + LAB,
        OURS.replace('repos: ["qubes-*"]', 'repos: ["qubes-*"], packages: ["xen*"]')
        + LAB.replace("repos: [lab]", 'repos: [lab], packages: ["my-*"]'),  # no name in common
        OURS + LAB.replace("repos: [lab]", "kind: file"),
    ],
)
def test_a_weak_rule_that_can_replace_nothing_is_not_accused(rules: str) -> None:
    found = texts(lint(policy(["ann", "bob", "cat"], rules), NOW))
    assert not [text for text in found if "could replace" in text]


def test_a_content_rule_does_not_protect_a_name() -> None:
    rules = OURS + ALL.replace('packages: ["*"]', "content: {setuid: true}") + LAB
    assert [text for text in texts(lint(policy(["ann", "bob", "cat"], rules), NOW)) if "could replace" in text]


def test_an_exemption_that_a_stronger_rule_overrides_is_named() -> None:
    found = texts(lint(policy(["ann", "bob", "cat"], ALL + LAB), NOW))
    assert [text for text in found if 'changes nothing: rule "everything" matches the same packages' in text]


def test_a_clock_beyond_the_calendar_is_no_crash() -> None:
    forever = LAB.replace("2024-07-31", "9999-12-31")
    for now in (0, NOW, 253402300800, 2**40):
        assert lint(policy(["ann", "bob", "soon"], NAMED + forever), now)
