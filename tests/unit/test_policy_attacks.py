# SPDX-License-Identifier: GPL-2.0-or-later
"""What a policy's text, its files and its neighbours may try, one test an attack (docs/attacks.md)."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from fixtures.openpgp.building import BORN, simple_key
from fixtures.openpgp.secrets import Secret, ecdsa_key, ed25519_key, rsa_key
from multisig.errors import PolicyError, StatementError
from multisig.policy import Policy, load_policy, parse_policy
from multisig.policy.yamlnodes import MAX_BYTES
from multisig.statement import Kind, Subject, encode, make, parse
from tests.unit.core import digests
from tests.unit.made_keys import read_made, with_made_keys

SMALL = """\
multisig: policy/v1
serial: 7
signers:
  marek: {keys: [{fingerprint: "@", file: keys/marek.asc}]}
  joanna: {keys: [{fingerprint: "@", file: keys/joanna.asc}]}
groups:
  builders: [marek, joanna]
rules:
  - name: ours
    channel: stable
    require: 2 of builders
"""


def read(text: str, read_file: Callable[[str], bytes] = read_made) -> Policy:
    return parse_policy(with_made_keys(text).encode(), path="p.yaml", read_file=read_file)


def refused(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        read(text)
    assert caught.value.line is not None
    assert caught.value.column is not None
    assert caught.value.hint
    return caught.value


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def test_the_policy_that_the_attacks_begin_with_is_a_good_one() -> None:
    assert read(SMALL).rules[0].require is not None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (changed("serial: 7\n", "serial: 7\nserial: 8\n"), 3),
        (changed("    require: 2 of builders\n", "    require: 2 of builders\n    require: 1 of builders\n"), 12),
        (changed("  joanna:", "  marek:"), 5),
        (changed("    channel: stable\n", '    channel: stable\n    "channel": testing\n'), 11),
        (changed("  builders: [marek, joanna]\n", "  builders: [marek, joanna]\n  builders: [marek]\n"), 8),
    ],
)
def test_a_key_that_comes_twice_of_which_the_last_would_win(text: str, line: int) -> None:
    found = refused(text)
    assert "given twice" in found.message
    assert found.line == line


@pytest.mark.parametrize("text", [
    changed("rules:\n", "rules:\n  - &a {name: x}\n  - <<: *a\n"),
    changed("    channel: stable\n", "    channel: stable\n    <<: {require: 1 of builders}\n"),
    changed("[marek, joanna]", "&all [marek, joanna]"),
    changed("[marek, joanna]", "[marek, *joanna]"),
    changed("serial: 7", "serial: !!int 7"),
    changed("serial: 7", "serial: !!python/object/apply:os.getpid []"),
])  # fmt: skip
def test_merges_anchors_aliases_and_tags(text: str) -> None:
    assert any(word in refused(text).message for word in ("a merge key", "an anchor", "an alias", "a tag"))


def test_aliases_of_aliases_cost_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 30)]
    before = time.process_time()
    refused("\n".join(lines))
    assert time.process_time() - before < 0.5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (changed("channel: stable", "channel: NO"), 10),
        (changed("channel: stable", "channel: 1:30"), 10),
        (changed("name: ours", "name: yes"), 9),
        (changed("name: ours", "name: 0x1F"), 9),
        (changed("name: ours", "name: ~"), 9),
        (changed("name: ours", "name: 2026-01-01"), 9),
        (changed("name: ours", "name: 1.5"), 9),
        (changed("[marek, joanna]", "[marek, NO]"), 7),
        (changed("  joanna:", "  NO:"), 5),
    ],
)
def test_words_that_other_readers_of_yaml_take_for_something_else(text: str, line: int) -> None:
    found = refused(text)
    assert "to YAML" in found.message
    assert found.line == line


def test_a_fingerprint_of_digits_alone_that_is_read_as_a_number() -> None:
    digits = "1234567890" * 4
    key = '{fingerprint: "@", file: keys/marek.asc}'
    found = refused(SMALL.replace(key, f"{{fingerprint: {digits}, file: k.asc}}"))
    assert "fingerprint: " + digits + " is a number to YAML" in found.message
    assert (found.line, found.hint) == (4, f'put it in quotes: "{digits}"')
    assert "it has blanks" in refused(SMALL.replace(key, '{fingerprint: "0123 4567", file: k.asc}')).message


@pytest.mark.parametrize(
    "require",
    [
        "0 of builders", "00 of builders", "3 of builders", "99999999999999999999 of builders", "-1 of builders",
        "1.0 of builders", "true of builders", "null", "~", "true", "1.0", "2", "0", '""', "of builders", "2 builders",
        "2 of", "2  of builders", "2 of Builders", "2 of nobody", "[]", "[2 of builders]", "{}", "{all: []}",
        "{any: []}", "{all: 2 of builders}", "{all: [2 of builders], any: [2 of builders]}", "{none: [2 of builders]}",
        "\u0662 of builders",
    ],
)  # fmt: skip
def test_thresholds_that_ask_nobody_or_too_many_or_are_no_number(require: str) -> None:
    assert refused(changed("require: 2 of builders", f"require: {require}")).line == 11


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("rules:\n", "rules: []\n").partition("  - name")[0], "rules is an empty list"),
        (changed("[marek, joanna]", "[]"), "is an empty list"),
        (changed("[marek, joanna]", "[marek, marek]"), "names marek twice"),
        (changed("[marek, joanna]", "[marek, eve]"), "is not among the signers"),
        (changed('{keys: [{fingerprint: "@", file: keys/marek.asc}]}', "{keys: []}"), "is an empty list"),
        (changed("keys/joanna.asc", "keys/marek.asc"), "share the key"),
        (changed("    require: 2 of builders\n", ""), "decides nothing"),
        (changed("serial: 7", "serial: 0"), "serial is "),
        (changed("serial: 7\n", ""), 'lacks "serial"'),
        (changed("require: 2 of builders", "requires: 2 of builders"), "unknown key"),
        (changed("    channel: stable\n", ""), "require but no channel"),
        (changed("multisig: policy/v1", "multisig: policy/v2"), 'a policy of format "policy/v2"'),
        (changed("    require: 2 of builders", "    exempt: why not"), "channel, which belongs to require"),
    ],
)
def test_a_policy_that_says_nothing_or_less_than_it_seems_to(text: str, words: str) -> None:
    assert words in refused(text).message


def _of_two(first: Secret, second: Secret) -> Policy:
    """A policy whose two people hold these secret keys."""
    keys = {"keys/ann.asc": simple_key(first, b"Ann"), "keys/bob.asc": simple_key(second, b"Bob")}
    prints = [secret.fingerprint.hex().upper() for secret in (first, second)]
    people = [f'  {name}: {{keys: [{{fingerprint: "{fpr}", file: keys/{name}.asc}}]}}\n'
              for name, fpr in zip(("ann", "bob"), prints)]  # fmt: skip
    text = "multisig: policy/v1\nserial: 1\nsigners:\n" + "".join(people)
    text += "groups: {both: [ann, bob]}\nrules: [{name: a, channel: c, require: 2 of both}]\n"
    return parse_policy(text.encode(), path="policy.yaml", read_file=keys.__getitem__)


@pytest.mark.parametrize("make", [partial(ed25519_key, "one"), partial(ecdsa_key, "one"), rsa_key])
def test_one_secret_key_under_two_fingerprints_is_not_two_people(make: Callable[..., Secret]) -> None:
    """A fingerprint is over the key's date too. Where a signature's issuer is not hashed, anybody can change it to the
    other one, and one signature would count for both."""
    one, again = make(), make(created=BORN - 1)
    assert one.fingerprint != again.fingerprint
    with pytest.raises(PolicyError, match="bob and ann share the key"):
        _of_two(one, again)
    assert len(_of_two(one, ed25519_key("another")).signers) == 2


def test_megabytes_of_yaml_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    bomb = b"a: " + b"[" * (8 << 20)
    (tmp_path / "policy.yaml").write_bytes(bomb)
    before = time.process_time()
    with pytest.raises(PolicyError, match="larger than"):
        parse_policy(bomb, path="p", read_file=read_made)
    with pytest.raises(PolicyError, match="larger than"):
        load_policy(str(tmp_path / "policy.yaml"))
    assert time.process_time() - before < 0.2
    exactly = SMALL.encode() + b"#" * (MAX_BYTES - len(SMALL.encode()))
    with pytest.raises(PolicyError, match="no fingerprint"):
        parse_policy(exactly, path="p", read_file=read_made)


@pytest.mark.parametrize("depth", [25, 2000, 30_000])
def test_nesting_that_would_overflow_a_stack(depth: int) -> None:
    for text in ("[" * depth, "{a: " * depth, "- " * depth, "rules:\n" + "".join(" " * i + "a:\n" for i in range(150))):
        refused(text[: MAX_BYTES - 10])


@pytest.mark.parametrize("name", [
    "/etc/shadow", "../../etc/shadow", "keys/../../x", "..", "keys/", "/", ".", "./.", "",
])  # fmt: skip
def test_a_file_name_that_leads_out_of_the_policys_folder(name: str) -> None:
    asked = []

    def note(file: str) -> bytes:
        asked.append(file)
        return read_made("keys/marek.asc")

    with pytest.raises(PolicyError):
        read(SMALL.replace('file: keys/marek.asc', f'file: "{name}"'), note)
    assert asked == []


def test_a_file_that_is_no_key_or_holds_two_people() -> None:
    def two(file: str) -> bytes:
        return read_made("keys/marek.asc") + read_made("keys/joanna.asc")

    with pytest.raises(PolicyError, match="more than one key; a file holds one person's one key"):
        read(SMALL, two)
    with pytest.raises(PolicyError, match="SECRET key"):
        read(SMALL, lambda file: b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
    with pytest.raises(PolicyError, match="holds the key"):
        read(SMALL, lambda file: read_made("keys/eve.asc"))


@pytest.mark.parametrize("char", ["\u202e", "\u200b", "\x07", "\x1b", "\x85", "\u2028", "\ufeff"])
def test_characters_that_hide_what_a_person_reads(char: str) -> None:
    found = refused(changed("name: ours", f"name: ou{char}rs"))
    assert (found.line, found.column) == (9, 13)


def _statement() -> str:
    subjects = [Subject("policy.yaml", digests()), Subject("keys/marek.asc", digests("key"))]
    return encode(make(Kind.POLICY, "stable", subjects, serial=7))


ENCODINGS: Dict[str, Callable[[str], str]] = {
    "the keys in another order": lambda text: _compact(dict(reversed(list(json.loads(text).items())))),
    "blanks": lambda text: json.dumps(json.loads(text), sort_keys=True),
    "a newline at the end": lambda text: text + "\n",
    "two of them": lambda text: text + text,
    "an escape for a letter": lambda text: text.replace("stable", "st\\u0061ble"),
    "an escaped slash": lambda text: text.replace("keys/marek", "keys\\/marek"),
    "the subjects in another order": lambda text: _with_subjects(text, lambda subjects: subjects[::-1]),
    "a subject twice": lambda text: _with_subjects(text, lambda subjects: subjects[:1] + subjects),
    "a number of another form": lambda text: text.replace('"serial":7', '"serial":7.0'),
    "a leading zero": lambda text: text.replace('"serial":7', '"serial":07'),
    "the serial as text": lambda text: text.replace('"serial":7', '"serial":"7"'),
    "a key twice": lambda text: text.replace('"serial":7', '"serial":7,"serial":7'),
    "upper-case digests": lambda text: text.replace(digests().sha256, digests().sha256.upper()),
    "a byte order mark": lambda text: "\ufeff" + text,
}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _with_subjects(text: str, change: Callable[[List[object]], List[object]]) -> str:
    value = json.loads(text)
    return _compact({**value, "subject": change(value["subject"])})


@pytest.mark.parametrize("how", sorted(ENCODINGS))
def test_reordered_joined_or_re_encoded_statements(how: str) -> None:
    """Exactly one text says a thing, so no two readers of it can differ."""
    text = _statement()
    assert encode(parse(text)) == text
    other = ENCODINGS[how](text)
    assert other != text
    with pytest.raises(StatementError):
        parse(other)


VACUOUS: Tuple[str, ...] = ("", "{}", "[]", "null", "multisig: policy/v1", "# nothing\n", "---\n", "...", "multisig:\n")


@pytest.mark.parametrize("text", VACUOUS)
def test_an_empty_policy_never_means_that_anything_goes(text: str) -> None:
    refused(text)
