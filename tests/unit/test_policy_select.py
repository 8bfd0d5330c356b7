# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rules a package meets, and that no path or name makes the question slow."""

from __future__ import annotations

import fnmatch
import time
from typing import Iterable, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multisig.openpgp.keys import KeyRequirements
from multisig.policy import (
    ContentSelector,
    ContentTraits,
    Exemption,
    Policy,
    Rule,
    Traits,
    matching_rules,
    undecided_rules,
)
from multisig.policy.globs import GlobError, PathGlobs, covers, name_glob, overlap, path_glob


def rule(
    name: str,
    *,
    kind: str = "rpm",
    repos: Optional[Tuple[str, ...]] = None,
    packages: Optional[Tuple[str, ...]] = None,
    content: Optional[ContentSelector] = None,
) -> Rule:
    exempt = Exemption("for a test", None)
    return Rule(name, kind, repos, packages, content, None, None, None, None, exempt, False)


def policy(*rules: Rule) -> Policy:
    return Policy(1, None, None, {}, {}, KeyRequirements(), rules, "0" * 64)


def content(
    setuid: bool = False, scripts: bool = False, paths: Iterable[str] = (), provides: Iterable[str] = ()
) -> ContentTraits:
    return ContentTraits(setuid, scripts, tuple(paths), tuple(provides))


def names(rules: Tuple[Rule, ...]) -> List[str]:
    return [found.name for found in rules]


RULES = policy(
    rule("by repo", repos=("qubes-*", "@commandline")),
    rule("by name", packages=("glibc", "xen*")),
    rule("by both", repos=("lab",), packages=("xen*",)),
    rule("file", kind="file"),
    rule("file of repo", kind="file", repos=("lab",)),
    rule("tree", kind="tree"),
)


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (Traits("rpm", "qubes-r4.3", "hello"), ["by repo"]),
        (Traits("rpm", "@commandline", "hello"), ["by repo"]),
        (Traits("rpm", "fedora", "hello"), []),
        (Traits("rpm", "evil", "glibc"), ["by name"]),
        (Traits("rpm", "lab", "xen-tools"), ["by name", "by both"]),
        (Traits("rpm", "qubes-x", "glibc"), ["by repo", "by name"]),
        (Traits("rpm", "lab", "innocent", obsoletes=("other", "xen-libs")), ["by name", "by both"]),
        (Traits("rpm", "lab", "innocent", obsoletes=("xe",)), []),
        (Traits("rpm", "QUBES-x", "Glibc"), []),
        (Traits("rpm", "qubes-\n", "x"), ["by repo"]),
        (Traits("rpm", "x", "glibc\n"), []),
        (Traits("rpm", "", ""), []),
        (Traits("file", "lab"), ["file", "file of repo"]),
        (Traits("tree", ""), ["tree"]),
    ],
)
def test_a_rule_matches_where_all_of_its_selectors_match(traits: Traits, expected: List[str]) -> None:
    assert names(matching_rules(RULES, traits)) == expected


CONTENT = policy(
    rule("setuid", content=ContentSelector(True, False, (), ())),
    rule("scripts", content=ContentSelector(False, True, (), ())),
    rule("paths", content=ContentSelector(False, False, ("/etc/sudoers.d/**",), ())),
    rule("provides", content=ContentSelector(False, False, (), ("glibc*",))),
    rule("any", repos=("r",), content=ContentSelector(True, True, ("/x",), ("y",))),
)


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (content(), []),
        (content(setuid=True), ["setuid", "any"]),
        (content(scripts=True), ["scripts", "any"]),
        (content(paths=["/usr/share/a", "/etc/sudoers.d/evil"]), ["paths"]),
        (content(paths=["/x"]), ["any"]),
        (content(provides=["a", "glibc-common"]), ["provides"]),
        (content(provides=["y"]), ["any"]),
    ],
)
def test_of_a_content_selector_any_one_suffices(traits: ContentTraits, expected: List[str]) -> None:
    assert names(matching_rules(CONTENT, Traits("rpm", "r", "p", content=traits))) == expected


def test_content_selects_on_top_of_the_other_selectors() -> None:
    assert names(matching_rules(CONTENT, Traits("rpm", "s", "p", content=content(setuid=True)))) == ["setuid"]


