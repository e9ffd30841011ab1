"""Where a graph in pieces lies, and who works on the pieces.

In: arrays by name; work to be done on each of some shards. Out: the same arrays, anywhere.
Promise: what ``has`` says is there is whole; both may be sent to another process, or machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

Work = Callable[[int], None]
"""Done on one shard, by its number. Done twice it does no harm, not even by two at the same time;
what is done already is passed."""


class ShardStore(Protocol):
    """Arrays that all who work on a graph can read and write, by name."""

    def has(self, name: str) -> bool: ...

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """As a whole or not at all; numbers only. Raises ``VdbclusterError`` where it cannot."""
        ...

    def load(self, name: str, *fields: str) -> dict[str, NDArray[Any]]:
        """The arrays of ``fields`` alone, all of them if none is named.

        Raises ``VdbclusterError`` if there is nothing of that name, or it is damaged.
        """
        ...

    def has_matrix(self, name: str) -> bool: ...

    def save_matrix(self, name: str, array: NDArray[Any]) -> None:
        """One array, as a whole or not at all, in blocks: it may be a map larger than memory.

        Names are apart from those of ``save``. Raises ``VdbclusterError`` where it cannot.
        """
        ...

    def matrix(self, name: str) -> NDArray[Any]:
        """What ``save_matrix`` saved, read-only, mapped rather than read into memory.

        Raises ``VdbclusterError`` if there is nothing of that name, or it is damaged.
        """
        ...

    def remove(self, name: str) -> None:
        """What ``save`` saved under the name; nothing there is no error."""
        ...

    def drop(self) -> None:
        """Removes all of it; what is mapped already can still be read. Nothing there is no error.

        Raises ``VdbclusterError`` where it cannot.
        """
        ...


class Workers(Protocol):
    """One process, several, or machines."""

    def each(self, work: Work, shards: Sequence[int], done: Callable[[int], None]) -> None:
        """Do ``work`` on every shard, in any order; ``done(1)`` after each.

        Where others work, ``done(0)`` while all are waited for, so that it can call them off.

        Raises what the work raises; shards that are finished by then stay finished.
        """
        ...
