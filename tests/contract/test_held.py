"""What is found under our names before a run begins: foreign values, labels in another place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, label_all, select
from tests.emulation import Proxy
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.config.settings import NeighborSettings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.wiring.choice import choose

pytestmark = pytest.mark.usefixtures("probed_once")
SIDE = LabelSettings(way="side-collection")
PLACES = [
    backends.LITE_FILE,
    backends.LITE_SERVER,
    "2.6",
    pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
]


@dataclass
class Place:
    client: MilvusClient
    connection: MilvusConnection
    name: str
    filled: zoo.Inserted

    def sink(self, settings: LabelSettings = ALLOWED, dry_run: bool = True, **chosen: Any) -> Any:
        return choose_sink(self.connection, select(self.name, **chosen), settings, dry_run=dry_run)

    def set(self, row: int, **values: Any) -> None:
        self.client.upsert(self.name, [self.filled.rows[row] | values])


@pytest.fixture
def place(
    request: pytest.FixtureRequest, emulate: Callable[[str], Proxy], collection_name: str
) -> Iterator[Place]:
    kind, known = request.param, backends.FIXTURES
    backend: Backend = (
        request.getfixturevalue(known[kind]) if kind in known else emulate(kind).backend
    )
    with backends.connected(backend) as client, connection_to(backend) as connection:
        yield Place(
            client, connection, collection_name, zoo.build(client, collection_name, PLAIN, rows=40)
        )
        for name in client.list_collections():
            if name.startswith(collection_name):
                client.drop_collection(name)


everywhere = pytest.mark.parametrize("place", PLACES, indirect=True)


@everywhere
@pytest.mark.parametrize("held", [{"cluster_id": "mine"}, {"cluster_path": "3/5"}])
def test_a_foreign_dynamic_key_is_refused_before_anything_is_read(
    place: Place, held: dict[str, Any]
) -> None:
    place.set(0, cluster_id=0)  # such a value stands for want of a label
    assert place.sink().way.name
    place.set(7, **held)
    key, name = place.filled.keys[7], next(iter(held))
    with pytest.raises(RefusedError, match=rf"row {key} .* already holds {name} = ") as refused:
        place.sink()
    assert "--adopt" in str(refused.value)
    assert place.sink(where=f"pk != {key}").way.name
    assert place.sink(replace(ALLOWED, adopt=True)).way.name
    assert place.sink(SIDE).way.name == "side-collection"


@pytest.mark.slow_on_server
@everywhere
def test_labels_of_our_own_are_not_foreign_and_go_stale_in_another_place(place: Place) -> None:
    assert place.sink().way.stale == place.sink(SIDE).way.stale == ""
    ladder = label_all(place.connection, place.name, replace(ALLOWED, way=place.sink().way.name))
    assert place.sink().way.stale == ""

    told = place.sink(SIDE).way.stale
    assert f"rows of {place.name!r} hold labels of earlier runs" in told

    side = label_all(place.connection, place.name, SIDE).way.target
    told = place.sink(replace(ALLOWED, way=ladder.way.name)).way.stale
    assert f"drop it: client.drop_collection({side!r})" in told
    place.client.drop_collection(side)
    assert place.sink(replace(ALLOWED, way=ladder.way.name)).way.stale == ""


@pytest.mark.parametrize("place", PLACES[:1], indirect=True)
def test_declared_labels_go_stale_too(place: Place) -> None:
    place.client.drop_collection(place.name)
    zoo.build(place.client, place.name, zoo.by_name("declared-int"), rows=40)
    assert place.sink(SIDE).way.stale == ""
    label_all(place.connection, place.name, ALLOWED)
    assert "cluster_run_id" in place.sink(SIDE).way.stale


@pytest.mark.parametrize("place", PLACES[:1], indirect=True)
def test_a_side_collection_of_an_earlier_collection_is_not_stale_but_of_no_account(
    place: Place,
) -> None:
    side = label_all(place.connection, place.name, SIDE).way.target
    place.client.drop_collection(place.name)
    zoo.build(place.client, place.name, zoo.by_name("two-vectors"), rows=40)
    assert place.client.has_collection(side)
    assert place.sink().way.stale == ""


@pytest.mark.parametrize("place", PLACES[:1], indirect=True)
def test_collections_of_our_own_are_not_clustered(place: Place) -> None:
    side = label_all(place.connection, place.name, SIDE).way.target
    scratch = "vdbcluster_probe_1700000000_0123abcd"
    zoo.create(place.client, scratch, PLAIN)
    for name, told in ((side, "holds labels that"), (scratch, "is a scratch collection")):
        found = profile(place.connection, name)
        with pytest.raises(UsageError, match=rf"{name}' {told}.*--collection"):
            choose(found, found.vectors[0], NeighborSettings())
    found = profile(place.connection, place.name)
    assert choose(found, found.vectors[0], NeighborSettings()).engine == "local"
