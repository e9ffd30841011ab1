"""What the settings name, as the adapters call it; this process and its workers say it alike.

In: settings. Out: where the server is, which rows are meant, how it is asked, what is written.
"""

from __future__ import annotations

from vdbcluster.adapters.milvus.client import MilvusAddress
from vdbcluster.adapters.milvus.search import SearchSettings
from vdbcluster.adapters.milvus.source import Selection
from vdbcluster.adapters.milvus.tls import Tls
from vdbcluster.adapters.milvus.writeback import LabelSettings
from vdbcluster.adapters.throttled import Throttle
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.settings import NeighborSettings, Settings
from vdbcluster.model.labels import MAP_FIELDS, Extra, LabelFields


def address(milvus: MilvusSettings) -> MilvusAddress:
    """Where the server is."""
    return MilvusAddress(
        milvus.uri,
        milvus.token.get_secret_value(),
        milvus.db,
        milvus.timeout,
        milvus.patience,
        Tls(milvus.tls_ca, milvus.tls_cert, milvus.tls_key, milvus.tls_name),
    )


def selection(milvus: MilvusSettings) -> Selection:
    """Which rows are meant."""
    return Selection(milvus.collection, milvus.vector_field, milvus.filter, milvus.partitions)


def label_settings(settings: Settings, *, unwritten: tuple[Extra, ...] = ()) -> LabelSettings:
    """How labels may be written, and which; ``unwritten``: see ``LabelFields``."""
    write = settings.write
    wanted: dict[Extra, bool] = {
        "path": settings.cluster.method == "layers" or settings.cluster.recurse > 0,
        "duplicate_of": settings.duplicates.mark,
        **dict.fromkeys(MAP_FIELDS, settings.map.write),
    }
    extras = tuple(extra for extra, on in wanted.items() if on)
    return LabelSettings(
        fields=LabelFields(write.label_prefix, extras, unwritten),
        way=write.way,
        allow_full_upsert=write.allow_full_upsert,
        adopt=write.adopt,
        batch_rows=write.batch,
    )


def throttle(settings: Settings, *, writers: int = 1, usual: float = 0.0) -> Throttle:
    """How fast each of some processes writes. Nobody but us can read a Lite file meanwhile.

    ``usual``: seconds of a read before the writing, which those that begin later have to be told.
    """
    rate = settings.write.rate
    if rate == "auto" and address(settings.milvus).is_file:
        rate = "none"
    return Throttle(rate, usual).shared(writers)


def search_settings(neighbors: NeighborSettings) -> SearchSettings:
    """How Milvus is asked for neighbours."""
    return SearchSettings(neighbors.effort, neighbors.batch, neighbors.concurrency)