def test_while_the_content_is_unknown_its_rules_are_undecided_and_not_matched() -> None:
    unknown = Traits("rpm", "s", "p")
    assert matching_rules(CONTENT, unknown) == ()
    assert names(undecided_rules(CONTENT, unknown)) == ["setuid", "scripts", "paths", "provides"]
    assert undecided_rules(CONTENT, Traits("rpm", "r", "p", content=content())) == ()
    assert undecided_rules(CONTENT, Traits("file", "r")) == ()


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("/etc/sudoers.d/**", "/etc/sudoers.d/evil", True),
        ("/etc/sudoers.d/**", "/etc/sudoers.d/a/b", True),
        ("/etc/sudoers.d/**", "/etc/sudoers.d", True),  # its mode and owner matter as much
        ("/etc/sudoers.d/**", "/etc/sudoers.dx/a", False),
        ("/etc/sudoers.d/**", "/etc/sudoers", False),
        ("/etc/sudoers.d/**", "/etc//sudoers.d/./evil", True),
        ("/etc/sudoers.d/**", "/usr/../etc/sudoers.d/evil", True),
        ("/etc/sudoers.d/*", "/etc/sudoers.d/evil", True),
        ("/etc/sudoers.d/*", "/etc/sudoers.d/a/b", False),
        ("/etc/sudoers.d/*", "/etc/sudoers.d/.hidden", True),
        ("/etc/sudoers.d/*", "/etc/sudoers.d/new\nline", True),
        ("/etc/sudoers.d/*", "/etc/sudoers.d/\udcff", True),
        ("/etc/*", "/ETC/x", False),
        ("/etc/?", "/etc/x", True),
        ("/etc/?", "/etc//", False),
        ("/etc/x", "/etc/x", True),
        ("/etc/x", "/etc/xy", False),
        ("/etc/x", "/etc/x/y", False),
        ("/**", "/any/thing", True),
        ("**", "/any/thing", True),
        ("**/*.so", "/usr/lib64/a/b.so", True),
        ("**/*.so", "/b.so", True),
        ("**/*.so", "/usr/b.so/c", False),
        ("/usr/**/bin/*", "/usr/bin/x", True),
        ("/usr/**/bin/*", "/usr/a/b/bin/x", True),
        ("/usr/**/bin/*", "/usr/a/bin/b/x", False),
        ("/usr/**/bin/*", "/usr/a/bin/b/bin/x", True),
        ("/etc/a**", "/etc/abc", True),
        ("/etc/a**", "/etc/abc/d/e", True),
        ("/etc/a**", "/etc/xbc/d", False),
        ("/etc/a**z", "/etc/az", True),
        ("/etc/a**z", "/etc/ab/c/yz", True),
        ("/etc/a**z", "/etc/ab/c/yzx", False),
        ("/etc/a**m**z", "/etc/a/xmy/z", True),
        ("/etc/a**m**z", "/etc/a/m/m/z", True),
        ("/etc/a**m**z", "/etc/amz", True),
        ("/etc/a**m**z", "/etc/a/x/z", False),
        ("/etc/[!a]x", "/etc/bx", True),
        ("/etc/[!a]x", "/etc/ax", False),
        ("/etc/[!a]x", "/etc//x", False),
        # after the /usr merge, whichever way the glob and the package spell it
        ("/usr/bin/su", "/bin/su", True),
        ("/bin/su", "/usr/bin/su", True),
        ("/bin/su", "/bin/su", True),
        ("/lib/security/**", "/usr/lib/security/pam.so", True),
        ("/usr/lib64/security/**", "/lib64/security/pam.so", True),
        ("/lib*/security/**", "/usr/lib64/security/pam.so", True),
        ("/sbin/*", "/usr/sbin/init", True),
        ("/sbin/init", "/usr/bin/init", False),  # not everywhere the same folder
        ("/usr/local/bin/x", "/bin/x", False),
        ("/etc/bin/x", "/etc/usr/bin/x", False),
        ("/bin/x", "/usr/binx/x", False),
    ],
)
def test_path_globs_hold_to_folders_and_know_the_usr_merge(glob: str, path: str, expected: bool) -> None:
    assert PathGlobs((glob,)).match_any((path,)) is expected
    assert PathGlobs(("/nothing/[x]", glob, "/no")).match_any(("/a/b", path)) is expected


GLOB = st.text(alphabet="ab*?-.", max_size=8)


