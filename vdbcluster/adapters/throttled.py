"""A sink that writes in pieces with pauses between, so that readers keep their latency.

In: a ``LabelSink``, how fast to write, a read that is like those of others. Out: the same sink,
whose outcomes tell the seconds it has paused. Promise: the same rows are written, and each has the
same status; reads that fail, or a reader that is gone, change nothing but the pace.
The order of wrapping matters: around a ``LeasedSink``, so that the lock is asked again after each
pause (it is renewed beside the work meanwhile).

    sink = throttled(LeasedSink(sink, lease), Throttle("auto"), Readers(read))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vdbcluster.adapters.pacing import AutoPace, FixedPace, Pace, typical
from vdbcluster.adapters.reads import Read, Reads
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.arrays import Keys
from vdbcluster.model.labels import LabelBatch, WriteOutcome, WriteWay
from vdbcluster.ports import LabelSink

Act = Callable[[LabelBatch, str], WriteOutcome]


@dataclass(frozen=True, slots=True)
class Throttle:
    """``rate``: rows a second, ``auto`` by what reads take, or ``none``.

    ``usual``: seconds of a read without our writing, where that is known; 0: it is measured by
    ``prepare``. Processes that begin when others write already have to be told.
    """

    rate: float | Literal["auto", "none"] = "none"
    usual: float = 0.0

    def shared(self, writers: int) -> Throttle:
        """For each of several processes that write at once."""
        rate = self.rate if isinstance(self.rate, str) else self.rate / max(1, writers)
        return Throttle(rate, self.usual)


@dataclass(frozen=True, slots=True)
class Readers:
    """What stands for those who read. ``read``: once, as they do; ``VdbclusterError`` if it fails.

    ``settle``: has what was written indexed, where that is a matter of a moment; not oftener than
    after ``settle_rows`` rows and ``settle_seconds``.
    """

    read: Read
    settle: Callable[[], object] | None = None
    settle_rows: int = 1000
    settle_seconds: float = 1.0


def throttled(sink: LabelSink, throttle: Throttle, readers: Readers) -> LabelSink:
    """``sink`` itself if nothing is to be held back. ``readers`` matter for ``auto`` alone."""
    if throttle.rate == "none":
        return sink
    if throttle.rate == "auto":
        return WatchingSink(sink, AutoPace(throttle.usual), readers)
    return ThrottledSink(sink, FixedPace(float(throttle.rate)))


class ThrottledSink:
    """At the pace it is given; see the module."""

    def __init__(
        self, sink: LabelSink, pace: Pace, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._sink, self._pace, self._sleep = sink, pace, sleep

    @property
    def way(self) -> WriteWay:
        return self._sink.way

    @property
    def usual(self) -> float:
        """Seconds of a read before the writing; 0 where nobody knows. See ``Throttle``."""
        return 0.0

    def stored(self, keys: Keys | None = None) -> Iterator[LabelBatch]:
        return self._sink.stored(keys)

    def reserved(self) -> AbstractContextManager[None]:
        return self._sink.reserved()

    def prepare(self) -> None:
        self._sink.prepare()

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        return self._in_pieces(batch, partition, self._sink.write)

    def erase(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        return self._in_pieces(batch, partition, self._sink.erase)

    def remove(self, batch: LabelBatch) -> int:
        return self._sink.remove(batch)

    def finish(self, also: Keys | None = None) -> Keys:
        return self._sink.finish(also)

    def _in_pieces(self, batch: LabelBatch, partition: str, act: Act) -> WriteOutcome:
        """A pause after each piece, the last one too: another batch may follow."""
        found: list[WriteOutcome] = []
        paused, start = 0.0, 0
        while start < len(batch) or not found:
            rows = np.arange(start, min(start + self._pace.rows, len(batch)))
            began = time.perf_counter()
            found.append(self._piece(batch.take(rows), partition, act))
            pause = self._pace.pause(len(rows), time.perf_counter() - began)
            self._sleep(pause)
            paused, start = paused + pause, start + len(rows)
            self._after(len(rows))
        message = next((outcome.message for outcome in found if outcome.message), "")
        status = np.concatenate([outcome.status for outcome in found])
        return WriteOutcome(status, message, paused + sum(outcome.paused for outcome in found))

    def _piece(self, batch: LabelBatch, partition: str, act: Act) -> WriteOutcome:
        return act(batch, partition)

    def _after(self, rows: int) -> None:
        """Called after each piece and its pause."""


class WatchingSink(ThrottledSink):
    """At the pace that keeps reads as quick as they were."""

    def __init__(
        self,
        sink: LabelSink,
        pace: AutoPace,
        readers: Readers,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(sink, pace, sleep)
        self._auto, self._readers, self._reads = pace, readers, Reads(readers.read)
        self._unsettled_rows, self._settled_at = 0, -np.inf

    @property
    def usual(self) -> float:
        return self._auto.usual

    def prepare(self) -> None:
        """The first time, see how long reads take before anything is written."""
        if not self._auto.usual:
            self._auto.usual = typical(self._reads.before())
        super().prepare()

    def _in_pieces(self, batch: LabelBatch, partition: str, act: Act) -> WriteOutcome:
        with self._reads.going_on():
            return super()._in_pieces(batch, partition, act)

    def _piece(self, batch: LabelBatch, partition: str, act: Act) -> WriteOutcome:
        with self._reads.piece():
            return act(batch, partition)

    def _after(self, rows: int) -> None:
        self._auto.learn(*self._reads.taken())
        self._unsettled_rows += rows
        how, since = self._readers, time.monotonic() - self._settled_at
        if how.settle is None or not self._auto.unsettled:
            return
        if self._unsettled_rows < how.settle_rows or since < how.settle_seconds:
            return
        with suppress(VdbclusterError), self._reads.piece():
            how.settle()
        self._reads.taken()
        self._auto.settled()
        self._unsettled_rows, self._settled_at = 0, time.monotonic()
