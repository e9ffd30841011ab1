"""What an endpoint has taken, and the limits that it must not pass.

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
from dataclasses import dataclass

from vdbcluster.errors import BudgetError

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that were sent, and tokens that came back."""

    asked: int = 0
    answered: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.asked + other.asked, self.answered + other.answered)

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(self.asked - other.asked, self.answered - other.answered)

    @property
    def total(self) -> int:
        return self.asked + self.answered


@dataclass(frozen=True, slots=True)
class Budget:
    """Prices of a million tokens, limits (None: none), and the flags that set these."""

    asked_price: float = 0.0
    answered_price: float = 0.0
    max_tokens: int | None = None
    max_cost: float | None = None
    tokens_flag: str = "--max-tokens"
    cost_flag: str = "--max-cost"

    @property
    def limited(self) -> bool:
        return self.max_tokens is not None or self.max_cost is not None

    def cost(self, tokens: Tokens) -> float:
        """What ``tokens`` cost."""
        asked = tokens.asked * self.asked_price
        return (asked + tokens.answered * self.answered_price) / MILLION

    def passed_by(self, tokens: Tokens) -> bool:
        """Whether ``tokens`` are above a limit."""
        return (self.max_tokens is not None and tokens.total > self.max_tokens) or (
            self.max_cost is not None and self.cost(tokens) > self.max_cost
        )


class Bill:
    """One request: ``bound`` tokens are set aside, ``taken`` of them used."""

    def __init__(self, bound: Tokens) -> None:
        self.bound = bound
        self.taken = Tokens()
        self.doubtful = Tokens()

    def pays(self, tokens: Tokens) -> None:
        """An answer came, for this many tokens."""
        self.taken, self.doubtful = tokens, Tokens()

    def lost(self) -> None:
        """No answer came yet; the server may have done the work nevertheless."""
        self.doubtful = self.bound


class Ledger:
    """Counts, and keeps within the budget."""

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
        self._changed = threading.Condition()
        self._requests = 0
        self._spent = Tokens()
        self._reserved = Tokens()
        self._doubtful = Tokens()
        self._open = 0

    @property
    def limited(self) -> bool:
        return self._budget.limited

    @property
    def taken(self) -> tuple[int, Tokens, float]:
        """Requests that are over, the tokens that they took, and what these cost."""
        with self._changed:
            return self._requests, self._spent, self._budget.cost(self._spent)

    @contextmanager
    def request(self, bound: Tokens) -> Iterator[Bill]:
        """One request that takes at most ``bound`` tokens."""
        bill = Bill(bound)
        with self._changed:
            while self._budget.passed_by(self._set_aside + bound):
                if not self._open:
                    raise BudgetError(self._refusal(bound))
                self._changed.wait()
            self._reserved += bound
            self._open += 1
        try:
            yield bill
        finally:
            self._settle(bill)

    @property
    def _set_aside(self) -> Tokens:
        return self._spent + self._doubtful + self._reserved

    def _settle(self, bill: Bill) -> None:
        with self._changed:
            self._reserved -= bill.bound
            self._open -= 1
            self._doubtful += bill.doubtful
            self._spent += bill.taken
            self._requests += 1
            self._changed.notify_all()

    def _refusal(self, bound: Tokens) -> str:
        limits = []
        if self._budget.max_tokens is not None:
            limits.append(f"{self._budget.tokens_flag} is {self._budget.max_tokens}")
        if self._budget.max_cost is not None:
            limits.append(f"{self._budget.cost_flag} is {self._budget.max_cost:g}")
        cost = self._budget.cost(self._spent)
        spent = f"{self._spent.total} tokens (cost {cost:.6g}) are spent"
        if self._doubtful.total:
            spent += f", up to {self._doubtful.total} more in answers that got lost"
        return (
            f"stopped before the budget is passed: {' and '.join(limits)}, {spent}, the next "
            f"request may take {bound.total}; the same command with a higher limit goes on from "
            "there"
        )
