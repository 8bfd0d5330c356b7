# SPDX-License-Identifier: GPL-2.0-or-later
"""How verdicts read: the same words from dnf and the command line. Pure; returns text, prints nothing."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from multisig.text import counted, plain
from multisig.times import told_time
from multisig.verdict import HeldBack, RuleOutcome, Verdict

_INDENT = "      "
# Whoever can add to a bundle could otherwise fill the screen.
_SHOWN = 10
_HELD_SHOWN = 20


def held_back(packages_: Sequence[HeldBack], since: Mapping[HeldBack, int]) -> str:
    """What was held back, since when (in seconds since the epoch, where that is known), and what each lacks."""
    lines = [f"multisig: {packages(len(packages_))} held back, until more people have signed:"]
    for item in sorted(packages_, key=lambda item: item.name)[:_HELD_SHOWN]:
        known = f", since {told_time(since[item])}" if item in since else ""
        lines += [f"  {plain(item.name)}: {plain(item.message)}", f"{_INDENT}from {plain(item.origin)}{known}"]
    if len(packages_) > _HELD_SHOWN:
        lines.append(f"  and {len(packages_) - _HELD_SHOWN} more")
    return "\n".join(lines)


def line(verdict: Verdict) -> str:
    """One line: the subject, and what decided."""
    return plain(f"{verdict.name}: {verdict.message}")


def block(verdict: Verdict) -> str:
    """A refused subject: what it lacks, which rules asked, and what was set aside."""
    failing = [outcome for outcome in verdict.rules if not outcome.satisfied]
    several = sum(len(outcome.lacks) for outcome in failing) > 1
    lines = _one_by_one(verdict, failing) if several else _at_once(verdict, failing)
    if verdict.ignored:
        lines.append(notes(verdict.ignored))
    return "\n".join(lines)


def _at_once(verdict: Verdict, failing: Sequence[RuleOutcome]) -> List[str]:
    origin = f"from {verdict.origin}"
    if failing:
        origin += ", rule " + ", ".join(f'"{name}"' for name in dict.fromkeys(outcome.rule for outcome in failing))
    return [f"  {line(verdict)}", _INDENT + plain(origin)]


def _one_by_one(verdict: Verdict, failing: Sequence[RuleOutcome]) -> List[str]:
    """Where several things are lacking: a line for each, and after them the rule that asks for them."""
    # What the evidence as a whole is like concerns those who ask for people's signatures.
    concerned = next((outcome for outcome in failing if outcome.leaves), failing[0])
    lines: List[str] = []
    for outcome in failing:
        for number, text in enumerate(outcome.lacks):
            about = f"{verdict.about}; " if verdict.about and outcome is concerned and not number else ""
            begin = _INDENT + "and".ljust(10) if lines else f"  {plain(verdict.name)}: "
            lines.append(begin + plain(about + text))
        origin = "" if outcome is not failing[0] else f"from {verdict.origin}, "
        channel = "" if outcome.channel is None else f", for {outcome.channel}"
        lines.append(_INDENT + plain(f'{origin}rule "{outcome.rule}"{channel}'))
    return lines


def notes(texts: Sequence[str], word: str = "ignored") -> str:
    """What is to be said beside a verdict, a line each; ``word`` stands before the first."""
    words = [word, *[""] * _SHOWN]
    lines = [_INDENT + first.ljust(10) + plain(text) for first, text in zip(words, texts[:_SHOWN])]
    if len(texts) > _SHOWN:
        lines.append(_INDENT + " " * 10 + f"and {len(texts) - _SHOWN} more")
    return "\n".join(lines)


def refusal(verdicts: Sequence[Verdict], *, consequence: str = "nothing was installed") -> str:
    """Everything that was refused of these, and what to do about it."""
    lines = [f"multisig: refused; {consequence}.", ""]
    lines += [block(verdict) for verdict in verdicts if not verdict.accepted]
    return "\n".join([*lines, "", closing(verdicts, packages(len(verdicts)))])


def closing(verdicts: Sequence[Verdict], counted: str) -> str:
    """The last line where some of these were refused: how many, of how many (``counted``, in words), and what to do."""
    refused = [verdict for verdict in verdicts if not verdict.accepted]
    verb = "is" if len(refused) == 1 else "are"
    return f"{len(refused)} of {counted} {verb} not approved. {_advice(refused)}".rstrip()


def warning(verdicts: Sequence[Verdict]) -> str:
    """The same in warn mode, where it only says what it would have refused."""
    refused = [verdict for verdict in verdicts if not verdict.accepted]
    lines = [f"multisig: would have refused {len(refused)} of {packages(len(verdicts))} (mode = warn):"]
    return "\n".join(lines + [block(verdict) for verdict in refused])


def acceptance(verdicts: Sequence[Verdict], seconds: float) -> str:
    """All is well, in one line: "multisig: 24 packages, 3 of 5 builders signed each (0.3 s)"."""
    ways = list(dict.fromkeys(_way(verdict) for verdict in verdicts))
    each = " each" if len(verdicts) > 1 and len(ways) == 1 else ""
    return f"multisig: {packages(len(verdicts))}, {plain(_joined(ways))}{each} ({seconds:.1f} s)"


def _way(verdict: Verdict) -> str:
    leaves: Dict[str, None] = {}
    for outcome in verdict.rules:
        for leaf in outcome.leaves:
            if not leaf.missing:
                leaves[f"{len(leaf.counted)} of {leaf.size} {leaf.group} signed"] = None
        if not outcome.leaves:
            leaves[outcome.text] = None
    return " and ".join(leaves) or verdict.message


def _joined(ways: Sequence[str]) -> str:
    return "; ".join(ways[:3]) + (f"; {len(ways) - 3} other ways" if len(ways) > 3 else "")


def packages(count: int) -> str:
    """``1 package``, ``2 packages``."""
    return counted(count, "package")


def _advice(refused: Sequence[Verdict]) -> str:
    by_release = [verdict for verdict in refused if any(outcome.code is not None for outcome in verdict.rules)]
    others = [verdict for verdict in refused if verdict not in by_release]
    codes = {verdict.code.value for verdict in others}
    failing = [outcome for verdict in others for outcome in verdict.rules if not outcome.satisfied]
    advice: List[str] = []
    if by_release:
        advice.append("Try dnf --refresh; if that does not help, tell those who run the repository.")
    if codes & {"no-bundle", "below-threshold"} and (not failing or any(not outcome.vendor for outcome in failing)):
        advice.append("Ask the people named, or try again when they have signed.")
    if "below-threshold" in codes and any(outcome.vendor for outcome in failing):
        advice.append("Look where it comes from: it is not the vendor's, or the vendor has a key the policy lacks.")
    if codes & {"content-mismatch", "payload-mismatch", "malformed-rpm", "malformed-bundle", "weak-digest"}:
        advice.append("What was downloaded is not what was signed: tell those who run the repository.")
    if codes & {"no-rule", "expired"}:
        advice.append("The policy has to say who may approve such a package.")
    return " ".join(advice)
