# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy is understood as a whole or is an error that names its line and says what would be right."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.errors import PolicyError
from multisig.policy import (
    AllOf,
    AnyOf,
    ContentSelector,
    Exemption,
    Leaf,
    Policy,
    ReleaseRequirement,
    describe,
    load_policy,
    parse_policy,
    satisfied_by,
)
from tests.unit.policy_keys import keys, read_file

JAN_2025 = 1735689600
DAY = 86400
ROOT = Path(__file__).resolve().parents[2]

GOOD = """\
multisig: policy/v1
serial: 7
channel: demo-policy
policy-quorum: 2 of release
signers:
  ann:
    keys:
      - fingerprint: "@ann@"
        file: keys/ann.asc
  bob:
    keys: [{fingerprint: "@bob@", file: keys/bob.asc}]
    retired: 2025-01-01
  cat:
    keys: [{fingerprint: "@cat@", file: keys/cat.asc}]
    compromised: true
groups:
  builders: [ann, bob, cat]
  release: [bob, ann]
keys:
  min-rsa-bits: 3072
  max-validity-days: unlimited
rules:
  - name: our packages
    repos: ["qubes-*"]
    channel: qubes-stable
    require: 2 of builders
    release: {require: 1 of release, max-age: 14d}
  - name: our names
    packages: ["qubes-*", "xen*"]
    channel: qubes-stable
    require: {all: [2 of builders, {any: [1 of release, 3 of builders]}]}
  - name: privileges
    content: {setuid: true, scripts: true, paths: ["/etc/sudoers.d/**"], provides: ["glibc"]}
    channel: qubes-stable
    file-signatures: allow
    require: 3 of builders
  - name: fedora
    repos: [fedora]
    signed-by: [{fingerprint: "@sub@", file: keys/sub.asc}]
  - name: lab
    repos: [lab]
    exempt: built here an hour ago
    until: 2027-06-30
"""


def filled(text: str) -> str:
    """With the fingerprints of real keys in place of @name@."""
    return re.sub("@([a-z]+)@", lambda match: keys()[match.group(1)].fingerprint, text)


def parse(text: str) -> Policy:
    return parse_policy(filled(text).encode(), path="/etc/p.yaml", read_file=read_file)


