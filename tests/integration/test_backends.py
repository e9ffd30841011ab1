"""The backends that the tests start answer a plain client, and come back after a crash."""

from __future__ import annotations

from collections.abc import Callable

from pymilvus import MilvusClient

from tests.backends import Backend, LiteServer, lite_server


def test_backend_answers_and_names_its_version(client: MilvusClient, backend: Backend) -> None:
    version = client.get_server_version()

    assert ("2.3.5" in version) == (backend.name == "server-2.3.5")


def test_collection_is_made_and_searched(client: MilvusClient, collection_name: str) -> None:
    client.create_collection(collection_name, dimension=4, consistency_level="Strong")
    client.insert(collection_name, [{"id": i, "vector": [i, 1.0, 0.0, 0.0]} for i in range(3)])

    found = client.search(collection_name, [[0.0, 1.0, 0.0, 0.0]], limit=1)

    assert found[0][0]["id"] == 0


def test_lite_server_keeps_its_data_through_a_crash(
    connect: Callable[[Backend], MilvusClient],
) -> None:
    with lite_server() as server:
        connect(server.backend).create_collection("kept", dimension=4)
        _crash(server)
        assert connect(server.backend).list_collections() == ["kept"]
    assert not server.alive()


def _crash(server: LiteServer) -> None:
    before = server.pid
    server.kill()
    assert not server.alive()
    server.start()
    assert server.pid not in (None, before)
