# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold of an RPM's header before anything in it is trusted (docs/rpm-v1.md, "Structural checks"). Pure."""

from __future__ import annotations

import re
import stat
from functools import lru_cache
from typing import Callable, Dict, List, Mapping, Optional, Pattern, Sequence, Tuple

from multisig.errors import MalformedRpmError, WeakDigestError
from multisig.namedtuples import NamedTuple
from multisig.statement import NEVRA_PARTS
from multisig.subjects.header import INT32, SHAPES_KEPT, STRING, Header, Shape, picker, unpacked
from multisig.subjects.tags import GROUPS, INDEXES, SHAPES, TAGS, Klass
from multisig.text import shown

NAME, VERSION, RELEASE, EPOCH, ARCH = 1000, 1001, 1002, 1003, 1022
FILESIZES, FILEMODES, FILERDEVS, FILEDIGESTS, FILELINKTOS, FILEFLAGS = 1028, 1030, 1033, 1035, 1036, 1037
FILEUSERNAME, FILEGROUPNAME, SOURCERPM = 1039, 1040, 1044
FILEDEVICES, FILEINODES, DIRINDEXES, BASENAMES, DIRNAMES = 1095, 1096, 1116, 1117, 1118
PAYLOADFORMAT, PAYLOADCOMPRESSOR, LONGFILESIZES, FILEDIGESTALGO = 1124, 1125, 5008, 5011

GHOST = 1 << 6  # RPMFILE_GHOST, rpmfiles.h: named in the header, never in the payload
# OpenPGP's numbers (RFC 4880, 9.4), as FILEDIGESTALGO uses them.
DIGEST_NAMES = {8: "sha256", 9: "sha384", 10: "sha512"}
DIGEST_HEX_LENGTH = {8: 64, 9: 96, 10: 128}

_HEX = b"0123456789abcdef"
_FILE_TYPES = frozenset(
    {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK}
)
_IDENTITY = (NAME, VERSION, RELEASE, ARCH)
# As they lie in the header, one after the other: each ends with a NUL, which is in none of them.
_IDENTITY_SHAPE = re.compile(b"(?!-)" + b"".join(part.encode() + rb"\0" for part in NEVRA_PARTS) + rb"\Z")
_NEEDED_WITH_FILES = (DIRNAMES, DIRINDEXES, FILEMODES, FILEFLAGS, FILEUSERNAME, FILEGROUPNAME, FILELINKTOS, FILERDEVS)
_NONE_WITHOUT_FILES = (DIRNAMES, FILEDIGESTS, FILEMODES, FILESIZES, LONGFILESIZES, FILEINODES)
_ONE = frozenset({1})
_ODD_NAMES = frozenset({b"", b".", b".."})
# (tag, allowed type) -> its parallel group, "" where it has none.
_SINGLE = "one"
_GROUPS_BY_TYPE: Mapping[Tuple[int, int], str] = {
    (tag.number, kind): "" if tag.arity == "any" else tag.arity
    for tag in TAGS.values()
    if tag.klass is not Klass.REFUSED
    for kind in tag.types
}

_NEEDED = {group: frozenset(GROUPS.get(group, ())) for group in _GROUPS_BY_TYPE.values()}


class Files(NamedTuple):
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


class _Checks(NamedTuple):
    """What is left to check of headers of a shape, all of whose tags are known, allowed, and of an expected type.

    ``singles`` picks the counts that must be 1, other than of type STRING, which always is; ``members`` those that must
    be equal to others of their group, which ``anchors`` picks in the same order. ``indexes`` are tags whose values are
    places in another tag, and that tag; ``patterns`` the places of asserted values, with what they must match.
    """

    singles: Callable[[Sequence[int]], Tuple[int, ...]]
    members: Callable[[Sequence[int]], Tuple[int, ...]]
    anchors: Callable[[Sequence[int]], Tuple[int, ...]]
    indexes: Tuple[Tuple[int, int], ...]
    patterns: Tuple[Tuple[int, Pattern[bytes]], ...]