def refusal(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        parse(text)
    assert caught.value.path == "/etc/p.yaml"
    return caught.value


def changed(line: int, new: Optional[str]) -> str:
    """GOOD with one line replaced, or left out."""
    lines = GOOD.splitlines()
    lines[line - 1 : line] = [] if new is None else new.split("\n")
    return "\n".join(lines) + "\n"


def test_everything_that_the_language_can_say_is_understood() -> None:
    policy = parse(GOOD)
    assert (policy.serial, policy.channel) == (7, "demo-policy")
    assert list(policy.signers) == ["ann", "bob", "cat"]
    assert policy.signers["ann"].keys[0].fingerprint == keys()["ann"].fingerprint
    assert policy.signers["ann"].keys[0].public.fingerprint == keys()["ann"].fingerprint
    assert policy.signers["ann"].keys[0].problem is None
    assert policy.signers["ann"].retired is None
    assert not policy.signers["ann"].compromised
    retired = policy.signers["bob"].retired
    assert retired is not None
    assert (retired.since, retired.statements) == (JAN_2025, None)
    assert policy.signers["cat"].compromised
    builders, release = ("ann", "bob", "cat"), ("bob", "ann")
    assert dict(policy.groups) == {"builders": builders, "release": release}
    assert policy.quorum == Leaf(2, "release", release)
    assert [rule.name for rule in policy.rules] == ["our packages", "our names", "privileges", "fedora", "lab"]
    ours, names, privileges, fedora, lab = policy.rules
    assert (ours.kind, ours.repos, ours.packages, ours.content) == ("rpm", ("qubes-*",), None, None)
    assert ours.release == ReleaseRequirement(Leaf(1, "release", release), 14 * DAY)
    assert names.require == AllOf(
        (Leaf(2, "builders", builders), AnyOf((Leaf(1, "release", release), Leaf(3, "builders", builders))))
    )
    assert privileges.content == ContentSelector(True, True, ("/etc/sudoers.d/**",), ("glibc",))
    assert (ours.file_signatures, privileges.file_signatures) == (False, True)
    assert fedora.signed_by is not None
    assert fedora.signed_by[0].file == "keys/sub.asc"
    assert (fedora.require, fedora.channel, fedora.exempt) == (None, None, None)
    assert lab.exempt == Exemption("built here an hour ago", 1814400000)  # 2027-07-01: until includes its day
    assert len(policy.sha256) == 64


def test_a_parsed_policy_cannot_be_changed() -> None:
    policy = parse(GOOD)
    with pytest.raises(TypeError):
        policy.groups["builders"] = ()  # type: ignore[index]
    with pytest.raises(TypeError):
        del policy.signers["cat"]  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        policy.serial = 1  # type: ignore[misc]


def test_key_requirements_have_defaults_and_can_be_set() -> None:
    assert parse(changed(20, "  min-rsa-bits: 2048")).key_requirements.min_rsa_bits == 2048
    assert parse(changed(21, "  max-validity-days: 730")).key_requirements.max_validity_days == 730
    without = GOOD.replace("keys:\n  min-rsa-bits: 3072\n  max-validity-days: unlimited\n", "")
    assert parse(without).key_requirements == parse(GOOD).key_requirements


def test_retirement_can_list_the_statements_that_still_count() -> None:
    policy = parse(changed(12, "    retired: {from: 2025-01-01, statements: retired/ann.txt}"))
    retired = policy.signers["bob"].retired
    assert retired is not None
    assert retired.statements == frozenset({"a" * 64, "0" * 64})


@pytest.mark.parametrize(
    ("line", "new"),
    [
        (8, '      - fingerprint: "{lower}"'), (15, "    compromised: false"), (43, "    until: never"),
        (12, '    retired: "2025-01-01"'), (26, "    require: '2 of builders'"), (2, "serial: 999999999999999999"),
        (23, '  - name: "NO"'), (27, "    release: {require: {any: [1 of release]}, max-age: 36h}"),
        (41, "    repos: ['@commandline', '*', '[a-z]?']\n    kind: file"), (4, "policy-quorum: {all: [1 of release]}"),
    ],
)  # fmt: skip
def test_other_ways_of_saying_it_are_right_too(line: int, new: str) -> None:
    parse(changed(line, new.replace("{lower}", keys()["ann"].fingerprint.lower())))


# One line changed: the line's number, what it becomes, the line of the error (None: the same), message, hint.
BAD: List[Tuple[str, int, Optional[str], Optional[int], str, str]] = [
    ("format missing", 1, None, 1, "not a policy", "multisig: policy/v1"),
    ("format of a later version", 1, "multisig: policy/v2", None, 'format "policy/v2"', "reads multisig: policy/v1"),
    ("format null", 1, "multisig:", None, "multisig is empty", "write some text"),
    ("duplicate key", 3, "serial: 8", None, '"serial" is given twice', "first on line 2"),
    ("duplicate signer", 10, "  ann:", None, '"ann" is given twice', "first on line 6"),
    ("merge key", 3, "<<: {channel: x}", None, "a merge key", "write the entries out"),
    ("alias", 17, "  builders: *x", None, "an alias", "quotes"),
    ("anchor", 17, "  builders: &x [ann, bob, cat]", None, "an anchor", "write it out"),
    ("tag", 2, "serial: !!int 7", None, "a tag", "remove it"),
    ("unknown key", 3, "chanel: demo", None, 'unknown key "chanel" in the policy', '"channel" is meant?'),
    ("include", 3, "include: other.yaml", None, 'unknown key "include"', "allowed: multisig, serial, rules"),
    ("serial missing", 2, None, 1, 'lacks "serial"', "needed"),
    ("serial zero", 2, "serial: 0", None, 'serial is "0"', "whole number from 1"),
    ("serial negative", 2, "serial: -1", None, 'serial is "-1"', "whole number"),
    ("serial null", 2, "serial:", None, "serial is nothing", "whole number"),
    ("serial ~", 2, "serial: ~", None, 'serial is "~"', "whole number"),
    ("serial true", 2, "serial: true", None, 'serial is "true"', "whole number"),
    ("serial quoted", 2, 'serial: "7"', None, 'serial is "7"', "without quotes"),
    ("serial 7.0", 2, "serial: 7.0", None, 'serial is "7.0"', "whole number"),
    ("serial 0x7", 2, "serial: 0x7", None, 'serial is "0x7"', "whole number"),
    ("serial 07", 2, "serial: 07", None, 'serial is "07"', "whole number"),
    ("serial 1_0", 2, "serial: 1_0", None, 'serial is "1_0"', "whole number"),
    ("serial 1:30", 2, "serial: 1:30", None, 'serial is "1:30"', "whole number"),
    ("serial of 19 digits", 2, "serial: 1000000000000000000", None, "serial is", "whole number"),
    ("serial a list", 2, "serial: [7]", None, "serial is a list", "whole number"),
    ("serial in Arabic digits", 2, "serial: \u0667", None, "serial is", "whole number"),
    ("channel upper case", 3, "channel: Demo", None, 'channel cannot be "Demo"', "a to z"),
    ("channel with a slash", 3, "channel: demo/policy", None, "channel cannot be", "a to z"),
    ("channel of 65", 3, f"channel: {'a' * 65}", None, "channel cannot be", "at most 64"),
    ("channel a number", 3, "channel: 1.0", None, "channel: 1.0 is a number", 'quotes: "1.0"'),
    ("channel NO", 3, "channel: NO", None, "NO is true or false", 'quotes: "NO"'),
    ("quorum without channel", 3, None, 3, "policy-quorum without a channel", "add channel"),
    ("quorum over the group", 4, "policy-quorum: 3 of release", None,
     "3 of release, but release has 2 people", "lower"),
    ("quorum null", 4, "policy-quorum:", None, "not a requirement", "2 of builders"),
    ("signer's name with a blank", 6, "  ann lee:", None, 'cannot be "ann lee"', "letter or digit"),
    ("signer's name with an escape", 6, '  "ann\\e[31m":', None, "control", "one line"),
    ("signer's name in Cyrillic", 6, "  \u0430nn:", None, "a name in signers cannot be", "letter or digit"),
    ("signer's name too long", 6, f"  {'a' * 65}:", None, "cannot be", "at most 64"),
    ("signer's name NO", 6, "  NO:", None, "the key NO is true or false", 'quotes: "NO"'),
    ("signer without keys", 11, "    keys: []", None, "the keys of bob is an empty list", "at least one"),
    ("signer with null keys", 11, "    keys:", None, "the keys of bob is nothing", "fingerprint"),
    ("signer lacks keys", 11, None, 11, 'signer bob lacks "keys"', "needed: keys"),
    ("signer null", 10, "  bob:\n  eve:", 10, "signer bob is nothing", "mapping"),
    ("signer's unknown key", 12, "    retire: 2025-01-01", None, 'unknown key "retire"', '"retired" is meant?'),
    ("a vote's weight", 12, "    weight: 2", None, 'unknown key "weight"', "allowed: keys, retired, compromised"),
    ("key id", 8, '      - fingerprint: "89ABCDEF01234567"', None, "it has 16 characters", "40 hex digits"),
    ("fingerprint with blanks", 8, '      - fingerprint: "0123 4567"', None, "it has blanks", "40 hex digits"),
    ("fingerprint of digits", 8, f"      - fingerprint: {'1' * 40}", None, "is a number to YAML", "put it in quotes"),
    ("fingerprint of octal digits", 8, f"      - fingerprint: {'0' * 40}", None,
     "a number to YAML", "put it in quotes"),
    ("fingerprint of another key", 8, '      - fingerprint: "@bob@"', None, "keys/ann.asc holds the key", "mend one"),
    ("fingerprint of the subkey", 39, f'    signed-by: [{{fingerprint: "{"A" * 40}", file: keys/sub.asc}}]', None,
     "keys/sub.asc holds the key", "mend one"),
    ("fingerprint missing", 8, "      -", 9, 'lacks "fingerprint"', "needed: fingerprint, file"),
    ("key file missing", 9, "        file: keys/nobody.asc", None,
     "cannot read keys/nobody.asc: No such file", "beside"),
    ("key file absolute", 9, "        file: /etc/passwd", None, 'cannot be "/etc/passwd"', "beside the policy"),
    ("key file above", 9, "        file: keys/../../ann.asc", None, "cannot be", "beside the policy"),
    ("key file with NUL", 9, '        file: "keys/ann.asc\\0"', None, "control", "one line"),
    ("key file empty", 9, '        file: ""', None, "file is empty", "text"),
    ("key file of no key", 9, "        file: retired/ann.txt", None,
     "retired/ann.txt is not a usable key", "gpg --armor"),
    ("two keys, one of them twice", 11, '    keys: [{fingerprint: "@bob@", file: keys/bob.asc}, '
     '{fingerprint: "@bob@", file: keys/bob.asc}]', None, "is listed twice", "once"),
    ("a key that two people share", 11, '    keys: [{fingerprint: "@ann@", file: keys/ann.asc}]', None,
     "bob and ann share the key", "one key is one person's"),
    ("compromised: yes", 15, "    compromised: yes", None, 'compromised is "yes"', "true or false"),
    ("compromised: True", 15, "    compromised: True", None, 'compromised is "True"', "lower case"),
    ("compromised: 1", 15, "    compromised: 1", None, 'compromised is "1"', "true or false"),
    ("compromised: quoted", 15, '    compromised: "true"', None, 'compromised is "true"', "without quotes"),
    ("compromised: null", 15, "    compromised:", None, "compromised is nothing", "true or false"),
    ("retired on no day", 12, "    retired: 2025-02-30", None, "no such day", "YYYY-MM-DD"),
    ("retired in month 13", 12, "    retired: 2025-13-01", None, "no such day", "YYYY-MM-DD"),
    ("retired in year 0", 12, "    retired: 0000-01-01", None, "no such day", "YYYY-MM-DD"),
    ("retired at a time", 12, "    retired: 2025-01-01T00:00:00Z", None, "not a date", "YYYY-MM-DD"),
    ("retired short", 12, "    retired: 2025-1-1", None, "not a date", "YYYY-MM-DD"),
    ("retired: true", 12, "    retired: true", None, "not a date", "YYYY-MM-DD"),
    ("retired: null", 12, "    retired:", None, "not a date", "YYYY-MM-DD"),
    ("retired: never", 12, "    retired: never", None, "not a date", "YYYY-MM-DD"),
    ("retired without from", 12, "    retired: {statements: retired/ann.txt}", None, 'lacks "from"', "needed"),
    ("retired without statements", 12, "    retired: {from: 2025-01-01}", None, 'lacks "statements"', "needed"),
    ("statements missing", 12, "    retired: {from: 2025-01-01, statements: x.txt}", None,
     "cannot read x.txt", "beside"),
    ("statements that are none", 12, "    retired: {from: 2025-01-01, statements: keys/ann.asc}", None,
     "line 1 of keys/ann.asc is not the digest", "64 lower-case"),
    ("group empty", 17, "  builders: []", None, "group builders is an empty list", "at least one"),
    ("group null", 17, "  builders:", None, "group builders is nothing, not a list", "[marek, joanna]"),
    ("group of one name", 17, "  builders: ann", None, 'group builders is "ann", not a list', "[marek, joanna]"),
    ("group with a stranger", 17, "  builders: [ann, bob, eve]", None,
     '"eve" is not among the signers', "ann, bob, cat"),
    ("group of other case", 17, "  builders: [ann, Bob]", None, '"Bob" is not among the signers', "known: ann"),
    ("group with one person twice", 17, "  builders: [ann, bob, ann]", None, "names ann twice", "one vote"),
    ("group with NO", 17, "  builders: [ann, NO]", None, "NO is true or false", 'quotes: "NO"'),
    ("group with a group", 18, "  release: [builders]", None, '"builders" is not among the signers', "known"),
    ("group's name", 17, '  "the builders": [ann]', None, 'cannot be "the builders"', "letter or digit"),
    ("RSA bits too few", 20, "  min-rsa-bits: 1024", None, "min-rsa-bits is 1024", "2048 to 16384"),
    ("RSA bits quoted", 20, '  min-rsa-bits: "3072"', None, 'min-rsa-bits is "3072"', "without quotes"),
    ("validity zero", 21, "  max-validity-days: 0", None, "max-validity-days", "whole number from 1"),
    ("validity null", 21, "  max-validity-days:", None, "max-validity-days", "whole number"),
    ("validity forever", 21, "  max-validity-days: forever", None, "unlimited", "whole number"),
    ("keys' unknown key", 20, "  min-rsa: 3072", None, 'unknown key "min-rsa"', "allowed: min-rsa-bits"),
    ("rule without name", 23, "  - packages: [a]", None, 'a rule lacks "name"', "needed: name"),
    ("rule's name empty", 23, '  - name: ""', None, "name is empty", "some text"),
    ("rule's name null", 23, "  - name:", None, "name is empty", "some text"),
    ("rule's name a number", 23, "  - name: 1", None, "1 is a number", 'quotes: "1"'),
    ("rule's name of blanks", 23, '  - name: "  "', None, "name is empty", "some text"),
    ("rule's name too long", 23, f"  - name: {'x' * 101}", None, "longer than 100", "shorten"),
    ("rule's name with an escape", 23, '  - name: "a\\eb"', None, "control", "one line"),
    ("rule's name twice", 28, "  - name: our packages", None, 'two rules are called "our packages"', "its own name"),
    ("rule's unknown key", 24, '    repo: ["qubes-*"]', None, 'unknown key "repo"', '"repos" is meant?'),
    ("repos one name", 24, "    repos: qubes", None, 'repos is "qubes", not a list', '["one-*", two]'),
    ("repos empty", 24, "    repos: []", None, "repos is an empty list", "leave the key out"),
    ("repos null", 24, "    repos:", None, "repos is nothing", "write"),
    ("repos an empty name", 24, '    repos: [""]', None, "an entry of repos is empty", "text"),
    ("repos a bare star", 24, "    repos: [*]", None, "not YAML", "quotes"),
    ("repos a set left open", 24, '    repos: ["a[b"]', None, '"[" without "]"', "globs"),
    ("repos an empty range", 24, '    repos: ["a[z-a]"]', None, "is empty", "globs"),
    ("repos a number", 24, "    repos: [43]", None, "43 is a number", "quotes"),
    ("packages empty", 29, "    packages: []", None, "packages is an empty list", "leave the key out"),
    ("packages a mapping", 29, "    packages: {a: b}", None, "packages is a mapping", "write"),
    ("packages' glob too long", 29, f"    packages: [{'x' * 257}]", None, "longer than 256", "shorten"),
    ("require without channel", 25, None, 23, "has require but no channel", "add the channel"),
    ("threshold 0", 26, "    require: 0 of builders", None, "0 of builders would ask nobody", "from 1"),
    ("threshold 00", 26, "    require: 02 of builders", None, "02 of builders begins with a zero", "from 1"),
    ("threshold negative", 26, "    require: -1 of builders", None, "not a requirement", "2 of builders"),
    ("threshold 1.0", 26, "    require: 1.0 of builders", None, "not a requirement", "2 of builders"),
    ("threshold true", 26, "    require: true", None, "not a requirement", "2 of builders"),
    ("threshold null", 26, "    require:", None, "not a requirement", "2 of builders"),
    ("threshold null of", 26, "    require: null of builders", None, "not a requirement", "2 of builders"),
    ("threshold alone", 26, "    require: 2", None, "not a requirement", "2 of builders"),
    ("threshold over the group", 26, "    require: 4 of builders", None,
     "4 of builders, but builders has 3 people", "lower the number or add people"),
    ("threshold of 5,000 digits", 26, f"    require: {'9' * 5000} of builders", None, "but builders has 3", "lower"),
    ("threshold in words", 26, "    require: two of builders", None, "not a requirement", "2 of builders"),
    ("threshold in full-width digits", 26, "    require: \uff12 of builders", None, "not a requirement", "2 of"),
    ("group unknown", 26, "    require: 2 of biulders", None, 'no group "biulders"', "known groups: builders, release"),
    ("group's name a person", 26, "    require: 1 of ann", None, 'no group "ann"', "known groups"),
    ("require a list", 26, "    require: [2 of builders]", None, "is a list", "all: or any:"),
    ("require all and any", 26, "    require: {all: [1 of release], any: [1 of release]}", None,
     "both all and any", "write it"),
    ("require nothing", 26, "    require: {}", None, "nothing in it", "2 of builders"),
    ("require an empty all", 26, "    require: {all: []}", None, "all is an empty list", "at least one"),
    ("require an empty any within", 26, "    require: {all: [1 of release, {any: []}]}", None,
     "any is an empty", "one"),
    ("require none", 26, "    require: {none: [1 of release]}", None, 'unknown key "none"', "allowed: all, any"),
    ("require all of text", 26, "    require: {all: 2 of builders}", None, 'all is "2 of builders", not a list', "["),
    ("quorum nested 9 deep", 4, "policy-quorum: " + "{all: [" * 9 + "1 of release" + "]}" * 9, None,
     "deeper than 8", "simplify"),
    ("release without require", 27, "    release: {max-age: 14d}", None, 'release lacks "require"', "max-age"),
    ("release without max-age", 27, "    release: {require: 1 of release}", None, 'release lacks "max-age"', "needed"),
    ("release max-age 0d", 27, "    release: {require: 1 of release, max-age: 0d}", None, 'max-age is "0d"', "14d"),
    ("release max-age 14", 27, "    release: {require: 1 of release, max-age: 14}", None, 'max-age is "14"', "14d"),
    ("release max-age 2w", 27, "    release: {require: 1 of release, max-age: 2w}", None, 'max-age is "2w"', "14d"),
    ("release over the group", 27, "    release: {require: 3 of release, max-age: 1d}", None, "has 2 people", "lower"),
    ("release null", 27, "    release:", None, "release is nothing", "mapping"),
    ("content empty", 33, "    content: {}", None, "content is empty", "name one of setuid"),
    ("content null", 33, "    content:", None, "content is nothing", "mapping"),
    ("content setuid: false", 33, "    content: {setuid: false}", None, "setuid is false", "true, or leave it out"),
    ("content scripts: yes", 33, "    content: {scripts: yes}", None, 'scripts is "yes"', "true or false"),
    ("content's unknown facet", 33, "    content: {setgid: true}", None, 'unknown key "setgid"', '"setuid" is meant?'),
    ("content paths empty", 33, "    content: {paths: []}", None, "paths is an empty list", "at least one"),
    ("content path relative", 33, '    content: {paths: ["etc/x"]}', None,
     'does not begin with "/"', "crosses folders"),
    ("content path a folder", 33, '    content: {paths: ["/etc/"]}', None, 'ends with "/"', "**"),
    ("content path with ..", 33, '    content: {paths: ["/etc/../x"]}', None, '".."', "globs"),
    ("content path with a set across folders", 33, '    content: {paths: ["/etc[/]x"]}', None, 'without "]"', "globs"),
    ("file-signatures: deny", 35, "    file-signatures: deny", None, 'file-signatures is "deny"', "allow"),
    ("file-signatures: true", 35, "    file-signatures: true", None, "true is true or false", "quotes"),
    ("kind unknown", 24, "    kind: deb", None, 'kind is "deb"', "rpm, file, tree"),
    ("kind upper case", 24, "    kind: RPM", None, 'kind is "RPM"', "rpm, file, tree"),
    ("kind a list", 24, "    kind: [rpm, file]", None, "kind is a list", "text"),
    ("kind file with packages", 29, "    packages: [a]\n    kind: file", None,
     "packages is for RPMs", "remove packages"),
    ("kind tree with content", 33, "    content: {setuid: true}\n    kind: tree", None,
     "content is for RPMs", "remove"),
    ("kind file with release", 24, "    kind: file", 27, "release is for RPMs", "remove release"),
    ("kind file with signed-by", 38, "    kind: file", 39, "signed-by is for RPMs", "remove signed-by"),
    ("rule decides nothing", 39, None, 37, "decides nothing", "add one of require, signed-by, exempt"),
    ("require and exempt", 41, "    require: 1 of builders\n    channel: x", 43, "has both require and exempt", "keep"),
    ("signed-by and exempt", 38, "    exempt: why not", None, "has both signed-by and exempt", "keep one"),
    ("channel with signed-by", 38, "    channel: demo", None,
     "has channel, which belongs to require", "remove channel"),
    ("channel with exempt", 41, "    channel: demo", None, "has channel, which belongs to require", "remove channel"),
    ("release with exempt", 41, "    release: {require: 1 of release, max-age: 1d}", None, "has release", "remove"),
    ("until with signed-by", 38, "    until: 2027-01-01", None, "has until, which belongs to exempt", "remove until"),
    ("until with require", 24, "    until: never", None, "has until, which belongs to exempt", "remove until"),
    ("signed-by empty", 39, "    signed-by: []", None, "signed-by is an empty list", "at least one"),
    ("signed-by null", 39, "    signed-by:", None, "signed-by is nothing", "write"),
    ("signed-by one key", 39, '    signed-by: {fingerprint: "@sub@", file: keys/sub.asc}', None,
     "is a mapping", "write"),
    ("signed-by one key twice", 39, '    signed-by: [{fingerprint: "@sub@", file: keys/sub.asc}, '
     '{fingerprint: "@sub@", file: keys/sub.asc}]', None, "is listed twice", "once"),
    ("exempt without reason", 42, '    exempt: ""', None, "the reason for exempt is empty", "text"),
    ("exempt null", 42, "    exempt:", None, "the reason for exempt is empty", "text"),
    ("exempt: true", 42, "    exempt: true", None, "true is true or false", "quotes"),
    ("exempt without until", 43, None, 40, "exempt without an end", "never"),
    ("until null", 43, "    until:", None, "until is nothing", "or never"),
    ("until Never", 43, "    until: Never", None, 'until is "Never"', "or never"),
    ("until on no day", 43, "    until: 2027-02-29", None, "no such day", "YYYY-MM-DD"),
    ("until a time", 43, "    until: 2027-06-30 12:00:00", None, "not a date", "or never"),
]  # fmt: skip


def _case(case: Tuple[str, int, Optional[str], Optional[int], str, str]) -> Tuple[int, Optional[str], int, str, str]:
    return case[1], case[2], case[3] or case[1], case[4], case[5]


@pytest.mark.parametrize(("line", "new", "at", "message", "hint"), map(_case, BAD), ids=[case[0] for case in BAD])
def test_one_line_wrong_is_one_error_that_names_it(
    line: int, new: Optional[str], at: int, message: str, hint: str
) -> None:
    error = refusal(changed(line, new))
    assert message in error.message
    assert hint in (error.hint or "")
    assert error.line == at
    assert error.column is not None


def test_the_table_changes_a_policy_that_is_right() -> None:
    parse(GOOD)
    assert GOOD.splitlines()[22:23] == ["  - name: our packages"]


HEAD = "multisig: policy/v1\nserial: 1\n"
ANN = 'signers:\n  ann: {keys: [{fingerprint: "@ann@", file: keys/ann.asc}]}\n'
RULE = "rules:\n  - {name: a, channel: c, require: 1 of g}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, 'lacks "rules"'),
        (HEAD + "rules: []\n", "rules is an empty list"),
        (HEAD + "rules:\n", "rules is nothing"),
        (HEAD + "rules: {}\n", "rules is a mapping"),
        (HEAD + "rules: [a]\n", 'a rule is "a"'),
        (HEAD + "rules: [[]]\n", "a rule is a list"),
        (HEAD + RULE, 'no group "g"'),
        (HEAD + ANN + RULE, 'no group "g"'),
        (HEAD + ANN + "groups: {}\n" + RULE, 'no group "g"'),
        (HEAD + "groups: {g: [ann]}\n" + RULE, '"ann" is not among the signers'),
        (HEAD + "signers: {}\ngroups: {g: [ann]}\n" + RULE, '"ann" is not among the signers'),
        (HEAD + "signers: []\n" + RULE, "signers is a list"),
        (HEAD + "signers:\n" + RULE, "signers is nothing"),
        (HEAD + ANN + "groups:\n" + RULE, "groups is nothing"),
        (HEAD + ANN + "groups: [ann]\n" + RULE, "groups is a list"),
        ("- multisig: policy/v1\n", "not a policy"),
        ("multisig\n", "not a policy"),
        ("{}\n", "not a policy"),
        ("---\n", "not a policy"),
        ("multisig: [policy/v1]\n", "multisig is a list"),
        ('{"multisig": 1}', "1 is a number"),
    ],
)
def test_a_vacuous_policy_is_an_error(text: str, message: str) -> None:
    error = refusal(text)
    assert message in error.message
    assert error.line is not None


