"""What the scalar fields of rows say about the clusters that they are in.

In: a ``VectorSource``, keys and labels of rows. Out: ``Learnt``: which fields tell each cluster
apart, lift tables, classifiers by the fields alone. Promise: nothing is written; only scalar fields
are read, and a long text of no more than ``SAMPLE`` rows; fields that are left out are named with
the reason; the same rows, labels and seed give the same result. Memory of one table of the rows
that are looked at, ``LOOKED_AT`` at most, drawn evenly.

    learnt = learn_features(source, profile, keys, labels, settings, observer)
    card_features(learnt, 3)       # for ``Card.features``
    save_classifiers(runs, run_id, learnt.classifiers)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from vdbcluster.config.features import FeatureSettings
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.arrays import Int64Array, Keys
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.ports import Observer, RunStore, VectorSource

if TYPE_CHECKING:  # loads scipy.stats, which takes a second that no other command should wait
    from vdbcluster.features import (
        Classifiers,
        ImportanceParams,
        ImportanceReport,
        LeftOut,
        Lift,
        TableOptions,
    )

CLASSIFIERS = "classifiers"
SAMPLE = 1000
"""Rows that fields are found and judged by, before they are read for all."""
LOOKED_AT = 200_000
TOP_LIFTS = 5
SCALARS = frozenset({"BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR"})
Columns = dict[str, list[object]]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """``report``, ``lifts``, ``classifiers``: see ``vdbcluster.features``; ``facts``: plain values
    for the record of the run.
    """

    report: ImportanceReport
    lifts: tuple[Lift, ...]
    classifiers: Classifiers
    facts: dict[str, Any]


def learn_features(
    source: VectorSource,
    profile: CollectionProfile,
    keys: Keys,
    labels: Int64Array,
    settings: FeatureSettings,
    observer: Observer,
    *,
    label_prefix: str = "cluster_",
    seed: int = 0,
) -> Learnt:
    """Look at the fields of rows ``keys (n,)`` with ``labels (n,)``, -1 for noise.

    Raises ``UsageError`` for a field in ``include`` or ``exclude`` that there is not, and where the
    extra is missing; ``ValueError`` for other lengths.
    """
    from vdbcluster.features import Table, TableOptions, build_table, learn, lift_table
    from vdbcluster.features.trees import library

    if len(keys) != len(labels):
        raise ValueError(f"{len(keys)} keys but {len(labels)} labels")
    library()  # one clear line before anything is read
    rows = _drawn(keys, seed)
    if len(rows) < len(keys):
        observer.warn(f"fields are looked at for {len(rows):,} of {len(keys):,} rows, drawn evenly")
    options = TableOptions(settings.include, settings.exclude, label_prefix=label_prefix)
    read = _Reading(source, profile, options, observer)
    columns, left_out = read.columns(keys[rows])
    kept = replace(options, exclude=())  # those were not even read
    table = build_table(columns, kept) if columns else Table((), np.empty((len(rows), 0)))
    table = replace(table, left_out=(*table.left_out, *left_out))
    seen, params = labels[rows], _params(settings, seed)
    sizes = np.unique(seen[seen != NOISE], return_counts=True)[1]
    with observer.stage("features", int((sizes >= params.min_size).sum()), "clusters") as progress:
        report, classifiers = learn(table, seen, params, progress.advance)
    facts = {
        "rows": len(keys),
        "looked_at": len(rows),
        "settings": settings.model_dump(mode="json"),
        **{name: value for name, value in report.to_json().items() if name != "clusters"},
        "clusters": [_in_short(one.to_json()) for one in report.clusters],
        "classifiers": list(classifiers.clusters),
    }
    return Learnt(report, lift_table(table, seen), classifiers, facts)


def card_features(learnt: Learnt, cluster: int) -> dict[str, Any] | None:
    """``Card.features`` of one cluster: its ``ClusterImportance`` as JSON, and ``lifts``.

    ``lifts``: values of the fields that are told and are more frequent here than among all rows,
    the surest first; ``lift_table``: all values of all fields. None for a cluster that was not
    looked at.
    """
    found = learnt.report.get(cluster)
    if found is None:
        return None
    told = {effect.feature.name for effect in found.features}
    mine = [lift for lift in learnt.lifts if lift.cluster == cluster]
    sure = (lift for lift in mine if lift.name in told and lift.low > 1)
    top = sorted(sure, key=lambda lift: -lift.low)[:TOP_LIFTS]
    return {
        **found.to_json(),
        "lifts": list(map(_lift, top)),
        "lift_table": list(map(_lift, mine)),
    }


def _lift(lift: Lift) -> dict[str, Any]:
    return {**lift.to_json(), "share": lift.share, "overall": lift.overall, "told": lift.told}


def save_classifiers(runs: RunStore, run_id: str, classifiers: Classifiers) -> None:
    """As JSON into the record of the run, in place of those that it has."""
    from vdbcluster.features import classifiers_to_json

    runs.save_text(run_id, classifiers_to_json(classifiers), CLASSIFIERS)


def load_classifiers(runs: RunStore, run_id: str) -> Classifiers:
    """Raises ``UsageError`` if the run has none, ``VdbclusterError`` if they are damaged."""
    from vdbcluster.features import classifiers_from_json

    if run_id not in runs.having(CLASSIFIERS):
        raise UsageError(
            f"run {run_id} has no classifiers; make them with vdbcluster explain {run_id} "
            "--features"
        )
    try:
        return classifiers_from_json(runs.load_text(run_id, CLASSIFIERS))
    except ValueError as error:
        raise VdbclusterError(
            f"the classifiers of run {run_id} cannot be used: {error}; make them again with "
            f"vdbcluster explain {run_id} --features"
        ) from error


@dataclass(frozen=True, slots=True)
class _Reading:
    """Finds the fields that are worth it, and reads them."""

    source: VectorSource
    profile: CollectionProfile
    options: TableOptions
    observer: Observer

    def columns(self, keys: Keys) -> tuple[Columns, tuple[LeftOut, ...]]:
        """``keys (m,)`` ascending."""
        from vdbcluster.features import LeftOut

        sample = keys[np.linspace(0, len(keys) - 1, min(SAMPLE, len(keys))).astype(np.int64)]
        names, reasons = self._names(sample)
        first = self.source.columns(sample, names)
        reasons |= {
            name: reason
            for name, values in first.items()
            if name not in self.options.include and (reason := _too_much(values))
        }
        wanted = [name for name in names if name not in reasons]
        with self.observer.stage("fields", len(keys)) as progress:
            found = (
                {name: first[name] for name in wanted}
                if len(sample) == len(keys)
                else self.source.columns(keys, wanted)
            )
            progress.advance(len(keys))
        for name in self.options.include:
            if self._may_be_dynamic(name) and all(value is None for value in found[name]):
                raise UsageError(self._unknown(name, names))
        return found, tuple(LeftOut(name, reason) for name, reason in reasons.items())

    def _names(self, sample: Keys) -> tuple[list[str], dict[str, str]]:
        """Fields to read, and why others are not."""
        declared = {scalar.name: scalar.type for scalar in self.profile.scalars}
        dynamic = [name for name in self.source.dynamic_fields(sample) if name not in declared]
        names = [*declared, *dynamic]
        extra = [name for name in self.options.include if name not in names]
        for name in (*extra, *self.options.exclude):
            if name not in names and not (name in extra and self.profile.dynamic):
                raise UsageError(self._unknown(name, names))
        names += extra
        self._check_included(declared)
        reasons = {
            name: reason
            for name in names
            if (reason := self._why_not(name, declared.get(name, "VARCHAR")))
        }
        return [name for name in names if name not in reasons], reasons

    def _why_not(self, name: str, kind: str) -> str:
        if name in self.options.ours:
            return "is written by vdbcluster"
        if name in self.options.exclude:
            return "is left out on request"
        return "" if kind in SCALARS else f"is of type {kind}, which is no plain value"

    def _check_included(self, declared: dict[str, str]) -> None:
        for name in self.options.include:
            if name in self.options.exclude:
                raise UsageError(f"the field {name!r} is both included and left out")
            if name in self.options.ours:
                raise UsageError(
                    f"the field {name!r} is what vdbcluster writes; it explains nothing"
                )
            if declared.get(name, "VARCHAR") not in SCALARS:
                raise UsageError(
                    f"the field {name!r} is of type {declared[name]}, which is no plain value"
                )

    def _may_be_dynamic(self, name: str) -> bool:
        return self.profile.scalar(name) is None

    def _unknown(self, name: str, names: Iterable[str]) -> str:
        others = ", ".join(sorted({*names} - {name} - self.options.ours)) or "none"
        return f"{self.profile.name!r} has no scalar field {name!r}; it has {others}"


def _params(settings: FeatureSettings, seed: int) -> ImportanceParams:
    from vdbcluster.features import ImportanceParams

    return ImportanceParams(
        min_size=settings.min_size,
        alpha=settings.alpha,
        max_rows=max(settings.max_rows, 2 * settings.min_size),
        seed=seed,
        threads=os.cpu_count() or 1,
    )


def _drawn(keys: Keys, seed: int) -> Int64Array:
    """Positions of the rows to look at, in the order of their keys."""
    order = np.argsort(keys, kind="stable")
    if len(keys) <= LOOKED_AT:
        return order
    chosen = np.random.default_rng(seed).choice(len(keys), LOOKED_AT, replace=False)
    return order[np.sort(chosen)]


def _too_much(values: Sequence[object]) -> str:
    """Why a field is not read for all rows, by a sample of it; empty if it is."""
    from vdbcluster.features.sifting import LONG

    if any(isinstance(value, list | dict) for value in values):
        return "holds lists or objects"
    texts = [len(value) for value in values if isinstance(value, str)]
    if texts and median(texts) > LONG and 2 * len(texts) > sum(v is not None for v in values):
        return f"is text: half of its values have more than {LONG} characters"
    return ""


def _in_short(cluster: dict[str, Any]) -> dict[str, Any]:
    """Without ranges and figures of each field, which its card has."""
    return {**cluster, "features": [effect["name"] for effect in cluster["features"]]}
