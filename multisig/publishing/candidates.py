# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages among the uploads: what each is by its own header, and which file of a content is the one to publish."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, List, Sequence, Set, Tuple

from multisig.errors import MultisigError
from multisig.merging import Dropped
from multisig.publishing.createrepo import run_tool
from multisig.publishing.evidence import Evidence
from multisig.publishing.uploads import Uploads
from multisig.statement import Digests
from multisig.subjects.payload import hash_payload, longest_file
from multisig.subjects.rpm import read_rpm


@dataclass(frozen=True)
class Content:
    """One content of a package, by its header, and the uploads that have it, by path; none of them is of use that is
    longer than ``longest`` bytes."""

    nevra: str
    name: str
    obsoletes: Tuple[str, ...]
    digests: Digests
    paths: Tuple[str, ...]
    longest: int


def read_contents(uploads: Uploads, paths: Sequence[str]) -> Tuple[List[Content], List[Dropped]]:
    """What was uploaded, sorted by full name and digest; and the files that are no package that could be approved."""
    found: Dict[Tuple[str, str], Content] = {}
    dropped: List[Dropped] = []
    for path in paths:
        try:
            fd = uploads.open(path)
            try:
                subject = read_rpm(fd)
            finally:
                os.close(fd)
        except MultisigError as error:
            dropped.append(Dropped(uploads.shown(path), "", error.message))
            continue
        if subject.package.startswith("."):
            dropped.append(Dropped(uploads.shown(path), "", "its name begins with a dot; web servers hide such files"))
            continue
        key = (subject.name, subject.sha256)
        paths_before, longest = (found[key].paths, found[key].longest) if key in found else ((), 0)
        found[key] = Content(
            subject.name, subject.package, subject.obsoletes, subject.digests, (*paths_before, path),
            max(longest, longest_file(subject)),
        )  # fmt: skip
    return [found[key] for key in sorted(found)], dropped


def in_order(content: Content, uploads: Uploads, evidence: Evidence) -> List[str]:
    """The files of a content, the best one first: whose very bytes most signers vouch for; the rest by payload, so that
    the choice does not depend on who called which folder what."""
    vouching: Dict[str, Set[str]] = {}
    for item in evidence.approving(content.nevra, content.digests):
        for line in item.statement.subjects:
            if line.name == content.nevra and line.payload_sha256 is not None:
                vouching.setdefault(line.payload_sha256, set()).update(word.approval.signer for word in item.words)
    ranked = []
    for path in content.paths:
        try:
            fd = uploads.open(path)
            try:
                payload = hash_payload(fd, read_rpm(fd))
            finally:
                os.close(fd)
        except MultisigError:
            payload = "~"  # last: what is wrong with it is said when it is its turn
        ranked.append((-len(vouching.get(payload, ())), payload, path))
    return [path for _, _, path in sorted(ranked)]


def check_by_rpm(path: str, keyless: str) -> None:
    """Have rpm itself check the digests in the signature header, which is nobody's to sign: a file that is wrong there
    would be refused by every client. ``keyless`` is a folder without keys, for rpm's database. Raises ToolError."""
    options = ["--checksig", "--nosignature", "--define", "_pkgverify_level digest"]
    # rpm wants the one to be absolute; and no absolute path is taken for an option.
    run_tool("rpmkeys", [*options, "--dbpath", os.path.abspath(keyless), os.path.abspath(path)], package="rpm")
