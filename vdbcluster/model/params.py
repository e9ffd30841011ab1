"""The parameters of the density hierarchy and of the methods around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Join = Literal["max", "inf", "bridge"]
SelectionMethod = Literal["eom", "leaf"]
Ties = Literal["together", "reference"]
Smooth = Literal["none", "shared-neighbors", "spectral"]
Method = Literal["hdbscan", "leaf", "layers", "umap+hdbscan", "kmeans", "leiden"]
DENSITY: tuple[Method, ...] = ("hdbscan", "leaf")
"""Methods that need the graph alone."""


@dataclass(frozen=True, slots=True)
class HdbscanParams:
    """What HDBSCAN needs beside the graph.

    ``min_cluster_size``: smallest group that is a cluster (>= 2).
    ``min_samples``: core distance = distance to this many-th neighbour without self (>= 1, <= k).
    ``cluster_selection_method``: ``eom`` (excess of mass) or ``leaf``.
    ``cluster_selection_epsilon``: clusters are not split below this distance (>= 0).
    ``max_cluster_size``: eom does not select larger clusters; 0 is no limit.
    ``allow_single_cluster``: the root itself may be a cluster.
    ``join``: where the graph leaves components apart, join them at the largest finite edge
    (``max``), at infinity (``inf``, as the dense reference does) or by real distances (``bridge``).
    ``ties``: merge all joins of equal weight at once, which does not depend on the order of rows
    (``together``), or one after the other exactly as hdbscan 0.8.43 does (``reference``).
    """

    min_cluster_size: int = 15
    min_samples: int = 5
    cluster_selection_method: SelectionMethod = "eom"
    cluster_selection_epsilon: float = 0.0
    max_cluster_size: int = 0
    allow_single_cluster: bool = False
    join: Join = "max"
    ties: Ties = "together"

    def __post_init__(self) -> None:
        if self.min_cluster_size < 2:
            raise ValueError(f"min_cluster_size is {self.min_cluster_size}; it must be at least 2")
        if self.min_samples < 1:
            raise ValueError(f"min_samples is {self.min_samples}; it must be at least 1")
        if self.cluster_selection_epsilon < 0:
            raise ValueError(
                f"cluster_selection_epsilon is {self.cluster_selection_epsilon}; "
                "it must not be negative"
            )
        if self.max_cluster_size < 0:
            raise ValueError(
                f"max_cluster_size is {self.max_cluster_size}; it must be 0 (no limit) or more"
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a method needs to know: nothing is left to choose.

    ``smooth``: distance on the edges (``graph.smooth``); ``cut``: walks slower than this count in
    spectral smoothing. ``soft``: noise is given to the clusters of its neighbours, the least
    confident ones last, as far as ``max_noise`` (share of rows that may stay noise) and
    ``min_confidence`` (share of the vote, 0 to 1) say. ``merge``: clusters are joined as long as
    the gain in association, with this allowance, is positive; 0 joins none.
    ``n_clusters``: for methods that must be told; 0 leaves it to them. ``n_layers``: at most.
    """

    method: Method = "hdbscan"
    smooth: Smooth = "none"
    cut: float = 0.25
    hdbscan: HdbscanParams = HdbscanParams()
    soft: bool = False
    max_noise: float = 0.0
    min_confidence: float = 0.0
    merge: float = 0.0
    n_clusters: int = 0
    n_layers: int = 4
    seed: int = 0
