# SPDX-License-Identifier: GPL-2.0-or-later
"""What gpgv's status lines and exit code say about one signature: a pure function from bytes to a finding.

The keywords are those of GnuPG's doc/DETAILS. Neither the exit code nor any one keyword decides: gpgv also exits with 0
for revoked and expired keys, and VALIDSIG comes with those too.
"""

from __future__ import annotations

import re
from typing import Dict, List, NoReturn, Optional, Sequence, Tuple

from multisig.errors import UncheckedSignatureError
from multisig.openpgp.model import Checked, Outcome, PublicKey, Signature

#: Keywords that a good signature may come with. KEYEXPIRED is also printed for other, expired subkeys of a good key;
#: where it concerns the signing key itself, EXPKEYSIG stands in place of GOODSIG.
_HARMLESS = frozenset(
    {
        "KEY_CONSIDERED", "KEYEXPIRED", "SIG_ID", "NOTATION_NAME", "NOTATION_FLAGS", "NOTATION_DATA", "POLICY_URL",
        "SIG_SUBPACKET",
    }  # fmt: skip
)
_ONCE = ("NEWSIG", "GOODSIG", "EXPKEYSIG", "VALIDSIG")

#: Keywords by which gpgv says no, the telling ones first.
_FAILURES: Dict[str, str] = {
    "BADSIG": "the signature is not over this content",
    "EXPSIG": "the signature has expired",
    "SIGEXPIRED": "the signature has expired",
    "NO_PUBKEY": "the signature is not by this key, or by a part of it that cannot sign",
    "ERRSIG": "the signature cannot be checked",
    "NODATA": "this is no signature",
    "UNEXPECTED": "this is no signature",
    "FAILURE": "gpgv failed",
}
_REVOKED = frozenset({"REVKEYSIG", "KEYREVOKED"})

#: Ends of what gpgv, libgcrypt and the loader say; a user id that says so would be followed by a quote.
_OUT_OF_MEMORY = ("memory", "out of core", "failed to map segment from shared object")

_LINE = re.compile(rb"\[GNUPG:\] ([A-Z][A-Z0-9_]{0,31})(?: (.*))?")
_VALIDSIG = re.compile(
    r"(?P<issuer>[0-9A-F]{40}) [0-9]{4}-[0-9]{2}-[0-9]{2} (?P<created>[0-9]{1,10}) (?P<expires>[0-9]{1,10})"
    r" 4 [0-9]{1,3} (?P<pubkey>[0-9]{1,3}) (?P<hash>[0-9]{1,3}) 00 (?P<primary>[0-9A-F]{40})"
)


def judge(returncode: int, status: bytes, complaint: str, signature: Signature, key: PublicKey) -> Checked:
    """Turn what gpgv did into a finding about ``signature`` and ``key``.

    ``status`` is all that it wrote to its status descriptor, ``complaint`` the last line of its error output.

    1. it ended by itself, with an exit code that it uses;
    2. each line is a status line; keywords of failure or revocation settle the matter;
    3. exit code 0, and no keyword that is not known to be harmless;
    4. exactly one NEWSIG, one VALIDSIG, and one of GOODSIG (or EXPKEYSIG, and then the key has expired);
    5. VALIDSIG describes this signature: version 4, class 00, its algorithms, its date;
    6. the primary key is this one, and what signed is a part of it that may sign.

    Raises UncheckedSignatureError where gpgv could not do its work, which says nothing about the signature.
    """
    if returncode < 0:
        _could_not(f"was ended by signal {-returncode}", complaint)
    if returncode > 2:
        _could_not(f"ended with code {returncode}", complaint)
    if returncode and complaint.endswith(_OUT_OF_MEMORY):
        _could_not("ran out of memory", complaint)
    lines = _read(status)
    if lines is None:
        return _bad("gpgv's status output cannot be understood")
    if not lines and returncode:
        # Before it looks at a signature it says so; a keyring, memory or a library was missing.
        _could_not("failed", complaint)
    if _REVOKED & lines.keys():
        return Checked(Outcome.REVOKED_KEY, "the key is revoked")
    for keyword, meaning in _FAILURES.items():
        if keyword in lines:
            return _bad(meaning, complaint if keyword in ("ERRSIG", "FAILURE") else "")
    if returncode:
        return _bad(f"gpgv ended with code {returncode}", complaint)
    surprising = lines.keys() - _HARMLESS - set(_ONCE)
    if surprising:
        return _bad(f"gpgv reported something unexpected ({', '.join(sorted(surprising))})")
    return _judge_validity(lines, signature, key)


