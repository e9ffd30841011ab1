"""Every error that vdbcluster raises on purpose.

In: nothing. Out: exception types, each with the exit code that the command line ends with.
Promise: the message is one line that says what is wrong, the value, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping


class VdbclusterError(Exception):
    """Base of all errors with a message that is fit for a user."""

    exit_code = 1


class UsageError(VdbclusterError):
    """A setting or an argument is wrong; nothing was read or written."""

    exit_code = 2


class RefusedError(VdbclusterError):
    """A safety check refused to go on; nothing was written."""

    exit_code = 4


class ReadRefusedError(RefusedError):
    """Nothing was read, or not what the server counts; ``facts`` are the counts, by name."""

    def __init__(self, message: str, facts: Mapping[str, int]) -> None:
        super().__init__(message)
        self.facts = facts


class LockedError(VdbclusterError):
    """Another run writes labels of the same selection, or has taken the lock from this one."""

    exit_code = 5


class BudgetError(RefusedError):
    """Going on would pass a limit of cost or tokens; what was written until then stays."""


class BackendError(VdbclusterError):
    """The database or an API answered with an error that is not ours to mend."""


class SourceRowError(VdbclusterError):
    """A row of the source cannot be taken, and the user wants to stop there."""


class BackendUnavailableError(BackendError):
    """The backend cannot be reached, or stayed unavailable after all retries."""


class CollectionChangedError(BackendError):
    """The collection was dropped, re-created or altered while we were reading or writing."""


class NotEnoughMemoryError(VdbclusterError):
    """Memory, of this machine or of its GPU, ran out."""


def out_of_memory(error: MemoryError, stage: str = "") -> NotEnoughMemoryError:
    """In one line: ``stage`` of a run, what ``error`` says of how much it was, what to do."""
    where = f" (stage {stage})" if stage else ""
    told = " ".join(str(error).split()) or "nobody says how much was asked for"
    return NotEnoughMemoryError(
        f"this machine has not enough memory{where}: {told}; end what else runs here, let large "
        "arrays lie on disk with --memory-limit, or take fewer --n-neighbors"
    )
