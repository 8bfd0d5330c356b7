# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a repository: what is found in it by name, and what nonsense in it does: nothing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig import index
from multisig.bundle import MAX_ATTESTATIONS, MAX_SIGNATURES, Attestation
from multisig.errors import IndexFormatError, UnreadableError
from multisig.index import MAX_INDEX, MAX_LINE, MAX_LINES, Found
from multisig.statement import Kind, Subject
from multisig.unpack import unpacked
from tests.unit.core import NEVRA, attest, digests, statement

HEADER = b'{"multisig":"index/v1"}\n'
WORLD = "world-0:1.0-1.noarch"
BATCH = attest(statement(Subject(NEVRA, digests("h")), Subject(WORLD, digests("w"))), "marek", "joanna")
HELLO = attest(statement(), "rafal")


def written(*attestations: Attestation) -> bytes:
    return b"".join(index.encode(attestations))


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def search(data: bytes, *names: str, size: int = 1000) -> Found:
    """Search it as it may arrive: in pieces."""
    return index.search((data[at : at + size] for at in range(0, len(data), size)), names or (NEVRA,))


# --- what is found ---------------------------------------------------------------------------------------------------


def test_an_index_is_found_again_as_it_was_written() -> None:
    data = written(BATCH, HELLO)
    assert data.startswith(HEADER)
    assert list(index.attestations([data], pytest.fail)) == [BATCH, HELLO]


def test_a_package_has_what_names_it_and_nothing_else() -> None:
    found = search(written(BATCH, HELLO), NEVRA, WORLD, "other-0:1-1.noarch")
    assert found.attestations == {NEVRA: (BATCH, HELLO), WORLD: (BATCH,)}
    assert found.ignored == ()


def test_what_many_packages_share_is_parsed_once() -> None:
    found = search(written(BATCH), NEVRA, WORLD)
    assert found.attestations[NEVRA][0] is found.attestations[WORLD][0]


def test_lines_that_name_no_wanted_package_are_not_parsed() -> None:
    """Their errors are nobody's concern, and cost nothing."""
    assert search(HEADER + b"nonsense\n" + written(HELLO)[len(HEADER) :]) == Found({NEVRA: (HELLO,)})


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1 << 20])
def test_it_does_not_matter_how_it_arrives(size: int) -> None:
    assert search(written(BATCH, HELLO), NEVRA, size=size).attestations == {NEVRA: (BATCH, HELLO)}


def test_the_last_line_needs_no_end() -> None:
    assert search(written(HELLO)[:-1]).attestations == {NEVRA: (HELLO,)}


def escaped(text: str) -> str:
    r"""Each character as \uXXXX."""
    return "".join(f"\\u{ord(char):04x}" for char in text)


