# SPDX-License-Identifier: GPL-2.0-or-later
"""What the subjects of a bundle still need, told without the subjects: by their names and whose words count. Pure.

It decides nothing: rules that look into a package, or at a vendor's signature, can be judged only with it at hand.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from multisig.evidence import Evidence
from multisig.merging import Graded
from multisig.policy import Policy, Traits, matching_rules, undecided_rules
from multisig.statement import Digests, Kind, package_name
from multisig.verdict import Approval, Verdict, judge

_JUDGED = (Kind.RPM, Kind.FILE, Kind.TREE)
_NOTHING_ELSE = Evidence((), (), (), False)


def needs(graded: Sequence[Graded], policy: Policy, origin: str, now: int) -> List[Verdict]:
    """A verdict for each content that the statements give for each name, sorted by name, then by content.

    ``origin`` is the repository's id. Where there are several contents of a name, the verdict's name tells them apart,
    and whose words are on another one is among what was ignored.
    """
    approvals: Dict[Tuple[Kind, str], Dict[Digests, List[Approval]]] = {}
    for item in graded:
        if item.statement.kind not in _JUDGED:
            continue
        for line in item.statement.subjects:
            contents = approvals.setdefault((item.statement.kind, line.name), {})
            words = [word.approval._replace(payload=line.payload_sha256) for word in item.words]
            contents.setdefault(line.digests, []).extend(words)
    verdicts = []
    for (kind, name), contents in sorted(approvals.items(), key=lambda item: (item[0][0].value, item[0][1])):
        for digests in sorted(contents, key=lambda digests: digests.sha256):
            verdicts.append(_verdict(policy, kind, name, digests, contents, origin, now))
    return verdicts


def _verdict(
    policy: Policy,
    kind: Kind,
    name: str,
    digests: Digests,
    contents: Dict[Digests, List[Approval]],
    origin: str,
    now: int,
) -> Verdict:
    traits = Traits(kind=kind.word, repo=origin, name=package_name(name) if kind is Kind.RPM else "")
    shown = name if len(contents) == 1 else f"{name} (content {digests.sha256[:12]})"
    own = contents[digests]
    elsewhere = {item.signer for other, items in contents.items() if other != digests for item in items}
    ignored = [f"{signer} signed another content" for signer in sorted(elsewhere)]
    if undecided_rules(policy, traits):
        ignored.append("rules that look at the content are judged when the package is at hand")
    rules = matching_rules(policy, traits)
    return judge(policy, rules, own, name=shown, origin=origin, now=now, evidence=_NOTHING_ELSE, ignored=ignored)
