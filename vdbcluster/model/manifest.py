"""The record of one run: what was asked, what was found, what became of it.

Promise: plain JSON values only, no secret, versioned; enough to reproduce the run and to tell
whether it was finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

RunState = Literal["reading", "clustered", "writing", "written", "dry-run", "refused"]
MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One line of the table of clusters: the id that was written, one text, and figures.

    ``soft`` of its ``size`` rows were noise at first. ``stability``: how well it is found again in
    samples of the graph, 0 to 1; None where none was drawn.
    """

    id: int
    size: int
    soft: int
    persistence: float
    stability: float | None
    representative: str | None


@dataclass(frozen=True, slots=True)
class RunManifest:
    """Version 1 of the record; ``seconds`` by stage; ``facts`` what each stage measured."""

    run_id: str
    state: RunState
    collection: str
    identity: str
    selection: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    clusters: tuple[ClusterRow, ...] = ()
    version: int = MANIFEST_VERSION

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
