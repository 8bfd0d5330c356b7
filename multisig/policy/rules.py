# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules: selectors, and exactly one of require, signed-by and exempt. And the grammar of requirements."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Set, Tuple

from multisig.policy.fields import Fields
from multisig.policy.globs import MAX_GLOB, GlobError, name_glob, path_glob
from multisig.policy.model import (
    KINDS,
    AllOf,
    AnyOf,
    ContentSelector,
    Exemption,
    Leaf,
    ReleaseRequirement,
    Requirement,
    Rule,
)
from multisig.policy.signers import KeyReader
from multisig.policy.yamlnodes import Mapping as MappingNode
from multisig.policy.yamlnodes import Node, Scalar

MAX_NESTING = 8  # what the nesting of YAML lets through wherever a requirement stands
MAX_NAME = 100
_DECISIONS = ("require", "signed-by", "exempt")
_OPTIONAL = (
    "kind", "repos", "packages", "content", "channel", "require", "release", "signed-by", "exempt", "until",
    "file-signatures",
)  # fmt: skip
_LEAF = re.compile(r"([0-9]+) of (\S+)")
_LEAF_HINT = 'write it like "2 of builders", or as a mapping with all: or any:'

Groups = Mapping[str, Tuple[str, ...]]


def requirement(fields: Fields, node: Node, groups: Groups, depth: int = 1) -> Requirement:
    """``M of GROUP``, ``{all: [...]}`` or ``{any: [...]}``; these nest, at most 8 deep."""
    if isinstance(node, Scalar):
        return _leaf(fields, node, groups)
    if not isinstance(node, MappingNode):
        fields.fail(node, "a requirement is a list", _LEAF_HINT)
    if depth > MAX_NESTING:
        fields.fail(node, f"requirements nest deeper than {MAX_NESTING}", "simplify it")
    values = fields.mapping(node, "a requirement", (), ("all", "any"))
    if len(values) != 1:
        fields.fail(node, f"a requirement has {'both all and any' if values else 'nothing in it'}", _LEAF_HINT)
    ((word, listed),) = values.items()
    items = fields.sequence(listed, word, "[2 of builders, 1 of release]")
    parts = tuple(requirement(fields, item, groups, depth + 1) for item in items)
    return AllOf(parts) if word == "all" else AnyOf(parts)


def _leaf(fields: Fields, node: Scalar, groups: Groups) -> Leaf:
    found = _LEAF.fullmatch(node.text) if node.kind == "str" else None
    if found is None:
        fields.fail(node, f'"{node.text[:60]}" is not a requirement', _LEAF_HINT)
    number, group = found.groups()
    if group not in groups:
        known = ", ".join(groups) if groups else "none yet; add groups:"
        fields.fail(node, f'there is no group "{group[:64]}"', f"known groups: {known}")
    members = groups[group]
    if number.startswith("0"):
        wrong = "begins with a zero" if number.strip("0") else "would ask nobody"
        fields.fail(node, f"{number[:20]} of {group} {wrong}", "write a whole number from 1")
    if len(number) > 6 or int(number) > len(members):
        people = f"{len(members)} {'person' if len(members) == 1 else 'people'}"
        fields.fail(
            node, f"{number[:20]} of {group}, but {group} has {people}", "lower the number or add people to the group"
        )
    return Leaf(int(number), group, members)


def rules(fields: Fields, node: Node, groups: Groups, reader: KeyReader) -> Tuple[Rule, ...]:
    """``rules:``: at least one, with names of their own."""
    found: List[Rule] = []
    seen: Set[str] = set()
    for item in fields.sequence(node, "rules", "a list of rules, each beginning with - name:"):
        rule = _rule(fields, item, groups, reader)
        if rule.name in seen:
            fields.fail(item, f'two rules are called "{rule.name}"', "give each its own name")
        seen.add(rule.name)
        found.append(rule)
    return tuple(found)


