# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold of an RPM's header before anything in it is trusted (docs/rpm-v1.md, "Structural checks"). Pure."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from multisig.errors import MalformedRpmError, WeakDigestError
from multisig.statement import is_nevra
from multisig.subjects.header import Entries, integers, strings
from multisig.subjects.tags import GROUPS, INDEXES, SHAPES, TAGS, Klass

NAME, VERSION, RELEASE, EPOCH, ARCH = 1000, 1001, 1002, 1003, 1022
FILESIZES, FILEMODES, FILERDEVS, FILEDIGESTS, FILELINKTOS, FILEFLAGS = 1028, 1030, 1033, 1035, 1036, 1037
FILEUSERNAME, FILEGROUPNAME, SOURCERPM = 1039, 1040, 1044
FILEDEVICES, FILEINODES, DIRINDEXES, BASENAMES, DIRNAMES = 1095, 1096, 1116, 1117, 1118
PAYLOADFORMAT, PAYLOADCOMPRESSOR, LONGFILESIZES, FILEDIGESTALGO = 1124, 1125, 5008, 5011

GHOST = 1 << 6  # RPMFILE_GHOST, rpmfiles.h: named in the header, never in the payload
# OpenPGP's numbers (RFC 4880, 9.4), as FILEDIGESTALGO uses them.
DIGEST_NAMES = {8: "sha256", 9: "sha384", 10: "sha512"}
DIGEST_HEX_LENGTH = {8: 64, 9: 96, 10: 128}

_HEX = frozenset(b"0123456789abcdef")
_FILE_TYPES = frozenset(
    {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK}
)
_NEEDED_WITH_FILES = (DIRNAMES, DIRINDEXES, FILEMODES, FILEFLAGS, FILEUSERNAME, FILEGROUPNAME, FILELINKTOS, FILERDEVS)
# (tag, allowed type) -> its parallel group, "" where it has none.
_SINGLE = "one"
_GROUPS_BY_TYPE: Mapping[Tuple[int, int], str] = {
    (tag.number, kind): "" if tag.arity == "any" else tag.arity
    for tag in TAGS.values()
    if tag.klass is not Klass.REFUSED
    for kind in tag.types
}

_NEEDED = {group: frozenset(GROUPS.get(group, ())) for group in _GROUPS_BY_TYPE.values()}


@dataclass(frozen=True)
class Files:
    """The file list, one element a file in the header's order. Paths are bytes, absolute.

    ``links`` maps a file's index to its hard-link group, as librpm forms groups: regular, not ghost, same device and
    inode number (lib/rpmfi.c, rpmfilesBuildNLink); groups of one are left out.
    """

    paths: Tuple[bytes, ...]
    modes: Tuple[int, ...]
    sizes: Tuple[int, ...]
    flags: Tuple[int, ...]
    digests: Tuple[bytes, ...]
    targets: Tuple[bytes, ...]
    digest_algorithm: int
    links: Mapping[int, Tuple[int, ...]]

    def in_payload(self, index: int) -> bool:
        return not self.flags[index] & GHOST


NO_FILES = Files((), (), (), (), (), (), 8, {})


def check_tags(entries: Entries) -> None:
    """Every tag is known, allowed in a package, of an expected type and count, and as long as its parallel arrays.

    Values that are places in another array lie within it; asserted values have their one shape.
    """
    counts: Dict[str, int] = {}
    for number, (kind, count, _) in entries.items():
        group = _GROUPS_BY_TYPE.get((number, kind))
        if group is None:
            raise _refused(number, kind)
        if group == _SINGLE:
            if count != 1:
                raise MalformedRpmError("the tag must have one value", tag=number, got=count)
        elif group and counts.setdefault(group, count) != count:
            expected = f"{counts[group]} as others of the {group} group"
            raise MalformedRpmError(
                "arrays that belong together differ in length", tag=number, expected=expected, got=count
            )
    for number, target in INDEXES.items():
        if number in entries:
            _check_places(entries, number, target)
    for number, shape in SHAPES.items():
        if number in entries and shape.match(entries[number][2]) is None:
            raise MalformedRpmError(
                "the value is not of the shape it must have", tag=number, got=_start(entries, number)
            )
    for group in counts:
        missing = _NEEDED[group].difference(entries)
        if missing:
            raise MalformedRpmError(f"an array of the {group} group is missing", tag=min(missing))


