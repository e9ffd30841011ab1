"""A graph that Milvus searches shard by shard is the one that it searches at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests.backends import Backend
from tests.contract.making import Shape, connection_to, make
from tests.contract.test_neighbors_milvus import rows_of, unit_vectors
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.milvus.search import MilvusNeighbors, SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.graph.distance import prepare
from vdbcluster.pipeline.graph_shards import SearchHere, bounds_for, graph_in_shards
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.room import Room

N, K = 240, 8


@pytest.mark.parametrize("metric", [pytest.param("chord", marks=pytest.mark.slow), "angular"])
def test_equal_to_the_whole(
    client: MilvusClient, backend: Backend, collection_name: str, tmp_path: Path, metric: str
) -> None:
    vectors = unit_vectors(N)
    vectors[100:130] = vectors[100]  # more equal rows than neighbours are asked for
    make(client, collection_name, Shape(tuple(range(N)), vectors, "COSINE"))
    with connection_to(backend) as connection:
        source = MilvusSource(connection, Selection(collection_name))
        rows = rows_of(source)
        points = prepare(rows.vectors, metric)
        search = MilvusNeighbors(connection, source, rows, SearchSettings("high", batch=37))
        whole = neighbor_graph(search, points, metric, K, QuietObserver())
        for shards in (1, 3, 32):
            store, bounds = ShardFiles(str(tmp_path / str(shards))), bounds_for(N, shards)
            found = graph_in_shards(
                store,
                bounds,
                SearchHere(store, bounds, search, points, metric, K),
                Here(),
                metric=metric,
                n_neighbors=K,
                room=Room(0, tmp_path),
                observer=QuietObserver(),
            )
            np.testing.assert_array_equal(found.indices, whole.indices)
            np.testing.assert_array_equal(found.distances, whole.distances)
            assert found.metric == whole.metric == metric
    assert not search.measured  # so that the distances are not those of the server
