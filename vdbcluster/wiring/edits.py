"""``clusters``: what people see of the clusters of a collection and do to them.

In: ``Settings``, ids. Out: the catalogue, an entry, what a merge wrote. Promise: only the catalogue
is opened, but for a merge, which writes labels: under the lock, and as a run that can be rolled
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.selection import choose_vector
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Int32Array, Keys
from vdbcluster.model.cards import Explanation
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.model.run_id import new_run_id
from vdbcluster.pipeline.cards import newest_explanation
from vdbcluster.pipeline.edits import Edit, Merged, change_entry, merge_clusters, unmerge
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.read import positions
from vdbcluster.ports import Observer
from vdbcluster.ports.catalogue import ClusterCatalogue
from vdbcluster.wiring.catalogues import catalogue_of
from vdbcluster.wiring.locking import opened
from vdbcluster.wiring.main_job import address, open_bench, versions


@contextmanager
def open_catalogue(settings: Settings) -> Iterator[MilvusCatalogue]:
    """That of the selection that ``settings`` name; ``UsageError`` if there is no collection."""
    milvus = settings.milvus
    if not milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME")
    with opened(address(milvus), settings) as connection:
        found = profile(connection, milvus.collection)
        vector = choose_vector(found, milvus.vector_field)
        yield catalogue_of(connection, found.name, vector, settings.write)


def read_clusters(settings: Settings) -> Catalogue:
    """All clusters; ``UsageError`` if no run has kept any."""
    with open_catalogue(settings) as catalogue:
        held = catalogue.read()
        if held is None:
            raise UsageError(
                f"there is no catalogue {catalogue.name!r}; vdbcluster run makes it (for labels "
                "under another prefix, or a catalogue of another name, say so here as there)"
            )
        return held


def explanation(settings: Settings, held: Catalogue) -> Explanation:
    """The cards of its clusters, as the newest run that was explained has them."""
    runs = RunDirectory(settings.run.runs_dir)
    return newest_explanation(runs, held.identity, settings.write.label_prefix)


def edit_cluster(settings: Settings, cluster: int, edit: Edit) -> CatalogueEntry:
    """Change one entry; see ``pipeline.edits``."""
    return _edited(settings, lambda catalogue: change_entry(catalogue, cluster, edit))


def unmerge_cluster(settings: Settings, cluster: int) -> CatalogueEntry:
    """Let a merged cluster come back with the next run."""
    return _edited(settings, lambda catalogue: unmerge(catalogue, cluster))


def _edited(
    settings: Settings, change: Callable[[ClusterCatalogue], CatalogueEntry]
) -> CatalogueEntry:
    with open_catalogue(settings) as catalogue:
        return change(catalogue)


def merge_job(settings: Settings, observer: Observer, cluster: int, into: int) -> Merged:
    """Merge, and record it as a run. ``LockedError`` while a run writes these labels."""
    run_id = new_run_id()
    with open_bench(settings, observer) as bench, bench.writing(run_id) as adapters:
        journal = begin(adapters, settings, run_id, versions())
        return merge_clusters(
            adapters, observer, journal, cluster, into, lambda keys: places(bench.source, keys)
        )


def places(source: MilvusSource, keys: Keys) -> tuple[Int32Array, tuple[str, ...]]:
    """Where rows are; asked of the server only if there are several places."""
    found = source.found
    partitions = ("",) if found.partition_key else source.selection.partitions or found.partitions
    places = np.zeros(len(keys), np.int32)
    if len(partitions) > 1:
        for code, partition in enumerate(partitions):
            for page in source.vectors(keys, partition):
                at = positions(page.keys, keys)
                places[at[at >= 0]] = code
    return places, partitions
