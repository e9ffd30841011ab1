"""An observer that keeps what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class _Nothing:
    def advance(self, rows: int) -> None:
        pass

    def detail(self, text: str) -> None:
        pass


@dataclass
class Listener:
    """``Observer`` for tests: stages, notes and warnings in lists."""

    stages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[_Nothing]:
        self.stages.append(name)
        yield _Nothing()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


SILENT = Listener()
