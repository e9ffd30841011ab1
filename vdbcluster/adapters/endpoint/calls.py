"""How one endpoint is called: attempts, the pauses that it wants, what its refusals are told as.

    calls = Calls(Words("embedding with m at http://...", "--embed-model", "--embed-base-url"), key)
    calls.until_done(attempt)       # attempt() begins with calls.turn()
    calls.heed(response.headers)    # the pause that an answer asks for, for all threads
    raise calls.told(error)         # our error for one that stays

Promise: retried with jitter on 408, 409, 425, 429, 5xx, time-outs, broken connections and broken
answers, by no thread before ``Retry-After`` or the rate-limit headers allow; the key is never
shown; nobody who waits here outlasts ``stop``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import openai
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from vdbcluster.adapters.endpoint.pace import Pace
from vdbcluster.adapters.endpoint.trouble import (
    WrongAnswerError,
    may_mend,
    never_sent,
    said,
    wanted_pause,
)
from vdbcluster.errors import BackendError, BackendUnavailableError, UsageError, VdbclusterError

T = TypeVar("T")

WRONG_ANSWERS = 5
"""Attempts at a request whose answers are wrong: each of them is billed."""
FIRST_CONTACT = 3
"""Attempts at a server that has never answered and takes no connection: a wrong address."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses in seconds.

    ``first_wait`` bounds the first random pause, each further one may be twice as long, up to
    ``longest_wait``; an endpoint that asks for a pause beyond ``longest_asked`` is given up.
    """

    first_wait: float = 1.0
    longest_wait: float = 20.0
    longest_asked: float = 120.0


@dataclass(frozen=True, slots=True)
class Words:
    """How errors are told: ``work`` as in "embedding with m at http://...", and two flags."""

    work: str
    model_flag: str
    address_flag: str


class Calls:
    """See the module; threads may share it."""

    def __init__(
        self, words: Words, key: str, max_attempts: int, patience: Patience | None = None
    ) -> None:
        self._words = words
        self._key = key
        self._max_attempts = max_attempts
        self._patience = patience or Patience()
        self._pace = Pace(self._patience.first_wait)
        self.met = False
        """Whether the endpoint has ever given an answer of use."""

    def turn(self) -> None:
        """Return when a request may be sent; raise what ``stop`` was given."""
        self._pace.turn()

    def stop(self, error: VdbclusterError) -> None:
        """End all waiting and refuse all further requests; the first error stays."""
        self._pace.stop(error)

    def heed(self, headers: Mapping[str, str]) -> None:
        """Leave the endpoint alone for as long as it asks."""
        pause = wanted_pause(headers)
        if 0 < pause <= self._patience.longest_asked:
            self._pace.hold(pause)

    def until_done(self, attempt: Callable[[], T], retried: Callable[[], None] = lambda: None) -> T:
        """Attempts until one succeeds; raises what the last one raised."""
        attempts = Retrying(
            retry=retry_if_exception(self._worth_another),
            wait=wait_random_exponential(
                self._patience.first_wait, max=self._patience.longest_wait
            ),
            stop=self._enough,
            sleep=self._pace.sleep,
            before_sleep=lambda _: retried(),
            reraise=True,
        )
        result: T = attempts(attempt)
        return result

    def hidden(self, text: str) -> str:
        """``text`` without the key."""
        return text.replace(self._key, "***") if self._key else text

    def told(self, error: Exception) -> VdbclusterError:
        """Our error for one that stays, in one line and without the key."""
        why = self.hidden(said(error))
        work = self._words.work
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UsageError(f"{work}: the API key was refused ({why})")
        if isinstance(error, openai.NotFoundError):
            return UsageError(
                f"{work}: no such model or address; check {self._words.model_flag} and "
                f"{self._words.address_flag}, which ends in /v1 mostly ({why})"
            )
        if isinstance(error, WrongAnswerError):
            return BackendError(f"{work} failed: {why}")
        if (pause := _asked_pause(error)) > self._patience.longest_asked:
            return BackendUnavailableError(
                f"{work}: the server wants a pause of {pause:.0f} s; try again later ({why})"
            )
        if may_mend(error):
            return BackendUnavailableError(f"{work}: gave up after several attempts ({why})")
        return BackendError(f"{work} failed: {why}")

    def _worth_another(self, error: BaseException) -> bool:
        return may_mend(error) and _asked_pause(error) <= self._patience.longest_asked

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        limit = self._max_attempts
        if isinstance(error, WrongAnswerError):
            limit = min(limit, WRONG_ANSWERS)
        elif error is not None and never_sent(error) and not self.met:
            limit = min(limit, FIRST_CONTACT)
        return state.attempt_number >= limit


def _asked_pause(error: BaseException) -> float:
    return wanted_pause(error.response.headers) if isinstance(error, openai.APIStatusError) else 0.0
