"""The rows that a plan changes, in parts that other processes write.

In: labels, where their rows are, which are to be written. Out: ``PlanPart``; what became of its
rows. Promise: a part holds rows of one partition, keys ascending, each row is in one part; what a
part says of its rows is what one process would have said; a part that is written twice does no
harm. Whatever is to be done once (prepare, finish, verify) is left to ``pipeline.write``.

    writing = PartsInStore(store, workers, work)       # work(number) is done by one of the workers:
    report = write_labels(plan, sink, source, observer, elsewhere=writing)

    part = load_part(store, number)                     # what such a work does
    save_outcome(store, number, write_shard(part, sink))

    Standing(store).check()                             # and asks before each piece of writing

Parts are written while the store says so: whoever calls the writing off does it by ``call_off``,
and a worker that is cut off from everybody else ends there.

What a killed run has written is not looked up in the store: the next plan is made against what the
collection holds, and names the rest alone. So a store serves one attempt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.arrays import BoolArray, Int8Array, Int32Array, Int64Array, Keys
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, RowStatus, WriteOutcome
from vdbcluster.pipeline.by_share import ByShare
from vdbcluster.ports import LabelSink
from vdbcluster.ports.shards import ShardStore, Work, Workers

BATCH_ROWS = 8192
"""Rows handed to the sink at once; it cuts them as its way of writing wants them."""
PART_ROWS = 2 * BATCH_ROWS
"""Rows of a part: some seconds of work, so that one that is lost is soon done again."""
TEXTS = "texts"
BEGUN = "begun"
"""The piece that says that parts may be written."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanPart:
    """Labels of rows of one partition, keys ascending; picklable."""

    labels: LabelBatch
    partition: str

    def __len__(self) -> int:
        return len(self.labels)


class Elsewhere(Protocol):
    """Other processes that write parts of a plan; ``part_rows``: of one part, at most."""

    @property
    def part_rows(self) -> int: ...

    def write(
        self, parts: Sequence[PlanPart], done: Callable[[int], None]
    ) -> Sequence[WriteOutcome]:
        """Have all parts written, in any order; ``done(rows)`` as they are finished.

        Out: what became of each, in the order of ``parts``. Raises what a part raises; the parts
        that are finished by then stay written.
        """
        ...


def cut(
    which: BoolArray | Int64Array,
    partition_of: Int32Array,
    partitions: tuple[str, ...],
    rows: int,
) -> Iterator[tuple[Int64Array, str]]:
    """Positions of some rows ``(m,)`` by partition, in their order, at most ``rows`` at once.

    ``which``: mask ``(n,)`` or positions. The order is that of the plan: by partition and key.
    """
    at = np.flatnonzero(which) if which.dtype == np.bool_ else which
    for code, partition in enumerate(partitions):
        mine = at[partition_of[at] == code]
        for start in range(0, mine.shape[0], rows):
            yield mine[start : start + rows], partition


@dataclass(frozen=True, slots=True)
class Standing:
    """``Lease`` of those who write parts: theirs until the writing is called off."""

    store: ShardStore

    def check(self) -> None:
        """Raises ``VdbclusterError`` once the writing is called off."""
        if not self.store.has(BEGUN):
            raise VdbclusterError(
                "the writing of labels was called off (the run ended, or another one writes the "
                "same labels); this worker wrote nothing more"
            )


def call_off(store: ShardStore) -> None:
    """Nobody writes any more of it; all of it goes."""
    store.remove(BEGUN)  # first of all: there may be many parts
    store.drop()


def write_shard(
    part: PlanPart,
    sink: LabelSink,
    done: Callable[[int], None] = lambda _: None,
    batch_rows: int = BATCH_ROWS,
) -> WriteOutcome:
    """Write all rows of a part, ``done(rows)`` after each batch; see ``LabelSink.write``.

    The sink is prepared by whoever opened it, and finished once, by whoever gave out the parts.
    """
    status: Int8Array = np.full(len(part), RowStatus.FAILED, np.int8)
    message, paused = "", 0.0
    for start in range(0, len(part), batch_rows):
        rows = np.arange(start, min(start + batch_rows, len(part)))
        outcome = sink.write(part.labels.take(rows), part.partition)
        status[rows] = outcome.status
        message, paused = message or outcome.message, paused + outcome.paused
        done(rows.shape[0])
    return WriteOutcome(status, message, paused)


@dataclass(frozen=True, slots=True)
class PartsInStore:
    """``Elsewhere`` by a store that all workers see; see the module for what ``work`` does.

    In: a store of this attempt alone; who works; the work on one part, by its number.
    """

    store: ShardStore
    workers: Workers
    work: Work
    part_rows: int = PART_ROWS
    _numbers: Iterator[int] = field(default_factory=count, init=False, repr=False)

    def write(
        self, parts: Sequence[PlanPart], done: Callable[[int], None]
    ) -> Sequence[WriteOutcome]:
        """See ``Elsewhere``."""
        numbers = [next(self._numbers) for _ in parts]  # a second call writes parts of its own
        self.store.save(BEGUN, {})
        for number, part in zip(numbers, parts, strict=True):
            save_part(self.store, number, part)
        told = ByShare(sum(map(len, parts)), len(parts), done)
        self.workers.each(self.work, numbers, told)
        return [load_outcome(self.store, number) for number in numbers]


def save_part(store: ShardStore, number: int, part: PlanPart) -> None:
    """Numbers as they are; texts, which a store does not take, as JSON."""
    texts: dict[str, Any] = {"partition": part.partition}
    numbers: dict[str, NDArray[Any]] = {}
    for name, values in _columns(part.labels):
        if values.dtype == object:
            texts[name] = values.tolist()
        else:
            numbers[name] = values
    store.save(_part(number), {TEXTS: _as_bytes(texts), **numbers})


def load_part(store: ShardStore, number: int) -> PlanPart:
    """What ``save_part`` was given. Raises ``VdbclusterError`` if there is none."""
    held = store.load(_part(number))
    texts = _from_bytes(held.pop(TEXTS))
    partition = texts.pop("partition")
    columns = held | {name: _objects(values) for name, values in texts.items()}
    return PlanPart(LabelBatch(**columns), partition)


def has_outcome(store: ShardStore, number: int) -> bool:
    """Whether the part is written."""
    return store.has(_outcome(number))


def save_outcome(store: ShardStore, number: int, outcome: WriteOutcome) -> None:
    """What became of the rows of a part."""
    told = {"message": outcome.message, "paused": outcome.paused}
    store.save(_outcome(number), {TEXTS: _as_bytes(told), "status": outcome.status})


def load_outcome(store: ShardStore, number: int) -> WriteOutcome:
    """What ``save_outcome`` was given. Raises ``VdbclusterError`` if there is none."""
    held = store.load(_outcome(number))
    return WriteOutcome(held["status"], **_from_bytes(held[TEXTS]))


def _columns(labels: LabelBatch) -> Iterator[tuple[str, Keys]]:
    yield "keys", labels.keys
    for which in LABEL_FIELDS:
        values = getattr(labels, which.column)
        if values is not None:
            yield which.column, values


def _part(number: int) -> str:
    return f"write-{number:06d}"


def _outcome(number: int) -> str:
    return f"written-{number:06d}"


def _as_bytes(value: dict[str, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _from_bytes(held: NDArray[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(held.tobytes())
    return found


def _objects(values: list[Any]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found
