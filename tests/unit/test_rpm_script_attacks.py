# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on scripts, triggers and dependencies: each is refused, or changes the digest."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import pytest

from fixtures.building import BUILDERS, Recipe, build
from fixtures.rpmedit import INT32, STRING, STRING_ARRAY, Rpm, Value
from fixtures.rpmjudge import Edit, digest, edited, judged, patching, proven, removing, setting
from multisig.errors import MalformedRpmError
from multisig.policy.globs import match_name
from multisig.policy.model import ContentSelector
from multisig.subjects.tags import GROUPS, TAGS, Klass
from multisig.traits import rpm_traits
from tests.unit.rpm_samples import NAMED_COMPRESSORS, NUMBER_OF, built, recompressed, refused_or_different, with_tag


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    return built(tmp_path_factory.mktemp("built"))[0]


@pytest.fixture(scope="module")
def original(everything: Rpm) -> str:
    """The digest of the package as it was built."""
    return digest(everything)


SCRIPTS = {"PREIN": 1085, "POSTIN": 1086, "PREUN": 1087, "PRETRANS": 1153, "POSTTRANS": 1154, "VERIFYSCRIPT": 1091}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_an_interpreter_without_its_script_is_signed(everything: Rpm, original: str, name: str) -> None:
    alone = edited(everything, removing(NUMBER_OF[name]))
    other_one = edited(alone, setting(SCRIPTS[name], STRING_ARRAY, ["/bin/rm", "-rf"]))
    neither = edited(alone, removing(SCRIPTS[name]))
    assert len({original, digest(alone), digest(other_one), digest(neither)}) == 4
    assert judged(alone).has_scripts


@pytest.mark.parametrize("name", [*SCRIPTS, "POSTUN", "PREUNTRANS", "POSTUNTRANS"])
def test_script_flags_that_make_rpm_expand_macros_are_signed(everything: Rpm, name: str) -> None:
    flags = NUMBER_OF[f"{name}FLAGS"]
    digests = {digest(edited(everything, setting(flags, INT32, value))) for value in (0, 1, 2)}
    absent = digest(edited(everything, removing(flags)))
    assert len({*digests, absent}) == 4


COMPUTED = {"EPOCHNUM", "EVR", "NVR", "NVRA", "NEVR", "NEVRA"}  # from the identity, which is signed
UNSIGNED = sorted({tag.name for tag in TAGS.values() if tag.klass is not Klass.SIGNED} - COMPUTED)


@pytest.mark.parametrize("name", [*UNSIGNED, "BUILDHOST:shescape", "*", "PKGID", "HDRID", "SIGMD5", "OPENPGP"])
def test_no_script_is_completed_from_tags_that_nobody_signs(everything: Rpm, name: str) -> None:
    """With -q, rpm puts the header's tags into the script: a mirror may write a command where the build host stood."""
    for body in (f"echo %{{{name}}}", f"echo %{{{name.lower()}}}", f"[echo %{{{name}}}]", f"%|{name}?{{rm -rf /}}|"):
        asking = edited(everything, setting(NUMBER_OF["POSTIN"], STRING, body))
        assert judged(asking)
        with pytest.raises(MalformedRpmError):
            judged(edited(asking, setting(NUMBER_OF["POSTINFLAGS"], INT32, 2)))


@pytest.mark.parametrize("flags", [2, 6])
def test_a_script_may_be_completed_from_signed_tags(everything: Rpm, flags: int) -> None:
    body = "echo %{NAME}-%{version} %{NEVRA}"
    asking = edited(everything, setting(NUMBER_OF["POSTIN"], STRING, body))
    changed = edited(asking, setting(NUMBER_OF["POSTINFLAGS"], INT32, flags))
    assert len({digest(everything), digest(asking), digest(changed)}) == 3


@pytest.mark.parametrize("version", ["4.4.2.3", "4.6.0-rc3", "4.18.0", "4.20.1", "5.4.10", "5.98.99"])
def test_which_rpm_built_a_package_does_not_end_its_lua_scripts(everything: Rpm, version: str) -> None:
    """rpm 4.20 and later end a script at posix.fork, if the header says so of an rpm that nobody signs."""
    forking = edited(
        everything, setting(NUMBER_OF["POSTIN"], STRING, "if posix.fork() == 0 then posix.exec('/bin/true') end"),
        setting(NUMBER_OF["POSTINPROG"], STRING, "<lua>"), setting(NUMBER_OF["RPMVERSION"], STRING, version),
    )  # fmt: skip
    assert judged(forking)
    for other in ("5.99.0", "5.100", "6.0.1", "6.1.0", "10", "1:4.18.0", "x", ""):
        with pytest.raises(MalformedRpmError):
            judged(edited(forking, setting(NUMBER_OF["RPMVERSION"], STRING, other)))
    with pytest.raises(MalformedRpmError):
        judged(edited(forking, removing(NUMBER_OF["RPMVERSION"])))


