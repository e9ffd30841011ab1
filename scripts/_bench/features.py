"""What `bench_features` measures, each part as one table.

In: a table of fields, seeds. Out: ``report.Table``. Promise: the same seeds give the same figures;
everything is measured by the code that a run uses (`vdbcluster.features`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import vdbcluster
from scripts._bench.feature_plants import (
    by_information,
    by_pull,
    by_shap,
    by_test,
    columns_of,
    load,
    planted,
)
from scripts._bench.table import Table as Shown
from vdbcluster.features import (
    ImportanceParams,
    ImportanceReport,
    Table,
    assign_by_fields,
    build_table,
    learn,
)
from vdbcluster.features.evidence import beats_chance, gather, higher_mean
from vdbcluster.features.values import Kind

ALPHA = 0.01
NOT_A_MEASURE = 10
"""A field with that many different values or more is taken as a coordinate."""


def found_first(name: str, plant: str, seeds: int) -> tuple[str, ...] | None:
    """One line: how often what was planted comes first, by method, and what is told."""
    table = load(name)
    seen: list[dict[str, float]] = []
    for seed in range(seeds):
        case = planted(table, plant, seed)
        if case is None:
            return None
        seen.append(_one(case, seed))
    mean = {key: float(np.mean([one[key] for one in seen])) for key in seen[0]}
    return (
        f"{name}, {plant}",
        *(f"{mean[key]:.0%}" for key in ("pull", "shap", "information", "test")),
        *(f"{mean[key]:.0%}" for key in ("some", "all", "loss")),
        f"{mean['strangers']:.0%}",
        f"{mean['auc']:.3f}",
    )


def found_head() -> Shown:
    return Shown(
        "Planted differences",
        (
            "table, plant",
            "first: pull",
            "mean abs. SHAP",
            "mutual inf.",
            "test",
            "told: one",
            "all",
            "all, by loss",
            "a stranger",
            "AUC",
        ),
        (),
        (
            "first: the planted field has rank 1 (of an interaction: both are among the first 2);",
            "by loss: told by the rise of the log loss without the field, instead of its pull;",
            "a stranger: runs in which a field is told that has nothing to do with those planted",
        ),
    )


def _one(case: Any, seed: int) -> dict[str, float]:
    table, member = case.table, case.member
    evidence = gather(table.values, table.features, member, folds=5, seed=seed)
    auc, error = evidence.auc()
    beats = beats_chance(auc, error) < ALPHA
    level = ALPHA / len(table.features)
    told = (evidence.pull()[1] < level) & beats
    loss = (_rise(evidence) < level) & beats
    fields = list(case.fields)
    ranks = {
        "pull": by_pull(evidence),
        "shap": by_shap(evidence),
        "information": by_information(table, member, seed),
        "test": by_test(table, member),
    }
    first = {key: float(rank[fields].max() <= len(fields)) for key, rank in ranks.items()}
    return {
        **first,
        "some": float(told[fields].any()),
        "all": float(told[fields].all()),
        "loss": float(loss[fields].all()),
        "strangers": float(told[list(case.strangers)].any()),
        "auc": auc,
    }


def _rise(evidence: Any) -> Any:
    """The p-value of the rise of the log loss without each feature: the other test."""
    sign = np.where(evidence.member, -1.0, 1.0)[:, None]
    margins = evidence.margins[:, None]
    rise = np.logaddexp(0, sign * (margins - evidence.contributions))
    rise -= np.logaddexp(0, sign * margins)
    return higher_mean(rise[evidence.member], -rise[~evidence.member])[1]


def false_alarms(name: str, seeds: int) -> tuple[str, ...]:
    """One line: calls on five random clusters, an eighth of the rows each, that tell anything."""
    table = load(name)
    told, passed, clusters = 0, 0, 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        labels = np.minimum(rng.permutation(table.n_rows) * 8 // table.n_rows, 5) - 1
        report, _ = learn(table, labels, ImportanceParams(alpha=ALPHA, seed=seed))
        told += any(found.features for found in report.clusters)
        scored = [found for found in report.clusters if found.score]
        passed += sum(found.score.auc_low > 0.5 for found in scored if found.score)
        clusters += len(scored)
    return name, f"{seeds}", f"{told / seeds:.1%}", f"{passed / clusters:.1%} of {clusters}"


ALARMS = Shown(
    "False alarms on random clusters",
    ("table", "calls", "tell a feature", "AUC interval above 0.5"),
    (),
    (f"alpha {ALPHA}; of intervals at 95 %, 2.5 % lie above by chance",),
)


def shadows_told(name: str, seeds: int) -> tuple[str, ...]:
    """One line: of real clusters, with a permuted copy beside each field, copies that are told."""
    table = load(name)
    labels = clustered(table)
    told, tests, calls = 0, 0, 0
    f = len(table.features)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        copies = tuple(replace(one, name=f"copy of {one.name}") for one in table.features)
        both = Table(
            (*table.features, *copies),
            np.hstack((table.values, rng.permuted(table.values, axis=0))),
        )
        report, _ = learn(both, labels, ImportanceParams(alpha=ALPHA, seed=seed))
        names = {one.name for one in copies}
        here = sum(e.feature.name in names for found in report.clusters for e in found.features)
        tests += f * sum(found.score is not None for found in report.clusters)
        told += here
        calls += here > 0
    return name, f"{seeds}", f"{tests:,}", f"{told}", f"{calls / seeds:.0%}"


SHADOWS = Shown(
    "Permuted copies of all fields beside them, on real clusters",
    ("table", "calls", "copies x clusters", "copies told", "calls that tell one"),
    (),
)


def clustered(table: Table, seed: int = 0) -> Any:
    """Labels by ``vdbcluster.cluster`` of the numbers that are measures, each scaled.

    Counts that are skewed are taken as logarithms, missing values as the median.
    """
    return _labels(points(table), seed)


def points(table: Table) -> Any:
    """``(n, d) float32``: one coordinate for each field, mean 0 and variance 1."""
    made = []
    for j, feature in enumerate(table.features):
        column = table.values[:, j]
        known = column[~np.isnan(column)]
        few = len(np.unique(known)) < NOT_A_MEASURE
        if feature.kind != Kind.NUMBER or few or len(known) < 0.9 * len(column):
            continue
        column = np.where(np.isnan(column), np.median(known), column)
        if column.min() >= 0 and _skewness(column) > 2:
            column = np.log(column + np.quantile(column[column > 0], 0.05))
        made.append((column - column.mean()) / column.std())
    return np.column_stack(made).astype(np.float32)


def _skewness(column: Any) -> float:
    return float(((column - column.mean()) ** 3).mean() / column.std() ** 3)


def _labels(given: Any, seed: int) -> Any:
    return vdbcluster.cluster(
        vdbcluster.neighbors(given, metric="euclidean", seed=seed), seed=seed
    ).labels


def assigned(name: str, thresholds: tuple[float, ...], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Lines: a fifth of the rows held out, given to clusters by their fields alone."""
    columns = columns_of(name)
    labels = clustered(build_table(columns))
    out = np.random.default_rng(seed).random(len(labels)) < 0.2
    known, new = _taken(columns, ~out), _taken(columns, out)
    _, classifiers = learn(build_table(known), labels[~out])
    truth = labels[out]
    for threshold in thresholds:
        got, _ = assign_by_fields(classifiers, new, threshold=threshold)
        given = got >= 0
        yield (
            name,
            f"{threshold:g}",
            f"{out.sum()}",
            f"{given.mean():.1%}",
            f"{(got[given] == truth[given]).mean():.1%}" if given.any() else "-",
            f"{(got == truth).mean():.1%}",
            f"{np.bincount(truth[truth >= 0]).max() / len(truth):.1%}",
        )


