"""Which setting for how many rows, and what it costs: the lines of ``scripts/costs``.

In: numbers of rows, what is asked of each, runs that were measured. Out: a ``Table``.
Promise: nothing is told as measured that was not; what lies beyond the largest run is marked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts._bench.scale import load_of
from scripts._bench.table import Table
from vdbcluster.config.settings import Settings
from vdbcluster.pipeline import cost
from vdbcluster.pipeline.needs import Job, disk_bytes, likely_walks, peak_bytes
from vdbcluster.pipeline.room import SHARE, Room

UNITS = {"k": 10**3, "M": 10**6, "B": 10**9}
OVERHEAD = 4 / 3
"""Memory of a Milvus that holds vectors and an index, in vectors."""
GB = 10**9


@dataclass(frozen=True, slots=True)
class Asked:
    """``node_gb``: memory of a Milvus query node."""

    dim: int = 384
    n_neighbors: int = 50
    node_gb: int = 64


@dataclass(frozen=True, slots=True)
class Setting:
    """What to pass to ``vdbcluster run`` up to ``rows`` rows. ``limit_gb``: what it may take, 0 for
    no limit; with workers, the process that asks them.
    """

    rows: int
    options: str
    method: str
    workers: int = 1
    limit_gb: int = 0

    @property
    def room(self) -> Room:
        """As ``room_of`` makes it of these options."""
        if not self.limit_gb:
            return Room(Settings().neighbors.memory_mb << 20)
        return Room(self.limit_gb * GB // SHARE)


FAR = "--method hdbscan --scheduler ADDRESS --work-dir URL"
SETTINGS = (
    Setting(200_000, "", "auto"),
    Setting(2_000_000, "--memory-limit 8GB", "auto", limit_gb=8),
    Setting(20_000_000, "--memory-limit 16GB --method hdbscan --workers 4", "hdbscan", 4, 16),
    Setting(150_000_000, f"--memory-limit 64GB {FAR}", "hdbscan", 16, 64),
    Setting(1_300_000_000, f"--memory-limit 512GB {FAR}", "hdbscan", 64, 512),
)


def setting_for(n_rows: int) -> Setting:
    """The first that is for so many rows; ``ValueError`` beyond: positions are 32 bits."""
    for setting in SETTINGS:
        if n_rows <= setting.rows:
            return setting
    raise ValueError(f"{n_rows:,} rows; a run takes at most {SETTINGS[-1].rows:,}")


def count(text: str) -> int:
    """``10k``, ``1M``, ``1B`` or a plain number."""
    unit = UNITS.get(text[-1:], 1)
    return round(float(text.removesuffix(text[-1]) if unit > 1 else text) * unit)


def milvus_nodes(n_rows: int, asked: Asked) -> int:
    """Query nodes that hold the vectors and their index in memory."""
    return max(1, math.ceil(n_rows * asked.dim * 4 * OVERHEAD / (asked.node_gb * GB)))


def job_of(n_rows: int, asked: Asked, setting: Setting) -> Job:
    """Milvus searches, labels go to a server."""
    smooths = setting.method == "auto"
    return Job(
        n_rows=n_rows,
        dim=asked.dim,
        n_neighbors=asked.n_neighbors,
        walks=likely_walks(n_rows) if smooths else 0,
        soft=smooths,
        workers=setting.workers if setting.workers > 1 else 0,
    )


def memory_gb(n_rows: int, asked: Asked, setting: Setting) -> float:
    """Of the process that is started, at its peak; ``pipeline.needs`` says how."""
    return peak_bytes(job_of(n_rows, asked, setting), setting.room) / GB


def disk_gb(n_rows: int, asked: Asked, setting: Setting) -> float:
    """While it runs, the record and what workers share included."""
    return sum(disk_bytes(job_of(n_rows, asked, setting), setting.room).values()) / GB


def costs(rows: Sequence[int], asked: Asked, runs: Sequence[dict[str, Any]]) -> Table:
    """A line for each number of rows."""
    head = ("rows", "memory", "disk", "Milvus", "workers", "time", "setting")
    return Table(
        f"What a run costs, {asked.dim} dimensions, {asked.n_neighbors} neighbours",
        head,
        tuple(_line(n, asked, runs) for n in rows),
        (),
        wide=True,
    )


def _line(n: int, asked: Asked, runs: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    setting = setting_for(n)
    memory = memory_gb(n, asked, setting)
    nodes = milvus_nodes(n, asked)
    return (
        f"{n:,}",
        _sized(memory),
        _sized(disk_gb(n, asked, setting)),
        f"{nodes} x {asked.node_gb} GB",
        str(setting.workers),
        _time(n, asked, setting, runs),
        f"`{setting.options}`" if setting.options else "as it is",
    )


def _sized(gb: float) -> str:
    if gb >= 1000:
        return f"{gb / 1000:.1f} TB"
    return f"{gb:.0f} GB" if gb >= 10 else f"{gb:.1f} GB" if gb >= 0.1 else f"{gb * 1000:.0f} MB"


def _time(n: int, asked: Asked, setting: Setting, runs: Sequence[dict[str, Any]]) -> str:
    """By rates fitted to the runs of this method, with a mark for how far off they are."""
    fit = [r for r in runs if r["method"] == setting.method and "note" not in r]
    if len({r["n"] for r in fit}) < 2:
        return "-"
    measured = [(load_of(r), r["seconds"]) for r in fit]
    load = replace(
        measured[-1][0],
        n_rows=n,
        dim=asked.dim,
        n_neighbors=asked.n_neighbors,
        walks=likely_walks(n) if setting.method == "auto" else 0,
        workers=setting.workers,
    )
    beyond = n / max(r["n"] for r in fit)
    mark = "" if beyond <= 1 else "?" if beyond <= 10 else "??"
    return _spoken(cost.one_after_another(cost.seconds(load, cost.fitted(measured)))) + mark


def _spoken(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 360_000 else f"{seconds / 86_400:.0f} d"
