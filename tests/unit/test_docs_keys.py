# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/keys.md: the commands do what the page says, with the gpg at hand."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from fixtures.running import CHECKOUT, CLEAN, PYTHON
from multisig.policy import load_policy

PAGE = CHECKOUT / "docs" / "keys.md"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """GnuPG's home, of somebody without a passphrase and without a terminal."""
    with tempfile.TemporaryDirectory(prefix="msk-", dir="/tmp") as folder:
        path = Path(folder)
        (path / "empty").touch()
        (path / "gpg.conf").write_text(f"batch\nyes\npinentry-mode loopback\npassphrase-file {path}/empty\n")
        yield path
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=False, timeout=120)


def test_the_commands_work_one_after_the_other(home: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    told = [f'echo "--- {number}"\n{block}' for number, block in enumerate(blocks)]
    script = f'set -euo pipefail\nmultisig() {{ {PYTHON} -B -m multisig "$@"; }}\n' + "\n".join(told)
    environment = {**CLEAN, "PYTHONPATH": str(CHECKOUT), "GNUPGHOME": str(home), "HOME": str(home)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False
    )
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    parts = out.split("--- ")
    assert "Ed25519    " in parts[3] and "counts" in parts[3]
    assert parts[5].count("counts") == 2
    assert parts[6].count("retired since") == 2
    assert parts[7].count("is revoked") == 1
    policy = load_policy(str(tmp_path / "policy.yaml"))
    assert policy.serial == 3
    assert policy.signers["marek"].keys[0].problem == "is revoked"
    assert policy.signers["marek"].keys[1].problem is None
    retired = policy.signers["marek"].retired
    assert retired is not None and retired.statements is not None and len(retired.statements) == 1
