# SPDX-License-Identifier: GPL-2.0-or-later
"""An RPM that carries its own bundle: real rpm, rpmsign, createrepo_c and dnf take it for the package that it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Sequence

import pytest

from fixtures.installroot import Repo
from fixtures.running import Argument, multisig, run
from tests.e2e.conftest import THREE, TWO, Stage

NAME = "hello-1.0-1.noarch.rpm"


def carrying(stage: Stage, signers: Sequence[str] = THREE, package: str = "hello-1.0-1") -> Path:
    """A copy of the package with these people's signatures in it, and nothing beside it."""
    rpm = stage.folder / "carrying" / f"{package}.noarch.rpm"
    rpm.parent.mkdir(exist_ok=True)
    shutil.copyfile(stage.shop.rpm(package), rpm)
    multisig("embed", "--bundle", stage.shop.bundle(package, signers), rpm)
    return rpm


def test_rpm_finds_every_digest_right_and_reads_the_same_header(stage: Stage) -> None:
    rpm = carrying(stage)
    assert "NOT OK" not in run(["rpmkeys", "--checksig", "--verbose", "--nosignature", rpm]).out
    query: Sequence[Argument] = ["rpm", "--query", "--package", "--xml"]
    assert run([*query, rpm]).out == run([*query, stage.shop.rpm("hello-1.0-1")]).out
    assert run(["rpm2cpio", rpm]).out == run(["rpm2cpio", stage.shop.rpm("hello-1.0-1")]).out


class Vendor:
    """Signs headers with rpmsign, and has rpm check them with a keyring of its own."""

    def __init__(self, stage: Stage) -> None:
        self.person = stage.shop.people["wiktor"]
        self.keyring: Sequence[Argument] = ["--define", f"_dbpath {stage.folder / 'keyring'}"]
        run(["rpmkeys", *self.keyring, "--import", self.person.export(stage.folder / "vendor.asc")])

    def sign(self, rpm: Path) -> None:
        key = ["--define", f"_gpg_name {self.person.fingerprint}", "--define", f"_gpg_path {self.person.home}"]
        run(["rpmsign", "--addsign", *key, "--define", f"__gpg {shutil.which('gpg')}", rpm])

    def checked(self, rpm: Path) -> str:
        return run(["rpmkeys", *self.keyring, "--checksig", "--verbose", rpm]).out


@pytest.mark.parametrize("first", ["sign", "embed"])
def test_a_vendor_s_signature_in_the_header_and_a_bundle_go_together(stage: Stage, first: str) -> None:
    vendor = Vendor(stage)
    if first == "sign":
        rpm = stage.folder / NAME
        shutil.copyfile(stage.shop.rpm("hello-1.0-1"), rpm)
        vendor.sign(rpm)
        multisig("embed", "--bundle", stage.shop.bundle("hello-1.0-1", THREE), rpm)
    else:
        rpm = carrying(stage)
        vendor.sign(rpm)
    report = vendor.checked(rpm)
    assert "Header V4 EdDSA/SHA256 Signature" in report and "NOT OK" not in report and "BAD" not in report
    assert multisig("verify", "--policy", stage.policy, rpm).rc == 0
    out = stage.folder / "out.msig"
    multisig("extract", "-o", out, rpm)
    assert multisig("verify", "--policy", stage.policy, "--bundle", out, stage.shop.rpm("hello-1.0-1")).rc == 0


def test_dnf_installs_a_local_file_by_the_signatures_that_it_carries(stage: Stage) -> None:
    system = stage.system()
    result = system.dnf("install", carrying(stage))
    assert result.rc == 0 and "3 of 5 builders signed" in result.out, result.text
    assert system.installed() == {"hello-1.0-1.noarch"}


def test_what_a_local_file_carries_and_what_lies_beside_it_count_together(stage: Stage) -> None:
    rpm = carrying(stage, TWO)
    refused = stage.system().dnf("install", rpm)
    assert refused.rc != 0 and "2 of 3 builders signed" in refused.text
    shutil.copyfile(stage.shop.bundle("hello-1.0-1", ["rafal"]), f"{rpm}.msig")
    assert stage.system(name="another").dnf("install", rpm).rc == 0


def test_dnf_installs_from_a_local_repository_by_what_its_packages_carry(stage: Stage) -> None:
    repository = stage.repository()
    repository.add(carrying(stage))
    repository.finish()
    system = stage.system(Repo("demo", f"file://{repository.folder}"))
    result = system.dnf("install", "hello")
    assert result.rc == 0, result.text


def test_a_broken_bundle_inside_does_not_keep_a_good_one_beside_from_counting(stage: Stage) -> None:
    rpm = carrying(stage, TWO)
    data = rpm.read_bytes()
    rpm.write_bytes(data.replace(b'"attestations"', b'"att_stations"', 1))
    assert rpm.read_bytes() != data
    assert stage.system().dnf("install", rpm).rc != 0
    shutil.copyfile(stage.shop.bundle("hello-1.0-1", THREE), f"{rpm}.msig")
    assert stage.system(name="another").dnf("install", rpm).rc == 0
