# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the system's Python and its dnf look for what is installed: ``where.py python PREFIX`` or ``where.py dnf``."""

from __future__ import annotations

import sys
import sysconfig
from typing import Sequence


def python_directory(prefix: str) -> str:
    """The folder for modules below ``prefix`` that the system's Python searches; another one would go unnoticed.

    Debian's Python has a scheme of its own for what its packages bring (deb_system), Fedora's for what they do not.
    """
    schemes = sysconfig.get_scheme_names()
    wanted = [name for name in ("deb_system", "rpm_prefix", "posix_local", "posix_prefix") if name in schemes]
    for scheme in wanted:
        for base in (prefix, prefix.rstrip("/").rpartition("/local")[0] or prefix):
            folder = sysconfig.get_path("purelib", scheme, vars={"base": base, "platbase": base})
            if folder in sys.path and folder.startswith(prefix.rstrip("/") + "/"):
                return folder
    raise SystemExit(f"{sys.executable} looks for no modules below {prefix}; say where: make install PYTHONDIR=...")


def dnf_plugin_directory() -> str:
    """Where dnf looks for plugins."""
    from dnf.const import PLUGINPATH

    return str(PLUGINPATH)


def main(words: Sequence[str]) -> int:
    if len(words) == 2 and words[0] == "python":
        print(python_directory(words[1]))
    elif list(words) == ["dnf"]:
        print(dnf_plugin_directory())
    else:
        raise SystemExit("usage: where.py python PREFIX | where.py dnf")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
