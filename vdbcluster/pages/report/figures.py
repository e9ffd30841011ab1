"""Figures and texts as a reader sees them.

In: numbers, texts of rows. Out: short texts. Promise: pure; what is cut says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from vdbcluster.model.report import Report, Timeline
from vdbcluster.pages.wording import shortened

TREND = 3
"""Of a time line the first and the last third of the rows are compared."""
LEAST_CHANGE = 0.01


def share(value: float) -> str:
    """``19%``; with one digit below 10, and no 0 for what is there."""
    if value <= 0:
        return "0%"
    if value < 0.001:
        return "<0.1%"
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def count(value: int) -> str:
    return f"{value:,}"


def rows(value: int) -> str:
    return "1 row" if value == 1 else f"{value:,} rows"


def score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def short(text: str | None, most: int = 280) -> str:
    """Of a row, on one line."""
    return shortened(text, most) if text else ""


@dataclass(frozen=True, slots=True)
class Trend:
    """The share of a cluster among the first and the last third of all dated rows."""

    id: int
    early: float
    late: float

    @property
    def change(self) -> float:
        return self.late - self.early


def trends(line: Timeline) -> list[Trend]:
    """Of all clusters, those that gained most first.

    Thirds are whole periods that hold a third of the rows at least; none where these would meet.
    """
    first, last = _third(line.totals), _third(line.totals[::-1])
    if first + last > len(line.totals):
        return []
    early, late = sum(line.totals[:first]), sum(line.totals[-last:])
    found = [
        Trend(cluster, sum(counts[:first]) / early, sum(counts[-last:]) / late)
        for cluster, counts in line.clusters.items()
    ]
    return sorted(found, key=lambda one: (-one.change, one.id))


def _third(totals: Sequence[int]) -> int:
    """How many periods from the beginning hold a third of all rows."""
    sums = list(accumulate(totals))
    return next(i + 1 for i, value in enumerate(sums) if TREND * value >= sums[-1])


def trend_lines(report: Report, most: int = 3) -> list[str]:
    """What grew and what shrank most, in words."""
    if report.timeline is None:
        return []
    found = trends(report.timeline)
    told = []
    for what, some in (
        ("Grew most", [t for t in found if t.change >= LEAST_CHANGE][:most]),
        ("Shrank most", [t for t in found[::-1] if t.change <= -LEAST_CHANGE][:most]),
    ):
        if some:
            listed = "; ".join(
                f"{report.title_of(t.id)} ({share(t.early)} to {share(t.late)})" for t in some
            )
            told.append(f"{what} from the first to the last third of the rows: {listed}.")
    return told


def closest(report: Report, most: int = 8) -> list[tuple[int, int, float]]:
    """Pairs of clusters that are most alike, by cosine."""
    near = report.nearness
    if near is None:
        return []
    k = len(near.ids)
    pairs = [(float(near.cosines[i, j]), i, j) for i in range(k) for j in range(i + 1, k)]
    pairs.sort(key=lambda pair: (-pair[0], near.ids[pair[1]], near.ids[pair[2]]))
    return [(near.ids[i], near.ids[j], cosine) for cosine, i, j in pairs[:most]]


def sparkline(values: Sequence[float]) -> str:
    """Eight heights of blocks, for a page without pictures."""
    top = max(values, default=0)
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(blocks[min(7, int(8 * v / top))] if top else blocks[0] for v in values)


GLOSSARY = (
    ("Cluster", "A group of rows whose vectors lie closer to each other than to the rest."),
    (
        "Noise",
        "Rows that belong to no cluster; their cluster id is -1. Noise is a finding, not an error.",
    ),
    (
        "Soft assignment",
        "A row that was noise at first and was given to the cluster of most of its neighbours.",
    ),
    (
        "Stability",
        "How much of a cluster is found again in samples of the data, as a mean Jaccard "
        "coefficient: 1 is all of it, below 0.5 it is another cluster.",
    ),
    (
        "Persistence",
        "Over how wide a range of densities a cluster stays one: how clearly it stands out.",
    ),
    (
        "Recall",
        "The share of the true nearest neighbours that the search found; the interval is a 95 % "
        "one, since a sample of rows was checked.",
    ),
    ("Certificate", "The part of the density tree that is proven to be that of the exact method."),
    ("Medoid", "The row nearest to the middle of a cluster."),
    ("Centroid", "The mean direction of the rows of a cluster, about the mean of all rows."),
    (
        "Cosine",
        "How alike two directions are: 1 the same, 0 nothing in common, below 0 opposite sides of "
        "the middle of the data.",
    ),
    (
        "Interestingness",
        "What a language model makes of a cluster by a rubric, 0 to 100: an opinion, to be read "
        "first, not a measurement.",
    ),
    ("Outlier", "A row that lies far from all others, or hardly in any cluster."),
    ("Duplicate", "A row that says what another says: equal, or so near that it adds nothing."),
    (
        "Stable id",
        "The number of a cluster stays with it from run to run, and is never given to another.",
    ),
)
