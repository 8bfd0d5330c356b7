# SPDX-License-Identifier: GPL-2.0-or-later
"""What an RPM's header signatures are worth to ``signed-by`` rules: whose they are, and why others do not count. Pure.

A vendor's key is held to what the policy asks of people's keys, but for one thing: nobody is retired, so an expired key
never counts, whenever it signed.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Tuple

from multisig.errors import SignatureFormatError
from multisig.evidence import MAX_TRIES, shown_fingerprint
from multisig.namedtuples import NamedTuple
from multisig.openpgp import Checked, Outcome, Signature, key_problem, parse_signature_packet
from multisig.openpgp.premises import FUTURE_ALLOWANCE
from multisig.policy import Key, Policy, Rule

Verify = Callable[[Signature, Key], Checked]

_SHOWN_KEYS = 3


class HeaderEvidence(NamedTuple):
    """``keys`` are those whose signature on the header counts; ``found`` says in words what else there was, or not.

    Each of ``found`` completes "the package …". Without either nobody has looked, and no such rule is satisfied.
    """

    keys: Tuple[Key, ...] = ()
    found: Tuple[str, ...] = ()

    def counts(self, key: Key) -> bool:
        """Whether a signature by this key was found good."""
        return key.problem is None and any(good.fingerprint == key.fingerprint for good in self.keys)


#: Nobody has looked at the header's signatures.
UNSEEN = HeaderEvidence()


def header_evidence(
    packets: Sequence[bytes], problems: Sequence[str], rules: Sequence[Rule], policy: Policy, now: int, verify: Verify
) -> HeaderEvidence:
    """Try the signatures for the ``signed-by`` rules among ``rules``.

    ``packets`` and ``problems`` are what the signature header holds; ``verify`` asks the engine about a signature over
    the header, with exactly this key. Steps for each packet: 1. It is a version 4, class 00 signature by algorithms
    that count. 2. Its issuer is part of a key that a rule names. 3. Nothing is known against key and date. 4. The
    engine finds it good. 5. Key and part meet the policy's requirements, and have not ended at ``now``. No more
    than MAX_TRIES of a key are tried, and none once the rules are satisfied.
    """
    asking = [rule.signed_by for rule in rules if rule.signed_by is not None]
    keys = {key.fingerprint: key for listed in asking for key in listed}
    good: Dict[str, Key] = {}
    found: Dict[str, None] = dict.fromkeys(problems)
    tries: Dict[str, int] = {}
    for packet in packets:
        if all(any(key.fingerprint in good for key in listed) for listed in asking):
            break
        signature = _signature(packet)
        if isinstance(signature, str):
            found[f"carries a signature that does not count: {signature}"] = None
            continue
        issuers = [key for key in keys.values() if _is_part(signature, key)]
        if not issuers:
            found[f"is signed by {_stranger(signature, policy)}"] = None
        for key in issuers:
            tries[key.fingerprint] = tries.get(key.fingerprint, 0) + 1
            against = _obstacle(signature, key, now, tries[key.fingerprint])
            if against is None:
                against = _objection(key, verify(signature, key), policy, now)
            if against is None:
                good[key.fingerprint] = key
            else:
                found[against] = None
    return HeaderEvidence(tuple(good.values()), tuple(found) if found or good else ("is not signed",))


def shown_key(key: Key) -> str:
    """A vendor's key for people: the name in its first user id, and the fingerprint's ends."""
    name = key.public.user_ids[0].partition(" <")[0].strip() if key.public.user_ids else ""
    short = f"key {shown_fingerprint(key.fingerprint)}"
    return f"{name} ({short})" if name else short


def satisfied_text(key: Key) -> str:
    """What a satisfied ``signed-by`` rule says."""
    return f"signed by {shown_key(key)}"


def missing_text(wanted: Sequence[Key], header: HeaderEvidence) -> str:
    """What a ``signed-by`` rule says that is not satisfied: whose signature it needs, and whose there is."""
    named = [shown_key(key) for key in wanted[:_SHOWN_KEYS]]
    if len(wanted) > _SHOWN_KEYS:
        named.append(f"{len(wanted) - _SHOWN_KEYS} more")
    others = [f"is signed by {shown_key(key)}" for key in header.keys if not any(_same(key, one) for one in wanted)]
    there = list(dict.fromkeys([*others, *header.found]))
    return f"must be signed by {' or '.join(named)}" + (f", but {'; '.join(there)}" if there else "")


def _same(one: Key, other: Key) -> bool:
    return one.fingerprint == other.fingerprint


def _signature(packet: bytes) -> "Signature | str":
    try:
        return parse_signature_packet(packet)
    except SignatureFormatError as error:
        return str(error)


def _is_part(signature: Signature, key: Key) -> bool:
    """Whether the issuer that the signature names is this key or a part of it, for signing or not."""
    parts = [key.public.fingerprint, *(part.fingerprint for part in key.public.subkeys)]
    if signature.issuer_fingerprint is not None:
        return signature.issuer_fingerprint in parts
    return any(signature.issuer_keyid == fingerprint[-16:] for fingerprint in parts)


def _stranger(signature: Signature, policy: Policy) -> str:
    """Whose signature it claims to be where no rule that matches names the key; it has not been verified."""
    elsewhere = [key for rule in policy.rules for key in rule.signed_by or ()]
    people = [key for signer in policy.signers.values() for key in signer.keys]
    for key in (*elsewhere, *people):
        if _is_part(signature, key):
            return f"{shown_key(key)}, which no signed-by rule for this package names"
    if signature.issuer_fingerprint is not None:
        return f"a key nobody here knows, {shown_fingerprint(signature.issuer_fingerprint)}"
    return f"a key nobody here knows, {signature.issuer_keyid}"


def _obstacle(signature: Signature, key: Key, now: int, tries: int) -> Optional[str]:
    """Why the signature cannot count even if it is good; None if nothing is known against it yet."""
    signed = f"is signed by {shown_key(key)}"
    if tries > MAX_TRIES:
        return f"carries more than {MAX_TRIES} signatures by {shown_key(key)}"
    if key.problem is not None:
        return f"{signed}, and the key {key.problem}"
    if not key.public.could_have_issued(signature):
        return f"{signed}, with a part of the key that is not for signing"
    if signature.created > now + FUTURE_ALLOWANCE:
        return f"{signed}, with a date in the future"
    if signature.expires is not None and signature.expires <= now:
        return f"{signed}, and the signature has expired"
    return None


def _objection(key: Key, checked: Checked, policy: Policy, now: int) -> Optional[str]:
    """Why the engine's finding is none that counts; None if it is."""
    signed = f"is signed by {shown_key(key)}"
    if checked.outcome in (Outcome.EXPIRED_KEY, Outcome.REVOKED_KEY):
        return f"{signed}, and {checked.outcome.value}"
    if checked.outcome is not Outcome.GOOD:
        return f"carries a signature by {shown_key(key)} that does not hold: {checked.reason or checked.outcome.value}"
    part = next((part for part in key.public.signing_parts() if part.fingerprint == checked.issuer), None)
    if part is None or checked.primary != key.fingerprint:
        return f"carries a signature by {shown_key(key)} for which the engine names another key"
    problem = key_problem(part, key.public, policy.key_requirements)
    if problem is not None:
        return f"{signed}, and the key {problem}"
    ends: List[int] = [end for end in (part.expires, key.public.expires) if end is not None]
    return f"{signed}, and {Outcome.EXPIRED_KEY.value}" if ends and min(ends) <= now else None
