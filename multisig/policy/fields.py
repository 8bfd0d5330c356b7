# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed reading of YAML nodes: each method takes a node and yields a value, or a PolicyError that says what is right.

Strict where YAML is lax: ``true`` is a truth value and ``"true"`` is text; ``NO`` where text belongs is an error, since
other YAML readers take it for false. ``what`` names the field in messages.
"""

from __future__ import annotations

import datetime
import re
from typing import Dict, Iterable, NoReturn, Optional, Tuple

from multisig.errors import PolicyError
from multisig.namedtuples import NamedTuple
from multisig.policy.yamlnodes import Mapping, Node, Scalar, Sequence
from multisig.times import DAY, parse_age

MAX_TEXT = 1000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_INTEGER = re.compile(r"[1-9][0-9]{0,17}")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_EPOCH = datetime.date(1970, 1, 1).toordinal()


def _shown(node: Node) -> str:
    """A node in a message: short, whatever it holds."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    if node.text == "":
        return "nothing"
    return f'"{node.text}"' if len(node.text) <= 60 else f'"{node.text[:57]}…"'


class Fields(NamedTuple):
    """``path`` is the policy's, for messages."""

    path: str

    def fail(self, node: Node, message: str, hint: str) -> NoReturn:
        raise PolicyError(message, path=self.path, line=node.line, column=node.column, hint=hint)

    def mapping(self, node: Node, what: str, needed: Iterable[str], optional: Iterable[str] = ()) -> Dict[str, Node]:
        """A mapping with all of the ``needed`` keys and no other than these and ``optional``."""
        if not isinstance(node, Mapping):
            self.fail(node, f"{what} is {_shown(node)}", "write a mapping: keys and their values")
        needed = tuple(needed)
        allowed = (*needed, *optional)
        for key, _ in node.entries:
            if key.text not in allowed:
                import difflib

                close = difflib.get_close_matches(key.text, allowed, n=1)
                meant = f'"{close[0]}" is meant? ' if close else ""
                self.fail(key, f"unknown key {_shown(key)} in {what}", f"{meant}allowed: {', '.join(allowed)}")
        values = {key.text: value for key, value in node.entries}
        for key_text in needed:
            if key_text not in values:
                self.fail(node, f'{what} lacks "{key_text}"', f"needed: {', '.join(needed)}")
        return values

    def named(self, node: Node, what: str) -> Tuple[Tuple[Scalar, Node], ...]:
        """A mapping whose keys are names of people or groups: letters, digits and ``._@+-``, at most 64."""
        if not isinstance(node, Mapping):
            self.fail(node, f"{what} is {_shown(node)}", "write a mapping: names and what they stand for")
        for key, _ in node.entries:
            self._name(key, f"a name in {what}")
        return node.entries

    def sequence(self, node: Node, what: str, example: str) -> Tuple[Node, ...]:
        """A list of at least one item."""
        if not isinstance(node, Sequence):
            self.fail(node, f"{what} is {_shown(node)}, not a list", f"write {example}")
        if not node.items:
            self.fail(node, f"{what} is an empty list", "name at least one, or leave the key out where it is optional")
        return node.items

    def text(self, node: Node, what: str, longest: int = MAX_TEXT) -> str:
        """Text of 1 to ``longest`` characters, without blanks at its ends, that is text to any YAML reader."""
        if not isinstance(node, Scalar):
            self.fail(node, f"{what} is {_shown(node)}, not text", "write text")
        if not node.text.strip():
            self.fail(node, f"{what} is empty", "write some text, or leave the key out where it is optional")
        if node.kind != "str":
            self.fail(node, f"{what}: {node.text} is {node.told()} to YAML", f'put it in quotes: "{node.text}"')
        if node.text != node.text.strip():
            self.fail(node, f"{what} begins or ends with a blank", "remove it")
        if len(node.text) > longest:
            self.fail(node, f"{what} is longer than {longest} characters", "shorten it")
        return node.text

    def name(self, node: Node, what: str) -> str:
        """A name of a person or group."""
        self.text(node, what)
        return self._name(node, what)

    def _name(self, node: Node, what: str) -> str:
        if not isinstance(node, Scalar) or not NAME.fullmatch(node.text):
            self.fail(
                node,
                f"{what} cannot be {_shown(node)}",
                "begin with a letter or digit; then letters, digits and . _ @ + -, at most 64 in all",
            )
        return node.text

    def channel(self, node: Node) -> str:
        value = self.text(node, "channel")
        if not CHANNEL.fullmatch(value):
            self.fail(
                node,
                f"the channel cannot be {_shown(node)}",
                "begin with a to z or a digit; then a to z, digits and . _ -, at most 64 in all",
            )
        return value

    def integer(self, node: Node, what: str, lowest: int, highest: int) -> int:
        """A plain decimal number: no quotes, sign, fraction, leading zero or other base."""
        if not isinstance(node, Scalar) or node.kind != "int" or not _INTEGER.fullmatch(node.text):
            self.fail(node, f"{what} is {_shown(node)}", f"write a whole number from {lowest}, without quotes")
        value = int(node.text)
        if not lowest <= value <= highest:
            self.fail(node, f"{what} is {value}", f"it can be {lowest} to {highest}")
        return value

    def boolean(self, node: Node, what: str) -> bool:
        """Exactly ``true`` or ``false``, without quotes."""
        if not isinstance(node, Scalar) or node.kind != "bool" or node.text not in ("true", "false"):
            self.fail(node, f"{what} is {_shown(node)}", "write true or false, in lower case without quotes")
        return node.text == "true"

    def only_true(self, node: Node, what: str) -> bool:
        """Exactly ``true``: for selectors, where false could be read as "those without"."""
        if not self.boolean(node, what):
            self.fail(node, f"{what} is false", "write true, or leave it out")
        return True

    def date(self, node: Node, what: str) -> int:
        """00:00 UTC of a day of the calendar, in seconds since the epoch."""
        hint = "write a day of the calendar as YYYY-MM-DD"
        found = _DATE.fullmatch(node.text) if isinstance(node, Scalar) else None
        if found is None:
            self.fail(node, f"{what} is {_shown(node)}, not a date", hint)
        year, month, day = (int(part) for part in found.groups())
        try:
            ordinal = datetime.date(year, month, day).toordinal()
        except ValueError:
            self.fail(node, f"{what} is {_shown(node)}, and there is no such day", hint)
        return (ordinal - _EPOCH) * DAY

    def until(self, node: Node) -> Optional[int]:
        """The first second after the day given; None for ``never``."""
        if isinstance(node, Scalar) and node.text == "never":
            return None
        if not isinstance(node, Scalar) or not _DATE.fullmatch(node.text):
            self.fail(node, f"until is {_shown(node)}, not a date", "write a day as YYYY-MM-DD, or never")
        return self.date(node, "until") + DAY

    def age(self, node: Node, what: str) -> int:
        """``14d`` or ``36h``, in seconds."""
        seconds = parse_age(node.text) if isinstance(node, Scalar) else None
        if seconds is None:
            self.fail(node, f"{what} is {_shown(node)}", "write a whole number and d for days or h for hours: 14d")
        return seconds