def check_identity(entries: Entries) -> Tuple[str, str]:
    """The package's own name, and NAME-EPOCH:VERSION-RELEASE.ARCH; printable ASCII without separators, or refused."""
    if SOURCERPM not in entries:
        # rpm itself tells a binary package by this tag (lib/headerutil.c, headerIsSource).
        raise MalformedRpmError("a source package, or one that does not name its source", tag=SOURCERPM)
    parts = []
    for tag in (NAME, VERSION, RELEASE, ARCH):
        if tag not in entries:
            raise MalformedRpmError("the package's identity is incomplete", tag=tag)
        parts.append(strings(entries[tag])[0].decode("ascii", "replace"))
    name, version, release, arch = parts
    epoch = integers(entries[EPOCH])[0] if EPOCH in entries else 0
    nevra = f"{name}-{epoch}:{version}-{release}.{arch}"
    separators = "-" in version + release + arch or "." in arch or ":" in version + release
    if separators or not is_nevra(nevra) or name.startswith("-"):
        raise MalformedRpmError(
            "the package's name, version, release or architecture has odd characters", got=ascii(nevra)
        )
    return name, nevra


def check_payload_tags(entries: Entries) -> Optional[bytes]:
    """The compressor's name, None where the header gives none; refuses formats other than cpio."""
    payload_format = strings(entries[PAYLOADFORMAT])[0] if PAYLOADFORMAT in entries else None
    if payload_format != b"cpio":
        raise MalformedRpmError("unknown payload format", tag=PAYLOADFORMAT, expected="cpio", got=ascii(payload_format))
    if PAYLOADCOMPRESSOR not in entries:
        return None
    return strings(entries[PAYLOADCOMPRESSOR])[0]


def check_files(entries: Entries) -> Files:
    """The checked file list: paths that stay where they say, known file types, strong digests, honest link groups."""
    if BASENAMES not in entries:
        for tag in (DIRNAMES, FILEDIGESTS, FILEMODES, FILESIZES, LONGFILESIZES, FILEINODES):
            if tag in entries:
                raise MalformedRpmError("file tags without a file list", tag=tag)
        return NO_FILES
    for tag in _NEEDED_WITH_FILES:
        if tag not in entries:
            raise MalformedRpmError("the file list is incomplete", tag=tag)
    if (FILESIZES in entries) == (LONGFILESIZES in entries):
        raise MalformedRpmError("exactly one of FILESIZES and LONGFILESIZES is needed", tag=FILESIZES)
    modes = integers(entries[FILEMODES])
    flags = integers(entries[FILEFLAGS])
    files = Files(
        paths=_paths(entries),
        modes=modes,
        sizes=integers(entries[FILESIZES if FILESIZES in entries else LONGFILESIZES]),
        flags=flags,
        digests=tuple(strings(entries[FILEDIGESTS])) if FILEDIGESTS in entries else (b"",) * len(modes),
        targets=tuple(strings(entries[FILELINKTOS])),
        digest_algorithm=integers(entries[FILEDIGESTALGO])[0] if FILEDIGESTALGO in entries else 1,
        links=_link_groups(entries, modes, flags),
    )
    _check_types(files)
    _check_digests(files)
    _check_links(files)
    return files


