# SPDX-License-Identifier: GPL-2.0-or-later
"""A first policy for a machine, from the repositories that its dnf is configured with. Pure: values in, text out.

Each repository gets a ``signed-by`` rule with its own keys, or an exemption with a date and a reason, so that nothing
changes until the admin says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Dict, List, Mapping, Sequence, Tuple

from multisig.policy import parse_policy
from multisig.policyexamples import ELSEWHERE, HEAD, PEOPLE, RULES
from multisig.text import plain
from multisig.times import DAY, day
from multisig.vendorkeys import Findings, ReadFile, Repository, VendorKey, find_keys, local_path

EXEMPT_DAYS = 90

_LONGEST_NAME = 60
_LONGEST_REASON = 600


@dataclass(frozen=True)
class Draft:
    """A policy that can be used as it is. ``keys`` are the files that go beside it, by name.

    ``checked`` are the repositories under their own keys; ``exempt`` those that are not, with the reason; ``until`` the
    exemptions' last day. ``notes`` say what may come as a surprise.
    """

    text: bytes
    keys: Mapping[str, bytes]
    checked: Tuple[str, ...]
    exempt: Tuple[Tuple[str, str], ...]
    until: str
    notes: Tuple[str, ...]


def draft(repositories: Sequence[Repository], read_file: ReadFile, now: int) -> Draft:
    """The policy for these repositories, at ``now`` (seconds since the epoch).

    ``read_file`` is as for ``find_keys``. Raises PolicyError where the policy would be larger than one can be.
    """
    found = find_keys(repositories, read_file, now)
    checked = [one for one in found if one.usable]
    exempt = [(one, _reason(one)) for one in found if not one.usable]
    keys = {key.file: key.armored.encode("ascii") for one in checked for key in one.keys}
    today, until = day(now), day(now + EXEMPT_DAYS * DAY)
    lines = [HEAD.format(today=today), PEOPLE, *_signed_by(checked), *_exempt(exempt, until), RULES]
    text = "\n".join(lines).encode("utf-8")
    parse_policy(text, path="the first policy", read_file=lambda name: keys[name])
    return Draft(
        text=text,
        keys=MappingProxyType(keys),
        checked=tuple(one.repository.id for one in checked),
        exempt=tuple((one.repository.id, reason) for one, reason in exempt),
        until=until,
        notes=tuple(_notes(checked)),
    )


def _reason(one: Findings) -> str:
    if not one.repository.key_urls:
        return "the repository names no key (gpgkey)"
    return "; ".join(one.problems)[:_LONGEST_REASON]


def _notes(checked: Sequence[Findings]) -> List[str]:
    notes = []
    for one in checked:
        if not one.repository.gpgcheck:
            notes.append(f"{one.repository.id}: gpgcheck is off there; what is unsigned was taken, and is refused now")
        notes += [f"{one.repository.id}: {problem}" for problem in one.problems]
    return notes


def _signed_by(checked: Sequence[Findings]) -> List[str]:
    """One rule for all repositories of the same keys."""
    groups: Dict[Tuple[str, ...], List[Findings]] = {}
    for one in checked:
        groups.setdefault(tuple(key.fingerprint for key in one.keys), []).append(one)
    lines = []
    for group in groups.values():
        lines += [*_described(group), *_selected(group), "    signed-by:"]
        for key in group[0].keys:
            lines += _key(key)
        lines.append("")
    return lines


def _exempt(exempt: Sequence[Tuple[Findings, str]], until: str) -> List[str]:
    """One rule for all repositories of the same reason, and one for files on the command line."""
    groups: Dict[str, List[Findings]] = {}
    for one, reason in exempt:
        groups.setdefault(reason, []).append(one)
    lines = []
    for reason, group in groups.items():
        lines += _described(group)
        if any(local_path(url) is None for url in group[0].repository.key_urls):
            lines.append(ELSEWHERE)
        lines += [*_selected(group), f"    exempt: {_quoted(reason)}", f"    until: {until}", ""]
    lines += [
        "  # RPM files and URLs that are named on dnf's command line, whoever made them.",
        "  - name: files on the command line",
        '    repos: ["@commandline"]',
        "    exempt: whoever runs dnf chose the file",
        f"    until: {until}",
        "",
    ]
    return lines


def _described(group: Sequence[Findings]) -> List[str]:
    lines = []
    for one in group:
        state = "" if one.repository.enabled else " (disabled)"
        lines.append(f"  # {one.repository.id}: {plain(one.repository.name)[:100]}{state}")
        if one.usable:
            lines += [f"  #   but {problem[:_LONGEST_REASON]}" for problem in one.problems]
    return lines


def _selected(group: Sequence[Findings]) -> List[str]:
    ids = [one.repository.id for one in group]
    name = ", ".join(ids)
    if len(name) > _LONGEST_NAME and len(ids) > 1:
        name = f"{ids[0][:_LONGEST_NAME]} and {len(ids) - 1} more"
    globs = ", ".join(_quoted(re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", id)) for id in ids)
    return [f"  - name: {_quoted(name[:100])}", f"    repos: [{globs}]"]


def _key(key: VendorKey) -> List[str]:
    owner = "".join(f"{plain(user_id)[:100]}, " for user_id in key.public.user_ids[:1])
    return [
        f"      # {owner}from {key.source}",
        f'      - fingerprint: "{key.fingerprint}"',
        f"        file: {key.file}",
    ]


def _quoted(text: str) -> str:
    """As a double-quoted scalar of YAML."""
    return '"' + plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
