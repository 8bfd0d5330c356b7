# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes one file of multisig that any Python from 3.9 on runs: ``zipapp.py OUT.pyz`` (PEP 441).

With it goes PyYAML, of which only the part that is written in Python, from this system's package. What is needed
besides is gpgv; for RPMs librpm's Python module, for signing python-gnupg, from the system that it runs on.

The same sources give the same bytes: entries are sorted, stored as they are, and all of one date and mode.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
# Isolated: where PYTHONPATH has an empty entry, the folder that one is in comes before the standard library, and it may
# be the one that is to be verified.
SHEBANG = b"#!/usr/bin/env -S python3 -I\n"
# The beginning of the time that a zip file can tell.
_DATE = (1980, 1, 1, 0, 0, 0)
# Plugins, which their hosts load from where they are installed.
_LEFT_OUT = ("multisig/dnf4/", "multisig/librpm/")
_LICENCES = ("/usr/share/doc/python3-yaml/copyright", "/usr/share/licenses/python3-pyyaml/LICENSE")

MAIN = b"""\
# SPDX-License-Identifier: GPL-2.0-or-later
import sys

if sys.version_info < (3, 9):
    sys.exit("multisig: needs Python 3.9 or later, found " + sys.version.split()[0])

from multisig.cli import main

sys.exit(main())
"""


def contents() -> Dict[str, bytes]:
    """Every entry, by its name."""
    found = {"__main__.py": MAIN, "LICENSE": (ROOT / "LICENSE").read_bytes()}
    for path in sorted((ROOT / "multisig").rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and path.suffix != ".pyc" and not name.startswith(_LEFT_OUT):
            found[name] = path.read_bytes()
    for path in _yaml():
        found[f"yaml/{path.name}"] = path.read_bytes()
    found["yaml/LICENSE"] = _yaml_licence()
    return found


def _yaml() -> Iterator[Path]:
    spec = importlib.util.find_spec("yaml")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("zipapp: PyYAML is not installed: apt install python3-yaml, or dnf install python3-pyyaml")
    for folder in spec.submodule_search_locations:
        yield from sorted(Path(folder).glob("*.py"))


def _yaml_licence() -> bytes:
    for path in _LICENCES:
        if os.path.exists(path):
            return Path(path).read_bytes()
    raise SystemExit(f"zipapp: PyYAML's licence, which must go with it, is not in {' or '.join(_LICENCES)}")


def write(out: Path) -> None:
    """Write the archive, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=out.name, delete=False) as file:
        made = Path(file.name)
        try:
            file.write(SHEBANG)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, data in sorted(contents().items()):
                    entry = zipfile.ZipInfo(name, _DATE)
                    entry.external_attr = 0o100644 << 16
                    entry.create_system = 3
                    archive.writestr(entry, data)
            file.flush()
            made.chmod(0o755)
            made.replace(out)
        except BaseException:
            made.unlink(missing_ok=True)
            raise


def main(words: Sequence[str]) -> int:
    if len(words) != 1:
        raise SystemExit("usage: zipapp.py OUT.pyz")
    write(Path(words[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