ALL_SCRIPTS = [*SCRIPTS, "POSTUN", "PREUNTRANS", "POSTUNTRANS", "TRIGGERSCRIPTS", "FILETRIGGERSCRIPTS"]


@pytest.mark.parametrize("name", [*ALL_SCRIPTS, "TRANSFILETRIGGERSCRIPTS"])
def test_a_package_whose_only_script_is_this_has_scripts(everything: Rpm, name: str) -> None:
    """Policies may ask for more signatures where a package runs scripts: any kind counts, and its interpreter alone."""
    families = ("PRE", "POST", "VERIFYSCRIPT", "TRIGGER", "FILETRIGGER", "TRANSFILETRIGGER")
    scripts = [tag.number for tag in TAGS.values() if tag.name.startswith(families) and tag.name != "PREFIXES"]
    bare = edited(everything, *(removing(n) for n in scripts))
    assert not judged(bare).has_scripts
    program = {"TRIGGERSCRIPTS": "TRIGGERSCRIPTPROG"}.get(name, name.replace("SCRIPTS", "SCRIPT") + "PROG")
    for number in (NUMBER_OF[name], NUMBER_OF[program]):
        if number not in (1065, 1092, 5066, 5067, 5076, 5077):
            assert judged(edited(bare, setting(number, STRING, "/bin/sh"))).has_scripts
        else:
            assert judged(with_tag(bare, number)).has_scripts


def swapped(values: Sequence[Value]) -> List[Value]:
    return [*values[1:2], *values[:1], *values[2:]]


TRIGGER_TAGS = [
    tag.name
    for tag in TAGS.values()
    if tag.arity in ("trigger", "triggerscript", "filetrigger", "filetriggerscript")
    or tag.arity in ("transfiletrigger", "transfiletriggerscript")
]


@pytest.mark.parametrize("name", TRIGGER_TAGS)
def test_triggers_are_signed_scripts_interpreters_flags_names_versions_indexes_priorities(
    everything: Rpm, original: str, name: str
) -> None:
    number = NUMBER_OF[name]
    for place in range(len(everything.values(number))):
        value = everything.values(number)[place]
        new: Value = value ^ 1 if isinstance(value, int) else b"other"
        refused_or_different(edited(everything, patching(number, place, new)), original)
    values = everything.values(number)
    entry = everything.get(number)
    assert entry is not None
    if swapped(values) != values:
        assert digest(edited(everything, setting(number, entry.type, swapped(values)))) != original


DEPENDENCIES = ["provide", "require", "conflict", "obsolete", "recommend", "suggest", "supplement", "enhance", "order"]


@pytest.mark.parametrize("group", [*DEPENDENCIES, "oldsuggest", "oldenhance"])
def test_dependencies_are_signed_name_flags_version_order_and_count(everything: Rpm, group: str) -> None:
    package = with_tag(everything, GROUPS[group][0])
    tags = GROUPS[group]
    before = digest(package)

    def append(copy: Rpm) -> None:
        for number in tags:
            entry = copy.get(number)
            assert entry is not None
            appended: Value = 4 if entry.type == INT32 else b"appended"
            copy.set(number, entry.type, [*entry.values, appended])

    def reverse(copy: Rpm) -> None:
        for number in tags:
            entry = copy.get(number)
            assert entry is not None
            copy.set(number, entry.type, entry.values[::-1])

    def drop(copy: Rpm) -> None:
        for number in tags:
            entry = copy.get(number)
            assert entry is not None
            copy.set(number, entry.type, entry.values[1:]) if entry.count > 1 else copy.remove(number)

    digests = [before, digest(edited(package, append)), digest(edited(package, drop))]
    digests += [digest(edited(edited(package, append), reverse))]
    for number in tags:
        for place in (0, -1):
            values = package.values(number)
            value = values[place]
            new: Value = value ^ 8 if isinstance(value, int) else bytes(value) + b"x"  # type: ignore[arg-type]
            digests.append(digest(edited(package, patching(number, place, new))))
    single = len(package.values(tags[0])) == 1
    assert len(set(digests)) == len(digests) - (3 if single else 0)
    assert before not in digests[1:]


def providing(name: str, version: str, flags: int = 8) -> Edit:
    def edit(copy: Rpm) -> None:
        copy.set(1047, STRING_ARRAY, [*copy.values(1047), name])
        copy.set(1113, STRING_ARRAY, [*copy.values(1113), version])
        copy.set(1112, INT32, [*copy.values(1112), flags])

    return edit


