"""Answers from any OpenAI-compatible chat endpoint.

    chat = OpenAIChat(ChatSettings(model="gpt-5.4-mini"), api_key)
    chat.ask(Question("greeting", "Be brief.", "Hello!", schema, max_tokens=100)).text

In: questions. Out: answers, as the model wrote them.
Promise: retried as ``endpoint.calls`` says; stopped at once, for all threads, by what retrying
cannot mend; never more requests at once than wanted; a budget is never passed as long as the
endpoint keeps to the length that it is asked for; the key is never shown. What the endpoint does
not understand of a request is left out or said in another way (``dialect``), and told once.

A request that the endpoint calls bad ends everything if nothing has gone well before, and only its
own question later.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable

import openai

from vdbcluster.adapters.chat.answer import Completion, checked_text, read_completion
from vdbcluster.adapters.chat.dialect import Dialect, first_dialect, request, texts
from vdbcluster.adapters.endpoint.address import checked_address, checked_key
from vdbcluster.adapters.endpoint.calls import Calls, Patience, Words
from vdbcluster.adapters.endpoint.last_out import LastOut
from vdbcluster.adapters.endpoint.ledger import Bill, Budget, Ledger, Tokens
from vdbcluster.adapters.endpoint.tokens import TokenEstimate, ceiling
from vdbcluster.adapters.endpoint.trouble import (
    WrongAnswerError,
    filtered,
    never_sent,
    said,
    too_large,
)
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import BackendError, BudgetError, VdbclusterError
from vdbcluster.ports.chat import Answer, ChatUsage, NoAnswerError, Question

ADDRESS_FLAG = "--chat-base-url"
CONNECT = 15.0
"""Seconds for a connection; an answer may take longer."""
AROUND = 24
"""Tokens that a server may put around the messages by itself."""


class OpenAIChat:
    """``Chat`` over HTTP, which keeps nothing. Once it failed for good it stays so."""

    def __init__(
        self,
        settings: ChatSettings,
        api_key: str = "",
        warn: Callable[[str], None] = warnings.warn,
        patience: Patience | None = None,
    ) -> None:
        """``warn`` is told what the endpoint does not understand. Raises ``UsageError``."""
        self._settings = settings
        self._warn = warn
        key = checked_key(api_key)
        self._address = checked_address(settings.base_url, ADDRESS_FLAG, "/chat/completions")
        # Local servers want no key, but the client refuses to start without one.
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=settings.base_url,
            timeout=openai.Timeout(settings.timeout, connect=min(CONNECT, settings.timeout)),
            max_retries=0,
        )
        self._door = LastOut(self._client.close)
        self._estimate = TokenEstimate()
        self._ledger = Ledger(_budget(settings))
        words = Words(f"asking {self.description}", "--chat-model", ADDRESS_FLAG)
        self._calls = Calls(words, key, settings.max_attempts, patience)
        self._slots = threading.BoundedSemaphore(settings.concurrency)
        self._lock = threading.Lock()
        self._dialect = first_dialect(settings)
        self._questions = 0

    @property
    def description(self) -> str:
        return f"{self._settings.model} at {self._address}"

    @property
    def model(self) -> str:
        return self._settings.model

    @property
    def usage(self) -> ChatUsage:
        _, taken, cost = self._ledger.taken
        return ChatUsage(self._questions, 0, taken.asked, taken.answered, cost)

    def tokens(self, question: Question) -> int:
        """See ``ports.Chat``; closer once answers have told what they took."""
        sent = texts(question, self._dialect)
        return sum(map(self._estimate.likely, sent)) + AROUND

    def knows(self, question: Question) -> bool:  # noqa: ARG002
        """Nothing is kept here."""
        return False

    def forget(self, question: Question) -> None:
        """Nothing is kept here."""

    def ask(self, question: Question) -> Answer:
        """See ``ports.Chat``."""
        try:
            with self._slots, self._door:
                return self._ask(question)
        except (NoAnswerError, BudgetError):
            raise
        except VdbclusterError as error:
            self._calls.stop(error)
            raise

    def close(self) -> None:
        """See ``ports.Chat``; a request under way ends with its answer or its time-out."""
        self._calls.stop(BackendError("asking was ended"))
        self._door.close()

    def _ask(self, question: Question) -> Answer:
        try:
            return self._calls.until_done(lambda: self._attempt(question))
        except openai.APIStatusError as error:
            if why := self._own_fault(error):
                raise NoAnswerError(f"{why} ({self._calls.hidden(said(error))})") from error
            raise self._calls.told(error) from error
        except (openai.OpenAIError, WrongAnswerError) as error:
            raise self._calls.told(error) from error

    def _own_fault(self, error: openai.APIStatusError) -> str:
        """What is wrong with this question alone; empty if others would fare no better."""
        if filtered(error):
            return "the endpoint filtered the question"
        if too_large(error):
            return "the question is too long for the model"
        if self._calls.met and error.status_code in {400, 413, 422}:
            return "the endpoint refuses the question"
        return ""

    def _attempt(self, question: Question) -> Answer:
        """One answer, asked for in the dialect of the endpoint."""
        while True:
            dialect = self._dialect
            try:
                return self._answer(question, dialect)
            except openai.APIStatusError as error:
                if not self._learnt(dialect, error):
                    raise

    def _learnt(self, used: Dialect, error: openai.APIStatusError) -> bool:
        """Whether the next request is another one; a second thread finds it learnt already."""
        following = used.after(error)
        if following is None:
            return False
        with self._lock:
            if self._dialect != used:
                return True
            self._dialect = following
        if news := following.news(used):
            self._warn(f"{self.description}: {news}")
        return True

    def _answer(self, question: Question, dialect: Dialect) -> Answer:
        self._calls.turn()
        limit = question.max_tokens + self._settings.thinking
        sent = texts(question, dialect)
        # By bytes, which no tokenizer passes: what was learnt of English says little of Korean.
        most = Tokens(sum(map(ceiling, sent)) + AROUND, limit)
        with self._ledger.request(most) as bill:
            self._calls.turn()
            body = self._sent(question, dialect, bill)
            bill.lost()  # unless it can be read
            found = read_completion(body)
            taken = self._taken(found, sent, limit)
            bill.pays(taken)
        with self._lock:
            self._calls.met = True
            self._questions += 1
        return Answer(checked_text(found, limit), taken.asked, taken.answered)

    def _sent(self, question: Question, dialect: Dialect, bill: Bill) -> bytes:
        try:
            response = self._client.chat.completions.with_raw_response.create(
                model=self._settings.model, **request(question, dialect, self._settings)
            )
        except openai.APIStatusError as error:
            self._calls.heed(error.response.headers)
            raise
        except openai.APIConnectionError as error:
            if not never_sent(error):
                bill.lost()
            raise
        self._calls.heed(response.headers)
        body: bytes = response.content
        return body

    def _taken(self, found: Completion, sent: tuple[str, ...], limit: int) -> Tokens:
        """What the endpoint says it took, estimated where it says nothing."""
        if found.asked is not None:
            self._estimate.learn(sent[:2], found.asked)  # not all count the schema
        asked, answered = found.asked, found.answered
        if asked is None:
            asked = sum(map(self._estimate.likely, sent)) + AROUND
        if answered is None:
            answered = min(limit, self._estimate.likely(found.text or found.refusal))
        return Tokens(asked, answered)


def _budget(settings: ChatSettings) -> Budget:
    return Budget(
        settings.price_in,
        settings.price_out,
        settings.max_tokens,
        settings.max_cost,
        "--chat-max-tokens",
        "--chat-max-cost",
    )
