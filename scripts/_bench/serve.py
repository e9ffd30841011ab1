"""How much longer a search through ``vdbcluster serve`` takes than the plain client.

In: a server, rows, labels by nearest of ``CLUSTERS`` random centres. Out: milliseconds by case.
Promise: every question is asked in each way, one after the other, in an order that turns, of the
same running server, with the same filter, index effort and fields; a text stands for the vector of
a row, so that no time of a model is in it. What comes out of the ways is compared.

    plain      client.search with filter cluster_id in [c]; labels beside the rows: the keys of the
               cluster by query, then a search among these
    adapter    the same through MilvusLive, in this process
    api        GET /api/search?q=...&cluster=c&facets=false over HTTP
    api+facets the same with the counts of clusters among the 1,000 nearest rows
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from scripts._bench.vectors import DIM, vectors
from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.effort import search_params
from vdbcluster.adapters.milvus.live import MilvusLive
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.model.labels import LabelBatch, LabelFields
from vdbcluster.model.live import Chosen
from vdbcluster.pipeline.browse import Browser
from vdbcluster.pipeline.browse_map import MapShelf
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.pipeline.browse_shelf import Shelf
from vdbcluster.pipeline.browse_text import TextSearch
from vdbcluster.ports.embedder import BatchLimits
from vdbcluster.server.access import Access
from vdbcluster.server.app import create_app
from vdbcluster.server.listen import listening

CLUSTERS, LIMIT, BATCH = 50, 20, 2_000
RUN = "20260301T030000-abc123"
FIELDS = ("title",)
Ask = Callable[[int, int], list[str]]
"""Row whose vector is searched for, cluster -> keys that were found."""


@dataclass
class Timed:
    """Milliseconds of each question, by way; ``same``: share of keys that plain finds too."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    same: dict[str, list[float]] = field(default_factory=dict)

    def median(self, way: str) -> float:
        return statistics.median(self.ms[way])


@dataclass(frozen=True)
class Made:
    """``points (n, d)``, ``labels (n,)``; ``beside``: labels are in a side collection."""

    uri: str
    name: str
    points: np.ndarray
    labels: np.ndarray
    beside: bool


def made(uri: str, rows: int, seed: int, *, beside: bool, server: bool) -> Made:
    """Build the collection with its labels and a catalogue."""
    points = vectors(rows, seed)
    centers = np.random.default_rng(seed).choice(rows, CLUSTERS, replace=False)
    labels = np.argmax(points @ points[centers].T, axis=1).astype(np.int64)
    name = f"bench_serve_{'beside' if beside else 'rows'}"
    found = Made(uri, name, points, labels, beside)
    with connect(MilvusAddress(uri)) as connection:
        _collection(connection, found, server)
        _labelled(connection, found)
        _catalogue(connection, found)
    return found


