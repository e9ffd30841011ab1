"""Settings of the connection: which server, how it is reached, and which rows are meant.

In: values of the ``milvus`` section. Out: a frozen ``MilvusSettings``.
Promise: the token appears in no ``repr`` and no JSON.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from vdbcluster.config.base import Section, setting


class MilvusSettings(Section):
    """Rows: server, collection, vector field, filter, partitions."""

    uri: str = setting("milvus.db", "Milvus Lite file, or URI of a Milvus server or cluster.")
    token: SecretStr = setting(
        SecretStr(""), "API key or user:password; the environment is a better place for it."
    )
    db: str = setting("", "Database on the server; empty is its default database.")
    collection: str = setting("", "Collection (or alias) to work on.")
    vector_field: str = setting("", "Vector field; may be left out where there is only one.")
    filter: str = setting("", "Milvus filter expression: work on these rows only.")
    partitions: tuple[str, ...] = setting((), "Work on this partition; repeatable.", "--partition")
    timeout: float = setting(60.0, "Seconds to wait for one answer of the server.", gt=0)
    patience: float = setting(
        120.0,
        "Seconds for which a call is repeated while the server is away, starting or too busy.",
        ge=0,
    )
    tls_ca: Path | None = setting(
        None, "PEM file of the authorities that the server's certificate may come from."
    )
    tls_cert: Path | None = setting(None, "PEM file of a client certificate, for mutual TLS.")
    tls_key: Path | None = setting(None, "PEM file of its key, without a password.")
    tls_name: str = setting("", "Name in the server's certificate, if not that of its address.")
    page_bytes: int = setting(16 << 20, "Bytes of vectors asked for at once.", ge=1 << 16)
    load: bool = setting(False, "Load the collection if it is not loaded.")


CONNECTION = tuple(
    name
    for name in MilvusSettings.model_fields
    if name not in ("db", "collection", "vector_field", "filter", "partitions")
)
"""Settings of ``milvus`` that say how to reach it, not what is meant there."""