def test_a_policy_without_people_is_right_where_no_rule_needs_any() -> None:
    policy = parse(HEAD + "rules: [{name: a, exempt: a test, until: never}]\n")
    assert dict(policy.signers) == {}
    assert policy.rules[0].exempt == Exemption("a test", None)


def test_two_people_cannot_share_a_back_signed_subkey() -> None:
    person = '  {0}: {{keys: [{{fingerprint: "@{0}@", file: keys/{0}.asc}}]}}\n'
    assert keys()["sub"].subkeys == keys()["thief"].subkeys
    error = refusal(HEAD + "signers:\n" + person.format("sub") + person.format("thief") + "rules: []\n")
    assert f"thief and sub share the key {keys()['sub'].subkeys[0]}" in error.message
    assert error.line == 5


def test_one_person_may_hold_two_keys_with_one_subkey() -> None:
    both = ", ".join(f'{{fingerprint: "@{name}@", file: keys/{name}.asc}}' for name in ("sub", "thief"))
    policy = parse(HEAD + f"signers: {{s: {{keys: [{both}]}}}}\ngroups: {{g: [s]}}\n" + RULE)
    assert len(policy.signers["s"].keys) == 2


def test_a_key_file_is_read_once_however_often_it_is_named() -> None:
    names: List[str] = []

    def counting(name: str) -> bytes:
        names.append(name)
        return read_file(name)

    entry = 'signed-by: [{fingerprint: "@ann@", file: keys/ann.asc}]'
    text = HEAD + f"rules:\n  - {{name: a, {entry}}}\n  - {{name: b, {entry}}}\n"
    parse_policy(filled(text).encode(), path="p", read_file=counting)
    assert names == ["keys/ann.asc"]


