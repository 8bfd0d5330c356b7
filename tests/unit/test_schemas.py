# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON Schemas that editors use say what the parsers say.

Held to each other in both directions, on made-up policies and bundles and on broken ones: what a parser accepts its
schema accepts, and what a schema lets pass that the parser refuses is one of the few things that only a parser can see.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from multisig import bundle
from multisig.errors import BundleError, PolicyError
from multisig.policy import parse_policy
from tests.unit.policy_keys import keys, read_file

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = settings(max_examples=100, deadline=None, database=None)

#: What only the parser of policies sees, by its own words.
SEMANTIC = (
    r"is not among the signers",
    r"there is no group",
    r"but \S+ has \d+ (person|people)",
    r"names \S+ twice",  # the schema sees it where the names are written alike
    r"two rules are called",
    r"is listed twice",
    r"share the key",
    r"holds the key .*, not",
    r"cannot read ",
    r"is not a usable key",
    r"is not the digest of a statement|^\S+/\S+ is empty",
    r"there is no such day",
    r'"\[" without "\]"|the range ".*" is empty|ends with "/"|"//", "\." or "\.\." in the path',
    r"nest deeper than|nested deeper than",
    r'file cannot be "|statements cannot be "',
)


def validator(name: str) -> Draft7Validator:
    schema = json.loads((ROOT / "multisig" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


POLICY, BUNDLE = validator("policy"), validator("bundle")


def parser_says(value: object) -> Optional[str]:
    """Why the parser refuses a policy, in its words; None where it does not. JSON is YAML."""
    try:
        parse_policy(json.dumps(value, ensure_ascii=False).encode(), path="p", read_file=read_file)
    except PolicyError as error:
        return error.message
    return None


def schema_says(value: object) -> Optional[str]:
    found = next(POLICY.iter_errors(value), None)
    return None if found is None else f"{list(found.absolute_path)}: {found.message}"


def agree(value: object) -> None:
    parser, schema = parser_says(value), schema_says(value)
    if parser is None:
        assert schema is None, f"the schema refuses what the parser accepts: {schema}"
    elif schema is None:
        assert re.search("|".join(SEMANTIC), parser), f"the schema accepts what the parser refuses: {parser}"


# --- policies that are right -----------------------------------------------------------------------------------------

PEOPLE = ("ann", "bob", "cat", "sub")
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", fullmatch=True)
CHANNELS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, blacklist_categories=("C", "Z")), max_size=30).map(
    lambda text: f"a{text}"
)
DATES = st.dates().map(str)
GLOBS = st.lists(st.text("ab-*?[]!z", min_size=1, max_size=8) | TEXTS, min_size=1, max_size=3)
PATHS = st.lists(st.sampled_from(["/etc/**", "**", "**/x", "/usr/*/[a-z]", "/a?"]), min_size=1, max_size=3)


def key(person: str) -> Dict[str, str]:
    return {"fingerprint": keys()[person].fingerprint, "file": f"keys/{person}.asc"}


def leaves(groups: Dict[str, List[str]]) -> "st.SearchStrategy[Any]":
    return st.sampled_from(sorted(groups)).flatmap(
        lambda group: st.integers(1, len(groups[group])).map(lambda number: f"{number} of {group}")
    )


def requirements(groups: Dict[str, List[str]]) -> "st.SearchStrategy[Any]":
    return st.recursive(
        leaves(groups),
        lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)).map(
            lambda pair: {pair[0]: pair[1]}
        ),
        max_leaves=4,
    )


@st.composite
def signers(draw: st.DrawFn, person: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {"keys": [key(person)]}
    retired = draw(st.none() | DATES | st.fixed_dictionaries({"from": DATES, "statements": st.just("retired/ann.txt")}))
    if retired is not None:
        found["retired"] = retired
    if draw(st.booleans()):
        found["compromised"] = draw(st.booleans())
    return found


@st.composite
def rules(draw: st.DrawFn, name: str, groups: Dict[str, List[str]]) -> Dict[str, Any]:
    found: Dict[str, Any] = {"name": name}
    kind = draw(st.sampled_from([None, "rpm", "file", "tree"]))
    if kind is not None:
        found["kind"] = kind
    optional: Dict[str, "st.SearchStrategy[Any]"] = {"repos": GLOBS}
    if kind in (None, "rpm"):
        content = st.fixed_dictionaries(
            {}, optional={"setuid": st.just(True), "scripts": st.just(True), "paths": PATHS, "provides": GLOBS}
        )
        optional |= {"packages": GLOBS, "content": content.filter(bool), "file-signatures": st.just("allow")}
    found |= draw(st.fixed_dictionaries({}, optional=optional))
    way = draw(st.sampled_from(["require", "exempt", "signed-by"] if kind in (None, "rpm") else ["require", "exempt"]))
    if way == "require":
        found |= {"channel": draw(CHANNELS), "require": draw(requirements(groups))}
        if kind in (None, "rpm") and draw(st.booleans()):
            age = draw(st.from_regex(r"[1-9][0-9]{0,4}[dh]", fullmatch=True))
            found["release"] = {"require": draw(requirements(groups)), "max-age": age}
    elif way == "exempt":
        found |= {"exempt": draw(TEXTS), "until": draw(DATES | st.just("never"))}
    else:
        chosen = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True))
        found["signed-by"] = [key(person) for person in chosen]
    return found


