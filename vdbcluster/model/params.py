"""The parameters of the density hierarchy, in the field's own names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Join = Literal["max", "inf", "bridge"]
SelectionMethod = Literal["eom", "leaf"]
Ties = Literal["together", "reference"]


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
