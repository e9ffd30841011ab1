"""How a command ended, and the figures that are worth a graph or a message.

In: exit code, record of the run. Out: ``Outcome``, ``Ending``, ``Figures``.
Promise: plain values; no secret goes in, so none comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """What an exit code means; killed by a signal that nobody here sent is ``FAILED``."""

    DONE = "done"
    CHANGES = "changes"
    REFUSED = "refused"
    LOCKED = "locked"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


ENDINGS = {
    0: Ending.DONE,
    3: Ending.CHANGES,
    4: Ending.REFUSED,
    5: Ending.LOCKED,
    130: Ending.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; None where it was not, as after an early refusal.

    ``events``: clusters by what became of them (born, died ...). ``emerged``: clusters that formed
    among rows that no run has seen. ``seconds`` by stage.
    """

    rows: int | None = None
    clusters: int | None = None
    noise_share: float | None = None
    changed: int | None = None
    moved: int | None = None
    recall: float | None = None
    emerged: int | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def counts(self) -> dict[str, float]:
        """Those that were measured, by name, without the seconds."""
        names = ("rows", "clusters", "noise_share", "changed", "moved", "recall", "emerged")
        known = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return known | {f"clusters_{kind}": count for kind, count in self.events.items()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One command that ended. ``message``: its last line, where it failed or refused."""

    command: str
    job: str
    collection: str
    exit_code: int
    seconds: float
    run_id: str = ""
    message: str = ""
    figures: Figures = Figures()
    finished: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def ending(self) -> Ending:
        return ENDINGS.get(self.exit_code, Ending.FAILED)

    @property
    def succeeded(self) -> bool:
        """Whether all was done that there was to do."""
        return self.ending in (Ending.DONE, Ending.CHANGES)


def figures_of(record: Mapping[str, Any]) -> Figures:
    """The figures of a manifest in JSON form; what it lacks stays None."""
    facts = record.get("facts", {})
    found = facts.get("assign") or facts.get("clustering", {})
    plan, audit = facts.get("plan", {}), facts.get("audit", {})
    rows, noise = found.get("rows"), found.get("noise")
    return Figures(
        rows=rows,
        clusters=found.get("clusters"),
        noise_share=noise / rows if rows and noise is not None else None,
        changed=plan.get("changed"),
        moved=plan.get("moved"),
        recall=audit.get("recall") if audit.get("sample") else None,
        emerged=facts.get("emergence", {}).get("clusters"),
        events=facts.get("identity", {}).get("events", {}),
        seconds=record.get("seconds", {}),
    )
