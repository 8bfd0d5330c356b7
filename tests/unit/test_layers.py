# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parts may ask of each other and of the world: adapters know the library, and the library no adapter."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

from fixtures.running import CHECKOUT

ADAPTERS = ("cli", "dnf4", "dnf5", "librpm")
# dnf multisig hands questions on to the command line.
BETWEEN_ADAPTERS = {("dnf4.command", "cli")}
# What of the world only an adapter may ask for: everything else is given time, streams and surroundings.
FOR_ADAPTERS = {
    "print": "print(",
    "input": "input(",
    "exit": "exit(",
    "sys.exit": "sys.exit(",
    "os.chdir": "os.chdir(",
    "os.environ": "os.environ",
    "os.getenv": "os.getenv(",
    "time.time": "time.time(",
    "datetime.now": "datetime.now(",
}
# Sequoia has no clock to set; whether a date is ahead of the real one decides who is asked.
ALLOWED = {("openpgp.sequoia", "time.time")}


def modules() -> Dict[str, ast.Module]:
    """The package's modules by name, without ``multisig.``."""
    top = CHECKOUT / "multisig"
    found = {}
    for path in sorted(top.rglob("*.py")):
        name = ".".join(path.relative_to(top).with_suffix("").parts)
        found[name.replace(".__init__", "")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.AST, *, at_once: bool = False) -> Iterator[str]:
    """The modules of this package that are imported, wherever in the file; ``at_once``: when it is itself."""
    for node in tree.body if at_once and isinstance(tree, ast.Module) else ast.walk(tree):
        names: List[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            inside = name.partition("multisig.")[2] if name.startswith("multisig.") else ""
            if inside in MODULES:
                yield inside


def adapter(module: str) -> str:
    """The adapter that a module belongs to; "" for the library."""
    top = module.partition(".")[0]
    return top if top in ADAPTERS else ""


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def used(tree: ast.Module) -> Set[str]:
    """Of FOR_ADAPTERS what is used: functions where they are called, other things where they are named."""
    calls = {dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {dotted(node) for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Name))}
    return {name for name, shown in FOR_ADAPTERS.items() if name in (calls if shown.endswith("(") else names)}


def test_the_library_knows_no_adapter_and_adapters_do_not_know_each_other() -> None:
    crossed: Set[Tuple[str, str]] = set()
    for module, tree in MODULES.items():
        if module == "__main__":
            continue
        crossed |= {(module, adapter(name)) for name in imported(tree) if adapter(name) not in ("", adapter(module))}
    assert crossed == BETWEEN_ADAPTERS


def test_no_module_needs_one_that_needs_it() -> None:
    needs = {module: set(imported(tree, at_once=True)) - {module} for module, tree in MODULES.items()}
    # A package's face is loaded before its modules, whatever is imported of it; it is no part that others rest on.
    faces = {name for name in MODULES if any(other.startswith(f"{name}.") for other in MODULES)}
    left = {module: {name for name in names if name not in faces} for module, names in needs.items()}
    while left:
        loose = {module for module, names in left.items() if not names & left.keys()}
        assert loose, f"in a circle: {sorted(left)}"
        left = {module: names for module, names in left.items() if module not in loose}


@pytest.mark.parametrize("module", [name for name in MODULES if not adapter(name) and name != "__main__"])
def test_the_library_neither_prints_nor_looks_around(module: str) -> None:
    assert {(module, name) for name in used(MODULES[module])} <= ALLOWED


def test_librpm_and_dnf_are_loaded_where_they_are_needed_and_nowhere_else() -> None:
    found = set()
    for module, tree in MODULES.items():
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {(adapter(module), name.partition(".")[0]) for name in names}
    assert {who for who, name in found if name in ("dnf", "libdnf", "hawkey")} == {"dnf4"}
    assert {who for who, name in found if name == "rpm"} <= {"dnf4", "dnf5", "librpm"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_left_to_assert(module: str) -> None:
    """python -O leaves assertions out."""
    assert not [node.lineno for node in ast.walk(MODULES[module]) if isinstance(node, ast.Assert)]


def test_the_dnf_4_plugin_loads_nothing_of_the_library_before_it_is_asked() -> None:
    tree = ast.parse(Path(CHECKOUT / "dnf-plugins" / "multisig.py").read_text(encoding="utf-8"))
    assert list(imported(tree, at_once=True)) == [] and list(imported(tree)) != []
