# SPDX-License-Identifier: GPL-2.0-or-later
"""What verification leaves to nobody: not to python-gnupg, not to the network. More is in test_openpgp_vectors.py."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fixtures.running import CHECKOUT
from tests.unit.cli_bench import Bench, start


def put(bench: Bench, *signers: str) -> None:
    bench.write(f"{bench.rpm.name}.msig", bench.bundle(*signers))


def test_python_gnupg_has_no_part_in_verifying(bench: Bench, tmp_path: Path) -> None:
    """It calls signatures of revoked keys valid. Here it could call anything so: it is not even imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "gnupg.py").write_text("raise SystemExit(77)\n")
    place = {"PYTHONPATH": f"{tmp_path / 'site'}:{CHECKOUT}"}
    put(bench, "marek", "joanna")
    accepted = start("verify", "--policy", bench.policy, bench.rpm, env=place)
    assert accepted.returncode == 0, accepted.stderr
    put(bench, "marek")
    assert start("verify", "--policy", bench.policy, bench.rpm, env=place).returncode == 1


def test_no_key_is_ever_fetched(bench: Bench, tmp_path: Path) -> None:
    """Whatever the user's gpg.conf says: a key that the policy lacks stays unknown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        home = tmp_path / "home" / ".gnupg"
        home.mkdir(parents=True, mode=0o700)
        (home / "gpg.conf").write_text(f"keyserver hkp://127.0.0.1:{port}\nauto-key-retrieve\n")
        (home / "gpgv.conf").write_text(f"keyserver hkp://127.0.0.1:{port}\nauto-key-retrieve\n")
        (home / "dirmngr.conf").write_text(f"keyserver hkp://127.0.0.1:{port}\n")
        put(bench, "marek", "compromised")
        environment = {"HOME": str(home.parent), "GNUPGHOME": str(home)}
        ran = start("verify", "--policy", bench.policy, bench.rpm, env=environment)
        assert ran.returncode == 1 and b"a key nobody here knows" in ran.stdout, (ran.stdout, ran.stderr)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
