# SPDX-License-Identifier: GPL-2.0-or-later
"""How the file lists of two packages differ, path by path. Pure. Flags: librpm's include/rpm/rpmfiles.h."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from multisig.subjects.dependencies import DEPENDENCY_TAGS, LETTERS, listed
from multisig.subjects.difference import Difference, Group, Records, text_of
from multisig.subjects.header import integers, strings
from multisig.subjects.structure import (
    BASENAMES,
    DIGEST_NAMES,
    DIRINDEXES,
    DIRNAMES,
    FILEDIGESTALGO,
    FILEDIGESTS,
    FILEFLAGS,
    FILEGROUPNAME,
    FILEINODES,
    FILELINKTOS,
    FILEMODES,
    FILERDEVS,
    FILESIZES,
    FILEUSERNAME,
    LONGFILESIZES,
)  # fmt: skip
from multisig.subjects.tags import TAGS

CONTENT, PRESENCE = "content", "file"

_SIZE, _LONGSIZE, _VERIFYFLAGS, _LANGS, _COLORS, _CAPS = 1009, 5009, 1045, 1097, 1140, 5010
_CONTEXTS, _ALGORITHMS, _DEPENDSX, _DEPENDSN, _DEPENDSDICT = 1147, 1177, 1143, 1144, 1145
_FILE_TAGS = frozenset(tag.number for tag in TAGS.values() if tag.arity in ("file", "dir"))
# What is true of the list as a whole, and changes with any of its files.
_SUMS = frozenset({_SIZE, _LONGSIZE})
_MAX_BROUGHT_IN = 1_000_000

_FLAGS = (
    *((1, "config"), (2, "doc"), (4, "icon"), (8, "missingok"), (16, "noreplace"), (32, "specfile"), (64, "ghost")),
    *((128, "license"), (256, "readme"), (512, "exclude"), (1024, "unpatched"), (2048, "pubkey"), (4096, "artifact")),
)
_VERIFY = (
    *((1, "content"), (2, "size"), (4, "link target"), (8, "owner"), (16, "group"), (32, "time"), (64, "mode")),
    *((128, "device"), (256, "capability")),
)
_KINDS = {
    stat.S_IFREG: "regular file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "FIFO",
    stat.S_IFCHR: "character device", stat.S_IFBLK: "block device", stat.S_IFSOCK: "socket",
}  # fmt: skip

Value = Union[int, bytes]


@dataclass(frozen=True)
class _Aspect:
    """One property of a file: the tag that holds it, and how a value reads (None: as where there is none)."""

    name: str
    tag: int
    show: Callable[[Value], Optional[str]]


def _text(value: Value) -> Optional[str]:
    return text_of(value) or None if isinstance(value, bytes) else str(value)


def _permissions(value: Value) -> str:
    mode = int(value)
    return f"{stat.filemode(stat.S_IFREG | stat.S_IMODE(mode))[1:]} ({stat.S_IMODE(mode):04o})"


def _kind(value: Value) -> str:
    return _KINDS.get(stat.S_IFMT(int(value)), f"{int(value):o}")


def _bits(names: Sequence[Tuple[int, str]], value: int) -> str:
    words = [word for bit, word in names if value & bit]
    unknown = value & ~sum(bit for bit, _ in names)
    return ", ".join([*words, f"{unknown:#x}"] if unknown else words)


def _flags(value: Value) -> Optional[str]:
    return _bits(_FLAGS, int(value)) or None


def _verified(value: Value) -> str:
    return _bits(_VERIFY, int(value)) or "nothing"


def _device(value: Value) -> Optional[str]:
    return f"{int(value) >> 8}:{int(value) & 0xFF}" if value else None


def _color(value: Value) -> Optional[str]:
    return str(value) if value else None


_ASPECTS = (
    _Aspect("type", FILEMODES, _kind),
    _Aspect("mode", FILEMODES, _permissions),
    _Aspect("owner", FILEUSERNAME, _text),
    _Aspect("group", FILEGROUPNAME, _text),
    _Aspect("flags", FILEFLAGS, _flags),
    _Aspect("capability", _CAPS, _text),
    _Aspect("link target", FILELINKTOS, _text),
    _Aspect("device", FILERDEVS, _device),
    _Aspect("language", _LANGS, _text),
    _Aspect("verified", _VERIFYFLAGS, _verified),
    _Aspect("colour", _COLORS, _color),
    _Aspect("SELinux context", _CONTEXTS, _text),
    _Aspect("digest algorithm", _ALGORITHMS, _text),
)


class _List:
    """The files of one manifest: ``place`` of each path, and the per-file values of each tag."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.paths: List[bytes] = []
        if BASENAMES in records:
            folders = strings(records[DIRNAMES])
            names = zip(integers(records[DIRINDEXES]), strings(records[BASENAMES]))
            self.paths = [folders[index] + name for index, name in names]
        self.place: Dict[bytes, int] = {path: place for place, path in enumerate(self.paths)}
        self._columns: Dict[int, Sequence[Value]] = {}

    def column(self, tag: int) -> Optional[Sequence[Value]]:
        if tag not in self._columns and tag in self.records:
            entry = self.records[tag]
            self._columns[tag] = integers(entry) if entry[0] <= 5 else strings(entry)
        return self._columns.get(tag)

    @property
    def sizes(self) -> Sequence[Value]:
        return self.column(FILESIZES) or self.column(LONGFILESIZES) or ()

    @property
    def algorithm(self) -> str:
        number = integers(self.records[FILEDIGESTALGO])[0] if FILEDIGESTALGO in self.records else 1
        return DIGEST_NAMES.get(number, f"algorithm {number}")

    def mode(self, place: int) -> int:
        return int((self.column(FILEMODES) or ())[place])

    def linked(self) -> Optional[List[Optional[str]]]:
        """For each file the first path, by bytes, of its hard-link group; None where it is alone."""
        column = self.column(FILEINODES)
        if column is None:
            return None
        groups: Dict[Value, List[bytes]] = {}
        for path, first in zip(self.paths, column):
            groups.setdefault(first, []).append(path)
        named = {first: text_of(min(group)) if len(group) > 1 else None for first, group in groups.items()}
        return [named[first] for first in column]

    def brought_in(self) -> Optional[List[Optional[str]]]:
        """For each file the dependencies that rpmbuild found in it; None where the tags do not give a readable list."""
        starts, counts = self.column(_DEPENDSX), self.column(_DEPENDSN)
        if starts is None or counts is None or _DEPENDSDICT not in self.records:
            return None
        numbers = integers(self.records[_DEPENDSDICT])
        if sum(min(int(count), len(numbers)) for count in counts) > _MAX_BROUGHT_IN:
            return None
        known = {letter: listed(self.records, what) for letter, what in LETTERS.items()}
        words = [_dependency(number, known) for number in numbers]
        slices = [words[int(start) : int(start) + int(count)] for start, count in zip(starts, counts)]
        return [", ".join(sorted(part)) or None for part in slices]

    def describe(self, place: int) -> str:
        mode = self.mode(place)
        words = [f"{_KINDS.get(stat.S_IFMT(mode), 'file')}, mode {_permissions(mode)}"]
        owner, group = self.column(FILEUSERNAME), self.column(FILEGROUPNAME)
        if owner is not None and group is not None:
            words.append(f"{_text(owner[place])}:{_text(group[place])}")
        if stat.S_ISREG(mode):
            words.append(f"{int(self.sizes[place]):,} bytes")
        flags, caps, targets = self.column(FILEFLAGS), self.column(_CAPS), self.column(FILELINKTOS)
        if targets is not None and targets[place]:
            words.append(f"to {_text(targets[place])}")
        words += [word for word in (flags and _flags(flags[place]), caps and _text(caps[place])) if word]
        return ", ".join(words)


