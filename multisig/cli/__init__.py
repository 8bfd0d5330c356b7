# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: arguments in, the library's answers out, exit codes 0 (accepted), 1 (refused), 2 (not judged)."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
from typing import List, NoReturn, Optional

from multisig import __version__, paths
from multisig.errors import MultisigError, UsageError
from multisig.text import plain

EPILOG = "Exit codes: 0 accepted, 1 refused, 2 could not be judged (which is never taken for accepted)."

# Commands with --json, which answers errors too, and their modules.
_ANSWERS = {
    "verify": "verify",
    "audit": "audit",
    "diff": "diff",
    "status": "status",
    "publish": "publish",
    "watch": "watch",
    "release verify": "releaseverify",
    "policy": "policy",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are this project's own, so that ``--json`` can answer them too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; returns the exit code. Tracebacks are for bugs: whatever the input, an error is one line."""
    words = sys.argv[1:] if arguments is None else arguments
    _prepare_output()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone, and needs no words.
        _abandon_output()
        return 2
    except OSError as error:
        _abandon_output()
        print(f"multisig: the answer cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("multisig: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        # Even telling of an error failed. 1 would say that something was judged and refused.
        print(f"multisig: internal error: {plain(str(error))}", file=sys.stderr)
        return 2


def _run(words: List[str]) -> int:
    try:
        options = build_parser().parse_args(words)
        command = importlib.import_module(f"multisig.cli.{options.module}")
        code: int = command.run(options)
        return code
    except MultisigError as error:
        return _failed(words, error)
    except SystemExit as done:  # --help, --version
        return int(done.code or 0)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:
            raise  # of printing: the library's own are MultisigErrors
        # A bug. Its exit code must not be 1, which says that something was judged and refused.
        return _failed(words, MultisigError(f"internal error: {type(error).__name__}: {error}; please report it"))


def _prepare_output() -> None:
    """Streams that are closed lead nowhere; what the terminal's encoding cannot show is escaped, and no error."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _abandon_output() -> None:
    """Keep Python from complaining at exit once more about what it could not write."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(words: List[str], error: MultisigError) -> int:
    module = _ANSWERS.get(words[0] if words else "") or _ANSWERS.get(" ".join(words[:2]))
    if module is not None and "--json" in words:
        print(importlib.import_module(f"multisig.cli.{module}").error_json(error))
    print(f"multisig: {plain(str(error))}", file=sys.stderr)
    return 2


def build_parser() -> Parser:
    parser = Parser(
        prog="multisig",
        description="Install only what M of N trusted people signed.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"multisig {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for add in (
        *(_manifest, _diff, _sign, _merge, _publish, _index, _gather, _embed, _extract, _verify),
        *(_status, _release, _watch, _policy, _keys, _audit, _history),
    ):
        add(commands)
    return parser


def _command(commands: "argparse._SubParsersAction[Parser]", name: str, module: str, text: str) -> Parser:
    parser: Parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(module=module)
    return parser


def _policy_option(parser: Parser) -> None:
    parser.add_argument("--policy", metavar="P", default=paths.POLICY, help="default: %(default)s")


def _json_option(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _at_option(parser: Parser) -> None:
    parser.add_argument("--at", metavar="TIME", help="judge as of this time (ISO 8601, UTC if it names no zone)")


def _kind_option(parser: Parser) -> None:
    help = "take each FILE or DIR as this, whatever it looks like"
    parser.add_argument("--kind", choices=("rpm", "file", "tree"), help=help)


def _signing_options(parser: Parser) -> None:
    parser.add_argument("--gnupghome", metavar="D", help="GnuPG's directory, where it is not the usual one")
    parser.add_argument(
        "--gpg", metavar="PROGRAM", default="gpg",
        help="what signs, as qubes-gpg-client-wrapper; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--ledger", metavar="L", help="where to note what you sign; default: in your home")


def _manifest(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(
        commands, "manifest", "manifest", "print the canonical description of an RPM's or a tree's content"
    )
    parser.add_argument("--digest", action="store_true", help='print its digests instead: "sha256:… sha512:…"')
    parser.add_argument("path", metavar="RPM|DIR", help="the package, or the folder that is the tree")


def _diff(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "diff", "diff", "say what makes the content of two RPMs differ")
    _json_option(parser)
    parser.add_argument("--deep", action="store_true", help="have diffoscope look into what differs")
    parser.add_argument("a", metavar="A.rpm")
    parser.add_argument("b", metavar="B.rpm")
    parser.epilog = "Exit codes: 0 the same content, 1 different, 2 could not be compared."


def _sign(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "sign", "sign", "approve the content of RPMs, files or trees with your key")
    parser.add_argument("--key", metavar="FPR", help="full fingerprint of your key")
    parser.add_argument("--channel", metavar="C", required=True, help="what the approval is for, as demo-stable")
    parser.add_argument(
        "--source", metavar="URI", help="what was built, as git+https://…@COMMIT; shown, decides nothing"
    )
    _signing_options(parser)
    parser.add_argument("--batch", metavar="OUT.msig", help="sign one statement that lists all, into this bundle")
    _kind_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be signed")
    parser.add_argument("--export", metavar="FILE", help="write the statement's bytes, to be signed elsewhere")
    parser.add_argument("--attach", metavar="SIG", help="take the signature over them that was made elsewhere")
    parser.add_argument("paths", metavar="FILE|DIR", nargs="+", help="what to sign: RPMs, other files, trees")


def _merge(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "merge", "merge", "unite bundles; needs no key, and adds to OUT.msig if it is there")
    parser.add_argument("-o", "--output", metavar="OUT.msig", required=True, help="the bundle of all")
    parser.add_argument(
        "--policy", metavar="P", help="put first what counts under this policy, and say what each package still needs"
    )
    parser.add_argument(
        "--repo-id", metavar="ID", help="the id of the repository that they are for; default: all rules' repositories"
    )
    parser.add_argument("inputs", metavar="IN.msig", nargs="+", help="bundles; what is malformed in one is left out")


def _publish(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(
        commands, "publish", "publish", "put what enough people signed of an upload directory into a repository"
    )
    parser.add_argument("--incoming", metavar="DIR", required=True, help="where builders upload packages and bundles")
    parser.add_argument("--repo", metavar="DIR", required=True, help="the repository")
    _policy_option(parser)
    parser.add_argument(
        "--repo-id", metavar="ID", help="what users call the repository; default: all rules' repositories"
    )
    _json_option(parser)


def _index(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(
        commands, "index", "index", "put a repository's bundles into its metadata; run it before repomd.xml is signed"
    )
    parser.add_argument("repository", metavar="REPODIR", help="the repository: the folder that holds repodata")


def _gather(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(
        commands, "gather", "gather", "write the evidence for RPMs, from what dnf has kept, into a folder for [bundles]"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where X.rpm.msig of each X.rpm goes")
    parser.add_argument(
        "--from", dest="places", metavar="DIR", action="append", required=True,
        help="where to look, with all that is below it, as /var/cache/dnf; may be given again",
    )  # fmt: skip
    parser.add_argument("rpms", metavar="RPM", nargs="+", help="the packages at hand")


def _embed(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "embed", "embed", "put an RPM's bundle into the RPM itself")
    parser.add_argument("--bundle", metavar="B", help="the bundle; default: the one beside X.rpm")
    parser.add_argument("-o", "--output", metavar="OUT.rpm", help="where to write; default: in place of X.rpm")
    parser.add_argument("path", metavar="X.rpm", help="the package")


def _extract(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "extract", "extract", "take the bundle that an RPM carries out of it, into a file")
    parser.add_argument("-o", "--output", metavar="OUT.msig", help="default: beside X.rpm; adds to what is there")
    parser.add_argument("path", metavar="X.rpm", help="the package")


def _verify(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "verify", "verify", "say whether a policy accepts RPMs, files or trees")
    _policy_option(parser)
    parser.add_argument(
        "--repo", metavar="ID", default="@commandline", help="the repository they came from; default: %(default)s"
    )
    parser.add_argument("--bundle", metavar="B", help="the bundle to use; default: the one beside each FILE or DIR")
    _at_option(parser)
    _kind_option(parser)
    parser.add_argument("--explain", action="store_true", help="say step by step how each verdict came about")
    _json_option(parser)
    parser.add_argument("paths", metavar="FILE|DIR", nargs="+", help="what to judge: RPMs, other files, trees")
    parser.epilog = EPILOG


def _status(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "status", "status", "say who signed which package of a repository, and who is missing")
    _policy_option(parser)
    parser.add_argument("--repo", metavar="ID", help="its id, for rules that name repositories; default: all rules")
    _at_option(parser)
    parser.add_argument("--all", action="store_true", help="also the packages that need nobody, where there are many")
    parser.add_argument("--html", metavar="OUT", help="write a page that a browser shows, instead")
    _json_option(parser)
    parser.add_argument("repository", metavar="REPODIR", help="the repository: the folder that holds repodata")


def _release(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser: Parser = commands.add_parser(
        "release",
        help="sign or verify the statement that says which state of a repository is the current one",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    _release_sign(actions)
    _release_verify(actions)


def _release_sign(actions: "argparse._SubParsersAction[Parser]") -> None:
    sign = _command(actions, "sign", "releasesign", "sign the repository's release statement with your key")
    sign.add_argument("--key", metavar="FPR", required=True, help="full fingerprint of your key")
    sign.add_argument("--channel", metavar="C", required=True, help="what the release is for, as demo-stable")
    _signing_options(sign)
    sign.add_argument("--serial", metavar="N", type=int, help="of a new statement; default: one more than the highest")
    ends = sign.add_mutually_exclusive_group()
    ends.add_argument("--valid", metavar="SPAN", help="how long it holds, as 36h; default: 14d")
    ends.add_argument("--expires", metavar="TIME", help="until when it holds (ISO 8601, UTC if it names no zone)")
    sign.add_argument("--renew", action="store_true", help="a new statement, though there is one for this repomd.xml")
    sign.add_argument("repository", metavar="REPODIR", help="the repository, or a copy of its repodata in a folder")


def _release_verify(actions: "argparse._SubParsersAction[Parser]") -> None:
    verify = _command(actions, "verify", "releaseverify", "say whether a repository is the one released, and still is")
    _policy_option(verify)
    verify.add_argument("--repo", metavar="ID", help="its id, for rules that name repositories; default: all rules")
    _at_option(verify)
    verify.add_argument(
        "--journal", metavar="J", help=f"what remembers its earlier releases, with --repo; default: {paths.JOURNAL}"
    )
    verify.add_argument("--metadata-only", action="store_true", help="leave the packages themselves out")
    _json_option(verify)
    verify.add_argument("repository", metavar="REPODIR", help="the repository: the folder that holds repodata")
    verify.epilog = EPILOG


def _policy(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "policy", "policy", "write, check, sign or replace a policy")
    _policy_option(parser)
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    init = _policy_action(actions, "init", "policyinit", "write a first policy, from dnf's repositories and their keys")
    init.add_argument("--root", metavar="DIR", default="/", help="of the system in DIR, as dnf's --installroot")
    init.add_argument("--config", metavar="FILE", help="read this dnf.conf, as dnf's --config")
    check = _policy_action(actions, "check", "policy", "say what is wrong with a policy, or soon will be")
    check.add_argument(
        "--journal", metavar="J",
        help=f"what remembers the policies that were in force; default, of {paths.POLICY}: {paths.JOURNAL}",
    )  # fmt: skip
    _json_option(check)
    check.epilog = "Exit codes: 0 it can be used, 1 nobody can satisfy some of it now, 2 it is broken."
    show = _policy_action(actions, "show", "policyshow", "say what it would take to install PACKAGE, and whose word")
    show.add_argument("--repo", metavar="ID", help="the repository that it would come from")
    show.add_argument("package", metavar="PACKAGE", nargs="?", help="a package's name; all of the policy if not given")
    update = _policy_action(
        actions, "update", "policyupdate", "put NEW in the policy's place, if the quorums of both signed it"
    )
    update.add_argument("new", metavar="NEW", help="the new policy, with its keys and NEW.msig beside it")
    sign = _policy_action(actions, "sign", "policysign", "approve NEW, with the keys it names, as the next policy")
    sign.add_argument("--key", metavar="FPR", required=True, help="full fingerprint of your key")
    _signing_options(sign)
    sign.add_argument("new", metavar="NEW", help="the new policy, with its keys beside it")


def _policy_action(actions: "argparse._SubParsersAction[Parser]", name: str, module: str, text: str) -> Parser:
    parser = _command(actions, name, module, text)
    # Also before the action's name; argparse would overwrite that one by the default.
    parser.add_argument("--policy", metavar="P", default=argparse.SUPPRESS, help=f"default: {paths.POLICY}")
    return parser


def _keys(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "keys", "keys", "list the policy's people, their keys, and which of them count")
    _policy_option(parser)
    _json_option(parser)


def _watch(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "watch", "watch", "look for signatures by your key that you did not make")
    parser.add_argument("--key", metavar="FPR", action="append", help="of your keys; default: those in the ledger")
    parser.add_argument("--policy", metavar="P", help="look at its keys too, for some that pass for yours")
    parser.add_argument("--ledger", metavar="L", action="append", help="default: the one in your home")
    parser.add_argument("--gnupghome", metavar="D", help="GnuPG's directory, where it is not the usual one")
    _json_option(parser)
    parser.add_argument("path", metavar="REPODIR|INDEX", help="a copy of the repository, or its index alone")
    parser.epilog = "Exit codes: 0 nothing was found, 1 something was, 2 it could not be told."


def _audit(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "audit", "audit", "judge again what is installed, by what the journal has kept")
    parser.add_argument("--root", metavar="R", default="/", help="of the system to audit; default: %(default)s")
    _policy_option(parser)
    parser.add_argument("--journal", metavar="J", default=paths.JOURNAL, help="default: %(default)s")
    parser.add_argument(
        "--without", metavar="SIGNER|FPR", action="append", default=[],
        help="as if nothing of this signer, or of this key, counted; may be given again",
    )  # fmt: skip
    _json_option(parser)
    parser.epilog = EPILOG


def _history(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = _command(commands, "history", "history", "list what was let in or refused, when, and on whose word")
    parser.add_argument("--journal", metavar="J", default=paths.JOURNAL, help="default: %(default)s")
