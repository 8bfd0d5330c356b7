# SPDX-License-Identifier: GPL-2.0-or-later
"""Named tuples are what typing's are, however they are made."""

from __future__ import annotations

import ast
import typing
from typing import Optional

import pytest

from multisig.namedtuples import NamedTuple
from multisig.policy import AllOf, AnyOf, Leaf
from tests.unit.test_layers import MODULES


class Ours(NamedTuple):
    """A value."""

    name: str
    number: int = 3
    other: Optional["Ours"] = None

    @property
    def twice(self) -> int:
        return 2 * self.number


class Theirs(typing.NamedTuple):
    """A value."""

    name: str
    number: int = 3
    other: Optional["Theirs"] = None

    @property
    def twice(self) -> int:
        return 2 * self.number


class Derived(Ours):
    """With more than fields."""

    kept = 4


def test_it_is_what_typing_makes() -> None:
    ours, theirs = Ours("a", other=Ours("b")), Theirs("a", other=Theirs("b"))
    assert tuple(ours) == tuple(theirs)
    assert ours.twice == theirs.twice == 6
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert (Ours.__bases__, Ours._fields, Ours._field_defaults) == (
        Theirs.__bases__,
        Theirs._fields,
        Theirs._field_defaults,
    )
    assert (Ours.__doc__, Ours.__module__, Ours.__qualname__) == ("A value.", __name__, "Ours")
    assert not hasattr(ours, "__dict__")


def test_it_cannot_be_changed() -> None:
    for value in (Ours("a"), Derived("a")):
        with pytest.raises(AttributeError):
            value.number = 4  # type: ignore[misc]
    assert Ours("a")._replace(number=4) == ("a", 4, None)


def test_what_is_derived_from_one_stays_itself_when_replaced() -> None:
    assert type(Derived("a")._replace(number=4)) is Derived


def test_all_of_some_parts_is_not_any_of_them() -> None:
    parts = (Leaf(1, "builders", ("marek", "rafal")), Leaf(1, "release", ("joanna",)))
    assert AllOf(parts) == AllOf(parts) != AnyOf(parts)
    assert len({AllOf(parts), AllOf(parts), AnyOf(parts)}) == 2


def test_no_module_lacks_what_fields_are_found_by_from_python_3_14_on() -> None:
    for name, tree in MODULES.items():
        made = [
            node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and "NamedTuple" in map(_name, node.bases)
        ]
        strings = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
        assert strings or not made, name


def _name(base: ast.expr) -> str:
    return base.id if isinstance(base, ast.Name) else ""
