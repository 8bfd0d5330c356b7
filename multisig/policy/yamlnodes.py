# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML without its surprises: text to nodes that remember where they stood.

Built from PyYAML's events, one at a time, so that no implicit type, anchor, tag or merge is ever acted on, and nesting
is stopped before libyaml spends quadratic time on it. A scalar stays text; ``kind`` says what YAML 1.1's safe loader
would have made of it, so that a reader of the policy and this program cannot take ``NO`` or ``1:30`` for two things.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from multisig.errors import PolicyError
from multisig.namedtuples import NamedTuple

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20

# What cannot be seen, reorders text, or ends a line for YAML and for no editor. CR only before LF.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]|\r(?!\n)"
)
_DIRECTIVE = re.compile("^%", re.MULTILINE)
_KINDS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "null": "nothing (null)",
    "timestamp": "a date",
    "merge": "a merge",
    "value": "a default value",
}


class Scalar(NamedTuple):
    """``kind``: str, int, bool, float, null, timestamp …: the YAML 1.1 type of a plain scalar; str for a quoted one."""

    text: str
    kind: str
    line: int
    column: int

    def told(self) -> str:
        """What the safe loader would take it for, in words."""
        return _KINDS.get(self.kind, "text")


class Sequence(NamedTuple):
    items: Tuple["Node", ...]
    line: int
    column: int


class Mapping(NamedTuple):
    """Keys are distinct scalars of kind str, in the order they are written."""

    entries: Tuple[Tuple[Scalar, "Node"], ...]
    line: int
    column: int

    def get(self, key: str) -> Optional["Node"]:
        for name, node in self.entries:
            if name.text == key:
                return node
        return None


Node = Union[Scalar, Sequence, Mapping]


class _Open:
    """A collection whose end has not been reached; ``key`` is a mapping's key that waits for its value."""

    def __init__(self, is_mapping: bool, line: int, column: int) -> None:
        self.is_mapping, self.line, self.column = is_mapping, line, column
        self.items: List[Node] = []
        self.entries: List[Tuple[Scalar, Node]] = []
        self.key: Optional[Scalar] = None
        self.lines: Dict[str, int] = {}  # where each key stood

    def close(self) -> Node:
        if self.is_mapping:
            return Mapping(tuple(self.entries), self.line, self.column)
        return Sequence(tuple(self.items), self.line, self.column)


@lru_cache(maxsize=2)  # one program asks for one policy, and perhaps for its successor
def parse_yaml(text: bytes, *, path: str) -> Node:
    """The one document in ``text``; ``path`` is for messages. Raises PolicyError with line and column, nothing else."""
    decoded = _decode(text, path)
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise PolicyError("PyYAML is missing", path=path, hint="install python3-pyyaml or python3-yaml") from error
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        return _Builder(path, yaml).build(yaml.parse(decoded, Loader=loader))
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter: escapes, without libyaml
        raise _converted(error, path) from error


def _decode(text: bytes, path: str) -> str:
    if len(text) > MAX_BYTES:
        raise PolicyError(f"larger than {MAX_BYTES} bytes", path=path, hint="a policy is at most 64 KiB")
    if text.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise PolicyError("begins with a byte order mark", path=path, line=1, column=1, hint="save it as plain UTF-8")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8")
        raise _at(before, "not UTF-8", "save it as UTF-8", path) from error
    unseen = _UNSEEN.search(decoded)
    if unseen:
        what = f"the control or invisible character U+{ord(unseen.group()):04X}"
        raise _at(decoded[: unseen.start()], what, "remove it", path)
    directive = _DIRECTIVE.search(decoded)
    if directive:
        what = "a line that begins with %, a YAML directive"
        raise _at(decoded[: directive.start()], what, "a policy has none; remove it, or indent the line", path)
    return decoded


def _at(before: str, message: str, hint: str, path: str) -> PolicyError:
    """An error just after the text ``before``."""
    line = before.count("\n") + 1
    return PolicyError(message, path=path, line=line, column=len(before) - before.rfind("\n"), hint=hint)


