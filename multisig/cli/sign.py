# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig sign."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from multisig.batching import lists, spread
from multisig.bundle import Attestation, Bundle
from multisig.cli.bundles import bundle_path, extend_bundle, read_bundle
from multisig.cli.progress import Bar, progress, remark
from multisig.cli.signing import extend, has_signed, record
from multisig.cli.subject import base_name, bytes_to_read, hush_librpm, kind_of
from multisig.errors import SignatureFormatError, StatementError, UsageError
from multisig.files import locked, open_regular, read_bounded, write_whole
from multisig.openpgp import (
    MAX_ARMORED_SIGNATURE,
    GpgvEngine,
    KeyRequirements,
    Outcome,
    PublicKey,
    Signer,
    armor,
    key_problem,
    parse_signature,
)
from multisig.openpgp.armor import SIGNATURE
from multisig.statement import MAX_SUBJECTS, Kind, Statement, Subject, encode, is_channel, make, parse, statement_id
from multisig.subjects import Progress
from multisig.subjects.file import hash_file
from multisig.subjects.tree import manifest_digests, tree_manifest
from multisig.text import plain

# The fewest bits that any policy can ask of an RSA key.
_WEAKEST = KeyRequirements(min_rsa_bits=2048)


@dataclass(frozen=True)
class _Planned:
    """One statement to be signed, and the bundle that it goes into."""

    statement: Statement
    bundle: str


def run(options: argparse.Namespace) -> int:
    _check(options)
    signer = None
    if options.key is not None:
        signer = Signer(options.key, options.gnupghome, options.gpg)
        _check_key(signer.public_key())
    planned = _plan(options)
    for item in planned:
        for line in _differing(item):
            print(f"multisig: {plain(line)}", file=sys.stderr)
    if options.dry_run:
        for line in _shown(planned):
            print(plain(line))
    elif options.export is not None:
        _export(options, planned)
    elif signer is None:
        raise UsageError("--key FPR says who signs; it can be left out with --dry-run and --export only")
    elif options.attach is not None:
        _attach(options, planned, signer)
    else:
        _sign(options, planned, signer)
    return 0


def _check(options: argparse.Namespace) -> None:
    if not is_channel(options.channel):
        raise UsageError("not a channel name", expected="[a-z0-9][a-z0-9._-]{0,63}", got=ascii(options.channel))
    if sum((options.dry_run, options.export is not None, options.attach is not None)) > 1:
        raise UsageError("--dry-run, --export and --attach do not go together")


def _check_key(key: PublicKey) -> None:
    """A key that no policy can take is refused; one that is too weak for policies as they are by default is named."""
    problems = [key_problem(part, key, _WEAKEST) for part in key.signing_parts()]
    if problems and all(problems):
        raise UsageError(f"no policy takes a signature by this key: the key {key.fingerprint} {problems[0]}")
    doubts = [key_problem(part, key, KeyRequirements()) for part in key.signing_parts()]
    if doubts and all(doubts):
        print(f"multisig: by default policies do not count this key: {key.fingerprint} {doubts[0]}", file=sys.stderr)


# What is to be signed


def _plan(options: argparse.Namespace) -> List[_Planned]:
    """Read and prove everything first: nothing is signed where something is unfit."""
    kinds = [kind_of(path, options.kind) for path in options.paths]
    if Kind.RPM in kinds:
        hush_librpm()
    subjects = _subjects(options.paths, kinds)
    if options.batch is None:
        found = [
            _Planned(make(kind, options.channel, [subject], options.source), bundle_path(path))
            for path, kind, subject in zip(options.paths, kinds, subjects)
        ]
    else:
        named = _named(options.paths, kinds, subjects)
        statements = [make(kind, options.channel, some, options.source) for kind, some in lists(named)]
        files = spread([encode(item) for item in statements], options.batch, _held)
        found = [_Planned(statement, file) for statement, file in zip(statements, files)]
    for item in found:
        encode(item.statement)  # raises for what no statement may hold
    return found


def _held(path: str) -> Optional[Bundle]:
    return read_bundle(path) if os.path.lexists(path) else None


def _subjects(paths: Sequence[str], kinds: Sequence[Kind]) -> List[Subject]:
    """The subjects of the paths, several at a time."""
    sizes = [partial(bytes_to_read, path, kind.word) for path, kind in zip(paths, kinds)]
    with ExitStack() as stack:
        bar = stack.enter_context(progress("checking", lambda: sum(size() for size in sizes)))
        pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        # Where one is unfit, the others that have not been begun are not.
        stack.callback(pool.shutdown, cancel_futures=True)
        running = [pool.submit(_subject, path, kind, bar) for path, kind in zip(paths, kinds)]
        return [future.result() for future in running]


def _named(paths: Sequence[str], kinds: Sequence[Kind], subjects: Sequence[Subject]) -> List[Tuple[Kind, Subject]]:
    """The subjects, each once."""
    named: Dict[Tuple[Kind, str], Subject] = {}
    for path, kind, subject in zip(paths, kinds, subjects):
        if named.setdefault((kind, subject.name), subject) != subject:
            raise UsageError(f"two different subjects of the name {subject.name}", path=path)
    return [(kind, subject) for (kind, _), subject in named.items()]


def _subject(path: str, kind: Kind, bar: Bar) -> Subject:
    with bar.part(f"checking {base_name(path)}", partial(bytes_to_read, path, kind.word)) as advance:
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

        package = read_rpm(fd, path=path)
        payload = hash_payload(fd, package, path=path, progress=advance)
        prove_payload(fd, package, path=path, progress=advance)
        return Subject(package.name, package.digests, payload)
    finally:
        os.close(fd)