SPELLINGS: Dict[str, Callable[[str], str]] = {
    "as Python writes it": json.dumps,
    "with other white space": lambda text: " " + json.dumps(text) + "\t",
    "every character escaped": lambda text: '"' + escaped(text) + '"',
    "only the name escaped": lambda text: json.dumps(text).replace("hello", escaped("hello")),
    "only the key escaped": lambda text: json.dumps(text).replace("name", escaped("name")),
    "quotes by number": lambda text: json.dumps(text).replace('\\"', "\\u0022"),
    "one letter of the key": lambda text: json.dumps(text).replace("name", "n\\u0061me"),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_no_spelling_of_a_line_hides_a_package(spell: Callable[[str], str]) -> None:
    for item in (BATCH, HELLO):
        text = f'{{"signatures":{json.dumps(list(item.signatures))},"statement":{spell(item.statement)}}}'
        found = search(HEADER + text.encode() + b"\n", NEVRA)
        assert found.attestations == {NEVRA: (item,)}
        assert found.ignored == ()


@pytest.mark.parametrize("name", ['quote"-0:1-1.noarch', "back\\slash-0:1-1.noarch", '"},{"-0:1-1.noarch'])
def test_unusual_names_are_found_too(name: str) -> None:
    item = attest(statement(Subject(name, digests())), "marek")
    assert search(written(item), name, NEVRA).attestations == {name: (item,)}
    spelled = line({"statement": item.statement, "signatures": item.signatures}).replace(b"v1", b"\\u00761")
    assert search(HEADER + spelled, name, NEVRA).attestations == {name: (item,)}


def test_a_source_that_looks_like_a_list_adds_at_most_a_line_to_look_at() -> None:
    text = statement(Subject(WORLD, digests()), source=f'"name":"{NEVRA}"')
    assert search(written(attest(text, "marek")), WORLD).attestations.keys() == {WORLD}


def test_a_signature_that_looks_like_a_list_hides_no_package() -> None:
    """Whoever can add a signature to a statement must not be able to hide what others signed."""
    for text in (r'"name":"aaa"', r"\"name\":\"aaa\"", ']}","signatures":["name":"aaa"', '{"statement":"{"name":"zzz"'):
        for item in (
            Attestation(BATCH.statement, (text, *BATCH.signatures)),
            Attestation(BATCH.statement, (text,) * 3),
        ):
            for data in (written(item), HEADER + line({"signatures": item.signatures, "statement": item.statement})):
                assert search(data, NEVRA, WORLD).attestations == {NEVRA: (item,), WORLD: (item,)}


def test_a_list_that_begins_or_ends_with_the_name_has_it() -> None:
    names = [f"{letter}-0:1-1.noarch" for letter in "abcdefg"]
    items = [attest(statement(*(Subject(name, digests()) for name in names[at : at + 3])), "marek") for at in range(5)]
    for at, name in enumerate(names):
        expected = tuple(item for number, item in enumerate(items) if number <= at < number + 3)
        assert search(written(*items), name).attestations == {name: expected}
        assert search(written(*items), name, "0", "zz", "c-", "c-0:1-1.noarch.").attestations == {name: expected}


def test_no_name_hides_beyond_the_first_or_the_last_that_is_plain_to_see() -> None:
    names = [f"{letter}-0:1-1.noarch" for letter in "abc"]
    item = attest(statement(*(Subject(name, digests(name)) for name in names)), "marek")
    plain = index.line(item).decode()
    for hidden in [*names, "subject", "name", "digest", "sha512"]:
        spelled = plain.replace(hidden, escaped(hidden)).replace(f'"{escaped("name")}', '"name')
        for name in names:
            found = search(HEADER + spelled.encode() + b"\n", name)
            assert found.attestations == {name: (item,)}, (hidden, name)


NAMES = st.lists(st.text('ab"\\+', min_size=1, max_size=3).map("{}-0:1-1.noarch".format), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, max_size=3), NAMES, st.booleans())
def test_the_search_finds_what_reading_everything_finds(lists: List[List[str]], names: List[str], odd: bool) -> None:
    items = [
        attest(statement(*(Subject(name, digests()) for name in set(some)), source="ü" if odd else None), "marek")
        for some in lists
    ]
    expected = {
        name: tuple(item for item, some in zip(items, lists) if name in some)
        for name in names
        if any(name in some for some in lists)
    }
    assert search(written(*items), *names).attestations == expected


# --- nonsense --------------------------------------------------------------------------------------------------------

GOOD = written(HELLO)[len(HEADER) :]
NO_INDEX: Dict[str, bytes] = {
    "nothing": b"",
    "a line end": b"\n",
    "no header": GOOD,
    "the header last": GOOD + HEADER,
    "another version": b'{"multisig":"index/v2"}\n' + GOOD,
    "a bundle": b'{"multisig":"bundle/v1","attestations":[]}',
    "an unknown key": b'{"multisig":"index/v1","x":1}\n' + GOOD,
    "a key twice": b'{"multisig":"index/v1","multisig":"index/v1"}\n' + GOOD,
    "a byte order mark": b"\xef\xbb\xbf" + HEADER + GOOD,
    "an error page": b"<html>" + GOOD,
    "brackets": b"[" * 100_000,
    "bytes": b"\xff\xfe" * 100,
}


@pytest.mark.parametrize("data", NO_INDEX.values(), ids=NO_INDEX.keys())
def test_what_is_no_index_is_an_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(IndexFormatError, match="not an index"):
        search(data)
    with pytest.raises(IndexFormatError, match="not an index"):
        list(index.attestations([data], pytest.fail))


def with_name(**changes: object) -> bytes:
    """An attestation's line with these fields changed; it always holds the name that is looked for."""
    return line({"statement": HELLO.statement, "signatures": list(HELLO.signatures), **changes})


