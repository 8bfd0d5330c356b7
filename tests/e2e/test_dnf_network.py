# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles come by the repository's own settings, whatever stands in between: proxies, TLS, redirects."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.installroot import Repo
from fixtures.proxy import Proxy
from fixtures.server import Fault, Server
from fixtures.tls import Certificates, make_certificates
from tests.e2e.conftest import THREE, Stage

HELLO = {"hello-1.0-1.noarch"}
LOGIN = "ann:s3cret"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def test_through_the_repository_s_proxy_and_its_login(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    with Proxy(LOGIN) as proxy:
        user, password = LOGIN.split(":")
        options = f"proxy={proxy.url}\nproxy_username={user}\nproxy_password={password}\nproxy_auth_method=basic"
        system = stage.system(Repo("demo", repo.url, options))
        result = system.dnf("install", "hello")
        assert result.rc == 0 and system.installed() == HELLO, result.text
        assert f"{repo.url}/hello-1.0-1.noarch.rpm.msig" in proxy.requested


def test_by_tls_with_a_private_authority(stage: Stage, certificates: Certificates) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    with Server(stage.web, certificates=certificates) as server:
        url = server.url + repo.url[len(stage.server.url) :]
        system = stage.system(Repo("demo", url, f"sslcacert={certificates.authority}"))
        result = system.dnf("install", "hello")
        assert result.rc == 0 and system.installed() == HELLO, result.text
        assert server.count("*.msig") == 1


def test_by_tls_that_nobody_vouches_for(stage: Stage, certificates: Certificates) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    with Server(stage.web, certificates=certificates) as server:
        system = stage.system(Repo("demo", server.url + repo.url[len(stage.server.url) :]))
        result = system.dnf("install", "hello")
        assert result.rc != 0 and system.installed() == set(), result.text
        assert server.count("*.msig") == 0


def test_a_bundle_that_lies_elsewhere_by_a_redirect(stage: Stage, tmp_path: Path) -> None:
    """Where evidence comes from is of no account, only whose signatures are in it."""
    repo = stage.publish({"hello-1.0-1": THREE})
    (tmp_path / "elsewhere").write_bytes(stage.shop.bundle("hello-1.0-1", THREE).read_bytes())
    with Server(tmp_path) as elsewhere:
        stage.server.fault("*.msig", Fault(redirect=f"{elsewhere.url}/elsewhere"))
        system = stage.system(repo)
        result = system.dnf("install", "hello")
        assert result.rc == 0 and system.installed() == HELLO, result.text
        assert elsewhere.count("/elsewhere") == 1


def test_a_redirect_to_itself_comes_to_an_end(stage: Stage) -> None:
    repo = stage.publish({"hello-1.0-1": THREE})
    stage.server.fault("*.msig", Fault(redirect=f"{repo.url}/hello-1.0-1.noarch.rpm.msig"))
    system = stage.system(repo)
    result = system.dnf("install", "hello")
    assert result.rc == 1 and "refused" in result.text and system.installed() == set(), result.text


def test_a_redirect_to_a_local_file_reads_nothing_of_it(stage: Stage) -> None:
    """A mirror must not make the machine read what it names, approved or not."""
    beside = stage.shop.bundle("hello-1.0-1", THREE)
    stage.server.fault("*.msig", Fault(redirect=beside.as_uri()))
    system = stage.system(stage.publish({"hello-1.0-1": THREE}))
    result = system.dnf("install", "hello")
    assert result.rc == 1 and "refused" in result.text and system.installed() == set(), result.text
