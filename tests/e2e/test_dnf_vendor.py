# SPDX-License-Identifier: GPL-2.0-or-later
"""A mixed machine: vendor packages by the vendor's own signature, wherever dnf was told that they come from."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.policy import rule, write_policy
from fixtures.rpmedit import Rpm
from fixtures.running import multisig
from fixtures.tamper import tamper_payload
from fixtures.vendor import Vendor, make_vendor
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-1.0-1.noarch"


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sequence[Vendor]]:
    """The vendor of the repository fedora, by RSA, and another one, by EdDSA."""
    folder = Path(tempfile.mkdtemp(prefix="msv-", dir="/tmp"))
    made = [make_vendor(folder / "f", "Fedora (43) <fedora@example.org>")]
    made.append(make_vendor(folder / "o", "Other <other@example.org>", "ed25519"))
    try:
        yield made
    finally:
        for vendor in made:
            vendor.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fedora(vendors: Sequence[Vendor]) -> Vendor:
    return vendors[0]


def vendor_rule(stage: Stage, vendor: Vendor, *repos: str) -> str:
    vendor.export(stage.folder / "rules" / "keys" / "fedora.asc")
    globs = ", ".join(f'"{repo}"' for repo in repos or ("fedora",))
    key = f'{{fingerprint: "{vendor.fingerprint}", file: keys/fedora.asc}}'
    return f"  - name: fedora\n    repos: [{globs}]\n    signed-by: [{key}]\n"


def policy(stage: Stage, vendor: Vendor, *rules: str) -> Path:
    return write_policy(stage.folder / "rules", stage.shop.people, [vendor_rule(stage, vendor), *rules])


def serve(stage: Stage, rpm: Path, id: str = "fedora") -> Repo:
    repository = stage.repository()
    repository.add(rpm)
    return stage.repo(repository.finish(), id)


def refuses(system: Installroot, *args: str, saying: str) -> None:
    result = system.dnf(*args)
    assert result.rc != 0, result.text
    assert system.installed() == set(), result.text
    assert not system.holds("/var/hello-pre")
    assert "multisig: refused" in result.text, result.text
    assert saying in result.text, result.text


def test_a_package_by_the_vendor_s_key_goes_in(stage: Stage, vendors: Sequence[Vendor]) -> None:
    for vendor in vendors:
        signed = vendor.signed(stage.shop.rpm("hello-1.0-1"), stage.folder / vendor.fingerprint)
        system = stage.system(serve(stage, signed), policy=policy(stage, vendor), name=vendor.fingerprint)
        result = system.dnf("install", "hello")
        assert result.rc == 0, result.text
        assert system.installed() == {HELLO}
        assert f"signed by {vendor.uid.partition(' <')[0]} (key " in result.text, result.text


def test_an_unsigned_package_under_the_vendor_s_repository_id_is_refused(stage: Stage, fedora: Vendor) -> None:
    system = stage.system(serve(stage, stage.shop.rpm("hello-1.0-1")), policy=policy(stage, fedora))
    refuses(system, "install", "hello", saying="must be signed by Fedora (43) (key ")
    refuses(system, "install", "hello", "--setopt=fedora.gpgcheck=0", saying="but is not signed")
    refuses(system, "install", "hello", "--nogpgcheck", saying="but is not signed")


def test_a_package_by_another_key_is_refused(stage: Stage, vendors: Sequence[Vendor]) -> None:
    signed = vendors[1].signed(stage.shop.rpm("hello-1.0-1"), stage.folder / "signed")
    system = stage.system(serve(stage, signed), policy=policy(stage, vendors[0]))
    refuses(system, "install", "hello", saying="is signed by a key nobody here knows, ")


def test_a_trusted_repository_s_name_for_another_s_packages_is_refused(stage: Stage, fedora: Vendor) -> None:
    evil = serve(stage, stage.shop.rpm("hello-1.0-1"))
    system = stage.system(policy=policy(stage, fedora))
    refuses(system, f"--repofrompath=fedora,{evil.url}", "install", "hello", saying="but is not signed")
    refuses(system, f"--repofrompath=other,{evil.url}", "install", "hello", saying="no rule of the policy matches it")


@pytest.mark.parametrize(
    ("part", "saying"),
    [
        ("header", "carries a signature by Fedora (43) (key "),
        ("payload", "the payload is not the one that the header names"),
        ("payload and its digest", "carries a signature by Fedora (43) (key "),
    ],
)
def test_a_package_that_was_changed_after_the_vendor_signed_is_refused(
    stage: Stage, fedora: Vendor, part: str, saying: str
) -> None:
    signed = fedora.signed(stage.shop.rpm("hello-1.0-1"), stage.folder / "signed")
    changed = stage.folder / "changed" / signed.name
    changed.parent.mkdir()
    rpm = Rpm.read(signed)
    if part == "header":
        rpm.patch(1004, 0, b"Greets nobody")
        rpm.write(changed)
    elif part == "payload":
        rpm.set_archive(rpm.archive.replace(b"Hello, world!", b"Hello, enemy!"))
        rpm.write(changed)
    else:
        tamper_payload(signed, changed)
    by = policy(stage, fedora)
    system = stage.system(serve(stage, changed), policy=by)
    result = system.dnf("install", "hello")
    # rpm may find it first: it compares the beginning of the digest with the signature's, whoever made it.
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/hello-pre"), result.text
    verified = multisig("verify", "--policy", by, "--repo", "fedora", changed, check=False)
    assert verified.rc == 1 and saying in verified.out, verified.text


def test_a_package_that_both_kinds_of_rule_match_needs_both(stage: Stage, fedora: Vendor) -> None:
    plain = stage.shop.rpm("hello-1.0-1")
    signed = fedora.signed(plain, stage.folder / "signed")
    by = policy(stage, fedora, rule("2 of builders", packages=["hello"]))
    bundle = stage.shop.bundle("hello-1.0-1", TWO)
    cases = {"both": (signed, bundle), "vendor": (signed, None), "people": (plain, bundle)}
    for name, (rpm, evidence) in cases.items():
        repository = stage.repository()
        repository.add(rpm, evidence)
        system = stage.system(stage.repo(repository.finish(), "fedora"), policy=by, name=name)
        if name == "both":
            result = system.dnf("install", "hello")
            assert result.rc == 0 and system.installed() == {HELLO}, result.text
            assert "2 of 5 builders signed" in result.text and "signed by Fedora" in result.text, result.text
        else:
            wanted = "needs 2 more of" if name == "vendor" else "but is not signed"
            refuses(system, "install", "hello", saying=wanted)


def test_a_mixed_transaction_says_who_signed_what(stage: Stage, fedora: Vendor) -> None:
    ours = stage.publish({"greet-1.0-1": THREE})
    theirs = serve(stage, fedora.signed(stage.shop.rpm("hello-1.0-1"), stage.folder / "signed"))
    system = stage.system(ours, theirs, policy=policy(stage, fedora, rule(packages=["greet"])))
    result = system.dnf("install", "greet", "hello")
    assert result.rc == 0, result.text
    assert "2 packages, 3 of 5 builders signed; signed by Fedora (43) (key " in result.text, result.text


def test_a_local_file_is_not_the_repository_s(stage: Stage, fedora: Vendor) -> None:
    signed = fedora.signed(stage.shop.rpm("hello-1.0-1"), stage.folder / "signed")
    refuses(stage.system(policy=policy(stage, fedora)), "install", str(signed), saying="no rule of the policy matches")
    by = write_policy(stage.folder / "rules", stage.shop.people, [vendor_rule(stage, fedora, "fedora", "@commandline")])
    result = stage.system(policy=by, name="named").dnf("install", str(signed))
    assert result.rc == 0, result.text
