"""Every error that vdbcluster raises on purpose.

In: nothing. Out: exception types, each with the exit code that the command line ends with.
Promise: the message is one line that says what is wrong, the value, and what to do.
"""

from __future__ import annotations


class VdbclusterError(Exception):
    """Base of all errors with a message that is fit for a user."""

    exit_code = 1


class UsageError(VdbclusterError):
    """A setting or an argument is wrong; nothing was read or written."""

    exit_code = 2


class RefusedError(VdbclusterError):
    """A safety check refused to go on; nothing was written."""

    exit_code = 4


class BackendError(VdbclusterError):
    """The database or an API answered with an error that is not ours to mend."""


class BackendUnavailableError(BackendError):
    """The backend cannot be reached, or stayed unavailable after all retries."""


class CollectionChangedError(BackendError):
    """The collection was dropped, re-created or altered while we were reading or writing."""


class NotEnoughMemoryError(VdbclusterError):
    """The estimate exceeds the memory that the user allowed."""
