"""The neighbour graph of a run as its record keeps it, for whatever is asked after clustering.

In: a ``NeighborGraph`` as it was searched, its rows in the order of the plan's keys. Out: arrays
for the record, and the graph again. Promise: what comes back is what went in, to the last bit; of
each selection only the newest graph is kept, written or planned, since it is by far the largest
part of a record: 8 bytes for each neighbour of each row.

    keep_graph(runs, manifest, graph)
    recorded_graph(runs, manifest.run_id)
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import VdbclusterError
from vdbcluster.graph.distance import check_metric
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.ports import RunStore

GRAPH = "graph"


def graph_arrays(graph: NeighborGraph) -> dict[str, NDArray[Any]]:
    """``indices``, ``distances`` ``(n, k)`` and ``metric``."""
    metric = np.empty(1, object)
    metric[0] = graph.metric
    return {"indices": graph.indices, "distances": graph.distances, "metric": metric}


def recorded_graph(runs: RunStore, run_id: str) -> NeighborGraph | None:
    """None where there is none (any more), or none that fits this version."""
    try:
        arrays = runs.load_arrays(run_id, GRAPH)
        metric = str(arrays["metric"][0])
        check_metric(metric)
        graph = NeighborGraph(arrays["indices"], arrays["distances"], metric)
        graph.validate()
    except (VdbclusterError, LookupError, ValueError):
        return None
    return graph


def keep_graph(runs: RunStore, manifest: RunManifest, graph: NeighborGraph) -> None:
    """Store it, and drop those of all other runs of the same selection, as far as that goes."""
    runs.save_arrays(manifest.run_id, graph_arrays(graph), GRAPH)
    for run_id in runs.having(GRAPH):
        with suppress(VdbclusterError):  # a record that cannot be read may be of anything
            if run_id != manifest.run_id and _of(runs.load(run_id)) == _of(manifest):
                runs.drop_arrays(run_id, GRAPH)


def _of(manifest: RunManifest) -> tuple[object, ...]:
    prefix = manifest.settings.get("write", {}).get("label_prefix")
    return manifest.collection, manifest.selection, prefix
