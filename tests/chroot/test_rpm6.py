# SPDX-License-Identifier: GPL-2.0-or-later
"""rpm 6.1, in a chroot of Debian forky: what it builds and reads, held against the rpm of this machine.

Run by ``make test-rpm6``. The first run downloads the chroot from the mirror that apt uses here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, FrozenSet, List, Mapping, Tuple

import pytest

from fixtures.chroot import INSIDE, OUT, Chroot
from fixtures.running import PYTHON, multisig
from fixtures.ten import THREE, build_ten, read_manifest
from multisig.bundle import Attestation, Bundle, encode
from multisig.subjects.header import Entry, integers, strings
from multisig.subjects.manifest import split_records
from multisig.subjects.tags import TAGS

Manifests = Mapping[str, Mapping[str, bytes]]  # file name → builder → manifest

# What generators add: they are programs of the builder's machine, and rpm 6.1 comes with others than rpm 4.18.
REQUIRES = frozenset({"REQUIRENAME", "REQUIREFLAGS", "REQUIREVERSION"})
PROVIDES = frozenset({"PROVIDENAME", "PROVIDEFLAGS", "PROVIDEVERSION"})
WHICH_FILE = frozenset({"FILEDEPENDSX", "FILEDEPENDSN", "DEPENDSDICT"})
GENERATED: Mapping[str, FrozenSet[str]] = {
    "anvil-devel-6.1-1.x86_64.rpm": REQUIRES | PROVIDES | WHICH_FILE,  # pkgconfig(...), where pkg-config is installed
    "anvil-tools-6.1-1.x86_64.rpm": REQUIRES | WHICH_FILE,  # perl(...): that generator left rpm
    "brookd-4.7.1-3.noarch.rpm": REQUIRES | PROVIDES | WHICH_FILE,  # user(...) and group(...), from rpm 4.19 on
}
ONLY_SINCE_419 = "luascripts-untrans-1.0-1.noarch.rpm"

# What a package of format 6 says in other words, and what it says beyond one of format 4.
LONG = {"FILESIZES": "LONGFILESIZES", "SIZE": "LONGSIZE"}
FORMAT_6 = frozenset({*LONG, *LONG.values(), *REQUIRES, "DEPENDSDICT", "RPMFORMAT", "SOURCENEVR"})


@pytest.fixture(scope="session")
def forky() -> Chroot:
    chroot = Chroot("forky")
    chroot.prepare()
    return chroot


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rpm6")


def collected(folder: Path) -> Manifests:
    found: Dict[str, Dict[str, bytes]] = {}
    for file in sorted(folder.rglob("*.rpm.manifest")):
        found.setdefault(file.name[: -len(".manifest")], {})[file.parent.name] = file.read_bytes()
    return found


def made_by_rpm6(forky: Chroot, out: Path, format: str) -> Manifests:
    ten = [PYTHON, "-m", "fixtures.ten"]
    folder = f"v{format}"
    (out / folder).mkdir()
    assert forky.run(["rpm", "--version"], out).out.startswith("RPM version 6.")
    forky.run([*ten, "build", OUT / folder, f"_rpmformat={format}", "untrans=1"], out)
    forky.run([*ten, "read", OUT / folder], out)
    return collected(out / folder)


@pytest.fixture(scope="session")
def v4(forky: Chroot, out: Path) -> Manifests:
    return made_by_rpm6(forky, out, "4")


@pytest.fixture(scope="session")
def v6(forky: Chroot, out: Path) -> Manifests:
    return made_by_rpm6(forky, out, "6")


@pytest.fixture(scope="session")
def here(out: Path) -> Manifests:
    built = build_ten(out / "here")
    return {name: {builder: read_manifest(path) for builder, path in files.items()} for name, files in built.items()}


def records(manifest: bytes) -> Dict[str, Entry]:
    return {TAGS[number].name: entry for number, entry in split_records(manifest)}


def differing(one: bytes, other: bytes) -> FrozenSet[str]:
    """The names of the tags whose records differ."""
    first, second = records(one), records(other)
    return frozenset(name for name in {*first, *second} if first.get(name) != second.get(name))


@pytest.mark.parametrize("format", ["v4", "v6"])
def test_three_builders_have_one_manifest_by_rpm_6(request: pytest.FixtureRequest, format: str) -> None:
    made: Manifests = request.getfixturevalue(format)
    assert len(made) == 22
    for name, manifests in made.items():
        assert sorted(manifests) == sorted(THREE)
        assert len(set(manifests.values())) == 1, name


def test_packages_without_generated_dependencies_are_the_same_by_both_rpms(here: Manifests, v4: Manifests) -> None:
    plain = sorted({*here} - {*GENERATED})
    assert len(plain) == 18
    for name in plain:
        assert not differing(here[name]["marek"], v4[name]["marek"]), name


def test_of_the_others_only_the_generated_dependencies_differ(here: Manifests, v4: Manifests) -> None:
    assert {*v4} - {*here} == {ONLY_SINCE_419}
    for name, tags in GENERATED.items():
        found = differing(here[name]["marek"], v4[name]["marek"])
        assert found <= tags, name
        # Whether this machine has pkg-config is its own affair.
        assert found == tags or name.startswith("anvil-devel"), name


@pytest.mark.parametrize(
    ("name", "cause"), [("brookd-4.7.1-3.noarch.rpm", "user(brookd)"), ("anvil-tools-6.1-1.x86_64.rpm", "perl(POSIX)")]
)
def test_diff_names_the_dependency_that_one_of_the_rpms_found(
    here: Manifests, v4: Manifests, out: Path, name: str, cause: str
) -> None:
    one, other = (next((out / folder).glob(f"*/marek/{name}")) for folder in ("here", "v4"))
    result = multisig("diff", one, other, check=False)
    assert result.rc == 1
    assert cause in result.out


def test_this_rpm_reads_a_package_of_rpm_6_as_rpm_6_does(v4: Manifests, v6: Manifests, out: Path) -> None:
    for format, made in (("v4", v4), ("v6", v6)):
        for file in sorted((out / format).glob("*/wanda/*.rpm")):
            assert read_manifest(file) == made[file.name]["wanda"], file.name


def test_rpm_6_reads_a_package_of_this_rpm_as_this_rpm_does(here: Manifests, forky: Chroot, out: Path) -> None:
    forky.run([PYTHON, "-m", "fixtures.ten", "read", OUT / "here"], out)
    assert collected(out / "here") == here


@pytest.mark.parametrize("format", ["v4", "v6"])
def test_installed_by_rpm_6_a_package_has_the_manifest_of_its_file(
    request: pytest.FixtureRequest, forky: Chroot, out: Path, format: str
) -> None:
    made: Manifests = request.getfixturevalue(format)
    chosen = out / f"{format}-chosen"
    chosen.mkdir()
    for file in (out / format).glob("*/marek/*.rpm"):
        os.link(file, chosen / file.name)
    forky.run([PYTHON, "-m", "fixtures.ten", "install", OUT / f"{format}-root", OUT / chosen.name], out)
    installed = {file.stem: file.read_bytes() for file in (out / f"{format}-root").glob("*.manifest")}
    assert installed == {name.rsplit("-", 2)[0]: manifests["marek"] for name, manifests in made.items()}


def dependencies(found: Mapping[str, Entry], kind: str) -> List[Tuple[bytes, bytes, int]]:
    if f"{kind}NAME" not in found:
        return []
    names, versions = strings(found[f"{kind}NAME"]), strings(found[f"{kind}VERSION"])
    return list(zip(names, versions, integers(found[f"{kind}FLAGS"])))


def in_common(manifest: bytes) -> Mapping[str, object]:
    """A manifest without what the format alone decides: the width of sizes, rpmlib requirements, and the numbers by
    which DEPENDSDICT points at requirements."""
    found = records(manifest)
    common: Dict[str, object] = {name: entry for name, entry in found.items() if name not in FORMAT_6}
    for short, long in LONG.items():
        if short in found or long in found:
            common[short] = integers(found[long] if long in found else found[short])
    wanted = dependencies(found, "REQUIRE")
    common["REQUIRES"] = [one for one in wanted if not one[0].startswith(b"rpmlib(")]
    lists = {"R": wanted, "P": dependencies(found, "PROVIDE")}
    pointers = integers(found["DEPENDSDICT"]) if "DEPENDSDICT" in found else ()
    common["DEPENDSDICT"] = [lists[chr(word >> 24)][word & 0xFFFFFF] for word in pointers]
    return common


def test_format_6_says_the_same_of_a_build_in_other_words(v4: Manifests, v6: Manifests) -> None:
    assert {*v4} == {*v6}
    for name in v4:
        one, other = v4[name]["marek"], v6[name]["marek"]
        found = differing(one, other)
        assert {"SIZE", "LONGSIZE", "RPMFORMAT", "SOURCENEVR"} <= found <= FORMAT_6, name
        assert in_common(one) == in_common(other), name
        assert integers(records(other)["RPMFORMAT"]) == (6,)


def test_scripts_that_rpm_4_18_does_not_know_are_signed(v4: Manifests) -> None:
    found = records(v4[ONLY_SINCE_419]["marek"])
    assert {"PREUNTRANS", "PREUNTRANSPROG", "POSTUNTRANS", "POSTUNTRANSPROG"} <= {*found}


def test_every_tag_that_rpm_6_knows_is_in_the_table(forky: Chroot, out: Path) -> None:
    program = "import rpm; from multisig.subjects.tags import TAGS; print(sorted(set(rpm.tagnames) - set(TAGS)))"
    assert forky.run([PYTHON, "-c", program], out).out == "[]\n"


def test_the_attacks_on_rpms_fail_by_rpm_6_too(forky: Chroot, out: Path) -> None:
    """The tests of the library's reading of RPMs, by that system's Python and librpm."""
    folder = INSIDE / "tests" / "unit"
    names = ["test_header", "test_manifest", "test_decompress", "test_rpm_attacks", "test_rpm_file_attacks"]
    names += ["test_rpm_payload_attacks", "test_rpm_script_attacks", "test_rpm_stream_attacks", "test_rpm_tag_attacks"]
    options = ["--quiet", f"--rootdir={INSIDE}", f"--config-file={INSIDE / 'pyproject.toml'}"]
    done = forky.run([PYTHON, "-m", "pytest", *options, *(folder / f"{name}.py" for name in names)], out, check=False)
    assert done.rc == 0, done.text[-4000:]


@pytest.mark.parametrize("format", ["here", "v4", "v6"])
def test_rpm_6_takes_a_package_that_carries_a_bundle_for_what_it_was(
    request: pytest.FixtureRequest, forky: Chroot, out: Path, format: str
) -> None:
    """Every digest is right, the header reads the same, and it installs."""
    request.getfixturevalue(format)
    plain = next((out / format).glob("*/marek/atlas-*.rpm"))
    folder = out / f"{format}-embedded"
    folder.mkdir()
    carrying = folder / plain.name
    bundle = folder / "atlas.msig"
    bundle.write_bytes(encode(Bundle((Attestation("x" * 50_000, ("y" * 5_000,)),))))
    multisig("embed", "--bundle", bundle, "-o", carrying, plain)
    assert read_manifest(carrying) == read_manifest(plain)
    inside = OUT / folder.name / carrying.name
    report = forky.run(["rpmkeys", "--checksig", "--verbose", "--nosignature", inside], out).out
    assert "Payload" in report and "BAD" not in report and "NOT OK" not in report
    query = ["rpm", "--query", "--package", "--xml"]
    original = OUT / plain.relative_to(out)
    assert forky.run([*query, inside], out).out == forky.run([*query, original], out).out
    root = OUT / folder.name / "root"
    forky.run(["rpm", "--root", root, "--install", "--nodeps", inside], out)
    assert forky.run(["rpm", "--root", root, "--query", "--all"], out).out.startswith("atlas-")


def test_a_run_leaves_nothing_mounted_and_the_checkout_alone(forky: Chroot, out: Path) -> None:
    for place in (INSIDE, Path("/etc")):
        assert forky.run(["touch", place / "trace"], out, check=False).rc != 0
    forky.run(["touch", "trace"], out)
    assert (out / "trace").exists()
    assert str(forky.root) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
