# SPDX-License-Identifier: GPL-2.0-or-later
"""The people of a policy: their keys, what the keys must be like, retirements, groups.

Every key belongs to one person. Files are named relative to the policy's folder and read through a function that the
caller gives, so nothing here touches a disk.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Set, Tuple, Union

from multisig.errors import MultisigError, OpenPGPError
from multisig.openpgp.keys import KeyRequirements, key_problem, parse_public_key
from multisig.openpgp.model import PublicKey, Subkey
from multisig.policy.fields import Fields
from multisig.policy.model import Key, Retirement, Signer
from multisig.policy.yamlnodes import Mapping as MappingNode
from multisig.policy.yamlnodes import Node, Scalar

MAX_STATEMENTS = 4 * 1024 * 1024
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_KEYS_EXAMPLE = '[{fingerprint: "…", file: keys/name.asc}]'


def key_requirements(fields: Fields, node: Optional[Node]) -> KeyRequirements:
    """The policy's ``keys:``; the defaults where it is not given."""
    if node is None:
        return KeyRequirements()
    values = fields.mapping(node, "keys", (), ("min-rsa-bits", "max-validity-days"))
    defaults = KeyRequirements()
    bits, days = defaults.min_rsa_bits, defaults.max_validity_days
    if "min-rsa-bits" in values:
        bits = fields.integer(values["min-rsa-bits"], "min-rsa-bits", 2048, 16384)
    limit = values.get("max-validity-days")
    if limit is not None and not (isinstance(limit, Scalar) and limit.text == "unlimited"):
        days = fields.integer(limit, "max-validity-days (a number, or unlimited)", 1, 36500)
    return KeyRequirements(min_rsa_bits=bits, max_validity_days=days)


class KeyReader:
    """Reads the key files that a policy names, each once, and keeps account of whose they are."""

    def __init__(self, fields: Fields, read_file: Callable[[str], bytes], requirements: KeyRequirements) -> None:
        self._fields = fields
        self._read_file = read_file
        self._requirements = requirements
        self._contents: Dict[str, bytes] = {}
        self._parsed: Dict[str, PublicKey] = {}
        self._owners: Dict[bytes, str] = {}

    def keys(self, node: Node, what: str) -> Tuple[Key, ...]:
        """A list of ``{fingerprint, file}``, no fingerprint twice."""
        found: List[Key] = []
        for item in self._fields.sequence(node, what, _KEYS_EXAMPLE):
            key = self._key(item, f"a key of {what}")
            if any(other.fingerprint == key.fingerprint for other in found):
                self._fields.fail(item, f"the key {key.fingerprint} is listed twice", "list it once")
            found.append(key)
        return tuple(found)

    def claim(self, owner: str, key: Key, node: Node) -> None:
        """Record whose key this is; an error if a part of it that could sign is somebody else's already,
        under whatever fingerprint."""
        parts: List[Union[PublicKey, Subkey]] = [key.public]
        parts += [subkey for subkey in key.public.subkeys if subkey.back_signed]
        for part in parts:
            # A secret key gives another fingerprint for each date of birth: what it signs would count for each.
            holder = self._owners.setdefault(part.numbers or part.fingerprint.encode("ascii"), owner)
            if holder != owner:
                self._fields.fail(
                    node,
                    f"{owner} and {holder} share the key {part.fingerprint}",
                    "one key is one person's; remove it from one of the two",
                )

    def contents(self, node: Node, what: str) -> Tuple[str, bytes]:
        """The file that ``node`` names, relative to the policy's folder: its one name and what it holds."""
        name = self._fields.text(node, what, 255)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or name.endswith("/") or not parts:
            self._fields.fail(
                node, f'{what} cannot be "{name}"', "name a file beside the policy or in a folder there: keys/name.asc"
            )
        name = "/".join(parts)
        try:
            if name not in self._contents:
                self._contents[name] = self._read_file(name)
            return name, self._contents[name]
        except OSError as error:
            reason = error.strerror or "it cannot be read"
        except MultisigError as error:
            reason = error.message
        return self._fields.fail(node, f"cannot read {name}: {reason}", "put the file beside the policy")

    def _key(self, node: Node, what: str) -> Key:
        values = self._fields.mapping(node, what, ("fingerprint", "file"))
        fingerprint = self._fingerprint(values["fingerprint"])
        name, public = self._public(values["file"])
        if public.fingerprint != fingerprint:
            self._fields.fail(
                values["fingerprint"],
                f"{name} holds the key {public.fingerprint}, not {fingerprint}",
                "compare both with what its owner told you; then mend one",
            )
        return Key(fingerprint, name, public, _problem(public, self._requirements))

    def _fingerprint(self, node: Node) -> str:
        value = self._fields.text(node, "fingerprint")
        if not _FINGERPRINT.fullmatch(value):
            found = "it has blanks" if " " in value else f"it has {len(value)} characters"
            self._fields.fail(
                node,
                f'"{value[:60]}" is no fingerprint: {found}',
                "write the primary key's in full, 40 hex digits without blanks, in quotes",
            )
        return value.upper()

    def _public(self, node: Node) -> Tuple[str, PublicKey]:
        name, data = self.contents(node, "file")
        if name not in self._parsed:
            try:
                self._parsed[name] = parse_public_key(data)
            except OpenPGPError as error:
                self._fields.fail(
                    node, f"{name} is not a usable key: {error}", "export one key: gpg --armor --export FINGERPRINT"
                )
        return name, self._parsed[name]


