"""What DataEval finds in vectors; runs in a Python of its own that has it.

In: a .npy of vectors, a place. Out: an .npz there with ``group (n,)`` of near duplicates, -1 for
none, and ``score (n,)`` of how far out each row lies. All settings as they come.
"""

from __future__ import annotations

import sys

import numpy as np
from dataeval.core import cluster, compute_cluster_stats
from dataeval.quality import Duplicates


def main() -> None:
    vectors = np.load(sys.argv[1])
    found = cluster(vectors)
    sets = Duplicates().from_clusters(found).items.near
    group = np.full(len(vectors), -1)
    for number, (members, _) in enumerate(sets):
        group[[int(member) for member in members]] = number
    # The number of deviations that its outlier detector compares with a threshold.
    stats = compute_cluster_stats(vectors, found["clusters"])
    score = np.full(len(vectors), 0.0)
    nearest = stats["nearest_cluster_idx"]
    if len(stats["cluster_distances_mean"]):
        mean, spread = (stats[f"cluster_distances_{what}"][nearest] for what in ("mean", "std"))
        score = (stats["distances"] - mean) / np.maximum(spread, 1e-12)
    np.savez(sys.argv[2], group=group, score=np.nan_to_num(score))


main()
