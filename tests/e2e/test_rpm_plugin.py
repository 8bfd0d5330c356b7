# SPDX-License-Identifier: GPL-2.0-or-later
"""rpm itself, with the plugin of rpm-plugin/: what goes in by `rpm -i`, and by dnf without a plugin of its own."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

import pytest

from fixtures.building import Recipe
from fixtures.installroot import Installroot
from fixtures.policy import rule, write_policy
from fixtures.rpmedit import INT32, STRING_ARRAY, Rpm
from fixtures.rpmplugin import RpmPlugin
from fixtures.running import Argument, run
from tests.e2e.conftest import THREE, TWO, Stage

HELLO = "hello-1.0-1.noarch"
APPROVALS = Path("/run/multisig")


def laid(stage: Stage, name: str, signers: Optional[Sequence[str]], file: Optional[Path] = None) -> Path:
    """A copy of a package, or of ``file`` in its place, in a folder of root's, with the bundle of who signed it."""
    folder = stage.folder / "files"
    folder.mkdir(exist_ok=True)
    rpm = folder / f"{name}.noarch.rpm"
    shutil.copyfile(file or stage.shop.rpm(name), rpm)
    if signers:
        shutil.copyfile(stage.shop.bundle(name, signers), f"{rpm}.msig")
    return rpm


def decisions(system: Installroot) -> list[tuple[str, bool, bool]]:
    """Stage, whether accepted, and whether the transaction went through, of each decision in the journal."""
    if not system.journal.exists():
        return []
    with closing(sqlite3.connect(system.journal)) as database:
        rows = database.execute("SELECT stage, accepted, finished FROM decisions ORDER BY id").fetchall()
    return [(stage, bool(accepted), finished is not None) for stage, accepted, finished in rows]


def assert_untouched(system: Installroot) -> None:
    assert system.installed() == set()
    assert not system.holds("/var/hello-pre") and not system.holds("/usr/share/hello")


def test_what_enough_people_signed_goes_in(stage: Stage) -> None:
    system = stage.system()
    result = RpmPlugin(system).rpm("-iv", laid(stage, "hello-1.0-1", THREE))
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert "multisig: 1 package, 3 of 5 builders signed" in result.text
    assert decisions(system) == [("at hand", True, True)]


@pytest.mark.parametrize("signers", [None, TWO], ids=["nobody", "too few"])
@pytest.mark.parametrize("way", [["-i"], ["-U"], ["-F"], ["-i", "--force"]], ids=" ".join)
def test_what_too_few_signed_does_not(stage: Stage, way: Sequence[str], signers: Optional[Sequence[str]]) -> None:
    system = stage.system()
    before = set()
    if way == ["-F"]:
        system.put(stage.shop.rpm("hello-1.0-1"))
        (system.root / "var" / "hello-pre").unlink()
        before = {HELLO}
    result = RpmPlugin(system).rpm(*way, laid(stage, "hello-1.0-2", signers))
    assert result.rc != 0 and system.installed() == before, result.text
    assert not system.holds("/var/hello-pre")
    assert "multisig: refused; nothing was installed." in result.text
    assert "hello-0:1.0-2.noarch" in result.text and "rafal" in result.text
    assert decisions(system) == [("at hand", False, False)]


def test_one_that_lacks_signatures_keeps_all_out(stage: Stage) -> None:
    system = stage.system()
    good, bad = laid(stage, "greet-1.0-1", THREE), laid(stage, "hello-1.0-1", TWO)
    result = RpmPlugin(system).rpm("-i", good, bad)
    assert result.rc != 0
    assert_untouched(system)
    assert "1 of 2 packages is not approved" in result.text


