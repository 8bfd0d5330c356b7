# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf 4 plugin: lets a transaction through only where multisig's gate does.

Deliberately small, without logic. dnf re-raises nothing but dnf.exceptions.Error from a hook, and goes on, installing,
after any other exception; so every hook turns whatever happens, failing imports included, into that one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any, Dict

import dnf
import dnf.exceptions

RECORD = "multisig"  # the type of an index in repomd.xml
# librepo, of any file that repomd.xml names (yum.c, lr_yum_download_repo), and of one that is called as usual
_MISSING_FILE = ("Downloading error(s)", f"-{RECORD}.")
# commands that ask for all that is new
_UPDATING = ("upgrade", "upgrade-minimal", "distro-sync", "offline-upgrade", "offline-distrosync", "system-upgrade")
logger = logging.getLogger("dnf.plugin.multisig")


class Multisig(dnf.Plugin):  # type: ignore[misc]
    name = "multisig"

    def __init__(self, base: Any, cli: Any) -> None:
        super().__init__(base, cli)
        self._hooks: Any = None
        self._urls: Dict[str, str] = {}
        self._remember_urls(base)
        if cli is not None:
            cli.register_command(_command())

    def config(self) -> None:
        """Ask for the repositories' indexes. Where this fails there are none, and evidence is looked for elsewhere."""
        try:
            for repo in self.base.repos.iter_enabled():
                repo.add_metadata_type_to_download(RECORD)
                _never_for_want_of_the_index(repo)
        except BaseException as error:
            logger.debug("multisig: the repositories' indexes cannot be asked for: %s", type(error).__name__)

    def sack(self) -> None:
        """Leave out what lacks approvals, where that is asked for. Where this fails it is refused later, as without."""
        try:
            if self._holds_back():
                from multisig.dnf4.holding import hold_back

                hold_back(self.base, self.cli, logger.info)
        except Exception as error:
            logger.warning("multisig: nothing is held back: %s", _plain(error))

    def _holds_back(self) -> bool:
        """A quick look: multisig.conf is read in earnest once it matters."""
        resolving = self.cli is None or self.cli.demands.resolving
        settings = self.read_config(self.base.conf) if resolving else None
        return bool(
            settings and settings.has_option("main", "hold-back") and "yes" in settings.get("main", "hold-back")
        )

    def resolved(self) -> None:
        self._guarded("resolved")
        if self._updating():
            self._look_at_releases()

    def pre_transaction(self) -> None:
        self._guarded("pre_transaction")

    def transaction(self) -> None:
        try:
            if self._hooks is not None:
                self._hooks.finished()
        except BaseException as error:  # the packages are in: too late to refuse
            logger.error("multisig: %s", error)
        self._forget()

    def _guarded(self, hook: str) -> None:
        try:
            if hook == "resolved":
                self._forget()
            if not self.base.transaction or not self.base.transaction.install_set:
                return  # removals need no policy
            getattr(self._opened(), hook)()
        except BaseException as error:
            with contextlib.suppress(BaseException):
                self._forget()
            raise dnf.exceptions.Error(_told(error)) from None

    def _opened(self) -> Any:
        if self._hooks is None:
            from multisig.dnf4 import Hooks

            self._hooks = Hooks(self.base, self._urls, logger.info)
        return self._hooks

    def _updating(self) -> bool:
        """Whether all that is new was asked for; dnf-automatic has a command line without a command."""
        command = getattr(self.cli, "command", None)
        return self.cli is not None and (command is None or getattr(command, "_basecmd", "") in _UPDATING)

    def _look_at_releases(self) -> None:
        """Also where there is nothing to do, for that is what a mirror makes dnf say which keeps updates back."""
        try:
            self._opened().updates()
        except Exception as error:  # what comes in was judged before
            logger.warning("multisig: the repositories' releases cannot be judged: %s", _plain(error))
        if not self.base.transaction:
            self._forget()

    def _forget(self) -> None:
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.close()

    def _remember_urls(self, base: Any) -> None:
        """dnf forgets the URL of a package named on the command line; its bundle lies beside it there."""
        add_remote_rpms = base.add_remote_rpms

        def add_and_remember(path_list: Any, *args: Any, **kwargs: Any) -> Any:
            packages = add_remote_rpms(path_list, *args, **kwargs)
            for url in path_list:
                for package in packages:
                    remote = "://" in url and not os.path.exists(url)
                    if remote and os.path.basename(url) == os.path.basename(package.location):
                        self._urls[package.location] = url
            return packages

        base.add_remote_rpms = add_and_remember


def _command() -> Any:
    """``dnf multisig``. Made only where there is a command line to register it with."""
    import dnf.cli.commands

    class MultisigCommand(dnf.cli.commands.Command):  # type: ignore[misc]
        aliases = ("multisig",)
        summary = "who has signed what, and whether it may be installed"

        @staticmethod
        def set_argparser(parser: Any) -> None:
            # dnf hands over an argument group, which has no subparsers.
            about = "status of packages, verify files, audit what is installed"
            parser.add_argument("action", choices=("status", "verify", "audit"), help=about)
            parser.add_argument("words", nargs="*", metavar="PACKAGE|FILE|SIGNER")

        def configure(self) -> None:
            if self.opts.action == "status":
                self.cli.demands.sack_activation = True
                self.cli.demands.available_repos = True

        def run(self) -> None:
            try:
                from multisig.dnf4.command import run

                self.cli.demands.success_exit_status = run(self.base, self.opts.action, self.opts.words, print)
            except Exception as error:
                raise dnf.exceptions.Error(f"multisig: {_plain(error)}") from None

    return MultisigCommand


def _plain(error: BaseException) -> str:
    """An error's text, fit for a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(error))


def _never_for_want_of_the_index(repo: Any) -> None:
    """Have a repository whose index cannot be downloaded loaded without it: evidence only ever adds. Which of the files
    that repomd.xml names could not be had is not asked; where repomd.xml itself could not, it is not asked for again.
    """
    load = repo.load

    def load_anyhow() -> Any:
        try:
            return load()
        except dnf.exceptions.RepoError as error:
            if not any(text in str(error) for text in _MISSING_FILE):
                raise
            repo._repo.removeMetadataTypeFromDownload(RECORD)
            return load()

    repo.load = load_anyhow


def _told(error: BaseException) -> str:
    """What a person is told: a refusal as it is, anything else as the reason why nothing was installed."""
    kind = type(error).__name__
    try:
        text = _plain(error)
        if text.startswith("multisig: "):
            return text
        shown = text if getattr(error, "code", None) else f"{kind}: {text}"
    except BaseException:  # an error that cannot even be told is one all the same
        shown = kind
    return f"multisig: refused; nothing was installed.\n\n  {shown}"