def file_differences(a: Records, b: Records) -> Iterator[Difference]:
    """Files that only one has, then what differs of those that both have, by path; then the order of the list."""
    if all(a.get(tag) == b.get(tag) for tag in _FILE_TAGS | {FILEDIGESTALGO, _DEPENDSDICT}):
        return
    old, new = _List(a), _List(b)
    common = sorted(old.place.keys() & new.place.keys())
    found: List[Difference] = [
        *_only(old, new),
        *_contents(old, new, common),
        *_compared(old, new, common),
        # The package's size counts a hard-link group once.
        *_texts("hard link to", _SUMS | {FILEINODES}, old.linked(), new.linked(), old, new, common),
    ]
    found += _dependencies_of_files(old, new, common)
    yield from sorted(found, key=lambda item: item.what)
    if old.algorithm != new.algorithm:
        tags = frozenset({FILEDIGESTALGO, FILEDIGESTS})
        yield Difference(Group.FILES, "all files", "digest algorithm", old.algorithm, new.algorithm, tags)
    kept = [[path for path in this.paths if path in other.place] for this, other in ((old, new), (new, old))]
    if kept[0] != kept[1]:
        first, second = next((x, y) for x, y in zip(*kept) if x != y)
        yield Difference(Group.FILES, "all files", "order", text_of(first), text_of(second), _FILE_TAGS)


