"""The neighbour graph of a run as its record keeps it, for later runs and for what is asked after
clustering.

In: a ``GraphRecord``: the graph as it was searched, and what it was searched from. Out: arrays for
the record, and the same again. Promise: what comes back is what went in, to the last bit; of each
selection only the newest graph is kept, written or planned, since it is by far the largest part of
a record: 8 bytes for each neighbour of each row. A run whose graph went on to a later run (the same
graph, by its key) still finds it.

    keep_graph(runs, manifest, record)
    recorded_graph(runs, manifest.run_id)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import VdbclusterError
from vdbcluster.graph.distance import check_metric
from vdbcluster.graph.fingerprint import Fingerprints
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Keys
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.ports import RunStore

GRAPH = "graph"
Spare = tuple[Int32Array, Float32Array]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What the rows of a graph were: ``keys (n,)`` ascending, ``fingerprints (n,)`` of the vectors
    as they were compared, ``mean (d,)`` that was subtracted from them, None if none was.

    ``spare``: the neighbours that follow those of the graph, ``(n, s)`` each, padded where they are
    not certain; None where none were searched.
    """

    keys: Keys
    fingerprints: Fingerprints
    mean: Float64Array | None = None
    spare: Spare | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {"keys": self.keys, "fingerprints": self.fingerprints}
        if self.mean is not None:
            found["mean"] = self.mean
        if self.spare is not None:
            found["spare_indices"], found["spare_distances"] = self.spare
        return found


@dataclass(frozen=True, slots=True, eq=False)
class GraphRecord:
    """``origin`` is None in what earlier versions recorded."""

    graph: NeighborGraph
    origin: Origin | None = None


def graph_arrays(record: GraphRecord) -> dict[str, NDArray[Any]]:
    """``indices``, ``distances`` ``(n, k)``, ``metric``, and those of the origin."""
    graph = record.graph
    metric = np.empty(1, object)
    metric[0] = graph.metric
    found = {"indices": graph.indices, "distances": graph.distances, "metric": metric}
    return found if record.origin is None else found | record.origin.arrays()


def read_record(runs: RunStore, run_id: str) -> GraphRecord | None:
    """None where there is none (any more), or none that fits this version."""
    try:
        arrays = runs.load_arrays(run_id, GRAPH)
        metric = str(arrays["metric"][0])
        check_metric(metric)
        graph = NeighborGraph(arrays["indices"], arrays["distances"], metric)
        graph.validate()
        origin = _origin(arrays, graph) if "fingerprints" in arrays else None
    except (VdbclusterError, LookupError, ValueError):
        return None
    return GraphRecord(graph, origin)


def recorded_graph(runs: RunStore, run_id: str) -> NeighborGraph | None:
    """That of the run, or of a later one that it went on to; None where there is none."""
    if (own := read_record(runs, run_id)) is not None:
        return own.graph
    with suppress(VdbclusterError):
        if key := key_of(runs.load(run_id)):
            for manifest in with_graph(runs):
                if key_of(manifest) == key and (found := read_record(runs, manifest.run_id)):
                    return found.graph
    return None


def key_of(manifest: RunManifest) -> str:
    """Of its graph; empty where it has none, or an earlier version made it."""
    return str(manifest.facts.get("neighbors", {}).get("key", ""))


def kept_record(runs: RunStore, key: str) -> tuple[RunManifest, NeighborGraph, Origin] | None:
    """The graph of this key, if a run has kept it."""
    for manifest in with_graph(runs):
        if key_of(manifest) == key:
            record = read_record(runs, manifest.run_id)
            if record is not None and record.origin is not None:
                return manifest, record.graph, record.origin
    return None


def with_graph(runs: RunStore) -> Iterator[RunManifest]:
    """Those whose graph is in their record, as far as that can be read."""
    for run_id in runs.having(GRAPH):
        with suppress(VdbclusterError):  # a record that cannot be read may be of anything
            yield runs.load(run_id)


def keep_graph(
    runs: RunStore, manifest: RunManifest, record: GraphRecord, source: str = ""
) -> None:
    """Store it, and drop those of all other runs of the same selection, as far as that goes.

    ``source``: the run in whose record the very same lies, if any.
    """
    if not _moved(runs, manifest, source):
        runs.save_arrays(manifest.run_id, graph_arrays(record), GRAPH)
    for other in with_graph(runs):
        with suppress(VdbclusterError):
            if other.run_id != manifest.run_id and same_rows(other, manifest):
                runs.drop_arrays(other.run_id, GRAPH)


def _moved(runs: RunStore, manifest: RunManifest, source: str) -> bool:
    """From the record of a run of the same selection, which would lose it all the same."""
    with suppress(VdbclusterError):
        if source and same_rows(runs.load(source), manifest):
            runs.move_arrays(source, GRAPH, manifest.run_id)
            return True
    return False


def same_rows(one: RunManifest, other: RunManifest) -> bool:
    """Whether both runs are about one selection, labelled under one prefix."""
    return _of(one) == _of(other)


def _of(manifest: RunManifest) -> tuple[object, ...]:
    prefix = manifest.settings.get("write", {}).get("label_prefix")
    return manifest.collection, manifest.selection, prefix


def _origin(arrays: dict[str, NDArray[Any]], graph: NeighborGraph) -> Origin:
    """Raises ``LookupError`` or ``ValueError`` where the arrays do not belong together."""
    keys, prints = arrays["keys"], arrays["fingerprints"]
    if not len(keys) == len(prints) == graph.n_rows:
        raise ValueError("as many keys and fingerprints as rows")
    spare = None
    if "spare_indices" in arrays:
        spare = arrays["spare_indices"], arrays["spare_distances"]
        NeighborGraph(*spare, graph.metric).validate()
        if (spare[1][:, :1] < graph.distances[:, -1:]).any():
            raise ValueError("spare neighbours come after the others")
    return Origin(keys, prints, arrays.get("mean"), spare)
