"""The language model that the settings name, for as long as it is needed.

    with open_chat(settings, observer.warn) as chat:
        chat.ask(question)

In: ``Settings``. Out: a ``Chat``. Promise: it is closed afterwards, whatever happened; wrong
settings are a ``UsageError`` before anything is sent.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vdbcluster.adapters import chat as adapter
from vdbcluster.config.settings import Settings
from vdbcluster.ports.chat import Chat


@contextmanager
def open_chat(settings: Settings, warn: Callable[[str], None] = warnings.warn) -> Iterator[Chat]:
    """The chat of section ``chat``. Raises ``UsageError``."""
    chat = adapter.open_chat(settings.chat, warn)
    try:
        yield chat
    finally:
        chat.close()
