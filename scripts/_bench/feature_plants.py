"""Tables beside the repository, differences planted in them, and what finds those.

In: the name of a table, a seed. Out: ``Planted``; ranks of its features by several methods.
Promise: a plant changes the rows of the planted cluster alone, in one field (shift, category) or in
which values of two fields go together, each field's own values staying as they were (interaction).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, mannwhitneyu

from tests.data import directory
from vdbcluster.features import Table, build_table
from vdbcluster.features.evidence import Evidence
from vdbcluster.features.values import Kind

TABLES = ("tab_tiktok1000", "tab_marketing2240", "tab_mall200")
PLANTS = ("shift", "category", "interaction")
GAMMA = 0.5
"""A shifted value is a quantile drawn as u to this power: it is the higher one in 2 of 3 cases."""
RAISED = 0.25
"""Share of the cluster that gets the category."""
RELATED = 0.3
"""Fields of an interaction have a lower rank correlation."""
STRANGE = 0.1
"""Fields with a higher one with a planted field may rightly be told: it has changed beside them."""
MANY = 20


@dataclass(frozen=True, eq=False)
class Planted:
    """``fields``: positions of those planted. ``strangers``: of those unrelated to them."""

    table: Table
    member: Any
    fields: tuple[int, ...]
    strangers: tuple[int, ...]


def columns_of(name: str) -> dict[str, list[object]]:
    """All columns of a table, missing values as None."""
    import pandas

    home = directory()
    if home is None:
        raise SystemExit("there is no ../shared/data beside the repository")
    frame = pandas.read_parquet(home / f"{name}.parquet").astype(object)
    frame = frame.where(frame.notna(), None)
    return {column: frame[column].tolist() for column in frame}


def load(name: str) -> Table:
    return build_table(columns_of(name))


def planted(table: Table, plant: str, seed: int) -> Planted | None:
    """A random cluster of a tenth of the rows, at least 60, that differs; None if it cannot."""
    rng = np.random.default_rng([seed, PLANTS.index(plant)])
    member = np.zeros(table.n_rows, bool)
    member[rng.choice(table.n_rows, max(60, table.n_rows // 10), replace=False)] = True
    values = table.values.copy()
    places = _places(table, plant)
    related = correlations(table)
    if not places:
        return None
    if plant == "interaction":
        pairs = [(a, b) for a in places for b in places if a < b and related[a, b] < RELATED]
        fields = tuple(pairs[int(rng.integers(len(pairs)))])
        values[:, fields[1]] = _paired(values[:, fields[0]], values[:, fields[1]], member, rng)
    else:
        fields = (int(rng.choice(places)),)
        change = _shifted if plant == "shift" else _raised
        values[:, fields[0]] = change(values[:, fields[0]], member, rng)
    strangers = tuple(
        j for j in range(len(table.features)) if all(related[j, f] < STRANGE for f in fields)
    )
    return Planted(replace(table, values=values), member, fields, strangers)


def correlations(table: Table) -> Any:
    """Absolute Spearman correlation of all features, ``(f, f)``, 1 with itself."""
    import pandas

    found = pandas.DataFrame(table.values).corr("spearman").abs().fillna(0).to_numpy().copy()
    np.fill_diagonal(found, 1)
    return found


def by_pull(evidence: Evidence) -> Any:
    """Rank of each feature from 1, by mean SHAP value of members less that of others."""
    return _ranks(-evidence.pull()[0])


def by_shap(evidence: Evidence) -> Any:
    """Rank by mean absolute SHAP value among members."""
    return _ranks(-evidence.importance())


def by_information(table: Table, member: Any, seed: int) -> Any:
    """Rank by mutual information with membership (Ross 2014, as scikit-learn has it)."""
    from sklearn.feature_selection import mutual_info_classif

    values = np.where(np.isnan(table.values), np.nanmedian(table.values, axis=0), table.values)
    listed = np.array([feature.is_listed for feature in table.features])
    found = mutual_info_classif(values, member, discrete_features=listed, random_state=seed)
    return _ranks(-found)


def by_test(table: Table, member: Any) -> Any:
    """Rank by the p-value of Mann and Whitney for numbers, of chi squared for categories."""
    return _ranks(
        np.array(
            [
                _p(table.values[:, j], member, listed=feature.is_listed)
                for j, feature in enumerate(table.features)
            ]
        )
    )


def _p(column: Any, member: Any, *, listed: bool) -> float:
    known = ~np.isnan(column)
    if listed:
        _, codes = np.unique(np.where(known, column, -1), return_inverse=True)
        n = codes.max() + 1
        counts = np.stack([np.bincount(codes[side], minlength=n) for side in (member, ~member)])
        return float(chi2_contingency(counts).pvalue)
    return float(mannwhitneyu(column[member & known], column[~member & known]).pvalue)


def _ranks(score: Any) -> Any:
    ranks = np.empty(len(score), int)
    ranks[np.argsort(score, kind="stable")] = np.arange(1, len(score) + 1)
    return ranks


def _places(table: Table, plant: str) -> list[int]:
    if plant == "category":
        return [j for j, f in enumerate(table.features) if f.kind == Kind.CATEGORY]
    return [
        j
        for j, f in enumerate(table.features)
        if f.kind == Kind.NUMBER and len(np.unique(table.values[:, j])) > MANY
    ]


def _shifted(column: Any, member: Any, rng: Any) -> Any:
    known = np.sort(column[~np.isnan(column)])
    rows = np.flatnonzero(member & ~np.isnan(column))
    changed = column.copy()
    changed[rows] = known[(len(known) * rng.random(len(rows)) ** GAMMA).astype(int)]
    return changed


def _raised(column: Any, member: Any, rng: Any) -> Any:
    """One of the five most frequent values, but not the first, as that changes least."""
    value = rng.integers(1, min(5, int(np.nanmax(column)) + 1))
    return np.where(member & (rng.random(len(column)) < RAISED), value, column)


def _paired(one: Any, two: Any, member: Any, rng: Any) -> Any:
    """High with high and low with low, within the cluster."""
    rows = np.flatnonzero(member & ~np.isnan(one) & ~np.isnan(two))
    order = np.lexsort((rng.random(len(rows)), one[rows]))
    high = np.zeros(len(rows), bool)
    high[order[len(rows) // 2 :]] = True
    ascending = np.sort(two[rows])
    n_low = int((~high).sum())
    paired = np.empty(len(rows))
    paired[~high] = rng.permutation(ascending[:n_low])
    paired[high] = rng.permutation(ascending[n_low:])
    changed = two.copy()
    changed[rows] = paired
    return changed
