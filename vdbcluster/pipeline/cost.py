"""What a run costs in seconds, by stage, for any number of rows: the cost model of the README.

In: ``Load`` (rows, dimension, neighbours, method, engine, workers) and ``Rates``. Out: seconds by
stage. Promise: pure arithmetic; more rows never cost less.

A stage's seconds are a sum of terms in the load (``SHAPES``: which power of the rows, times what of
the dimension and the neighbours), each with a rate that is never negative. The shapes are the model
and stay; the rates are this machine's, this server's and this index's, and are found either by
``fitted`` from whole runs of several sizes, or by ``calibrated``, which scales known rates by what
the first batches of a run took. Memory and disk are in ``pipeline.needs``.

Where the shapes come from: rows are read and written in pages, so n; a search costs a call's share,
so n, and a scan of a fixed share of the cells of a segment of bounded size, so n times the number
of segments, n^2, until cells are chosen (IVF), or n log n (graphs); the audit compares a sample
with all rows; sorting edges gives n k log n, smoothing n k for each coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import nnls

from vdbcluster.graph.spectral import coordinates_for

Engine = Literal["cells", "graph", "local", "exact"]
"""Who finds neighbours: Milvus by cells (IVF, SCANN) or by a graph (HNSW), or this machine by cells
or by every pair."""

DIVIDED = ("read", "neighbors", "write")
"""What workers share."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run is asked to do. ``method``: ``auto`` smooths, ``hdbscan`` does not."""

    n_rows: int
    dim: int = 384
    n_neighbors: int = 50
    method: str = "auto"
    engine: Engine = "cells"
    workers: int = 1

    @property
    def edges(self) -> float:
        return float(self.n_rows) * self.n_neighbors

    @property
    def values(self) -> float:
        return float(self.n_rows) * self.dim


Term = Callable[[Load], float]
Rates = Mapping[str, tuple[float, ...]]
"""Seconds for one unit of each term, by stage."""


def _one(_: Load) -> float:
    return 1.0


def _rows(load: Load) -> float:
    return float(load.n_rows)


def _values(load: Load) -> float:
    return load.values


def _sorted_edges(load: Load) -> float:
    return load.edges * math.log2(max(load.n_rows, 2))


def _walks(load: Load) -> float:
    smooths = load.method not in ("hdbscan", "leaf")
    return load.edges * coordinates_for(load.n_rows) if smooths else 0.0


def _scan(load: Load) -> float:
    """What a search for each row looks at, beyond what each costs by itself."""
    by_row = {
        "cells": load.n_rows,
        "exact": load.n_rows,
        "local": math.sqrt(load.n_rows),
        "graph": load.n_neighbors * math.log2(max(load.n_rows, 2)),
    }
    return load.values * by_row[load.engine]


SHAPES: dict[str, tuple[Term, ...]] = {
    "other": (_one, _rows),
    "read": (_one, _values),
    "languages": (_one, _rows),
    "neighbors": (_one, _rows, _scan),
    "audit": (_one, _values),
    "cluster": (_one, _sorted_edges, _walks),
    "stability": (_one, _sorted_edges),
    "plan": (_one, _rows),
    "write": (_one, _rows),
    "catalogue": (_one, _rows),
}
"""``other``: interpreter, imports, connecting, probing, exit."""


def terms(stage: str, load: Load) -> tuple[float, ...]:
    """The terms of a stage; ``KeyError`` for one that the model does not know."""
    return tuple(term(load) for term in SHAPES[stage])


def seconds(load: Load, rates: Rates) -> dict[str, float]:
    """Seconds by stage, those that ``rates`` know; workers share what can be shared.

    Shared evenly and without loss: a lower bound, which holds while Milvus has as much to give as
    there are workers to ask.
    """
    alone = {
        stage: sum(rate * term for rate, term in zip(held, terms(stage, load), strict=True))
        for stage, held in rates.items()
    }
    workers = max(load.workers, 1)
    return {stage: t / workers if stage in DIVIDED else t for stage, t in alone.items()}


def fitted(measured: Sequence[tuple[Load, Mapping[str, float]]]) -> dict[str, tuple[float, ...]]:
    """Rates from whole runs by one process: least squares of relative errors, none negative.

    A run counts as much as another however long it took. Stages that a run lacks are left out of
    it, stages that the model does not know are added to ``other``. ``ValueError`` without a run.
    """
    if not measured:
        raise ValueError("rates are fitted to runs, and there is none")
    known = [(load, _known(told)) for load, told in measured]
    stages = [stage for stage in SHAPES if any(stage in told for _, told in known)]
    return {stage: _fit(stage, [(x, t[stage]) for x, t in known if stage in t]) for stage in stages}


def _known(told: Mapping[str, float]) -> dict[str, float]:
    strange = sum(value for stage, value in told.items() if stage not in SHAPES)
    held = {stage: value for stage, value in told.items() if stage in SHAPES}
    if strange:
        held["other"] = held.get("other", 0.0) + strange
    return held


def _fit(stage: str, points: Iterable[tuple[Load, float]]) -> tuple[float, ...]:
    pairs = [(terms(stage, load), max(value, 1e-3)) for load, value in points]
    matrix = np.array([[term / value for term in found] for found, value in pairs])
    largest = np.maximum(matrix.max(axis=0), 1e-300)  # terms differ by twelve powers of ten
    found, _ = nnls(matrix / largest, np.ones(len(pairs)))
    return tuple(float(rate) for rate in found / largest)


def calibrated(
    rates: Rates, load: Load, timed: Mapping[str, float]
) -> dict[str, tuple[float, ...]]:
    """``rates`` made this machine's: each stage that was timed for ``load`` is scaled to what it
    took, and all others by the mean (geometric) of those factors.
    """
    alone = seconds(replace(load, workers=1), rates)
    factors = {
        stage: timed[stage] / alone[stage]
        for stage in timed
        if alone.get(stage, 0.0) > 0 and timed[stage] > 0
    }
    mean = math.exp(sum(map(math.log, factors.values())) / len(factors)) if factors else 1.0
    return {
        stage: tuple(rate * factors.get(stage, mean) for rate in held)
        for stage, held in rates.items()
    }


def within(predicted: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """How far off each stage is: predicted over measured, less one; stages that both tell."""
    return {
        stage: predicted[stage] / measured[stage] - 1
        for stage in measured
        if stage in predicted and measured[stage] > 0
    }
