"""Rows that came after a run: to which cluster they belong, and which of the others are a new one.

In: a ``Reference`` made of the run's neighbour graph and clustering, ``Surroundings`` of the rows.
Out: ``Assigned``; labels of forming clusters. Promise: pure; O(m k) for m rows; nothing depends on
the order of the new rows, nor of those of the run.

    kept = reference(graph, clustering.labels, clustering.probabilities, clustering.soft, 10)
    found = assign(kept, around)                  # around: neighbours among old and new rows
    pool = kindred(kept, around_pool, members)    # noise that is among its like
    labels = emerging(kept, around_pool, members, labels, jaccard, min_cluster_size)
"""

from vdbcluster.assign.emergence import emerging, kindred, pool_graph, support_within
from vdbcluster.assign.reference import reference
from vdbcluster.assign.rule import assign
from vdbcluster.assign.votes import core_distances

__all__ = [
    "assign",
    "core_distances",
    "emerging",
    "kindred",
    "pool_graph",
    "reference",
    "support_within",
]
