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

A server takes seconds to create and load a collection, so a run has it made (``reserved``) while
neighbours are searched. What a run that is killed then leaves is an empty collection under the name
of a generation; whoever reserves or replaces next drops it.

Rows are not written over in place instead: an upsert is a deletion and an insertion on servers, and
while 6,000 rows of 384 values were upserted on 2.3.5, by one call each time, a search for 500 found
63. Nor would a paged reading hold together, nor anything that takes two calls or a deletion.

An edit of people is an upsert of the row that it changes, in the generation that readers see. If a
``replace`` is under way then, both look again once they are done: the edit whether readers still
see what it has written to, the ``replace`` whether anything was edited in what they saw before. So
an edit is in the old generation and carried over, or made again in the new one, and never lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from vdbcluster.adapters.later import Later
from vdbcluster.adapters.milvus.catalogue_generations import Generations
from vdbcluster.adapters.milvus.catalogue_rows import Layout
from vdbcluster.adapters.milvus.writeback.own import Generation
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import (
    BackendUnavailableError,
    CollectionChangedError,
    VdbclusterError,
)
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, fitted
from vdbcluster.model.collection import VectorField
from vdbcluster.model.edits import edited
from vdbcluster.ports.catalogue import Change, Ready, no_catalogue

ATTEMPTS = 3
"""Readings or edits that replacements in a row may spoil."""


def catalogue_name(collection: str) -> str:
    """The name of the catalogue of ``collection``."""
    return f"{collection}_clusters"


def _differing(one: Catalogue, other: Catalogue) -> list[CatalogueEntry]:
    """Entries of ``one`` that are not the very ones of ``other``."""
    return [entry for entry in one.entries if entry is not other.get(entry.id)]


@dataclass(frozen=True)
class _Filled:
    """See ``ports.catalogue.Ready``."""

    to: MilvusCatalogue
    catalogue: Catalogue
    since: Catalogue | None
    current: Generation | None
    fresh: Generation
    now: Catalogue | None
    """What ``current`` held when ``fresh`` was filled, if that matters."""

    def show(self) -> None:
        self.to.show(self)


class MilvusCatalogue:
    """See the module."""

    def __init__(self, target: Target, vector: VectorField, name: str = "") -> None:
        """``vector``: the field that was clustered; ``name``: another than the usual one."""
        self._target = target
        self._layout = Layout(target.profile.key, vector)
        self._name = name or catalogue_name(target.name)
        self._generations = Generations(target, self._layout, self._name)
        self._room: Generation | None = None  # made and empty

    @property
    def name(self) -> str:
        return self._name

    def read(self) -> Catalogue | None:
        """See ``ports.catalogue``."""
        for _ in range(ATTEMPTS):
            held = self._held()
            if held is None:
                return None
            with suppress(CollectionChangedError):  # replaced twice meanwhile
                return self._generations.read(held)
        raise self._never_at_rest("read")

    @contextmanager
    def reserved(self, run_id: str) -> Iterator[MilvusCatalogue | None]:
        """See ``ports.catalogue``; embedded Milvus has a collection at once."""
        if self._target.milvus.is_lite:
            yield None
            return
        self._target.check()
        self._generations.drop_empty(self._generations.current())
        fresh = self._generations.named(run_id)
        with self._or_dropped(fresh):
            self._generations.open(fresh)
        self._room = fresh
        try:
            yield self
        finally:
            if (unused := self._taken_room()) is not None:
                with suppress(VdbclusterError):  # the error that ends the run is the one to tell
                    self._generations.drop(unused.name)

    def _taken_room(self) -> Generation | None:
        room, self._room = self._room, None
        return room

    def prepare(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> Ready:
        """See ``ports.catalogue``; embedded Milvus works for one caller at a time."""
        if self._target.milvus.is_lite:
            return Later(self, catalogue, since)
        return self._filled(catalogue, since)

    def replace(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> None:
        """See ``ports.catalogue``."""
        self._filled(catalogue, since).show()

    def _filled(self, catalogue: Catalogue, since: Catalogue | None) -> _Filled:
        self._check(catalogue)
        current = self._generations.current()
        held = self._held() if since is not None else None
        now = self._generations.read(held) if held else None
        news = (
            catalogue if since is None or now is None else edited(catalogue, since=since, now=now)
        )
        fresh = self._taken_room() or self._generations.named(catalogue.run_id)
        with self._or_dropped(fresh):
            self._generations.fill(fresh, news)
        return _Filled(self, catalogue, since, current, fresh, now)

    @contextmanager
    def _or_dropped(self, fresh: Generation) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with suppress(VdbclusterError):  # what ended the work is the one to tell
                self._generations.drop(fresh.name)
            raise

    def show(self, filled: _Filled) -> None:
        """Let readers see it; where they see another one by now, it is filled again, after that."""
        fresh = filled.fresh
        with self._or_dropped(fresh):
            self._target.check()
        current = self._generations.current()
        if current != filled.current:
            self._generations.drop(fresh.name)
            self.replace(filled.catalogue, since=filled.since)
            return
        self._generations.drop_all_but(current, fresh)
        self._generations.switch(fresh, create=current is None)
        if current is not None and filled.now is not None:
            self._catch_up(fresh, current, filled.now)

    def _catch_up(self, fresh: Generation, held: Generation, seen: Catalogue) -> None:
        """Make the edits again that reached the generation before while the new one was filled."""
        with suppress(CollectionChangedError):  # it is gone: somebody has replaced ours as well
            now = self._generations.read(fresh)
            late = edited(now, since=seen, now=self._generations.read(held))
            self._generations.put(fresh, _differing(late, now), now.run_id)

    def edit(self, change: Change) -> Catalogue:
        """See ``ports.catalogue``."""
        for _ in range(ATTEMPTS):
            held = self._held()
            if held is None:
                raise no_catalogue(self._target.name)
            with suppress(CollectionChangedError):
                stored = self._generations.read(held)
                changed = stored.having(map(fitted, change(stored)))
                self._store(held, stored, changed)
                if self._held() == held:
                    return changed
        raise self._never_at_rest("edited")

    def remove(self) -> None:
        """See ``ports.catalogue``."""
        self._generations.remove()

    def _held(self) -> Generation | None:
        """What readers see, if it is of this very collection."""
        found = self._generations.current()
        return found if found and found.is_of(self._target.profile.identity) else None

    def _store(self, held: Generation, stored: Catalogue, changed: Catalogue) -> None:
        """The rows that differ; all of them in a new generation, where this one lacks a column."""
        news = _differing(changed, stored)
        if self._generations.takes(held, news):
            self._generations.put(held, news, stored.run_id)
        else:
            self.replace(changed, since=stored)

    def _never_at_rest(self, what: str) -> BackendUnavailableError:
        return BackendUnavailableError(
            f"the catalogue {self._name!r} was replaced again and again while it was {what}; try "
            "again later"
        )

    def _check(self, catalogue: Catalogue) -> None:
        if catalogue.identity != self._target.profile.identity:
            raise CollectionChangedError(
                f"the catalogue belongs to an earlier collection {self._target.name!r}; nothing "
                "was written, run again"
            )
        self._layout.check(catalogue.entries)
        self._target.check()