@pytest.mark.parametrize(
    ("name", "problem"), [("weak", "2048 bits"), ("gone", "revoked"), ("old", None), ("soon", None), ("sub", None)]
)
def test_a_key_that_does_not_count_is_no_error_of_the_policy(name: str, problem: Optional[str]) -> None:
    text = HEAD + ANN.replace("ann", name) + f"groups: {{g: [{name}]}}\n" + RULE
    found = parse(text).signers[name].keys[0].problem
    assert found is None if problem is None else problem in (found or "")


def test_a_key_without_an_end_does_not_count_where_validity_is_limited() -> None:
    text = HEAD + "keys: {max-validity-days: 730}\n" + ANN + "groups: {g: [ann]}\n" + RULE
    assert "never expires" in (parse(text).signers["ann"].keys[0].problem or "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "retired/x.txt is empty"),
        (b"\n", "line 1"),
        (b"a" * 64 + b"\n\n" + b"b" * 64 + b"\n", "line 2"),
        (b"# comment\n", "line 1"),
        (b"A" * 64 + b"\n", "line 1"),
        (b"a" * 64 + b"  statement.json\n", "line 1"),
        (b"a" * 63 + b"\n", "line 1"),
        (b"a" * 64 + b"\r\n", "line 1"),
        (b"a" * 64 + b"\n" + b"a" * 65, "line 2"),
    ],
)
def test_a_list_of_statements_holds_digests_and_nothing_else(data: bytes, message: str) -> None:
    text = HEAD + ANN.replace("]}\n", "], retired: {from: 2025-01-01, statements: retired/x.txt}}\n") + RULE
    with pytest.raises(PolicyError) as caught:
        parse_policy(
            filled(text).encode(), path="p", read_file=lambda name: data if name == "retired/x.txt" else read_file(name)
        )
    assert message in caught.value.message
    assert caught.value.line == 4


