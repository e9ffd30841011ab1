"""Answers that were paid for once are kept.

    CachedChat(chat, folder, identity(settings), warn)

In: questions; a folder that holds ``answers.sqlite``. Out: their answers; only a question that the
cache lacks goes to the chat around which it is.
Promise: an answer is on disk before ``ask`` returns, so that a process that is killed at any moment
loses the questions under way and nothing else; processes and threads may share the folder;
questions are not stored, answers are, as they came. A cache that cannot be used, or fails on the
way, is given up with one warning; an answer that was damaged is asked again.

The key is the BLAKE2 hash of the whole question and of all that shapes its answer: model, endpoint,
format, temperature, seed, effort. Refusals and answers that were cut off are not kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from vdbcluster.adapters.endpoint.address import identity_of
from vdbcluster.adapters.endpoint.lenient import LenientStore
from vdbcluster.adapters.endpoint.store import Kind, Store, key_of
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import UsageError
from vdbcluster.ports.chat import Answer, Chat, ChatUsage, Question

FILE = "answers.sqlite"
KIND = Kind("answers", FILE, "answers", "answer", 0x76646341, 1, "--chat-cache")
CHECK_BYTES = 8


def identity(settings: ChatSettings) -> str:
    """Everything but the question that its answer depends on."""
    return json.dumps(
        [
            settings.model,
            identity_of(settings.base_url),
            settings.format,
            settings.temperature,
            settings.seed,
            settings.effort,
        ]
    )


class CachedChat:
    """``Chat`` around a ``Chat``; see the module."""

    def __init__(
        self, chat: Chat, folder: Path, identity: str, warn: Callable[[str], None]
    ) -> None:
        self._chat = chat
        self._identity = identity
        self._lock = threading.Lock()
        self._cached = 0
        self._store = LenientStore(_opened(folder, warn), warn)

    @property
    def description(self) -> str:
        return self._chat.description

    @property
    def model(self) -> str:
        return self._chat.model

    @property
    def usage(self) -> ChatUsage:
        return replace(self._chat.usage, cached=self._cached)

    def tokens(self, question: Question) -> int:
        """See ``ports.Chat``."""
        return self._chat.tokens(question)

    def knows(self, question: Question) -> bool:
        """See ``ports.Chat``."""
        return self._kept(self._key(question)) is not None

    def ask(self, question: Question) -> Answer:
        """See ``ports.Chat``. Two threads that ask the same at once may both be answered anew."""
        key = self._key(question)
        text = self._kept(key)
        if text is not None:
            with self._lock:
                self._cached += 1
            return Answer(text, cached=True)
        answer = self._chat.ask(question)
        self._store.put({key: _packed(answer.text)})
        return answer

    def forget(self, question: Question) -> None:
        """See ``ports.Chat``."""
        self._store.drop(self._key(question))
        self._chat.forget(question)

    def close(self) -> None:
        """See ``ports.Chat``."""
        self._chat.close()
        self._store.close()

    def _key(self, question: Question) -> bytes:
        whole = [
            question.name,
            question.system,
            question.user,
            question.schema,
            question.max_tokens,
        ]
        return key_of(f"{self._identity}\0{json.dumps(whole, sort_keys=True)}")

    def _kept(self, key: bytes) -> str | None:
        return _unpacked(self._store.get([key]).get(key))


def _opened(folder: Path, warn: Callable[[str], None]) -> Store | None:
    try:
        return Store(folder, KIND)
    except UsageError as error:
        warn(f"{error}; going on without")
        return None


def _packed(text: str) -> bytes:
    """The text after a hash of it: SQLite does not notice bytes that changed."""
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=CHECK_BYTES).digest() + data


def _unpacked(blob: object) -> str | None:
    """The text of a row, None if it is not one that could have been put."""
    if not isinstance(blob, bytes):
        return None
    check, data = blob[:CHECK_BYTES], blob[CHECK_BYTES:]
    whole = data and blake2b(data, digest_size=CHECK_BYTES).digest() == check
    return data.decode("utf-8", "surrogatepass") if whole else None
