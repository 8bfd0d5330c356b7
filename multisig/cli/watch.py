# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig watch."""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from multisig import bundle as bundles
from multisig import index
from multisig.bundle import SUFFIX
from multisig.cli.progress import progress
from multisig.cli.signing import default_ledger
from multisig.errors import BundleError, IndexFormatError, KeyFormatError, MalformedRpmError, MultisigError, UsageError
from multisig.files import open_regular, read_bounded, walk
from multisig.index import MAX_INDEX
from multisig.ledger import read_ledger, signed_statements
from multisig.metadata import MAX_REPOMD, REPOMD, record_of
from multisig.openpgp import PublicKey, Signer, open_engine, parse_public_key
from multisig.openpgp.armor import MAX_KEY_FILE
from multisig.policy import Policy, load_policy
from multisig.subjects.embedded import read_embedded
from multisig.text import counted, plain
from multisig.threads import workers
from multisig.times import timestamp
from multisig.unpack import unpacked
from multisig.watching import Lookalike, Misuse, Watcher, lookalikes

_KEY_FILES = (".asc", ".gpg", ".key", ".pub")
_SHOWN = 5


def run(options: argparse.Namespace) -> int:
    """0 nothing was found, 1 something was, 2 it could not be told."""
    signed = _signed(options.ledger or [default_ledger()])
    policy = load_policy(options.policy) if options.policy is not None else None
    own = _own_keys(options, signed, policy)
    notes: List[str] = []
    watcher = Watcher(own, signed)
    others: List[Tuple[PublicKey, str]] = []
    with ExitStack() as stack:
        engine = stack.enter_context(closing(open_engine()))
        pool = stack.enter_context(ThreadPoolExecutor(workers()))
        files = list(_files(options.path))
        bar = stack.enter_context(progress("watching", len(files)))
        for path in files:
            others += _look(path, options.path, watcher, notes)
            bar(1)
        misuse = watcher.misuse(engine, pool)
    found = list(lookalikes(own, others, policy))
    if options.json:
        print(_json(misuse, found, own, watcher.looked_at, notes, None))
    else:
        for note in notes:
            print(f"multisig: {plain(note)}", file=sys.stderr)
        for line in _lines(misuse, found, own, watcher.looked_at):
            print(plain(line))
    return 1 if misuse or found else 0


def error_json(error: MultisigError) -> str:
    """The answer where it could not be told."""
    return _json([], [], [], 0, [], error)


# What is the signer's


def _signed(paths: Sequence[str]) -> Dict[str, FrozenSet[str]]:
    """What the ledgers list together: a signer may have one on each machine."""
    found: Dict[str, FrozenSet[str]] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError("there is no ledger; sign writes it, and --ledger names another", path=path)
        for key, statements in signed_statements(read_ledger(path)).items():
            found[key] = found.get(key, frozenset()) | statements
    return found


def _own_keys(
    options: argparse.Namespace, signed: Dict[str, FrozenSet[str]], policy: Optional[Policy]
) -> List[PublicKey]:
    """The public keys of --key, or else of all that the ledgers name: from the policy, or else from gpg's keyring."""
    keys = [key for signer in policy.signers.values() for key in signer.keys] if policy is not None else []
    in_policy = {key.fingerprint: key.public for key in keys}
    wanted = options.key or sorted(signed)
    if not wanted:
        raise UsageError("the ledger names no key yet; --key FPR says whose signatures to look for")
    found = []
    for fingerprint in wanted:
        name = "".join(fingerprint.split()).upper()
        public = in_policy.get(name)
        found.append(public or Signer(fingerprint, options.gnupghome).exported())
    return found


# What is looked at


def _files(path: str) -> Iterator[str]:
    """The files that may hold evidence or keys: one, or all of a repository but what is hidden."""
    if not os.path.isdir(path):
        yield path
        return
    for folder, names in walk(path):
        for name in names:
            if name.endswith((SUFFIX, ".rpm", *_KEY_FILES)) or name.startswith("RPM-GPG-KEY"):
                yield os.path.join(folder, name)
    repomd = os.path.join(path, REPOMD)
    if os.path.lexists(repomd):
        record = record_of(read_bounded(repomd, MAX_REPOMD), index.RECORD)
        if record is not None:
            yield os.path.join(path, record.location)


def _look(path: str, top: str, watcher: Watcher, notes: List[str]) -> List[Tuple[PublicKey, str]]:
    """Hand one file's signatures to the watcher; the keys in it. What cannot be read as what it should be is noted."""
    shown = os.path.relpath(path, top) if os.path.isdir(top) else path
    try:
        if path.endswith(".rpm"):
            fd = open_regular(path)
            try:
                data = read_embedded(fd)
            finally:
                os.close(fd)
            if data is not None:
                watcher.add(bundles.parse(data).attestations, shown)
        elif path.endswith(SUFFIX):
            watcher.add(bundles.parse(read_bounded(path, MAX_INDEX), limit=MAX_INDEX).attestations, shown)
        elif os.path.basename(path).startswith("RPM-GPG-KEY") or path.endswith(_KEY_FILES):
            return _keys(path, shown)
        else:
            watcher.add(index.attestations(unpacked(path), lambda text: notes.append(f"{shown}: {text}")), shown)
    except (BundleError, IndexFormatError, MalformedRpmError) as error:
        if not os.path.isdir(top):
            raise error.at(path) from None
        notes.append(f"{shown}: {error.message}")
    return []


def _keys(path: str, shown: str) -> List[Tuple[PublicKey, str]]:
    try:
        return [(parse_public_key(read_bounded(path, MAX_KEY_FILE)), shown)]
    except KeyFormatError:
        return []  # a signature, a keyring of several: nothing that a policy could take for somebody's key


# The answer


def _lines(
    misuse: Sequence[Misuse], found: Sequence[Lookalike], own: Sequence[PublicKey], looked_at: int
) -> Iterator[str]:
    for item in misuse:
        yield f"NOT IN YOUR LEDGER: a signature by your key {item.key}"
        yield f"    made on {timestamp(item.created)} over the statement sha256:{item.statement}"
        if item.kind is not None:
            more = f" and {len(item.names) - _SHOWN} more" if len(item.names) > _SHOWN else ""
            yield f"    {item.kind} for {item.channel}: {', '.join(item.names[:_SHOWN])}{more}"
        yield f"    in {', '.join(item.sources[:_SHOWN])}"
    for other in found:
        yield f"NOT YOUR KEY, and passes for it: {other.fingerprint}  {', '.join(other.user_ids)}"
        yield f"    in {other.where}"
    if misuse or found:
        yield "if that was not you, have your key revoked, and tell those who keep the policies"
    else:
        keys = ", ".join(key.fingerprint for key in own)
        yield f"nothing found: {counted(looked_at, 'signature')} looked at, for {keys}"


def _json(
    misuse: Sequence[Misuse],
    found: Sequence[Lookalike],
    own: Sequence[PublicKey],
    looked_at: int,
    notes: Sequence[str],
    error: Optional[MultisigError],
) -> str:
    return json.dumps(
        {
            "clean": error is None and not misuse and not found,
            "error": None if error is None else {"code": error.code, "message": str(error)},
            "keys": [key.fingerprint for key in own],
            "signatures": looked_at,
            "misuse": [{**asdict(item), "created": timestamp(item.created)} for item in misuse],
            "lookalikes": [asdict(item) for item in found],
            "notes": list(notes),
        }
    )
