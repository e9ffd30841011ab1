"""Where labels go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from vdbcluster.model.arrays import Keys
from vdbcluster.model.labels import LabelBatch, WriteOutcome, WriteWay


class LabelSink(Protocol):
    """One way of writing labels to one collection. Touches only the fields of ``LabelFields``."""

    @property
    def way(self) -> WriteWay:
        """Which way, why, and where the labels can be read afterwards."""
        ...

    def stored(self, keys: Keys | None = None) -> Iterator[LabelBatch]:
        """All labels that the selection carries now; rows without a label are absent.

        With ``keys`` those of these rows are wanted alone: others may come too, where reading them
        all is quicker.
        Works before ``prepare`` (then nothing may be stored) and is what verification reads.
        """
        ...

    def reserved(self) -> AbstractContextManager[None]:
        """Have what takes the server long begun, where it touches nothing of the user's.

        That is an empty side collection; if the context ends before ``write``, it is taken away
        again.
        """
        ...

    def prepare(self) -> None:
        """Make the target able to hold labels (add fields, create the side collection).

        Idempotent.
        """
        ...

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """Write labels of rows of one partition.

        A row deleted meanwhile stays deleted: it is ``VANISHED``, or, where labels are kept apart
        from the rows, told by ``finish``. A row updated meanwhile keeps its update; a failure of
        single rows is ``FAILED``, never an exception. Raises ``BackendUnavailableError`` if the
        server stays away, ``CollectionChangedError`` if the collection is not the one that was
        read.
        """
        ...

    def erase(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """Take the labels away from rows of one partition: the fields that ``batch`` holds.

        Its values do not matter. Afterwards ``stored`` tells nothing of these rows, and no filter
        finds a label: the field, or its dynamic key, is absent or null; a column that must hold
        something holds -1, 0 or the empty text. Safe as ``write`` is, and raises
        what that does; a row that had no label is ``WRITTEN``, and so may be one that is gone.
        """
        ...

    def remove(self, batch: LabelBatch) -> int:
        """Take away labels of rows that no longer exist; only a side collection can have any."""
        ...

    def finish(self, also: Keys | None = None) -> Keys:
        """Make the writes durable and filterable: flush once, scalar index where it profits.

        ``also (m,)``: keys that other processes have written since, by sinks of the same way.

        Returns the keys ``(m,)`` written since the last ``finish`` whose rows are gone by now, and
        whose labels were therefore taken away again; only a side collection can have any.
        """
        ...