def check_tags(header: Header) -> None:
    """Every tag is known, allowed in a package, of an expected type and count, and as long as its parallel arrays.

    Values that are places in another array lie within it; asserted values have their one shape.
    """
    shape, counts = header.shape, header.counts
    checks = _checks(shape)
    if not _ONE.issuperset(checks.singles(counts)) or checks.members(counts) != checks.anchors(counts):
        raise _wrong_count(header)
    for tag, target in checks.indexes:
        limit = header[target][1] if target in header else 0
        if max(header.numbers(tag)) >= limit:
            raise MalformedRpmError(f"a place beyond the end of tag {target}", tag=tag, expected=f"less than {limit}")
    for place, pattern in checks.patterns:
        value = header.data[place]
        if pattern.match(value) is None:
            raise MalformedRpmError(
                "the value is not of the shape it must have", tag=shape.tags[place], got=ascii(value[:80])
            )


@lru_cache(SHAPES_KEPT)
def _checks(shape: Shape) -> _Checks:
    """Refuses tags and types that are not allowed, and groups that are not complete."""
    singles: List[int] = []
    members: List[int] = []
    anchors: List[int] = []
    first: Dict[str, int] = {}
    groups = list(map(_GROUPS_BY_TYPE.get, zip(shape.tags, shape.kinds)))
    for place, group in enumerate(groups):
        if group is None:
            raise _refused(shape.tags[place], shape.kinds[place])
        if not group:
            continue
        if group == _SINGLE:
            if shape.kinds[place] != STRING:
                singles.append(place)
        elif first.setdefault(group, place) != place:
            members.append(place)
            anchors.append(first[group])
    for group in first:
        if not _NEEDED[group] <= shape.places.keys():
            missing = min(_NEEDED[group].difference(shape.places))
            raise MalformedRpmError(f"an array of the {group} group is missing", tag=missing)
    return _Checks(
        singles=picker(singles),
        members=picker(members),
        anchors=picker(anchors),
        indexes=tuple((tag, target) for tag, target in INDEXES.items() if tag in shape.places),
        patterns=tuple((shape.places[tag], pattern) for tag, pattern in SHAPES.items() if tag in shape.places),
    )


def check_identity(header: Header) -> Tuple[str, str]:
    """The package's own name, and NAME-EPOCH:VERSION-RELEASE.ARCH; printable ASCII without separators, or refused."""
    places = header.shape.places
    if SOURCERPM not in places:
        # rpm itself tells a binary package by this tag (lib/headerutil.c, headerIsSource).
        raise MalformedRpmError("a source package, or one that does not name its source", tag=SOURCERPM)
    for tag in _IDENTITY:
        if tag not in places:
            raise MalformedRpmError("the package's identity is incomplete", tag=tag)
    epoch = 0
    if EPOCH in places:
        if header[EPOCH][:2] != (INT32, 1):
            raise MalformedRpmError("the epoch is not one number", tag=EPOCH)
        epoch = header.numbers(EPOCH)[0]
    parts = [header.data[places[tag]] for tag in _IDENTITY]
    well_formed = _IDENTITY_SHAPE.match(b"".join(parts))
    name, version, release, arch = [part.partition(b"\0")[0].decode("ascii", "replace") for part in parts]
    nevra = f"{name}-{epoch}:{version}-{release}.{arch}"
    if not well_formed:
        raise MalformedRpmError(
            "the package's name, version, release or architecture has odd characters", got=ascii(nevra)
        )
    return name, nevra


def check_payload_tags(header: Header) -> Optional[bytes]:
    """The compressor's name, None where the header gives none; refuses formats other than cpio."""
    places, values = header.shape.places, header.data
    payload_format = values[places[PAYLOADFORMAT]][:-1] if PAYLOADFORMAT in places else None
    if payload_format != b"cpio":
        raise MalformedRpmError("unknown payload format", tag=PAYLOADFORMAT, expected="cpio", got=ascii(payload_format))
    return values[places[PAYLOADCOMPRESSOR]][:-1] if PAYLOADCOMPRESSOR in places else None


