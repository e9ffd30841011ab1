"""Asking a model, reading what it says, and asking once more where that is no good.

In: a ``Chat``, questions in words, a function that reads an answer. Out: an ``Outcome`` for each.
Promise: a question without a usable answer is an outcome with its trouble, never an exception; once
a limit of cost is reached, or the model stays away, nothing is asked any more but what is kept from
before; answers that cannot be used are forgotten, so that another try asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from vdbcluster.commentary.answers import Faulty
from vdbcluster.commentary.templates import Prompts
from vdbcluster.commentary.wording import Wording, with_repair
from vdbcluster.errors import BackendError, BudgetError
from vdbcluster.ports.chat import Chat, NoAnswerError, Question

T = TypeVar("T")
AWAY = 3
"""Questions in a row without a word from the model, after which it is not asked again."""


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer looks like: its schema, by name, and the tokens it may take."""

    name: str
    schema: Mapping[str, Any]
    max_tokens: int

    def question(self, wording: Wording) -> Question:
        return Question(self.name, wording.system, wording.user, self.schema, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """``value``: what was read, None if there is ``trouble``; ``repaired``: at the second try."""

    value: T | None = None
    trouble: str = ""
    repaired: bool = False


class NotToldError(Exception):
    """There is no answer; the message says why."""


class Interviewer(Protocol):
    """Who gets the text of an answer: ``Asking`` here, or one that only counts (``forecast``)."""

    def told(self, question: Question) -> str:
        """Raises ``NotToldError``."""
        ...

    def forget(self, question: Question) -> None: ...


class Asking:
    """Asks a model. Threads may share it."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._lock = Lock()
        self._silent = 0
        self.answered = 0
        self.ended = ""
        self.away: BackendError | None = None

    def told(self, question: Question) -> str:
        """The answer; see ``Interviewer``."""
        if self.ended and not self._chat.knows(question):
            raise NotToldError(self.ended)
        try:
            answer = self._chat.ask(question)
        except NoAnswerError as error:
            self._heard()
            raise NotToldError(f"the model gave no answer: {error}") from error
        except BudgetError as error:
            self._end(f"not asked: {error}")
            raise NotToldError(f"not asked: {error}") from error
        except BackendError as error:
            self._unheard(error)
            raise NotToldError(f"the model could not be asked: {error}") from error
        self._heard(answered=True)
        return answer.text

    def forget(self, question: Question) -> None:
        self._chat.forget(question)

    def _heard(self, *, answered: bool = False) -> None:
        with self._lock:
            self._silent = 0
            self.answered += answered

    def _unheard(self, error: BackendError) -> None:
        with self._lock:
            self._silent += 1
            self.away = error
            silent = self._silent
        if silent >= AWAY:
            self._end(f"not asked, since the model could not be reached: {error}")

    def _end(self, why: str) -> None:
        with self._lock:
            self.ended = self.ended or why


def interview(
    asking: Interviewer,
    prompts: Prompts,
    form: Form,
    wording: Wording,
    read: Callable[[str, Wording], T | Faulty],
) -> Outcome[T]:
    """Ask; where the answer cannot be used, show it to the model and ask once more.

    ``read`` gets an answer and what was asked.
    """
    first = form.question(wording)
    try:
        text = asking.told(first)
        said = read(text, wording)
        if not isinstance(said, Faulty):
            return Outcome(said)
        mended = with_repair(prompts, wording, text, said.faults)
        second = form.question(mended)
        said = read(asking.told(second), mended)
    except NotToldError as why:
        return Outcome(trouble=str(why))
    if not isinstance(said, Faulty):
        return Outcome(said, repaired=True)
    asking.forget(first)
    asking.forget(second)
    return Outcome(trouble=f"the model's answer cannot be used: {'; '.join(said.faults[:3])}")
