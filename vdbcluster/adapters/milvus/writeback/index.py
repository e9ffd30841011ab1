"""Scalar indexes, where the server has one for whole numbers.

In: a collection and the name of an INT64 column. Out: the kind of index made, if any.
Promise: an index that is there already is left alone; a server that refuses goes without. Whether
a *loaded* collection may be given one must be known: on 2.3.5 its readers go on, but every later
``load_collection`` of theirs fails until it is released.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.errors import BackendUnavailableError, CollectionChangedError, VdbclusterError

KINDS = ("INVERTED", "STL_SORT")
"""Best first: Lite and servers from 2.4 have the first, 2.3 the second alone."""


def index_labels(
    milvus: MilvusConnection,
    collection: str,
    field: str,
    kinds: Sequence[str] = KINDS,
    *,
    wait: bool = True,
) -> str | None:
    """Index ``field``; None if it has an index already or the server refuses every kind.

    ``wait`` until it is built, for which the client looks every half second; a collection that is
    still empty need not wait.
    """
    doing = f"indexing {field!r} of {collection!r}"
    if milvus.ask(doing, lambda client, _: client.list_indexes(collection, field_name=field)):
        return None
    for kind in kinds:
        try:
            milvus.ask(
                doing, partial(_create, collection=collection, field=field, kind=kind, wait=wait)
            )
        except (BackendUnavailableError, CollectionChangedError):
            raise
        except VdbclusterError:
            continue
        return kind
    return None


def _create(
    client: Any, limit: float, *, collection: str, field: str, kind: str, wait: bool
) -> None:
    params = client.prepare_index_params()
    params.add_index(field, index_type=kind, index_name=field)
    client.create_index(collection, params, timeout=limit, sync=wait)