def judge_together(returncode: int, status: bytes, asked: Sequence[Tuple[Signature, PublicKey]]) -> List[Checked]:
    """The findings about signatures that gpgv was given one after the other, where every one of them is valid.

    Where anything at all is not as it should be the list is empty, and nothing is said about any of them:

    1. exit code 0;
    2. the status output is one part for each signature, begun by its NEWSIG, and nothing before the first;
    3. each part by itself is what ``judge`` would find good for the signature and key of its place, or good but for the
       key's having expired.
    """
    lines = _split(status)
    if returncode or not lines or lines[0][0] != "NEWSIG":
        return []
    parts: List[Dict[str, List[str]]] = []
    for keyword, arguments in lines:
        if keyword == "NEWSIG":
            parts.append({})
        parts[-1].setdefault(keyword, []).append(arguments)
    if len(parts) != len(asked) or any(part.keys() - _HARMLESS - set(_ONCE) for part in parts):
        return []
    found = [_judge_validity(part, signature, key) for part, (signature, key) in zip(parts, asked)]
    return found if all(checked.outcome in (Outcome.GOOD, Outcome.EXPIRED_KEY) for checked in found) else []


def _judge_validity(lines: Dict[str, List[str]], signature: Signature, key: PublicKey) -> Checked:
    """Steps 4 to 6."""
    counts = tuple(len(lines.get(keyword, ())) for keyword in _ONCE)
    if counts not in ((1, 1, 0, 1), (1, 0, 1, 1)):
        return _bad("gpgv did not report exactly one good signature")
    said = _VALIDSIG.fullmatch(lines["VALIDSIG"][0])
    if said is None:
        return _bad("gpgv's description of the signature cannot be understood")
    described = (int(said["pubkey"]), int(said["hash"]), int(said["created"]))
    if described != (signature.pubkey_algorithm, signature.hash_algorithm, signature.created):
        return _bad("gpgv describes another signature than the one it was given")
    if said["primary"] != key.fingerprint:
        return _bad("the signature is by another key")
    if said["issuer"] not in {part.fingerprint for part in key.signing_parts()}:
        return _bad("the signature is by a part of the key that is not for signing")
    expired = "EXPKEYSIG" in lines
    verdict = lines["EXPKEYSIG" if expired else "GOODSIG"][0].partition(" ")[0]
    if verdict not in (said["issuer"], said["issuer"][-16:]):
        return _bad("gpgv's words about the signature contradict each other")
    return Checked(
        Outcome.EXPIRED_KEY if expired else Outcome.GOOD,
        "the key has expired" if expired else "",
        primary=said["primary"],
        issuer=said["issuer"],
        created=int(said["created"]),
    )


def _read(status: bytes) -> Optional[Dict[str, List[str]]]:
    """The arguments of each keyword, in order; None where a line is no status line or the last one is cut off."""
    lines = _split(status)
    if lines is None:
        return None
    read: Dict[str, List[str]] = {}
    for keyword, arguments in lines:
        read.setdefault(keyword, []).append(arguments)
    return read


def _split(status: bytes) -> Optional[List[Tuple[str, str]]]:
    """Each line's keyword and arguments; None where a line is no status line or the last one is cut off."""
    if not status:
        return []
    if not status.endswith(b"\n"):
        return None
    lines = []
    for line in status[:-1].split(b"\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        lines.append((match[1].decode("ascii"), (match[2] or b"").decode("utf-8", errors="replace")))
    return lines


def _bad(reason: str, complaint: str = "") -> Checked:
    return Checked(Outcome.BAD, f"{reason} ({complaint})" if complaint else reason)


def _could_not(what: str, complaint: str) -> NoReturn:
    raise UncheckedSignatureError(f"gpgv {what}" + (f": {complaint}" if complaint else ""))
