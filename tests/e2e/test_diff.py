# SPDX-License-Identifier: GPL-2.0-or-later
"""What builders see whose builds disagree: real packages by rpmbuild, one thing changed in the spec file each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from fixtures.building import BUILDERS, Builder, Recipe, build
from fixtures.running import multisig
from fixtures.workshop import HELLO, Workshop
from tests.e2e.conftest import THREE

SPEC = """\
Name:           sample
Version:        1.0
Release:        1
Summary:        A package to change
License:        GPL-2.0-or-later
URL:            https://example.org/
BuildArch:      noarch
AutoReqProv:    no
Requires:       coreutils >= 8

%description
Text.

%install
mkdir -p %{buildroot}/usr/share/sample %{buildroot}/etc
cd %{buildroot}/usr/share/sample
seq 1 2000 > numbers
head -c 300000 /dev/zero > zeros
echo first > one
ln one two
ln -s one link
echo conf > %{buildroot}/etc/sample.conf

%post
echo installed
echo for good

%triggerin -- foo > 1
echo triggered

%files
%defattr(0644,root,root,0755)
/usr/share/sample/numbers
/usr/share/sample/zeros
/usr/share/sample/one
/usr/share/sample/two
/usr/share/sample/link
%config /etc/sample.conf
"""

# In the spec file: what is replaced, and by what; then group, what, aspect, A's value, B's value (...: whatever).
Expected = Tuple[object, ...]
CHANGES: Dict[str, Tuple[str, str, Expected]] = {
    "release": ("Release:        1", "Release:        2", ("identity", "RELEASE", "value", "1", "2")),
    "epoch": ("Release:        1", "Release:        1\nEpoch: 1", ("identity", "EPOCH", "value", None, "1")),
    "content": ("seq 1 2000", "seq 1 2001", ("files", "/usr/share/sample/numbers", "content", ..., ...)),
    "a file more": (
        "/usr/share/sample/link\n", "/usr/share/sample/link\n%ghost /usr/share/sample/ghost\n",
        ("files", "/usr/share/sample/ghost", "file", None, ...)),
    "a file less": (
        "/usr/share/sample/link\n", "%exclude /usr/share/sample/link\n",
        ("files", "/usr/share/sample/link", "file", ..., None)),
    "mode": (
        "/usr/share/sample/one", "%attr(4755,root,root) /usr/share/sample/one",
        ("files", "/usr/share/sample/one", "mode", "rw-r--r-- (0644)", "rwsr-xr-x (4755)")),
    "owner": (
        "/usr/share/sample/one", "%attr(-,games,-) /usr/share/sample/one",
        ("files", "/usr/share/sample/one", "owner", "root", "games")),
    "group": (
        "/usr/share/sample/one", "%attr(-,-,games) /usr/share/sample/one",
        ("files", "/usr/share/sample/one", "group", "root", "games")),
    "capability": (
        "/usr/share/sample/numbers", "%caps(cap_net_raw=ep) /usr/share/sample/numbers",
        ("files", "/usr/share/sample/numbers", "capability", None, "cap_net_raw=ep")),
    "flags": (
        "%config /etc", "%config(noreplace) /etc",
        ("files", "/etc/sample.conf", "flags", "config", "config, noreplace")),
    "link target": (
        "ln -s one link", "ln -s two link", ("files", "/usr/share/sample/link", "link target", "one", "two")),
    "hard link": (
        "ln one two", "cp one two",
        ("files", "/usr/share/sample/two", "hard link to", "/usr/share/sample/one", None)),
    "verify flags": (
        "%config /etc", "%verify(not size) %config /etc", ("files", "/etc/sample.conf", "verified", ..., ...)),
    "language": (
        "/usr/share/sample/numbers", "%lang(de) /usr/share/sample/numbers",
        ("files", "/usr/share/sample/numbers", "language", None, "de")),
    "script": (
        "echo for good", "echo for evil",
        ("scripts", "%post", "script", "echo installed\necho for good", "echo installed\necho for evil")),
    "interpreter": ("%post\n", "%post -p /bin/bash\n", ("scripts", "%post", "program", "/bin/sh", "/bin/bash")),
    "script's flags": (
        "%post\n", "%post -e\n", ("scripts", "%post", "flags", None, "macros are expanded (-e)")),
    "trigger": (
        "echo triggered", "echo other",
        ("triggers", "%triggerin -- foo > 1", "script", "echo triggered", "echo other")),
    "trigger's condition": (
        "foo > 1", "foo > 2",
        ("triggers", "%triggerin -- foo > 1", "heading", "%triggerin -- foo > 1", "%triggerin -- foo > 2")),
    "requirement": (
        "coreutils >= 8", "coreutils >= 9", ("dependencies", "requires", "entry", None, "coreutils >= 9")),
    "weak dependency": (
        "AutoReqProv:", "Recommends: friend\nAutoReqProv:",
        ("dependencies", "recommends", "entry", None, "friend")),
    "another tag": (
        "https://example.org/", "https://example.com/",
        ("tags", "URL", "value", "https://example.org/", "https://example.com/")),
}  # fmt: skip
# What comes along, since rpmbuild writes it into other tags too: the package's own provides, requirements of scripts.
ALONG = {
    "release": {"dependencies"},
    "epoch": {"dependencies"},
    "capability": {"dependencies"},
    "hard link": {"dependencies"},
    "interpreter": {"dependencies"},
    "script's flags": {"dependencies"},
}


def build_text(text: str, folder: Path, builder: Builder = BUILDERS["marek"]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "sample.spec"
    spec.write_text(text)
    return build(Recipe(str(spec)), builder, folder)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff")


@pytest.fixture(scope="module")
def sample(folder: Path) -> Path:
    return build_text(SPEC, folder / "sample")


def diff(a: Path, b: Path, code: int) -> Dict[str, Any]:
    result = multisig("diff", "--json", a, b, check=False)
    assert result.rc == code and "Traceback" not in result.err, result.text
    return dict(json.loads(result.out))


@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (2, 0)])
def test_builds_of_one_source_by_different_people_are_the_same(shop: Workshop, pair: Tuple[int, int]) -> None:
    a, b = (shop.built(HELLO, "hello-1.0-1.noarch.rpm", THREE[number]) for number in pair)
    answer = diff(a, b, 0)
    assert answer["same"] is True and answer["differences"] == []
    assert {"BUILDHOST", "BUILDTIME", "PAYLOADCOMPRESSOR", "FILEMTIMES", "PAYLOADDIGEST"} <= set(answer["ignored"])
    assert "same content" in multisig("diff", a, b).out


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_source_is_named_in_its_group(sample: Path, folder: Path, name: str) -> None:
    old, new, expected = CHANGES[name]
    # The last place is the one in the file list.
    head, _, tail = SPEC.rpartition(old)
    other = build_text(f"{head}{new}{tail}", folder / name.replace(" ", "-").replace("'", ""), BUILDERS["rafal"])
    answer = diff(sample, other, 1)
    found = [tuple(item[key] for key in ("group", "what", "aspect", "a", "b")) for item in answer["differences"]]
    assert any(all(want in (..., got) for want, got in zip(expected, line)) for line in found), found
    assert {line[0] for line in found} <= {expected[0]} | ALONG.get(name, set()), found
    assert name in ALONG or {line[1] for line in found} == {expected[1]}, found


def test_the_first_differing_line_of_a_text_is_shown(sample: Path, folder: Path) -> None:
    other = build_text(SPEC.replace("seq 1 2000", "seq 1 2000 | sed s/1234/0000/"), folder / "line")
    [item] = diff(sample, other, 1)["differences"]
    offset = len("".join(f"{number}\n" for number in range(1, 1234)))
    assert item["where"] == {"offset": offset, "line": 1234, "a": "1234", "b": "0000"}
    result = multisig("diff", sample, other, check=False)
    assert result.rc == 1
    assert f"content: first difference at line 1,234, byte {offset:,} (counted from 0)\n        A  1234\n" in result.out


def test_the_first_differing_byte_of_a_binary_is_shown(sample: Path, folder: Path) -> None:
    poke = "head -c 300000 /dev/zero > zeros\nprintf X | dd of=zeros bs=1 seek=200005 conv=notrunc status=none\n"
    other = build_text(SPEC.replace("head -c 300000 /dev/zero > zeros\n", poke), folder / "byte", BUILDERS["joanna"])
    [item] = diff(sample, other, 1)["differences"]
    assert item["where"] == {"offset": 200005, "line": None, "a": "00" * 16, "b": "00" * 5 + "58" + "00" * 10}
    lines = multisig("diff", sample, other, check=False).out.splitlines()
    shown: Optional[List[str]] = [line.strip() for line in lines if "|" in line]
    assert shown == [
        "A  00030d40  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  |................|",
        "B  00030d40  00 00 00 00 00 58 00 00 00 00 00 00 00 00 00 00  |.....X..........|",
    ]


@pytest.mark.parametrize("side", [0, 1])
def test_a_tampered_payload_is_never_the_same_content(shop: Workshop, side: int) -> None:
    pair = [shop.rpm("hello-1.0-1"), shop.with_tampered_payload()]
    answer = diff(pair[side], pair[1 - side], 2)
    assert answer["same"] is False and answer["error"]["code"] == "payload-mismatch"
