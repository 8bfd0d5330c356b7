# SPDX-License-Identifier: GPL-2.0-or-later
"""What libdnf5's actions plugin runs at its hooks, and what the mode in multisig.conf makes of it.

Enforcing, whatever goes wrong ends the transaction: by the request that shows why, or by the exit code alone.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from typing import Callable, Sequence

from multisig import paths
from multisig.dnf5.talk import DECISION, URLS, Actions
from multisig.errors import MultisigError, RefusedError
from multisig.text import plain

NAMED, PLANNED, AT_HAND, DONE = "pre_add_cmdline_packages", "goal_resolved", "pre_transaction", "post_transaction"


def run(hook: str, actions: Actions, folders: Sequence[str], process: int, say: Callable[[str], None]) -> int:
    """Serve one hook; the exit code. ``folders`` may hold multisig.conf, ``process`` is the dnf5 that asks."""
    if hook == NAMED:
        return _named(actions)
    enforcing = True
    try:
        if hook == DONE:
            return _done(actions, folders, process)
        if hook not in (PLANNED, AT_HAND):
            raise RefusedError(f"multisig: refused; there is no hook {hook}")
        incoming = actions.incoming()
        if not incoming:
            return 0  # removals need no policy
        # Not before it is needed: dnf5 runs this for queries, too, and librpm comes with it.
        from multisig.config import load_config
        from multisig.dnf5.transaction import Transaction

        config = load_config(folders)
        enforcing = config.enforcing
        with closing(Transaction(actions, incoming, config, process, say)) as transaction:
            if hook == PLANNED:
                transaction.judge_planned()
            else:
                transaction.judge_files()
        return 0
    except Exception as error:
        text = _told(error)
        if not enforcing:
            say(f"multisig: would have refused (mode = warn): {text}")
            return 0
        actions.error(text)
        return 1


def main(hook: str, folders: Sequence[str] = (paths.CONFIG,)) -> int:
    """The program multisig-dnf5. dnf5 shows what it writes to the error output."""
    requests = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing but requests may get there
    try:
        with requests:
            actions = Actions(sys.stdin.buffer, requests)
            return run(hook, actions, folders, os.getppid(), lambda line: print(line, file=sys.stderr, flush=True))
    except Exception as error:
        print(_told(error), file=sys.stderr)
        return 1


def _named(actions: Actions) -> int:
    """What was named on the command line: dnf5 tells it at no other hook, and then forgets the URLs.

    No failure here matters: a package without evidence is refused.
    """
    urls = [text for text in actions.named() if "://" in text]
    if urls:
        actions.keep(URLS, urls)
    return 0


def _done(actions: Actions, folders: Sequence[str], process: int) -> int:
    """The packages are in: too late to refuse."""
    from multisig import approvals
    from multisig.config import load_config
    from multisig.dnf5 import offline
    from multisig.journal import Journal

    approvals.revoke(paths.APPROVALS, process=process)
    if offline.replays(offline.words_of(process)):
        offline.forget(actions.setting("cachedir") or "")
    decision = actions.remembered(DECISION)
    if decision is not None:
        Journal(load_config(folders).journal).finish(int(decision), time=int(time.time()))
    return 0


def _told(error: Exception) -> str:
    if isinstance(error, RefusedError):
        return "\n".join(plain(line) for line in str(error).split("\n"))
    told = plain(str(error) if isinstance(error, MultisigError) else f"{type(error).__name__}: {error}")
    return f"multisig: refused; nothing was installed.\n\n  {told}"
