"""The neighbour graph of a run as its record keeps it, for whatever is asked after clustering.

In: a ``NeighborGraph`` as it was searched, its rows in the order of the plan's keys. Out: arrays
for the record, and the graph again. Promise: what comes back is what went in, to the last bit; of
each selection only the graph of the run that was written last is kept, since it is by far the
largest part of a record: 8 bytes for each neighbour of each row.

    runs.save_arrays(run_id, graph_arrays(graph), GRAPH)
    recorded_graph(runs, run_id)
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import VdbclusterError
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
        return NeighborGraph(arrays["indices"], arrays["distances"], str(arrays["metric"][0]))
    except (VdbclusterError, KeyError, ValueError):
        return None


def forget_others(runs: RunStore, written: RunManifest) -> None:
    """Drop the graphs of all other runs of the selection of ``written``, as far as that goes."""
    for run_id in runs.having(GRAPH):
        with suppress(VdbclusterError):  # a record that cannot be read may be of anything
            if run_id != written.run_id and _of(runs.load(run_id)) == _of(written):
                runs.drop_arrays(run_id, GRAPH)


def _of(manifest: RunManifest) -> tuple[object, ...]:
    prefix = manifest.settings.get("write", {}).get("label_prefix")
    return manifest.collection, manifest.selection, prefix
