"""Milvus 2.3.5 with TLS, users and databases, as ``test_secured.py`` runs it.

Not collected by itself: the server takes fixed ports, and the other tests have one already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.backends import RealServer, real_server
from tests.faults.certificates import Authority
from tests.faults.commands import told, vdbcluster
from tests.faults.wire import wire
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.tls import Tls
from vdbcluster.errors import UsageError

TOKEN = "root:Milvus"
ELSEWHERE, NAME, ROWS = "elsewhere", "docs", 200
TOKEN_VARIABLE = "VDBCLUSTER__MILVUS__TOKEN"


@dataclass(frozen=True)
class World:
    """A server that speaks TLS and asks who is there; a collection in a database of its own."""

    server: RealServer
    ca: Path

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def uri(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self, database: str = "") -> closing[MilvusClient]:
        return closing(
            MilvusClient(
                self.uri,
                token=TOKEN,
                db_name=database,
                server_pem_path=str(self.ca),
                dedicated=True,
            )
        )

    def refusal(self, token: str, database: str = "", uri: str = "") -> str:
        address = MilvusAddress(uri or self.uri, token, database, tls=Tls(ca=self.ca))
        with pytest.raises(UsageError) as raised, connect(address) as connection:
            connection.ask("listing", lambda client, _: client.list_collections())
        return str(raised.value)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    authority = Authority(tmp_path_factory.mktemp("tls"), "ca")
    shown = authority.sign("server", "127.0.0.1", "localhost")
    options = ["--authorization-enabled=true", "--tls-mode=1"]
    options += [f"--server-pem-path={shown.cert}", f"--server-key-path={shown.key}"]
    with real_server(options=tuple(options)) as server:
        made = World(server, authority.ca)
        with made.client() as client:
            client.create_database(ELSEWHERE)
            client.create_user("nobody", "no-rights-1")
        with made.client(ELSEWHERE) as client:
            zoo.build(client, NAME, zoo.by_name("plain-int"), rows=ROWS)
        yield made


def arguments(world: World, uri: str = "") -> list[str]:
    where = ["run", f"--uri={uri or world.uri}", f"--tls-ca={world.ca}", f"--collection={NAME}"]
    return [*where, "--min-cluster-size=10", "--write-way=side-collection"]


def test_a_run_in_a_database_of_its_own(world: World, tmp_path: Path) -> None:
    said = {TOKEN_VARIABLE: TOKEN}
    done = vdbcluster(tmp_path, *arguments(world), f"--db={ELSEWHERE}", **said)

    assert done.returncode == 0, done.stderr
    with world.client(ELSEWHERE) as client:
        counted = client.query(
            f"{NAME}_cluster_labels",
            "",
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        assert counted[0]["count(*)"] == ROWS
        assert any("_clusters_" in name for name in client.list_collections())
    with world.client() as client:
        assert client.list_collections() == []


def test_a_database_that_is_not_there(world: World, tmp_path: Path) -> None:
    done = vdbcluster(tmp_path, *arguments(world), "--db=nowhere", **{TOKEN_VARIABLE: TOKEN})
    assert "the database does not exist; check --db" in told(done, 2)


def test_a_wrong_password_is_not_tried_again(world: World, tmp_path: Path) -> None:
    with wire(world.port) as proxy:
        uri = f"https://127.0.0.1:{proxy.port}"
        done = vdbcluster(tmp_path, *arguments(world, uri), **{TOKEN_VARIABLE: "root:wrong"})
        taken = proxy.taken
    assert "the server refused the token; check --token" in told(done, 2)
    assert taken == 1
    assert "wrong" not in done.stderr.replace("refused", "")


def test_users_who_may_not(world: World) -> None:
    assert "refused the token; check --token" in world.refusal("")
    assert "refused the token; check --token" in world.refusal("nobody:no-rights-2")
    with_password = f"https://root:Milvus-2@127.0.0.1:{world.port}"
    told_of = world.refusal("", uri=with_password)
    assert "refused the token" in told_of
    assert "Milvus-2" not in told_of


def test_a_user_without_rights(world: World, tmp_path: Path) -> None:
    said = {TOKEN_VARIABLE: "nobody:no-rights-1"}
    done = vdbcluster(tmp_path, *arguments(world), f"--db={ELSEWHERE}", **said)
    assert "lacks the privilege; grant it or use another --token" in told(done, 2)


def test_a_password_in_the_address(world: World) -> None:
    uri = f"https://{TOKEN}@127.0.0.1:{world.port}"
    with connect(MilvusAddress(uri, database=ELSEWHERE, tls=Tls(ca=world.ca))) as connection:
        found = connection.ask("listing", lambda client, _: client.list_collections())
    assert NAME in found
    assert "Milvus@" not in connection.server.address
