# SPDX-License-Identifier: GPL-2.0-or-later
"""Who could sign something now that counts: by their keys' ends and the policy's requirements of keys. Pure."""

from __future__ import annotations

from typing import List, Optional, Union

from multisig.openpgp.keys import key_problem
from multisig.openpgp.model import PublicKey, Subkey
from multisig.policy.model import Key, Policy, Signer


def key_end(key: Key, policy: Policy) -> Optional[int]:
    """When the last part of the key that can count expires; None for never. Only for keys without a problem."""
    ends: List[int] = []
    parts: List[Union[PublicKey, Subkey]] = [key.public, *key.public.subkeys]
    for part in parts:
        if key_problem(part, key.public, policy.key_requirements) is None:
            limits = [end for end in (key.public.expires, part.expires) if end is not None]
            if not limits:
                return None
            ends.append(min(limits))
    return max(ends, default=0)


def counts(key: Key, policy: Policy, now: int) -> bool:
    """Whether a signature made now by some part of the key could count."""
    if key.problem is not None:
        return False
    end = key_end(key, policy)
    return end is None or end > now


def retired(signer: Signer, now: int) -> bool:
    """Whether signatures that somebody makes now cannot count any more because they retired.

    Where the statements that still count are listed, no new one does, whatever the day.
    """
    return signer.retired is not None and (signer.retired.since <= now or signer.retired.statements is not None)


def can_sign(signer: Signer, policy: Policy, now: int) -> bool:
    """Whether asking this person for a signature makes sense."""
    if signer.compromised or retired(signer, now):
        return False
    return any(counts(key, policy, now) for key in signer.keys)


def signing_end(signer: Signer, policy: Policy) -> Optional[int]:
    """When somebody who can sign now no longer can, as far as the policy tells; None for never."""
    ends = [key_end(key, policy) for key in signer.keys if key.problem is None]
    last = None if None in ends else max((end for end in ends if end is not None), default=0)
    limits = [end for end in (last, None if signer.retired is None else signer.retired.since) if end is not None]
    return min(limits, default=None)
