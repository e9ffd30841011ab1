"""A sink that writes only while the lock is ours.

In: a ``LabelSink``, a ``Lease``. Out: the same sink. Promise: before anything is changed the lease
is asked, so a run that was suspended and has lost the lock to another ends before it writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from vdbcluster.model.arrays import Keys
from vdbcluster.model.labels import LabelBatch, WriteOutcome, WriteWay
from vdbcluster.ports import LabelSink
from vdbcluster.ports.lock import Lease


class LeasedSink:
    """See the module."""

    def __init__(self, sink: LabelSink, lease: Lease) -> None:
        self._sink = sink
        self._lease = lease

    @property
    def way(self) -> WriteWay:
        return self._sink.way

    def stored(self, keys: Keys | None = None) -> Iterator[LabelBatch]:
        return self._sink.stored(keys)

    def reserved(self) -> AbstractContextManager[None]:
        self._lease.check()
        return self._sink.reserved()

    def prepare(self) -> None:
        self._lease.check()
        self._sink.prepare()

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        self._lease.check()
        return self._sink.write(batch, partition)

    def erase(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        self._lease.check()
        return self._sink.erase(batch, partition)

    def remove(self, batch: LabelBatch) -> int:
        self._lease.check()
        return self._sink.remove(batch)

    def finish(self, also: Keys | None = None) -> Keys:
        self._lease.check()
        return self._sink.finish(also)