def _problem(public: PublicKey, requirements: KeyRequirements) -> Optional[str]:
    """None where some part of the key can count; else why the likeliest part cannot."""
    problem = key_problem(public, public, requirements)
    if problem is None or public.revoked:
        return problem
    for part in public.subkeys:
        if part.back_signed or part.can_sign:
            problem = key_problem(part, public, requirements)
            if problem is None:
                return None
    return problem


def signers(fields: Fields, node: Optional[Node], reader: KeyReader) -> Mapping[str, Signer]:
    """``signers:``, by name. No key, nor signing subkey, of one is another's."""
    found: Dict[str, Signer] = {}
    for key, entry in fields.named(node, "signers") if node is not None else ():
        values = fields.mapping(entry, f"signer {key.text}", ("keys",), ("retired", "compromised"))
        keys = reader.keys(values["keys"], f"the keys of {key.text}")
        for held in keys:
            reader.claim(key.text, held, values["keys"])
        retired = values.get("retired")
        compromised = values.get("compromised")
        found[key.text] = Signer(
            name=key.text,
            keys=keys,
            retired=None if retired is None else _retirement(fields, retired, reader),
            compromised=compromised is not None and fields.boolean(compromised, "compromised"),
        )
    return MappingProxyType(found)


def _retirement(fields: Fields, node: Node, reader: KeyReader) -> Retirement:
    """A date, or ``{from: date, statements: file}``."""
    if not isinstance(node, MappingNode):
        return Retirement(fields.date(node, "retired"), None)
    values = fields.mapping(node, "retired", ("from", "statements"))
    since = fields.date(values["from"], "from")
    name, data = reader.contents(values["statements"], "statements")
    return Retirement(since, _digests(fields, values["statements"], name, data))


def _digests(fields: Fields, node: Node, name: str, data: bytes) -> FrozenSet[str]:
    """Nothing but SHA-256 digests in lower-case hex, one a line: no comments, no blank lines, at least one."""
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    hint = "one SHA-256 a line, 64 lower-case hex digits, and nothing else"
    if not lines:
        fields.fail(node, f"{name} is empty", f"{hint}; where nothing of theirs counts, say compromised: true")
    for number, line in enumerate(lines, 1):
        if not _DIGEST.fullmatch(line):
            fields.fail(node, f"line {number} of {name} is not the digest of a statement", hint)
    return frozenset(line.decode("ascii") for line in lines)


def groups(fields: Fields, node: Optional[Node], people: Mapping[str, Signer]) -> Mapping[str, Tuple[str, ...]]:
    """``groups:``, by name: distinct signers, at least one."""
    found: Dict[str, Tuple[str, ...]] = {}
    for key, entry in fields.named(node, "groups") if node is not None else ():
        what = f"group {key.text}"
        members: List[str] = []
        seen: Set[str] = set()
        for item in fields.sequence(entry, what, "[marek, joanna]"):
            member = fields.name(item, f"a member of {what}")
            if member not in people:
                known = ", ".join(people) if people else "nobody yet"
                fields.fail(item, f'{what}: "{member}" is not among the signers', f"known: {known}")
            if member in seen:
                fields.fail(item, f"{what} names {member} twice", "one person has one vote; name them once")
            seen.add(member)
            members.append(member)
        found[key.text] = tuple(members)
    return MappingProxyType(found)
