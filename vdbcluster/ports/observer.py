"""Progress, as an observer that is passed in; nobody else reports anything."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    def advance(self, rows: int) -> None: ...

    def detail(self, text: str) -> None:
        """A few words beside the bar, each time in place of the last ones."""
        ...


class Observer(Protocol):
    def stage(
        self, name: str, total: int | None, unit: str = "rows"
    ) -> AbstractContextManager[Progress]:
        """Begin a stage of ``total`` units; leaving the context ends it."""
        ...

    def note(self, text: str) -> None:
        """One line for the user."""
        ...

    def warn(self, text: str) -> None:
        """One line about something that deserves attention."""
        ...
