"""Settings of ``dense``: how small and how dense the groups are that it lists.

In: values of the ``dense`` section. Out: a frozen ``DenseSettings``.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from vdbcluster.config.base import Count, Section, Size, setting


class DenseSettings(Section):
    """Dense groups: single statements that many make."""

    min_cluster_size: Size = setting(5, "Smallest group.")
    min_samples: Count = setting(2, "Core distance is that to this many-th neighbour.")
    max_cluster_size: int = setting(30, "Largest group; 0 is no limit.", ge=0)
    distinct: bool = setting(True, "Duplicates count once: copies of one row are no group.")
    n_groups: int = setting(200, "Groups listed, the densest; 0 is all.", ge=0)
    background: int = setting(
        2000, "Other rows, drawn by lot, whose words keywords are told from.", ge=0
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if 0 < self.max_cluster_size < self.min_cluster_size:
            raise ValueError(
                f"max_cluster_size is {self.max_cluster_size}, below min_cluster_size "
                f"{self.min_cluster_size}; it must be 0 (no limit) or at least that"
            )
        return self
