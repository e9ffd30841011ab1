"""``serve``: settings to what a search UI works with.

In: ``Settings``. Out: ``Services`` over Milvus, open as long as the context is.
Promise: only reads, but for edits where they are allowed; a question waits ``PATIENCE`` seconds for
a server that is away, then it is an error, and the next one may find it back. A Milvus Lite file is
held by this process as long as it serves.

    with open_services(settings, observer) as services:
        run(create_app(services))
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vdbcluster.adapters.embedding import open_embedder
from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.live import MilvusLive
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.catalogue import CatalogueEntry
from vdbcluster.model.labels import MAP_FIELDS, LabelFields
from vdbcluster.pipeline.browse import Browser
from vdbcluster.pipeline.browse_edits import Editing
from vdbcluster.pipeline.browse_map import MapShelf
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.pipeline.browse_shelf import Shelf
from vdbcluster.pipeline.browse_text import TextSearch
from vdbcluster.pipeline.edits import Edit, Merged, change_entry, unmerge
from vdbcluster.pipeline.part import part_of
from vdbcluster.ports import Observer
from vdbcluster.wiring.catalogues import catalogue_of
from vdbcluster.wiring.edits import merge_job
from vdbcluster.wiring.locking import opened
from vdbcluster.wiring.main_job import address, check_text_field, selection

PATIENCE = 2.0
"""Seconds for which a question of a person is repeated while the server is away."""
ATTEMPTS = 2
"""At embedding what a person types."""


@contextmanager
def open_services(settings: Settings, observer: Observer) -> Iterator[Services]:
    """See the module. ``UsageError`` if there is no collection, or not the fields named."""
    milvus = settings.milvus
    if not milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME")
    where = replace(address(milvus), patience=min(PATIENCE, milvus.patience))
    with opened(where, settings) as connection:
        live = _live(connection, settings)
        check_text_field(live.profile(), settings.run.text_field)
        texts = _texts(live, settings, observer)
        services = _services(connection, live, texts, settings, observer)
        try:
            yield services
        finally:
            services.browser.shelf.close()
            live.close()
            texts.close()


def _live(connection: MilvusConnection, settings: Settings) -> MilvusLive:
    fields = LabelFields(settings.write.label_prefix)
    live = MilvusLive(connection, selection(settings.milvus), fields)
    if not live.profile().loaded:
        name = live.profile().name
        if not settings.milvus.load:
            raise UsageError(f"the collection {name!r} is not loaded; pass --load")
        connection.ask(
            f"loading {name!r}",
            lambda client, limit: client.load_collection(name, timeout=limit),
        )
    return live


def _texts(live: MilvusLive, settings: Settings, observer: Observer) -> TextSearch:
    embed, asked = settings.embed, settings.serve.query_prefix
    prefix = embed.prefix if asked is None else asked
    return TextSearch(
        lambda: open_embedder(_for_questions(embed), observer.warn),
        lambda: live.vector_field,
        prefix,
    )


def _for_questions(embed: EmbedSettings) -> EmbedSettings:
    """The same model, asked with little patience; the prefix is put before texts by us."""
    attempts = min(ATTEMPTS, embed.max_attempts)
    return embed.model_copy(update={"max_attempts": attempts, "prefix": ""})


def _services(
    connection: MilvusConnection,
    live: MilvusLive,
    texts: TextSearch,
    settings: Settings,
    observer: Observer,
) -> Services:
    prefix, runs = settings.write.label_prefix, RunDirectory(settings.run.runs_dir)

    def catalogue() -> MilvusCatalogue:
        return catalogue_of(connection, live.profile().name, live.vector_field, settings.write)

    part = part_of(settings.milvus.filter, settings.milvus.partitions)
    shelf = Shelf(catalogue, runs, prefix, rows=part)
    browser = Browser(
        live,
        shelf,
        texts,
        ours=LabelFields(prefix, MAP_FIELDS).every,
        text_field=settings.run.text_field,
        image_field=settings.serve.image_field,
    )

    def change(cluster: int, edit: Edit) -> CatalogueEntry:
        return change_entry(catalogue(), cluster, edit)

    def merge(cluster: int, into: int) -> Merged:
        return merge_job(settings, observer, cluster, into)

    def take_out(cluster: int) -> CatalogueEntry:
        return unmerge(catalogue(), cluster)

    editing = Editing(change, merge, take_out) if settings.serve.allow_edit else None
    return Services(browser, MapShelf(runs, prefix, part=part), runs, editing, prefix)
