# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig.conf: how the plugin is to behave (docs/formats.md). What it may let in, the policy alone says."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from typing import Dict, Iterable

from multisig import paths
from multisig.errors import ConfigError, UnreadableError
from multisig.files import read_if_there
from multisig.openpgp import engines

FILE_NAME = "multisig.conf"
_MAX_CONFIG = 64 << 10
_KEYS = ("enabled", "mode", "policy", "hold-back", "openpgp", "journal")


@dataclass(frozen=True)
class Config:
    """``enforcing`` is true for every ``mode`` but exactly "warn". Paths are absolute."""

    enforcing: bool = True
    policy: str = paths.POLICY
    journal: str = paths.JOURNAL
    openpgp: str = engines.AUTO


def load_config(directories: Iterable[str]) -> Config:
    """Read multisig.conf from each directory that has one, later ones over earlier ones, as dnf does.

    Unknown sections and keys, and values this version cannot honour, are ConfigErrors: a misspelt setting must not
    quietly mean the default.
    """
    values: Dict[str, str] = {}
    for directory in directories:
        path = os.path.join(directory, FILE_NAME)
        try:
            data = read_if_there(path, _MAX_CONFIG)
        except UnreadableError as error:
            raise ConfigError(error.message, path=path) from None
        if data is not None:
            values.update(parse_config(data, path=path))
    return _config(values)


def parse_config(data: bytes, *, path: str) -> Dict[str, str]:
    """The settings of one file's [main] section, checked for their names; raises ConfigError."""
    if len(data) > _MAX_CONFIG:
        raise ConfigError("is too large", path=path, expected=f"at most {_MAX_CONFIG} bytes")
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"), default_section="")
    try:
        parser.read_string(data.decode("utf-8"), source=path)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(str(error).replace("\n", " "), path=path) from None
    for section in parser.sections():
        if section == "bundles" and parser[section]:
            raise ConfigError(
                "this version looks for bundles beside the packages alone; [bundles] must be empty", path=path
            )
        if section not in ("main", "bundles"):
            raise ConfigError(f"unknown section [{section}]", path=path, expected="[main]")
    settings = dict(parser["main"]) if parser.has_section("main") else {}
    for key, value in settings.items():
        if key not in _KEYS:
            raise ConfigError(f"unknown setting {key}", path=path, expected="one of " + ", ".join(_KEYS))
        _check(key, value, path)
    return settings


def _check(key: str, value: str, path: str) -> None:
    if key in ("policy", "journal") and not os.path.isabs(value):
        raise ConfigError(f"{key} must be an absolute path", path=path, got=value or "nothing")
    if key == "openpgp" and value not in engines.CHOICES:
        expected = "openpgp = " + ", ".join(engines.CHOICES)
        raise ConfigError("there is no such OpenPGP engine", path=path, expected=expected, got=value or "nothing")
    if key == "hold-back" and value != "no":
        raise ConfigError("this version cannot hold packages back", path=path, expected="hold-back = no", got=value)


def _config(values: Dict[str, str]) -> Config:
    return Config(
        enforcing=values.get("mode", "enforce") != "warn",
        policy=values.get("policy", paths.POLICY),
        journal=values.get("journal", paths.JOURNAL),
        openpgp=values.get("openpgp", engines.AUTO),
    )
