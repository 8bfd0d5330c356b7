# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON without its freedoms."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.strictjson import has_lone_surrogate, loads


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":2}',
        '[{"b":{"a":1,"a":2}}]',
        "1.0",
        "1e3",
        "-1",
        "-0",
        "NaN",
        "Infinity",
        "-Infinity",
        "1" * 19,
        "9" * 1_000_000,
        "01",
        "",
        "nul",
        "[1,]",
        '{"a":1,}',
        "{'a':1}",
        "[1] [2]",
        '"tab\tin it"',
        '"\n"',
        '"\\x41"',
        '"\\ud83"',
        "// comment\n1",
        "\ufeff1",
        "[" * 20_000,
        '{"a":' * 20_000,
        "[" * 20_000 + "]" * 20_000,
    ],
    ids=lambda text: text[:20] or "nothing",
)
def test_what_two_parsers_could_read_in_two_ways_is_an_error(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError):
        loads(text)
    assert time.process_time() - started < 1


def test_integers_strings_lists_and_objects_are_read() -> None:
    assert loads('{"a":[0,1,999999999999999999,"\\u00e4 \\ud83d\\ude00"],"b":{}}') == {
        "a": [0, 1, 999999999999999999, "ä 😀"],
        "b": {},
    }


@pytest.mark.parametrize("text", ['"\\ud83d"', '"\\ude00\\ud83d"', '"a\\udfffb"'])
def test_half_a_surrogate_pair_is_noticed(text: str) -> None:
    assert has_lone_surrogate(loads(text))


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert not has_lone_surrogate(loads('"\\ud83d\\ude00"'))


@given(st.text(max_size=200))
def test_whatever_the_text_nothing_but_a_value_error_comes_out(text: str) -> None:
    try:
        loads(text)
    except ValueError:
        return


@pytest.mark.parametrize("depth", range(sys.getrecursionlimit() - 150, sys.getrecursionlimit() + 50, 7))
def test_no_depth_of_nesting_is_more_than_an_error(depth: int) -> None:
    try:
        loads("[" * depth + "]" * depth)
    except ValueError as error:
        assert "deep" in str(error)
