# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the index of a repository: gathers the bundles that lie in it, and puts one file of them into its metadata.

Needs no key and no policy: an index carries evidence, and each reader judges that for itself.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import Iterable, Iterator, List, Optional, Tuple

from multisig import bundle, index
from multisig.bundle import MAX_BUNDLE, SUFFIX, Attestation
from multisig.errors import MalformedRpmError, MultisigError, UnreadableError, UsageError
from multisig.files import open_regular, read_bounded, read_if_there, walk, write_whole
from multisig.index import MAX_INDEX, RECORD
from multisig.merging import Dropped, sound_parts
from multisig.metadata import MAX_REPOMD, REPOMD, record_of
from multisig.repomd import NewRecord, with_record
from multisig.statement import Kind, parse
from multisig.subjects import Progress
from multisig.subjects.embedded import read_embedded
from multisig.unpack import unpacked, zstd

_RPM = ".rpm"
_OURS = re.compile(rf"[0-9a-f]{{64}}-{RECORD}\.jsonl(\.gz|\.zst)?\Z")


@dataclass
class Gathered:
    """The evidence that lies in a repository, ``bundles`` files of it, and what of them is not taken over."""

    attestations: List[Attestation] = field(default_factory=list)
    bundles: int = 0
    dropped: List[Dropped] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """What came of it: where the index lies, its size in bytes, whether it is a new one, and what to say besides.

    ``first``: there was none before.
    """

    path: str
    size: int
    changed: bool
    first: bool = False
    warnings: Tuple[str, ...] = ()


def count_files(repository: str) -> int:
    """How many files ``gather`` looks into. Raises UnreadableError."""
    return sum(1 for _ in _files(repository))


def gather(repository: str, *, progress: Optional[Progress] = None) -> Gathered:
    """Everything about RPMs in the ``*.msig`` files of a repository, and in the bundles that its RPMs carry; the
    folders within it included.

    Bundles beside a file have their size bounded, as a reader would; a batch's, which lies beside none, may be as large
    as an index. ``progress`` is told of each file. Raises UnreadableError where a file or folder cannot be read.
    """
    gathered = Gathered()
    parts: List[Attestation] = []
    for path in _files(repository):
        if progress is not None:
            progress(1)
        shown = os.path.relpath(path, repository)
        limit = MAX_INDEX
        if path.endswith(_RPM):
            data = _embedded(path, shown, gathered.dropped)
        else:
            limit = MAX_BUNDLE if os.path.lexists(path[: -len(SUFFIX)]) else MAX_INDEX
            data = read_bounded(path, limit)
        if data is None:
            continue
        sound, dropped = sound_parts(data, shown, limit=limit)
        gathered.bundles += 1
        gathered.dropped += dropped
        parts += [item for item in sound.attestations if item.signatures and parse(item.statement).kind is Kind.RPM]
    gathered.attestations = index.unite(parts)
    return gathered


def put_index(repository: str, attestations: Iterable[Attestation], *, now: int) -> Written:
    """Write the index into a repository's metadata and name it in repomd.xml; ``now`` is its time, since the epoch.

    The caller holds the lock of the repository. What is there already and says the same is left alone. The steps, each
    of which may be the last: 1. The new file is written, under a name that holds its checksum. 2. repomd.xml is
    replaced. 3. Indexes that neither it nor its predecessor names are removed: who has just read that one still finds
    its file. Raises MetadataError, IndexFormatError, UnreadableError, and UsageError where repomd.xml is signed.
    """
    before = _repomd(repository)
    data = b"".join(index.encode(attestations))
    sha256 = hashlib.sha256(data).hexdigest()
    old = _path_of_index(repository, before)
    if old is not None and _unpacked_sha256(old) == sha256:
        return Written(old, os.stat(old).st_size, changed=False)
    warnings = _signatures(repository, before)
    packed = zstd(data)
    checksum = hashlib.sha256(packed).hexdigest()
    location = f"{os.path.dirname(REPOMD)}/{checksum}-{RECORD}.jsonl.zst"
    after = with_record(before, NewRecord(RECORD, location, checksum, len(packed), sha256, len(data), now))
    path = os.path.join(repository, location)
    write_whole(path, packed)
    write_whole(os.path.join(repository, REPOMD), after)
    _remove_others(os.path.dirname(path), before + after)
    return Written(path, len(packed), changed=True, first=old is None, warnings=warnings)


