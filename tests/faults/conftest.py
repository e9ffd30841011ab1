"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import zoo
from tests.backends import Backend, connected
from tests.emulation import Proxy
from tests.faults.world import HNSW, World
from tests.safety.conftest import _probed_once  # noqa: F401  it applies by being here


@pytest.fixture
def world(
    proxied: Callable[[Backend], Proxy],
    lite_server: Backend,
    collection_name: str,
    tmp_path: Path,
) -> Iterator[Callable[..., World]]:
    made: list[World] = []
    with connected(lite_server) as client:

        def make(specimen: zoo.Specimen = HNSW, proxy: Proxy | None = None) -> World:
            there = proxy or proxied(lite_server)
            made.append(World(there, client, collection_name, tmp_path, specimen))
            return made[-1]

        yield make
        for name in client.list_collections():
            if made and name.startswith(collection_name):
                for alias in client.list_aliases(name).get("aliases", []):
                    client.drop_alias(alias)
                client.drop_collection(name)
