"""What only a server can do to a catalogue: readers meanwhile, foreign names, faults, crashes."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from tests import backends
from tests.backends import Backend
from tests.contract.catalogue_worlds import (
    ODD_KEYS,
    MilvusWorld,
    catalogue_of,
    catalogue_on,
    shown,
)
from tests.contract.making import Shape, connection_to, make, some_vectors
from tests.emulation import Proxy, in_front_of
from tests.safety.kill_points import kill_at, run_through, spread
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.writeback.own import own_purpose
from vdbcluster.errors import BackendError, RefusedError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry

MANY, WIDE = 1000, 64


def many(identity: str, run: str) -> Catalogue:
    vectors = some_vectors(MANY, WIDE)
    entries = [
        CatalogueEntry(i, 10, i, centroid=vectors[i], name=run, description="of some length " * 20)
        for i in range(MANY)
    ]
    return Catalogue(tuple(entries), run, identity)


PATIENCE = 3
"""Errors in a row that a reader may get."""


class Readers:
    """Plain clients that read a catalogue over and over; ``seen`` counts what they got."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._backend, self._name, self._stop = backend, name, threading.Event()
        self._vector = some_vectors(1, WIDE)
        self._threads = [
            threading.Thread(target=self._run, args=(call,))
            for call in (self._all, self._strong, self._nearest)
        ]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, call: Any) -> None:
        failed = 0
        with backends.connected(self._backend) as client:
            while not self._stop.is_set():
                try:
                    got, expected = call(client)
                except MilvusException as error:  # a busy server says so now and then
                    failed += 1
                    if failed == PATIENCE:
                        self.wrong.append(f"{call.__name__}: {type(error).__name__}: {error}"[:300])
                        return
                    time.sleep(0.3)
                    continue
                failed = 0
                runs = {run for run, _ in got}
                if len(runs) != 1 or len(got) != len({i for _, i in got}) or len(got) != expected:
                    self.wrong.append(f"{call.__name__}: {len(got)} of {expected} rows of {runs}")
                self.seen[call.__name__] += 1

    def _all(self, client: MilvusClient, **more: Any) -> tuple[list[Any], int]:
        found = client.query(self._name, "size > 0", output_fields=["run_id"], limit=16384, **more)
        return [(row["run_id"], row["cluster_id"]) for row in found], MANY

    def _strong(self, client: MilvusClient) -> tuple[list[Any], int]:
        return self._all(client, consistency_level="Strong")

    def _nearest(self, client: MilvusClient) -> tuple[list[Any], int]:
        fields = ["cluster_id", "run_id"]
        (hits,) = client.search(self._name, data=self._vector, limit=300, output_fields=fields)
        return [(hit["entity"]["run_id"], hit["entity"]["cluster_id"]) for hit in hits], 300


