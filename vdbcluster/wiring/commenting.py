"""The language model that comments on clusters, with all it works with.

In: settings. Out: ``Commenting``, for ``pipeline.commentary`` and ``commentary_forecast``.
Promise: what is wrong with key, prompts or settings is told before anything is asked; the chat is
closed at the end, whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from vdbcluster.adapters.chat import open_chat
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.prompt_files import prompts_from
from vdbcluster.config.settings import Settings
from vdbcluster.pipeline.commentary import Commenting
from vdbcluster.ports.observer import Observer


@contextmanager
def open_commenting(settings: Settings, observer: Observer) -> Iterator[Commenting]:
    """Raises ``UsageError``."""
    prompts = prompts_from(settings.commentary.prompts)
    with closing(open_chat(settings.chat, observer.warn)) as chat:
        yield Commenting(chat, settings.commentary, Py3LangId(), settings.chat.concurrency, prompts)