def check_files(header: Header) -> Files:
    """The checked file list: paths that stay where they say, known file types, strong digests, honest link groups."""
    columns = _file_columns(header.shape)
    if columns is None:
        return NO_FILES
    data = header.data
    folders, names, targets, digests = [stored[:-1].split(b"\0") for stored in columns.texts(data)]
    indexes, modes, flags, sizes = [unpacked(*column) for column in zip(columns.kinds, columns.numbers(data))]
    if not columns.has_digests:
        digests = [b""] * len(modes)
    files = Files(
        paths=_paths(folders, indexes, names),
        modes=modes,
        sizes=sizes,
        flags=flags,
        digests=tuple(digests),
        targets=tuple(targets),
        digest_algorithm=header.numbers(FILEDIGESTALGO)[0] if columns.has_algorithm else 1,
        links=_link_groups(header, modes, flags) if columns.has_inodes and len(modes) > 1 else {},
    )
    _check_types(files)
    _check_digests(files)
    _check_links(files)
    return files


class _FileColumns(NamedTuple):
    """Where the columns of headers of a shape are that make up the file list.

    ``texts`` picks directories, base names, link targets and, where there are any, digests (else base names again);
    ``numbers`` places of directories, modes, flags and sizes, which are of the types ``kinds``.
    """

    texts: Callable[[Sequence[bytes]], Tuple[bytes, ...]]
    numbers: Callable[[Sequence[bytes]], Tuple[bytes, ...]]
    kinds: Tuple[int, ...]
    has_digests: bool
    has_algorithm: bool
    has_inodes: bool


@lru_cache(SHAPES_KEPT)
def _file_columns(shape: Shape) -> Optional[_FileColumns]:
    """None where there is no file list; refuses one that lacks a tag, and such tags without one."""
    places = shape.places
    if BASENAMES not in places:
        for tag in _NONE_WITHOUT_FILES:
            if tag in places:
                raise MalformedRpmError("file tags without a file list", tag=tag)
        return None
    for tag in _NEEDED_WITH_FILES:
        if tag not in places:
            raise MalformedRpmError("the file list is incomplete", tag=tag)
    if (FILESIZES in places) == (LONGFILESIZES in places):
        raise MalformedRpmError("exactly one of FILESIZES and LONGFILESIZES is needed", tag=FILESIZES)
    has_digests = FILEDIGESTS in places
    texts = (DIRNAMES, BASENAMES, FILELINKTOS, FILEDIGESTS if has_digests else BASENAMES)
    numbers = [
        places[tag] for tag in (DIRINDEXES, FILEMODES, FILEFLAGS, FILESIZES if FILESIZES in places else LONGFILESIZES)
    ]
    return _FileColumns(
        texts=picker([places[tag] for tag in texts]),
        numbers=picker(numbers),
        kinds=tuple(shape.kinds[place] for place in numbers),
        has_digests=has_digests,
        has_algorithm=FILEDIGESTALGO in places,
        has_inodes=FILEINODES in places and FILEDEVICES in places,
    )


def _paths(folders: Sequence[bytes], indexes: Sequence[int], names: Sequence[bytes]) -> Tuple[bytes, ...]:
    for folder in folders:
        if not folder.startswith(b"/") or not folder.endswith(b"/") or b"//" in folder:
            raise MalformedRpmError("a directory's name is not absolute and plain", tag=DIRNAMES, got=shown(folder))
        if b"/../" in folder or b"/./" in folder:
            raise MalformedRpmError("a directory's name leads elsewhere", tag=DIRNAMES, got=shown(folder))
    for index, name in zip(indexes, names):
        # An empty base name is how rpm writes the root directory itself, and nothing else.
        if b"/" in name or (name in _ODD_NAMES and (name or folders[index] != b"/")):
            raise MalformedRpmError("a file's name leads elsewhere", tag=BASENAMES, got=shown(name))
    paths = tuple([folders[index] + name for index, name in zip(indexes, names)])
    if len(set(paths)) != len(paths):
        raise MalformedRpmError("a path is listed twice", tag=BASENAMES)
    return paths