@st.composite
def policies(draw: st.DrawFn) -> Dict[str, Any]:
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True))
    named = dict(zip(draw(st.lists(NAMES, min_size=len(people), max_size=len(people), unique=True)), people))
    members = st.lists(st.sampled_from(sorted(named)), min_size=1, unique=True)
    groups = draw(st.dictionaries(NAMES, members, min_size=1, max_size=3))
    names = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    found: Dict[str, Any] = {
        "multisig": "policy/v1",
        "serial": draw(st.integers(1, 10**18 - 1)),
        "signers": {name: draw(signers(person)) for name, person in named.items()},
        "groups": groups,
        "rules": [draw(rules(name, groups)) for name in names],
    }
    if draw(st.booleans()):
        found |= {"channel": draw(CHANNELS), "policy-quorum": draw(requirements(groups))}
    if draw(st.booleans()):
        days = st.integers(1, 36500) | st.just("unlimited")
        optional = {"min-rsa-bits": st.integers(2048, 16384), "max-validity-days": days}
        found["keys"] = draw(st.fixed_dictionaries({}, optional=optional))
    return found


@EXAMPLES
@given(policies())
def test_what_can_be_said_in_a_policy_both_accept(value: Dict[str, Any]) -> None:
    agree(value)
    refused = parser_says(value)
    assert refused is None or re.search(r"without|is empty|ends with|in the path|begin with", refused), refused


# --- and policies that are not ---------------------------------------------------------------------------------------

ODD: List[Any] = [
    None, True, False, 0, 1, -1, 2048, 10**18, 1.5, "", " ", "x", " x", "x ", "never", "unlimited", "allow", "rpm",
    "2 of g", "0 of g", "01 of g", "1 of  g", "g", "2027-06-30", "2027-02-30", "2027-6-30", "14d", "0d", "14",
    "policy/v1", "policy/v2", "/x", "x/", "../x", "a/../b", ".", "a" * 41, "0" * 40, "a" * 257, "a" * 1001, "**", "*",
    "[", "[z-a]", "[]", "//", "/a//b", [], [None], ["x"], ["x", "x"], [["x"]], {}, {"x": "y"}, {"all": []},
    {"any": ["1 of g"], "all": ["1 of g"]}, {"all": "x"}, {"from": "2027-01-01"},
    {"from": "2027-01-01", "statements": "retired/ann.txt"}, {"setuid": True}, {"setuid": False},
]  # fmt: skip
WORDS = [
    "multisig", "serial", "channel", "policy-quorum", "signers", "groups", "keys", "rules", "name", "kind", "repos",
    "packages", "content", "require", "release", "signed-by", "exempt", "until", "file-signatures", "retired",
    "compromised", "fingerprint", "file", "setuid", "scripts", "paths", "provides", "all", "any", "max-age", "from",
    "statements", "min-rsa-bits", "max-validity-days", "x", "NO", "a b", "",
]  # fmt: skip


def places(value: object) -> List[Tuple[Any, Any]]:
    """Every container within a value, with each of its keys."""
    found: List[Tuple[Any, Any]] = []
    if isinstance(value, dict):
        found += [(value, name) for name in value]
        for inner in value.values():
            found += places(inner)
    elif isinstance(value, list):
        found += [(value, index) for index in range(len(value))]
        for inner in value:
            found += places(inner)
    return found


@st.composite
def broken(draw: st.DrawFn) -> Any:
    value = copy.deepcopy(draw(policies()))
    for _ in range(draw(st.integers(1, 2))):
        options = places(value)
        container, name = options[draw(st.integers(0, len(options) - 1))]
        change = draw(st.sampled_from(["replace", "remove", "add", "move", "rename"]))
        if change == "remove":
            del container[name]
        elif change == "move":
            other, place = options[draw(st.integers(0, len(options) - 1))]
            container[name] = copy.deepcopy(other[place])
        elif change == "rename" and isinstance(container, dict):
            container[draw(st.sampled_from(WORDS))] = container.pop(name)
        elif change == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(WORDS))] = draw(st.sampled_from(ODD))
        else:
            container[name] = draw(st.sampled_from(ODD))
    return value


@settings(EXAMPLES, max_examples=200)
@given(broken())
def test_of_a_broken_policy_both_say_the_same_but_for_what_only_the_parser_sees(value: object) -> None:
    agree(value)


@pytest.mark.parametrize("odd", [None, True, 0, "x", [], [1]])
def test_what_is_no_mapping_is_refused_by_both(odd: object) -> None:
    assert parser_says(odd) is not None
    assert schema_says(odd) is not None


SMALL: Dict[str, Any] = {
    "multisig": "policy/v1",
    "serial": 1,
    "signers": {"ann": {"keys": [{"fingerprint": "@", "file": "keys/ann.asc"}]}},
    "groups": {"g": ["ann"]},
    "rules": [{"name": "all", "channel": "c", "require": "1 of g"}],
}