def _collection(connection: MilvusConnection, made: Made, server: bool) -> None:
    def build(client: Any, _: float) -> None:
        from pymilvus import DataType

        if client.has_collection(made.name):
            client.drop_collection(made.name)
        schema = client.create_schema(enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("title", DataType.VARCHAR, max_length=200)
        if not made.beside:
            schema.add_field("cluster_id", DataType.INT64)
            schema.add_field("cluster_probability", DataType.FLOAT)
            schema.add_field("cluster_outlier_score", DataType.FLOAT)
            schema.add_field("cluster_run_id", DataType.VARCHAR, max_length=128)
            schema.add_field("cluster_assignment", DataType.VARCHAR, max_length=16)
        client.create_collection(made.name, schema=schema)
        for start in range(0, len(made.points), BATCH):
            part = range(start, min(start + BATCH, len(made.points)))
            client.insert(made.name, [_row(made, i) for i in part])
        client.flush(made.name)
        index = client.prepare_index_params()
        hnsw = {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}
        kind = hnsw if server else {"index_type": "FLAT"}
        index.add_index("vector", metric_type="COSINE", **kind)
        if not made.beside:
            index.add_index("cluster_id", index_type="STL_SORT" if server else "INVERTED")
        client.create_index(made.name, index)
        client.load_collection(made.name)

    connection.tell("building", build)
    while True:  # the server indexes behind our back
        source = MilvusSource(connection, Selection(made.name))
        if not source.vector.unindexed_rows and source.count() == len(made.points):
            return
        time.sleep(0.5)


def _row(made: Made, i: int) -> dict[str, Any]:
    row = {"id": i, "vector": made.points[i], "title": f"title of row {i}"}
    if made.beside:
        return row
    return row | {
        "cluster_id": int(made.labels[i]),
        "cluster_probability": 1.0,
        "cluster_outlier_score": 0.0,
        "cluster_run_id": RUN,
        "cluster_assignment": "core",
    }


def _labelled(connection: MilvusConnection, made: Made) -> None:
    if not made.beside:
        return
    n = len(made.labels)
    sink = choose_sink(connection, Selection(made.name), LabelSettings(way="side-collection"))
    sink.prepare()
    batch = LabelBatch.blank(np.arange(n))
    batch.cluster_id[:] = made.labels
    batch.run_ids[:], batch.assignment[:] = RUN, "core"
    sink.write(batch, "_default")
    sink.finish()


def _catalogue(connection: MilvusConnection, made: Made) -> None:
    found = profile(connection, made.name)
    catalogue = MilvusCatalogue(Target(connection, found), found.vectors[0])
    entries = []
    for cluster in range(CLUSTERS):
        mine = np.flatnonzero(made.labels == cluster)
        if mine.size:
            middle = made.points[mine].mean(axis=0)
            words = (f"word {cluster}",)
            entries.append(
                CatalogueEntry(cluster, mine.size, int(mine[0]), (), middle, "", "", words)
            )
    catalogue.replace(Catalogue(tuple(entries), RUN, found.identity))


class _Rows:
    """An embedder whose texts are numbers of rows."""

    description, limits, usage = "rows", BatchLimits(64, 1_000), SimpleNamespace()

    def __init__(self, points: np.ndarray) -> None:
        self._points = points

    def tokens(self, text: str) -> int:
        return len(text)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self._points[[int(text) if text.isdigit() else 0 for text in texts]]

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def served(made: Made, folder: Path) -> Iterator[tuple[int, MilvusLive]]:
    """The port of the API, and what stands behind it."""
    import uvicorn

    with connect(MilvusAddress(made.uri)) as connection:
        live = MilvusLive(connection, Selection(made.name), LabelFields())
        runs = RunDirectory(folder)
        found = profile(connection, made.name)
        catalogue = MilvusCatalogue(Target(connection, found), found.vectors[0])
        texts = TextSearch(lambda: _Rows(made.points), lambda: live.vector_field)
        shelf = Shelf(lambda: catalogue, runs, "cluster_")
        browser = Browser(live, shelf, texts, ours=LabelFields().every)
        app = create_app(Services(browser, MapShelf(runs, "cluster_"), runs), Access())
        sock = listening("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        try:
            yield int(sock.getsockname()[1]), live
        finally:
            server.should_exit = True
            thread.join()
            sock.close()
            shelf.close()
            live.close()


def measure(made: Made, questions: int, seed: int, folder: Path) -> Timed:
    """See the module."""
    from tests.backends import Backend, connected

    with connected(Backend("", made.uri)) as client, served(made, folder) as (port, live):
        http_client = http.client.HTTPConnection("127.0.0.1", port)
        field_ = live.vector_field
        ways: dict[str, Ask] = {
            "plain": lambda row, cluster: _plain(client, made, field_, row, cluster),
            "adapter": lambda row, cluster: [
                str(one.key)
                for one in live.search(made.points[row], Chosen((cluster,)), FIELDS, LIMIT)
            ],
            "api": lambda row, cluster: _asked(http_client, row, cluster, facets="false"),
            "api+facets": lambda row, cluster: _asked(http_client, row, cluster, facets="true"),
        }
        return _timed(ways, made, questions, seed)


def _timed(ways: dict[str, Ask], made: Made, questions: int, seed: int) -> Timed:
    found = Timed({way: [] for way in ways}, {way: [] for way in ways})
    rng = np.random.default_rng(seed + 1)
    names = list(ways)
    for number in range(questions + 3):
        row, cluster = int(rng.integers(len(made.points))), int(rng.integers(CLUSTERS))
        keys: dict[str, list[str]] = {}
        for way in names[number % len(names) :] + names[: number % len(names)]:
            start = time.perf_counter()
            keys[way] = ways[way](row, cluster)
            if number >= 3:  # the first warm up
                found.ms[way].append(1000 * (time.perf_counter() - start))
        for way in names:
            common = len(set(keys[way]) & set(keys["plain"])) / max(1, len(keys["plain"]))
            found.same[way].append(common)
    return found


def _plain(client: Any, made: Made, field_: Any, row: int, cluster: int) -> list[str]:
    where = f"cluster_id in [{cluster}]"
    if made.beside:
        side = f"{made.name}_cluster_labels"
        keys = client.query(side, where, output_fields=["id"], limit=16_384)
        where = f"id in {[key['id'] for key in keys]}"
    params = search_params(field_, LIMIT, "medium")
    fields = ["id", "title"] if made.beside else ["id", "title", "cluster_id"]
    hits = client.search(
        made.name,
        data=[made.points[row]],
        anns_field="vector",
        filter=where,
        limit=LIMIT,
        output_fields=fields,
        search_params={"metric_type": "COSINE", "params": params},
        consistency_level="Bounded",
    )
    return [str(hit["id"]) for hit in hits[0]]


def _asked(
    connection: http.client.HTTPConnection, row: int, cluster: int, facets: str
) -> list[str]:
    asked = {"q": str(row), "cluster": cluster, "limit": LIMIT, "facets": facets}
    connection.request("GET", "/api/search?" + urllib.parse.urlencode(asked))
    answer = connection.getresponse()
    found = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"the API says {found}")
    return [one["key"] for one in found["rows"]]
