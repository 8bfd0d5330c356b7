# SPDX-License-Identifier: GPL-2.0-or-later
"""The repositories that dnf 5 is configured with, by libdnf5's own reading of its configuration. Nothing is fetched.

The same files are read, and the same is found in them, as by multisig.dnf4.repositories. libdnf5 logs no warnings for
what it cannot read: it raises.
"""

from __future__ import annotations

import os
from typing import Optional, Sequence, Tuple

import libdnf5

from multisig.errors import UsageError
from multisig.vendorkeys import Repository


def read_repositories(root: str = "/", config: Optional[str] = None) -> Tuple[Tuple[Repository, ...], Tuple[str, ...]]:
    """See multisig.dnf4.repositories.read_repositories; here there is never a warning."""
    if config is not None and not os.path.isfile(config):
        raise UsageError("there is no such file", path=config)
    try:
        base = libdnf5.base.Base()
        _configure(base, os.path.abspath(root), config)
        base.setup()
        base.get_repo_sack().create_repos_from_system_configuration()
        found = [_repository(repo) for repo in libdnf5.repo.RepoQuery(base)]
    except (libdnf5.exception.Error, OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"dnf 5 cannot read its configuration: {error}", path=config) from None
    # RepoQuery has them in no order.
    return tuple(sorted(found, key=lambda repository: repository.id)), ()


def _configure(base: "libdnf5.base.Base", root: str, config: Optional[str]) -> None:
    """What lies in ``root`` is read there, as dnf 4 has it. libdnf5 of its own accord looks nowhere else."""
    conf = base.get_config()
    conf.installroot = root
    conf.plugins = False
    conf.use_host_config = True
    if config is not None:
        conf.config_file_path = os.path.abspath(config)
    elif os.path.exists(_inside(root, conf.config_file_path)):
        conf.config_file_path = _inside(root, conf.config_file_path)
    base.load_config()
    folders = [_inside(root, folder) for folder in conf.reposdir]
    if any(os.path.exists(folder) for folder in folders):
        conf.reposdir = folders
        conf.varsdir = [_inside(root, folder) for folder in conf.varsdir]


def _inside(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def _repository(repo: "libdnf5.repo.Repo") -> Repository:
    config = repo.get_config()
    # Called gpgcheck before 5.2.
    check: bool = config.pkg_gpgcheck if hasattr(config, "pkg_gpgcheck") else config.gpgcheck
    keys: Sequence[str] = config.gpgkey
    return Repository(repo.get_id(), repo.get_name(), bool(repo.is_enabled()), bool(check), tuple(keys))
