# SPDX-License-Identifier: GPL-2.0-or-later
"""Mirror lists and metalinks, good ones and odd ones."""

from __future__ import annotations

import contextlib
from typing import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multisig.errors import MetadataError
from multisig.mirrorlists import MAX_LIST, mirrors_of_list, mirrors_of_metalink

LIST = b"""# repo = demo
http://one.example/demo/
  https://two.example/demo\r
ftp://three.example/demo/

http://four.example/$releasever/
http://one.example/demo
file:///etc/
/etc
http://five.example/a b
"""


def metalink(*urls: str, name: str = "repomd.xml", before: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="utf-8"?>{before}
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files><file name="{name}"><mm0:timestamp>1</mm0:timestamp><size>1</size>
  <verification><hash type="sha256">00</hash></verification>
  <resources maxconnections="1">{"".join(urls)}</resources>
 </file></files>
</metalink>""".encode()


def url(host: str, preference: str = "100", path: str = "/demo/repodata/repomd.xml", scheme: str = "https") -> str:
    return f'<url protocol="{scheme}" type="{scheme}" preference="{preference}">{scheme}://{host}{path}</url>'


def test_of_a_mirror_list_web_addresses_are_taken_each_once() -> None:
    assert mirrors_of_list(LIST) == ("http://one.example/demo", "https://two.example/demo")


def test_a_mirror_list_of_anything_else_is_an_empty_one() -> None:
    assert mirrors_of_list(b"") == mirrors_of_list(b"\xff\0" * 999) == mirrors_of_list(b"http://" + b"x" * 9999) == ()
    assert len(mirrors_of_list(b"".join(b"http://%d/\n" % number for number in range(5000)))) == 1000


def test_the_urls_of_a_metalink_by_preference() -> None:
    urls = (url("b", "90"), url("a", "91", scheme="http"), url("c", "odd"), url("d", "9" * 5000), url("e", "-5"))
    found = mirrors_of_metalink(metalink(*urls))
    assert found[:2] == ("http://a/demo", "https://b/demo") and set(found[2:]) == {
        "https://c/demo", "https://d/demo", "https://e/demo",
    }  # fmt: skip


def test_what_is_no_mirror_of_this_repomd_xml_is_none() -> None:
    assert mirrors_of_metalink(metalink(url("a"), name="other.xml")) == ()
    urls = (url("a", path="/demo/other.xml"), url("b", scheme="ftp"), url("c", path="/$x/repodata/repomd.xml"))
    assert mirrors_of_metalink(metalink(*urls)) == ()


ODD: Mapping[str, bytes] = {
    "empty": b"",
    "no XML": b"It works!",
    "cut off": metalink(url("a"))[:-9],
    "a DOCTYPE": metalink(url("a"), before='<!DOCTYPE x [<!ENTITY a "b">]>'),
    "deep": b"<a>" * 5000,
    "too large": metalink(url("a")) + b" " * MAX_LIST,
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_an_odd_metalink_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataError):
        mirrors_of_metalink(data)


@given(st.binary(max_size=200))
def test_whatever_it_is_it_gives_web_addresses_or_an_error(data: bytes) -> None:
    assert all(found.startswith("http") for found in mirrors_of_list(data))
    with contextlib.suppress(MetadataError):
        assert all(found.startswith("http") for found in mirrors_of_metalink(data))
