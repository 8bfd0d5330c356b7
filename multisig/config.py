# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig.conf: how the plugin is to behave (docs/formats.md). What it may let in, the policy alone says."""

from __future__ import annotations

import configparser
import os
import re
from types import MappingProxyType
from typing import Dict, Iterable, Mapping, Tuple
from urllib.parse import unquote, urlsplit

from multisig import paths
from multisig.errors import ConfigError, UnreadableError
from multisig.files import read_if_there
from multisig.namedtuples import NamedTuple
from multisig.openpgp import engines

FILE_NAME = "multisig.conf"
_MAX_CONFIG = 64 << 10
_SITES = ("http://", "https://")
# As dnf has it (dnf/repo.py, _REPOID_CHARS), and @commandline.
_REPOSITORY = re.compile(r"[A-Za-z0-9_.:-]+\Z|@(commandline|rpm)\Z")
_PRINTABLE = re.compile(r"[!-~]+\Z")
_KEYS = ("enabled", "mode", "policy", "hold-back", "openpgp", "journal")


class Config(NamedTuple):
    """``enforcing`` is true for every ``mode`` but exactly "warn". Paths are absolute.

    ``bundles`` are the places where further evidence may lie, by repository id: folders' paths and sites' URLs.
    """

    enforcing: bool = True
    policy: str = paths.POLICY
    journal: str = paths.JOURNAL
    openpgp: str = engines.AUTO
    bundles: Mapping[str, Tuple[str, ...]] = MappingProxyType({})
    hold_back: bool = False


class Settings(NamedTuple):
    """What one file sets: the settings of its [main], and the places of its [bundles], by repository id."""

    main: Mapping[str, str]
    bundles: Mapping[str, Tuple[str, ...]]


def load_config(directories: Iterable[str]) -> Config:
    """Read multisig.conf from each directory that has one, later ones over earlier ones, as dnf does.

    Unknown sections and keys, and values this version cannot honour, are ConfigErrors: a misspelt setting must not
    quietly mean the default.
    """
    main: Dict[str, str] = {}
    bundles: Dict[str, Tuple[str, ...]] = {}
    for directory in directories:
        path = os.path.join(directory, FILE_NAME)
        try:
            data = read_if_there(path, _MAX_CONFIG)
        except UnreadableError as error:
            raise ConfigError(error.message, path=path) from None
        if data is not None:
            settings = parse_config(data, path=path)
            main.update(settings.main)
            bundles.update(settings.bundles)
    return _config(main, bundles)


def parse_config(data: bytes, *, path: str) -> Settings:
    """One file's settings, checked; raises ConfigError."""
    if len(data) > _MAX_CONFIG:
        raise ConfigError("is too large", path=path, expected=f"at most {_MAX_CONFIG} bytes")
    # Repository ids may hold colons, and are not the same in capitals.
    parser = configparser.ConfigParser(
        interpolation=None, inline_comment_prefixes=("#", ";"), default_section="", delimiters=("=",)
    )
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        parser.read_string(data.decode("utf-8"), source=path)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(str(error).replace("\n", " "), path=path) from None
    for section in parser.sections():
        if section not in ("main", "bundles"):
            raise ConfigError(f"unknown section [{section}]", path=path, expected="[main] or [bundles]")
    main = _main(parser["main"] if parser.has_section("main") else {}, path)
    places = parser["bundles"] if parser.has_section("bundles") else {}
    return Settings(main, {repo: _places(repo, text, path) for repo, text in places.items()})


def is_site(place: str) -> bool:
    """Whether a place of [bundles] is a web site's URL; else it is the path of a folder."""
    return place.startswith(_SITES)


def _main(given: Mapping[str, str], path: str) -> Mapping[str, str]:
    settings: Dict[str, str] = {}
    for key, value in given.items():
        if key.lower() in settings:
            raise ConfigError(f"{key} is set twice", path=path)
        settings[key.lower()] = value
    for key, value in settings.items():
        if key not in _KEYS:
            raise ConfigError(f"unknown setting {key}", path=path, expected="one of " + ", ".join(_KEYS))
        _check(key, value, path)
    return settings


def _places(repo: str, text: str, path: str) -> Tuple[str, ...]:
    if _REPOSITORY.match(repo) is None:
        raise ConfigError("not the id of a repository in [bundles]", path=path, got=ascii(repo)[:80])
    return tuple(dict.fromkeys(_place(repo, word, path) for word in text.split()))


def _place(repo: str, text: str, path: str) -> str:
    """A folder's path or a site's URL, in one spelling."""
    parts = urlsplit(text) if _PRINTABLE.match(text) is not None else urlsplit("")
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        text = unquote(parts.path)
    if text.startswith("/") and "\0" not in text:
        return os.path.normpath(text)
    if is_site(text) and parts.hostname and not parts.query and not parts.fragment:
        return text.rstrip("/")
    expected = "absolute paths of folders, or URLs that begin with file:///, http:// or https://"
    raise ConfigError(f"[bundles] {repo}: not a place for bundles", path=path, expected=expected, got=ascii(text)[:200])


def _check(key: str, value: str, path: str) -> None:
    if key in ("policy", "journal") and not os.path.isabs(value):
        raise ConfigError(f"{key} must be an absolute path", path=path, got=value or "nothing")
    if key == "openpgp" and value not in engines.CHOICES:
        expected = "openpgp = " + ", ".join(engines.CHOICES)
        raise ConfigError("there is no such OpenPGP engine", path=path, expected=expected, got=value or "nothing")
    if key == "hold-back" and value not in ("yes", "no"):
        raise ConfigError("hold-back is yes or no", path=path, got=value or "nothing")


def _config(values: Mapping[str, str], bundles: Mapping[str, Tuple[str, ...]]) -> Config:
    return Config(
        enforcing=values.get("mode", "enforce") != "warn",
        policy=values.get("policy", paths.POLICY),
        journal=values.get("journal", paths.JOURNAL),
        openpgp=values.get("openpgp", engines.AUTO),
        bundles=bundles,
        hold_back=values.get("hold-back") == "yes",
    )
