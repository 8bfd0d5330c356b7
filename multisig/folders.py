# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence in folders that multisig.conf names in [bundles], for front ends that ask no network for it."""

from __future__ import annotations

import os
from typing import Sequence

from multisig import bundle as bundles
from multisig.bundle import MAX_BUNDLE, SUFFIX
from multisig.errors import BundleError, UnreadableError
from multisig.files import read_if_there
from multisig.held import Find, join


def find_in_folders(folders: Sequence[str], name: str) -> Find:
    """What lies in the folders for an RPM of that file name, as ``X.rpm.msig``. What cannot be had is not there."""
    found = Find()
    for folder in folders:
        path = os.path.join(folder, name + SUFFIX)
        try:
            data = read_if_there(path, MAX_BUNDLE)
            if data is not None:
                found = join(found, Find(attestations=bundles.parse(data).attestations))
        except (BundleError, UnreadableError) as error:
            found = join(found, Find(notes=(f"{path}: {error.message}",)))
    return found
