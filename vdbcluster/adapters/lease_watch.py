"""Which holders of a lock give no sign of life.

In: the entries of a lock as they are seen again and again, and our own clock. Out: those that have
lapsed, those that live. Promise: an entry lapses only after it was seen for its whole lease without
a change; clocks of others do not count. Pure: time is told, not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Beating(Protocol):
    """``nonce``: whose entry it is; ``beat``: grows while that one lives; ``seconds``: lease."""

    @property
    def nonce(self) -> str: ...

    @property
    def beat(self) -> int: ...

    @property
    def seconds(self) -> float: ...


E = TypeVar("E", bound=Beating)


@dataclass(frozen=True, slots=True)
class _Seen:
    beat: int
    since: float
    changed: bool


class Watch:
    """What was seen of each entry since it was there first."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def look(self, entries: Iterable[E], now: float) -> list[E]:
        """Take in what is there ``now`` (seconds, monotonic); the entries that have lapsed.

        Of several entries of one holder the latest counts for all.
        """
        found = sorted(entries, key=lambda entry: entry.beat)  # so that the latest one stays
        latest = {entry.nonce: entry for entry in found}
        self._seen = {nonce: self._next(entry, now) for nonce, entry in latest.items()}
        return [e for e in found if now - self._seen[e.nonce].since > latest[e.nonce].seconds]

    def lives(self, entry: Beating) -> bool:
        """Whether it has given a sign of life while it was watched."""
        seen = self._seen.get(entry.nonce)
        return seen is not None and seen.changed

    def _next(self, entry: Beating, now: float) -> _Seen:
        before = self._seen.get(entry.nonce)
        if before is None:
            return _Seen(entry.beat, now, changed=False)
        if before.beat == entry.beat:
            return before
        return _Seen(entry.beat, now, changed=True)