def _rule(fields: Fields, node: Node, groups: Groups, reader: KeyReader) -> Rule:
    values = fields.mapping(node, "a rule", ("name",), _OPTIONAL)
    name = fields.text(values["name"], "name", MAX_NAME)
    kind = _kind(fields, values.get("kind"))
    _check_combination(fields, node, values, f'rule "{name}"', kind)
    packages, content, channel = values.get("packages"), values.get("content"), values.get("channel")
    repos, require, release = values.get("repos"), values.get("require"), values.get("release")
    return Rule(
        name=name,
        kind=kind,
        repos=None if repos is None else _globs(fields, repos, "repos"),
        packages=None if packages is None else _globs(fields, packages, "packages"),
        content=None if content is None else _content(fields, content),
        channel=None if channel is None else fields.channel(channel),
        require=None if require is None else requirement(fields, require, groups),
        release=None if release is None else _release(fields, release, groups),
        signed_by=reader.keys(values["signed-by"], "signed-by") if "signed-by" in values else None,
        exempt=_exemption(fields, values) if "exempt" in values else None,
        file_signatures=_file_signatures(fields, values.get("file-signatures")),
    )


def _kind(fields: Fields, node: Optional[Node]) -> str:
    if node is None:
        return "rpm"
    kind = fields.text(node, "kind")
    if kind not in KINDS:
        fields.fail(node, f'kind is "{kind[:60]}"', f"it can be {', '.join(KINDS)}")
    return kind


def _check_combination(fields: Fields, node: Node, values: Dict[str, Node], what: str, kind: str) -> None:
    """Which keys of a rule go together."""
    decisions = [key for key in _DECISIONS if key in values]
    if not decisions:
        fields.fail(node, f"{what} decides nothing", "add one of require, signed-by, exempt")
    if len(decisions) > 1:
        fields.fail(values[decisions[1]], f"{what} has both {' and '.join(decisions)}", "keep one in a rule")
    decision = decisions[0]
    if decision == "require" and "channel" not in values:
        fields.fail(node, f"{what} has require but no channel", "add the channel that people sign for")
    for key, owner in (("channel", "require"), ("release", "require"), ("until", "exempt")):
        if key in values and decision != owner:
            fields.fail(values[key], f"{what} has {key}, which belongs to {owner}, not to {decision}", f"remove {key}")
    if decision == "exempt" and "until" not in values:
        fields.fail(node, f"{what} is exempt without an end", "add until: with a date, or never")
    if kind != "rpm":
        for key in ("packages", "content", "signed-by", "release", "file-signatures"):
            if key in values:
                fields.fail(values[key], f"{what} is for kind {kind}, and {key} is for RPMs", f"remove {key}")


def _globs(fields: Fields, node: Node, what: str, paths: bool = False) -> Tuple[str, ...]:
    found = []
    for item in fields.sequence(node, what, '["one-*", two]'):
        text = fields.text(item, f"an entry of {what}", MAX_GLOB)
        try:
            if paths:
                path_glob(text)
            else:
                name_glob(text)
        except GlobError as error:
            fields.fail(item, f"{what}: {error}", "globs: * ? [a-z]" + ("; ** crosses folders" if paths else ""))
        found.append(text)
    return tuple(found)


def _content(fields: Fields, node: Node) -> ContentSelector:
    values = fields.mapping(node, "content", (), ("setuid", "scripts", "paths", "provides"))
    if not values:
        fields.fail(node, "content is empty", "name one of setuid, scripts, paths, provides")
    return ContentSelector(
        setuid="setuid" in values and fields.only_true(values["setuid"], "setuid"),
        scripts="scripts" in values and fields.only_true(values["scripts"], "scripts"),
        paths=_globs(fields, values["paths"], "paths", paths=True) if "paths" in values else (),
        provides=_globs(fields, values["provides"], "provides") if "provides" in values else (),
    )


def _release(fields: Fields, node: Node, groups: Groups) -> ReleaseRequirement:
    values = fields.mapping(node, "release", ("require", "max-age"))
    return ReleaseRequirement(requirement(fields, values["require"], groups), fields.age(values["max-age"], "max-age"))


def _exemption(fields: Fields, values: Dict[str, Node]) -> Exemption:
    return Exemption(fields.text(values["exempt"], "the reason for exempt"), fields.until(values["until"]))


def _file_signatures(fields: Fields, node: Optional[Node]) -> bool:
    if node is None:
        return False
    value = fields.text(node, "file-signatures")
    if value != "allow":
        fields.fail(node, f'file-signatures is "{value[:60]}"', "write allow, or leave it out")
    return True
