# SPDX-License-Identifier: GPL-2.0-or-later
"""The server that the end-to-end tests lean on plays the faults it is told to."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Iterator

import pytest

from fixtures.server import Fault, Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    web = tmp_path / "web"
    web.mkdir()
    (web / "a.txt").write_bytes(b"0123456789")
    (tmp_path / "secret").write_bytes(b"secret")
    with Server(web) as running:
        yield running


def get(server: Server, path: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, headers=headers), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_files_are_served_and_counted(server: Server) -> None:
    assert get(server, "/a.txt") == (200, b"0123456789")
    assert get(server, "/b.txt") == (404, b"")
    assert (server.count(), server.count("/a*"), server.requested) == (2, 1, ["/a.txt", "/b.txt"])


def test_nothing_outside_the_folder_is_served(server: Server) -> None:
    assert get(server, "/../secret")[0] == 404
    assert get(server, "/%2e%2e/secret")[0] == 404


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=7-99", 206, b"789"),
        ("bytes=99-", 416, b""),
    ],
)
def test_ranges(server: Server, asked: str, status: int, body: bytes) -> None:
    assert get(server, "/a.txt", Range=asked) == (status, body)


def test_a_connection_is_kept_for_the_next_request(server: Server) -> None:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=30)
    for _ in range(3):
        connection.request("GET", "/a.txt")
        assert connection.getresponse().read() == b"0123456789"
    connection.close()


def test_status_body_and_redirect(server: Server) -> None:
    server.fault("/s", Fault(status=503))
    server.fault("/r", Fault(redirect="/a.txt"))
    server.fault("/x", Fault(body=b"instead"))
    assert [get(server, path) for path in ("/s", "/r", "/x")] == [(503, b""), (200, b"0123456789"), (200, b"instead")]
    server.heal()
    assert get(server, "/x") == (404, b"")


def test_a_login_is_asked_for(server: Server) -> None:
    server.fault("*", Fault(login="a:b"))
    assert get(server, "/a.txt") == (401, b"")
    assert get(server, "/a.txt", Authorization="Basic YTpi") == (200, b"0123456789")


def test_a_truncated_body_ends_early(server: Server) -> None:
    server.fault("*", Fault(truncate=4))
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(server, "/a.txt")
    assert caught.value.partial == b"0123"


def test_an_endless_body_goes_on_until_the_client_hangs_up(server: Server) -> None:
    server.fault("*", Fault(endless=True))
    with urllib.request.urlopen(server.url + "/a.txt", timeout=30) as answer:
        assert len(answer.read(5_000_000)) == 5_000_000


def test_a_drip_takes_its_time_and_does_not_hold_up_the_end(server: Server) -> None:
    server.fault("*", Fault(drip=3600.0))
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", "/a.txt")
    answer = connection.getresponse()
    # The answer itself may take as long as a busy machine needs; what follows it comes byte by byte.
    connection.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        answer.read()
    connection.close()
