# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers signed by rpm 6.1's own rpmsign, in packages of both formats, under signed-by rules of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Sequence

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.chroot import OUT, Chroot
from fixtures.rpmedit import Rpm
from fixtures.running import PYTHON, Argument, multisig
from fixtures.vendor import SIGTAG_DSA, SIGTAG_OPENPGP, SIGTAG_RSA

HOME = OUT / "g"
KEYS = {"rsa": "rsa3072", "eddsa": "ed25519"}


@pytest.fixture(scope="module")
def forky() -> Chroot:
    chroot = Chroot("forky")
    chroot.prepare()
    return chroot


@pytest.fixture(scope="module")
def out(forky: Chroot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two vendors' keys, and an unsigned package of each format."""
    out = tmp_path_factory.mktemp("signed")
    (out / "g").mkdir(mode=0o700)
    (out / "policy" / "keys").mkdir(parents=True)
    quick: Sequence[Argument] = ("--pinentry-mode", "loopback", "--passphrase", "")
    for name, algorithm in KEYS.items():
        gpg(forky, out, *quick, "--quick-gen-key", name, algorithm, "sign", "never")
        armored = gpg(forky, out, "--armor", "--export", f"={name}")
        (out / "policy" / "keys" / f"{name}.asc").write_text(armored, encoding="ascii")
    shutil.copyfile(build(Recipe("hello.spec"), BUILDERS["marek"], out / "here")[0], out / "v4.rpm")
    program = (
        "import shutil; from pathlib import Path; from fixtures.building import BUILDERS, Recipe, build;"
        "recipe = Recipe('hello.spec', (('_rpmformat', '6'),));"
        "shutil.copyfile(build(recipe, BUILDERS['marek'], Path('there'))[0], 'v6.rpm')"
    )
    forky.run([PYTHON, "-c", program], out)
    return out


def gpg(forky: Chroot, out: Path, *args: Argument) -> str:
    return forky.run(["gpg", "--homedir", HOME, "--batch", "--no-tty", "--quiet", *args], out).out


def signed(forky: Chroot, out: Path, package: str, keys: Sequence[str], *options: str) -> Path:
    """A copy, signed in turn by these keys."""
    copy = out / f"{package}-{'+'.join(keys)}.rpm"
    shutil.copyfile(out / f"{package}.rpm", copy)
    for key in keys:
        macros = {"_openpgp_sign": "gpg", "_openpgp_sign_id": key, "_gpg_name": key, "_gpg_path": str(HOME)}
        defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        forky.run(["rpmsign", *defines, *options, "--addsign", OUT / copy.name], out)
    return copy


def policy(out: Path, *keys: str) -> Path:
    from multisig.openpgp import parse_public_key

    path = out / "policy" / f"{'+'.join(keys)}.yaml"
    text = "multisig: policy/v1\nserial: 1\nrules:\n"
    for key in keys:
        number = parse_public_key((out / "policy" / "keys" / f"{key}.asc").read_bytes()).fingerprint
        text += f'  - {{name: {key}, signed-by: [{{fingerprint: "{number}", file: keys/{key}.asc}}]}}\n'
    path.write_text(text, encoding="ascii")
    return path


def accepts(by: Path, package: Path) -> bool:
    return multisig("verify", "--policy", by, package, check=False).rc == 0


def tags(package: Path) -> "set[int]":
    found = {entry.tag for entry in Rpm.read(package).signature.entries}
    return found & {SIGTAG_RSA, SIGTAG_DSA, SIGTAG_OPENPGP}


@pytest.mark.parametrize("package", ["v4", "v6"])
@pytest.mark.parametrize("key", KEYS)
def test_a_header_signed_by_rpm_6_counts(forky: Chroot, out: Path, package: str, key: str) -> None:
    file = signed(forky, out, package, [key])
    assert SIGTAG_OPENPGP in tags(file) or package == "v4"
    assert accepts(policy(out, key), file)
    assert not accepts(policy(out, *(other for other in KEYS if other != key)), file)
    assert not accepts(policy(out, key), out / f"{package}.rpm")


def test_two_vendors_signatures_in_one_package_count_each_for_its_rule(forky: Chroot, out: Path) -> None:
    file = signed(forky, out, "v6", list(KEYS))
    assert tags(file) == {SIGTAG_OPENPGP}
    assert len(Rpm.read(file).signature.values(SIGTAG_OPENPGP)) == 2
    assert accepts(policy(out, *KEYS), file)


def test_a_changed_header_of_format_6_is_refused(forky: Chroot, out: Path) -> None:
    package = Rpm.read(signed(forky, out, "v6", ["rsa"]))
    package.patch(1004, 0, b"Greets nobody")
    assert not accepts(policy(out, "rsa"), package.write(out / "changed.rpm"))
