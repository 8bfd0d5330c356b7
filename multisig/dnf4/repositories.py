# SPDX-License-Identifier: GPL-2.0-or-later
"""The repositories that dnf is configured with, by dnf's own reading of its configuration. Nothing is fetched."""

from __future__ import annotations

import logging
import os
from typing import List, Optional, Tuple

import dnf
import dnf.conf
import dnf.exceptions
import dnf.rpm

from multisig.errors import UsageError
from multisig.vendorkeys import Repository


def read_repositories(root: str = "/", config: Optional[str] = None) -> Tuple[Tuple[Repository, ...], Tuple[str, ...]]:
    """All repositories, enabled or not, sorted by their ids, and what dnf had to say while it read them.

    ``root``: of another system, whose own dnf.conf, repository files and variables are read where it has them, as with
    dnf's ``--installroot``. ``config``: another dnf.conf, as with dnf's ``--config``; its ``reposdir`` then says where
    repository files lie. Raises UsageError where dnf cannot read its configuration.
    """
    said = _Said()
    logger = logging.getLogger("dnf")
    logger.addHandler(said)
    propagates, logger.propagate = logger.propagate, False
    try:
        with dnf.Base(_configuration(root, config)) as base:
            base.read_all_repos()
            found = [_repository(repo) for repo in base.repos.values()]
    except (dnf.exceptions.Error, OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"dnf cannot read its configuration: {error}", path=config) from None
    finally:
        logger.removeHandler(said)
        logger.propagate = propagates
    return tuple(sorted(found, key=lambda repository: repository.id)), tuple(said.lines)


def _configuration(root: str, config: Optional[str]) -> "dnf.conf.Conf":
    """As dnf's command line reads it (dnf/cli/cli.py, _read_conf_file)."""
    conf = dnf.conf.Conf()
    conf.installroot = os.path.abspath(root)
    if config is not None:
        if not os.path.isfile(config):
            raise UsageError("there is no such file", path=config)
        conf._set_value("config_file_path", os.path.abspath(config), dnf.conf.PRIO_COMMANDLINE)
    conf._search_inside_installroot("config_file_path")
    conf.read(priority=dnf.conf.PRIO_MAINCONFIG)
    conf.substitutions.update_from_etc(conf._search_inside_installroot("reposdir"), varsdir=conf._get_value("varsdir"))
    release = conf.releasever or dnf.rpm.detect_releasever(conf.installroot)
    if release is not None:
        conf.releasever = release
    return conf


def _repository(repo: "dnf.repo.Repo") -> Repository:
    return Repository(repo.id, repo.name, bool(repo.enabled), bool(repo.gpgcheck), tuple(repo.gpgkey))


class _Said(logging.Handler):
    """Keeps dnf's warnings, which it would otherwise write wherever it likes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
