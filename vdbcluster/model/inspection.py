"""What ``inspect`` tells: the collection, how it would be worked on, what stands in the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import WriteWay


@dataclass(frozen=True, slots=True)
class Estimate:
    """``memory_mb``: peak of the process, MiB; ``stages_mb``: the same by stage; ``worker_mb``: of
    each worker beside it, 0 without any.

    ``seconds`` by stage, from a timed sample; ``sampled_rows`` is 0 where nothing could be timed,
    and ``seconds`` empty. ``record_mb``: MiB of the record that stays in the run directory,
    ``disk_mb``: what lies there, or where unfinished work does, while the run lasts.
    """

    memory_mb: int
    sampled_rows: int
    seconds: dict[str, float]
    stages_mb: dict[str, int] = field(default_factory=dict)
    record_mb: float = 0.0
    disk_mb: float = 0.0
    worker_mb: int = 0

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Inspection:
    """``problems`` must be mended before a run; ``remarks`` are worth knowing."""

    profile: CollectionProfile
    vector_field: str
    selected_rows: int
    way: WriteWay | None
    neighbors: str
    estimate: Estimate
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