TAMPERED: Mapping[str, Callable[[Stage], Path]] = {
    "another script": lambda stage: stage.shop.with_tampered_script(),
    "another file": lambda stage: stage.shop.with_tampered_content(),
    "another payload": lambda stage: stage.shop.with_tampered_payload(),
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_package_that_was_tampered_with(stage: Stage, tampered: Callable[[Stage], Path]) -> None:
    system = stage.system()
    result = RpmPlugin(system).rpm("-i", laid(stage, "hello-1.0-1", THREE, tampered(stage)))
    assert result.rc != 0, result.text
    assert_untouched(system)


def test_upgrade_downgrade_and_reinstallation_are_judged_alike(stage: Stage) -> None:
    system = stage.system()
    plugin = RpmPlugin(system)
    old, new = laid(stage, "hello-1.0-1", THREE), laid(stage, "hello-1.0-2", THREE)
    ways: list[list[Argument]] = [["-i", old], ["-U", new], ["-U", "--oldpackage", old], ["-U", "--replacepkgs", old]]
    for way in ways:
        assert plugin.rpm(*way).rc == 0
    assert system.installed() == {HELLO} and len(decisions(system)) == 4
    Path(f"{old}.msig").unlink()
    Path(f"{new}.msig").unlink()
    for way in (ways[1], ways[3]):
        assert plugin.rpm(*way).rc != 0
    assert system.installed() == {HELLO}


@pytest.mark.parametrize("option", ["--justdb", "--nofiledigest", "--noconfigs"])
def test_nobody_talks_rpm_out_of_what_was_signed(stage: Stage, option: str) -> None:
    system = stage.system()
    result = RpmPlugin(system).rpm("-i", option, laid(stage, "hello-1.0-1", THREE))
    assert result.rc != 0 and option.strip("-") in result.text, result.text
    assert_untouched(system)


def test_scripts_before_and_after_the_transaction_run_of_what_was_approved(stage: Stage) -> None:
    system = stage.system()
    result = RpmPlugin(system).rpm("-i", laid(stage, "herald-1.0-1", THREE))
    assert result.rc == 0 and "rror" not in result.text, result.text
    assert system.read("/var/herald").split() == ["pretrans", "pre", "post", "posttrans"]


def test_a_package_may_be_put_elsewhere(stage: Stage) -> None:
    system = stage.system()
    result = RpmPlugin(system).rpm("-i", "--prefix", "/opt/herald", laid(stage, "herald-1.0-1", THREE))
    assert result.rc == 0 and system.holds("/opt/herald/call"), result.text


# What needs no policy


def test_removal_and_what_puts_nothing_in_work_without_policy_or_checker(stage: Stage) -> None:
    system = stage.system_with("hello-1.0-1", "team-01-1.0-1")
    stage.policy.write_text("rules: [", encoding="ascii")
    plugin = RpmPlugin(system)
    plugin.checker.unlink()
    key = stage.folder / "key.asc"
    stage.shop.people["marek"].export(key)
    unsigned = laid(stage, "team-02-1.0-1", None)
    for harmless in (["-e", "hello"], ["-U", "--test", unsigned], ["-qa"], ["-V", "team-01"], ["--import", key]):
        result = plugin.rpm(*harmless)
        assert result.rc == 0 or harmless[0] == "-V", result.text
        assert "multisig" not in result.text
    assert {name for name in system.installed() if name.startswith("hello")} == set()


def test_a_source_package_is_unpacked_and_nothing_else(stage: Stage) -> None:
    """rpm -i of one puts sources into rpmbuild's folder: no transaction, no scripts."""
    top = stage.folder / "top"
    spec = Path(__file__).parents[2] / "fixtures" / "specs" / "greet.spec"
    run(["rpmbuild", "-bs", "--quiet", "--define", f"_topdir {top}", spec])
    (source,) = top.rglob("*.src.rpm")
    shutil.rmtree(top / "SPECS", ignore_errors=True)
    system = stage.system()
    result = RpmPlugin(system).rpm("-i", "--define", f"_topdir {top}", source, root=False)
    assert result.rc == 0 and (top / "SPECS" / "greet.spec").exists(), result.text


# A checker that does not work

SPEAKING = "#!/usr/bin/python3 -I\nimport socket, time\ns = socket.socket(fileno=3)\n"
CHECKERS: Mapping[str, str] = {
    "it fails at once": "#!/bin/sh\nexit 1\n",
    "it says nothing and ends well": "#!/bin/sh\nexit 0\n",
    "it is killed": "#!/bin/sh\nkill -9 $$\n",
    "it is no program": "this is no program\n",
    "its interpreter is not there": "#!/no/such/interpreter\n",
    "it cannot be imported": "#!/usr/bin/python3 -I\nimport multisig.no_such_module\n",
    "it ends after the first package": f"{SPEAKING}s.recv(99)\ns.recv(99)\ns.send(b'H' + b'0' * 64)\n",
    "it approves before it is asked": f"{SPEAKING}s.send(b'A')\n",
    "its digest is short": f"{SPEAKING}s.send(b'H0')\ns.send(b'A')\ns.recv(99)\ntime.sleep(5)\n",
    "it approves what it has not read": (
        f"{SPEAKING}s.send(b'H' + b'0' * 64)\ns.send(b'A')\ntime.sleep(1)\ns.recv(99)\ns.recv(99)\n"
    ),
    "it answers nonsense": f"{SPEAKING}s.send(b'yes')\ns.recv(99)\ntime.sleep(5)\n",
    "it answers an empty word": f"{SPEAKING}s.send(b'')\ns.recv(99)\ntime.sleep(5)\n",
    "it answers a zero byte": f"{SPEAKING}s.send(bytes(1))\ns.recv(99)\ntime.sleep(5)\n",
    "it answers without end": f"{SPEAKING}s.send(b'H' * 100_000)\ns.recv(99)\ntime.sleep(5)\n",
    "it hangs": "#!/bin/sh\nexec sleep 60\n",
    "it hangs after signs of life": f"{SPEAKING}s.send(b'.')\ns.send(b'.')\ntime.sleep(60)\n",
}


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS.keys())
def test_with_a_checker_that_does_not_work_nothing_is_installed(stage: Stage, checker: str) -> None:
    system = stage.system()
    result = RpmPlugin(system, checker=checker, silence=2).rpm("-i", laid(stage, "hello-1.0-1", THREE), timeout=30)
    assert result.rc != 0, result.text
    assert_untouched(system)
    assert "multisig" in result.text


