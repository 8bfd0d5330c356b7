# SPDX-License-Identifier: GPL-2.0-or-later
"""The first policy: every repository under its own keys, or exempt with a reason and a date, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.errors import UnreadableError
from multisig.files import write_new
from multisig.policy import Policy, Traits, matching_rules, parse_policy
from multisig.policy.lint import lint
from multisig.policyinit import EXEMPT_DAYS, Draft, draft
from multisig.vendorkeys import Repository, local_path
from tests.unit.cli_bench import call, one_line
from tests.unit.policy_keys import OLD_ENDS, keys

NOW = 1_710_000_000  # 2024-03-09
FILES: Dict[str, bytes] = {
    "/pki/ann": keys()["ann"].armor,
    "/pki/both": b"text\n" + keys()["ann"].armor + keys()["bob"].armor,
    "/pki/weak": keys()["weak"].armor,
    "/pki/old": keys()["old"].armor,
    "/pki/gone": keys()["gone"].armor,
    "/pki/weak and ann": keys()["weak"].armor + keys()["ann"].armor,
    "/pki/html": b"<html>404</html>",
    "/pki/with blank": keys()["bob"].armor,
}


def read(path: str) -> bytes:
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def repository(
    id: str, *urls: str, name: str = "A repository", enabled: bool = True, gpgcheck: bool = True
) -> Repository:
    return Repository(id, name, enabled, gpgcheck, urls)


def made(*repositories: Repository) -> Draft:
    return draft(repositories, read, NOW)


def parsed(drafted: Draft, text: "bytes | None" = None) -> Policy:
    return parse_policy(text or drafted.text, path="p", read_file=lambda name: drafted.keys[name])


def rules_for(policy: Policy, repo: str) -> List[str]:
    return [rule.name for rule in matching_rules(policy, Traits("rpm", repo, "hello"))]


def test_each_repository_is_under_a_rule_with_its_own_keys() -> None:
    drafted = made(
        repository("fedora", "file:///pki/ann"),
        repository("updates", "/pki/ann", enabled=False),
        repository("two", "file:///pki/both"),
    )
    policy = parsed(drafted)
    fingerprints = {
        rule.repos: [key.fingerprint for key in rule.signed_by or ()] for rule in policy.rules if rule.exempt is None
    }
    ann, bob = keys()["ann"].fingerprint, keys()["bob"].fingerprint
    assert fingerprints == {("fedora", "updates"): [ann], ("two",): [ann, bob]}
    assert drafted.checked == ("fedora", "updates", "two")
    assert drafted.exempt == ()
    assert sorted(drafted.keys) == [f"keys/ann-{ann[-8:].lower()}.asc", f"keys/bob-{bob[-8:].lower()}.asc"]
    assert b"# updates: A repository (disabled)" in drafted.text


@pytest.mark.parametrize(
    ("urls", "reason"),
    [
        ((), "names no key"),
        (("https://example.org/key",), "its key is at https://example.org/key, and nothing is fetched here"),
        (("http://example.org/key",), "nothing is fetched"),
        (("ftp://example.org/key",), "nothing is fetched"),
        (("file://elsewhere/pki/ann",), "nothing is fetched"),
        (("/pki/missing",), "No such file or directory"),
        (("/pki/html",), "holds no OpenPGP public key"),
        (("/pki/weak",), "is an RSA key of 2048 bits; 3072 are needed"),
        (("/pki/old",), "expired on 2024-01-11"),
        (("/pki/gone",), "is revoked"),
    ],
)
def test_one_without_a_key_that_counts_is_exempt_until_a_date_and_says_why(urls: Sequence[str], reason: str) -> None:
    drafted = made(repository("lab", *urls))
    (rule,) = [rule for rule in parsed(drafted).rules if rule.repos == ("lab",)]
    assert rule.exempt is not None
    assert rule.exempt.until is not None
    assert EXEMPT_DAYS * 86400 <= rule.exempt.until - NOW <= (EXEMPT_DAYS + 1) * 86400
    assert reason in rule.exempt.reason
    assert drafted.exempt[0][0] == "lab"
    assert drafted.exempt[0][1] == rule.exempt.reason
    assert drafted.keys == {}


def test_an_expired_key_is_one_at_the_time_of_writing() -> None:
    assert draft([repository("lab", "/pki/old")], read, OLD_ENDS - 1).checked == ("lab",)
    assert draft([repository("lab", "/pki/old")], read, OLD_ENDS).checked == ()


def test_a_key_that_does_not_count_beside_one_that_does_is_written_and_pointed_out() -> None:
    drafted = made(repository("fedora", "/pki/weak and ann", "https://example.org/next"))
    assert len(parsed(drafted).rules[0].signed_by or ()) == 2
    assert any("RSA key of 2048 bits" in note for note in drafted.notes)
    assert any("https://example.org/next" in note for note in drafted.notes)
    assert b"#   but " in drafted.text


def test_a_repository_without_gpgcheck_is_under_its_keys_and_pointed_out() -> None:
    drafted = made(repository("fedora", "/pki/ann", gpgcheck=False))
    assert drafted.checked == ("fedora",)
    assert any("gpgcheck is off" in note for note in drafted.notes)


def test_files_on_the_command_line_go_on_until_a_date() -> None:
    policy = parsed(made())
    assert rules_for(policy, "@commandline") == ["files on the command line"]
    assert all(rule.exempt is None or rule.exempt.until is not None for rule in policy.rules)


def test_a_repository_that_dnf_is_not_configured_with_matches_nothing() -> None:
    assert rules_for(parsed(made(repository("fedora", "/pki/ann"))), "other") == []


def test_the_policy_passes_check() -> None:
    drafted = made(repository("fedora", "/pki/both"), repository("lab"), repository("weak", "/pki/weak and ann"))
    assert [finding for finding in lint(parsed(drafted), NOW) if finding.severity == "error"] == []


def uncommented(text: str) -> str:
    """As the head of the policy says: without the "#" of lines that have no word right behind a single blank."""
    return re.sub(r"^#(?! \S)(?=.)", "", text, flags=re.MULTILINE)


def test_the_examples_are_parts_of_a_policy() -> None:
    drafted = made(repository("fedora", "/pki/ann"))
    text = uncommented(drafted.text.decode())
    for name, stand_in in (("marek", "ann"), ("joanna", "bob"), ("rafal", "cat")):
        text = re.sub(rf'"0+[0-9]", file: keys/{name}', f'"{keys()[stand_in].fingerprint}", file: keys/{name}', text)
    files = {**drafted.keys, **{f"keys/{name}.asc": keys()[key].armor for name, key in
                                (("marek", "ann"), ("joanna", "bob"), ("rafal", "cat"))}}  # fmt: skip
    policy = parse_policy(text.encode(), path="p", read_file=lambda name: files[name])
    assert set(policy.groups) == {"builders", "release"}
    assert policy.quorum is not None
    assert [rule.name for rule in policy.rules[-4:]] == ["our packages", "our repositories", "our names", "rebuilt"]
    assert [finding for finding in lint(policy, NOW) if finding.severity == "error"] == []


def test_every_line_of_the_policy_fits_an_editor() -> None:
    text = made(repository("fedora", "/pki/ann"), repository("lab"), repository("x", "https://example.org/k")).text
    assert max(len(line) for line in text.decode().splitlines()) <= 120


IDS = st.text("abc:._-*?[]", min_size=1, max_size=80)
URLS = st.sampled_from([*FILES, "https://example.org/" + "k" * 900, "file:///pki/with%20blank", "/no"]) | st.text(
    max_size=30
)


REPOSITORIES = st.lists(
    st.builds(
        Repository, IDS, st.text(max_size=30), st.booleans(), st.booleans(), st.lists(URLS, max_size=3).map(tuple)
    ),
    max_size=6,
    unique_by=lambda repository: repository.id,
)


@given(REPOSITORIES)
def test_whatever_dnf_is_configured_with_the_policy_can_be_used_and_names_all_of_it(
    repositories: List[Repository],
) -> None:
    drafted = draft(repositories, read, NOW)
    policy = parsed(drafted)
    for one in repositories:
        assert len(rules_for(policy, one.id)) == 1
    assert {one.id for one in repositories} == {*drafted.checked, *(id for id, _ in drafted.exempt)}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/etc/key", "/etc/key"),
        ("file:///etc/key", "/etc/key"),
        ("file:/etc/key", "/etc/key"),
        ("file://localhost/etc/key", "/etc/key"),
        ("file:///etc/a%20key", "/etc/a key"),
        ("file://host/etc/key", None),
        ("file:key", None),
        ("key", None),
        ("https://example.org/etc/key", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_only_what_lies_on_this_machine_is_read(url: str, path: "str | None") -> None:
    assert local_path(url) == path


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root with a dnf.conf, one repository with a key and one without."""
    root = tmp_path / "root"
    for folder in ("etc/dnf", "etc/yum.repos.d", "etc/pki"):
        (root / folder).mkdir(parents=True)
    (root / "etc/dnf/dnf.conf").write_text("[main]\ngpgcheck=1\n", encoding="ascii")
    (root / "etc/pki/vendor").write_bytes(FILES["/pki/both"])
    (root / "etc/yum.repos.d/a.repo").write_text(
        "[fedora]\nname=Fedora $basearch\nbaseurl=http://127.0.0.1:9/\ngpgkey=file:///etc/pki/vendor\nenabled=0\n"
        "[lab]\nname=Lab\nbaseurl=http://127.0.0.1:9/\n",
        encoding="ascii",
    )
    return root


