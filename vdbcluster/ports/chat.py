"""Who answers questions in words: a language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vdbcluster.errors import BackendError


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked: ``system`` says what to do, ``user`` holds the data.

    ``schema``: the JSON schema of the answer, by name; ``max_tokens``: of the answer, at most.
    """

    name: str
    system: str
    user: str
    schema: Mapping[str, Any]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` as the model wrote it, which may be anything; ``cached``: it was not asked now.

    Tokens as the endpoint counted them, estimated where it does not count; 0 if ``cached``.
    """

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ChatUsage:
    """What was taken until now; ``cost`` in the currency of the prices, 0 without prices."""

    questions: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: float = 0.0


class NoAnswerError(BackendError):
    """This question has no answer (refused, filtered, empty, cut off); others may have one."""


class Chat(Protocol):
    """One model with its settings. Threads may share it."""

    @property
    def description(self) -> str:
        """Model and where it runs, in a few words, without secrets."""
        ...

    @property
    def model(self) -> str:
        """The name of the model."""
        ...

    @property
    def usage(self) -> ChatUsage: ...

    def tokens(self, question: Question) -> int:
        """An estimate of the tokens of the question; errs high."""
        ...

    def knows(self, question: Question) -> bool:
        """Whether the answer is kept from before, and costs nothing."""
        ...

    def ask(self, question: Question) -> Answer:
        """The answer, kept so that the same question costs nothing again.

        Raises ``NoAnswerError`` where this question has none, ``BackendUnavailableError`` where the
        model cannot be reached or stays overloaded, ``UsageError`` where key, model or address are
        wrong, ``BudgetError`` where the question would pass a limit of the user.
        """
        ...

    def forget(self, question: Question) -> None:
        """Drop a kept answer that turned out to be no good, so that it is asked again."""
        ...

    def close(self) -> None:
        """End calls that wait, in other threads, with ``BackendError``; let go of everything."""
        ...
