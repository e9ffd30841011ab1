"""An observer for those who do not watch; warnings go to Python's ``warnings``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _NoProgress:
    def advance(self, rows: int) -> None:
        """Nobody watches."""

    def detail(self, text: str) -> None:
        """Nobody watches."""


class QuietObserver:
    """``Observer`` that shows no progress and no notes."""

    @contextmanager
    def stage(
        self,
        name: str,  # noqa: ARG002
        total: int | None,  # noqa: ARG002
        unit: str = "rows",  # noqa: ARG002
    ) -> Iterator[_NoProgress]:
        yield _NoProgress()

    def note(self, text: str) -> None:
        """Not shown."""

    def warn(self, text: str) -> None:
        warnings.warn(text, stacklevel=3)