def test_init_writes_the_policy_of_the_system_at_root_with_its_keys(system: Path) -> None:
    ran = call("policy", "init", "--root", system)
    assert (ran.rc, ran.err) == (0, "")
    policy = system / "etc/multisig/policy.yaml"
    assert f"{policy}: written, with 2 keys beside it" in ran.out
    assert "by their own keys: fedora" in ran.out
    assert "lab: the repository names no key" in ran.out
    assert len(list((policy.parent / "keys").iterdir())) == 2
    assert call("policy", "check", "--policy", policy).rc == 0


def test_init_never_replaces_a_policy(system: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("mine", encoding="ascii")
    ran = call("policy", "init", "--root", system, "--policy", policy)
    assert ran.rc == 2
    one_line(ran.err, policy)
    assert policy.read_text(encoding="ascii") == "mine"
    policy.unlink()
    policy.symlink_to(tmp_path / "nowhere")
    assert call("policy", "init", "--root", system, "--policy", policy).rc == 2
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "keys").exists()


def test_init_never_replaces_a_key(system: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    assert call("policy", "init", "--root", system, "--policy", policy).rc == 0
    policy.unlink()
    assert call("policy", "init", "--root", system, "--policy", policy).rc == 0  # the same keys
    policy.unlink()
    key = sorted((tmp_path / "keys").iterdir())[0]
    key.write_text("mine", encoding="ascii")
    ran = call("policy", "init", "--root", system, "--policy", policy)
    assert ran.rc == 2
    one_line(ran.err, key)
    assert not policy.exists()


def test_init_reads_the_configuration_that_it_is_given(system: Path, tmp_path: Path) -> None:
    conf = tmp_path / "dnf.conf"
    conf.write_text(f"[main]\nreposdir={system / 'etc/yum.repos.d'}\n", encoding="ascii")
    policy = tmp_path / "own" / "policy.yaml"
    ran = call("policy", "init", "--config", conf, "--policy", policy)
    assert ran.rc == 0
    assert "exempt until" in ran.out and "/etc/pki/vendor" in ran.out  # of this machine, which has no such key
    assert call("policy", "init", "--config", tmp_path / "none", "--policy", tmp_path / "other.yaml").rc == 2


def test_what_dnf_says_of_a_broken_repository_is_passed_on(system: Path) -> None:
    (system / "etc/yum.repos.d/b.repo").write_text("[bad id]\nbaseurl=x\n", encoding="ascii")
    ran = call("policy", "init", "--root", system)
    assert ran.rc == 0
    assert "multisig: dnf: " in ran.err
    assert "bad id" in ran.err


def test_a_new_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new"
    write_new(str(path), b"one")
    with pytest.raises(UnreadableError, match="File exists"):
        write_new(str(path), b"two")
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]
