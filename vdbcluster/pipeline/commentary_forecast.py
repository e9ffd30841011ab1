"""What the commentary would ask, and what that would take, before anything is asked.

In: cards, a ``Chat``. Out: ``Forecast``. Promise: nothing is asked but what the ``Chat`` has kept;
the steps are those of ``commented`` itself, so that both see the same questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

from vdbcluster.commentary.checks import CLAIMS, NAME, SENTENCE
from vdbcluster.model.cards import Card, Claim, Commentary
from vdbcluster.pipeline.commentary import Commenting, answer_language, compare, naming, subjects
from vdbcluster.pipeline.commentary_asking import NotToldError
from vdbcluster.pipeline.commentary_naming import named
from vdbcluster.ports.chat import Chat, NoAnswerError, Question

STAND_IN = Commentary(
    "n" * NAME,
    "d" * SENTENCE,
    unusual=(Claim("c" * SENTENCE),) * CLAIMS,
    perspective="p" * SENTENCE,
    model="-",
)
"""As long as the commentary of a cluster can be that was not asked about yet."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What there is to ask; ``cached`` answers are kept from before and cost nothing.

    ``prompt_tokens`` err high, ``answer_tokens`` are the most that there can be, by the limit of
    each answer. Repairs, and names that are asked for again, come on top.
    """

    questions: int
    cached: int
    prompt_tokens: int
    answer_tokens: int

    def cost(self, price_in: float, price_out: float, thinking: int = 0) -> float:
        """At most, in the currency of the prices of a million tokens.

        ``thinking``: tokens beside those of each answer that a model may take.
        """
        out = self.answer_tokens + thinking * self.questions
        return (self.prompt_tokens * price_in + out * price_out) / 1e6


def forecast(made: Commenting, cards: Sequence[Card]) -> Forecast:
    """See the module."""
    counting = _Counting(made.chat)
    asked = naming(made, counting, answer_language(made, cards))
    found = named(asked, subjects(made, cards), _Unseen())
    told = [
        replace(card, commentary=found[card.called].commentary or STAND_IN)
        for card in cards
        if card.called in found
    ]
    compare(made, counting, told, _Unseen())
    return Forecast(
        len(counting.missing),
        counting.cached,
        sum(made.chat.tokens(question) for question in counting.missing),
        sum(question.max_tokens for question in counting.missing),
    )


class _Counting:
    """``Interviewer`` that asks nobody."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._lock = Lock()
        self.missing: list[Question] = []
        self.cached = 0

    def told(self, question: Question) -> str:
        known = self._chat.knows(question)
        with self._lock:
            self.cached += known
            if not known:
                self.missing.append(question)
        if not known:
            raise NotToldError("not asked yet")
        try:
            return self._chat.ask(question).text
        except NoAnswerError as error:
            raise NotToldError(str(error)) from error

    def forget(self, question: Question) -> None:
        """Nothing is asked, so nothing is dropped."""


class _Unseen:
    """``Observer`` of what takes no time."""

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[_Unseen]:  # noqa: ARG002
        yield self

    def advance(self, rows: int) -> None: ...

    def detail(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...
