# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin calls, and what the mode in multisig.conf makes of it."""

from __future__ import annotations

from typing import Callable, Mapping, Optional, Set

import dnf

from multisig.config import load_config
from multisig.dnf4.transaction import Transaction
from multisig.text import plain


class Hooks:
    """What the plugin calls: dnf's hooks, under the mode that multisig.conf sets.

    Enforcing, every error is the caller's to turn into a refusal. In warn mode nothing is refused: what would have
    been, and whatever went wrong on the way, is said.
    """

    def __init__(self, base: "dnf.Base", urls: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._base = base
        self._urls = urls
        self._say = say
        self._config = load_config(base.conf.pluginconfpath)
        self._transaction: Optional[Transaction] = None
        self._said: Set[str] = set()

    def resolved(self) -> None:
        """The transaction is planned, nothing downloaded."""
        self._call(lambda transaction: transaction.judge_planned())

    def updates(self) -> None:
        """Updates were asked for; whatever came of it, a repository that may be keeping some back is told of."""
        self._call(lambda transaction: transaction.judge_repositories())

    def pre_transaction(self) -> None:
        """The files are there; rpm opens them next."""
        self._call(lambda transaction: transaction.judge_files())

    def finished(self) -> None:
        """The transaction went through."""
        self._call(lambda transaction: transaction.finished())

    def close(self) -> None:
        """Give up temporary files and pinned copies."""
        if self._transaction is not None:
            self._transaction.close()

    def _call(self, step: Callable[["Transaction"], None]) -> None:
        try:
            if self._transaction is None:
                self._transaction = Transaction(self._base, self._config, self._urls, self._say)
            step(self._transaction)
        except Exception as error:
            if self._config.enforcing:
                raise
            text = f"multisig: would have refused (mode = warn): {plain(str(error))}"
            if text not in self._said:
                self._said.add(text)
                self._say(text)
