"""Lift tables: how much more frequent a value is in a cluster than overall.

In: ``Table``, labels. Out: ``Lift``, one for each value of a field in a cluster, of enough rows.
Promise: plain counts, numpy alone; numbers and dates are cut into bands of about equally many rows,
a number of few values stays as it is; the same input gives the same table.

    lift_table(table, labels)[0].told     # "region US: 62% of cluster 3, 21% of all (x 3.0)"

Lift is confidence over support of an association rule (Brin et al. 1997). The interval is Wilson's
(1927) for the share in the cluster, over the share overall, which is taken as known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vdbcluster.features.table import Feature, Table
from vdbcluster.model.arrays import Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.intervals import wilson

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Lift:
    """Of a cluster ``count`` of ``size`` rows have ``value``, of all rows ``total`` of ``n_rows``.

    ``share`` = count / size, ``overall`` = total / n_rows, ``lift`` their quotient with its 95 %
    interval ``low`` to ``high``. Values that are missing count as the value "missing". Noise rows
    count among all, and have no table of their own.
    """

    name: str
    value: str
    cluster: int
    count: int
    size: int
    total: int
    n_rows: int
    lift: float
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.count / self.size

    @property
    def overall(self) -> float:
        return self.total / self.n_rows

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 1."""
        return self.low > 1 or self.high < 1

    @property
    def told(self) -> str:
        """One line for people."""
        return (
            f"{self.name} {self.value}: {self.share:.0%} of cluster {self.cluster}, "
            f"{self.overall:.0%} of all (x {self.lift:.1f})"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def lift_table(
    table: Table, labels: Int64Array, *, bands: int = 5, min_support: int = 5
) -> tuple[Lift, ...]:
    """Field by field, cluster by cluster, the highest lift first.

    ``labels (n,)``: cluster ids, -1 for noise. ``bands``: at most, of a number. ``min_support``:
    rows that would have the value in the cluster if it were as everywhere, or have it; fewer say
    nothing and are left out. Raises ``ValueError`` for other lengths, ``bands`` below 2 or
    ``min_support`` below 1.
    """
    if len(labels) != table.n_rows:
        raise ValueError(f"{table.n_rows} rows but {len(labels)} labels")
    if bands < 2 or min_support < 1:
        raise ValueError(f"bands is {bands}, min_support {min_support}; at least 2 and 1")
    ids, of_row = np.unique(labels, return_inverse=True)
    found: list[Lift] = []
    for j, feature in enumerate(table.features):
        codes, names = _coded(feature, table.values[:, j], bands)
        counts = np.zeros((len(ids), len(names)), np.int64)
        np.add.at(counts, (of_row, codes), 1)
        found += _lifts(feature.name, names, ids, counts, min_support)
    return tuple(found)


def _lifts(
    name: str, names: list[str], ids: Int64Array, counts: Int64Array, min_support: int
) -> list[Lift]:
    """``counts (clusters, values)``, noise among the clusters."""
    sizes, totals, n_rows = counts.sum(axis=1), counts.sum(axis=0), int(counts.sum())
    if not n_rows:
        return []
    expected = np.outer(sizes, totals) / n_rows
    lifts = np.divide(counts, expected, out=np.zeros(counts.shape), where=expected > 0)
    low, high = wilson(counts / sizes[:, None], sizes[:, None])
    overall = np.maximum(totals / n_rows, 1 / n_rows)
    enough = (np.maximum(counts, expected) >= min_support) & (ids != NOISE)[:, None]
    found = []
    for i in np.flatnonzero(ids != NOISE):
        order = np.argsort(-lifts[i], kind="stable")
        found += [
            Lift(
                name=name,
                value=names[v],
                cluster=int(ids[i]),
                count=int(counts[i, v]),
                size=int(sizes[i]),
                total=int(totals[v]),
                n_rows=n_rows,
                lift=float(lifts[i, v]),
                low=float(low[i, v] / overall[v]),
                high=float(high[i, v] / overall[v]),
            )
            for v in order
            if enough[i, v]
        ]
    return found


def _coded(feature: Feature, column: Float64Array, bands: int) -> tuple[Int64Array, list[str]]:
    """The value of each row as a number ``(n,)``, and what each is called; missing is the last."""
    missing = np.isnan(column)
    if feature.is_listed:
        codes = np.where(missing, feature.n_codes, column).astype(np.int64)
        return codes, [*(feature.text(i) for i in range(feature.n_codes)), MISSING]
    present = column[~missing]
    values = np.unique(present)
    if len(values) <= bands:
        codes = np.searchsorted(values, column)
        names = [feature.text(value) for value in values]
    else:
        cuts = _cuts(values, present, bands)
        codes = np.searchsorted(cuts, column, side="right")
        names = _band_names(feature, values, cuts)
    return np.where(missing, len(names), codes).astype(np.int64), [*names, MISSING]


def _cuts(values: Float64Array, present: Float64Array, bands: int) -> Float64Array:
    """Where bands begin but the first: quantiles that are values, each once.

    If the smallest value fills a band it has one to itself, as 0 often should.
    """
    cuts = np.quantile(present, np.arange(1, bands) / bands, method="higher")
    return np.unique(np.maximum(cuts, values[1]))


def _band_names(feature: Feature, values: Float64Array, cuts: Float64Array) -> list[str]:
    texts = [feature.text(cut) for cut in cuts]
    first = feature.text(values[0]) if cuts[0] == values[1] else f"below {texts[0]}"
    between = [f"{low} to below {high}" for low, high in pairwise(texts)]
    return [first, *between, f"from {texts[-1]}"]
