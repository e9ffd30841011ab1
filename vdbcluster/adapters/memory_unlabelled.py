"""``UnlabelledRows`` of a ``MemoryCollection``.

In: the collection, a selection of it. Out: pages of rows without a label. Promise: as in Milvus, a
row of NaN has no vector and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdbcluster.adapters.memory_collection import MemoryView
from vdbcluster.model.rows import VectorPage


class MemoryUnlabelled(MemoryView):
    """See ``ports.unlabelled``."""

    @property
    def told_by(self) -> str:
        return "what is held in memory"

    def pages(self) -> Iterator[VectorPage]:
        """See the port; a page for each partition."""
        held = self.collection
        new = self.selected() & ~held.labelled
        for partition in held.partitions:
            rows = np.flatnonzero(new & (held.partition_of == partition))
            if rows.size:
                there = ~np.isnan(held.vectors[rows]).any(axis=1)
                absent = int(np.count_nonzero(~there))
                rows = rows[there]
                yield VectorPage(held.keys[rows], held.vectors[rows], partition, absent)
