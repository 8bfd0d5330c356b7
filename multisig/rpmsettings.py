# SPDX-License-Identifier: GPL-2.0-or-later
"""What rpm has been told to do otherwise than it does by itself: transaction flags and macros. Pure.

What is judged is a package whole, and rpm's own checks while it unpacks stand behind the verdict. So whatever makes rpm
leave out files that people signed, or its checks, is refused. Leaving out documentation and languages is what
containers do, and what an administrator asks for by name; scripts and contexts too: that is allowed, and recorded.

Numbers: librpm's include/rpm/rpmts.h (rpmtransFlags_e), the same in rpm 4.14 to 6.1. Macros: lib/transaction.c
(_netsharedpath, _install_langs, _excludedocs), lib/rpmts.c (_pkgverify_level).
"""

from __future__ import annotations

from typing import Callable, List, Mapping, Tuple

from multisig.namedtuples import NamedTuple

_REFUSED_FLAGS: Mapping[int, Tuple[str, str]] = {
    0x00000008: ("justdb", "no file would be written, and rpm would say that it is installed"),
    0x00000080: ("noplugins", "rpm's own plugins would not run"),
    0x00000400: ("nodb", "what is installed would not be recorded"),
    0x08000000: ("nofiledigest", "rpm would not compare files with their digests"),
    0x20000000: ("noartifacts", "files would be left out"),
    0x40000000: ("noconfigs", "files would be left out"),
}
_RECORDED_FLAGS: Mapping[int, str] = {
    0x00000004: "without scripts",
    0x00000010: "without triggers",
    0x00000020: "without documentation",
    0x00000100: "without SELinux contexts",
    0x00000200: "without file capabilities",
}
#: rpm 4.15 and later: what rpm checks of a package before it installs (digest where nothing is said).
_CHECKING = ("all", "signature", "digest")


class Settings(NamedTuple):
    """``refused``: what stands against any installation, in words; ``recorded``: what is left out on purpose."""

    refused: Tuple[str, ...]
    recorded: Tuple[str, ...]


def examine(flags: int, expand: Callable[[str], str]) -> Settings:
    """What the transaction's ``flags`` and rpm's macros amount to; ``expand`` is rpm's own macro expansion."""
    flags &= 0xFFFFFFFF  # rpm's Python gives them as a signed number
    refused = [
        f"rpm is told {name} (tsflags, or an option): {why}"
        for bit, (name, why) in _REFUSED_FLAGS.items()
        if flags & bit
    ]
    recorded = [text for bit, text in _RECORDED_FLAGS.items() if flags & bit]
    refused += _refused_macros(expand)
    languages = _value(expand, "_install_langs")
    if languages not in ("", "all"):
        recorded.append(f"with the languages {languages} alone")
    if _is_true(_value(expand, "_excludedocs")):
        recorded.append("without documentation")
    return Settings(tuple(refused), tuple(dict.fromkeys(recorded)))


def _refused_macros(expand: Callable[[str], str]) -> List[str]:
    refused = []
    shared = _value(expand, "_netsharedpath")
    if shared:
        refused.append(f"the rpm macro _netsharedpath is set to {shared}: rpm would leave out every file below")
    level = _value(expand, "_pkgverify_level")
    if level and level not in _CHECKING:
        refused.append(f"the rpm macro _pkgverify_level is set to {level}: rpm would not check packages' digests")
    return refused


def _value(expand: Callable[[str], str], macro: str) -> str:
    return expand("%{?" + macro + "}").strip()


def _is_true(value: str) -> bool:
    """As librpm's rpmExpandNumeric: y, Y and numbers but 0."""
    return value[:1] in ("y", "Y") or (value.lstrip("-").isdigit() and int(value) != 0)
