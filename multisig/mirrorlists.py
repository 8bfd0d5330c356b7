# SPDX-License-Identifier: GPL-2.0-or-later
"""Mirror lists and metalinks, as librepo reads them (lr_mirrorlist_parse_file, lr_metalink_parse_file). Pure.

They say where else a repository's files may be asked for, and nothing that is relied on: only web addresses are taken,
and whatever is odd about a list makes it an empty one, or a MetadataError.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from multisig import xmltext
from multisig.errors import MetadataError
from multisig.metadata import REPOMD

MAX_LIST = 1 << 20
"""Bytes of a mirror list or metalink; those of the largest distributions take a tenth of it."""

_MAX_URL = 2048
_MAX_MIRRORS = 1000
_FILE = ["metalink", "files", "file"]


def mirrors_of_list(data: bytes) -> Sequence[str]:
    """The base URLs of a mirror list: one a line, in its order. Lines with variables are passed over."""
    lines = data[:MAX_LIST].decode("utf-8", "replace").split("\n")
    return _usable([line.strip() for line in lines])


def mirrors_of_metalink(data: bytes) -> Sequence[str]:
    """The base URLs of a metalink (version 3) for a repomd.xml, those of the highest preference first.

    Raises MetadataError where it is too large or not well-formed, or holds a DOCTYPE.
    """
    if len(data) > MAX_LIST:
        raise MetadataError("the metalink is too large", expected=f"at most {MAX_LIST} bytes")
    reader = _MetalinkReader()
    xmltext.read(data, reader, what="the metalink")
    ranked = sorted(reader.found, key=lambda item: -item[0])
    return _usable([url[: -len(REPOMD)] for _, url in ranked if url.endswith("/" + REPOMD)])


class _MetalinkReader:
    """Collects ``/metalink/files/file[@name='repomd.xml']/resources/url`` with their preferences."""

    def __init__(self) -> None:
        self.found: List[Tuple[int, str]] = []
        self._path: List[str] = []
        self._in_repomd = False
        self._preference = 0
        self._url: List[str] = []

    def start(self, name: str, attributes: Dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > 2 * len(_FILE) + 2:
            raise MetadataError("the metalink is nested too deep")
        if self._path == _FILE:
            self._in_repomd = attributes.get("name") == "repomd.xml"
        if self._is_url():
            preference = attributes.get("preference", "0")
            self._preference = int(preference) if preference.isdecimal() and len(preference) < 4 else 0
            self._url = []

    def text(self, data: str) -> None:
        if self._is_url() and len(self._url) < _MAX_URL:
            self._url.append(data)

    def end(self, _: str) -> None:
        if self._is_url() and len(self.found) < _MAX_MIRRORS:
            self.found.append((self._preference, "".join(self._url).strip()))
        self._path.pop()

    def _is_url(self) -> bool:
        return self._in_repomd and self._path == [*_FILE, "resources", "url"]


def _usable(urls: Sequence[str]) -> Sequence[str]:
    """The web addresses among these, each once; librepo would fill in variables, which nobody uses any more."""
    fit = [url for url in urls if url.startswith(("http://", "https://")) and len(url) <= _MAX_URL]
    return tuple(dict.fromkeys(url.rstrip("/") for url in fit if url.isprintable() and not set(url) & set(' $<>"')))[
        :_MAX_MIRRORS
    ]