def test_without_a_checker_nothing_is_installed(stage: Stage) -> None:
    system = stage.system()
    plugin = RpmPlugin(system)
    plugin.checker.unlink()
    result = plugin.rpm("-i", laid(stage, "hello-1.0-1", THREE))
    assert result.rc != 0 and str(plugin.checker) in result.text
    assert_untouched(system)


def test_a_program_that_waits_for_no_children(stage: Stage) -> None:
    system = stage.system()
    good, bad = laid(stage, "hello-1.0-1", THREE), laid(stage, "team-01-1.0-1", TWO)
    plugin = RpmPlugin(system)
    assert plugin.librpm("--no-children", bad).rc != 0
    assert_untouched(system)
    result = plugin.librpm("--no-children", good)
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert decisions(system)[-1] == ("at hand", True, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: str(number.name))
def test_an_interrupt_that_rpm_outlives_is_outlived(stage: Stage, number: signal.Signals) -> None:
    """rpm ends what it has begun, and the journal says so."""
    system = stage.system()
    result = RpmPlugin(system).librpm("--interrupt", str(int(number)), laid(stage, "hello-1.0-1", THREE))
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert decisions(system) == [("at hand", True, True)]


@pytest.mark.parametrize("file", ["no library", ""], ids=["not a library", "empty"])
def test_a_plugin_that_rpm_cannot_load(stage: Stage, file: str) -> None:
    system = stage.system()
    plugin = RpmPlugin(system)
    (plugin.folder / "multisig.so").write_text(file, encoding="ascii")
    assert plugin.rpm("-i", laid(stage, "hello-1.0-1", THREE)).rc != 0
    assert_untouched(system)