def test_the_message_reads_as_one_line_with_its_place_and_what_would_be_right() -> None:
    assert str(refusal(changed(26, "    require: 4 of builders"))) == (
        "/etc/p.yaml:26:14: 4 of builders, but builders has 3 people (lower the number or add people to the group)"
    )


def write(folder: Path, text: str) -> str:
    (folder / "keys").mkdir()
    for name, key in keys().items():
        (folder / "keys" / f"{name}.asc").write_bytes(key.armor)
    (folder / "policy.yaml").write_text(filled(text), encoding="utf-8")
    return str(folder / "policy.yaml")


def test_a_policy_is_loaded_with_the_files_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    assert load_policy(path).serial == 7
    monkeypatch.chdir(tmp_path)
    assert load_policy("policy.yaml").serial == 7


@pytest.mark.parametrize("what", ["missing", "folder", "fifo", "too large", "link to itself"])
def test_a_policy_that_cannot_be_read_is_a_policy_error_and_does_not_hang(tmp_path: Path, what: str) -> None:
    path = tmp_path / "policy.yaml"
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "too large":
        path.write_bytes(b"#" * 65537)
    elif what == "link to itself":
        path.symlink_to(path)
    with pytest.raises(PolicyError) as caught:
        load_policy(str(path))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("what", ["missing", "folder", "fifo", "too large"])
