# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate on packages that break the profile, or could switch the checks off."""

from __future__ import annotations

from typing import Dict, List, Mapping

import pytest

from fixtures.rpmedit import BIN, INT32, STRING, STRING_ARRAY, Rpm
from fixtures.rpmjudge import Edit, edited, judged, opened
from fixtures.rpmjudge import Package as File
from multisig.policy import ContentSelector
from multisig.subjects.rpm import read_rpm
from multisig.subjects.structure import NO_FILES
from multisig.traits import guarding_rules
from multisig.verdict import Code
from tests.unit.core import (
    PEOPLE,
    attest,
    bundle,
    exemption,
    leaf,
    policy,
    rule,
)
from tests.unit.gate_bench import POLICY, at_hand, build_packages, code, planned, signed, text_for


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Rpm]:
    return build_packages(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def hello(built: Dict[str, Rpm]) -> Rpm:
    return built["hello"]


# --- packages that break the rules -----------------------------------------------------------------------------------

MALFORMED: Mapping[str, File] = {
    "an empty file": b"",
    "text": b"not a package at all\n" * 99,
    "the lead alone": b"\xed\xab\xee\xdb" + b"\0" * 92,
    "a lead and zeros": b"\xed\xab\xee\xdb" + b"\0" * 9000,
}


@pytest.mark.parametrize("what", sorted(MALFORMED))
def test_what_is_no_package_is_malformed_under_every_rule(what: str) -> None:
    for by in (POLICY, policy(exemption()), policy()):
        assert code(at_hand(MALFORMED[what], by=by, plan=planned(nevra=""))) is Code.MALFORMED_RPM


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6])
def test_a_truncated_package_is_malformed(hello: Rpm, share: float) -> None:
    whole = hello.pack()
    assert code(at_hand(whole[: int(len(whole) * share)], signed(hello, *PEOPLE))) is Code.MALFORMED_RPM


def unknown_tag(copy: Rpm) -> None:
    copy.add(60_000, INT32, 1)


def test_a_malformed_package_is_refused_whoever_signed(hello: Rpm) -> None:
    assert code(at_hand(edited(hello, unknown_tag), signed(hello, *PEOPLE))) is Code.MALFORMED_RPM


def test_weak_digests_are_refused(hello: Rpm) -> None:
    def md5(copy: Rpm) -> None:
        copy.set(1035, STRING_ARRAY, [bytes(value)[:32] for value in copy.values(1035)])  # type: ignore[arg-type]
        copy.remove(5011)

    assert code(at_hand(edited(hello, md5), signed(hello, *PEOPLE))) is Code.WEAK_DIGEST


def test_where_only_exempt_rules_match_a_readable_header_is_enough(hello: Rpm) -> None:
    odd = edited(hello, unknown_tag)
    assert code(at_hand(odd, by=policy(exemption()))) is Code.EXEMPT
    assert code(at_hand(odd, by=policy(exemption()), plan=planned(nevra="hello-0:2-1.noarch"))) is Code.MALFORMED_RPM
    assert code(at_hand(odd, by=policy(exemption(), rule(leaf(1), packages=["hello"])))) is Code.MALFORMED_RPM
    assert code(at_hand(odd, by=policy(exemption(until=1)))) is Code.EXPIRED
    scripts = rule(leaf(1), content=ContentSelector(False, True, (), ()))
    assert code(at_hand(odd, by=policy(exemption(), scripts))) is Code.MALFORMED_RPM


NAME, VERSION, RELEASE, EPOCH, ARCH, SOURCERPM, OBSOLETENAME = 1000, 1001, 1002, 1003, 1022, 1044, 1090
ODD_TYPES: List[Edit] = [
    *(lambda copy, tag=tag: copy.set(tag, INT32, [7]) for tag in (NAME, VERSION, RELEASE, ARCH, OBSOLETENAME)),
    *(lambda copy, tag=tag: copy.set(tag, BIN, b"\0\1\2\3") for tag in (NAME, VERSION, EPOCH, OBSOLETENAME)),
    *(lambda copy, type_=type_: copy.set(EPOCH, type_, "x") for type_ in (STRING, STRING_ARRAY, 9)),
    lambda copy: copy.set(EPOCH, 1, [0]),
    lambda copy: copy.set(EPOCH, 5, [2**63]),
    lambda copy: copy.set(NAME, STRING, b"\xff\xfe"),
    lambda copy: copy.set(NAME, STRING, b""),
]


@pytest.mark.parametrize("number", range(len(ODD_TYPES)))
def test_no_odd_identity_is_more_than_a_refusal_even_where_exempt(hello: Rpm, number: int) -> None:
    found = at_hand(edited(hello, ODD_TYPES[number]), by=policy(exemption()))
    assert not found.verdict.accepted


@pytest.mark.parametrize(("tag", "type_"), [(274, STRING_ARRAY), (275, INT32), (276, STRING_ARRAY), (277, INT32)])
def test_file_signatures_are_refused_unless_a_rule_takes_them(hello: Rpm, tag: int, type_: int) -> None:
    package = edited(hello, lambda copy: copy.signature.add(tag, type_, [7]))
    raw = signed(package, *PEOPLE)
    assert judged(package).digests == judged(hello).digests
    assert code(at_hand(package, raw)) is Code.MALFORMED_RPM
    assert code(at_hand(package, raw, by=policy(rule(leaf(3), file_signatures=True)))) is Code.OK
    assert code(at_hand(package, raw, by=policy(exemption()))) is Code.EXEMPT


