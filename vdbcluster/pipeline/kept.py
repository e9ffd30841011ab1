"""What a run keeps for rows that come after it, as arrays and plain values of its record.

In: the graph as it was searched, the clustering. Out: ``Kept``, and ``Kept`` again from the record.
Promise: ``recall`` of what was saved is what ``remember`` made; no graph and no vectors are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from vdbcluster.assign import reference
from vdbcluster.model.arrays import Float64Array, Int64Array, Keys
from vdbcluster.model.assign import Reference
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import Recipe
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.read import positions


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a run keeps for later rows: ``keys (n,)`` ascending, ``reference``, ``mean (d,)``.

    ``mean``: what was subtracted from the vectors (``graph.distance.mean_direction``), None where
    nothing was. A run that centred by language keeps none: there is no mean for a language to come.
    """

    keys: Keys
    reference: Reference
    mean: Float64Array | None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For the record of the run, by name, beside ``plan_arrays``."""
        found: dict[str, NDArray[Any]] = {
            "core_distance": self.reference.core_distances,
            "support": self.reference.support,
        }
        return found if self.mean is None else found | {"mean": self.mean}

    def facts(self) -> dict[str, Any]:
        """For the manifest of the run."""
        kept = self.reference
        return {
            "n_neighbors": kept.n_neighbors,
            "min_samples": kept.min_samples,
            "metric": kept.metric,
        }


def remember(
    keys: Keys,
    graph: NeighborGraph,
    clustering: Clustering,
    recipe: Recipe,
    mean: Float64Array | None,
    labels: Int64Array | None = None,
) -> Kept:
    """What to keep of a run. ``graph``: not smoothed; ``labels``: stable ids where there are."""
    ids = clustering.labels if labels is None else labels
    samples = min(recipe.hdbscan.min_samples, graph.n_neighbors)
    kept = reference(graph, ids, clustering.probabilities, clustering.soft, samples)
    return Kept(keys, kept, mean)


def recall(
    arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], noise_code: int = 2
) -> Kept:
    """From the record of a run: arrays of ``plan_arrays`` and ``Kept.arrays``, ``Kept.facts``.

    Raises ``KeyError`` where the run was recorded before these were kept.
    """
    labels = arrays["cluster_id"]
    codes = arrays["assignment"]
    kept = Reference(
        labels=labels,
        probabilities=arrays["probability"],
        soft=(codes != noise_code) & (codes != 0),
        core_distances=arrays["core_distance"],
        support=arrays["support"],
        n_neighbors=int(facts["n_neighbors"]),
        min_samples=int(facts["min_samples"]),
        metric=str(facts["metric"]),
    )
    return Kept(arrays["keys"], kept, arrays.get("mean"))


def unlabelled(rows: Rows, kept: Kept) -> Rows:
    """The rows that the run has not seen."""
    new = positions(rows.keys, kept.keys) == PADDING
    return replace(
        rows, keys=rows.keys[new], vectors=rows.vectors[new], partition_of=rows.partition_of[new]
    )
