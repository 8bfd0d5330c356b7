# SPDX-License-Identifier: GPL-2.0-or-later
"""Many subjects in few statements, and these in bundles that every reader takes. Pure but for the given reader."""

from __future__ import annotations

import json
import os
from itertools import count
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from multisig.bundle import MAX_ATTESTATIONS, MAX_BUNDLE, SUFFIX, Bundle, encode
from multisig.openpgp import MAX_ARMORED_SIGNATURE
from multisig.statement import MAX_SUBJECTS, Kind, Subject

# The longest signature, as it stands in a bundle: with two characters for each line's end, and what is around it.
_SIGNATURE = MAX_ARMORED_SIGNATURE + 512
# What a bundle may need besides the subjects of its one statement: a signature, the statement's frame and its source,
# in each of which a character may take up to seven as JSON within JSON.
_RESERVED = _SIGNATURE + 48 * 1024
# A subject without its name, as it stands in a bundle: three digests, and the quotation marks with a backslash each.
_SUBJECT = 420


def lists(subjects: Sequence[Tuple[Kind, Subject]]) -> Iterator[Tuple[Kind, List[Subject]]]:
    """As few lists as hold all the subjects, sorted by name: one a kind, at most MAX_SUBJECTS in each, and no more than
    one bundle has room for. No two subjects of a kind may share a name."""
    by_kind: Dict[Kind, List[Subject]] = {}
    for kind, subject in subjects:
        by_kind.setdefault(kind, []).append(subject)
    for kind, found in by_kind.items():
        chosen: List[Subject] = []
        size = _RESERVED
        for subject in sorted(found, key=lambda subject: subject.name):
            more = _SUBJECT + len(json.dumps(json.dumps(subject.name)))
            if chosen and (len(chosen) == MAX_SUBJECTS or size + more > MAX_BUNDLE):
                yield kind, chosen
                chosen, size = [], _RESERVED
            chosen.append(subject)
            size += more
        if chosen:
            yield kind, chosen


def spread(texts: Sequence[str], path: str, held: Callable[[str], Optional[Bundle]]) -> List[str]:
    """The file that each statement, with one signature more, goes into: ``path``, or ``X-2.msig`` and so on where that
    has no room. ``held`` reads what is in a file, None where there is none."""
    files: Dict[str, _File] = {}
    chosen = []
    for text in texts:
        for number in count(1):
            name = numbered(path, number)
            if name not in files:
                files[name] = _File(held(name))
            if files[name].take(text):
                chosen.append(name)
                break
    return chosen


def numbered(path: str, number: int) -> str:
    """``batch.msig``, ``batch-2.msig``, ``batch-3.msig``."""
    if number == 1:
        return path
    stem, extension = (path[: -len(SUFFIX)], SUFFIX) if path.endswith(SUFFIX) else os.path.splitext(path)
    return f"{stem}-{number}{extension}"


class _File:
    """How full a bundle is, or will be."""

    def __init__(self, content: Optional[Bundle]) -> None:
        self._texts = {item.statement for item in content.attestations} if content is not None else set()
        self._size = len(encode(content)) if content is not None else 64

    def take(self, text: str) -> bool:
        """Count the statement in, if there is room; a file of its own has room for any."""
        more = _SIGNATURE
        if text not in self._texts:
            more += len(json.dumps(text)) + 128
        full = self._size + more > MAX_BUNDLE or (text not in self._texts and len(self._texts) >= MAX_ATTESTATIONS)
        if full and self._texts:
            return False
        self._texts.add(text)
        self._size += more
        return True