def _embedded(path: str, shown: str, dropped: List[Dropped]) -> Optional[bytes]:
    """The bundle that a package carries; what is no package, or carries something else there, is nobody's evidence."""
    fd = open_regular(path)
    try:
        return read_embedded(fd)
    except MalformedRpmError as error:
        dropped.append(Dropped(shown, "the embedded bundle", error.message))
        return None
    finally:
        os.close(fd)


def _files(repository: str) -> Iterator[str]:
    """The bundles and packages in a repository, in one order. Metadata, and what is hidden, are no part of it."""
    for folder, names in walk(repository, without=(os.path.dirname(REPOMD),)):
        for name in names:
            if name.endswith((SUFFIX, _RPM)) and not name.startswith("."):
                yield os.path.join(folder, name)


def _repomd(repository: str) -> bytes:
    path = os.path.join(repository, REPOMD)
    data = read_if_there(path, MAX_REPOMD)
    if data is None:
        raise UsageError(f"{path} is not there; run createrepo_c first")
    return data


def _path_of_index(repository: str, repomd: bytes) -> Optional[str]:
    """Where the index lies that repomd.xml names; None where it names none."""
    record = record_of(repomd, RECORD)
    return None if record is None else os.path.join(repository, record.location)


def _unpacked_sha256(path: str) -> Optional[str]:
    """The SHA-256 of what an index unpacks to; None for a file that is not there, damaged, or too large to be one."""
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in unpacked(path):
            digest.update(chunk)
            size += len(chunk)
            if size > MAX_INDEX:
                return None
    except UnreadableError:
        return None
    return digest.hexdigest()


def _signatures(repository: str, repomd: bytes) -> Tuple[str, ...]:
    """Signatures of repomd.xml that lie beside it must not come to be over something else, unseen.

    Raises UsageError where one is over repomd.xml as it is now; the texts returned are on those that are not any more.
    """
    warnings = []
    for suffix, current in ((SUFFIX, _released), (".asc", _newer)):
        path = os.path.join(repository, REPOMD + suffix)
        if not os.path.lexists(path):
            continue
        if current(path, repomd):
            # The serials of releases count on from those that lie there: machines refuse what begins anew.
            away = "remove that file" if suffix == ".asc" else "move that file away"
            back = "" if suffix == ".asc" else "move it back, "
            raise UsageError(
                f"{path} signs repomd.xml as it is now, and the index changes that. The index comes first, and then "
                f"the signature: {away}, run multisig index, {back}and sign repomd.xml again"
            )
        warnings.append(f"{path} is not over this repomd.xml; sign it again")
    return tuple(warnings)


def _released(path: str, repomd: bytes) -> bool:
    """Whether a release statement is on this very repomd.xml."""
    sha256 = hashlib.sha256(repomd).hexdigest()
    try:
        texts = [item.statement for item in bundle.parse(read_bounded(path, MAX_BUNDLE)).attestations]
        return any(line.digests.sha256 == sha256 for text in texts for line in parse(text).subjects)
    except MultisigError:
        return False


def _newer(path: str, repomd: bytes) -> bool:
    """Whether a signature was written after the repomd.xml that it lies beside, and so is likely to be over it."""
    try:
        return os.stat(path).st_mtime_ns >= os.stat(path[: -len(".asc")]).st_mtime_ns
    except OSError:
        return False


def _remove_others(repodata: str, named: bytes) -> None:
    try:
        for name in os.listdir(repodata):
            if _OURS.match(name) and name.encode() not in named:
                os.unlink(os.path.join(repodata, name))
    except OSError as error:
        raise UnreadableError(f"old indexes cannot be removed: {error.strerror}", path=repodata) from None
