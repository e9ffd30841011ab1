"""Language models behind the Chat port.

    chat = open_chat(settings.chat, observer.warn)

In: ``ChatSettings``. Out: a ``Chat``, with its cache around it where one is set.
Promise: what is wrong with the settings (no key, no price for a limit of cost) is told here, before
anything is read or sent.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

from vdbcluster.adapters.endpoint.address import KEY_VARIABLE, check_key_given
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import UsageError
from vdbcluster.ports.chat import Chat


def open_chat(settings: ChatSettings, warn: Callable[[str], None] = warnings.warn) -> Chat:
    """The model that the settings name; the caller closes it. Raises ``UsageError``.

    ``warn`` is told, once each, what the endpoint does not understand, and that the cache has to be
    given up.
    """
    # It takes up to a second to import.
    from vdbcluster.adapters.chat.cache import CachedChat, identity
    from vdbcluster.adapters.chat.openai_api import OpenAIChat

    key = settings.api_key.get_secret_value() or os.environ.get(KEY_VARIABLE, "")
    check_key_given(settings.base_url, key, "or name another endpoint with --chat-base-url")
    if settings.max_cost is not None and not (settings.price_in or settings.price_out):
        raise UsageError(
            "--chat-max-cost needs --chat-price-in and --chat-price-out, the prices of a million "
            "tokens"
        )
    chat = OpenAIChat(settings, key, warn)
    if settings.cache is None:
        return chat
    return CachedChat(chat, settings.cache, identity(settings), warn)