def _differing(item: _Planned) -> Iterator[str]:
    """Who signed something else under the same name, by the bundle at hand; their signatures are not verified here."""
    if not os.path.lexists(item.bundle):
        return
    own = {subject.name: subject.digests for subject in item.statement.subjects}
    for attestation in read_bundle(item.bundle).attestations:
        try:
            other = parse(attestation.statement)
        except StatementError:
            continue
        if (other.kind, other.channel) != (item.statement.kind, item.statement.channel):
            continue
        for subject in other.subjects:
            if own.get(subject.name, subject.digests) != subject.digests:
                hint = "; multisig diff shows what differs" if other.kind is Kind.RPM else ""
                yield f"{item.bundle}: {_issuers(attestation)} signed another content of {subject.name}{hint}"


def _issuers(attestation: Attestation) -> str:
    names = []
    for armored in attestation.signatures:
        try:
            signature = parse_signature(armored)
        except SignatureFormatError:
            continue
        names.append(signature.issuer_fingerprint or signature.issuer_keyid or "an unnamed key")
    return ", ".join(names) or "nobody"


# What is done with it


def _sign(options: argparse.Namespace, planned: Sequence[_Planned], signer: Signer) -> None:
    """Sign each statement into its bundle; one that this key has signed is left as it is."""
    signed = []
    with GpgvEngine() as engine, progress("signing", len(planned)) as bar:
        for item in planned:
            with bar.part(f"signing into {base_name(item.bundle)}", 1):
                if extend(item.bundle, [item.statement], signer, engine, ledger=options.ledger):
                    signed.append(item)
    _remark(signed)
    files = list(dict.fromkeys(item.bundle for item in planned))
    if options.batch is not None and len(files) > 1:
        print(plain(f"one bundle has no room for all of it; signed into {', '.join(files)}"))


def _remark(signed: Sequence[_Planned]) -> None:
    if not signed:
        return
    subjects = [subject.name for item in signed for subject in item.statement.subjects]
    files = list(dict.fromkeys(item.bundle for item in signed))
    what = subjects[0] if len(subjects) == 1 else f"{len(subjects)} subjects"
    how = "one signature" if len(signed) == 1 else f"{len(signed)} signatures"
    where = files[0] if len(files) == 1 else f"{len(files)} bundles, as {files[0]}"
    remark(f"signed {what} for {signed[0].statement.channel}: {how}, into {where}")


def _shown(planned: Sequence[_Planned]) -> Iterator[str]:
    """What would be signed, as a person reads it."""
    for item in planned:
        statement = item.statement
        built = f", built from {statement.source}" if statement.source is not None else ""
        yield f"for the channel {statement.channel}{built}:"
        for subject in statement.subjects:
            yield f"  {statement.kind.word}  {subject.name}"
            yield f"       content   sha256:{subject.digests.sha256}"
            if subject.payload_sha256 is not None:
                yield f"       payload   sha256:{subject.payload_sha256}"
        yield f"  one signature, into {item.bundle}"
        yield f"  over the statement sha256:{statement_id(encode(statement))}"
    yield "nothing was signed (--dry-run)"


def _only(planned: Sequence[_Planned], option: str) -> _Planned:
    if len(planned) != 1:
        raise UsageError(
            f"{option} takes one statement, and this would be {len(planned)}; --batch makes one of up to "
            f"{MAX_SUBJECTS} subjects of one kind"
        )
    return planned[0]


def _export(options: argparse.Namespace, planned: Sequence[_Planned]) -> None:
    """Write the exact bytes that are to be signed elsewhere."""
    text = encode(_only(planned, "--export").statement)
    write_whole(options.export, text.encode())
    print(plain(f"{options.export}: the statement sha256:{statement_id(text)}"))
    name = shlex.quote(base_name(options.export))
    print(plain(f"sign it with: gpg --armor --detach-sign {name}"))
    print(plain(f"then run this command again with --attach {name}.asc in place of --export, and with --key"))


def _attach(options: argparse.Namespace, planned: Sequence[_Planned], signer: Signer) -> None:
    """Take a signature that was made elsewhere, if it is one that counts."""
    item = _only(planned, "--attach")
    text = encode(item.statement)
    try:
        armored = _armored(read_bounded(options.attach, MAX_ARMORED_SIGNATURE))
        signature = parse_signature(armored)
    except SignatureFormatError as error:
        raise error.at(options.attach) from None
    key = signer.public_key()
    if not key.could_have_issued(signature):
        raise UsageError("is not a signature by this key", path=options.attach, expected=key.fingerprint)
    with GpgvEngine() as engine:
        checked = engine.verify(text.encode(), signature, key)
        if checked.outcome is not Outcome.GOOD:
            raise UsageError(
                f"is no good signature over this statement ({checked.reason or checked.outcome.value}); were the "
                "paths, --channel, --source and --batch the same with --export?",
                path=options.attach,
            )
        record(text, signer, options.ledger)
        with locked(item.bundle):
            before = _held(item.bundle)
            if before is not None and has_signed(before.attestations, text, signer, engine):
                print(f"multisig: {plain(item.bundle)}: already signed by this key", file=sys.stderr)
            else:
                extend_bundle(item.bundle, [Bundle((Attestation(text, (armored,)),))])
                _remark([item])


def _armored(data: bytes) -> str:
    """As bundles hold it; gpg writes binary where it is not asked for armor."""
    if data.startswith(b"-----BEGIN") or len(data) > MAX_ARMORED_SIGNATURE:
        return data.decode("utf-8", "replace")
    return armor(data, SIGNATURE)
