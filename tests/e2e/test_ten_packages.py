# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten packages like real ones: whoever builds them, and wherever they are read from, their content is one."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Callable, Mapping

import pytest

from fixtures.building import Recipe, build
from fixtures.ten import TEN, THREE, build_ten, install, installed_manifests, read_manifest
from multisig.subjects.rpm import RpmSubject, read_rpm
from multisig.subjects.tags import TAGS

Built = Mapping[str, Mapping[str, Path]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ten")


@pytest.fixture(scope="module")
def built(cache: Path) -> Built:
    return build_ten(cache)


def packages(cache: Path, name: str, builder: str = "marek") -> Mapping[str, Path]:
    """NAME → file, of one of the ten."""
    return {file.name.rsplit("-", 2)[0]: file for file in build(Recipe(f"ten/{name}.spec"), THREE[builder], cache)}


def subject(package: Path) -> RpmSubject:
    with package.open("rb") as file:
        return read_rpm(file.fileno())


@pytest.mark.parametrize("name", TEN)
def test_three_builders_have_one_manifest_and_payloads_that_prove_it(built: Built, cache: Path, name: str) -> None:
    for file in packages(cache, name).values():
        manifests = {builder: read_manifest(path) for builder, path in built[file.name].items()}
        assert list(manifests) == list(THREE)
        assert len(set(manifests.values())) == 1, file.name


def test_three_builders_make_three_files_of_each_package(built: Built) -> None:
    assert len(built) == 21
    for name, files in built.items():
        assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files.values()}) == 3, name


def test_no_two_of_the_packages_have_one_manifest(built: Built) -> None:
    assert len({subject(files["marek"]).sha256 for files in built.values()}) == len(built)


@pytest.fixture(scope="module")
def installed(built: Built, cache: Path) -> Mapping[str, bytes]:
    root = cache / "root"
    install(root, [files["zenon"] for files in built.values()])
    return installed_manifests(root)


@pytest.mark.parametrize("name", TEN)
def test_an_installed_package_has_the_manifest_of_its_file(
    built: Built, installed: Mapping[str, bytes], cache: Path, name: str
) -> None:
    for package, file in packages(cache, name).items():
        assert installed[package] == subject(file).manifest, package


@pytest.mark.parametrize(
    "options",
    [
        ("--relocate", "/usr/share=/opt/words"),
        ("--excludepath", "/usr/share/locale"),
        ("--excludedocs", "--excludeconfigs", "--excludeartifacts"),
        ("--define", "_install_langs de"),
    ],
    ids=lambda options: str(options[0]),
)
def test_moving_or_leaving_out_files_when_installing_does_not_show_in_the_database(
    cache: Path, tmp_path: Path, options: "tuple[str, ...]"
) -> None:
    files = packages(cache, "lexicon")
    install(tmp_path / "root", list(files.values()), *options)
    expected = {package: subject(file).manifest for package, file in files.items()}
    assert installed_manifests(tmp_path / "root") == expected


Claim = Callable[[RpmSubject], bool]
CLAIMS: Mapping[str, Mapping[str, Claim]] = {
    "anvil": {
        "anvil": lambda one: one.gains_privileges and len(one.files.links) == 2,
        "anvil-libs": lambda one: 1140 in one.entries and b"libm.so.6()(64bit)\0" in one.entries[1049][2],
    },
    "atlas": {"atlas": lambda one: sum(map(stat.S_ISREG, one.files.modes)) == 5000 and not one.has_scripts},
    "babel": {
        "babel": lambda one: any("目录".encode() in path for path in one.files.paths),
        "babel-bytes": lambda one: any(b"latin1-\xe4" in path for path in one.files.paths),
    },
    "brookd": {"brookd": lambda one: {1023, 1024, 1025, 1079, 1088, 1151, 1152} <= set(one.entries)},
    "hardware": {"hardware": lambda one: {stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO} <= set(kinds(one))},
    "lexicon": {"lexicon": lambda one: b"zh_TW\0" in one.entries[1097][2] and one.entries[100][1] == 3},
    "linkage": {"linkage": lambda one: len(set(one.files.links.values())) == 6 and stat.S_IFLNK in kinds(one)},
    "luascripts": {"luascripts-bare": lambda one: one.has_scripts and 1024 not in one.entries},
    "relations": {"relations": lambda one: {5035, 5046, 5049, 5052, 5055, 1054, 1090} <= set(one.entries)},
    "trigonometry": {
        "trigonometry": lambda one: {1065, 5066, 5084} <= set(one.entries),
        "trigonometry-caches": lambda one: {5076, 5085} <= set(one.entries),
    },
}


def kinds(one: RpmSubject) -> "list[int]":
    return [stat.S_IFMT(mode) for mode in one.files.modes]


@pytest.mark.parametrize("name", TEN)
def test_the_packages_hold_what_they_are_there_for(built: Built, cache: Path, name: str) -> None:
    files = packages(cache, name)
    for package, claim in CLAIMS[name].items():
        assert claim(subject(files[package])), package


@pytest.mark.parametrize("name", ["BUILDTIME", "BUILDHOST", "FILEMTIMES", "PAYLOADCOMPRESSOR", "PAYLOADDIGEST"])
def test_the_three_builds_differ_where_they_may(built: Built, name: str) -> None:
    number = next(tag.number for tag in TAGS.values() if tag.name == name)
    for file, builds in built.items():
        values = [subject(build).entries.get(number) for build in builds.values()]
        assert len(set(values)) == 3 or values == [None] * 3, file