MALFORMED: Dict[str, bytes] = {
    "cut off": GOOD[:-20] + b"\n",
    "not UTF-8": GOOD[:-10] + b"\xff" + GOOD[-10:],
    "two values": GOOD[:-1] + b" {}\n",
    "a comma after it": GOOD[:-1] + b",\n",
    "an unknown key": with_name(x=1),
    "a statement that is no text": with_name(statement=[HELLO.statement]),
    "signatures that are no list": with_name(signatures="x"),
    "a signature that is no text": with_name(signatures=[1]),
    "too many signatures": with_name(signatures=["x"] * (MAX_SIGNATURES + 1)),
    "a lone surrogate": with_name(signatures=["\ud800"]),
    "a key twice": GOOD.replace(b'"signatures":', b'"statement":"","signatures":'),
    "a list": b"[" + GOOD[:-1] + b"]\n",
    "a bundle": line({"multisig": "bundle/v1", "attestations": [{"statement": HELLO.statement, "signatures": []}]}),
    "brackets": b"[" * 100_000 + GOOD,
    "a float": GOOD[:-2] + b',"x":1.5}\n',
}


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_line_is_passed_over_with_a_reason(bad: bytes) -> None:
    found = search(HEADER + bad + GOOD, size=1 << 20)
    assert found.attestations == {NEVRA: (HELLO,)}
    assert len(found.ignored) == 1
    assert found.ignored[0].startswith("line 2 of the index: ")
    told: List[str] = []
    assert list(index.attestations([HEADER + bad + GOOD], told.append)) == [HELLO]
    assert len(told) == 1


def test_a_line_that_is_too_long_is_passed_over() -> None:
    long = with_name(signatures=["x" * MAX_LINE])
    found = search(HEADER + long + GOOD, size=1 << 18)
    assert found == Found({NEVRA: (HELLO,)}, (f"line 2 of the index: longer than {MAX_LINE} bytes",))


def test_malformed_lines_do_not_fill_the_screen() -> None:
    found = search(HEADER + with_name(x=1) * 500 + GOOD, size=1 << 18)
    assert found.attestations == {NEVRA: (HELLO,)}
    assert len(found.ignored) == 6
    assert found.ignored[-1] == "495 more lines of the index"


def test_an_index_cannot_make_a_package_take_for_ever() -> None:
    """As many attestations of one package as a bundle may hold, the first ones."""
    items = [attest(statement(Subject(NEVRA, digests(str(number)))), "marek") for number in range(200)]
    assert search(written(*items, BATCH), NEVRA, WORLD, size=1 << 18).attestations == {
        NEVRA: tuple(items[:MAX_ATTESTATIONS]),
        WORLD: (BATCH,),
    }


def test_odd_spellings_do_not_cost_a_look_at_each_name() -> None:
    """Lines that any name could hide in, times the packages of a large upgrade, took a minute."""
    names = [f"{number}-0:1-1.noarch" for number in range(5000)]
    odd = b'{"statement":"\\u0061' + b"x" * 240 + b'"}\n'
    started = time.process_time()
    found = index.search([HEADER, b"\n", odd * 20_000, index.line(HELLO)], [*names, NEVRA])
    assert time.process_time() - started < 4
    assert found.attestations == {NEVRA: (HELLO,)}


def test_a_bomb_ends_at_the_limit() -> None:
    taken = 0

    def bomb() -> Iterator[bytes]:
        nonlocal taken
        yield HEADER
        while True:
            taken += 1 << 20
            yield b"\n" + b"x" * ((1 << 20) - 1)

    with pytest.raises(IndexFormatError, match="too large"):
        index.search(bomb(), [NEVRA])
    assert taken <= MAX_INDEX + (1 << 20)


def test_more_lines_than_attestations_could_be_are_too_many() -> None:
    with pytest.raises(IndexFormatError, match="too many lines"):
        search(HEADER + b"\n" * MAX_INDEX, size=1 << 18)
    assert search(HEADER + b"\n" * (MAX_LINES - 2), size=1 << 18) == Found({})


def test_one_endless_line_ends_at_the_limit() -> None:
    with pytest.raises(IndexFormatError, match="too large"):
        index.search(iter(lambda: b"x" * (1 << 20), b""), [NEVRA])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_do_more_than_be_passed_over(data: bytes, headed: bool) -> None:
    try:
        found = search((HEADER if headed else b"") + data, NEVRA, size=50)
    except IndexFormatError:
        assert not headed
    else:
        assert found.attestations == {}


