"""How long a writer pauses, so that those who read the same collection keep their latency.

In: how long a piece took to write, how long reads took beside it and in the pauses between. Out:
rows of the next piece, seconds to wait before it. Promise: pure, time is told and not read; a pause
of ``AutoPace`` is never longer than ``MAX_PAUSE``, nor than what brings the share of writing down
to ``FLOOR``: whatever reads do, writing takes at most ``1 / FLOOR`` times as long as without.

``AutoPace`` is additive increase, multiplicative decrease (Chiu and Jain, Analysis of the increase
and decrease algorithms for congestion avoidance in computer networks, Computer Networks and ISDN
Systems 17, 1989) of the share of time that is spent on writing. Its signal is delay against the
delay without our own traffic, as in LEDBAT (RFC 6817): the writer makes way for everybody else.
Several writers that do so side by side come to equal shares.

Writing slows reads in two ways. While a piece is on its way they wait for it: pauses cure that.
And rows that are written lie apart until the server has indexed them: that lasts through the
pauses, and whoever writes more slowly only makes it last longer. So reads are judged by those in
the pauses, and ``unsettled`` says that these are slow themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

FLOOR = 0.1
"""Least share of time spent on writing, however slow reads have become."""
START = 0.25
"""Share before anything was measured."""
INCREASE, DECREASE = 0.05, 0.5
SLOWER = 1.5
"""Reads may take so many times as long as without us."""
SLACK = 0.002
"""Seconds that are never called slower: reads of a millisecond vary by as much."""
QUANTILE = 0.75
"""Of the latencies since the last decision: a mean would follow one read that met a pause of the
server, a median would not see that a third of all reads are slow."""
DECIDED_BY = 8
"""Reads that a decision needs."""
QUICK = 0.25
"""Quantile of the reads in pauses that tells what lasts. The first ones of a pause still meet a
server that digests the piece before; only if the quick ones are slow, too, pauses are in vain."""
FEWEST_BETWEEN, REMEMBERED = 4, 24
"""Latest reads in pauses by which the others are judged, at least and at most."""
PIECE_SECONDS = 0.2
"""About so long a piece takes, where that is more than ``FEWEST`` rows."""
FEWEST, MOST = 1000, 8192
"""Rows of a piece. Each costs a few questions beside the writing, and the ways that are slow cut it
into calls of 100 or 200 rows, between which readers get their turn."""
MAX_PAUSE = 5.0


class Pace(Protocol):
    """What a writer asks before and after each piece."""

    @property
    def rows(self) -> int:
        """Of the next piece, at most."""
        ...

    def pause(self, rows: int, busy: float) -> float:
        """Seconds to wait after a piece of ``rows`` that took ``busy`` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class FixedPace:
    """``rate`` rows a second at most, without looking at reads."""

    rate: float

    @property
    def rows(self) -> int:
        return int(np.clip(self.rate * PIECE_SECONDS, 1, MOST))

    def pause(self, rows: int, busy: float) -> float:
        return max(0.0, rows / self.rate - busy)


@dataclass(slots=True)
class AutoPace:
    """See the module. ``usual``: seconds of a read before the writing, 0 where nobody knows.

    ``share``: of time spent on writing.
    """

    usual: float = 0.0
    share: float = START
    _speed: float = 0.0
    _took: list[float] = field(default_factory=list)
    _between: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def rows(self) -> int:
        return int(np.clip(self._speed * PIECE_SECONDS, FEWEST, MOST))

    @property
    def without_us(self) -> float:
        """Seconds that a read takes now when nothing is on its way."""
        if len(self._between) < FEWEST_BETWEEN:
            return self.usual
        return max(self.usual, float(np.quantile(self._between, QUICK)))

    @property
    def unsettled(self) -> bool:
        """Whether reads are slow though nothing is on its way."""
        return is_slow(self.without_us, self.usual)

    def settled(self) -> None:
        """What lay apart is indexed: reads in the pauses until now tell nothing any more."""
        self._between.clear()

    def learn(self, beside: Sequence[float], between: Sequence[float]) -> None:
        """Seconds that reads took since the last call: beside pieces, and in pauses.

        Without reads, or without knowing how long they usually take, the share stays.
        """
        self._took += (*beside, *between)
        self._between.extend(between)
        if len(self._took) < DECIDED_BY or not self.usual:
            return
        self.share = next_share(self.share, self._took, self.without_us)
        self._took.clear()

    def pause(self, rows: int, busy: float) -> float:
        self._speed = rows / max(busy, 1e-6)
        return float(np.clip(busy * (1 / self.share - 1), 0.0, MAX_PAUSE))


def typical(took: Iterable[float]) -> float:
    """The latency that reads are judged by; 0 without reads."""
    found = np.fromiter(took, np.float64)
    return float(np.quantile(found, QUANTILE)) if found.size else 0.0


def is_slow(took: float, usual: float) -> bool:
    """Whether a read of ``took`` seconds is beyond the bound; never where nothing is known."""
    return bool(usual) and took > max(SLOWER * usual, usual + SLACK)


def next_share(share: float, took: Sequence[float], usual: float) -> float:
    """The share of time to write in, after reads that took ``took`` seconds; see the module."""
    changed = share * DECREASE if is_slow(typical(took), usual) else share + INCREASE
    return float(np.clip(changed, FLOOR, 1.0))
