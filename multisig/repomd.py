# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts a file into a repository's repomd.xml, as createrepo_c's modifyrepo_c does (src/modifyrepo_shared.c). Pure.

modifyrepo_c itself writes over repomd.xml, so that clients see half of it, packs anew what it is given, and
knows zstd only since version 1.0.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from multisig.metadata import parse_repomd

_NAMESPACE = "http://linux.duke.edu/metadata/repo"
_RPM_NAMESPACE = "http://linux.duke.edu/metadata/rpm"


@dataclass(frozen=True)
class NewRecord:
    """A metadata file: its type, its path from the repository's top; SHA-256 and size in bytes of it, and of what it
    unpacks to (``opened``); its time in seconds since the epoch."""

    kind: str
    location: str
    sha256: str
    size: int
    opened_sha256: str
    opened_size: int
    time: int


def with_record(repomd: bytes, record: NewRecord) -> bytes:
    """The document with this record in place of what it has of that type; all others stay as they are.

    Raises MetadataError where it is no repomd.xml.
    """
    parse_repomd(repomd)  # no DOCTYPE, each type once
    ET.register_namespace("", _NAMESPACE)
    ET.register_namespace("rpm", _RPM_NAMESPACE)
    root = ET.fromstring(repomd)
    for element in root.findall(_tag("data")):
        if element.get("type") == record.kind:
            root.remove(element)
    if len(root):
        root[-1].tail = "\n  "
    root.append(_element(record))
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"


def _element(record: NewRecord) -> ET.Element:
    element = ET.Element(_tag("data"), {"type": record.kind})
    element.text = "\n    "
    for name, attributes, text in (
        ("checksum", {"type": "sha256"}, record.sha256),
        ("open-checksum", {"type": "sha256"}, record.opened_sha256),
        ("location", {"href": record.location}, None),
        ("timestamp", {}, str(record.time)),
        ("size", {}, str(record.size)),
        ("open-size", {}, str(record.opened_size)),
    ):
        child = ET.SubElement(element, _tag(name), attributes)
        child.text = text
        child.tail = "\n    "
    element[-1].tail = "\n  "
    element.tail = "\n"
    return element


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"