def test_a_key_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, what: str) -> None:
    path = write(tmp_path, GOOD)
    key = tmp_path / "keys" / "ann.asc"
    key.unlink()
    if what == "folder":
        key.mkdir()
    elif what == "fifo":
        os.mkfifo(key)
    elif what == "too large":
        key.write_bytes(b"x" * (5 * 1024 * 1024))
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert "keys/ann.asc" in caught.value.message
    assert (caught.value.path, caught.value.line) == (path, 9)


def test_an_exemption_may_end_on_the_last_day_of_the_calendar() -> None:
    exempt = parse(changed(43, "    until: 9999-12-31")).rules[4].exempt
    assert exempt is not None
    assert exempt.until == 253402300800


def test_requirements_are_told_in_words_and_count_people() -> None:
    require = parse(GOOD).rules[1].require
    assert require is not None
    assert describe(require) == "2 of builders and (1 of release or 3 of builders)"
    assert satisfied_by(require, frozenset({"ann", "cat"}))
    assert not satisfied_by(require, frozenset({"cat"}))
    assert not satisfied_by(require, frozenset({"cat", "eve", "mallory"}))


def test_the_example_policy_is_right_but_for_its_made_up_keys() -> None:
    text = (ROOT / "etc" / "policy.yaml.example").read_text(encoding="utf-8")
    made_up = {"1": "ann", "2": "bob", "3": "cat", "4": "sub", "5": "soon"}
    text = re.sub("0{39}([1-5])", lambda match: keys()[made_up[match.group(1)]].fingerprint, text)
    for person, name in (("marek", "ann"), ("joanna", "bob"), ("rafal", "cat"), ("simon", "sub"), ("fedora", "soon")):
        text = text.replace(f"keys/{person}.asc", f"keys/{name}.asc")
    policy = parse_policy(text.encode(), path="p", read_file=read_file)
    assert len(policy.rules) == 6
    for remark in ("retired: 2027-01-01\n", "compromised: true", "release: {", "file-signatures: allow"):
        assert f"    # {remark}" in text
        text = text.replace(f"    # {remark}", f"    {remark}")
    assert parse_policy(text.encode(), path="p", read_file=read_file)