def test_a_broken_policy_a_broken_configuration_a_broken_journal(stage: Stage) -> None:
    system = stage.system()
    plugin = RpmPlugin(system)
    rpm = laid(stage, "hello-1.0-1", THREE)
    system.configure(policy=str(stage.policy), journal=str(stage.policy))
    result = plugin.rpm("-i", rpm)
    assert result.rc != 0 and "journal" in result.text and "Traceback" not in result.text
    (system.folder / "plugins.d" / "multisig.conf").write_text("[main]\npolicy =\n", encoding="ascii")
    result = plugin.rpm("-i", rpm)
    assert result.rc != 0 and "multisig.conf" in result.text and "Traceback" not in result.text
    system.configure(policy=str(stage.policy))
    stage.policy.write_text("rules: [", encoding="ascii")
    result = plugin.rpm("-i", rpm)
    assert result.rc != 0 and str(stage.policy) in result.text and "Traceback" not in result.text
    assert_untouched(system)


def test_warn_mode_says_it_and_installs(stage: Stage) -> None:
    system = stage.system(mode="warn")
    plugin = RpmPlugin(system)
    result = plugin.rpm("-i", laid(stage, "hello-1.0-1", TWO))
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert "would have refused" in result.text and "rafal" in result.text
    stage.policy.write_text("rules: [", encoding="ascii")
    result = plugin.rpm("-U", laid(stage, "hello-1.0-2", TWO))
    assert result.rc == 0 and system.installed() == {"hello-1.0-2.noarch"}, result.text
    assert str(stage.policy) in result.text


# Between the verdict and the installation


def _open_folder(rpm: Path) -> None:
    rpm.parent.chmod(0o777)


def _open_folder_above(rpm: Path) -> None:
    rpm.parent.parent.chmod(0o777)


def _open_file(rpm: Path) -> None:
    rpm.chmod(0o666)


def _of_another_user(rpm: Path) -> None:
    os.chown(rpm, 12345, -1)


@pytest.mark.parametrize("expose", [_open_folder, _open_folder_above, _open_file, _of_another_user])
def test_a_file_that_others_could_replace(stage: Stage, expose: Callable[[Path], None]) -> None:
    system = stage.system()
    rpm = laid(stage, "hello-1.0-1", THREE)
    expose(rpm)
    result = RpmPlugin(system).rpm("-i", rpm)
    assert result.rc != 0 and "others than root could replace" in result.text, result.text
    assert_untouched(system)


def _another_build(stage: Stage) -> Path:
    return stage.shop.with_tampered_script()


def _another_payload(stage: Stage) -> Path:
    return stage.shop.with_tampered_payload()


def _another_package(stage: Stage) -> Path:
    return stage.shop.rpm("team-01-1.0-1")


def _an_approved_build(stage: Stage) -> Path:
    return stage.shop.rpm("hello-1.0-1", "joanna")


