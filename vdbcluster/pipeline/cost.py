"""What a run costs in seconds, by stage: the model of time of `inspect`, of a run that foretells
what is left of it, and of the README.

In: ``Load`` (rows, dimension, neighbours, coordinates of smoothing, engine, workers), ``Rates``,
what is timed already. Out: seconds by stage. Promise: pure arithmetic; more rows never cost less.

A stage's seconds are a sum of terms in the load (``SHAPES``: which power of the rows, times what of
the dimension and the neighbours), each with a rate that is never negative. The shapes are the model
and stay; the rates are those of a machine, a server and an index. ``RATES`` are ours; ``fitted``
finds them from whole runs of several sizes, and ``calibrated`` scales them by what a run has timed
of itself. Memory and disk are in ``pipeline.needs``.

    foretold(load, {"read": 12.0, "neighbors": 300.0})["cluster"]

Where the shapes come from: rows are read and written in pages, so n; a search of a server costs a
call's share, so n, and a scan of a fixed share of the cells of a segment of bounded size, so n
times the number of segments, n^2, until cells are chosen (IVF), or n log n (graphs); here every
pair is compared, n^2, and the nearest ranked, n k, or rows are put into cells, n^1.5, and a bounded
number scanned, n; the audit compares a sample with all rows; sorting edges gives n k log n,
smoothing n k for each step, of which data and coordinates decide how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vdbcluster.pipeline.needs import COLUMNS, wanted_walks

Engine = Literal["cells", "graph", "local", "exact", "gpu"]
"""Who finds neighbours: Milvus by cells (IVF, SCANN) or by a graph (HNSW), or this machine by cells
or by every pair, or its GPU, of which only a trial tells (``adapters.gpu_neighbors``)."""
SERVED: tuple[Engine, ...] = ("cells", "graph")
"""Where Milvus finds them."""

DIVIDED = ("read", "neighbors", "write")
"""What workers share."""
USUAL_STEPS, MOST_STEPS, MORE_COLUMNS = 40, 110, 12
"""Of a block that smoothing multiplies, and columns beside those that are wanted; see
``graph.chebyshev``, which would load the compiler. Of the rows of ``scripts/bench_scale`` 20,000,
50,000, 100,000, 200,000 and 1,000,000 took 120, 198, 367, 307 and 228 products with a block; this
says 120, 200, 361, 330 and 220."""
CACHED_ROWS = 200_000
"""Rows of such a block, 128 bytes each, of which a processor's cache holds a good part."""
CACHED_VALUES = 1_000_000
"""Rows of which half of what is looked up, 8 bytes each and more, is not in a processor's cache."""
PAUSE, SHARE = 0.5, 0.05
"""Seconds, and part of what was measured, that a stage differs by from run to run."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run is asked to do. ``walks``: coordinates of spectral smoothing, 0 without it;
    ``resamples`` for stability; ``audited``: rows whose neighbours are searched once more;
    ``lite``: they are read from Milvus Lite; ``rewrites``: rows are written back as a whole, with
    their vectors; ``centred``: their mean is looked for; ``clustered``: share of the rows that are
    in a cluster, a guess before they are.
    """

    n_rows: int
    dim: int = 384
    n_neighbors: int = 50
    walks: int = 0
    engine: Engine = "cells"
    workers: int = 1
    resamples: int = 5
    audited: int = 200
    lite: bool = False
    rewrites: bool = False
    centred: bool = False
    clustered: float = 1.0

    @property
    def edges(self) -> float:
        return float(self.n_rows) * self.n_neighbors

    @property
    def values(self) -> float:
        return float(self.n_rows) * self.dim

    @property
    def here(self) -> bool:
        """Whether the processor of this machine searches."""
        return self.engine in ("local", "exact")


Term = Callable[[Load], float]
Rates = Mapping[str, tuple[float, ...]]
"""Seconds for one unit of each term, by stage."""


def _one(_: Load) -> float:
    return 1.0


def _rows(load: Load) -> float:
    return float(load.n_rows)


def _values(load: Load) -> float:
    return load.values


def _centred_values(load: Load) -> float:
    return load.values if load.centred else 0.0


def _served(load: Load) -> float:
    return 0.0 if load.lite else 1.0


def _served_rows(load: Load) -> float:
    return 0.0 if load.lite else float(load.n_rows)


def _served_values(load: Load) -> float:
    return 0.0 if load.lite else load.values


def _lite_rows(load: Load) -> float:
    return float(load.n_rows) if load.lite else 0.0


def _lite_values(load: Load) -> float:
    return load.values if load.lite else 0.0


def _sorted_edges(load: Load) -> float:
    """Edges sorted and walked, whose rows a cache holds ever fewer of: out of it, twice as dear."""
    return load.edges * math.log2(max(load.n_rows, 2)) * _looked_up(load)


def _looked_up(load: Load) -> float:
    return 1 + load.n_rows / (load.n_rows + CACHED_VALUES)


def _smooths(load: Load) -> float:
    return 1.0 if load.walks else 0.0


