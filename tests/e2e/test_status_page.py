# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of ``multisig status --html`` in a real browser: it filters, it looks as it should, and nothing gets out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import pytest

from fixtures.browser import Browser
from multisig.cli.statuspage import page
from multisig.survey import Content, Survey
from tests.unit.core import NOW, digests
from tests.unit.survey_bench import DAY, broken, many, package, some_policy, survey

Attributes = List[Tuple[str, Optional[str]]]
LIGHT, DARK = (0xF6, 0xF7, 0xF9), (0x0E, 0x12, 0x16)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield Browser(tmp_path_factory.mktemp("chromium"))


class Document(HTMLParser):
    """Elements with their attributes, and the rows of the matrix by name: their attributes and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.rows: Dict[str, Dict[str, Optional[str]]] = {}
        self.texts: Dict[str, str] = {}
        self._row: Dict[str, Optional[str]] = {}
        self._open: List[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "tr":
            self._row = attributes
        self._open.append(attributes.get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "summary":
            self.rows[data] = self._row
        elif self._open:
            self.texts[self._open[-1]] = self.texts.get(self._open[-1], "") + data

    @property
    def visible(self) -> List[str]:
        return [name for name, attributes in self.rows.items() if "hidden" not in attributes]


def write(folder: Path, found: Survey) -> str:
    path = folder / "status.html"
    path.write_text(page(found), encoding="utf-8")
    return path.as_uri()


BY = some_policy()


def three() -> Survey:
    others = [Content(digests("other"), ("joanna",))]
    return survey(
        BY,
        [
            package(BY, "hello-0:1.0-1.noarch", ["marek", "rafal", "simon"]),
            package(BY, "greet-0:1.0-1.noarch", ["marek", "joanna"]),
            package(BY, "world-0:2.0-1.x86_64", ["marek", "rafal", "simon"], others),
        ],
    )


# --- its script ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["greet", "world", "hello"]),
        ("#?q=HELLO", ["hello"]),
        ("#?q=noarch+1.0", ["greet", "hello"]),
        ("#?s=attention", ["greet", "world"]),
        ("#?s=disputed", ["world"]),
        ("#?s=approved", ["world", "hello"]),
        ("#?w=rafal", ["greet"]),
        ("#?w=rafal&q=hello", []),
        ("#?q=no+such", []),
        ("#?w=nobody-of-that-name", ["greet", "world", "hello"]),
    ],
)
def test_it_filters_by_name_state_and_person(browser: Browser, tmp_path: Path, query: str, shown: List[str]) -> None:
    document = Document(browser.document(write(tmp_path, three()) + query))
    assert [name.partition("-")[0] for name in document.visible] == shown
    assert document.texts["shown"] == f"{len(shown)} of 3"
    (none,) = [attributes for _, attributes in document.elements if attributes.get("id") == "none"]
    assert ("hidden" in none) is bool(shown)


def test_five_thousand_packages(browser: Browser, tmp_path: Path) -> None:
    found = many(5000)
    document = Document(browser.document(write(tmp_path, found) + "#?q=kernel"))
    wanted = {row.verdict.name for row in found.rows if "kernel" in row.verdict.name}
    assert set(document.visible) == wanted
    assert len(document.rows) == len({row.verdict.name for row in found.rows})


def test_the_tab_says_how_it_stands(browser: Browser, tmp_path: Path) -> None:
    assert Document(browser.document(write(tmp_path, three()))).texts["title"] == "demo-stable: 2 of 3 approved"


# --- what gets in, and out -------------------------------------------------------------------------------------------

HOSTILE = (
    "<script>document.title='pwned'</script>",
    "</script><script>document.title='pwned'</script>",
    "</style><style>*{display:none}</style>",
    "<img src=x onerror=document.title='pwned'>",
    "\"><svg onload=document.title='pwned'>",
    "{{ 7 * 7 }}{% raw %}",
    "' onmouseover='document.title=1",
    "\u202egpj.exe",
    "\x00\x1b[2J\r\n\u2028",
    "x" * 5000,
    "\udcff\udc80",
    "&lt;b&gt;",
)


def hostile() -> Survey:
    rows = [broken(BY, f"{text}.rpm", text) for text in HOSTILE]
    rows += [package(BY, f"p{number}-0:1-1.noarch", ["marek"], note=text) for number, text in enumerate(HOSTILE)]
    return survey(BY, rows, notes=HOSTILE)


def test_whatever_a_name_holds_is_text(browser: Browser, tmp_path: Path) -> None:
    document = Document(browser.document(write(tmp_path, hostile())))
    elements = [tag for tag, _ in document.elements]
    assert document.texts["title"] == "demo-stable: 0 of 24 approved"
    assert (elements.count("script"), elements.count("style"), elements.count("img")) == (1, 1, 0)
    assert not [name for _, attributes in document.elements for name in attributes if name.startswith("on")]
    assert "<script>document.title='pwned'</script>.rpm" in document.rows
    assert "\\u202egpj.exe.rpm" in document.rows
    assert "{{ 7 * 7 }}{% raw %}.rpm" in document.rows
    assert "&lt;b&gt;.rpm" in document.rows, "escaped once, not twice"
    assert document.texts["shown"] == "24 of 24", "its own script did run"


def test_nothing_is_fetched_from_anywhere_and_only_its_own_style_and_script_may_run(tmp_path: Path) -> None:
    document = Document(page(hostile()))
    for tag, attributes in document.elements:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base")
        assert not {"src", "style", "srcset", "action"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")  # type: ignore[union-attr]
    (policy,) = [attributes["content"] for _, attributes in document.elements if "http-equiv" in attributes]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; script-src 'sha256-[\w+/=]{44}'; "
        r"base-uri 'none'; form-action 'none'", policy,
    )  # fmt: skip


def test_every_field_can_be_reached_and_is_named(tmp_path: Path) -> None:
    document = Document(page(three()))
    ids = {attributes["id"] for _, attributes in document.elements if "id" in attributes}
    for tag, attributes in document.elements:
        for name in ("aria-labelledby", "for"):
            assert set((attributes.get(name) or "").split()) <= ids
        if tag == "th":
            assert attributes["scope"] in ("col", "row")
        if tag == "svg":
            assert attributes["aria-hidden"] == "true"


# --- how it looks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_light_or_dark_as_the_reader_likes_it(browser: Browser, tmp_path: Path, dark: bool) -> None:
    """Its style is let in by its digest alone: were that wrong, the page would be black on white."""
    picture = browser.picture(write(tmp_path, three()), tmp_path / "seen.png", dark=dark)
    assert picture.at(2, 2) == (DARK if dark else LIGHT)


@pytest.mark.parametrize("width", [500, 1600])
def test_nothing_sticks_out_whatever_the_width(browser: Browser, tmp_path: Path, width: int) -> None:
    """The margins at both sides are empty from top to bottom."""
    picture = browser.picture(write(tmp_path, hostile()), tmp_path / "seen.png", width=width)
    for x in (2, picture.width - 3):
        assert {picture.at(x, y) for y in range(picture.height)} == {LIGHT}


def test_a_release_that_is_over_is_red(browser: Browser, tmp_path: Path) -> None:
    red = (0xFD, 0xE8, 0xE6)
    for ends, there in ((NOW - DAY, True), (NOW + 9 * DAY, False)):
        picture = browser.picture(write(tmp_path, survey(BY, [], ends=ends)), tmp_path / "seen.png")
        pixels = {picture.at(x, y) for y in range(picture.height) for x in range(100, 1000, 10)}
        assert (red in pixels) is there
