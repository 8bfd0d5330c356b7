# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig release sign."""

from __future__ import annotations

import argparse
import os
import sys
import time

from multisig import bundle as bundles
from multisig import report
from multisig.bundle import Attestation, Bundle
from multisig.cli.answer import moment, span
from multisig.cli.bundles import read_bundle
from multisig.cli.progress import progress
from multisig.cli.repository import release_path
from multisig.cli.signing import has_signed, sign_text
from multisig.errors import UsageError
from multisig.files import locked, write_whole
from multisig.metadata import check_file, packages_of, parse_repomd, read_metadata
from multisig.openpgp import GpgvEngine, Signer
from multisig.release import DEFAULT_VALIDITY, Release, releases, to_sign, without_old
from multisig.repositories import repomd_digests
from multisig.statement import MAX_SERIAL, is_channel
from multisig.text import plain
from multisig.times import told_time


def run(options: argparse.Namespace) -> int:
    """Sign the release statement that is there for the present repomd.xml, or a new one."""
    now = int(time.time())
    expires = _expires(options, now)
    if not is_channel(options.channel):
        raise UsageError("not a channel name", expected="[a-z0-9][a-z0-9._-]{0,63}", got=ascii(options.channel))
    if options.serial is not None and not 1 <= options.serial <= MAX_SERIAL:
        raise UsageError("--serial is a whole number from 1", got=options.serial)
    signer = Signer(options.key, options.gnupghome, options.gpg)
    signer.public_key()
    metadata = read_metadata(options.repository, "")
    with progress("checking the metadata") as bar:
        records = parse_repomd(metadata.repomd)
        for record in records:
            check_file(metadata.folder, record, progress=bar)
        count = len(packages_of(metadata)) if records else 0
    path = release_path(options.repository)
    with locked(path), GpgvEngine() as engine:
        before = read_bundle(path) if os.path.lexists(path) else Bundle(())
        release, joined = to_sign(
            before, repomd_digests(metadata.repomd), options.channel, now=now, expires=expires, serial=options.serial,
            renew=options.renew,
        )  # fmt: skip
        _tell(release, joined, count, first=not releases(before, options.channel))
        if joined and has_signed(before.attestations, release.text, signer, engine):
            print(f"multisig: {path}: already signed by this key (--renew makes a new one)", file=sys.stderr)
            return 0
        own = Bundle((Attestation(release.text, (sign_text(release.text, signer, engine, ledger=options.ledger),)),))
        write_whole(path, bundles.encode(bundles.merge([without_old(before, now), own])))
    return 0


def _expires(options: argparse.Namespace, now: int) -> int:
    if options.expires is None:
        return now + (DEFAULT_VALIDITY if options.valid is None else span(options.valid, "--valid"))
    expires = moment(options.expires, "--expires")
    if expires <= now:
        raise UsageError("--expires is over already", got=told_time(expires))
    return expires


def _tell(release: Release, joined: bool, packages: int, *, first: bool) -> None:
    """What is about to be signed, as a person reads it, before gpg asks for the passphrase."""
    what = "joining" if joined else "making"
    print(f"{what} release {release.serial} of {release.statement.channel}: {report.packages(packages)}")
    print(f"    repomd.xml  sha256:{release.digests.sha256}")
    print(f"    issued      {told_time(release.issued)}")
    print(f"    expires     {told_time(release.expires)}", flush=True)
    if first and release.serial == 1:
        print(
            plain("multisig: the first release of this channel here; if there were earlier ones, say --serial"),
            file=sys.stderr,
        )
