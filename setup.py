# SPDX-License-Identifier: GPL-2.0-or-later
"""Packaging; settings of tools are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'^__version__ = "([^"]+)"', (HERE / "multisig/__init__.py").read_text(encoding="utf-8"), re.M)

setup(
    name="multisig",
    version=VERSION[1] if VERSION else "0",
    description="Lets dnf install only what M of N trusted people have signed",
    license="GPL-2.0-or-later",
    python_requires=">=3.9",
    packages=find_packages(include=["multisig", "multisig.*"]),
    package_data={"multisig": ["schemas/*.json"], "multisig.web": ["status.html", "status.css", "status.js"]},
    # rpm and dnf come with the system: they are not on PyPI. Only signing needs python-gnupg.
    install_requires=["PyYAML"],
    extras_require={"sign": ["python-gnupg"], "status": ["rich", "Jinja2"]},
    entry_points={"console_scripts": ["multisig = multisig.cli:main"]},
)
