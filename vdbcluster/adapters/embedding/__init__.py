"""Embedding APIs and models behind the Embedder port.

    embedder = open_embedder(settings.embed, observer.warn)

In: ``EmbedSettings``. Out: an ``Embedder``, with its cache around it where one is set.
Promise: what is wrong with the settings (no key, no package, a cache that cannot be used) is told
here, before anything is read or sent.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

from vdbcluster.adapters.endpoint.address import KEY_VARIABLE, check_key_given
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import UsageError
from vdbcluster.ports.embedder import Embedder


def open_embedder(settings: EmbedSettings, warn: Callable[[str], None] = warnings.warn) -> Embedder:
    """The embedder that the settings name. The local one has no cache: it is as fast itself.

    ``warn`` is told, once, if the cache has to be given up on the way. Raises ``UsageError``.
    """
    # Each of them takes up to a second to import.
    if settings.embedder == "local":
        from vdbcluster.adapters.embedding.local import LocalEmbedder

        return LocalEmbedder()
    key = settings.api_key.get_secret_value() or os.environ.get(KEY_VARIABLE, "")
    _check(settings, key)
    from vdbcluster.adapters.embedding.cache import CachedEmbedder, identity
    from vdbcluster.adapters.embedding.openai_api import OpenAIEmbedder

    embedder = OpenAIEmbedder(settings, key)
    if settings.cache is None:
        return embedder
    return CachedEmbedder(embedder, settings.cache, identity(settings), warn)


def _check(settings: EmbedSettings, key: str) -> None:
    check_key_given(
        settings.base_url,
        key,
        "or name another endpoint with --embed-base-url, or try --embedder local, which needs none",
    )
    if settings.max_cost is not None and not settings.price:
        raise UsageError("--max-cost needs --embed-price, the price of a million tokens")
