# SPDX-License-Identifier: GPL-2.0-or-later
"""The dnf plugin: whatever happens in a hook, dnf gets the one exception that stops it.

The plugin is called by dnf's own caller of hooks, which logs any other exception and goes on.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import dnf
import dnf.exceptions
import dnf.plugin
import pytest

from fixtures.running import CHECKOUT
from multisig.errors import EngineError, JournalError, MalformedRpmError, PolicyError, RefusedError

HOOKS = ["resolved", "pre_transaction"]


class Mute(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Endless(Exception):
    def __str__(self) -> str:
        return str(self)


class Sly(Exception):
    """An error whose fields are traps."""

    @property
    def code(self) -> str:
        raise KeyError("trap")


class NoText(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


class Bottomless(BaseException):
    """Not even an Exception."""


ERRORS: List[BaseException] = [
    *(Exception("x"), BaseException("x"), Bottomless(), Mute(), Endless(), Sly(), NoText()),
    *(SystemExit(0), SystemExit(None), SystemExit("x"), KeyboardInterrupt(), GeneratorExit(), StopIteration()),
    *(
        RecursionError("x"),
        MemoryError(),
        ImportError("x"),
        ModuleNotFoundError("x"),
        SyntaxError("x"),
        OSError(28, "x"),
    ),
    *(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"), AssertionError(), NotImplementedError(), AttributeError("x")),
    *(
        RefusedError("multisig: refused."),
        EngineError("x"),
        JournalError("x"),
        PolicyError("x"),
        MalformedRpmError("x"),
    ),
    *(dnf.exceptions.Error("x"), Exception("\udc80"), Exception(b"\xff"), Exception(*range(3)), EOFError()),
]


def recurse() -> None:
    recurse()


class FakeHooks:
    """Stands in for multisig.dnf4.Hooks; ``error`` is raised by the methods that ``where`` names."""

    error: Optional[BaseException] = None
    where: str = ""
    calls: List[str] = []

    def __init__(self, *_: Any) -> None:
        self._note("__init__")

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name == self.where and self.error is not None:
            raise self.error

    def resolved(self) -> None:
        self._note("resolved")

    def pre_transaction(self) -> None:
        self._note("pre_transaction")

    def finished(self) -> None:
        self._note("finished")

    def close(self) -> None:
        self._note("close")


@pytest.fixture
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dnf4_plugin_under_test", CHECKOUT / "dnf-plugins" / "multisig.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> "type[FakeHooks]":
    fake = ModuleType("multisig.dnf4")
    cls = type("Hooks", (FakeHooks,), {"error": None, "where": "", "calls": []})
    fake.Hooks = cls  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "multisig.dnf4", fake)
    return cls


def base(*packages: object) -> Any:
    """As much of dnf.Base as the plugin looks at."""
    return SimpleNamespace(
        transaction=SimpleNamespace(install_set=set(packages)), add_remote_rpms=lambda paths, *args, **kwargs: []
    )


def plugged(module: ModuleType, of: Any) -> Any:
    """dnf's plugin machinery with this plugin in it."""
    plugins = dnf.plugin.Plugins()
    plugins.plugins = [module.Multisig(of, None)]
    return plugins


def run(plugins: Any, hook: str) -> None:
    getattr(plugins, f"run_{hook}")()


def test_dnf_itself_goes_on_after_any_other_exception(module: ModuleType) -> None:
    """Why all this is needed."""
    plugins = plugged(module, base("a"))
    plugins.plugins[0].resolved = lambda: 1 / 0
    run(plugins, "resolved")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_exception_in_a_hook_becomes_dnfs_own(
    module: ModuleType, hooks: "type[FakeHooks]", hook: str, error: BaseException
) -> None:
    hooks.error, hooks.where = error, hook
    with pytest.raises(dnf.exceptions.Error) as caught:
        run(plugged(module, base("a")), hook)
    assert "refused" in caught.value.value
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_so_does_every_exception_when_it_is_set_up(
    module: ModuleType, hooks: "type[FakeHooks]", hook: str, error: BaseException
) -> None:
    hooks.error, hooks.where = error, "__init__"
    with pytest.raises(dnf.exceptions.Error):
        run(plugged(module, base("a")), hook)


@pytest.mark.parametrize("hook", HOOKS)
def test_running_out_of_stack_is_a_refusal(module: ModuleType, hooks: "type[FakeHooks]", hook: str) -> None:
    setattr(hooks, hook, lambda self: recurse())
    with pytest.raises(dnf.exceptions.Error) as caught:
        run(plugged(module, base("a")), hook)
    assert "RecursionError" in caught.value.value


