# SPDX-License-Identifier: GPL-2.0-or-later
"""Flags and macros: what makes rpm leave out signed files or its own checks is refused, the rest is recorded."""

from __future__ import annotations

from typing import Callable, Mapping

import pytest
import rpm

from multisig.rpmsettings import _RECORDED_FLAGS, _REFUSED_FLAGS, examine


def macros(values: Mapping[str, str]) -> Callable[[str], str]:
    def expand(text: str) -> str:
        assert text.startswith("%{?") and text.endswith("}")
        return values.get(text[3:-1], "")

    return expand


DEFAULTS = {"_install_langs": "all", "_pkgverify_level": "digest"}


def test_rpm_as_it_comes_is_neither_refused_nor_worth_a_word() -> None:
    assert examine(0, macros(DEFAULTS)) == examine(0, macros({}))
    assert not examine(0, macros({})).refused and not examine(0, macros({})).recorded


@pytest.mark.parametrize("name", [name for name, _ in _REFUSED_FLAGS.values()])
def test_a_flag_that_leaves_out_files_or_checks_is_refused(name: str) -> None:
    number = getattr(rpm, f"RPMTRANS_FLAG_{name.upper()}")
    (said,) = examine(number, macros(DEFAULTS)).refused
    assert name in said


@pytest.mark.parametrize(
    "name", ["NOSCRIPTS", "NOTRIGGERS", "NODOCS", "NOCONTEXTS", "NOCAPS"],
)  # fmt: skip
def test_what_an_administrator_leaves_out_by_name_is_recorded(name: str) -> None:
    found = examine(getattr(rpm, f"RPMTRANS_FLAG_{name}"), macros(DEFAULTS))
    assert not found.refused and len(found.recorded) == 1


def test_the_numbers_are_rpm_s() -> None:
    known = {getattr(rpm, name) & 0xFFFFFFFF for name in dir(rpm) if name.startswith("RPMTRANS_FLAG_")}
    assert known.issuperset(_REFUSED_FLAGS) and known.issuperset(_RECORDED_FLAGS)


def test_flags_come_signed_from_rpm() -> None:
    assert examine(rpm.RPMTRANS_FLAG_DEPLOOPS | rpm.RPMTRANS_FLAG_NOCONFIGS, macros(DEFAULTS)).refused


@pytest.mark.parametrize(
    ("macro", "value"),
    [("_netsharedpath", "/usr/share"), ("_pkgverify_level", "none"), ("_pkgverify_level", "nothing")],
)
def test_a_macro_that_leaves_out_files_or_checks_is_refused(macro: str, value: str) -> None:
    (said,) = examine(0, macros({**DEFAULTS, macro: value})).refused
    assert macro in said and value in said


@pytest.mark.parametrize(
    ("macro", "value", "said"),
    [("_install_langs", "de:fr", "with the languages de:fr alone"), ("_excludedocs", "1", "without documentation")],
)
def test_documentation_and_languages_may_be_left_out(macro: str, value: str, said: str) -> None:
    found = examine(0, macros({**DEFAULTS, macro: value}))
    assert not found.refused and found.recorded == (said,)


def test_a_reason_is_given_once() -> None:
    both = examine(rpm.RPMTRANS_FLAG_NODOCS, macros({**DEFAULTS, "_excludedocs": "1"}))
    assert both.recorded == ("without documentation",)