def _converted(error: Exception, path: str) -> PolicyError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (None, None)
    hint = "check indentation, brackets and quotes here and on the line above"
    return PolicyError(f"not YAML: {problem}", path=path, line=line, column=column, hint=hint)


class _Builder:
    """Turns events into nodes, with a stack of its own in place of recursion."""

    def __init__(self, path: str, yaml: Any) -> None:
        self._path = path
        self._yaml = yaml
        self._stack: List[_Open] = []
        self._root: Optional[Node] = None
        self._resolvers = yaml.SafeLoader.yaml_implicit_resolvers

    def build(self, events: Iterator[Any]) -> Node:
        documents = 0
        for event in events:
            if isinstance(event, self._yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "a second document", 'a policy is one document; remove the "---"')
            elif isinstance(event, self._yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, self._yaml.CollectionEndEvent):
                self._add(self._stack.pop().close())
        if self._root is None:
            raise PolicyError("empty", path=self._path, line=1, column=1, hint='begin with "multisig: policy/v1"')
        return self._root

    def _error(self, where: Any, message: str, hint: str) -> PolicyError:
        """``where``: an event or a node."""
        if isinstance(where, (Scalar, Sequence, Mapping)):
            return PolicyError(message, path=self._path, line=where.line, column=where.column, hint=hint)
        mark = where.start_mark
        return PolicyError(message, path=self._path, line=mark.line + 1, column=mark.column + 1, hint=hint)

    def _node(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, self._yaml.AliasEvent):
            raise self._error(event, f"an alias, *{event.anchor}", 'a pattern that begins with "*" needs quotes: "*"')
        if event.anchor is not None:
            raise self._error(event, f"an anchor, &{event.anchor}", "write it out wherever it is needed")
        if event.tag is not None:
            raise self._error(event, f"a tag, {event.tag}", "remove it; a policy has no tags")
        if isinstance(event, self._yaml.ScalarEvent):
            self._add(self._scalar(event, line, column))
            return
        if self._stack and self._stack[-1].is_mapping and self._stack[-1].key is None:
            raise self._error(event, "a key that is a list or a mapping", "keys are plain words")
        if len(self._stack) >= MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels", "check the brackets and indentation")
        self._stack.append(_Open(isinstance(event, self._yaml.MappingStartEvent), line, column))

    def _scalar(self, event: Any, line: int, column: int) -> Scalar:
        value = str(event.value)
        if not value.isprintable():
            raise self._error(
                event, "text with a line break, control or invisible character", "keep it on one line, in plain text"
            )
        return Scalar(value, self._kind(value) if event.implicit[0] else "str", line, column)

    def _kind(self, value: str) -> str:
        """The type that the safe loader resolves a plain scalar to, without its prefix ``tag:yaml.org,2002:``."""
        for tag, pattern in self._resolvers.get(value[:1], []) + self._resolvers.get(None, []):
            if pattern.match(value):
                return str(tag).rsplit(":", 1)[-1]
        return "str"

    def _add(self, node: Node) -> None:
        """Put a finished node where it belongs."""
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if not parent.is_mapping:
            parent.items.append(node)
        elif parent.key is None and isinstance(node, Scalar):
            parent.key = self._checked_key(parent, node)
        elif parent.key is not None:
            parent.entries.append((parent.key, node))
            parent.key = None

    def _checked_key(self, parent: _Open, key: Scalar) -> Scalar:
        if key.text == "<<":
            raise self._error(key, "a merge key, <<", "write the entries out wherever they are needed")
        if key.kind != "str":
            hint = f'put it in quotes: "{key.text}"' if key.text else "a key stands before the colon"
            raise self._error(key, f"the key {key.text or 'before the colon'} is {key.told()} to YAML", hint)
        first = parent.lines.setdefault(key.text, key.line)
        if len(parent.lines) == len(parent.entries):
            raise self._error(key, f'"{key.text}" is given twice', f"first on line {first}; keep one")
        return key
