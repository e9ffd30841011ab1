"""What a run keeps for rows that come after it, as arrays and plain values of its record.

In: the graph as it was searched, the clustering. Out: ``Kept``, and ``Kept`` again from the record.
Promise: ``recall`` of what was saved is what ``remember`` made; no graph and no vectors are kept.
An assignment keeps its own rows alone, so that its record is as small as it is:

    run, first, second = (recall(runs.load_arrays(...), manifest.facts["kept"]) for ...)
    kept = run.followed_by(first.patched(second))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.assign import reference
from vdbcluster.model.arrays import Float64Array, Int64Array, Keys
from vdbcluster.model.assign import Reference
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import Recipe
from vdbcluster.pipeline.read import positions

_COLUMNS = ("labels", "probabilities", "soft", "core_distances", "support")
"""Of a ``Reference``: those with a value for each row."""


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
        """For the record of the run, by name, as a part of its own."""
        found = {name: getattr(self.reference, name) for name in _COLUMNS} | {"keys": self.keys}
        return found if self.mean is None else found | {"mean": self.mean}

    def facts(self) -> dict[str, Any]:
        """For the manifest of the run."""
        kept = self.reference
        return {
            "n_neighbors": kept.n_neighbors,
            "min_samples": kept.min_samples,
            "metric": kept.metric,
        }

    def without(self, keys: Keys) -> Kept:
        """What is kept of the other rows."""
        left = np.ones(len(self.keys), np.bool_)
        at = positions(keys, self.keys)
        left[at[at != PADDING]] = False
        return replace(self, keys=self.keys[left], reference=self.reference.take(left))

    def renamed(self, ids: Mapping[int, int]) -> Kept:
        """With other ids for some clusters."""
        labels = self.reference.labels.copy()
        for old, new in ids.items():
            labels[self.reference.labels == old] = new
        return replace(self, reference=replace(self.reference, labels=labels))

    def patched(self, later: Kept) -> Kept:
        """With the rows of ``later``, which take the place of those of the same key."""
        rest = self.without(later.keys)
        keys = np.concatenate([rest.keys, later.keys])
        order = np.argsort(keys, kind="stable")
        both = {
            name: np.concatenate([getattr(rest.reference, name), getattr(later.reference, name)])
            for name in _COLUMNS
        }
        return replace(self, keys=keys[order], reference=_with(self.reference, both).take(order))

    def followed_by(self, later: Kept) -> Kept:
        """By what the next rows are judged: the run, and what was assigned since.

        A row that came later and joined a cluster of the run votes for nobody until the next run,
        and may be taken by a cluster that forms: the first rows of a new class join what is
        nearest, and if they drew the others after them the class would never show. Rows of a
        cluster that formed since vote for it.
        """
        kept = later.reference
        joined = np.isin(kept.labels, self.reference.labels)
        labels = np.where(joined, NOISE, kept.labels)
        abstaining = replace(kept, labels=labels, soft=kept.soft & ~joined)
        return self.patched(replace(later, reference=abstaining))


def _with(kept: Reference, columns: Mapping[str, NDArray[Any]]) -> Reference:
    """The same parameters, other rows."""
    return Reference(
        labels=columns["labels"],
        probabilities=columns["probabilities"],
        soft=columns["soft"],
        core_distances=columns["core_distances"],
        support=columns["support"],
        n_neighbors=kept.n_neighbors,
        min_samples=kept.min_samples,
        metric=kept.metric,
    )


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


def recall(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Kept:
    """From ``Kept.arrays`` and ``Kept.facts``; ``KeyError`` where they hold less."""
    kept = Reference(
        n_neighbors=int(facts["n_neighbors"]),
        min_samples=int(facts["min_samples"]),
        metric=str(facts["metric"]),
        **{name: arrays[name] for name in _COLUMNS},
    )
    return Kept(arrays["keys"], kept, arrays.get("mean"))
