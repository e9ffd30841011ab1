"""The catalogue of clusters in Milvus: ``ClusterCatalogue`` by an alias over whole collections.

In: the collection that was clustered and its vector field. Out: an alias ``<collection>_clusters``
that any client queries and searches like a collection; see ``catalogue_rows`` for its columns.
Promise: a reader sees the catalogue of one run, never a mixture and never a part; what has the
name but is not ours is not touched.

    client.query("docs_clusters", filter='state == "live" and stability >= 0.75',
                 output_fields=["name", "size"])
    client.search("docs_clusters", data=[vector], limit=5, output_fields=["cluster_id", "name"])

Each ``replace`` fills a collection of its own, checks that it is whole, and then moves the alias,
which is one step for the server. The generation before stays until the next ``replace`` has filled
its own, because a reader that is at it when it goes finds no rows. What a killed ``replace`` has
left goes then too.

Rows are not written over in place instead: an upsert is a deletion and an insertion on servers, and
while 6,000 rows of 384 values were upserted on 2.3.5, by one call each time, a search for 500 found
63. Nor would a paged reading hold together, nor anything that takes two calls or a deletion.

Edits by people (name, pinned, hidden) are plain upserts through the alias.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from vdbcluster.adapters.milvus.catalogue_rows import COLUMNS, ID, Layout, Row, batches
from vdbcluster.adapters.milvus.ingest.create import load, make_index
from vdbcluster.adapters.milvus.profile import count_rows, identity
from vdbcluster.adapters.milvus.stream import Scan, page_rows, read_pages
from vdbcluster.adapters.milvus.writeback.own import Generation, generation_of, new_generation
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    CollectionChangedError,
    RefusedError,
    UsageError,
    VdbclusterError,
)
from vdbcluster.model.catalogue import Catalogue, fitted
from vdbcluster.model.collection import KeyField, VectorField

MAX_NAME = 255
"""Bytes of the name of a collection that servers allow."""
PAGE_BYTES = 16 * 1024 * 1024
TEXT_BYTES = 2048
"""Guess of the texts of a row; a page that turns out too large is halved."""
ATTEMPTS = 3
"""Readings that two replacements in a row may spoil."""


def catalogue_name(collection: str) -> str:
    """The name of the catalogue of ``collection``."""
    return f"{collection}_clusters"


class MilvusCatalogue:
    """See the module."""

    def __init__(self, target: Target, vector: VectorField, name: str = "") -> None:
        """``vector``: the field that was clustered; ``name``: another than the usual one."""
        self._target = target
        self._milvus = target.milvus
        self._layout = Layout(target.profile.key, vector)
        self._name = name or catalogue_name(target.name)

    @property
    def name(self) -> str:
        return self._name

    def read(self) -> Catalogue | None:
        """See ``ports.catalogue``."""
        for _ in range(ATTEMPTS):
            held = self._current()
            if held is None or not held.is_of(self._target.profile.identity):
                return None
            with suppress(CollectionChangedError):  # replaced twice meanwhile
                return self._read(held)
        raise BackendUnavailableError(
            f"the catalogue {self._name!r} was replaced again and again while it was read; try "
            "again later"
        )

    def replace(self, catalogue: Catalogue) -> None:
        """See ``ports.catalogue``."""
        self._check(catalogue)
        current = self._current()
        fresh = self._named(catalogue.run_id)
        rows = [self._layout.row(fitted(entry), catalogue.run_id) for entry in catalogue.entries]
        try:
            self._fill(fresh.name, rows)
            self._target.check()
        except BaseException:
            with suppress(VdbclusterError):  # what ended the work is the one to tell
                self._drop(fresh.name)
            raise
        self._drop_all_but(current, fresh)
        self._switch(fresh, create=current is None)

    def remove(self) -> None:
        """See ``ports.catalogue``."""
        if self._current() is not None:
            self._milvus.ask(
                f"dropping the alias {self._name!r}",
                lambda client, limit: client.drop_alias(self._name, timeout=limit),
            )
        self._drop_all_but()

    def _check(self, catalogue: Catalogue) -> None:
        if catalogue.identity != self._target.profile.identity:
            raise CollectionChangedError(
                f"the catalogue belongs to an earlier collection {self._target.name!r}; nothing "
                "was written, run again"
            )
        self._layout.check(catalogue.entries)
        self._target.check()

    def _named(self, run_id: str) -> Generation:
        fresh = new_generation(self._name, self._target.profile.identity, run_id)
        if len(fresh.name) > MAX_NAME:
            raise UsageError(
                f"the name {self._name!r} is too long for a catalogue: collections behind it add "
                f"{len(fresh.name) - len(self._name)} characters, and {MAX_NAME} are allowed"
            )
        return fresh

    def _current(self) -> Generation | None:
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

    def _read(self, held: Generation) -> Catalogue:
        name, centroid = held.name, self._layout.centroid
        known = identity(self._milvus, name)
        load(self._milvus, name)
        count_rows(self._milvus, name)  # a strong call: what follows sees edits made until now
        fields = (*COLUMNS[1:], centroid.name)
        scan = Scan(name, known, KeyField(ID, "INT64", auto_id=False), fields)
        pages = read_pages(self._milvus, scan, page_rows(4 * centroid.dim + TEXT_BYTES, PAGE_BYTES))
        entries = [entry for page in pages for entry in self._layout.entries(page)]
        return Catalogue(tuple(entries), held.run_id, self._target.profile.identity)

    def _fill(self, name: str, rows: list[Row]) -> None:
        """Create the collection, and see that whoever reads it finds every row."""
        centroid = self._layout.centroid
        self._make(name)
        make_index(self._milvus, name, centroid.name, "FLAT", str(centroid.metric))
        load(self._milvus, name)
        for batch in batches(rows):
            self._upsert(name, batch)
        if self._milvus.is_lite:
            self._milvus.ask(
                f"flushing {name!r}", lambda client, limit: client.flush(name, timeout=limit)
            )
        held = count_rows(self._milvus, name)
        if held != len(rows):
            raise BackendError(
                f"{name!r} holds {held} rows of {len(rows)} that were written; run again"
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

    def _switch(self, fresh: Generation, *, create: bool) -> None:
        def call(client: Any, limit: float) -> None:
            move = client.create_alias if create else client.alter_alias
            move(fresh.name, self._name, timeout=limit)

        try:
            self._milvus.ask(f"pointing {self._name!r} to {fresh.name!r}", call)
        except BackendError:
            if self._current() != fresh:  # it is there: a first answer was lost
                raise

    def _drop_all_but(self, *kept: Generation | None) -> None:
        names = self._milvus.ask(
            "listing the collections", lambda client, limit: client.list_collections(timeout=limit)
        )
        for found in map(generation_of, names):
            if found is not None and found.catalogue == self._name and found not in kept:
                self._drop(found.name)

    def _drop(self, name: str) -> None:
        self._milvus.ask(
            f"dropping {name!r}",
            lambda client, limit: client.drop_collection(name, timeout=limit),
        )
