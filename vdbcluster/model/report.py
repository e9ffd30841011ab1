"""What a report tells of a run, before anybody decides how it looks.

    Fact, Measure      a line about the run; a figure, what it means and whether it is good
    ReportCluster      a cluster: figures, names, card, fields against all other rows
    Box                clusters and those within them, by size
    Nearness           which clusters are near which
    Changes            what became of the clusters of the run before
    Timeline           clusters over time
    NoiseTold          rows in no cluster
    Report             all of it

Promise: frozen; figures are counts of rows and shares of 1. Texts are those of rows, as they are:
whoever prints them makes them printable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.cards import Card, Shown
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.maps import MapView

REPORT_VERSION = 1
"""Of the shape of the report as JSON; it rises when a name goes or means something else."""


class Grade(StrEnum):
    GOOD = "good"
    FAIR = "fair"
    DOUBTFUL = "doubtful"
    PLAIN = "plain"
    """A figure that is neither good nor bad by itself."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what is meant, and what it is."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Measure:
    """``value`` as people read it, ``number`` as programs do; ``meaning``: what is measured;
    ``verdict``: what this value says. ``name`` is unique in a report.
    """

    name: str
    value: str
    number: float | None
    grade: Grade
    meaning: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A field: the rows of a cluster beside all other rows.

    ``labels``: one of each bar: values of a category, ranges of a number or date; ``inside`` and
    ``others``: shares of the rows that have a value, or of all rows where a bar is called missing;
    they sum to 1. ``told``: the same in a line.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    inside: tuple[float, ...]
    others: tuple[float, ...]
    told: str = ""


@dataclass(frozen=True, slots=True)
class ReportCluster:
    """``title``: what it is called, by people, a model, its words or its number, in this order.

    ``share`` of all rows; ``soft`` of its rows were noise at first. ``cited``: texts of rows that
    claims about the cluster go by. ``since``: when it was first found; ``history``: what became of
    it, oldest first; ``doubts``: why it may be no cluster. ``joined``: clusters that people
    merged into it since; its card and figures are those of its own part.
    """

    id: int
    size: int
    share: float
    soft: int
    title: str
    name: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    stability: float | None = None
    persistence: float = 0.0
    medoid: Shown | None = None
    card: Card | None = None
    inner: tuple[Card, ...] = ()
    bars: tuple[Bars, ...] = ()
    cited: Mapping[RowKey, str] = field(default_factory=dict)
    since: str = ""
    history: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    pinned: bool = False
    hidden: bool = False
    joined: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """``size`` rows under one ``path``, such as ``3/1``; noise has the id -1.

    ``id``: the cluster that most of its rows are in. Rows of it that are in none of ``inner`` make
    the difference of the sizes.
    """

    path: str
    id: int
    size: int
    title: str
    inner: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Nearness:
    """``ids (k,)`` in the order in which near ones are beside each other.

    ``cosines (k, k) float32``: of the centroids about the mean of all rows, in that order.
    ``joins``: k - 1 of them, ascending by height: the places of two groups, k + i the group that
    join i made, and the mean distance 1 - cosine between their members. ``left_out``: smaller
    clusters that there was no room for.
    """

    ids: tuple[int, ...]
    cosines: Float32Array
    joins: tuple[tuple[int, int, float], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Became:
    """What became of one cluster: ``kind`` as in ``model.matching.EventKind``."""

    kind: str
    id: int
    before: int
    after: int
    told: str


@dataclass(frozen=True, slots=True)
class Move:
    """``rows`` from one cluster to another, -1 for noise; ``share`` of those that were there."""

    before: int
    after: int
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Changes:
    """From run ``run_id`` to this one. ``both = unchanged + moved + to_noise + from_noise``."""

    run_id: str
    started: str
    rows_before: int
    rows_after: int
    both: int
    gone: int
    new: int
    unchanged: int
    moved: int
    to_noise: int
    from_noise: int
    noise_before: int
    noise_after: int
    clusters_before: int
    clusters_after: int
    became: tuple[Became, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows by period. ``periods``: names of ``p`` periods of one ``unit``, none left out.

    ``totals``: rows of each, noise too; ``clusters``: of each cluster by id, the same. ``undated``
    rows have no time that can be read, ``outside`` lie before the first period or after the last.
    """

    field: str
    unit: str
    periods: tuple[str, ...]
    totals: tuple[int, ...]
    clusters: Mapping[int, tuple[int, ...]]
    undated: int = 0
    outside: int = 0


@dataclass(frozen=True, slots=True)
class NoiseTold:
    """Rows in no cluster. ``far``: those that are farthest out, ``near``: those that nearly belong.

    ``beside``: clusters whose centre is nearest to them, by id, with the rows, most first.
    """

    rows: int
    share: float
    far: tuple[Shown, ...] = ()
    near: tuple[Shown, ...] = ()
    beside: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """``asked``: what was clustered; ``parameters``, ``versions``, ``seconds``: how.

    ``summary``: sentences that say it all in short. ``clusters``: largest first; the first
    ``n_cards`` of them have a card of their own. ``explained``: whether the run has cards.
    ``notes``: what is not told, and why.
    """

    title: str
    run_id: str
    state: str
    made: str
    n_rows: int
    summary: tuple[str, ...]
    asked: tuple[Fact, ...]
    parameters: tuple[Fact, ...]
    versions: tuple[Fact, ...]
    seconds: Mapping[str, float]
    quality: tuple[Measure, ...]
    doubts: tuple[str, ...]
    clusters: tuple[ReportCluster, ...]
    n_cards: int
    explained: bool
    noise: NoiseTold
    copies: tuple[Fact, ...]
    boxes: tuple[Box, ...]
    nearness: Nearness | None = None
    changes: Changes | None = None
    timeline: Timeline | None = None
    view: MapView | None = None
    notes: tuple[str, ...] = ()

    def get(self, cluster: int) -> ReportCluster | None:
        return next((one for one in self.clusters if one.id == cluster), None)

    def title_of(self, cluster: int) -> str:
        """``noise`` for -1; of one that is no more, its number."""
        if cluster < 0:
            return "noise"
        found = self.get(cluster)
        return found.title if found else f"cluster {cluster}"

    @property
    def n_clusters(self) -> int:
        return len(self.clusters)
