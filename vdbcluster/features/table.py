"""Scalar fields of rows as a table of numbers that trees and counts can work on.

In: columns of plain values, by name. Out: ``Table``: features with their kinds, ``(n, f) float64``,
and the fields that were left out, each with the reason (``sifting`` has the rules).
Promise: fields that vdbcluster itself writes are never in it; a category has a bounded number of
values, the rest is ``other``; ``encode`` gives rows that come later the numbers that the same
values have here.

    table = build_table({"price": [3.5, None, 12.0], "brand": ["a", "b", "a"]})
    table.features[1].categories      # ("a", "b")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.features.sifting import why_not
from vdbcluster.features.values import (
    Kind,
    as_text,
    codes,
    day_text,
    is_missing,
    kind_of,
    number_text,
    plain,
)
from vdbcluster.features.values import numbers as as_numbers
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.labels import LabelFields

Columns = Mapping[str, Sequence[object]]
MAX_CATEGORIES = 64
OTHER = "other values"


@dataclass(frozen=True, slots=True)
class Feature:
    """One field. ``categories``: of a category, the most frequent first, its code being its place;
    ``other``: whether the code after the last one stands for all rarer values.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    other: bool = False

    def __post_init__(self) -> None:
        if self.categories and self.kind != Kind.CATEGORY:
            raise ValueError(f"{self.name!r} is a {self.kind}, which has no categories")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"the categories of {self.name!r} are not all different")

    @property
    def is_listed(self) -> bool:
        """Whether its values are a few names, rather than numbers with an order."""
        return self.kind in (Kind.CATEGORY, Kind.BOOL)

    @property
    def n_codes(self) -> int:
        """How many codes there are: of a category, or 2 of a truth value; else 0."""
        if self.kind == Kind.CATEGORY:
            return len(self.categories) + self.other
        return 2 if self.kind == Kind.BOOL else 0

    def text(self, value: float) -> str:
        """A number of the table as people write the value."""
        if self.kind == Kind.DATE:
            return day_text(value)
        if self.kind == Kind.BOOL:
            return "true" if value else "false"
        if self.kind == Kind.CATEGORY:
            return (*self.categories, OTHER)[int(value)]
        return number_text(value)

    def encode(self, values: Sequence[object]) -> Float64Array:
        """A column of values, ``(n,)``; NaN for missing ones and those of another kind.

        A category that is not known is one of the rare ones, or missing if there were none.
        """
        if self.kind != Kind.CATEGORY:
            return as_numbers(values, self.kind)
        known = {name: code for code, name in enumerate(self.categories)}
        return codes(values, known, len(known) if self.other else np.nan)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that is not looked at, and why; the reason begins with a verb."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TableOptions:
    """``include``: taken although they look like texts or keys. ``exclude``: never taken.

    ``max_categories``: values of a category that are told apart, the most frequent ones.
    ``label_prefix``: of the fields that vdbcluster writes.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_categories: int = 32
    label_prefix: str = "cluster_"

    def __post_init__(self) -> None:
        if not 2 <= self.max_categories <= MAX_CATEGORIES:
            raise ValueError(
                f"max_categories is {self.max_categories}; it must lie in 2 to {MAX_CATEGORIES}"
            )

    @property
    def ours(self) -> frozenset[str]:
        """Names that vdbcluster writes, now or in another mode."""
        return frozenset(LabelFields(self.label_prefix).possible)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """``values (n, f) float64``, column j that of ``features[j]``, finite or NaN (missing)."""

    features: tuple[Feature, ...]
    values: Float64Array
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.features):
            raise ValueError(f"{len(self.features)} features, values {self.values.shape}")

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    def column(self, name: str) -> Float64Array:
        """The values of one feature, ``(n,)``. Raises ``KeyError``."""
        for j, feature in enumerate(self.features):
            if feature.name == name:
                return self.values[:, j]
        raise KeyError(name)


def build_table(columns: Columns, options: TableOptions | None = None) -> Table:
    """All fields that can say something about clusters, in the order given.

    Rows must be in the order of their keys, by which a field that counts them is told. Raises
    ``UsageError`` for a name in ``include`` or ``exclude`` that is no field or one of ours,
    ``ValueError`` for columns of different lengths.
    """
    chosen = options or TableOptions()
    _check(columns, chosen)
    features, made, left_out = [], [], []
    for name, given in columns.items():
        values = plain(given)
        found = _feature(name, values, chosen)
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            features.append(found)
            made.append(found.encode(values))
    n_rows = len(next(iter(columns.values()), ()))
    table = np.column_stack(made) if made else np.empty((n_rows, 0))
    return Table(tuple(features), table, tuple(left_out))


def encode(features: Sequence[Feature], columns: Columns) -> Float64Array:
    """Rows that come later, ``(m, f)``, as the table that ``features`` are from has them.

    Raises ``UsageError`` for a field that is not among the columns.
    """
    for feature in features:
        if feature.name not in columns:
            raise UsageError(f"the rows have no field {feature.name!r}, which the classifiers need")
    made = [feature.encode(plain(columns[feature.name])) for feature in features]
    n_rows = len(next(iter(columns.values()), ()))
    return np.column_stack(made) if made else np.empty((n_rows, 0))


def as_float32(values: Float64Array) -> Float32Array:
    """What trees are given."""
    return values.astype(np.float32)


def _check(columns: Columns, options: TableOptions) -> None:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns of one length, not {sorted(lengths)}")
    for name in (*options.include, *options.exclude):
        if name not in columns:
            raise UsageError(f"there is no scalar field {name!r}; there are {', '.join(columns)}")
    for name in options.include:
        if name in options.ours:
            raise UsageError(f"the field {name!r} is what vdbcluster writes; it explains nothing")
        if name in options.exclude:
            raise UsageError(f"the field {name!r} is both included and excluded")


def _feature(name: str, values: Sequence[object], options: TableOptions) -> Feature | LeftOut:
    if name in options.ours:
        return LeftOut(name, "is written by vdbcluster")
    if name in options.exclude:
        return LeftOut(name, "is left out on request")
    present = [value for value in values if not is_missing(value)]
    if not present:
        return LeftOut(name, "has no value in any row")
    kind = kind_of(present)
    if kind is None:
        return LeftOut(name, "holds lists or objects")
    reason = why_not(name, values, present, kind, forced=name in options.include)
    if reason:
        return LeftOut(name, reason)
    if kind != Kind.CATEGORY:
        return Feature(name, kind)
    counts = Counter(map(as_text, present))
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    kept = tuple(ranked[: options.max_categories])
    return Feature(name, kind, kept, other=len(ranked) > len(kept))
