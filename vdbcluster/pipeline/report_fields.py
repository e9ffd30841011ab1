"""Fields of the rows of a cluster beside those of all other rows, as bars.

In: columns of plain values, the rows of a cluster. Out: ``Bars``. Promise: no I/O; the shares are
of rows that have a value, or of all rows where many have none; numbers have the same ranges in
every cluster.

    column = column_of("price", values)
    column.bars(labels == 7)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from vdbcluster.features.table import Feature
from vdbcluster.features.values import Kind, as_text, is_missing, kind_of, number_text
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.report import Bars

BINS = 12
FEW = 12
"""Different numbers that have a bar each."""
SHOWN = 6
"""Values of a category: most of those that differ most."""
SKEWED = 20
"""Times the middle that the top must be for ranges to grow in proportion."""
OTHER, MISSING = "all others", "missing"
TOLD = 0.05
"""Share of rows without a value from which that is a bar of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One field of all rows. ``codes (n,) int64``: the bar of each row, -1 where it has no value;
    ``labels``: of the bars; ``ordered``: whether the bars have an order of their own.
    """

    name: str
    kind: str
    codes: Int64Array
    labels: tuple[str, ...]
    ordered: bool

    def bars(self, inside: BoolArray, told: str = "") -> Bars:
        """Rows ``inside (n,)`` beside all others."""
        here, there = (self._shares(which) for which in (inside, ~inside))
        places = np.arange(len(self.labels)) if self.ordered else self._telling(here, there)
        labels = [self.labels[p] for p in places]
        shares = [[float(s[p]) for p in places] for s in (here, there)]
        if len(places) < len(self.labels):
            labels.append(OTHER)
            shares = [[*kept, max(0.0, 1 - sum(kept)) if any(kept) else 0.0] for kept in shares]
        return Bars(self.name, self.kind, tuple(labels), tuple(shares[0]), tuple(shares[1]), told)

    def _shares(self, which: BoolArray) -> Float64Array:
        codes = self.codes[which & (self.codes >= 0)]
        counts = np.bincount(codes, minlength=len(self.labels))
        return np.asarray(counts / max(1, len(codes)), np.float64)

    def _telling(self, here: Float64Array, there: Float64Array) -> Int64Array:
        """The most frequent values of the cluster and the one that it lacks most."""
        if len(self.labels) <= SHOWN:
            return np.argsort(-here, kind="stable")
        top = np.argsort(-here, kind="stable")[: SHOWN - 1]
        lack = here - there
        lack[top] = np.inf
        return np.append(top, lack.argmin())


def column_of(name: str, values: Sequence[object]) -> Column | None:
    """None for a field without values that can be counted."""
    present = [value for value in values if not is_missing(value)]
    kind = kind_of(present) if present else None
    if kind is None:
        return None
    if kind in (Kind.CATEGORY, Kind.BOOL):
        return _with_missing(_listed(name, kind, values))
    feature = Feature(name, kind)
    found = _ranged(feature, feature.encode(values))
    return found and _with_missing(found)


def _with_missing(found: Column) -> Column:
    """With a bar for rows without a value, where these are many; shares are of all rows then."""
    absent = found.codes < 0
    if absent.mean() < TOLD:
        return found
    codes = np.where(absent, len(found.labels), found.codes)
    return replace(found, codes=codes, labels=(*found.labels, MISSING))


def _listed(name: str, kind: Kind, values: Sequence[object]) -> Column:
    texts = [None if is_missing(v) else _text(v) for v in values]
    counts = Counter(text for text in texts if text is not None)
    labels = sorted(counts, key=lambda text: (-counts[text], text))
    place = {text: p for p, text in enumerate(labels)}
    codes = np.array([-1 if text is None else place[text] for text in texts], np.int64)
    return Column(name, str(kind), codes, tuple(labels), ordered=False)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else as_text(value)


def _ranged(feature: Feature, numbers: Float64Array) -> Column | None:
    known = ~np.isnan(numbers)
    if not known.any():
        return None
    different = np.unique(numbers[known])
    codes = np.full(len(numbers), -1, np.int64)
    name, kind = feature.name, str(feature.kind)
    if len(different) <= FEW:
        codes[known] = np.searchsorted(different, numbers[known])
        return Column(name, kind, codes, tuple(map(feature.text, different)), ordered=True)
    edges = _edges(numbers[known])
    codes[known] = np.clip(np.searchsorted(edges, numbers[known], "right") - 1, 0, len(edges) - 2)
    told = [_bound(feature, edge, edges) for edge in edges]
    labels = [f"{a} to {b}" for a, b in pairwise(told)]
    if numbers[known].max() > edges[-1]:
        labels[-1] = f"{told[-2]} and more"
    if numbers[known].min() < edges[0]:
        labels[0] = f"up to {told[1]}"
    return Column(name, kind, codes, tuple(labels), ordered=True)


def _edges(numbers: Float64Array) -> Float64Array:
    """Of equal ranges from the first to the last percentile; of a skewed number growing ones."""
    low, middle, high = np.quantile(numbers, [0.01, 0.5, 0.99])
    if not low < high:
        low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high > SKEWED * max(middle, low):
        return np.asarray(np.expm1(np.linspace(np.log1p(low), np.log1p(high), BINS + 1)))
    return np.linspace(low, high, BINS + 1)


def _bound(feature: Feature, edge: float, edges: Float64Array) -> str:
    if feature.kind == Kind.DATE:
        return feature.text(edge)[:10]
    return number_text(float(f"{edge:.3g}") if np.ptp(edges) > 0 else edge)


def told_fields(features: Mapping[str, Any] | None) -> dict[str, str]:
    """Fields that set a cluster apart, the most important first, with a line on each."""
    return {str(one["name"]): str(one["told"]) for one in (features or {}).get("features", ())}
