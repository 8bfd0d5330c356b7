# SPDX-License-Identifier: GPL-2.0-or-later
"""Has dnf install a group, without any plugin, and says how dnf ended."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fixtures.building import BUILDERS, Recipe, build
from fixtures.installroot import Installroot, Repo
from fixtures.repository import Repository


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    repository = Repository(folder / "repository")
    for package in build(Recipe("team.spec"), BUILDERS["marek"], folder):
        repository.add(package)
    repository.finish(comps=True)
    system = Installroot(folder / "system", folder / "no-policy", [Repo("demo", repository.folder.as_uri())])
    print("the end of dnf:", system.dnf("--noplugins", "group", "install", "team").rc)


if __name__ == "__main__":
    main()
