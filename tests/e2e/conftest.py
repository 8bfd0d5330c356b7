# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage of the end-to-end tests: one workshop and one server a session, one empty system a test."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence, Union

import pytest

from fixtures.installroot import Installroot, Repo
from fixtures.policy import write_policy
from fixtures.repository import Repository
from fixtures.server import Server
from fixtures.workshop import TEAM, Workshop

THREE: Sequence[str] = ("marek", "joanna", "rafal")
TWO: Sequence[str] = ("marek", "joanna")


class Stage:
    """What a test works with: ``shop`` makes things, ``server`` serves them, ``system`` installs them."""

    def __init__(self, shop: Workshop, server: Server, web: Path, folder: Path) -> None:
        self.shop = shop
        self.server = server
        self.web = web
        self.folder = folder
        self.policy = write_policy(folder / "policy", shop.people)
        self._made = 0

    def publish(
        self,
        packages: Mapping[str, Optional[Sequence[str]]],
        *,
        comps: bool = False,
        name: Optional[str] = None,
        index: bool = False,
    ) -> Repo:
        """A repository of packages and of who signed each (None: no bundle at all), with or without an index."""
        repository = self.repository(name)
        for package, signers in packages.items():
            bundle = self.shop.bundle(package, signers) if signers else None
            repository.add(self.shop.rpm(package), bundle)
        repository.finish(comps=comps)
        if index:
            repository.index()
        return self.repo(repository)

    def publish_file(self, rpm: Path, bundle: Union[Path, bytes, None]) -> Repo:
        """A repository of one RPM file and its bundle."""
        repository = self.repository()
        repository.add(rpm, bundle)
        return self.repo(repository.finish())

    def repository(self, name: Optional[str] = None) -> Repository:
        """An empty folder below the server's, for this test alone."""
        self._made += 1
        return Repository(self.web / self.folder.name / (name or f"repo-{self._made}"))

    def repo(self, repository: Repository, id: str = "demo") -> Repo:
        """The repository as dnf is told of it."""
        return Repo(id, f"{self.server.url}/{repository.folder.relative_to(self.web)}")

    def path(self, repo: Repo, file: str) -> str:
        """A file of a repository as the server sees it, for faults and counts."""
        return f"{repo.url[len(self.server.url) :]}/{file}"

    def system(self, *repos: Repo, policy: Optional[Path] = None, name: str = "system", **settings: str) -> Installroot:
        """An empty system."""
        return Installroot(self.folder / name, policy or self.policy, repos, **settings)

    def system_with(self, *packages: str) -> Installroot:
        """A system that has these packages already, and knows no repository."""
        system = self.system()
        system.put(*(self.shop.rpm(package) for package in packages))
        return system


@pytest.fixture(scope="session")
def shop() -> Iterator[Workshop]:
    # Not below pytest's own folder: the path must be short enough for gpg-agent's sockets.
    folder = Path(tempfile.mkdtemp(prefix="msig-", dir="/tmp"))
    workshop = Workshop(folder)
    try:
        workshop.prepare(["hello-1.0-1", "hello-1.0-2", "hello-2.0-1", "greet-1.0-1", "world-1.0-1", *TEAM], THREE)
        yield workshop
    finally:
        workshop.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="session")
def listener(web: Path) -> Iterator[Server]:
    with Server(web) as server:
        yield server


@pytest.fixture
def stage(shop: Workshop, listener: Server, web: Path, tmp_path: Path) -> Iterator[Stage]:
    listener.heal()
    listener.reset()
    yield Stage(shop, listener, web, tmp_path)
    listener.heal()