@settings(max_examples=500, deadline=None, database=None)
@given(GLOB, st.text(alphabet="ab-.\n", max_size=10))
def test_name_globs_match_what_fnmatch_matches(glob: str, name: str) -> None:
    assert name_glob(glob).matches(name) == fnmatch.fnmatchcase(name, glob)


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("[a-c]x", "bx", True), ("[a-c]x", "dx", False), ("[!a-c]x", "dx", True), ("[!a-c]x", "ax", False),
        ("[]]", "]", True), ("[!]]", "]", False), ("[^a]", "^", True), ("[^a]", "b", False), ("[\\]", "\\", True),
        ("[a-]", "-", True), ("[-a]", "-", True), ("[[:]", "[", True), ("[&&]", "&", True), ("[a||b]", "|", True),
        ("a.c", "abc", False), ("a+", "aa", False), ("(a)", "a", False), ("a$", "a", False), ("\\*", "\\x", True),
        ("*[ab]*", "xay", True), ("*a*", "", False), ("a*a", "a", False), ("a*a", "aa", True), ("ab*ba", "aba", False),
        ("*.*.*", "a.b", False), ("*ab*ab", "abab", True), ("*ab*ab", "xab", False), ("**", "", True), ("?", "", False),
    ],
)  # fmt: skip
def test_sets_and_overlapping_pieces(glob: str, name: str, expected: bool) -> None:
    assert name_glob(glob).matches(name) is expected


@pytest.mark.parametrize("glob", ["[", "a[b", "[!", "[]", "[!]", "[z-a]", "x[", "[a-z"])
def test_a_set_that_is_none_is_an_error(glob: str) -> None:
    with pytest.raises(GlobError):
        name_glob(glob)


@pytest.mark.parametrize("glob", ["", "/", "a", "*", "*/a", "./a", "/a/", "/a//b", "/a/../b", "/./a", "/a[/]b", "a/**"])
def test_a_path_glob_that_could_match_no_path_is_an_error(glob: str) -> None:
    with pytest.raises(GlobError):
        path_glob(glob)


@settings(max_examples=500, deadline=None, database=None)
@given(st.text(alphabet="ab*?[]!", max_size=6), st.text(alphabet="ab*?[]!", max_size=6), st.text("ab[]!", max_size=6))
def test_a_glob_said_to_cover_another_matches_all_that_it_matches(outer: str, inner: str, name: str) -> None:
    try:
        wide, narrow = name_glob(outer), name_glob(inner)
    except GlobError:
        return
    if narrow.matches(name):
        assert wide.matches(name) or not covers(outer, inner)
        assert overlap(outer, inner) or not wide.matches(name)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [("*", "a", True), ("q*", "qubes-*", True), ("qubes-*", "q*", False), ("a", "a", True), ("a*", "a?[bc]", True),
     ("?", "a", True), ("?", "*", False), ("a*]b", "a[x]b", False)],
)  # fmt: skip
def test_covers(outer: str, inner: str, expected: bool) -> None:
    assert covers(outer, inner) is expected


HOSTILE = [
    "/etc/*a*a*a*a*a*a*a*a*a*b", "/**/a/**/a/**/a/**/a/**/b", "/**a**a**a**a**b", "/[a-z]*[a-z]*[a-z]*[a-z]*0",
    "/**/*a*a*a*b/**", "/????????*?????????*?????????*b",
]  # fmt: skip


@pytest.mark.parametrize("glob", HOSTILE)
def test_no_glob_is_slow_on_a_path_made_for_it(glob: str) -> None:
    paths = ("/etc/" + "a" * 4000, "/a" * 2000, "/etc/" + "a" * 4000 + "/c", "/" + "ab" * 2000 + "c", "/aa" * 1300)
    before = time.process_time()
    assert not PathGlobs((glob,)).match_any(tuple(path + "c" for path in paths))
    assert time.process_time() - before < 1


def test_twenty_thousand_paths_take_well_under_a_second() -> None:
    paths = tuple(f"/usr/lib/python3/site-packages/module{number % 97}/part{number}.py" for number in range(20000))
    globs = ("/etc/sudoers.d/**", "/etc/pam.d/*", "/usr/bin/su", "/usr/lib/**/*.so", "/usr/lib*/security/**", "**/x*y")
    before = time.process_time()
    assert not PathGlobs(globs).match_any(paths)
    assert time.process_time() - before < 1


def test_a_long_name_meets_a_hostile_glob_in_linear_time() -> None:
    before = time.process_time()
    assert not name_glob("*a" * 100 + "*b").matches("a" * 1_000_000)
    assert not name_glob("*a?a?a*" * 30 + "b").matches("a" * 1_000_000)
    assert time.process_time() - before < 2