@pytest.fixture
def world(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> Iterator[MilvusWorld]:
    held = MilvusWorld("INT64", client, connection, collection_name)
    yield held
    held.catalogue().remove()


@dataclass
class Near(MilvusWorld):
    """A world whose connection goes through a proxy; ``client`` does not."""

    proxy: Proxy = field(kw_only=True)
    backend: Backend = field(kw_only=True)


@pytest.fixture
def near(lite_server: Backend, collection_name: str) -> Iterator[Near]:
    with (
        in_front_of(lite_server) as proxy,
        backends.connected(lite_server) as client,
        connection_to(proxy.backend) as connection,
    ):
        name = collection_name
        held = Near("INT64", client, connection, name, proxy=proxy, backend=lite_server)
        yield held
        proxy.mend()
        held.catalogue().remove()
        client.drop_collection(held.name)


@pytest.mark.slow_on_server
def test_readers_never_see_a_mixture(
    backend: Backend, client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, Shape([1, 2], some_vectors(2, WIDE), "COSINE"))
    held = catalogue_on(connection, collection_name)
    identity = profile(connection, collection_name).identity
    held.replace(many(identity, "run-0"))

    with Readers(backend, held.name) as readers:
        for number in range(1, 3):
            held.replace(many(identity, f"run-{number}"))

    assert readers.wrong == []
    assert min(readers.seen[name] for name in ("_all", "_strong", "_nearest")) >= 2
    rows = client.query(held.name, "", output_fields=["name"], limit=MANY)
    assert {row["name"] for row in rows} == {"run-2"}
    held.remove()


def test_a_plain_client_filters_searches_and_edits(world: MilvusWorld) -> None:
    """The reader is there before the first replacement, so that whatever it keeps gets stale."""
    held, client, keys = world.catalogue(), world.client, ODD_KEYS["INT64"]
    stored = catalogue_of(world.identity(), keys)
    held.replace(stored)
    [before] = client.query(held.name, "cluster_id == 2", output_fields=["*"])
    client.upsert(held.name, [before | {"name": "edited", "hidden": True}])
    edited = held.read()
    assert edited is not None
    assert (edited.entries[1].name, edited.entries[1].hidden) == ("edited", True)
    assert shown(replace(edited, entries=stored.entries)) == shown(stored)

    held.replace(replace(edited, run_id="run-2"))

    level = {"consistency_level": "Strong"}
    found = client.query(
        held.name, 'state == "live" and stability >= 0.2', output_fields=["*"], **level
    )
    expected = [e for e in edited.entries if e.live and (e.stability or 0) >= 0.2]
    assert [row["cluster_id"] for row in found] == [e.id for e in expected]
    assert {row["run_id"] for row in found} == {"run-2"}
    assert [row["medoid_key"] for row in found] == [e.medoid_key for e in expected]
    assert [json.loads(row["exemplar_keys"]) for row in found] == [
        list(e.exemplar_keys) for e in expected
    ]
    assert [tuple(json.loads(row["keywords"])) for row in found] == [e.keywords for e in expected]
    unmeasured = client.query(held.name, "stability < 0", output_fields=["stability"])
    assert len(unmeasured) == sum(e.stability is None for e in edited.entries)
    assert client.query(held.name, "pinned == true and hidden == false", output_fields=["name"])
    (hits,) = client.search(
        held.name, data=[stored.entries[5].centroid], limit=3, output_fields=["cluster_id", "name"]
    )
    assert hits[0]["entity"]["cluster_id"] == stored.entries[5].id
    assert hits[0]["entity"]["name"] == stored.entries[5].name
    client.release_collection(client.describe_collection(held.name)["collection_name"])
    assert shown(held.read()) == shown(replace(edited, run_id="run-2"))


@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
def test_centroids_are_searched_by_the_metric_of_the_collection(
    lite_file: Backend, lite: tuple[MilvusClient, MilvusConnection], metric: str
) -> None:
    client, connection = lite
    world = MilvusWorld("INT64", client, connection, "docs", metric)
    held, stored = world.catalogue(), catalogue_of(world.identity(), range(9))

    held.replace(stored)

    found = profile(connection, held.name)
    assert [(v.name, v.metric) for v in found.vectors] == [("centroid", metric)]
    assert own_purpose(found)
    query = some_vectors(1, 4)[0] * 3
    (hits,) = client.search(held.name, data=[query], limit=9, search_params={"metric_type": metric})
    centroids = np.array([e.centroid for e in stored.entries])
    away = ((centroids - query) ** 2).sum(1) if metric == "L2" else -(centroids @ query)
    assert [hit["cluster_id"] for hit in hits] == [2 * i for i in np.argsort(away)]


@pytest.mark.server
def test_clusters_of_binary_vectors_have_no_centroid(real_server: Backend) -> None:
    name = "binary_docs"
    with backends.connected(real_server) as client, connection_to(real_server) as connection:
        bits = np.random.default_rng(0).integers(0, 256, (3, 2)).astype(np.uint8)
        shape = Shape([1, 2, 3], bits, "HAMMING", "BIN_FLAT", type=DataType.BINARY_VECTOR)
        make(client, name, shape)
        held = catalogue_on(connection, name)
        plain = catalogue_of(profile(connection, name).identity, [1, 2])
        stored = replace(plain, entries=tuple(replace(e, centroid=None) for e in plain.entries))

        held.replace(stored)

        assert shown(held.read()) == shown(stored)
        assert [v.name for v in profile(connection, held.name).vectors] == ["no_centroid"]
        held.remove()
        client.drop_collection(name)


@pytest.mark.parametrize(
    ("backend", "how"),
    [
        (backends.LITE_FILE, "collection"),
        (backends.LITE_SERVER, "alias"),
        pytest.param(backends.REAL_SERVER, "alias", marks=pytest.mark.server),
    ],
    indirect=["backend"],
)
def test_what_is_not_ours_is_not_touched(world: MilvusWorld, how: str) -> None:
    client, name = world.client, f"{world.name}_clusters"
    theirs = name if how == "collection" else f"{world.name}_other"
    make(client, theirs, Shape([1, 2], some_vectors(2)))
    if how == "alias":
        client.create_alias(theirs, name)
    held = world.catalogue()

    for call in (held.read, held.remove, lambda: held.replace(catalogue_of(world.identity(), [1]))):
        with pytest.raises(RefusedError, match=r"not of vdbcluster.*--catalogue-name"):
            call()

    assert len(client.query(theirs, "", output_fields=["n"], limit=9)) == 2
    assert client.describe_collection(name)["collection_name"] == theirs
    assert {n for n in client.list_collections() if n.startswith(world.name)} == {
        world.name,
        theirs,
    }
    client.drop_alias(name) if how == "alias" else client.drop_collection(name)


def test_a_catalogue_that_somebody_dropped_comes_back(world: MilvusWorld) -> None:
    """2.3.5 keeps its alias, which leads nowhere and can neither be seen nor made."""
    held = world.catalogue()
    held.replace(catalogue_of(world.identity(), [1, 2]))
    [behind] = world.behind()
    world.client.drop_collection(behind)
    assert held.read() is None
    again = catalogue_of(world.identity(), [1, 2, 3], run="run-2")

    held.replace(again)

    assert shown(held.read()) == shown(again)


def test_a_row_that_cannot_be_read_is_told(near: Near) -> None:
    held = near.catalogue()
    held.replace(catalogue_of(near.identity(), [1, 2]))
    [row] = near.client.query(held.name, "cluster_id == 2", output_fields=["*"])
    near.client.upsert(held.name, [row | {"keywords": "not JSON"}])

    with pytest.raises(BackendError, match=r"cluster 2 .*keywords is no JSON"):
        held.read()


@pytest.mark.parametrize("method", ["CreateCollection", "Upsert", "CreateAlias", "AlterAlias"])
def test_an_answer_that_is_lost_does_no_harm(near: Near, method: str) -> None:
    held = near.catalogue()
    if method == "AlterAlias":
        held.replace(catalogue_of(near.identity(), [1, 2]))
    stored = catalogue_of(near.identity(), [1, 2, 3], run="run-2")
    near.proxy.cut_after(method)
    mending = threading.Thread(target=_mend_when_gone, args=(near.proxy,))
    mending.start()

    held.replace(stored)

    mending.join()
    assert shown(held.read()) == shown(stored)


def _mend_when_gone(proxy: Proxy) -> None:
    while not proxy.gone:
        time.sleep(0.01)
    proxy.mend()


def test_a_failed_replacement_leaves_the_old_one_and_nothing_else(near: Near) -> None:
    held, first = near.catalogue(), catalogue_of(near.identity(), [1, 2])
    held.replace(first)
    before = near.behind()
    near.proxy.fail_next("Upsert", grpc.StatusCode.INVALID_ARGUMENT, "no", 1)

    with pytest.raises(BackendError):
        held.replace(catalogue_of(near.identity(), [3], run="run-2"))

    assert near.behind() == before
    assert shown(held.read()) == shown(first)


def test_reading_starts_again_when_the_generation_goes_away(near: Near) -> None:
    held, other = near.catalogue(), catalogue_on(near.connection, near.name)
    held.replace(catalogue_of(near.identity(), [1, 2]))
    latest = catalogue_of(near.identity(), [5], run="run-3")

    def twice(_: Any) -> None:
        with connection_to(near.backend) as direct:
            beside = catalogue_on(direct, near.name)
            beside.replace(catalogue_of(near.identity(), [4], run="run-2"))
            beside.replace(latest)

    near.proxy.before("Query", twice)

    assert shown(other.read()) == shown(latest)


CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.contract.catalogue_worlds import catalogue_of, catalogue_on
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.profile import profile
with connect(MilvusAddress(sys.argv[2])) as milvus:
    identity = profile(milvus, sys.argv[3]).identity
    catalogue_on(milvus, sys.argv[3]).replace(catalogue_of(identity, range(40), run=sys.argv[4]))
"""


@pytest.mark.slow
def test_killed_anywhere_the_next_replacement_finishes(near: Near, tmp_path: Path) -> None:
    held, root = near.catalogue(), str(Path(__file__).parents[2])
    held.replace(catalogue_of(near.identity(), range(9), run="old"))

    def command(run: str) -> list[str]:
        argv = [sys.executable, "-c", CHILD, root, near.proxy.backend.uri]
        return [*argv, near.name, run]

    usual = run_through(command("run-usual"), near.proxy, tmp_path)
    assert usual.code == 0, usual.output
    killed, wholes = 0, {"run-usual": 40}
    for number, point in enumerate(spread(6, 0)):
        run = f"run-{number}"
        ended = kill_at(command(run), near.proxy, tmp_path, point, usual)
        killed += ended.killed
        rows = near.client.query(held.name, "", output_fields=["run_id"], limit=99)
        seen = Counter(row["run_id"] for row in rows)
        assert seen in (Counter(wholes), Counter({run: 40})), point
        finished = catalogue_of(near.identity(), range(7), run=f"{run}-finished")

        held.replace(finished)

        assert shown(held.read()) == shown(finished)
        assert len(near.behind()) == 2
        wholes = {f"{run}-finished": 7}
    assert killed >= 5


def test_a_server_that_crashes_brings_it_back(tmp_path: Path) -> None:
    with backends.lite_server(tmp_path / "data") as server, connection_to(server.backend) as milvus:
        with backends.connected(server.backend) as client:
            world = MilvusWorld("INT64", client, milvus, "docs")
        stored = catalogue_of(world.identity(), range(40))
        world.catalogue().replace(stored)

        server.kill()
        server.start()

        assert shown(catalogue_on(milvus, "docs").read()) == shown(stored)
