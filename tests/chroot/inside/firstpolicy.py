# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig policy init by the library of dnf 4 and by that of dnf 5. Run in a chroot by tests/chroot/test_dnf5.py."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import pytest

from fixtures.running import CHECKOUT, PYTHON, Argument, Result, run
from fixtures.vendor import Vendor, make_vendor

DNF4, DNF5 = ("dnf",), ("libdnf5",)
# Two files, ids out of order; variables in names, addresses and keys; gpgkey over several lines, and one that is gone.
FILES: Mapping[str, str] = {
    "dnf/dnf.conf": "[main]\ngpgcheck=1\n",
    "dnf/vars/product": "acme\n",
    "yum.repos.d/b.repo": (
        "[updates]\nname=Updates of $product\nbaseurl=https://example.org/$product/u\nenabled=0\n"
        "gpgkey=file:///etc/pki/$product\n"
        "[base]\nname=Base – $basearch\nmetalink=https://example.org/m\ngpgkey=file:///etc/pki/acme\n"
    ),
    "yum.repos.d/a.repo": (
        "[zeta]\nname=Zeta\nbaseurl=https://example.org/z\ngpgcheck=0\n"
        "gpgkey=file:///etc/pki/acme\n   https://example.org/key, file:///etc/pki/gone\n"
        "[lab]\nname=Lab\nmirrorlist=https://example.org/l\n"
    ),
}


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    # A short path: gpg-agent's sockets lie below it.
    folder = Path(tempfile.mkdtemp(prefix="msi-", dir="/tmp"))
    made = make_vendor(folder, "acme <acme@example.org>", "ed25519")
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def root(tmp_path: Path, vendor: Vendor) -> Path:
    """A system with a configuration of its own."""
    for name, text in FILES.items():
        path = tmp_path / "root" / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    vendor.export(tmp_path / "root" / "etc" / "pki" / "acme")
    return tmp_path / "root"


def init(policy: Path, *words: Argument, without: Sequence[str]) -> Result:
    """``policy init`` where these modules cannot be imported."""
    hidden = policy.parent.with_name(f"{policy.parent.name}-hidden")
    hidden.mkdir()
    for name in without:
        (hidden / f"{name}.py").write_text(f"raise ImportError('{name} is not there')\n", encoding="ascii")
    env = {"PYTHONPATH": f"{hidden}:{CHECKOUT}"}
    return run([PYTHON, "-m", "multisig", "policy", "init", "--policy", policy, *words], env=env, check=False)


def written(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("configured", ["by the root", "by another dnf.conf"])
def test_both_write_the_same(root: Path, tmp_path: Path, configured: str) -> None:
    words: list[Argument] = ["--root", root]
    if configured == "by another dnf.conf":
        other = tmp_path / "dnf.conf"
        other.write_text(f"[main]\nreposdir={root}/etc/yum.repos.d\nvarsdir={root}/etc/dnf/vars\n", encoding="utf-8")
        words += ["--config", other]
    before = written(root)
    four = init(tmp_path / "four" / "policy.yaml", *words, without=DNF5)
    five = init(tmp_path / "five" / "policy.yaml", *words, without=DNF4)
    assert four.rc == 0 and five.rc == 0, four.text + five.text
    assert written(tmp_path / "four") == written(tmp_path / "five")
    assert four.out.replace("/four/", "/five/") == five.out
    assert "by their own keys: base, updates, zeta" in five.out and "lab: the repository names no key" in five.out
    text = (tmp_path / "five" / "policy.yaml").read_text(encoding="utf-8")
    assert "updates: Updates of acme (disabled)" in text and "Base – x86_64" in text
    assert ("note: zeta: gpgcheck is off there" in five.out) and "/etc/pki/gone" in five.out
    assert ("note: base: gpgcheck is off there" in five.out) is (configured == "by another dnf.conf")
    # dnf 4 opens rpm's database.
    assert {name for name in written(root) if "lib/rpm" not in name and "/.rpmdb/" not in name} == set(before)


def test_without_either_it_says_what_to_install(root: Path, tmp_path: Path) -> None:
    result = init(tmp_path / "neither" / "policy.yaml", "--root", root, without=[*DNF4, *DNF5])
    assert result.rc == 2 and "install python3-dnf or python3-libdnf5" in result.err, result.text
    assert "dnf is not there; libdnf5 is not there" in result.err
    assert not (tmp_path / "neither").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("dnf/dnf.conf", "[main\n"), ("yum.repos.d/x.repo", "[un known]\nbaseurl=https://example.org\n")],
    ids=["dnf.conf", "a repository's id"],
)
def test_a_configuration_that_dnf5_cannot_read_is_no_policy(root: Path, tmp_path: Path, name: str, text: str) -> None:
    (root / "etc" / name).write_text(text, encoding="utf-8")
    result = init(tmp_path / "five" / "policy.yaml", "--root", root, without=DNF4)
    assert result.rc == 2 and "dnf 5 cannot read its configuration" in result.err, result.text
    assert "Traceback" not in result.text and not (tmp_path / "five").exists()