def _paths(entries: Entries) -> Tuple[bytes, ...]:
    directories = strings(entries[DIRNAMES])
    for directory in directories:
        if not directory.startswith(b"/") or not directory.endswith(b"/") or b"//" in directory:
            raise MalformedRpmError("a directory's name is not absolute and plain", tag=DIRNAMES, got=ascii(directory))
        if b"/../" in directory or b"/./" in directory:
            raise MalformedRpmError("a directory's name leads elsewhere", tag=DIRNAMES, got=ascii(directory))
    indexes = integers(entries[DIRINDEXES])
    names = strings(entries[BASENAMES])
    for index, name in zip(indexes, names):
        # An empty base name is how rpm writes the root directory itself, and nothing else.
        if b"/" in name or name in (b".", b"..") or (not name and directories[index] != b"/"):
            raise MalformedRpmError("a file's name leads elsewhere", tag=BASENAMES, got=ascii(name))
    paths = tuple([directories[index] + name for index, name in zip(indexes, names)])
    if len(set(paths)) != len(paths):
        raise MalformedRpmError("a path is listed twice", tag=BASENAMES)
    return paths


def _check_types(files: Files) -> None:
    for path, mode, target in zip(files.paths, files.modes, files.targets):
        kind = stat.S_IFMT(mode)
        if kind not in _FILE_TYPES:
            raise MalformedRpmError("a file of no known type", tag=FILEMODES, got=f"{mode:o} for {ascii(path)}")
        if bool(target) != (kind == stat.S_IFLNK):
            raise MalformedRpmError("a link target belongs to symbolic links alone", tag=FILELINKTOS, got=ascii(path))
        if path == b"/" and kind != stat.S_IFDIR:
            raise MalformedRpmError("the root must be a directory", tag=FILEMODES)


def _check_digests(files: Files) -> None:
    length = DIGEST_HEX_LENGTH.get(files.digest_algorithm)
    for index, (mode, digest) in enumerate(zip(files.modes, files.digests)):
        needed = stat.S_ISREG(mode) and not files.flags[index] & GHOST
        if not needed and not digest:
            continue
        path = ascii(files.paths[index])
        if length is None:
            raise WeakDigestError(
                f"the digest of {path} is too weak", tag=FILEDIGESTALGO, expected="SHA-256 or better",
                got=f"algorithm {files.digest_algorithm}",
            )  # fmt: skip
        if not digest:
            raise WeakDigestError(f"{path} has no digest", tag=FILEDIGESTS)
        if len(digest) != length or not _HEX.issuperset(digest):
            raise MalformedRpmError(f"the digest of {path} is not {length} lower-case hex digits", tag=FILEDIGESTS)


def _check_places(entries: Entries, number: int, target: int) -> None:
    limit = entries[target][1] if target in entries else 0
    if max(integers(entries[number])) >= limit:
        raise MalformedRpmError(f"a place beyond the end of tag {target}", tag=number, expected=f"less than {limit}")


def _start(entries: Entries, number: int) -> str:
    return ascii(entries[number][2][:80])


def _link_groups(entries: Entries, modes: Sequence[int], flags: Sequence[int]) -> Mapping[int, Tuple[int, ...]]:
    if FILEINODES not in entries or FILEDEVICES not in entries:
        return {}
    inodes, devices = integers(entries[FILEINODES]), integers(entries[FILEDEVICES])
    if len(set(inodes)) == len(inodes):
        return {}
    members: Dict[Tuple[int, int], List[int]] = {}
    for index, (mode, flag, inode, device) in enumerate(zip(modes, flags, inodes, devices)):
        if stat.S_ISREG(mode) and not flag & GHOST and inode:
            members.setdefault((device, inode), []).append(index)
    groups = [tuple(group) for group in members.values() if len(group) > 1]
    return {index: group for group in groups for index in group}


def _check_links(files: Files) -> None:
    for index, group in files.links.items():
        first = group[0]
        if files.digests[index] != files.digests[first] or files.sizes[index] != files.sizes[first]:
            raise MalformedRpmError("hard links to one file differ in digest or size", got=ascii(files.paths[index]))


def _refused(number: int, kind: int) -> MalformedRpmError:
    tag = TAGS.get(number)
    if tag is None:
        return MalformedRpmError("the header holds a tag that this version does not know", tag=number)
    if tag.klass is Klass.REFUSED:
        return MalformedRpmError(f"{tag.name} has no place in a package: {tag.why}", tag=number)
    expected = "type " + " or ".join(str(allowed) for allowed in tag.types)
    return MalformedRpmError("the tag has an unexpected type", tag=number, expected=expected, got=kind)
