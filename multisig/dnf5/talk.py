# SPDX-License-Identifier: GPL-2.0-or-later
"""What the actions plugin is asked for: the transaction's packages and dnf5's configuration."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import BinaryIO, List, Mapping, Optional

from multisig.errors import MultisigError

COMMANDLINE = "@commandline"
# What one hook leaves for a later one of the same dnf5.
DECISION, METADATA, URLS = "multisig_decision", "multisig_metadata", "multisig_urls"
_MAX_REPLY = 64 << 20


class ActionsError(MultisigError):
    """The actions plugin did not answer, or not as libdnf5-actions(8) says."""


@dataclass(frozen=True)
class Incoming:
    """A package that a transaction puts in. ``location``: relative to its repository, or a path where it has none."""

    nevra: str
    name: str
    repo: str
    location: str

    @property
    def lies_here(self) -> bool:
        """Whether the location is the very file, as of one named on the command line."""
        return self.repo == COMMANDLINE or os.path.isabs(self.location)


@dataclass(frozen=True)
class Outgoing:
    """A package that a transaction takes out. ``evr``: [EPOCH:]VERSION-RELEASE. ``replaced``: for what comes in."""

    nevra: str
    name: str
    evr: str
    replaced: bool


class Actions:
    """The plugin's end of the talk. Every method raises ActionsError."""

    def __init__(self, replies: BinaryIO, requests: BinaryIO) -> None:
        self._replies = replies
        self._requests = requests

    def incoming(self) -> List[Incoming]:
        """The packages that the transaction puts in."""
        return [Incoming(*texts) for texts in self._packages("IN", "full_nevra", "name", "repo_id", "location")]

    def outgoing(self) -> List[Outgoing]:
        """The packages that it takes out."""
        return [
            Outgoing(nevra, name, evr, action == "O")
            for nevra, name, evr, action in self._packages("OUT", "full_nevra", "name", "evr", "action")
        ]

    def _packages(self, direction: str, *fields: str) -> List[List[str]]:
        filters = [{"key": "direction", "value": direction}]
        found = self._list("trans_packages", {"output": fields, "filters": filters})
        return [[_text(item, field) for field in fields] for item in found]

    def setting(self, name: str, repo: str = "") -> Optional[str]:
        """A setting of dnf5's [main], or of a repository; None where it is not set."""
        key = f"{repo}.{name}" if repo else name
        reply = self._ask({"op": "get", "domain": "conf", "args": {"key": key}})
        if reply.get("status") != "OK":
            return None
        # A repository's id may be a pattern to the plugin: only the very one is taken.
        values = [item for item in _items(reply, "conf", "keys_val") if item.get("key") == key]
        return _text(values[0], "value") if values else None

    def remember(self, name: str, value: str) -> None:
        """Keep a value for a later hook of the same transaction."""
        self._list("actions_vars", {"name": name, "value": value}, operation="set")

    def remembered(self, name: str) -> Optional[str]:
        """What was kept."""
        found = [item for item in self._list("actions_vars", {"name": name}) if item.get("name") == name]
        return _text(found[0], "value") if found else None

    def keep(self, name: str, value: object) -> None:
        """As ``remember``, of what JSON can say."""
        self.remember(name, json.dumps(value))

    def kept(self, name: str) -> object:
        """What was kept so; None where nothing was."""
        text = self.remembered(name)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            raise ActionsError(f"dnf5's actions plugin gives another {name} than it was given") from None

    def named(self) -> List[str]:
        """Files, URLs and whatever else was named on the command line; at the hook pre_add_cmdline_packages alone."""
        reply = self._ask({"op": "get", "domain": "cmdline_packages_paths", "args": {}})
        returned = reply.get("return")
        found = returned.get("cmdline_packages_paths") if isinstance(returned, dict) else None
        if reply.get("status") != "OK" or not isinstance(found, list):
            raise ActionsError("dnf5 does not say what was named on the command line", got=ascii(reply)[:200])
        return [text for text in found if isinstance(text, str)]

    def error(self, message: str) -> None:
        """End the transaction with this message. The plugin answers no more."""
        self._send({"op": "error", "args": {"message": message}})

    def _list(
        self, domain: str, arguments: Mapping[str, object], *, operation: str = "get"
    ) -> List[Mapping[str, object]]:
        reply = self._ask({"op": operation, "domain": domain, "args": arguments})
        if reply.get("status") != "OK":
            raise ActionsError(f"dnf5 refuses to say its {domain}", got=ascii(reply.get("message")))
        return _items(reply, domain, domain)

    def _ask(self, request: Mapping[str, object]) -> Mapping[str, object]:
        self._send(request)
        line = self._replies.readline(_MAX_REPLY)
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            raise ActionsError("dnf5's actions plugin gives no answer", got=ascii(line[:80])) from None
        if not isinstance(reply, dict):
            raise ActionsError("dnf5's actions plugin gives an answer that is none", got=ascii(reply)[:80])
        return reply

    def _send(self, request: Mapping[str, object]) -> None:
        try:
            self._requests.write(json.dumps(request).encode("ascii") + b"\n")
            self._requests.flush()
        except OSError as error:
            raise ActionsError(f"dnf5's actions plugin does not listen: {error.strerror}") from None


def _items(reply: Mapping[str, object], domain: str, key: str) -> List[Mapping[str, object]]:
    returned = reply.get("return")
    items = returned.get(key) if isinstance(returned, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ActionsError(f"dnf5 gives its {domain} in another form", expected=f"a list {key}")
    return items


def _text(item: Mapping[str, object], field: str) -> str:
    value = item.get(field)
    if not isinstance(value, str):
        raise ActionsError(f"dnf5 leaves out {field}", got=ascii(dict(item))[:200])
    return value
