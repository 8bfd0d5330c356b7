# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig sign."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import Dict, List, Sequence

from multisig.bundle import Attestation, Bundle
from multisig.cli.bundles import bundle_path, extend_bundle, read_bundle
from multisig.cli.progress import Bar, progress
from multisig.cli.subject import base_name, bytes_to_read, hush_librpm, kind_of
from multisig.errors import EngineError, SignatureFormatError, UsageError
from multisig.files import locked, open_regular
from multisig.openpgp import GpgvEngine, Outcome, Signer, parse_signature
from multisig.statement import MAX_SUBJECTS, Kind, Statement, Subject, encode, is_channel, make
from multisig.subjects import Progress
from multisig.subjects.file import hash_file
from multisig.subjects.tree import manifest_digests, tree_manifest


def run(options: argparse.Namespace) -> int:
    if not is_channel(options.channel):
        raise UsageError("not a channel name", expected="[a-z0-9][a-z0-9._-]{0,63}", got=ascii(options.channel))
    signer = Signer(options.key, options.gnupghome)
    signer.public_key()
    total = partial(_bytes_to_read, options)
    with GpgvEngine() as engine, progress("signing", total) as bar:
        if options.batch is not None:
            statements = _batches(options, bar)
            extend(options.batch, statements, signer, engine)
        else:
            for path in options.paths:
                kind = kind_of(path, options.kind)
                statement = make(kind, options.channel, [_subject(path, kind, bar)])
                extend(bundle_path(path), [statement], signer, engine)
    return 0


def _bytes_to_read(options: argparse.Namespace) -> int:
    return sum(bytes_to_read(path, options.kind) for path in options.paths)


def _batches(options: argparse.Namespace, bar: Bar) -> List[Statement]:
    """As few statements as hold all the paths: one a kind, and at most MAX_SUBJECTS subjects in each."""
    subjects: Dict[Kind, Dict[str, Subject]] = {}
    for path in options.paths:
        kind = kind_of(path, options.kind)
        subject = _subject(path, kind, bar)
        if subjects.setdefault(kind, {}).setdefault(subject.name, subject) != subject:
            raise UsageError(f"two different subjects of the name {subject.name}", path=path)
    statements = []
    for kind, named in subjects.items():
        ordered = [named[name] for name in sorted(named)]
        for start in range(0, len(ordered), MAX_SUBJECTS):
            statements.append(make(kind, options.channel, ordered[start : start + MAX_SUBJECTS]))
    return statements


def _subject(path: str, kind: Kind, bar: Bar) -> Subject:
    size = partial(bytes_to_read, path, kind.word)
    with bar.part(f"checking {base_name(path)}", size) as advance:
        return _proven(path, kind, advance)


def _proven(path: str, kind: Kind, advance: Progress) -> Subject:
    """What is to be signed, once it has been proven that it is what its header says."""
    if kind is Kind.TREE:
        return Subject(base_name(path), manifest_digests(tree_manifest(path, progress=advance)))
    fd = open_regular(path)
    try:
        if kind is Kind.FILE:
            return Subject(base_name(path), hash_file(fd, path=path, progress=advance)[1])
        from multisig.subjects.payload import hash_payload, prove_payload
        from multisig.subjects.rpm import read_rpm

        hush_librpm()
        package = read_rpm(fd, path=path)
        payload = hash_payload(fd, package, path=path, progress=advance)
        prove_payload(fd, package, path=path, progress=advance)
        return Subject(package.name, package.digests, payload)
    finally:
        os.close(fd)


def extend(path: str, statements: List[Statement], signer: Signer, engine: GpgvEngine) -> None:
    """Add this signer's word to the bundle at ``path``; whatever is in it stays."""
    with locked(path):
        before = read_bundle(path).attestations if os.path.lexists(path) else ()
        new = []
        for text in map(encode, statements):
            if has_signed(before, text, signer, engine):
                print(f"multisig: {path}: already signed by this key", file=sys.stderr)
            else:
                new.append(Attestation(text, (sign_text(text, signer, engine),)))
        if new:
            extend_bundle(path, [Bundle(tuple(new))])


def has_signed(before: Sequence[Attestation], text: str, signer: Signer, engine: GpgvEngine) -> bool:
    """Whether a good signature by this key over the statement ``text`` is among these."""
    signatures = [armored for item in before if item.statement == text for armored in item.signatures]
    return any(_is_good(armored, text, signer, engine) for armored in signatures)


def _is_good(armored: str, text: str, signer: Signer, engine: GpgvEngine) -> bool:
    try:
        signature = parse_signature(armored)
    except SignatureFormatError:
        return False
    key = signer.public_key()
    return key.could_have_issued(signature) and engine.verify(text.encode(), signature, key).outcome is Outcome.GOOD


def sign_text(text: str, signer: Signer, engine: GpgvEngine) -> str:
    """A signature that verification accepts, or an error: nobody is served by one that cannot count."""
    armored = signer.sign(text.encode())
    checked = engine.verify(text.encode(), parse_signature(armored), signer.public_key())
    if checked.outcome is not Outcome.GOOD:
        raise EngineError(f"the signature that gpg made does not verify: {checked.reason or checked.outcome.value}")
    return armored
