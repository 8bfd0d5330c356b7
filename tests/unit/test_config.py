# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig.conf: a misspelt setting never means the default, and only the word warn warns."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig import paths
from multisig.config import Config, load_config, parse_config
from multisig.errors import ConfigError


def loaded(tmp_path: Path, text: str) -> Config:
    (tmp_path / "multisig.conf").write_text(text, encoding="utf-8")
    return load_config([str(tmp_path)])


def test_without_a_file_the_defaults_enforce(tmp_path: Path) -> None:
    assert load_config([]) == load_config([str(tmp_path), "/nowhere"]) == Config()
    assert Config() == Config(True, paths.POLICY, paths.JOURNAL, "auto")
    assert (paths.POLICY, paths.JOURNAL) == ("/etc/multisig/policy.yaml", "/var/lib/multisig/journal.sqlite")


@pytest.mark.parametrize("text", ["", "\n", "[main]\n", "# nothing\n", "[main]\nenabled = 1\n"])
def test_a_file_that_sets_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == Config()


def test_every_setting(tmp_path: Path) -> None:
    text = (
        "[main]\nenabled = 1\nmode = warn       # what it would refuse\npolicy = /p/policy.yaml\nhold-back = no\n"
        "openpgp = gpgv ; not sequoia\njournal = /j/journal.sqlite   # here\n"
    )
    assert loaded(tmp_path, text) == Config(False, "/p/policy.yaml", "/j/journal.sqlite", "gpgv")


def test_holding_back_is_asked_for_outright(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[main]\nhold-back = yes   # with an index\n").hold_back
    assert not loaded(tmp_path, "[main]\nhold-back = no\n").hold_back


@pytest.mark.parametrize("engine", ["auto", "gpgv", "sequoia", "both"])
def test_each_openpgp_engine_can_be_chosen(tmp_path: Path, engine: str) -> None:
    assert loaded(tmp_path, f"[main]\nopenpgp = {engine}\n").openpgp == engine


@pytest.mark.parametrize(
    "mode",
    ["enforce", "Warn", "WARN", "warning", "warn,", '"warn"', "'warn'", "w arn", "", "0", "no", "off", "warn warn"],
)
def test_anything_but_exactly_warn_enforces(tmp_path: Path, mode: str) -> None:
    assert loaded(tmp_path, f"[main]\nmode = {mode}\n").enforcing


def test_a_continued_line_is_not_exactly_warn(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[main]\nmode = warn\n  or not\n").enforcing


def test_percent_signs_are_themselves(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[main]\npolicy = /etc/%(mode)s/100%\n").policy == "/etc/%(mode)s/100%"


BROKEN = [
    "mode = warn\n", "[main\nmode = warn\n", "[main]\nmode\n", "[main]\nmode = warn\nmode = enforce\n",
    "[main]\nmode = warn\nMODE = enforce\n", "[main]\nmode : warn\n",
    "[main]\n[main]\n", "[main]\nmodus = warn\n", "[main]\nhold_back = no\n",
    "[Main]\nmode = warn\n", "[other]\n", "[DEFAULT]\nmode = warn\n", "[]\nmode = warn\n",
    "\ufeff[main]\nmode = warn\n",
    "[main]\npolicy = policy.yaml\n", "[main]\npolicy =\n", "[main]\njournal = ../journal\n", "[main]\njournal =\n",
    "[main]\nopenpgp = gpg\n", "[main]\nopenpgp =\n", "[main]\nopenpgp = Both\n", "[main]\nopenpgp = gpgv sequoia\n",
    "[main]\nhold-back = 1\n", "[main]\nhold-back =\n", "[main]\nhold-back = No\n", "[main]\nhold-back = Yes\n",
    "[main]\nmode = warn\n" + "#" * (64 << 10),
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: repr(text[:30]))
def test_what_cannot_be_understood_or_honoured_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert str(tmp_path / "multisig.conf") in str(caught.value)
    assert "\n" not in str(caught.value)


# --- [bundles] -------------------------------------------------------------------------------------------------------


def places(tmp_path: Path, text: str) -> "dict[str, tuple[str, ...]]":
    return dict(loaded(tmp_path, f"[bundles]\n{text}\n").bundles)


def test_places_for_bundles_by_repository(tmp_path: Path) -> None:
    text = """
fedora = /var/lib/rebuilders/f43 file:///media/usb/bundles
updates = https://rebuilders.example.org/f43/   # theirs
copr:copr.fedorainfracloud.org:group_x:y =
    http://127.0.0.1:8080/~x/a%20b
    /srv/bundles/
@commandline = /srv/bundles
Fedora = /another
"""
    assert places(tmp_path, text) == {
        "fedora": ("/var/lib/rebuilders/f43", "/media/usb/bundles"),
        "updates": ("https://rebuilders.example.org/f43",),
        "copr:copr.fedorainfracloud.org:group_x:y": ("http://127.0.0.1:8080/~x/a%20b", "/srv/bundles"),
        "@commandline": ("/srv/bundles",),
        "Fedora": ("/another",),
    }


def test_a_place_has_one_spelling_and_is_asked_once(tmp_path: Path) -> None:
    text = "a = /x/ /x//y/.. file:///x file://localhost/x/ http://h/ http://h file:///a%20b/\nb ="
    assert places(tmp_path, text) == {"a": ("/x", "http://h", "/a b"), "b": ()}


BAD_PLACES = [
    "a = bundles", "a = ./bundles", "a = ~/bundles", "a = ftp://h/x", "a = file:bundles", "a = file://host/x",
    "a = http:/x", "a = http://", "a = https:///x", "a = HTTP://h/x", "a = http://h/x?y=1", "a = http://h/x#y",
    "a = file:///%00", "a = /x\nb = x", "a = $releasever", "a = \"/x\"",
    "a/b = /x", "a b = /x", "* = /x", "fedora* = /x", "@system = /x", "ä = /x", "= /x", "a : /x", "a", "a = /x\na = /y",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_PLACES)
def test_what_is_no_place_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        places(tmp_path, text)
    assert str(tmp_path / "multisig.conf") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_later_directories_overrule_earlier_ones(tmp_path: Path) -> None:
    for name, text in (("a", "mode = warn\njournal = /a"), ("b", "journal = /b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "multisig.conf").write_text(f"[main]\n{text}\n")
    config = load_config([str(tmp_path / "a"), str(tmp_path / "b")])
    assert (config.enforcing, config.journal) == (False, "/b")
    assert load_config([str(tmp_path / "b"), str(tmp_path / "a")]).journal == "/a"


def test_later_directories_overrule_the_places_of_single_repositories(tmp_path: Path) -> None:
    for name, text in (("a", "x = /a\ny = /a"), ("b", "y = /b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "multisig.conf").write_text(f"[bundles]\n{text}\n")
    assert load_config([str(tmp_path / "a"), str(tmp_path / "b")]).bundles == {"x": ("/a",), "y": ("/b",)}


def test_a_file_that_cannot_be_read_is_an_error_and_not_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "folder" / "multisig.conf").mkdir(parents=True)
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "fifo" / "multisig.conf")
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "multisig.conf").symlink_to("multisig.conf")
    for name in ("folder", "fifo", "loop"):
        with pytest.raises(ConfigError):
            load_config([str(tmp_path / name)])


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=100) | st.text("[main]\n mode=warn:#;%", max_size=60).map(str.encode))
def test_whatever_the_bytes_nothing_but_a_config_error_comes_out(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(data, path="multisig.conf")