def _taken(columns: dict[str, list[object]], rows: Any) -> dict[str, list[object]]:
    kept = np.flatnonzero(rows)
    return {name: [values[i] for i in kept] for name, values in columns.items()}


ASSIGNED = Shown(
    "New rows given to clusters by their fields alone (a fifth held out)",
    ("table", "threshold", "rows", "given", "of these right", "all right", "largest cluster"),
    (),
    ("all right: noise left noise counts as right; largest cluster: what guessing it would give",),
)


def real(name: str) -> ImportanceReport:
    """What the fields say about the clusters of their scaled numbers."""
    table = load(name)
    report, _ = learn(table, clustered(table), ImportanceParams(threads=2))
    return report


def told(report: ImportanceReport, most: int = 6) -> Iterator[str]:
    """The report as lines for people."""
    for field in report.left_out:
        yield f"left out: {field.name} {field.reason}"
    for found in report.clusters:
        yield ""
        yield f"cluster {found.cluster}: {found.size} rows. {found.reason}".rstrip()
        if found.score:
            s = found.score
            yield (
                f"  AUC {s.auc:.3f} ({s.auc_low:.3f} to {s.auc_high:.3f}), balanced accuracy "
                f"{s.balanced_accuracy:.3f}, average precision {s.average_precision:.2f} "
                f"(guessing {s.base_rate:.2f})"
            )
        yield from (f"  {effect.share:4.0%}  {effect.told}" for effect in found.features[:most])
