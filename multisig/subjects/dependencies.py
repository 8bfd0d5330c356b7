# SPDX-License-Identifier: GPL-2.0-or-later
"""What two packages require, provide and so on differently. Pure. Sense bits: librpm's include/rpm/rpmds.h."""

from __future__ import annotations

from collections import Counter
from typing import Iterator, List, Mapping, Tuple

from multisig.subjects.difference import Difference, Group, Records, text_of
from multisig.subjects.header import integers, strings

# what -> NAME, FLAGS, VERSION
KINDS: Mapping[str, Tuple[int, int, int]] = {
    "provides": (1047, 1112, 1113),
    "requires": (1049, 1048, 1050),
    "conflicts": (1054, 1053, 1055),
    "obsoletes": (1090, 1114, 1115),
    "recommends": (5046, 5048, 5047),
    "suggests": (5049, 5051, 5050),
    "supplements": (5052, 5054, 5053),
    "enhances": (5055, 5057, 5056),
    "suggests (old tags)": (1156, 1158, 1157),
    "enhances (old tags)": (1159, 1161, 1160),
    "order": (5035, 5037, 5036),
}
DEPENDENCY_TAGS = frozenset(tag for tags in KINDS.values() for tag in tags)
# DEPENDSDICT and its indexes number these by their places, which move when any is added.
LETTERS: Mapping[str, str] = {
    **{"P": "provides", "R": "requires", "C": "conflicts", "O": "obsoletes", "r": "recommends", "s": "suggests"},
    **{"S": "supplements", "e": "enhances"},
}

_LESS, _GREATER, _EQUAL = 1 << 1, 1 << 2, 1 << 3
_COMPARISON = _LESS | _GREATER | _EQUAL
_OPERATORS = {_LESS: "<", _GREATER: ">", _EQUAL: "=", _LESS | _EQUAL: "<=", _GREATER | _EQUAL: ">="}
_QUALIFIERS = (
    *((1 << 5, "posttrans"), (1 << 6, "prereq"), (1 << 7, "pretrans"), (1 << 8, "interp"), (1 << 9, "pre")),
    *((1 << 10, "post"), (1 << 11, "preun"), (1 << 12, "postun"), (1 << 13, "verify")),
    *((1 << 14, "found by rpmbuild"), (1 << 15, "found by rpmbuild (provides)")),
    *((1 << 16, "triggerin"), (1 << 17, "triggerun"), (1 << 18, "triggerpostun"), (1 << 19, "missingok")),
    *((1 << 20, "preuntrans"), (1 << 21, "postuntrans"), (1 << 24, "rpmlib"), (1 << 25, "triggerprein")),
    *((1 << 26, "keyring"), (1 << 28, "config"), (1 << 29, "meta")),
)


def shown(name: bytes, flags: int, version: bytes, *, without: int = 0) -> str:
    """A dependency as a spec file has it, with its other sense bits behind it, but for those in ``without``."""
    compared = flags & _COMPARISON
    parts = [text_of(name)]
    if compared:
        parts.append(_OPERATORS.get(compared, f"(comparison {compared:#x})"))
    if version or compared:
        parts.append(text_of(version) or "(no version)")
    rest = flags & ~_COMPARISON & ~without
    words = [word for bit, word in _QUALIFIERS if rest & bit]
    unknown = rest & ~sum(bit for bit, _ in _QUALIFIERS)
    if unknown:
        words.append(f"{unknown:#x}")
    return " ".join(parts) + (f" ({', '.join(words)})" if words else "")


def listed(records: Records, what: str) -> List[str]:
    """The dependencies of one kind in the header's order, as texts."""
    name, flags, version = KINDS[what]
    if not all(tag in records for tag in (name, flags, version)):
        return []
    return [shown(*item) for item in zip(strings(records[name]), integers(records[flags]), strings(records[version]))]


def dependency_differences(a: Records, b: Records) -> Iterator[Difference]:
    """For each kind what only one of them has, or that the order is another."""
    for what, tags in KINDS.items():
        if all(a.get(tag) == b.get(tag) for tag in tags):
            continue
        old, new = listed(a, what), listed(b, what)
        explained = frozenset(tag for tag in tags if a.get(tag) != b.get(tag))
        for item in (Counter(old) - Counter(new)).elements():
            yield Difference(Group.DEPENDENCIES, what, "entry", item, None, explained)
        for item in (Counter(new) - Counter(old)).elements():
            yield Difference(Group.DEPENDENCIES, what, "entry", None, item, explained)
        if old != new and Counter(old) == Counter(new):
            first, second = next((x, y) for x, y in zip(old, new) if x != y)
            yield Difference(Group.DEPENDENCIES, what, "order", first, second, explained)
