# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of attacks on RPMs share: a package to edit, edits that keep it whole, and the two safe answers."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.cpio import Member
from fixtures.rpmedit import BIN, COMPRESSORS, I18NSTRING, INT32, STRING, STRING_ARRAY, Entry, Rpm, Values
from fixtures.rpmjudge import digest, edited, judged, opened, setting
from multisig.errors import MalformedRpmError, PayloadMismatchError
from multisig.subjects.payload import prove_payload
from multisig.subjects.rpm import read_rpm
from multisig.subjects.tags import GROUPS, INDEXES, TAGS, Klass, Tag

NAMED_COMPRESSORS = sorted(set(COMPRESSORS) - {"none"})
_FEATURES = {"bzip2": "3.0.5-1", "xz": "5.2-1", "lzma": "4.4.6-1", "zstd": "5.4.18-1"}

NUMBER_OF = {tag.name: tag.number for tag in TAGS.values()}


def built(folder: Path) -> List[Rpm]:
    """The packages of everything.spec: one of each thing, one without files, one with a single file."""
    return [Rpm.read(path) for path in build(Recipe("everything.spec"), BUILDERS["marek"], folder)]


def by_class(klass: Klass) -> List[Tag]:
    return [tag for tag in TAGS.values() if tag.klass is klass]


def named(tag: Tag) -> str:
    return tag.name


def sample(tag: Tag, count: int) -> Values:
    """Values that are fine for a tag that the package did not have."""
    if tag.types[0] == BIN:
        return b"binary"
    if tag.types[0] in (STRING, STRING_ARRAY, I18NSTRING):
        return [b"v%d" % index for index in range(count)]
    return list(range(count))


def with_tag(package: Rpm, number: int) -> Rpm:
    """The package, with the tag in it, and with the group that the tag belongs to."""
    tag = TAGS[number]
    group = [member for member in TAGS.values() if member.arity == tag.arity]
    wanted = [number] if tag.arity in ("one", "any", "file", "dir") else sorted({*GROUPS[tag.arity], number})
    present = [package.get(member.number) for member in group]
    count = next((entry.count for entry in present if entry), 2) if tag.arity not in ("one", "any") else 1
    copy = edited(package)
    if tag.name == "ARCHIVESIZE":
        # rpm does not accept it in both headers.
        copy.signature.remove(1007)
    for member in wanted:
        if copy.get(member) is None:
            copy.set(member, TAGS[member].types[0], sample(TAGS[member], count))
        target = INDEXES.get(member)
        if target is not None and copy.get(target) is None:
            # Places need something to point at, with room for one more.
            for pointed in GROUPS[TAGS[target].arity]:
                copy.set(pointed, TAGS[pointed].types[0], sample(TAGS[pointed], count + 1))
    return copy


def other(entry: Entry) -> Entry:
    """The entry with one value changed, and nothing that the structure depends on."""
    if entry.type == BIN:
        return Entry.of(entry.tag, BIN, entry.data[:-1] + bytes([entry.data[-1] ^ 1]))
    values = entry.values
    if isinstance(values[0], int):
        return Entry.of(entry.tag, entry.type, [values[0] ^ 1, *values[1:]])
    texts = [value for value in values if isinstance(value, bytes)]
    place = max((index for index, text in enumerate(texts) if text), default=0)
    if entry.tag == NUMBER_OF["DIRNAMES"]:
        texts[place] = texts[place][:-1] + b"x/"
    elif entry.tag in (NUMBER_OF["FILEDIGESTS"], *(tag.number for tag in by_class(Klass.ASSERTED))):
        texts[0] = (b"1" if texts[0].startswith(b"0") else b"0") + texts[0][1:]
    else:
        texts[place] += b"x"
    return Entry.of(entry.tag, entry.type, texts)


def changed(package: Rpm, number: int) -> Rpm:
    entry = package.get(number)
    assert entry is not None
    new = other(entry)
    assert new != entry
    return edited(package, setting(number, new.type, new.data if new.type == BIN else new.values))


def refused(package: Rpm) -> MalformedRpmError:
    with pytest.raises(MalformedRpmError) as caught:
        judged(package)
    return caught.value


def refused_or_different(package: Rpm, before: str) -> None:
    """Either answer is a safe one."""
    try:
        after = digest(package)
    except MalformedRpmError:
        return
    assert after != before


def at(package: Rpm, name: bytes) -> int:
    """The place of a file in the file list, by its base name."""
    return package.values(NUMBER_OF["BASENAMES"]).index(name)


def recompressed(package: Rpm, compressor: str) -> Rpm:
    """A copy of the package with another compressor, and the requirement for it."""
    copy = edited(package)
    copy.set_archive(copy.archive, compressor)
    if compressor in _FEATURES:
        copy.set(1049, STRING_ARRAY, [*copy.values(1049), f"rpmlib(PayloadIs{compressor.capitalize()})"])
        copy.set(1050, STRING_ARRAY, [*copy.values(1050), _FEATURES[compressor]])
        copy.set(1048, INT32, [*copy.values(1048), 0x100000A])
    copy.fix_payload_digest()
    return copy


def refused_payload(package: Rpm) -> PayloadMismatchError:
    """The header is as good as before; the payload is not."""
    package.fix_payload_digest()
    return refused_payload_as_it_is(package)


def refused_payload_as_it_is(package: Rpm) -> PayloadMismatchError:
    with opened(package) as fd:
        subject = read_rpm(fd)
        with pytest.raises(PayloadMismatchError) as caught:
            prove_payload(fd, subject)
    return caught.value


def with_members(package: Rpm, members: List[Member], trailing: bytes = b"", end: bool = True) -> Rpm:
    return edited(package, lambda copy: copy.set_members(members, trailing, end=end))


def replaced(package: Rpm, path: bytes, **changes: object) -> Rpm:
    members = [member.but(**changes) if member.name == path else member for member in package.members]
    assert members != package.members
    return with_members(package, members)
