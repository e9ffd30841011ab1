"""The collections behind the alias of a catalogue: each is a generation, whole before it is seen.

In: the collection that was clustered, the alias, the layout of rows. Out: a ``Generation`` filled,
read, pointed at, dropped. Promise: only collections that bear the name of a generation of this very
catalogue are ever written or dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vdbcluster.adapters.milvus.catalogue_rows import (
    COLUMNS,
    ID,
    LATER,
    MERGED_INTO,
    Layout,
    Row,
    batches,
)
from vdbcluster.adapters.milvus.ingest.create import load, make_index
from vdbcluster.adapters.milvus.profile import count_rows, identity_of, is_loaded
from vdbcluster.adapters.milvus.stream import Scan, page_rows, read_pages
from vdbcluster.adapters.milvus.writeback.own import Generation, generation_of, new_generation
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import BackendError, RefusedError, UsageError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, fitted
from vdbcluster.model.collection import KeyField

MAX_NAME = 255
"""Bytes of the name of a collection that servers allow."""
PAGE_BYTES = 16 * 1024 * 1024
_ALIAS_OF = re.compile(r"is alias to another collection: (\w+)")
TEXT_BYTES = 2048
"""Guess of the texts of a row; a page that turns out too large is halved."""


class Generations:
    """Those of the catalogue ``name``; see the module."""

    def __init__(self, target: Target, layout: Layout, name: str) -> None:
        self._target, self._layout, self._name = target, layout, name
        self._milvus = target.milvus

    def named(self, run_id: str) -> Generation:
        """A new one; ``UsageError`` if its name is longer than servers allow."""
        fresh = new_generation(self._name, self._target.profile.identity, run_id)
        if len(fresh.name) > MAX_NAME:
            raise UsageError(
                f"the name {self._name!r} is too long for a catalogue: collections behind it add "
                f"{len(fresh.name) - len(self._name)} characters, and {MAX_NAME} are allowed"
            )
        return fresh

    def current(self) -> Generation | None:
        """What readers see now; ``RefusedError`` if that is not ours."""
        found = self._milvus.ask(f"looking for {self._name!r}", self._behind)
        if found is None:
            return None
        held = generation_of(found)
        if held is None or held.catalogue != self._name:
            what = "a collection" if found == self._name else f"an alias of {found!r}"
            raise RefusedError(
                f"the catalogue of clusters was to be {self._name!r}, but {what} that is not of "
                "vdbcluster has this name; rename that, or choose another with --catalogue-name"
            )
        return held

    def _behind(self, client: Any, limit: float) -> str | None:
        if not client.has_collection(self._name, timeout=limit):
            return None
        found = client.describe_collection(self._name, timeout=limit)
        return str(found["collection_name"])

    def read(self, held: Generation) -> Catalogue:
        """All of it; ``CollectionChangedError`` if it goes away meanwhile."""
        name, centroid = held.name, self._layout.centroid
        described = self._described(held)
        load(self._milvus, name)
        count_rows(self._milvus, name)  # a strong call: what follows sees edits made until now
        fields = (*self._columns(described), centroid.name)
        known = identity_of(self._milvus, described)
        scan = Scan(name, known, KeyField(ID, "INT64", auto_id=False), fields)
        pages = read_pages(self._milvus, scan, page_rows(4 * centroid.dim + TEXT_BYTES, PAGE_BYTES))
        entries = [entry for page in pages for entry in self._layout.entries(page)]
        return Catalogue(tuple(entries), held.run_id, self._target.profile.identity)

    def takes(self, held: Generation, entries: Iterable[CatalogueEntry]) -> bool:
        """Whether it has a column for all that these say; one of an earlier version may not."""
        if all(entry.merged_into is None for entry in entries):
            return True
        return MERGED_INTO in self._columns(self._described(held))

    def put(self, held: Generation, entries: Sequence[CatalogueEntry], run_id: str) -> None:
        """Write over the rows of these, each whole."""
        if not entries:
            return
        columns = {ID, self._layout.centroid.name, *self._columns(self._described(held))}
        rows = [self._layout.row(entry, run_id) for entry in map(fitted, entries)]
        self._upsert(held.name, [{k: v for k, v in row.items() if k in columns} for row in rows])
        self._flush_lite(held.name)

    def open(self, fresh: Generation) -> None:
        """See that the collection is there, empty and loaded; one that is loaded is left so.

        But on Lite, where all are loaded, before they have an index.
        """
        name, centroid = fresh.name, self._layout.centroid
        self._make(name)
        if self._milvus.is_lite or not is_loaded(self._milvus, name):
            make_index(self._milvus, name, centroid.name, "FLAT", str(centroid.metric))
            load(self._milvus, name)

    def fill(self, fresh: Generation, catalogue: Catalogue) -> None:
        """Open the collection, and see that whoever reads it finds every row."""
        name = fresh.name
        self.open(fresh)
        rows = [self._layout.row(fitted(entry), catalogue.run_id) for entry in catalogue.entries]
        for batch in batches(rows):
            self._upsert(name, batch)
        self._flush_lite(name)
        held = count_rows(self._milvus, name)
        if held != len(rows):
            raise BackendError(
                f"{name!r} holds {held} rows of {len(rows)} that were written; run again"
            )

    def remove(self) -> None:
        """Take the alias away and all that was ever behind it."""
        if self.current() is not None:
            self._milvus.ask(
                f"dropping the alias {self._name!r}",
                lambda client, limit: client.drop_alias(self._name, timeout=limit),
            )
        self.drop_all_but()

    def _described(self, held: Generation) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._milvus.ask(
            f"describing {held.name!r}",
            lambda client, limit: client.describe_collection(held.name, timeout=limit),
        )
        return found

    def _columns(self, described: Mapping[str, Any]) -> tuple[str, ...]:
        """Those but the key that are there, in our order."""
        there = {field["name"] for field in described["fields"]}
        return tuple(name for name in COLUMNS[1:] if name in there or name not in LATER)

    def _flush_lite(self, name: str) -> None:
        """Servers limit flushes, and need none for what was written to be found."""
        if self._milvus.is_lite:
            self._milvus.ask(
                f"flushing {name!r}", lambda client, limit: client.flush(name, timeout=limit)
            )

    def _make(self, name: str) -> None:
        """Nobody else makes this name: if it is there, then an answer was lost."""
        told = f"Clusters of {self._target.name}, by vdbcluster; read it by its alias {self._name}"

        def call(client: Any, limit: float) -> None:
            if not client.has_collection(name, timeout=limit):
                schema = self._layout.schema(client, told)
                client.create_collection(name, schema=schema, num_shards=1, timeout=limit)

        try:
            self._milvus.ask(f"creating {name!r}", call)
        except BackendError:  # the server may have been at it still while it was asked
            if not self._exists(name):
                raise

    def _exists(self, name: str) -> bool:
        return self._milvus.ask(
            f"looking for {name!r}",
            lambda client, limit: bool(client.has_collection(name, timeout=limit)),
        )

    def _upsert(self, name: str, rows: list[Row]) -> None:
        self._milvus.ask(
            f"writing to {name!r}",
            lambda client, limit: client.upsert(name, rows, timeout=limit),
        )

    def switch(self, fresh: Generation, *, create: bool) -> None:
        """Let readers see it, in one step; ``create``: they see none yet."""
        try:
            self._point(fresh, create=create)
        except BackendError as error:
            if self.current() == fresh:  # it is there: a first answer was lost
                return
            if not (create and self._dangles(str(error))):
                raise
            self._point(fresh, create=False)

    def _point(self, fresh: Generation, *, create: bool) -> None:
        def call(client: Any, limit: float) -> None:
            move = client.create_alias if create else client.alter_alias
            move(fresh.name, self._name, timeout=limit)

        self._milvus.ask(f"pointing {self._name!r} to {fresh.name!r}", call)

    def _dangles(self, refusal: str) -> bool:
        """Whether the alias is left of a generation of ours that somebody has dropped.

        2.3.5 keeps it then, shows it to nobody, and refuses to make it; it tells of what it was.
        """
        named = _ALIAS_OF.search(refusal)
        held = generation_of(named[1]) if named else None
        return held is not None and held.catalogue == self._name and not self._exists(held.name)

    def drop_all_but(self, *kept: Generation | None) -> None:
        """Drop every generation of this catalogue but these."""
        for found in self._found():
            if found not in kept:
                self.drop(found.name)

    def _found(self) -> list[Generation]:
        """All that there are, whether readers see them or not."""
        names = self._milvus.ask(
            "listing the collections", lambda client, limit: client.list_collections(timeout=limit)
        )
        there = (generation_of(name) for name in names)
        return [found for found in there if found is not None and found.catalogue == self._name]

    def drop_empty(self, current: Generation | None) -> None:
        """Drop what was opened and never filled, but not what readers see.

        Nor what has the run of that: somebody who edits may be about to fill it.
        """
        seen = None if current is None else current.run_id
        for found in self._found():
            if found.run_id != seen and self._is_empty(found.name):
                self.drop(found.name)

    def _is_empty(self, name: str) -> bool:
        """What is not loaded nobody reads."""
        return not is_loaded(self._milvus, name) or count_rows(self._milvus, name) == 0

    def drop(self, name: str) -> None:
        """Drop the collection of one."""
        self._milvus.ask(
            f"dropping {name!r}",
            lambda client, limit: client.drop_collection(name, timeout=limit),
        )