def _clustered_values(load: Load) -> float:
    """Centroids and medoids are looked for among the rows of clusters."""
    return load.values * load.clustered


def _walked_edges(load: Load) -> float:
    """Edges times steps of ``graph.chebyshev``, dearer once a block is larger than a cache.

    Each block of columns takes ``USUAL_STEPS`` where all slow walks are wanted, and all that it may
    where there are many more than coordinates, which then lie close together.
    """
    if not load.walks:
        return 0.0
    blocks = math.ceil((load.walks + MORE_COLUMNS) / COLUMNS)
    wanted = max(1.0, wanted_walks(load.n_rows) / load.walks)
    steps = min(MOST_STEPS, USUAL_STEPS * math.pow(wanted, 1.4))
    return load.edges * blocks * steps * math.sqrt(1 + load.n_rows / CACHED_ROWS)


def _resampled_edges(load: Load) -> float:
    return load.resamples * _sorted_edges(load)


def _resampled_votes(load: Load) -> float:
    return load.resamples * load.edges * _looked_up(load) if load.walks else 0.0


def _audited_rows(load: Load) -> float:
    return float(min(load.audited, load.n_rows))


def _audited(load: Load) -> float:
    return _audited_rows(load) * load.n_neighbors * load.dim


def _audited_pairs(load: Load) -> float:
    return _audited_rows(load) * load.n_rows


def _audited_values(load: Load) -> float:
    return _audited_pairs(load) * load.dim


def _rewritten_rows(load: Load) -> float:
    return float(load.n_rows) if load.rewrites else 0.0


def _rewritten_values(load: Load) -> float:
    return load.values if load.rewrites else 0.0


def _asked(load: Load) -> float:
    return float(load.n_rows) if load.engine in SERVED else 0.0


def _scanned_cells(load: Load) -> float:
    return load.values * load.n_rows if load.engine == "cells" else 0.0


def _walked_graph(load: Load) -> float:
    steps = load.n_neighbors * math.log2(max(load.n_rows, 2))
    return load.values * steps if load.engine == "graph" else 0.0


def _pairs(load: Load) -> float:
    return load.values * load.n_rows if load.engine == "exact" else 0.0


def _ranked(load: Load) -> float:
    return load.edges * load.dim if load.engine == "exact" else 0.0


def _index(load: Load) -> float:
    return float(load.dim) if load.engine == "local" else 0.0


def _searched_here(load: Load) -> float:
    """A row is put into one of cells, whose number grows with the root of n, and looked for in as
    many rows however many there are: runs of few rows do not tell the two apart.
    """
    more = math.sqrt(load.n_rows / AS_MUCH_IN_CELLS)
    return load.values * (1.0 + more) if load.engine == "local" else 0.0


SHAPES: dict[str, tuple[Term, ...]] = {
    "other": (_one, _rows),
    "read": (_served, _served_rows, _served_values, _lite_rows, _lite_values),
    "prepare": (_values, _centred_values),
    "languages": (_one, _rows),
    "neighbors": (
        _one,
        _asked,
        _scanned_cells,
        _walked_graph,
        _pairs,
        _ranked,
        _index,
        _searched_here,
    ),
    "audit": (_audited_rows, _audited, _audited_pairs, _audited_values),
    "cluster": (_one, _sorted_edges, _smooths, _walked_edges),
    "stability": (_resampled_edges, _resampled_votes),
    "plan": (_one, _rows, _clustered_values),
    "write": (_one, _rows, _rewritten_rows, _rewritten_values),
    "catalogue": (_one, _rows),
}
"""``other``: interpreter, imports, connecting, probing, exit."""

BESIDE = ("languages",)
"""What another thread does while neighbours are searched."""

LATER = ("audit", "cluster", "stability", "plan", "write", "catalogue")
"""What follows the search."""
TOLD = ("read", "prepare", "neighbors", *LATER)
"""What is foretold: stages that follow one another."""
HERE = ("prepare", "audit", "cluster", "stability", "plan")
"""Stages of the processor of this machine alone."""

SMOOTHING = (0.1, 1.6e-8)
"""Seconds of spectral smoothing: whatever there is, and for a step of an edge."""
AS_MUCH_IN_CELLS = 640_000
"""Rows of which half of a search here is to put them into cells: of runs up to a million rows."""
RANKED = 3.9e-9
"""Seconds for one value of a row that an exact search proposes and measures."""
LITE_READ = (7.0e-5, 3.3e-7)
REWRITTEN = (4.0e-4, 4.7e-7)
"""Milvus Lite: seconds for a row and for each of its values, as read, and as written once more."""
RATES: Rates = {
    "other": (2.9, 0.0),
    "read": (0.6, 6.0e-6, 8.5e-8, *LITE_READ),
    "prepare": (6.8e-9, 1.1e-8),
    "languages": (2.4, 0.0),
    "neighbors": (1.0, 4.0e-4, 0.0, 0.0, 2.5e-11, RANKED, 0.012, 2.2e-7),
    "audit": (4.0e-5, RANKED, 5.0e-9, 5.0e-11),
    "cluster": (0.0, 3.7e-9, *SMOOTHING),
    "stability": (3.1e-9, 1.4e-7),
    "plan": (0.05, 3.2e-6, 2.5e-8),
    "write": (0.8, 3.2e-5, *REWRITTEN),
    "catalogue": (0.3, 0.0),
}
"""Of two cores. From three series of ``scripts/bench_scale --only run,fit --methods hdbscan,auto
--index FLAT --options "--neighbors local"``, 20,000 to 200,000 rows: Milvus 2.3.5 on the same
machine, 384 dimensions, labels into a side collection. By rule of thumb, from runs of
``scripts/bench_estimate``: Milvus Lite, what dimensions cost in reading and auditing, and searches
of every pair and of a server.
"""


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


