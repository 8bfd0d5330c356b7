# SPDX-License-Identifier: GPL-2.0-or-later
"""XML that a stranger may have written, a piece at a time: no DOCTYPE, so no entities, and nothing is fetched. Pure."""

from __future__ import annotations

from typing import Dict, Protocol
from xml.parsers import expat

from multisig.errors import MetadataError


class Reader(Protocol):
    """What is told of the document, in its order. Elements are called without their namespaces; a text may come in
    several pieces. What a reader finds wrong it raises as MetadataError."""

    def start(self, name: str, attributes: Dict[str, str]) -> None: ...

    def text(self, data: str) -> None: ...

    def end(self, name: str) -> None: ...


def read(data: bytes, reader: Reader, *, what: str) -> None:
    """Tell ``reader`` of the document ``data``, which messages call ``what``.

    Raises MetadataError where it is not well-formed or holds a DOCTYPE, and what the reader raises.
    """

    def doctype(*_: object) -> None:
        raise MetadataError(f"{what} has a DOCTYPE, which metadata never have")

    # Whatever encoding the document says that it is in.
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = lambda name, attributes: reader.start(_local(name), attributes)
    parser.CharacterDataHandler = reader.text
    parser.EndElementHandler = lambda name: reader.end(_local(name))
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise MetadataError(f"{what} is not XML: {error}") from None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
