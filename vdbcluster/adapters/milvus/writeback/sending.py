"""Sending a batch that may fail for the sake of a single row.

In: rows of a job, how to send some of them. Out: marks in the job's tally.
Promise: rows that are gone are ``VANISHED`` and never sent again; rows that the server will not
take are ``FAILED``, each alone; only a server that stays away, refuses the user, or has another
collection under the name is an exception.
"""

from __future__ import annotations

from collections.abc import Callable

from vdbcluster.adapters.milvus.errors import failure_of, is_too_large, translate
from vdbcluster.adapters.milvus.writeback.tally import Job
from vdbcluster.errors import (
    BackendUnavailableError,
    CollectionChangedError,
    VdbclusterError,
)
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.labels import RowStatus

Attempt = Callable[[Job, Int64Array], Exception | None]
"""Sends rows and marks them; the client's error if it was refused, and then nothing is marked."""
Narrow = Callable[[Job, Int64Array], Int64Array]
"""The rows that are still there; the others are marked."""


def send(job: Job, rows: Int64Array, attempt: Attempt, present: Narrow, doing: str) -> None:
    """Send ``rows``: whole, then without those that are gone, then by halves."""
    while rows.size and not job.tally.hopeless:
        failure = attempt(job, rows)
        if failure is None:
            return
        error = translate(failure, doing)
        if is_final(failure, error):
            raise error
        left = rows if is_too_large(failure) else present(job, rows)
        if len(left) == len(rows):
            _halve(job, rows, attempt, present, doing, error)
            return
        rows = left


def is_final(failure: Exception, error: VdbclusterError) -> bool:
    """Whether no other batch would fare better."""
    if isinstance(error, (BackendUnavailableError, CollectionChangedError)):
        return True
    return failure_of(failure).status in ("PERMISSION_DENIED", "UNAUTHENTICATED")


def _halve(
    job: Job,
    rows: Int64Array,
    attempt: Attempt,
    present: Narrow,
    doing: str,
    error: VdbclusterError,
) -> None:
    if len(rows) == 1:
        job.tally.mark(rows, RowStatus.FAILED, str(error))
        return
    middle = len(rows) // 2
    send(job, rows[:middle], attempt, present, doing)
    send(job, rows[middle:], attempt, present, doing)