def _check_types(files: Files) -> None:
    kinds = set(map(stat.S_IFMT, files.modes))
    if kinds <= _FILE_TYPES and stat.S_IFLNK not in kinds and not any(files.targets) and b"/" not in files.paths:
        return
    for path, mode, target in zip(files.paths, files.modes, files.targets):
        kind = stat.S_IFMT(mode)
        if kind not in _FILE_TYPES:
            raise MalformedRpmError("a file of no known type", tag=FILEMODES, got=f"{mode:o} for {shown(path)}")
        if bool(target) != (kind == stat.S_IFLNK):
            raise MalformedRpmError("a link target belongs to symbolic links alone", tag=FILELINKTOS, got=shown(path))
        if path == b"/" and kind != stat.S_IFDIR:
            raise MalformedRpmError("the root must be a directory", tag=FILEMODES)


def _check_digests(files: Files) -> None:
    length = DIGEST_HEX_LENGTH.get(files.digest_algorithm)
    if set(map(len, files.digests)) == {length} and not b"".join(files.digests).translate(None, _HEX):
        return  # each file has one, and each is as it must be
    for index, (mode, digest) in enumerate(zip(files.modes, files.digests)):
        needed = stat.S_ISREG(mode) and not files.flags[index] & GHOST
        if not needed and not digest:
            continue
        path = shown(files.paths[index])
        if length is None:
            raise WeakDigestError(
                f"the digest of {path} is too weak", tag=FILEDIGESTALGO, expected="SHA-256 or better",
                got=f"algorithm {files.digest_algorithm}",
            )  # fmt: skip
        if not digest:
            raise WeakDigestError(f"{path} has no digest", tag=FILEDIGESTS)
        if len(digest) != length or digest.translate(None, _HEX):
            raise MalformedRpmError(f"the digest of {path} is not {length} lower-case hex digits", tag=FILEDIGESTS)


def _link_groups(header: Header, modes: Sequence[int], flags: Sequence[int]) -> Mapping[int, Tuple[int, ...]]:
    inodes, devices = header.numbers(FILEINODES), header.numbers(FILEDEVICES)
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
            raise MalformedRpmError("hard links to one file differ in digest or size", got=shown(files.paths[index]))


def _wrong_count(header: Header) -> MalformedRpmError:
    """Which of a header's counts it is that cannot be."""
    counts: Dict[str, int] = {}
    for tag, (kind, count, _) in header.items():
        group = _GROUPS_BY_TYPE[tag, kind]
        if group == _SINGLE:
            if count != 1:
                return MalformedRpmError("the tag must have one value", tag=tag, got=count)
        elif group and counts.setdefault(group, count) != count:
            expected = f"{counts[group]} as others of the {group} group"
            return MalformedRpmError(
                "arrays that belong together differ in length", tag=tag, expected=expected, got=count
            )
    return MalformedRpmError("a tag has an impossible count")


def _refused(number: int, kind: int) -> MalformedRpmError:
    tag = TAGS.get(number)
    if tag is None:
        return MalformedRpmError("the header holds a tag that this version does not know", tag=number)
    if tag.klass is Klass.REFUSED:
        return MalformedRpmError(f"{tag.name} has no place in a package: {tag.why}", tag=number)
    expected = "type " + " or ".join(str(allowed) for allowed in tag.types)
    return MalformedRpmError("the tag has an unexpected type", tag=number, expected=expected, got=kind)