OTHERS = (_another_build, _another_payload, _another_package, _an_approved_build)
WAYS: Mapping[str, str] = {
    "renamed over": "import os; os.rename({new!r}, {old!r})",
    "written over": "import shutil; shutil.copyfile({new!r}, {old!r})",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("other", OTHERS)
def test_another_file_after_the_verdict(stage: Stage, other: Callable[[Stage], Path], way: str) -> None:
    system = stage.system()
    rpm, new = laid(stage, "hello-1.0-1", THREE), stage.folder / "new.rpm"
    shutil.copyfile(other(stage), new)
    swap = way.format(new=str(new), old=str(rpm))
    result = RpmPlugin(system, afterwards=swap).rpm("-i", rpm)
    assert rpm.read_bytes() == other(stage).read_bytes()
    assert result.rc != 0 and "is not what was judged" in result.text, result.text
    assert_untouched(system)


def test_a_link_that_another_user_turns_after_the_verdict(stage: Stage) -> None:
    system = stage.system()
    rpm, link = laid(stage, "hello-1.0-1", THREE), stage.folder / "hello.rpm"
    other = stage.folder / "other.rpm"
    shutil.copyfile(stage.shop.with_tampered_payload(), other)
    link.symlink_to(rpm)
    turn = f"import os; os.unlink({str(link)!r}); os.symlink({str(other)!r}, {str(link)!r})"
    result = RpmPlugin(system, afterwards=turn).rpm("-i", link)
    assert result.rc != 0 and "is not what was judged" in result.text, result.text
    assert_untouched(system)


def test_another_script_before_the_transaction_after_the_verdict(stage: Stage) -> None:
    """From rpm 4.20 on %pretrans runs of a file that was opened anew, and no plugin is asked about the package."""
    system = stage.system()
    rpm, new = laid(stage, "herald-1.0-1", THREE), stage.folder / "new.rpm"
    shutil.copyfile(stage.shop.built(Recipe("herald.spec", (("errand", "evil"),)), rpm.name), new)
    result = RpmPlugin(system, afterwards=f"import os; os.rename({str(new)!r}, {str(rpm)!r})").rpm("-i", rpm)
    assert result.rc != 0 and system.installed() == set() and not system.holds("/var/herald"), result.text


OBSOLETE_NAME, OBSOLETE_FLAGS, OBSOLETE_VERSION = 1090, 1114, 1115


def _obsoleting(stage: Stage, out: Path) -> Path:
    """hello, with a header that obsoletes team-01."""
    out.mkdir()
    rpm = Rpm.read(stage.shop.rpm("hello-1.0-1"))
    rpm.set(OBSOLETE_NAME, STRING_ARRAY, ["team-01"])
    rpm.set(OBSOLETE_FLAGS, INT32, [0])
    rpm.set(OBSOLETE_VERSION, STRING_ARRAY, [""])
    return rpm.write(out / "hello-1.0-1.noarch.rpm")


def test_another_header_before_the_verdict_erases_nothing(stage: Stage) -> None:
    """rpm reads a header, and plans by it, before any plugin is asked; who turns a link then has another judged."""
    system = stage.system_with("team-01-1.0-1")
    good, planned = laid(stage, "hello-1.0-1", THREE), _obsoleting(stage, stage.folder / "planned")
    plugin = RpmPlugin(system)
    result = plugin.librpm("--instead", good, planned)
    assert result.rc != 0 and system.installed() == {"team-01-1.0-1.noarch"}, result.text
    assert "hello-0:1.0-1.noarch: rpm would erase for it what it does not replace: team-01-1.0-1.noarch" in result.text
    assert not system.holds("/var/hello-pre")
    result = plugin.librpm("--instead", planned, planned)  # nobody signed that
    assert result.rc != 0 and "no bundle" in result.text and len(system.installed()) == 1, result.text


def test_what_an_approved_header_obsoletes_is_erased(stage: Stage) -> None:
    exempt = "  - name: hello\n    packages: [hello]\n    exempt: built here\n    until: never\n"
    system = stage.system(policy=write_policy(stage.folder / "exempt", stage.shop.people, [exempt]))
    for name in ("team-01-1.0-1", "team-02-1.0-1"):
        system.put(stage.shop.rpm(name))
    result = RpmPlugin(system).rpm("-U", _obsoleting(stage, stage.folder / "planned"))
    assert result.rc == 0 and system.installed() == {HELLO, "team-02-1.0-1.noarch"}, result.text


# dnf


def test_dnf_without_plugins_is_judged_by_rpms(stage: Stage) -> None:
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    RpmPlugin(system)
    result = system.dnf("--noplugins", "install", "hello")
    assert result.rc != 0 and "no bundle" in result.text, result.text
    assert_untouched(system)
    rpm = laid(stage, "hello-1.0-1", THREE)
    result = system.dnf("--disableplugin=multisig", "install", rpm)
    assert result.rc == 0 and system.installed() == {HELLO}, result.text


def test_what_dnf_approved_is_not_judged_twice(stage: Stage) -> None:
    """Nor could it be: only dnf knows what repository a package comes from."""
    by_repository = write_policy(stage.folder / "by-repo", stage.shop.people, [rule(repos=["demo"], packages=())])
    system = stage.system(stage.publish({"hello-1.0-1": THREE, "greet-1.0-1": THREE}), policy=by_repository)
    RpmPlugin(system)
    result = system.dnf("install", "hello", "greet")
    assert result.rc == 0 and len(system.installed()) == 2, result.text
    assert [stage for stage, _, _ in decisions(system)] == ["at hand"]
    assert not any(APPROVALS.iterdir())


def test_a_private_copy_that_dnf_made_is_approved_as_well(stage: Stage) -> None:
    rpm = laid(stage, "hello-1.0-1", THREE)
    rpm.parent.chmod(0o777)
    system = stage.system()
    RpmPlugin(system)
    result = system.dnf("install", rpm)
    assert result.rc == 0 and system.installed() == {HELLO}, result.text
    assert len(decisions(system)) == 1


def test_what_dnf_approved_is_good_for_that_file_alone(stage: Stage) -> None:
    """The file is replaced between dnf's last hook and rpm's transaction: by root, as nobody else could."""
    by_repository = write_policy(stage.folder / "by-repo", stage.shop.people, [rule(repos=["demo"], packages=())])
    system = stage.system(stage.publish({"hello-1.0-1": THREE}), policy=by_repository)
    RpmPlugin(system)
    plugins = stage.folder / "plugins"
    plugins.mkdir()
    code = (
        "import dnf, os, shutil\nclass Z(dnf.Plugin):\n    name = 'zzz'\n    def pre_transaction(self):\n"
        "        for p in self.base.transaction.install_set:\n"
        f"            shutil.copyfile({str(stage.shop.with_tampered_payload())!r}, p.localPkg())\n"
    )
    (plugins / "zzz.py").write_text(code, encoding="ascii")
    conf = system.folder / "dnf.conf"
    text = conf.read_text(encoding="utf-8")
    conf.write_text(text.replace("pluginpath=", f"pluginpath={plugins},"), encoding="utf-8")
    ours = Path(__file__).parents[2] / "dnf-plugins"
    conf.write_text(text.replace(f"pluginpath={ours}", f"pluginpath={ours},{plugins}"), encoding="utf-8")
    result = system.dnf("install", "hello")
    assert result.rc != 0 and "@rpm" in result.text, result.text
    assert_untouched(system)


def test_rpms_own_switch_is_a_limit_that_the_documentation_names(stage: Stage) -> None:
    system = stage.system()
    assert RpmPlugin(system).rpm("-i", "--noplugins", laid(stage, "hello-1.0-1", None)).rc == 0
    assert "--noplugins" in (Path(__file__).parents[2] / "docs" / "rpm-plugin.md").read_text(encoding="utf-8")


# Memory

ERRORS = ("AddressSanitizer", "runtime error", "UndefinedBehavior")


def test_no_memory_error_whatever_the_checker_does(stage: Stage) -> None:
    """Under AddressSanitizer and UBSan: approval, refusal, removal, two in a row, a checker that dies or lies."""
    good, other = laid(stage, "hello-1.0-1", THREE), laid(stage, "team-01-1.0-1", THREE)
    bad = laid(stage, "team-02-1.0-1", TWO)
    system = stage.system()
    plugin = RpmPlugin(system, sanitize=True)
    assert "libasan" in run(["ldd", plugin.folder / "multisig.so"]).out
    for way in ([bad, good], ["--test", bad], ["--times", "2", other, good], ["--erase", "hello"]):
        result = plugin.librpm(*way)
        assert not any(word in result.text for word in ERRORS), result.text
        assert (result.rc == 0) is (way != [bad, good]), result.text
    assert system.installed() == {"team-01-1.0-1.noarch"}
    for number, (name, checker) in enumerate(CHECKERS.items()):
        broken = stage.system(name=f"system-{number}")
        result = RpmPlugin(broken, checker=checker, silence=1, sanitize=True).librpm(good, timeout=30)
        assert result.rc != 0 and not any(word in result.text for word in ERRORS), f"{name}: {result.text}"
        assert "multisig" in result.text
        assert_untouched(broken)
    swapped = stage.system(name="swapped")
    swap = WAYS["written over"].format(new=str(bad), old=str(good))
    result = RpmPlugin(swapped, afterwards=swap, sanitize=True).librpm(good, timeout=30)
    assert result.rc != 0 and not any(word in result.text for word in ERRORS), result.text
    assert_untouched(swapped)
