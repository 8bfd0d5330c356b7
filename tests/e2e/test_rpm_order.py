# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of a payload's archive, which nobody signs: what is accepted in whatever order, rpm installs as signed."""

from __future__ import annotations

import hashlib
import random
import stat
from pathlib import Path
from typing import List

from fixtures.building import BUILDERS, Recipe, build
from fixtures.cpio import Member
from fixtures.rpmedit import Rpm
from fixtures.rpmjudge import proven
from fixtures.ten import install
from multisig.errors import PayloadMismatchError

ROUNDS, INSTALLED = 60, 8


def _shuffled(members: List[Member], chance: random.Random) -> List[Member]:
    """The members in another order: in half of the cases with the names of hard links as they follow each other."""
    if chance.random() < 0.5:
        return chance.sample(members, len(members))
    linked = [member for member in members if member.nlink > 1]
    others = [member for member in members if member.nlink == 1]
    others = chance.sample(others, len(others))
    place = chance.randrange(len(others) + 1)
    return others[:place] + linked + others[place:]


def test_what_is_accepted_in_any_order_is_installed_with_the_signed_contents(tmp_path: Path) -> None:
    package = Rpm.read(build(Recipe("everything.spec"), BUILDERS["marek"], tmp_path)[0])
    chance = random.Random(1)
    refused = accepted = 0
    for number in range(ROUNDS):
        changed = package.copy()
        changed.set_members(_shuffled(package.members, chance))
        changed.fix_payload_digest()
        try:
            subject = proven(changed)
        except PayloadMismatchError:
            refused += 1
            continue
        accepted += 1
        if accepted > INSTALLED:
            continue
        place = tmp_path / f"root-{number}"
        install(place, [changed.write(tmp_path / f"{number}.rpm")], "--nocaps", "--ignorearch")
        files = subject.files
        for index, path in enumerate(files.paths):
            if stat.S_ISREG(files.modes[index]) and files.in_payload(index):
                data = Path(f"{place}{path.decode()}").read_bytes()
                assert hashlib.sha256(data).hexdigest() == files.digests[index].decode(), path
    assert accepted > INSTALLED and refused > INSTALLED