# --- writing ---------------------------------------------------------------------------------------------------------


def test_uniting_keeps_what_came_first_first() -> None:
    one, two = statement(), statement(Subject(NEVRA, digests("b")))
    assert index.unite([attest(two, "simon", "marek"), attest(one, "rafal"), attest(two, "marek", "joanna")]) == [
        attest(two, "simon", "marek", "joanna"),
        attest(one, "rafal"),
    ]


def test_more_signatures_than_an_attestation_may_hold_are_not_lost() -> None:
    many = Attestation(statement(), tuple(f"signature {number}" for number in range(150)))
    united = index.unite([many])
    assert [len(item.signatures) for item in united] == [64, 64, 22]
    assert [text for item in united for text in item.signatures] == list(many.signatures)
    assert search(written(*united)).attestations == {NEVRA: tuple(united)}


def test_what_no_reader_would_take_is_not_written() -> None:
    large = Attestation(statement(), ("x" * (MAX_LINE - 1000),))
    assert written(large)
    with pytest.raises(IndexFormatError, match="too long for a line"):
        written(Attestation(statement(), ("x" * MAX_LINE,)))
    with pytest.raises(IndexFormatError, match="too much evidence"):
        for _ in index.encode([large] * 9):
            pass


def test_other_kinds_may_be_in_an_index_and_are_no_packages() -> None:
    item = attest(statement(Subject(NEVRA, digests()), kind=Kind.FILE), "marek")
    assert search(written(item)).attestations == {NEVRA: (item,)}  # evidence looks at the kind


# --- compressed files ------------------------------------------------------------------------------------------------


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACKERS: Dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())
def test_a_compressed_index_is_read(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = written(BATCH, *(attest(statement(Subject(NEVRA, digests(str(n)))), "marek") for n in range(2000)), HELLO)
    (tmp_path / "index").write_bytes(pack(data))
    assert b"".join(unpacked(str(tmp_path / "index"))) == data


def test_an_empty_file_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"")
    with pytest.raises(IndexFormatError):
        index.search(unpacked(str(tmp_path / "index")), [NEVRA])


@pytest.mark.parametrize("packer", [gzip.compress, zstd], ids=["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut off", "changed", "followed"])
def test_a_damaged_index_is_unreadable_or_ends_there(
    packer: Callable[[bytes], bytes], damage: str, tmp_path: Path
) -> None:
    packed = packer(written(*(attest(statement(Subject(NEVRA, digests(str(n)))), "marek") for n in range(200))))
    middle = len(packed) // 2
    damaged = {
        "cut off": packed[:middle],
        "changed": packed[:middle] + bytes([packed[middle] ^ 0x55]) * 40 + packed[middle + 40 :],
        "followed": packed + b"garbage" * 10,
    }[damage]
    (tmp_path / "index").write_bytes(damaged)
    try:
        found = index.search(unpacked(str(tmp_path / "index")), [NEVRA])
    except (UnreadableError, IndexFormatError):
        return
    # What a decompressor lets pass is evidence like any other.
    assert all(item.statement.startswith('{"_type"') for item in found.attestations.get(NEVRA, ()))


@pytest.mark.parametrize("packer", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_a_compressed_bomb_is_not_unpacked(packer: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(packer(HEADER + b" " * (MAX_INDEX + (40 << 20))))
    with pytest.raises(IndexFormatError, match="too large"):
        index.search(unpacked(str(tmp_path / "index")), [NEVRA])


def test_what_is_no_regular_file_is_unreadable_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "nothing"):
        with pytest.raises(UnreadableError):
            list(unpacked(str(path)))


def test_a_large_index_is_searched_quickly() -> None:
    """A guard against a search that grows with names times lines; figures are in ``make bench``."""
    items: List[Tuple[str, Attestation]] = []
    for number in range(10):
        subjects = [Subject(f"n{number}-{n:04d}-0:1-1.noarch", digests(str(n))) for n in range(2000)]
        items.append((subjects[0].name, attest(statement(*subjects), "marek")))
    data = written(*(item for _, item in items))
    names = [f"n{number}-{n:04d}-0:1-1.noarch" for number in range(10) for n in range(0, 2000, 2)]
    begun = time.process_time()
    found = search(data, *names, size=1 << 18)
    assert len(found.attestations) == 10_000
    assert time.process_time() - begun < 5