def _only(old: _List, new: _List) -> Iterator[Difference]:
    tags = _FILE_TAGS | _SUMS | {_DEPENDSDICT}
    for path in old.place.keys() - new.place.keys():
        yield Difference(Group.FILES, text_of(path), PRESENCE, old.describe(old.place[path]), None, tags)
    for path in new.place.keys() - old.place.keys():
        yield Difference(Group.FILES, text_of(path), PRESENCE, None, new.describe(new.place[path]), tags)


def _compared(old: _List, new: _List, common: Sequence[bytes]) -> Iterator[Difference]:
    for aspect in _ASPECTS:
        if old.paths == new.paths and old.records.get(aspect.tag) == new.records.get(aspect.tag):
            continue
        before, after = old.column(aspect.tag), new.column(aspect.tag)
        if before is None and after is None:
            continue
        for path in common:
            x = aspect.show(before[old.place[path]]) if before is not None else None
            y = aspect.show(after[new.place[path]]) if after is not None else None
            # An array that one of them lacks altogether is one difference, not one for each file: left to others.
            if x != y and (aspect.tag in (_CAPS, _LANGS, _COLORS) or (before is not None and after is not None)):
                yield Difference(Group.FILES, text_of(path), aspect.name, x, y, frozenset({aspect.tag}))


def _contents(old: _List, new: _List, common: Sequence[bytes]) -> Iterator[Difference]:
    before, after = old.column(FILEDIGESTS), new.column(FILEDIGESTS)
    comparable = before is not None and after is not None and old.algorithm == new.algorithm
    for path in common:
        x, y = old.place[path], new.place[path]
        if comparable and before is not None and after is not None and before[x] != after[y]:
            digests = [_text(value) for value in (before[x], after[y])]
            shown = [f"{old.algorithm}:{digest}" if digest else None for digest in digests]
            yield Difference(Group.FILES, text_of(path), CONTENT, shown[0], shown[1], frozenset({FILEDIGESTS}))
        if old.sizes[x] != new.sizes[y]:
            sizes = [f"{int(size):,} bytes" for size in (old.sizes[x], new.sizes[y])]
            tags = frozenset({FILESIZES, LONGFILESIZES}) | _SUMS
            yield Difference(Group.FILES, text_of(path), "size", sizes[0], sizes[1], tags)


Texts = Optional[List[Optional[str]]]


def _texts(
    name: str, tags: FrozenSet[int], before: Texts, after: Texts, old: _List, new: _List, common: Sequence[bytes]
) -> Iterator[Difference]:
    for path in common:
        x = before[old.place[path]] if before is not None else None
        y = after[new.place[path]] if after is not None else None
        if x != y:
            yield Difference(Group.FILES, text_of(path), name, x, y, tags)


def _dependencies_of_files(old: _List, new: _List, common: Sequence[bytes]) -> List[Difference]:
    """Which dependencies a file brought in; where those are merely numbered otherwise, whatever moved the numbers is
    the difference, and is found elsewhere."""
    before, after = old.brought_in(), new.brought_in()
    if before is None or after is None:
        return []
    tags = frozenset({_DEPENDSX, _DEPENDSN, _DEPENDSDICT})
    return list(_texts("dependencies found in it", tags, before, after, old, new, common))


def renumbered(a: Records, b: Records) -> FrozenSet[int]:
    """The tags that follow from others: what number a file's dependencies have, where the dependencies differ."""
    if all(a.get(tag) == b.get(tag) for tag in DEPENDENCY_TAGS):
        return frozenset()
    old, new = _List(a), _List(b)
    if old.paths != new.paths or old.brought_in() is None or old.brought_in() != new.brought_in():
        return frozenset()
    return frozenset({_DEPENDSX, _DEPENDSN, _DEPENDSDICT})


def _dependency(number: int, known: Mapping[str, List[str]]) -> str:
    """An entry of DEPENDSDICT: a letter for the kind, and the place in its list (librpm: build/rpmfc.c)."""
    letter, place = chr(number >> 24), number & 0xFFFFFF
    if letter in known and place < len(known[letter]):
        return f"{LETTERS[letter]} {known[letter][place]}"
    return f"{number:#x}"
