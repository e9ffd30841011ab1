"""What embedding has taken, and the limits that it must not pass.

    with ledger.request(bound) as bill:      BudgetError instead of passing a limit
        ...                                  send the request
        bill.pays(tokens)                    what it took; not called: nothing was taken
        bill.lost()                          the answer is lost, but may have been billed

Promise: threads may share it; what concurrent requests may take counts until they are paid; a
request that does not fit beside others under way waits for them rather than fail.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vdbcluster.errors import BudgetError
from vdbcluster.model.records import EmbedUsage

MILLION = 1_000_000


class Bill:
    """One request: ``bound`` tokens are set aside, ``taken`` of them used."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.taken = 0
        self.doubtful = 0

    def pays(self, tokens: int) -> None:
        """An answer came, for this many tokens."""
        self.taken = tokens

    def lost(self) -> None:
        """No answer came; the server may have done the work nevertheless."""
        self.doubtful = self.bound


class Ledger:
    """Counts, and the budget. ``price`` is that of a million tokens."""

    def __init__(
        self, price: float = 0.0, max_tokens: int | None = None, max_cost: float | None = None
    ) -> None:
        self._price = price
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._changed = threading.Condition()
        self._usage = EmbedUsage()
        self._reserved = 0
        self._doubtful = 0
        self._open = 0

    @property
    def limited(self) -> bool:
        return self._max_tokens is not None or self._max_cost is not None

    @property
    def usage(self) -> EmbedUsage:
        with self._changed:
            return self._usage

    def count(self, *, texts: int = 0, retries: int = 0, shortened: int = 0) -> None:
        """Add to the counts that cost nothing."""
        with self._changed:
            self._usage = replace(
                self._usage,
                texts=self._usage.texts + texts,
                retries=self._usage.retries + retries,
                shortened=self._usage.shortened + shortened,
            )

    @contextmanager
    def request(self, bound: int) -> Iterator[Bill]:
        """One request that takes at most ``bound`` tokens."""
        bill = Bill(bound)
        with self._changed:
            while self._passes(bound):
                if not self._open:
                    raise BudgetError(self._refusal(bound))
                self._changed.wait()
            self._reserved += bound
            self._open += 1
        try:
            yield bill
        finally:
            self._settle(bill)

    def _settle(self, bill: Bill) -> None:
        with self._changed:
            self._reserved -= bill.bound
            self._open -= 1
            self._doubtful += bill.doubtful
            tokens = self._usage.tokens + bill.taken
            self._usage = replace(
                self._usage,
                requests=self._usage.requests + 1,
                tokens=tokens,
                cost=self._cost(tokens),
            )
            self._changed.notify_all()

    def _cost(self, tokens: int) -> float:
        return tokens * self._price / MILLION

    def _passes(self, bound: int) -> bool:
        tokens = self._usage.tokens + self._doubtful + self._reserved + bound
        return (self._max_tokens is not None and tokens > self._max_tokens) or (
            self._max_cost is not None and self._cost(tokens) > self._max_cost
        )

    def _refusal(self, bound: int) -> str:
        limits = []
        if self._max_tokens is not None:
            limits.append(f"--max-tokens is {self._max_tokens}")
        if self._max_cost is not None:
            limits.append(f"--max-cost is {self._max_cost:g}")
        spent = f"{self._usage.tokens} tokens (cost {self._usage.cost:.6g}) are spent"
        if self._doubtful:
            spent += f", up to {self._doubtful} more in answers that got lost"
        return (
            f"stopped before the budget is passed: {' and '.join(limits)}, {spent}, the next "
            f"request may take {bound}; the same command with a higher limit goes on from there"
        )
