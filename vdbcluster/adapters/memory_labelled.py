"""``LabelledRows`` of a ``MemoryCollection``.

In: the collection, a selection of it. Out: pages of rows. Promise: as in Milvus, a row of NaN has
no vector; columns are declared fields, and there are no dynamic ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_collection import MemoryView
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.tables import RowPage, labels_by_suffix
from vdbcluster.ports.tables import Wanted


class MemoryLabelled(MemoryView):
    """See ``ports.tables``."""

    page_rows = 1000

    def pages(self, wanted: Wanted) -> Iterator[RowPage]:
        """See the port."""
        held = self.collection
        fields = tuple(held.columns) if wanted.fields is None else tuple(wanted.fields)
        for name in fields:
            if name not in held.columns:
                raise UsageError(f"{held.name!r} has no field {name!r}; it has {[*held.columns]}")
        for partition in self.partitions or held.partitions:
            rows = np.flatnonzero(self.selected(partition))
            rows = rows[np.argsort(held.keys[rows], kind="stable")]
            for begin in range(0, len(rows), self.page_rows):
                self.check_identity()
                yield self._page(rows[begin : begin + self.page_rows], fields, wanted.vectors)

    def _page(self, rows: Int64Array, fields: tuple[str, ...], vectors: bool) -> RowPage:
        held = self.collection
        keys, found = held.keys[rows], held.vectors[rows]
        return RowPage(
            keys,
            {name: [held.columns[name][row] for row in rows] for name in fields},
            [{} for _ in rows],
            labels_by_suffix(MemorySink(held).stored(keys), keys),
            found if vectors else None,
            np.asarray(~np.isnan(found).any(axis=1)) if vectors else None,
        )
