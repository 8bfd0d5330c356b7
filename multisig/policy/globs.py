# SPDX-License-Identifier: GPL-2.0-or-later
"""Globs over names and over paths, in time linear in the text whatever the glob.

Names: ``*`` any run, ``?`` any one character, ``[a-z]`` and ``[!a-z]`` one of a set; case counts. Paths: the same
within one folder's name, and ``**`` crosses folders: as a whole name it stands for any number of folders, none
included, so ``/etc/sudoers.d/**`` also matches the folder itself, whose mode and owner matter as much as what lies
in it.

Globs come from the trusted policy, texts from whoever made a package. Every element but the stars stands for exactly
one character, so a glob is a list of fixed-length pieces that are found one after another, leftmost first: there is
nothing to go back to, and no regular expression with a star in it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, FrozenSet, List, Pattern, Set, Tuple

from multisig.namedtuples import NamedTuple

MAX_GLOB = 256
MERGED = frozenset({"bin", "sbin", "lib", "lib64"})
_WILD = frozenset("*?[")
_NO_NAME = frozenset({"", "."})


class GlobError(ValueError):
    """A glob that means nothing; the text says what would be right."""


class Piece(NamedTuple):
    """A run between two stars: ``length`` characters that ``pattern`` (single-character elements only) matches."""

    pattern: Pattern[str]
    length: int


class Glob:
    """A glob over one name. Immutable; get one from ``name_glob``."""

    def __init__(self, text: str) -> None:
        self._literal = None if _WILD.intersection(text) else text
        self._pieces = tuple(_pieces(text))
        self._shortest = sum(piece.length for piece in self._pieces)

    def matches(self, text: str) -> bool:
        if self._literal is not None:
            return text == self._literal
        first, last = self._pieces[0], self._pieces[-1]
        if len(self._pieces) == 1:
            return len(text) == first.length and first.pattern.match(text) is not None
        if len(text) < self._shortest or first.pattern.match(text) is None:
            return False
        position, end = first.length, len(text) - last.length
        for piece in self._pieces[1:-1]:
            found = piece.pattern.search(text, position, end)
            if found is None:
                return False
            position = found.end()
        return position <= end and last.pattern.match(text, end) is not None


def _pieces(text: str) -> List[Piece]:
    """Split at the stars; raises GlobError for a set that is not closed or not one."""
    pieces: List[Piece] = []
    elements: List[str] = []
    index = 0
    while index < len(text):
        char = text[index]
        index += 1
        if char == "*":
            pieces.append(Piece(re.compile("".join(elements), re.DOTALL), len(elements)))
            elements = []
        elif char == "?":
            elements.append(".")
        elif char == "[":
            element, index = _set(text, index)
            elements.append(element)
        else:
            elements.append(re.escape(char))
    pieces.append(Piece(re.compile("".join(elements), re.DOTALL), len(elements)))
    return pieces


def _set(text: str, start: int) -> Tuple[str, int]:
    """The set whose ``[`` is just before ``start``: its regular expression, and the index after its ``]``."""
    negated = text.startswith("!", start)
    start += negated
    end = text.find("]", start + 1)  # a ] that comes first stands for itself
    if end < 0:
        raise GlobError(f'"[" without "]" in "{text}"; close the set, or write "?" for any one character')
    members, inside, index = "", text[start:end], 0
    while index < len(inside):
        if inside[index + 1 : index + 2] == "-" and index + 2 < len(inside):
            low, high = inside[index], inside[index + 2]
            if low > high:
                raise GlobError(f'the range "{low}-{high}" in "{text}" is empty; write the lower end first')
            members += f"{re.escape(low)}-{re.escape(high)}"
            index += 3
        else:
            members += re.escape(inside[index])
            index += 1
    return f"[{'^' if negated else ''}{members}]", end + 1


class PathGlob:
    """A glob over paths. Immutable; get one from ``path_glob``.

    A small automaton over the folders' names: from a state, each edge asks one name to match a ``Glob`` and leads to
    another state. State ``i`` of ``_skips`` may pass over any name (``**``); ``_free`` leads on without any name.
    """

    def __init__(self, text: str) -> None:
        if not text.startswith(("/", "**/")) and text != "**":
            raise GlobError(f'the path "{text}" does not begin with "/"; write "/{text}" or "**/{text}"')
        if text.endswith("/"):
            raise GlobError(f'the path "{text}" ends with "/"; write "{text}**" for all that lies below it')
        names = text[1:].split("/") if text.startswith("/") else text.split("/")
        if any(name in ("", ".", "..") for name in names):
            raise GlobError(f'"//", "." or ".." in the path "{text}"; write it without')
        self._edges: Dict[int, List[Tuple[Glob, int]]] = {}
        self._skips: Set[int] = set()
        self._free: Dict[int, int] = {}
        state = 0
        for name in names:
            state = self._add(state, name)
        self._final = state
        wild = next((index for index, name in enumerate(names) if _WILD.intersection(name)), len(names))
        self._head = tuple(names[:wild])
        self._tail = None if "**" in names[-1] else name_glob(names[-1])

    def _add(self, state: int, name: str) -> int:
        """Append one name of the glob after ``state``; returns the state that follows it."""
        if name.replace("*", "") == "" and len(name) > 1:
            self._skips.add(state)
            self._free[state] = state + 1
            return state + 1
        # "a**b": one name "a*b", or "a*", any number of folders, "*b". ``k`` double stars give k states in between.
        parts = re.split(r"\*\*+", name)
        inner = list(range(state + 1, state + len(parts)))
        starts, target = [state, *inner], state + len(parts)
        self._skips.update(inner)
        for i, start in enumerate(starts):
            for j in range(i, len(parts)):
                head, tail = "*" if i else "", "*" if j + 1 < len(parts) else ""
                glob = name_glob(head + "*".join(parts[i : j + 1]) + tail)
                self._edges.setdefault(start, []).append((glob, inner[j] if tail else target))
        return target

    def _closed(self, states: Set[int]) -> Set[int]:
        for state in list(states):
            while state in self._free:
                state = self._free[state]
                states.add(state)
        return states

    def matches(self, names: Tuple[str, ...]) -> bool:
        """``names`` are the path's folders and its last name.

        Most paths differ in what the glob gives in full at its beginning, or in their last name; that is asked first.
        """
        skipped = len(self._head)
        if names[:skipped] != self._head:
            return False
        if self._tail is not None and (not names or not self._tail.matches(names[-1])):
            return False
        states = self._closed({skipped})  # one state for each name given in full
        for name in names[skipped:]:
            following = states & self._skips
            for state in states:
                for glob, target in self._edges.get(state, ()):
                    if target not in following and glob.matches(name):
                        following.add(target)
            if not following:
                return False
            states = self._closed(following)
        return self._final in states


@lru_cache(maxsize=4096)
def name_glob(text: str) -> Glob:
    """The compiled glob over names; raises GlobError."""
    return Glob(text)


@lru_cache(maxsize=4096)
def path_glob(text: str) -> PathGlob:
    """The compiled glob over paths; raises GlobError."""
    return PathGlob(text)


def match_name(globs: Tuple[str, ...], name: str) -> bool:
    """Whether any of the globs matches the name."""
    return any(name_glob(glob).matches(name) for glob in globs)


def spellings(path: str) -> Tuple[Tuple[str, ...], ...]:
    """The names of a path, in both spellings where the /usr merge gives it two: /bin/sh is /usr/bin/sh.

    /bin, /sbin, /lib and /lib64 are merged into /usr; /usr/sbin is not merged into /usr/bin, since not all systems do.
    Empty names and "." are left out.
    """
    names = tuple([name for name in path.split("/") if name not in _NO_NAME])
    if path.startswith("/") and names:
        if names[0] in MERGED:
            return names, ("usr", *names)
        if names[0] == "usr" and len(names) > 1 and names[1] in MERGED:
            return names, names[1:]
    return (names,)


class PathGlobs:
    """Several path globs, for many paths. Without wildcards, or with a last ``**`` alone, no automaton is needed."""

    def __init__(self, globs: Tuple[str, ...]) -> None:
        exact: Set[Tuple[str, ...]] = set()
        below: Set[Tuple[str, ...]] = set()
        others: List[PathGlob] = []
        for text in globs:
            compiled = path_glob(text)
            names = tuple(text[1:].split("/"))
            if not _WILD.intersection(text):
                exact.add(names)
            elif names[-1] == "**" and not _WILD.intersection(text[:-2]):
                below.add(names[:-1])
            else:
                others.append(compiled)
        self._exact: FrozenSet[Tuple[str, ...]] = frozenset(exact)
        self._below = tuple((len(names), names) for names in below)
        self._others = tuple(others)

    def match_any(self, paths: Tuple[str, ...]) -> bool:
        """Whether any glob matches any path. A path with a ".." in it could be anywhere, so it matches."""
        return any(self._match(names) for path in paths for names in spellings(path))

    def _match(self, names: Tuple[str, ...]) -> bool:
        if ".." in names or names in self._exact:
            return True
        for length, start in self._below:
            if names[:length] == start:
                return True
        return any(glob.matches(names) for glob in self._others)


@lru_cache(maxsize=256)
def path_globs(globs: Tuple[str, ...]) -> PathGlobs:
    """The compiled list of path globs; raises GlobError."""
    return PathGlobs(globs)


def covers(outer: str, inner: str) -> bool:
    """Whether every name that ``inner`` matches is certainly matched by ``outer``; may say False where it is so."""
    if outer == inner or set(outer) == {"*"}:
        return True
    if _WILD.intersection(inner) and _WILD.intersection(outer) - {"*"}:
        return False
    # Only stars in outer: no literal of it is a star or question mark, so its stars take in what is wild in inner.
    return name_glob(outer).matches(re.sub(r"\[!?.[^]]*\]", "?", inner))


def overlap(one: str, other: str) -> bool:
    """Whether some name could be matched by both; may say True where none can."""
    if not _WILD.intersection(one):
        return name_glob(other).matches(one)
    if not _WILD.intersection(other):
        return name_glob(one).matches(other)
    heads = [re.split(r"[*?\[]", glob, maxsplit=1)[0] for glob in (one, other)]
    return heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])
