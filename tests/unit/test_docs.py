# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documentation states, and a program can compare: tables, examples, options, schema."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from docs import tag_table
from multisig import __version__, bundle, cli, config, index, journal, statement
from multisig.policy import parse, parse_policy, rules
from multisig.verdict import Code
from tests.unit.made_keys import read_made, with_made_keys

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_AROUND = """\
multisig: policy/v1
serial: 1
signers:
  marek: {keys: [{fingerprint: "0", file: keys/marek.asc}]}
  joanna: {keys: [{fingerprint: "0", file: keys/joanna.asc}]}
  rafal: {keys: [{fingerprint: "0", file: keys/rafal.asc}]}
groups:
  builders: [marek, joanna, rafal]
  release: [marek, joanna]
rules:
"""


def _page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _blocks(text: str, language: str) -> List[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _policies() -> Iterator[Tuple[str, str]]:
    """Every YAML example of every page, as a whole policy: rules alone are put into one."""
    for page in PAGES:
        for number, text in enumerate(_blocks(page.read_text(encoding="utf-8"), "yaml"), 1):
            yield f"{page.name} {number}", text if text.startswith("multisig:") else _AROUND + text


@pytest.mark.parametrize(("name", "text"), [pytest.param(*item, id=item[0]) for item in _policies()])
def test_every_policy_in_the_documentation_can_be_used(name: str, text: str) -> None:
    assert parse_policy(with_made_keys(text).encode(), path=name, read_file=read_made).rules


def test_the_documentation_has_examples_of_policies_to_compare() -> None:
    assert len(list(_policies())) >= 5


def test_the_tag_tables_are_those_of_the_code() -> None:
    page = _page("docs/rpm-v1.md")
    assert page == tag_table.page_with(page, tag_table.tables()), "run: /usr/bin/python3 -m docs.tag_table"


def test_the_example_statement_is_canonical() -> None:
    (text,) = _blocks(_page("docs/formats.md"), "statement")
    text = text.rstrip("\n")
    assert statement.encode(statement.parse(text)) == text


def test_the_example_bundle_has_the_shape_of_one() -> None:
    (text,) = _blocks(_page("docs/formats.md"), "bundle")
    assert len(bundle.parse(text.encode()).attestations) == 1


def test_the_example_index_has_the_shape_of_one() -> None:
    (text,) = _blocks(_page("docs/formats.md"), "index")
    assert len(list(index.attestations([text.encode()], pytest.fail))) == 1
    for number in (index.MAX_INDEX >> 20, index.MAX_LINES, index.MAX_LINE >> 20, bundle.MAX_ATTESTATIONS):
        assert f"{number:,} " in _page("docs/formats.md").partition("## Index")[2].partition("\n## ")[0]


def test_the_example_configuration_is_what_holds_without_one() -> None:
    (text,) = _blocks(_page("docs/formats.md"), "ini")
    settings = config.parse_config(text.encode(), path="example")
    assert set(settings.main) == set(config._KEYS)
    assert config._config(settings.main, settings.bundles) == config.Config()


def test_the_example_of_places_can_be_used() -> None:
    (text,) = _blocks(_page("docs/formats.md"), "places")
    assert [len(places) for places in config.parse_config(text.encode(), path="example").bundles.values()] == [2, 1]


def test_the_journal_schema_is_the_one_in_the_code() -> None:
    (text,) = _blocks(_page("docs/formats.md"), "sql")
    assert text.strip() == journal._SCHEMA.strip()
    assert f"`PRAGMA user_version` is {journal._VERSION}." in _page("docs/formats.md")


def test_every_reason_code_is_explained_and_no_other() -> None:
    section = _page("docs/formats.md").partition("### Reason codes")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == [code.value for code in Code]


def test_the_json_example_has_the_keys_that_verify_prints() -> None:
    from multisig.cli.answer import answer_json
    from multisig.verdict import refuse

    (text,) = _blocks(_page("docs/formats.md"), "json")
    shown, printed = json.loads(text), json.loads(answer_json([refuse("n", "o", Code.NO_RULE, "m")], None))
    assert list(shown) == list(printed)
    assert list(shown["subjects"][0]) == list(printed["subjects"][0])


def test_the_example_of_a_comparison_has_the_keys_and_words_that_diff_prints() -> None:
    from multisig.cli.diff import error_json
    from multisig.cli.diffjson import _difference
    from multisig.errors import UsageError
    from multisig.subjects.difference import Difference, Group, unified
    from multisig.subjects.places import Place

    page = _page("docs/formats.md")
    (text,) = _blocks(page, "comparison")
    shown = json.loads(text)
    assert list(shown) == list(json.loads(error_json(UsageError("x"))))
    script = shown["differences"][1]
    assert tuple(script["diff"]) == unified(script["a"], script["b"])
    printed = _difference(
        Difference(Group.FILES, "/x", "content", "a", "b", frozenset()), {b"/x": Place(0, 1, 0, b"", None)}
    )
    for item in shown["differences"]:
        assert list(item) == list(printed)
    assert list(shown["differences"][0]["where"]) == list(json.loads(json.dumps(printed["where"])))
    groups = ", ".join(f"`{group.value}`" for group in list(Group)[:-1])
    assert f"which are {groups} and `{Group.TAGS.value}`" in " ".join(page.split())


def test_the_status_example_has_the_keys_that_status_prints() -> None:
    from multisig.cli.statusjson import survey_json
    from multisig.survey import Content
    from tests.unit.core import digests
    from tests.unit.survey_bench import package, some_policy, survey

    (text,) = _blocks(_page("docs/formats.md"), "status")
    by = some_policy()
    row = package(by, "hello-0:1.0-1.noarch", ["marek"], [Content(digests("other"), ("joanna",))])
    shown, printed = json.loads(text), json.loads(survey_json(survey(by, [row])))
    assert list(shown) == list(printed)
    assert list(shown["totals"]) == list(printed["totals"])
    assert list(shown["policy"]) == list(printed["policy"])
    for key in ("releases", "people", "packages"):
        assert list(shown[key][0]) == list(printed[key][0])
    assert list(shown["packages"][0]["others"][0]) == list(printed["packages"][0]["others"][0])


def _options() -> Iterator[Tuple[str, str]]:
    """Every command with each of its options, by its longest name."""
    waiting: List[Tuple[str, argparse.ArgumentParser]] = [("", cli.build_parser())]
    while waiting:
        name, command = waiting.pop(0)
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += [(f"{name} {word}".strip(), found) for word, found in action.choices.items()]
            for option in action.option_strings[-1:]:
                if name and option != "--help":
                    yield name, option


@pytest.mark.parametrize(("command", "option"), list(_options()))
def test_the_manual_page_names_every_option(command: str, option: str) -> None:
    page = _page("docs/multisig.1").replace("\\-", "-").replace("\\(en", "-")
    section = page.partition(f".SS multisig {command}")[2].partition("\n.SS ")[0]
    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", section)


def test_the_synopsis_of_the_manual_page_has_every_command_with_every_option() -> None:
    page = _page("docs/multisig.1").replace("\\-", "-").partition(".SH SYNOPSIS")[2].partition("\n.SH ")[0]
    shown: Dict[str, str] = {}
    for lines in page.split("\n.br\n"):
        found = re.match(r"\s*(?:\.[a-z].*\n)*\.B multisig ([a-z ]+[a-z])(.*)", lines, re.DOTALL)
        assert found is not None, lines
        shown[found[1]] = found[2].replace("-o\n", "--output\n").replace("-o ]", "--output ]")
    assert shown.keys() == {"index", *(command for command, _ in _options())} - {"policy"}
    for command, option in _options():
        assert command == "policy" or option in re.split(r"[\s|\]]+", shown[command]), (command, option)


_PROGRAM = re.compile(r"(?:[$#] )?(?:sudo )?(?:python3 -I multisig\.pyz|(?:/usr/bin/python3 -m )?multisig) (?=[a-z])")


def _commands() -> Iterator[Tuple[str, str]]:
    """Every command line of ours in the pages' indented and fenced blocks: a page's name, and what follows multisig."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [*re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE), *_blocks(text, "(?:sh|console)?")]
        for line in re.sub(r"\\\n *", " ", "\n".join(blocks)).splitlines():
            found = _PROGRAM.match(line.strip())
            if found is not None:
                yield page.name, re.split(r"\s(?:[|>&;#]|&&|\|\|)", line.strip()[found.end() :])[0]


@pytest.mark.parametrize(("page", "command"), list(_commands()))
def test_every_command_of_the_pages_is_one_that_the_program_takes(page: str, command: str) -> None:
    options = cli.build_parser().parse_args(shlex.split(command))
    assert importlib.import_module(f"multisig.cli.{options.module}"), page


def test_the_pages_have_commands_to_try() -> None:
    assert {page for page, _ in _commands()} >= {"README.md", "builders.md", "release-manager.md", "keys.md"}


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_anchors_in_links_are_headings() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
            other = (page.parent / target) if target else page
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{page.name}: {target}#{anchor}"


def _words(page: str) -> str:
    """A manual page's text without its markup."""
    return re.sub(r"\\f[BIPR]|\\(?=-)", "", _page(page))


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.[158]")))
def test_a_manual_page_names_the_version_that_it_is_about(page: str) -> None:
    assert f'"multisig {__version__}"' in _page(f"docs/{page}")


def test_the_manual_of_the_configuration_names_every_setting() -> None:
    text = _words("docs/multisig.conf.5")
    for key in config._KEYS:
        assert re.search(rf"^\.BR {re.escape(key)} ", text, re.MULTILINE), key


def test_the_manual_of_the_policy_names_every_key() -> None:
    text = _words("docs/multisig-policy.5")
    for key in (*parse._NEEDED, *parse._OPTIONAL, *rules._OPTIONAL, "min-rsa-bits", "max-validity-days"):
        assert re.search(rf"\b{re.escape(key)}\b", text), key


def test_the_manual_of_the_dnf_plugin_names_every_action() -> None:
    text = _words("docs/dnf-multisig.8")
    plugin = _page("dnf-plugins/multisig.py")
    (choices,) = re.findall(r'"action", choices=\((.*?)\)', plugin)
    actions = re.findall(r'"(\w+)"', choices)
    assert actions == list(command_actions())
    for action in actions:
        assert f"dnf multisig {action}" in text, action


def command_actions() -> List[str]:
    """The actions that ``dnf multisig`` knows; read as text, since its module needs dnf's own to be imported."""
    (table,) = re.findall(r"^ACTIONS = \{\n(.*?)^\}", _page("multisig/dnf4/command.py"), re.MULTILINE | re.DOTALL)
    return re.findall(r'^    "(\w+)":', table, re.MULTILINE)


def test_every_test_that_the_page_of_attacks_names_is_there() -> None:
    named = set(re.findall(r"\btest_\w+", _page("docs/attacks.md")))
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tests" / "chroot" / "inside").glob("dnf5*.py")]
    sources = "".join(path.read_text(encoding="utf-8") for path in files)
    defined = set(re.findall(r"^ *def (test_\w+)\(", sources, re.MULTILINE))
    assert len(named) > 50
    assert named - defined == set()


@pytest.mark.parametrize("section", ["On dnf", "On repositories"])
def test_every_attack_on_dnf_and_on_repositories_has_a_test_with_the_real_dnf(section: str) -> None:
    text = _page("docs/attacks.md").partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!what is done).*$", text, re.MULTILINE)
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "e2e").glob("test_*.py"))
    assert len(rows) > 15
    for row in rows:
        assert any(f"def {name}(" in sources for name in re.findall(r"\btest_\w+", row)), row


def test_every_module_that_the_tables_of_the_guide_to_the_source_name_is_there() -> None:
    rows = re.findall(r"^\|.*$", _page("docs/source.md"), re.MULTILINE)
    named = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 60
    for word in named:
        assert (ROOT / "multisig" / f"{word}.py").is_file() or (ROOT / word).exists(), word