TOKENS = sorted(set(re.findall(r"[A-Za-z0-9_@./*-]+|[^\sA-Za-z0-9]|\n *", GOOD)))


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from(TOKENS), max_size=60).map(" ".join).map(str.encode),
        st.tuples(st.integers(1, 43), st.lists(st.sampled_from(TOKENS), max_size=8).map(" ".join)).map(
            lambda change: filled(changed(change[0], "    " + change[1])).encode()
        ),
    )
)
def test_whatever_the_text_a_policy_or_a_policy_error_comes_out(text: bytes) -> None:
    try:
        policy = parse_policy(text, path="p.yaml", read_file=read_file)
    except PolicyError as error:
        assert error.path == "p.yaml"
    else:
        assert policy.rules


def test_a_hundred_rules_load_within_a_quarter_of_a_second(tmp_path: Path) -> None:
    text = HEAD + "signers:\n"
    own: List[str] = ["ann", "bob", "cat", "old", "soon", "gone", "weak", "sub"]
    for name in own:
        text += f'  {name}: {{keys: [{{fingerprint: "@{name}@", file: keys/{name}.asc}}]}}\n'
    text += f"groups:\n  g: [{', '.join(own)}]\nrules:\n"
    for number in range(100):
        text += (
            f'  - name: rule {number}\n    packages: ["p{number}-*", "q?{number}"]\n'
            "    channel: demo-stable\n    require: {all: [2 of g, 1 of g]}\n"
        )
    path = write(tmp_path, text)
    load_policy(path)
    before = time.process_time()
    load_policy(path)
    assert time.process_time() - before < 0.25
