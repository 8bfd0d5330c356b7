# SPDX-License-Identifier: GPL-2.0-or-later
"""The material is what it claims: builds differ where they should, and without multisig the attacks succeed."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from fixtures.building import BUILDERS
from fixtures.running import multisig, run
from fixtures.tamper import FAKE_GREETING
from fixtures.workshop import Workshop
from tests.e2e.conftest import THREE, Stage


def tag(rpm: Path, name: str) -> str:
    return run(["rpm", "--query", "--nosignature", "--package", "--queryformat", f"%{{{name}}}", rpm]).out


@pytest.mark.parametrize("name", ["BUILDHOST", "BUILDTIME", "PAYLOADDIGEST", "SHA256HEADER"])
def test_five_builders_make_five_files(shop: Workshop, name: str) -> None:
    assert len({tag(shop.rpm("hello-1.0-1", builder), name) for builder in BUILDERS}) == 5


def test_three_builders_use_three_compressors(shop: Workshop) -> None:
    assert [tag(shop.rpm("hello-1.0-1", name), "PAYLOADCOMPRESSOR") for name in THREE] == ["gzip", "xz", "zstd"]


@pytest.mark.parametrize("package", ["hello-1.0-1", "greet-1.0-1", "world-1.0-1", "team-07-1.0-1"])
def test_five_builders_have_one_manifest(shop: Workshop, package: str) -> None:
    digests = {multisig("manifest", "--digest", shop.rpm(package, builder)).out for builder in BUILDERS}
    assert len(digests) == 1


@pytest.mark.parametrize("tampered", [Workshop.with_tampered_script, Workshop.with_tampered_content])
def test_dnf_alone_installs_what_was_built_from_other_source(
    stage: Stage, tampered: Callable[[Workshop], Path]
) -> None:
    system = stage.system(stage.publish_file(tampered(stage.shop), None), enabled="0")
    assert system.dnf("install", "hello").rc == 0
    assert system.installed() == {"hello-1.0-1.noarch"}
    marks = system.read("/var/hello-post") + system.read("/usr/share/hello/greeting")
    assert "opens a door" in marks or FAKE_GREETING.decode() in marks


def test_dnf_alone_runs_the_scripts_of_a_package_before_it_sees_a_tampered_payload(stage: Stage) -> None:
    system = stage.system(stage.publish_file(stage.shop.with_tampered_payload(), None), enabled="0")
    assert system.dnf("install", "hello").rc != 0
    assert system.installed() == set()
    assert system.holds("/var/hello-pre")