def one_after_another(told: Mapping[str, float]) -> float:
    """Seconds of stages by name, as far as they follow one another."""
    return sum(value for stage, value in told.items() if stage not in BESIDE)


def fitted(measured: Sequence[tuple[Load, Mapping[str, float]]]) -> dict[str, tuple[float, ...]]:
    """Rates from whole runs by one process, none negative: least squares, weighed by how far off
    each may be (``_doubt``).

    Stages that a run lacks are left out of it, stages that the model does not know are added to
    ``other``. ``ValueError`` without a run.
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
    from scipy.optimize import nnls  # half a second, which only a fit is to wait for

    told = [(terms(stage, load), value, _doubt(value)) for load, value in points]
    matrix = np.array([[term / doubt for term in found] for found, _, doubt in told])
    largest = np.maximum(matrix.max(axis=0), 1e-300)  # terms differ by twelve powers of ten
    found, _ = nnls(matrix / largest, np.array([value / doubt for _, value, doubt in told]))
    return tuple(float(rate) for rate in found / largest)


def _doubt(seconds: float) -> float:
    """How far off a measured stage may be: a short one by a pause of whatever else runs there, a
    long one in proportion.
    """
    return math.hypot(PAUSE, SHARE * seconds)


def calibrated(
    rates: Rates, load: Load, timed: Mapping[str, float]
) -> dict[str, tuple[float, ...]]:
    """``rates`` made this machine's: each stage that was timed for ``load`` is scaled to what it
    took, any other by the mean (geometric) of those factors that tell of the same: this machine's
    processor (``HERE``, and a search of every pair by it), or the server; if none does, by that of
    the others.

    What a search by an index took tells of the index and the data alone, and a GPU's of the GPU.
    """
    alone = seconds(load, rates)
    factors = {
        stage: timed[stage] / alone[stage]
        for stage in timed
        if alone.get(stage, 0.0) > 0 and timed[stage] > 0
    }
    ours = [f for stage, f in factors.items() if _is_here(stage, load)]
    theirs = [f for stage, f in factors.items() if stage not in (*HERE, "neighbors")]
    here, there = _mean(ours or theirs), _mean(theirs or ours)
    return {
        stage: tuple(rate * factors.get(stage, here if stage in HERE else there) for rate in held)
        for stage, held in rates.items()
    }


def _is_here(stage: str, load: Load) -> bool:
    return stage in HERE or (stage == "neighbors" and load.engine == "exact")


def _mean(factors: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, factors)) / len(factors)) if factors else 1.0


def foretold(load: Load, timed: Mapping[str, float], rates: Rates = RATES) -> dict[str, float]:
    """Seconds of the stages of ``TOLD`` that there are: as ``timed``, which is of ``load`` as a
    whole, else by rates that this has calibrated.
    """
    found = seconds(load, calibrated(rates, load, timed)) | dict(timed)
    return {stage: found[stage] for stage in TOLD if found.get(stage, 0.0) > 0}


def auditing(load: Load, sample: Load, seconds_of: float, rates: Rates = RATES) -> float:
    """Seconds of the audit of ``load`` where that of ``sample`` took ``seconds_of``."""
    return seconds_of * seconds(load, rates)["audit"] / seconds(sample, rates)["audit"]


def searching(load: Load, sample: Load, a_row: float, rates: Rates = RATES) -> float:
    """Seconds of the search of ``load`` where one row took ``a_row`` in that of ``sample``, which
    one process made.
    """
    there, here = _a_row(sample, rates), _a_row(load, rates)
    return a_row * load.n_rows * (here / there if there > 0 else 1.0)


def disturbed(load: Load, search: float, rates: Rates = RATES) -> float:
    """Seconds of a search that alone takes ``search``, while languages are told beside it: on the
    processor of this machine each takes half of the time from the other.
    """
    told = seconds(load, rates)["languages"]
    return search + min(search, told) / 2 if load.here else search


def _a_row(load: Load, rates: Rates) -> float:
    """Seconds of search for a row, beyond what searching takes by itself."""
    alone = seconds(replace(load, n_rows=0), rates)["neighbors"]
    return (seconds(load, rates)["neighbors"] - alone) / load.n_rows


def within(predicted: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """How far off each stage is: predicted over measured, less one; stages that both tell."""
    return {
        stage: predicted[stage] / measured[stage] - 1
        for stage in measured
        if stage in predicted and measured[stage] > 0
    }