def shipping(package: Rpm, directory: str, name: str) -> Rpm:
    """The package with its configuration file at another place, header and payload."""

    def edit(copy: Rpm) -> None:
        place = copy.values(1117).index(b"hello.conf")
        index = int(copy.values(1116)[place])
        copy.patch(1118, index, directory)
        copy.patch(1117, place, name)
        members = [
            member.but(name=f".{directory}{name}".encode()) if member.name.endswith(b"hello.conf") else member
            for member in copy.members
        ]
        copy.set_members(members)
        copy.fix_payload_digest()

    return edited(package, edit)


GUARDED = [
    ("/etc/multisig/", "policy.yaml"), ("/etc/", "multisig"), ("/etc/multisig/keys/", "marek.asc"),
    ("/etc/dnf/plugins/", "multisig.conf"), ("/etc/rpm/", "macros.x"), ("/usr/lib/rpm/", "macros"),
    ("/usr/lib/rpm/macros.d/", "macros.x"), ("/usr/lib/python3/dist-packages/multisig/", "gate.py"),
    ("/usr/lib/python3.11/site-packages/dnf-plugins/", "multisig.py"), ("/usr/bin/", "multisig"),
    ("/usr/lib64/rpm-plugins/", "multisig.so"), ("/lib/rpm/macros.d/", "macros.x"), ("/bin/", "multisig"),
    ("/sbin/", "multisig"), ("/lib64/rpm-plugins/", "multisig.so"), ("/etc/", "rpm"), ("/root/", ".rpmmacros"),
    ("/usr/lib/python3/dist-packages/", "multisig"), ("/root/.config/rpm/", "macros"),
    ("/usr/lib/rpm/fileattrs/", "evil.attr"), ("/usr/lib/x86_64-linux-gnu/rpm-plugins/", "multisig.so"),
    ("/etc/dnf/libdnf5-plugins/actions.d/", "x.actions"), ("/usr/libexec/", "multisig-check"),
    ("/var/lib/multisig/", "journal.sqlite"), ("/run/multisig/", "4711-12345"), ("/var/run/multisig/", "4711-12345"),
]  # fmt: skip


@pytest.mark.parametrize(("directory", "name"), GUARDED)
def test_whoever_could_switch_the_checks_off_needs_the_policys_quorum_too(
    hello: Rpm, directory: str, name: str
) -> None:
    package = shipping(hello, directory, name)
    by = policy(rule(leaf(1)), quorum=leaf(2, ("marek", "joanna"), "release"), channel="policies")
    builders = attest(text_for(package), *PEOPLE)
    assert code(at_hand(package, bundle(builders), by=by)) is Code.BELOW_THRESHOLD
    quorum = attest(text_for(package, channel="policies"), "marek", "joanna")
    assert code(at_hand(package, bundle(builders, quorum), by=by)) is Code.OK
    exempt = by._replace(rules=(exemption(),))
    assert code(at_hand(package, by=exempt)) is Code.NO_BUNDLE


def linking(package: Rpm, path: str, target: str) -> bool:
    """Whether a package with this symbolic link needs the quorum."""
    with opened(package) as fd:
        files = NO_FILES._replace(paths=(path.encode(),), modes=(0o120777,), targets=(target.encode(),))
        subject = read_rpm(fd)._replace(files=files)
    return bool(guarding_rules(policy(rule(leaf(1)), quorum=leaf(2), channel="policies"), subject))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/opt/x", "/etc"), ("/opt/x", "../etc"), ("/opt/x", "/"), ("/x", "."), ("/opt/x", "//etc//multisig/"),
        ("/opt/x", "../../../etc/./multisig"), ("/opt/x", "/var/run/../etc"), ("/opt/x", "/usr/lib/rpm"),
        ("/opt/x", "/usr/lib/python3/dist-packages"), ("/opt/x", "/usr/lib/python3.11/site-packages/dnf-plugins"),
        ("/opt/x", "/lib64"), ("/usr/share/x", "../bin"), ("/opt/x", "/etc/dnf"), ("/opt/x", "/etc/dnf/plugins"),
        ("/opt/x", "/root"), ("/etc/x", "dnf/libdnf5-plugins/actions.d"), ("/opt/x", "/var/lib"),
    ],
)  # fmt: skip
def test_a_link_to_what_is_guarded_gives_other_packages_no_way_around_the_quorum(
    hello: Rpm, path: str, target: str
) -> None:
    """rpm follows links that root owns: /opt/x/multisig/policy.yaml of a second package is the policy then."""
    assert linking(hello, path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/bin", "usr/bin"), ("/lib64", "usr/lib64"), ("/var/run", "../run"), ("/usr/sbin", "bin"),
        ("/usr/bin/python", "python3"),
        ("/usr/lib64/libx.so", "libx.so.1"), ("/etc/rc.d/x", "../init.d/x"), ("/etc/localtime", "../usr/share/zone"),
        ("/usr/lib/debug/.build-id/ab/c", "../../../../../usr/lib/.build-id/ab/c"), ("/etc/os", "../usr/lib/os"),
    ],
)  # fmt: skip
def test_ordinary_links_need_no_quorum(hello: Rpm, path: str, target: str) -> None:
    assert not linking(hello, path, target)


def test_other_packages_do_not_need_the_quorum(hello: Rpm) -> None:
    by = policy(rule(leaf(1)), quorum=leaf(2), channel="policies")
    for package in (hello, shipping(hello, "/etc/multisigned/", "x"), shipping(hello, "/opt/etc/multisig/", "x")):
        assert code(at_hand(package, signed(package, "marek"), by=by)) is Code.OK
