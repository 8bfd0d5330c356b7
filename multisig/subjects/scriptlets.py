# SPDX-License-Identifier: GPL-2.0-or-later
"""How the scriptlets and triggers of two packages differ. Pure. Flags: librpm's lib/rpmscript.h, rpm/rpmds.h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from multisig.subjects.dependencies import shown
from multisig.subjects.difference import Difference, Group, Records, text_of, unified
from multisig.subjects.header import integers, strings

# name: script, program, flags
_SCRIPTLETS = {
    "%pretrans": (1151, 1153, 5024), "%pre": (1023, 1085, 5020), "%post": (1024, 1086, 5021),
    "%preun": (1025, 1087, 5022), "%postun": (1026, 1088, 5023), "%posttrans": (1152, 1154, 5025),
    "%preuntrans": (5103, 5105, 5107), "%postuntrans": (5104, 5106, 5108), "%verifyscript": (1079, 1091, 5026),
}  # fmt: skip
_FLAGS = ((1, "macros are expanded (-e)"), (2, "query format is expanded (-q)"), (4, "critical"))
_EVENTS = ((1 << 25, "prein"), (1 << 16, "in"), (1 << 17, "un"), (1 << 18, "postun"))
_EVENT_BITS = sum(bit for bit, _ in _EVENTS)


@dataclass(frozen=True)
class _Tags:
    """The arrays of one kind of trigger: one entry a script, then one a condition."""

    name: str
    scripts: int
    programs: int
    flags: int
    priorities: Optional[int]
    names: int
    versions: int
    senses: int
    indexes: int


_TRIGGERS = (
    _Tags("%trigger", 1065, 1092, 5027, None, 1066, 1067, 1068, 1069),
    _Tags("%filetrigger", 5066, 5067, 5068, 5084, 5069, 5071, 5072, 5070),
    _Tags("%transfiletrigger", 5076, 5077, 5078, 5085, 5079, 5081, 5082, 5080),
)


@dataclass(frozen=True)
class _Trigger:
    """``heading`` is its line in a spec file, as ``%triggerin -- foo > 1, bar``."""

    heading: str
    script: str
    program: str
    flags: Optional[str]
    priority: Optional[str]


def script_differences(a: Records, b: Records) -> Iterator[Difference]:
    """Each scriptlet's text, program with its arguments, and flags."""
    for what, (script, program, flags) in _SCRIPTLETS.items():
        if a.get(script) != b.get(script):
            yield _text(Group.SCRIPTS, what, _value(a, script), _value(b, script), frozenset({script}))
        old, new = _program(a, program), _program(b, program)
        if old != new:
            yield Difference(Group.SCRIPTS, what, "program", old, new, frozenset({program}))
        old, new = (_flags(integers(side[flags])[0]) if flags in side else None for side in (a, b))
        if old != new:
            yield Difference(Group.SCRIPTS, what, "flags", old, new, frozenset({flags}))


def trigger_differences(a: Records, b: Records) -> Iterator[Difference]:
    """Triggers by their headings; those whose heading only one package has are paired in their order."""
    for kind in _TRIGGERS:
        tags = frozenset(
            tag
            for tag in (kind.scripts, kind.programs, kind.flags, kind.priorities, kind.names, kind.versions)
            + (kind.senses, kind.indexes)
            if tag is not None and a.get(tag) != b.get(tag)
        )
        if not tags:
            continue
        old, new = _triggers(a, kind), _triggers(b, kind)
        for left, right in _pairs(old, new):
            yield from _trigger(left, right, tags)
        kept = [[item.heading for item in side] for side in (old, new)]
        if kept[0] != kept[1] and sorted(kept[0]) == sorted(kept[1]):
            first, second = next((x, y) for x, y in zip(*kept) if x != y)
            yield Difference(Group.TRIGGERS, f"all of {kind.name}", "order", first, second, tags)


def _trigger(left: Optional[_Trigger], right: Optional[_Trigger], tags: FrozenSet[int]) -> Iterator[Difference]:
    what = next(side.heading for side in (left, right) if side is not None)
    for aspect in ("heading", "script", "program", "flags", "priority"):
        a, b = (getattr(side, aspect) if side is not None else None for side in (left, right))
        if aspect == "script" and a != b:
            yield _text(Group.TRIGGERS, what, a, b, tags)
        elif a != b and not (aspect == "heading" and None in (a, b)):
            yield Difference(Group.TRIGGERS, what, aspect, a, b, tags)


def _pairs(old: Sequence[_Trigger], new: Sequence[_Trigger]) -> Iterator[Tuple[Optional[_Trigger], Optional[_Trigger]]]:
    waiting: Dict[str, List[_Trigger]] = {}
    for item in reversed(new):
        waiting.setdefault(item.heading, []).append(item)
    alone: List[_Trigger] = []
    for item in old:
        same = waiting.get(item.heading)
        if same:
            yield item, same.pop()
        else:
            alone.append(item)
    left = {id(item) for items in waiting.values() for item in items}
    others = [item for item in new if id(item) in left]
    for place in range(max(len(alone), len(others))):
        yield (alone[place] if place < len(alone) else None, others[place] if place < len(others) else None)


def _triggers(records: Records, kind: _Tags) -> List[_Trigger]:
    if kind.scripts not in records:
        return []
    scripts = [text_of(item) for item in strings(records[kind.scripts])]
    programs = [text_of(item) for item in strings(records[kind.programs])]
    flags = _numbers(records, kind.flags)
    priorities = _numbers(records, kind.priorities)
    conditions: List[List[str]] = [[] for _ in scripts]
    events: List[Dict[str, None]] = [{} for _ in scripts]
    if kind.indexes in records:
        named = zip(strings(records[kind.names]), strings(records[kind.versions]))
        numbers = zip(integers(records[kind.senses]), integers(records[kind.indexes]))
        for (name, version), (sense, index) in zip(named, numbers):
            conditions[index].append(shown(name, sense, version, without=_EVENT_BITS))
            event = "+".join(word for bit, word in _EVENTS if sense & bit) or "?"
            events[index][event] = None
    return [
        _Trigger(
            f"{kind.name}{'/'.join(events[place])} -- {', '.join(conditions[place])}",
            script,
            programs[place],
            _flags(flags[place]) if flags is not None else None,
            str(priorities[place]) if priorities is not None else None,
        )
        for place, script in enumerate(scripts)
    ]


def _text(group: Group, what: str, old: Optional[str], new: Optional[str], tags: FrozenSet[int]) -> Difference:
    return Difference(group, what, "script", old, new, tags, unified(old, new))


def _value(records: Records, tag: int) -> Optional[str]:
    return text_of(strings(records[tag])[0]) if tag in records else None


def _program(records: Records, tag: int) -> Optional[str]:
    return " ".join(text_of(item) for item in strings(records[tag])) if tag in records else None


def _numbers(records: Records, tag: Optional[int]) -> Optional[Sequence[int]]:
    return integers(records[tag]) if tag is not None and tag in records else None


def _flags(value: int) -> Optional[str]:
    words = [word for bit, word in _FLAGS if value & bit]
    unknown = value & ~sum(bit for bit, _ in _FLAGS)
    return ", ".join([*words, f"{unknown:#x}"] if unknown else words) or None