@pytest.mark.parametrize("hook", HOOKS)
def test_a_module_that_cannot_be_imported_is_a_refusal(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    monkeypatch.setitem(sys.modules, "multisig.dnf4", None)  # type: ignore[misc]
    with pytest.raises(dnf.exceptions.Error) as caught:
        run(plugged(module, base("a")), hook)
    assert "ModuleNotFoundError" in caught.value.value


@pytest.mark.parametrize("hook", HOOKS)
def test_a_module_without_what_is_needed_is_a_refusal(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    monkeypatch.setitem(sys.modules, "multisig.dnf4", ModuleType("multisig.dnf4"))
    with pytest.raises(dnf.exceptions.Error):
        run(plugged(module, base("a")), hook)


class Broken:
    """A transaction that cannot be looked at."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    @property
    def install_set(self) -> "set[object]":
        raise self._error

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", [AttributeError("x"), RuntimeError("x"), KeyboardInterrupt()], ids=repr)
def test_a_transaction_that_cannot_be_looked_at_is_a_refusal(
    module: ModuleType, hooks: "type[FakeHooks]", hook: str, error: BaseException
) -> None:
    of = base()
    of.transaction = Broken(error)
    with pytest.raises(dnf.exceptions.Error):
        run(plugged(module, of), hook)
    assert hooks.calls == []


@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_while_tidying_up_after_an_error_changes_nothing(
    module: ModuleType, hooks: "type[FakeHooks]", hook: str
) -> None:
    def close(self: FakeHooks) -> None:
        raise KeyboardInterrupt

    hooks.close = close  # type: ignore[method-assign]
    hooks.error, hooks.where = RefusedError("multisig: refused; no."), hook
    with pytest.raises(dnf.exceptions.Error) as caught:
        run(plugged(module, base("a")), hook)
    assert caught.value.value == "multisig: refused; no."


def test_removals_need_no_policy_and_work_under_a_broken_one(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "multisig.dnf4", None)  # type: ignore[misc]
    for of in (base(), SimpleNamespace(transaction=None, add_remote_rpms=None)):
        plugins = plugged(module, of)
        for hook in (*HOOKS, "transaction"):
            run(plugins, hook)


def test_both_hooks_and_the_end_are_of_one_transaction(module: ModuleType, hooks: "type[FakeHooks]") -> None:
    plugins = plugged(module, base("a"))
    for hook in (*HOOKS, "transaction"):
        run(plugins, hook)
    assert hooks.calls == ["__init__", "resolved", "pre_transaction", "finished", "close"]


def test_a_second_resolution_begins_anew(module: ModuleType, hooks: "type[FakeHooks]") -> None:
    """dnf shell may call it twice; nothing of the first is taken as verified."""
    plugins = plugged(module, base("a"))
    for hook in ("resolved", "resolved", "pre_transaction"):
        run(plugins, hook)
    assert hooks.calls == ["__init__", "resolved", "close", "__init__", "resolved", "pre_transaction"]


def test_an_offline_upgrade_that_was_resolved_by_another_process_is_judged(
    module: ModuleType, hooks: "type[FakeHooks]"
) -> None:
    run(plugged(module, base("a")), "pre_transaction")
    assert hooks.calls == ["__init__", "pre_transaction"]


def test_after_the_packages_are_in_an_error_is_only_told(module: ModuleType, hooks: "type[FakeHooks]") -> None:
    plugins = plugged(module, base("a"))
    run(plugins, "pre_transaction")
    hooks.error, hooks.where = JournalError("the journal cannot be written"), "finished"
    run(plugins, "transaction")
    assert hooks.calls[-1] == "close"


TOLD: Dict[str, Callable[[], "tuple[BaseException, str]"]] = {
    "a refusal": lambda: (RefusedError("multisig: refused.\n\n  hello"), "multisig: refused.\n\n  hello"),
    "one of ours": lambda: (PolicyError("none", path="/p"), "multisig: refused; nothing was installed.\n\n  /p: none"),
    "a bug": lambda: (KeyError("x"), "multisig: refused; nothing was installed.\n\n  KeyError: 'x'"),
    "no words": lambda: (Mute(), "multisig: refused; nothing was installed.\n\n  Mute"),
    "escape codes": lambda: (
        RefusedError("multisig: refused \x1b[2Jhello\u202e"), "multisig: refused \\x1b[2Jhello\\u202e",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(TOLD))
def test_what_a_person_is_told(module: ModuleType, hooks: "type[FakeHooks]", what: str) -> None:
    hooks.error, expected = TOLD[what]()
    hooks.where = "resolved"
    with pytest.raises(dnf.exceptions.Error) as caught:
        run(plugged(module, base("a")), "resolved")
    assert caught.value.value == expected


# --- packages named by URL -------------------------------------------------------------------------------------------


def test_the_url_of_a_downloaded_package_is_remembered(module: ModuleType) -> None:
    of = base("a")
    packages = [SimpleNamespace(location="/cache/hello.rpm"), SimpleNamespace(location="/here/local.rpm")]
    of.add_remote_rpms = lambda paths, strict=True: packages
    plugin = module.Multisig(of, None)
    urls = ["https://example.org/x/hello.rpm", "/here/local.rpm"]
    assert of.add_remote_rpms(urls, strict=False) is packages
    assert plugin._urls == {"/cache/hello.rpm": urls[0]}


def test_an_error_of_dnfs_own_function_is_passed_on(module: ModuleType) -> None:
    of = base("a")

    def fail(paths: object) -> None:
        raise OSError("no such file")

    of.add_remote_rpms = fail
    module.Multisig(of, None)
    with pytest.raises(OSError, match="no such file"):
        of.add_remote_rpms([])


# --- the repositories' indexes ---------------------------------------------------------------------------------------


class FakeRepo:
    """A repository that notes what is asked for; loading it fails with ``errors``, one after the other."""

    def __init__(self, *errors: BaseException) -> None:
        self.asked: List[str] = []
        self.loaded = 0
        self._errors = list(errors)
        self._repo = SimpleNamespace(removeMetadataTypeFromDownload=lambda name: self.asked.remove(name))

    def add_metadata_type_to_download(self, name: str) -> None:
        self.asked.append(name)

    def load(self) -> bool:
        self.loaded += 1
        if self._errors:
            raise self._errors.pop(0)
        return True


def configured(module: ModuleType, *repos: FakeRepo) -> Any:
    of = base("a")
    of.repos = SimpleNamespace(iter_enabled=lambda: iter(repos))
    run_config(plugged(module, of))
    return of


def run_config(plugins: Any) -> None:
    plugins._run_config()


MISSING = dnf.exceptions.RepoError("Failed to download metadata: repodata/0123-multisig.jsonl.zst - Cannot download")


def test_the_index_is_asked_for_with_the_metadata(module: ModuleType) -> None:
    repo = FakeRepo()
    configured(module, repo)
    assert repo.asked == ["multisig"]
    assert repo.load() is True
    assert repo.loaded == 1


def test_an_index_that_cannot_be_had_costs_the_repository_nothing_else(module: ModuleType) -> None:
    repo = FakeRepo(MISSING)
    configured(module, repo)
    assert repo.load() is True
    assert repo.asked == []


@pytest.mark.parametrize(
    "error", [dnf.exceptions.RepoError("repomd.xml: Cannot download"), RuntimeError("x"), KeyboardInterrupt()], ids=repr
)
def test_a_repository_that_is_down_is_down_at_once(module: ModuleType, error: BaseException) -> None:
    repo = FakeRepo(error)
    configured(module, repo)
    with pytest.raises(type(error)):
        repo.load()
    assert repo.loaded == 1


def test_a_repository_that_is_down_without_its_index_too_is_down(module: ModuleType) -> None:
    repo = FakeRepo(MISSING, dnf.exceptions.RepoError("repomd.xml: Cannot download"))
    configured(module, repo)
    with pytest.raises(dnf.exceptions.RepoError, match="repomd"):
        repo.load()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_no_error_while_asking_for_indexes_breaks_dnf_or_lets_anything_pass(
    module: ModuleType, hooks: "type[FakeHooks]", error: BaseException
) -> None:
    class Broken:
        def iter_enabled(self) -> object:
            raise error

    of = base("a")
    of.repos = Broken()
    plugins = plugged(module, of)
    run_config(plugins)
    hooks.error, hooks.where = RefusedError("multisig: refused."), "resolved"
    with pytest.raises(dnf.exceptions.Error):
        run(plugins, "resolved")


# --- holding back ----------------------------------------------------------------------------------------------------


def with_settings(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, value: Optional[str], act: Callable[[], None]
) -> Any:
    """A plugin whose multisig.conf says ``hold-back = value``, and that calls ``act`` to hold back."""
    settings = SimpleNamespace(has_option=lambda *_: value is not None, get=lambda *_: value)
    monkeypatch.setattr(module.Multisig, "read_config", classmethod(lambda *_: settings))
    fake = ModuleType("multisig.dnf4.holding")
    fake.hold_back = lambda *_: act()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "multisig.dnf4.holding", fake)
    monkeypatch.setitem(sys.modules, "multisig.dnf4", ModuleType("multisig.dnf4"))
    of = base("a")
    of.conf = None
    return of


@pytest.mark.parametrize(("value", "expected"), [("yes", 1), ("yes # really", 1), ("no", 0), ("", 0), (None, 0)])
def test_holding_back_is_only_looked_into_where_it_is_asked_for(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, value: Optional[str], expected: int
) -> None:
    calls: List[int] = []
    of = with_settings(module, monkeypatch, value, lambda: calls.append(1))
    run(plugged(module, of), "sack")
    assert len(calls) == expected


def test_commands_that_resolve_nothing_hold_nothing_back(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    of = with_settings(module, monkeypatch, "yes", lambda: pytest.fail("held back"))
    plugins = plugged(module, of)
    plugins.plugins[0].cli = SimpleNamespace(demands=SimpleNamespace(resolving=False))
    run(plugins, "sack")


@pytest.mark.parametrize("error", [item for item in ERRORS if isinstance(item, Exception)], ids=repr)
def test_no_error_while_holding_back_lets_anything_pass_or_stops_a_removal(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    of = with_settings(module, monkeypatch, "yes", fail)
    run(plugged(module, of), "sack")
