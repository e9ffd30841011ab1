"""TLS: what passes, and the one line for everything that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends import Backend
from tests.emulation import in_front_of
from tests.faults.certificates import Authority, Signed, credentials
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.tls import Tls
from vdbcluster.errors import UsageError


@dataclass(frozen=True)
class World:
    """Authorities, certificates of theirs, and a way to serve Milvus Lite under one."""

    ours: Authority
    others: Authority
    good: Signed
    client: Signed
    plain: str
    serve: Callable[..., str]
    folder: Path


@pytest.fixture(scope="module")
def world(lite_server: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tls")
    ours, others = Authority(folder, "ours"), Authority(folder, "others")
    with ExitStack() as stack:

        def serve(shown: Signed, clients: Authority | None = None) -> str:
            proxy = in_front_of(lite_server, credentials=credentials(shown, clients))
            return stack.enter_context(proxy).backend.uri

        yield World(
            ours=ours,
            others=others,
            good=ours.sign("good", "127.0.0.1", "localhost"),
            client=ours.sign("client"),
            plain=lite_server.uri,
            serve=serve,
            folder=folder,
        )


def refusal(uri: str, tls: Tls) -> str:
    with pytest.raises(UsageError) as raised:
        connect(MilvusAddress(uri, tls=tls))
    line = str(raised.value)
    assert "\n" not in line
    return line


def test_the_right_authority_passes(world: World) -> None:
    with connect(MilvusAddress(world.serve(world.good), tls=Tls(ca=world.ours.ca))) as connection:
        assert connection.is_lite


def test_a_client_certificate_passes_where_one_is_wanted(world: World) -> None:
    tls = Tls(world.ours.ca, world.client.cert, world.client.key)
    with connect(MilvusAddress(world.serve(world.good, world.ours), tls=tls)) as connection:
        assert connection.is_lite


def test_a_name_other_than_that_of_the_address(world: World) -> None:
    uri = world.serve(world.ours.sign("elsewhere", "milvus.example"))

    assert "Hostname Verification Check failed" in refusal(uri, Tls(ca=world.ours.ca))
    with connect(MilvusAddress(uri, tls=Tls(ca=world.ours.ca, name="milvus.example"))) as there:
        assert there.is_lite


def test_connections_do_not_share_their_trust(world: World) -> None:
    """The client library would hand out the first connection again, whatever the authority."""
    uri = world.serve(world.good)
    with connect(MilvusAddress(uri, tls=Tls(ca=world.ours.ca))):
        assert "certificate is not accepted" in refusal(uri, Tls(ca=world.others.ca))


@pytest.mark.parametrize("system", [False, True])
def test_a_wrong_authority(world: World, system: bool) -> None:
    tls = Tls() if system else Tls(ca=world.others.ca)
    told = refusal(world.serve(world.good), tls)
    assert "the server's certificate is not accepted; check --tls-ca" in told
    assert "unable to get local issuer certificate" in told


def test_an_expired_certificate(world: World) -> None:
    uri = world.serve(world.ours.sign("expired", "127.0.0.1", days=-1))
    assert "certificate has expired" in refusal(uri, Tls(ca=world.ours.ca))


def test_a_missing_client_certificate(world: World) -> None:
    uri = world.serve(world.good, world.ours)
    assert "asks for a client certificate; pass --tls-cert" in refusal(uri, Tls(ca=world.ours.ca))


def test_a_client_certificate_of_somebody_else(world: World) -> None:
    stranger = world.others.sign("stranger")
    uri = world.serve(world.good, world.ours)
    told = refusal(uri, Tls(world.ours.ca, stranger.cert, stranger.key))
    assert f"does not take the client certificate {stranger.cert}" in told


def test_a_server_without_tls(world: World) -> None:
    uri = world.plain.replace("http:", "https:")
    assert "write http:// instead of https://" in refusal(uri, Tls(ca=world.ours.ca))


def test_a_server_with_tls_that_is_called_without(world: World) -> None:
    uri = world.serve(world.good).replace("https:", "http:")
    assert "write https:// instead of http://" in refusal(uri, Tls())


def test_options_that_cannot_be_right(world: World, tmp_path: Path) -> None:
    uri, ca = world.serve(world.good), world.ours.ca
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    cert, key = world.client.cert, world.client.key
    for wrong, told in (
        (Tls(ca=tmp_path / "none.pem"), "none.pem (--tls-ca) cannot be read: No such file"),
        (Tls(ca=tmp_path), "(--tls-ca) cannot be read: Is a directory"),
        (Tls(ca=junk), "junk.pem (--tls-ca) holds no certificate in PEM"),
        (Tls(ca=ca, cert=cert), "--tls-cert and --tls-key belong together"),
        (Tls(cert=cert, key=key), "pass --tls-ca as well"),
        (Tls(ca, cert, world.good.key), "are no certificate and its key in PEM"),
        (Tls(ca, cert, junk), "are no certificate and its key in PEM"),
    ):
        assert told in refusal(uri, wrong)
    assert "begins with https://" in refusal(world.plain, Tls(ca=ca))
