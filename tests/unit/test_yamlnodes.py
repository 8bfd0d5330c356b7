# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML is read without its surprises, with libyaml and without."""

from __future__ import annotations

import time
from typing import List, Tuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.errors import PolicyError
from multisig.policy.yamlnodes import MAX_BYTES, Mapping, Node, Scalar, Sequence, parse_yaml


@pytest.fixture(params=["libyaml", "pure"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both of PyYAML's parsers: not every system's PyYAML is built with libyaml."""
    if request.param == "libyaml":
        assert yaml.__with_libyaml__
    else:
        monkeypatch.setattr(yaml, "__with_libyaml__", False)
    return str(request.param)


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def refusal(text: bytes) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        parse_yaml(text, path="p.yaml")
    return caught.value


BAD: List[Tuple[str, bytes, int, int, str, str]] = [
    ("duplicate key", b"serial: 1\nrules: []\nserial: 2\n", 3, 1, '"serial" is given twice', "first on line 1"),
    ("duplicate quoted key", b"a: 1\n\"a\": 2\n", 2, 1, "twice", "line 1"),
    ("duplicate escaped key", b"a: 1\n\"\\x61\": 2\n", 2, 1, "twice", "line 1"),
    ("duplicate in flow", b"x: {a: 1, b: 2, a: 3}\n", 1, 17, "twice", "line 1"),
    ("duplicate key, null values", b"a:\na:\n", 2, 1, "twice", "line 1"),
    ("anchor", b"a: &x 1\n", 1, 4, "an anchor, &x", "write it out"),
    ("anchor on a key", b"&x a: 1\n", 1, 1, "an anchor", "write it out"),
    ("anchor on a list", b"a: &x [1]\n", 1, 4, "an anchor", "write it out"),
    ("alias", b"a: *x\n", 1, 4, "an alias, *x", "quotes"),
    ("alias as key", b"*x : 1\n", 1, 1, "an alias", "quotes"),
    ("merge key", b"a: 1\n<<: {b: 2}\n", 2, 1, "a merge key", "write the entries out"),
    ("quoted merge key", b'"<<": {b: 2}\n', 1, 1, "a merge key", "write the entries out"),
    ("local tag", b"a: !x 1\n", 1, 4, "a tag", "remove it"),
    ("str tag", b"a: !!str 1\n", 1, 4, "a tag", "remove it"),
    ("non-specific tag", b"a: ! 1\n", 1, 4, "a tag", "remove it"),
    ("python tag", b"a: !!python/object/apply:os.system [id]\n", 1, 4, "a tag", "remove it"),
    ("verbatim tag on the root", b"!<tag:yaml.org,2002:map> {a: 1}\n", 1, 1, "a tag", "remove it"),
    ("YAML directive", b"%YAML 1.2\n---\na: 1\n", 1, 1, "directive", "remove it"),
    ("TAG directive", b"%TAG ! !!\n---\na: 1\n", 1, 1, "directive", "remove it"),
    ("unknown directive", b"# x\n%FOO bar\n---\na: 1\n", 2, 1, "directive", "remove it"),
    ("two documents", b"a: 1\n---\nb: 2\n", 2, 1, "a second document", "one document"),
    ("two documents, the second empty", b"a: 1\n---\n", 2, 1, "a second document", "one document"),
    ("nothing", b"", 1, 1, "empty", "multisig: policy/v1"),
    ("comments alone", b"# hello\n\n", 1, 1, "empty", "multisig: policy/v1"),
    ("list as key", b"? [a]\n: 1\n", 1, 3, "a key that is a list", "plain words"),
    ("mapping as key", b"{{a: 1}: 2}\n", 1, 2, "a key that is a list or a mapping", "plain words"),
    ("number as key", b"1: a\n", 1, 1, "the key 1 is a number", 'quotes: "1"'),
    ("NO as key", b"a: 1\nNO: a\n", 2, 1, "the key NO is true or false", 'quotes: "NO"'),
    ("null as key", b"~: a\n", 1, 1, "nothing (null)", "quotes"),
    ("no key", b"{? : a}\n", 1, 4, "nothing (null)", "before the colon"),
    ("date as key", b"2025-01-01: a\n", 1, 1, "a date", "quotes"),
    ("byte order mark", b"\xef\xbb\xbfa: 1\n", 1, 1, "byte order mark", "UTF-8"),
    ("UTF-16", "a: 1\n".encode("utf-16"), 1, 1, "byte order mark", "UTF-8"),
    ("Latin-1", b"a: 1\nb: \xe9\n", 2, 4, "not UTF-8", "save it as UTF-8"),
    ("encoded surrogate", b"a: \xed\xa0\x80\n", 1, 4, "not UTF-8", "UTF-8"),
    ("NUL", b"a: 1\nb: x\x00y\n", 2, 5, "U+0000", "remove it"),
    ("escape character", b"a: \x1b[31m\n", 1, 4, "U+001B", "remove it"),
    ("lone carriage return", b"a: 1\rb: 2\n", 1, 5, "U+000D", "remove it"),
    ("next line", "a: 1\u0085b: 2\n".encode(), 1, 5, "U+0085", "remove it"),
    ("line separator", "# c\u2028a: 1\n".encode(), 1, 4, "U+2028", "remove it"),
    ("right-to-left override", "a: 1 # \u202ex\n".encode(), 1, 8, "U+202E", "remove it"),
    ("zero width space", "a: x\u200by\n".encode(), 1, 5, "U+200B", "remove it"),
    ("byte order mark within", "a: \ufeffx\n".encode(), 1, 4, "U+FEFF", "remove it"),
    ("escaped NUL", b'a: "x\\0y"\n', 1, 4, "control or invisible", "one line"),
    ("escaped new line", b'a: "x\\ny"\n', 1, 4, "line break", "one line"),
    ("block text", b"a: |\n  x\n  y\n", 1, 4, "line break", "one line"),
    ("bracket left open", b"a: [1, 2\n", 2, 1, "not YAML", "brackets"),
    ("bracket closed too often", b"a: [1]]\n", 1, 7, "not YAML", "brackets"),
    ("tab as indentation", b"a:\n\t- 1\n", 2, 1, "not YAML", "indentation"),
    ("bad escape", b'a: "\\q"\n', 1, 6, "not YAML", "quotes"),
]


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_what_yaml_hides_is_an_error_at_its_place(
    loader: str, text: bytes, line: int, column: int, message: str, hint: str
) -> None:
    error = refusal(text)
    assert message in error.message
    assert hint in (error.hint or "")
    assert error.path == "p.yaml"
    assert error.line == line
    if not message.startswith("not YAML") and "before the colon" not in hint:  # there the two parsers differ
        assert error.column == column


@pytest.mark.parametrize(
    "text", [b'a: "\\ud800"\n', b'a: "\\UFFFFFFFF"\n', b'a: "\\uFFFE"\n', "a: \uffff\n".encode()], ids=repr
)
def test_no_escape_makes_a_character_that_is_none(loader: str, text: bytes) -> None:
    assert refusal(text).path == "p.yaml"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x", "str"), ("'1'", "str"), ('"NO"', "str"), ("NO", "bool"), ("yes", "bool"), ("true", "bool"),
        ("on", "bool"), ("7", "int"), ("0x7", "int"), ("1:30", "int"), ("0123", "int"), ("1_000", "int"), ("-1", "int"),
        ("1.0", "float"), (".inf", "float"), ("null", "null"), ("~", "null"), ("", "null"), ("2025-01-01", "timestamp"),
        ("2 of builders", "str"), ("0" * 39 + "1", "int"), ("=", "value"),
    ],
)  # fmt: skip
def test_a_scalar_stays_text_and_tells_what_the_safe_loader_would_make_of_it(loader: str, text: str, kind: str) -> None:
    root = parse_yaml(f"a: {text}\n".encode(), path="p")
    assert isinstance(root, Mapping)
    node = root.get("a")
    assert isinstance(node, Scalar)
    assert node.text == text.strip("'\"")
    assert node.kind == kind


def test_nodes_remember_where_they_stood(loader: str) -> None:
    root = parse_yaml(b"---\na: 1\nb:\n  - x\n  - {c: 'y'}\n...\n", path="p")
    assert plain(root) == {"a": "1", "b": ["x", {"c": "y"}]}
    assert isinstance(root, Mapping)
    assert (root.line, root.column) == (2, 1)
    items = root.get("b")
    assert isinstance(items, Sequence)
    assert [(item.line, item.column) for item in items.items] == [(4, 5), (5, 5)]


def test_windows_line_ends_are_read_and_counted(loader: str) -> None:
    assert plain(parse_yaml(b"a: 1\r\nb: 2\r\n", path="p")) == {"a": "1", "b": "2"}
    assert refusal(b"a: 1\r\na: 2\r\n").line == 2


@pytest.mark.parametrize("bomb", [b"[", b"{a: ", b"- ", b"? ", b"[[{a: [", b"{"])
def test_64_kib_of_open_brackets_end_soon_without_a_recursion_error(loader: str, bomb: bytes) -> None:
    before = time.process_time()
    error = refusal(b"a:\n " + bomb * ((MAX_BYTES - 4) // len(bomb)))
    assert "nested deeper than 20" in error.message or "not YAML" in error.message or "a key that is" in error.message
    assert time.process_time() - before < 3


def test_20_levels_are_read_and_21_are_not(loader: str) -> None:
    parse_yaml(b"[" * 20 + b"]" * 20, path="p")
    assert refusal(b"[" * 21 + b"]" * 21).column == 21


def test_more_than_64_kib_are_refused_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "parse", None)
    assert "larger than 65536" in refusal(b"#" * (MAX_BYTES + 1)).message


def test_64_kib_of_distinct_keys_take_no_quadratic_time() -> None:
    keys = b",".join(b"k%x: " % number for number in range(9000))[: MAX_BYTES - 20].rsplit(b",", 1)[0]
    before = time.process_time()
    root = parse_yaml(b"{" + keys + b"}", path="p")
    assert time.process_time() - before < 2
    assert isinstance(root, Mapping)
    assert len(root.entries) > 6000


SNIPPETS = ["a", "b", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "&x ", "*x", "!t ", "|\n", ">-\n", "'", '"',
            "\\", "? ", "<<", "---", "...", "%", "#", "@", "`", "\t", "\r", "\0", "\x85", "1", "é", "\ufeff",
            "\U0001f600"]  # fmt: skip


@settings(max_examples=200, deadline=None, database=None)
@given(st.binary(max_size=200) | st.lists(st.sampled_from(SNIPPETS), max_size=40).map("".join).map(str.encode))
def test_whatever_the_bytes_nothing_but_a_policy_error_comes_out(loader: str, text: bytes) -> None:
    try:
        parse_yaml(text, path="p.yaml")
    except PolicyError as error:
        assert error.path == "p.yaml"
