"""``ClusterCatalogue`` in memory, beside a ``MemoryCollection``.

In: the collection. Out: what ``replace`` was given last. Promise: as in Milvus, a collection that
was created anew has no catalogue yet, and texts are cut.

    held = MemoryCatalogue(collection)
    held.replace(catalogue)
    held.read()
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from vdbcluster.adapters.later import Later
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.errors import CollectionChangedError
from vdbcluster.model.catalogue import Catalogue, fitted
from vdbcluster.model.edits import edited
from vdbcluster.ports.catalogue import Change, Ready, no_catalogue


class MemoryCatalogue:
    """See ``ports.catalogue``."""

    def __init__(self, collection: MemoryCollection) -> None:
        self._collection = collection
        self._held: Catalogue | None = None

    @property
    def name(self) -> str:
        return f"{self._collection.name}_clusters"

    def read(self) -> Catalogue | None:
        """What was stored last for this very collection."""
        held = self._held
        if held is None or held.identity != self._collection.identity:
            return None
        return held

    def reserved(self, run_id: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """See ``ports.catalogue``; there always is room."""
        return nullcontext()

    def prepare(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> Ready:
        """See ``ports.catalogue``; nothing takes long, so all is done when it is shown."""
        return Later(self, catalogue, since)

    def replace(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> None:
        """See ``ports.catalogue``."""
        now = self.read()
        if since is not None and now is not None:
            catalogue = edited(catalogue, since=since, now=now)
        if catalogue.identity != self._collection.identity:
            raise CollectionChangedError(
                f"the catalogue belongs to an earlier collection {self._collection.name!r}; "
                "nothing was written, run again"
            )
        dim = self._collection.vectors.shape[1]
        if any(e.centroid is not None and e.centroid.shape != (dim,) for e in catalogue.entries):
            raise ValueError(f"centroids of {self._collection.name!r} must have {dim} values")
        self._held = replace(catalogue, entries=tuple(map(fitted, catalogue.entries)))

    def edit(self, change: Change) -> Catalogue:
        """See ``ports.catalogue``."""
        held = self.read()
        if held is None:
            raise no_catalogue(self._collection.name)
        self._held = held.having(map(fitted, change(held)))
        return self._held

    def remove(self) -> None:
        self._held = None
