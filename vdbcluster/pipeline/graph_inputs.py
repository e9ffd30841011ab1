"""What a neighbour graph depends on, as plain values: two that agree here are one graph.

In: the manifest of a run that begins, the metric, settings, rows. Out: plain JSON values, a
``GraphKey``. Promise: whatever may change one neighbour is in it: the collection, its selection,
every key and vector, the metric, engine, index, effort, seed, and how many are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vdbcluster.config.settings import Settings
from vdbcluster.graph.fingerprint import GraphKey, digest, graph_key
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.graph_record import kept_record
from vdbcluster.ports import RunStore

FORMAT = 1
"""Raised when the same inputs begin to give other graphs."""


def search_inputs(
    begun: RunManifest, metric: str, searching: Mapping[str, object], settings: Settings
) -> dict[str, Any]:
    """All but the rows and how many neighbours are wanted; ``searching``: see ``Adapters``."""
    return {
        "format": FORMAT,
        "identity": begun.identity,
        **_selected(begun),
        "metric": metric,
        "center": settings.neighbors.center,
        "seed": settings.run.seed,
        "search": dict(searching),
    }


def key_for(
    inputs: Mapping[str, Any],
    keys: Keys,
    points: Float32Array,
    n_neighbors: int,
    *,
    unfinished: bool,
) -> GraphKey:
    """``unfinished``: the index that is searched does not hold all rows yet."""
    more = {"n_neighbors": n_neighbors, "unfinished index": unfinished}
    return graph_key({**inputs, **more}, keys, points)


def kept_graph(
    runs: RunStore,
    inputs: Mapping[str, Any],
    keys: Keys,
    points: Float32Array,
    n_neighbors: int,
    *,
    unfinished: bool,
) -> tuple[RunManifest, NeighborGraph] | None:
    """The graph that a run has kept of these rows, if one has."""
    key = key_for(inputs, keys, points, n_neighbors, unfinished=unfinished)
    found = kept_record(runs, key.whole)
    return None if found is None else (found[0], found[1])


def stem(begun: RunManifest) -> str:
    """Of the folders of unfinished work on one selection."""
    return digest(_selected(begun))[:12]


def _selected(begun: RunManifest) -> dict[str, Any]:
    return {"collection": begun.collection, "selection": dict(begun.selection)}