def where(policy: Dict[str, Any]) -> List[Tuple[Any, Tuple[str, ...]]]:
    """The mappings of the small policy, each with the words that belong there."""
    (rule,) = policy["rules"]
    content, release = rule["content"], rule["release"]
    signer = policy["signers"]["ann"]
    return [
        (policy, ("multisig", "serial", "channel", "policy-quorum", "signers", "groups", "keys", "rules", "x")),
        (signer, ("keys", "retired", "compromised")),
        (signer["keys"][0], ("fingerprint", "file")),
        (rule, (
            "name", "kind", "repos", "packages", "content", "channel", "require", "release", "signed-by", "exempt",
            "until", "file-signatures",
        )),
        (content, ("setuid", "scripts", "paths", "provides")),
        (release, ("require", "max-age")),
    ]  # fmt: skip


def test_every_odd_value_in_every_place() -> None:
    small = copy.deepcopy(SMALL)
    small["signers"]["ann"]["keys"] = [key("ann")]
    small["rules"][0] |= {"content": {"setuid": True}, "release": {"require": "1 of g", "max-age": "1d"}}
    assert parser_says(small) is None
    for container, words in where(small):
        before = dict(container)
        for word in words:
            for odd in ODD:
                container[word] = odd
                agree(small)
                container.clear()
                container.update(before)


def test_the_parser_alone_sees_these() -> None:
    """One of each, so that the list above does not grow stale: the schema lets all of them pass."""
    examples: Dict[str, Dict[str, Any]] = {
        "not among the signers": {"groups": {"g": ["ann", "eve"]}},
        "there is no group": {"rules": [{"name": "a", "channel": "c", "require": "1 of h"}]},
        "but g has 1 person": {"rules": [{"name": "a", "channel": "c", "require": "2 of g"}]},
        "two rules are called": {"rules": [{"name": "a", "channel": "c", "require": "1 of g"}] * 2},
        "is listed twice": {"rules": [{"name": "a", "signed-by": [key("bob")] * 2}]},
        "share the key": {"signers": {"ann": {"keys": [key("ann")]}, "eve": {"keys": [key("ann")]}}},
        "holds the key": {"rules": [{"name": "a", "signed-by": [{**key("bob"), "file": "keys/cat.asc"}]}]},
        "cannot read": {"rules": [{"name": "a", "signed-by": [{**key("bob"), "file": "keys/nobody.asc"}]}]},
        "is not a usable key": {"rules": [{"name": "a", "signed-by": [{**key("bob"), "file": "retired/ann.txt"}]}]},
        "there is no such day": {"rules": [{"name": "a", "exempt": "x", "until": "2027-02-30"}]},
        "without": {"rules": [{"name": "a", "packages": ["["], "exempt": "x", "until": "never"}]},
        "nest deeper": {"policy-quorum": deep(9), "channel": "c"},
    }
    for words, change in examples.items():
        small = {**copy.deepcopy(SMALL), "signers": {"ann": {"keys": [key("ann")]}}, **change}
        assert schema_says(small) is None, words
        refused = parser_says(small)
        assert refused is not None and words in refused
        assert re.search("|".join(SEMANTIC), refused)


def deep(levels: int) -> Any:
    return "1 of g" if levels == 0 else {"all": [deep(levels - 1)]}


# --- bundles ---------------------------------------------------------------------------------------------------------

SOME_TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
ATTESTATIONS = st.lists(
    st.fixed_dictionaries({"statement": SOME_TEXT, "signatures": st.lists(SOME_TEXT, max_size=66)}), max_size=66
)
BUNDLES = st.fixed_dictionaries({"multisig": st.just("bundle/v1"), "attestations": ATTESTATIONS})


@st.composite
def broken_bundles(draw: st.DrawFn) -> Any:
    value = copy.deepcopy(draw(BUNDLES))
    options = places(value)
    container, name = options[draw(st.integers(0, len(options) - 1))]
    odd = draw(st.sampled_from([*ODD, "bundle/v2"]))
    if isinstance(container, dict) and draw(st.booleans()):
        container[draw(st.sampled_from(["statement", "signatures", "multisig", "attestations", "x"]))] = odd
    else:
        container[name] = odd
    return value


@EXAMPLES
@given(BUNDLES | broken_bundles())
def test_of_a_bundle_the_schema_says_just_what_the_parser_says(value: Any) -> None:
    """But for numbers, which a bundle has no place for, and its size."""
    try:
        bundle.parse(json.dumps(value).encode())
        accepted = True
    except BundleError:
        accepted = False
    assert BUNDLE.is_valid(value) is accepted


def test_the_example_points_editors_to_the_schema() -> None:
    example = (ROOT / "etc" / "policy.yaml.example").read_text(encoding="utf-8")
    assert "# yaml-language-server: $schema=/usr/share/multisig/policy.schema.json\n" in example
    assert "$(DATADIR)/multisig" in (ROOT / "Makefile").read_text(encoding="utf-8")