@pytest.mark.parametrize("name", ["user(evil)", "group(evil)", "groupmember(evil/wheel)"])
def test_sysusers_entries_are_signed_and_count_as_scripts(everything: Rpm, original: str, name: str) -> None:
    """rpm from 4.19 on makes users and groups of such provides; the version is the sysusers.d line, in base64."""
    families = ("PRE", "POST", "VERIFYSCRIPT", "TRIGGER", "FILETRIGGER", "TRANSFILETRIGGER")
    scripts = [tag.number for tag in TAGS.values() if tag.name.startswith(families) and tag.name != "PREFIXES"]
    plain = edited(everything, removing(*scripts))
    entry = edited(plain, providing(name, "dSBldmlsIDAK"))
    other = edited(plain, providing(name, "dSBldmlsIDEK"))
    assert len({digest(plain), digest(entry), digest(other), original}) == 4
    assert judged(entry).has_scripts
    assert not judged(plain).has_scripts
    assert not judged(edited(plain, providing(name, "", 0))).has_scripts


def test_a_package_without_provides_provides_its_name_all_the_same(everything: Rpm) -> None:
    """Solvers add it; a rule for whatever provides glibc must find a glibc whose header keeps quiet about it."""
    quiet = edited(everything, removing(1047, 1112, 1113))
    rule = ContentSelector(False, False, (), ("everything",))
    for package in (everything, quiet):
        subject = judged(package)
        assert subject.provides[0] == "everything"
        content = rpm_traits(subject, "repo").content
        assert content is not None and any(match_name(rule.provides, name) for name in content.provides)


def add_requirement(name: str, version: str, flags: int) -> Edit:
    def edit(copy: Rpm) -> None:
        copy.set(1049, STRING_ARRAY, [*copy.values(1049), name])
        copy.set(1050, STRING_ARRAY, [*copy.values(1050), version])
        copy.set(1048, INT32, [*copy.values(1048), flags])

    return edit


RPMLIB = 0x100000A


@pytest.mark.parametrize("compressor", NAMED_COMPRESSORS)
def test_only_the_requirement_for_the_compressor_follows_the_compressor(
    everything: Rpm, original: str, compressor: str
) -> None:
    package = recompressed(everything, compressor)
    subject = proven(package)
    assert f"{subject.sha256} {subject.sha512}" == original


def test_builders_with_other_hosts_clocks_and_compressors_get_one_digest(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cache = tmp_path_factory.mktemp("builders")
    builds = [build(Recipe("everything.spec"), builder, cache) for builder in BUILDERS.values()]
    for same in zip(*builds):
        packages = [Rpm.read(path) for path in same]
        assert len({bytes(package.payload) for package in packages}) > 1
        assert len({digest(package) for package in packages}) == 1


WRONG_FEATURES: Dict[str, Tuple[str, List[Tuple[str, str, int]]]] = {
    "of another compressor": ("gzip", [("rpmlib(PayloadIsXz)", "5.2-1", RPMLIB)]),
    "of xz for zstd": ("zstd", [("rpmlib(PayloadIsXz)", "5.2-1", RPMLIB)]),
    "of another version": ("xz", [("rpmlib(PayloadIsXz)", "9.9-1", RPMLIB)]),
    "no rpmlib flag": ("xz", [("rpmlib(PayloadIsXz)", "5.2-1", 10)]),
    "prerequisite flags": ("xz", [("rpmlib(PayloadIsXz)", "5.2-1", RPMLIB | 512)]),
    "twice": ("xz", [("rpmlib(PayloadIsXz)", "5.2-1", RPMLIB)] * 2),
    "of no compressor": ("gzip", [("rpmlib(PayloadIsEvil)", "1", RPMLIB)]),
    "longer": ("xz", [("rpmlib(PayloadIsXz) or more", "5.2-1", RPMLIB)]),
    "not rpmlib": ("xz", [("(rpmlib(PayloadIsXz) and evil)", "", 0)]),
    "another rpmlib feature": ("gzip", [("rpmlib(LargeFiles)", "4.12.0-1", RPMLIB)]),
}


@pytest.mark.parametrize("what", sorted(WRONG_FEATURES))
def test_a_requirement_that_only_looks_like_the_compressors_is_refused_or_signed(
    everything: Rpm, original: str, what: str
) -> None:
    compressor, requirements = WRONG_FEATURES[what]
    package = edited(everything, lambda copy: copy.set_archive(copy.archive, compressor))
    for requirement in requirements:
        package = edited(package, add_requirement(*requirement))
    refused_or_different(package, original)


@pytest.mark.parametrize("name", ["rpmlib(FileCaps)", "rpmlib(PayloadFilesHavePrefix)", "rpmlib(FileDigests)"])
def test_other_rpmlib_requirements_are_signed(everything: Rpm, original: str, name: str) -> None:
    place = everything.values(1049).index(name.encode())

    def drop(copy: Rpm) -> None:
        for number in GROUPS["require"]:
            entry = copy.get(number)
            assert entry is not None
            copy.set(number, entry.type, entry.values[:place] + entry.values[place + 1 :])

    assert digest(edited(everything, drop)) != original
