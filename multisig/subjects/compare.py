# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes the contents of two packages differ, grouped by what a person would mend. Pure.

Complete: every tag of the manifest that differs is explained by at least one difference, in the words of its group
where there are any, else by the tag's name and raw values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Set, Tuple

from multisig.subjects.dependencies import DEPENDENCY_TAGS, dependency_differences
from multisig.subjects.difference import Difference, Group, Records, bytes_of, raw_difference
from multisig.subjects.filelists import CONTENT, file_differences, renumbered
from multisig.subjects.manifest import split_records
from multisig.subjects.rpm import RpmSubject
from multisig.subjects.scriptlets import script_differences, trigger_differences
from multisig.subjects.tags import TAGS, Klass, Tag

# NAME, VERSION, RELEASE, EPOCH, OS, ARCH, SOURCERPM, DISTTAG, MODULARITYLABEL, RPMFORMAT, SOURCENEVR
_IDENTITY = frozenset({1000, 1001, 1002, 1003, 1021, 1022, 1044, 1155, 5096, 5114, 5120})
_SCRIPT_ENDS = ("IN", "UN", "TRANS", "SCRIPT")
_ORDER = tuple(Group)


@dataclass(frozen=True)
class Comparison:
    """``differences`` are in the order of their groups; ``ignored`` are tags that differ without being content.

    Those are tags that are left out or asserted, or that a canonical value stands for, which is the same.
    """

    same: bool
    differences: Tuple[Difference, ...]
    ignored: Tuple[Tag, ...]

    @property
    def changed_files(self) -> Tuple[bytes, ...]:
        """The paths of files whose content both have and which differs."""
        return tuple(bytes_of(item.what) for item in self.differences if _is_content(item))


def compare(a: RpmSubject, b: RpmSubject) -> Comparison:
    """Compare by the headers; payloads must have been proven (payload.prove_payload) for this to be all there is."""
    old, new = dict(split_records(a.manifest)), dict(split_records(b.manifest))
    found: List[Difference] = []
    if a.manifest != b.manifest:
        for differences in (file_differences, script_differences, trigger_differences, dependency_differences):
            found += differences(old, new)
        found += _unexplained(old, new, found)
        found.sort(key=lambda item: _ORDER.index(item.group))
    return Comparison(a.manifest == b.manifest, tuple(found), tuple(_ignored(a, b, old, new)))


def _unexplained(a: Records, b: Records, found: List[Difference]) -> Iterator[Difference]:
    explained: Set[int] = set(renumbered(a, b))
    for item in found:
        explained |= item.tags
    for number in sorted((a.keys() | b.keys()) - explained):
        if a.get(number) != b.get(number):
            yield raw_difference(_group(TAGS[number]), TAGS[number].name, number, a.get(number), b.get(number))


def _ignored(a: RpmSubject, b: RpmSubject, old: Records, new: Records) -> Iterator[Tag]:
    for number in sorted(a.entries.keys() | b.entries.keys()):
        differs = a.entries.get(number) != b.entries.get(number)
        if differs and TAGS[number].klass is not Klass.SIGNED and old.get(number) == new.get(number):
            yield TAGS[number]


def _group(tag: Tag) -> Group:
    if tag.number in _IDENTITY:
        return Group.IDENTITY
    if tag.number in DEPENDENCY_TAGS:
        return Group.DEPENDENCIES
    if tag.arity in ("file", "dir") or tag.name in ("FILEDIGESTALGO", "DEPENDSDICT"):
        return Group.FILES
    if "trigger" in tag.arity:
        return Group.TRIGGERS
    stem = tag.name[: -len("FLAGS")] if tag.name.endswith("FLAGS") else tag.name
    stem = stem[: -len("PROG")] if stem.endswith("PROG") else stem
    if stem.startswith(("PRE", "POST", "VERIFY")) and stem.endswith(_SCRIPT_ENDS):
        return Group.SCRIPTS
    return Group.TAGS


def _is_content(item: Difference) -> bool:
    return item.group is Group.FILES and item.aspect == CONTENT and item.a is not None and item.b is not None
