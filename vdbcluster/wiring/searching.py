"""What the answers of a neighbour search depend on, beside the rows and how many are asked for; and
what kind of search it is, for ``pipeline.cost``.

In: the choice of engine, the vector field, settings. Out: plain JSON values, for the key of the
graph; an ``Engine``. Promise: two searches that may answer differently differ here; what only makes
them faster (threads, batches, memory) does not.
"""

from __future__ import annotations

from typing import Any

from vdbcluster.adapters.local_neighbors import EXACT_ROWS
from vdbcluster.config.settings import Settings
from vdbcluster.model.collection import VectorField
from vdbcluster.pipeline.cost import Engine
from vdbcluster.wiring.choice import Choice


def searching(choice: Choice, vector: VectorField, settings: Settings) -> dict[str, Any]:
    """Engine and effort; where Milvus searches, its index with all of its parameters."""
    found: dict[str, Any] = {
        "engine": choice.engine,
        "effort": settings.neighbors.effort,
        "exact": settings.cluster.certify,
    }
    if choice.graph:
        found["graph"] = "cuvs"
    if choice.local:
        return found
    params = {str(name): str(value) for name, value in sorted(vector.index_params.items())}
    return found | {
        "index": vector.index,
        "params": params,
        "metric": vector.metric,
        "type": vector.type,
    }


def engine_of(choice: Choice, vector: VectorField, settings: Settings, rows: int) -> Engine:
    """Who finds the neighbours of so many rows, and how."""
    if choice.engine == "gpu":
        return "gpu"
    if choice.engine == "local":
        return "exact" if rows <= EXACT_ROWS or settings.cluster.certify else "local"
    return "graph" if "HNSW" in (vector.index or "") else "cells"
