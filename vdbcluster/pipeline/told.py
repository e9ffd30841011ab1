"""What a run tells of itself: the facts of its manifest and the table of its clusters.

In: what the stages gave. Out: plain values for ``RunManifest``. Promise: no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.lines import one_line
from vdbcluster.model.manifest import ClusterRow
from vdbcluster.model.matching import EventKind, Matching

if TYPE_CHECKING:
    from vdbcluster.pipeline.cluster import ClusterResult

TEXT_SHOWN = 80
SAME = (EventKind.UNCHANGED, EventKind.GROWN, EventKind.SHRUNK)
"""Of clusters that were there before and still are."""


def clustering_facts(result: ClusterResult) -> dict[str, Any]:
    """Counts of the clustering and what it was made by."""
    clustering, n = result.clustering, result.clustering.labels.shape[0]
    facts: dict[str, Any] = {
        "rows": n,
        "clusters": clustering.n_clusters,
        "noise": clustering.n_noise,
        "soft": int(np.count_nonzero(clustering.soft)),
        "recipe": asdict(result.recipe),
        "largest": int(clustering.sizes().max(initial=0)),
    }
    if result.hierarchy is not None:
        facts["components"] = result.hierarchy.n_components
    if result.certificate is not None:
        facts["certified"] = result.certificate.share
    return facts


def identity_facts(matching: Matching) -> dict[str, Any]:
    """Events by kind, and each of those that are more than growing and shrinking."""
    kinds = Counter(event.kind.value for event in matching.events)
    told = [event.to_json() for event in matching.events if event.kind not in SAME]
    return {"next_id": matching.next_id, "events": dict(kinds), "told": told}


def plan_facts(plan: LabelPlan) -> dict[str, Any]:
    """Rows that would change, move to another cluster, and were or become noise."""
    moved = plan.had_label & (plan.old_cluster_id != plan.new.cluster_id)
    was_noise = plan.had_label & (plan.old_cluster_id == NOISE)
    return {
        "rows": len(plan.new),
        "changed": int(plan.changed.sum()),
        "unlabelled_before": int((~plan.had_label).sum()),
        "moved": int(moved.sum()),
        "noise_before": int(was_noise.sum()),
        "noise": int((plan.new.cluster_id == NOISE).sum()),
    }


def table(
    clustering: Clustering,
    ids: Int64Array,
    stability: Float64Array,
    texts: Sequence[str | None],
) -> tuple[ClusterRow, ...]:
    """A line for each cluster; ``ids``, ``stability``, ``texts`` are ``(c,)``."""
    sizes = clustering.sizes()
    soft = np.bincount(clustering.labels[clustering.soft], minlength=clustering.n_clusters)
    return tuple(
        ClusterRow(
            id=int(ids[c]),
            size=int(sizes[c]),
            soft=int(soft[c]),
            persistence=float(clustering.persistence[c]),
            stability=None if np.isnan(stability[c]) else float(stability[c]),
            representative=_shortened(texts[c]),
        )
        for c in range(clustering.n_clusters)
    )


def representative(points: Float32Array, exemplars: Int64Array) -> int:
    """The exemplar nearest to the mean of the exemplars: a row that stands for its cluster."""
    vectors = points[exemplars]
    away = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1)
    return int(exemplars[int(np.argmin(away))])


def _shortened(text: str | None) -> str | None:
    return None if text is None else one_line(text, TEXT_SHOWN)
