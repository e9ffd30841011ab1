"""The layout from a graph that is there against UMAP that searches, and how far maps move.

In: vectors. Out: measured lines. Compilation is not measured: both ways have run once before, on
some of the rows; they take turns, so that what else the machine does hits both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np

from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.graph.among import among
from vdbcluster.graph.distance import prepare
from vdbcluster.layout import LayoutParams, lay_out
from vdbcluster.layout.judged import movement, trustworthiness
from vdbcluster.methods.rule import sizes
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.neighbors import neighbor_graph

WARM_ROWS = 500
CHURN = 0.05
"""Share of rows that go, and of rows that come, from one map to the next."""


class Quiet:
    """An observer that says nothing."""

    def stage(self, *_: Any, **__: Any) -> AbstractContextManager[Any]:
        return nullcontext(self)

    def advance(self, rows: int) -> None: ...

    def detail(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...


def graph_of(points: Any) -> NeighborGraph:
    """As a run searches it."""
    search = LocalNeighbors(points, "chord", seed=0)
    k = sizes(len(points)).n_neighbors
    return neighbor_graph(search, points, "chord", k, Quiet())


def compared(vectors: Any, *, seed: int | None, repeats: int) -> list[dict[str, Any]]:
    """Seconds (the least of the repeats) and trustworthiness of both, and the ratio of times.

    ``seed``: None for all threads.
    """
    points = prepare(vectors, "chord")
    start = time.perf_counter()
    graph = graph_of(points)
    searched = time.perf_counter() - start
    ways: dict[str, Callable[[], Any]] = {
        "from the graph": lambda: lay_out(graph, points, LayoutParams(seed=seed)),
        "UMAP from vectors": lambda: umap(points, seed),
    }
    few = points[:WARM_ROWS]
    lay_out(graph_of(few), few, LayoutParams(seed=seed, epochs=5))
    umap(np.concatenate([points[:4500]]), seed, n_epochs=5)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    maps: dict[str, Any] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            maps[name] = way()
            seconds[name].append(time.perf_counter() - start)
    least = {name: min(found) for name, found in seconds.items()}
    slow = least["UMAP from vectors"]
    return [
        {
            "way": name,
            "rows": len(points),
            "seconds": round(least[name], 1),
            "share": round(least[name] / slow, 2),
            "trust": round(trustworthiness(points, maps[name]), 4),
            "search": round(searched, 1),
        }
        for name in ways
    ]


def umap(points: Any, seed: int | None, **more: Any) -> Any:
    """As its users call it, by cosine."""
    with catch_warnings():
        simplefilter("ignore")
        from umap import UMAP

        jobs = 1 if seed is not None else -1
        found = UMAP(metric="cosine", random_state=seed, n_jobs=jobs, **more).fit_transform(points)
    return np.asarray(found, np.float32)


def moved(vectors: Any, *, seed: int | None, runs: int) -> list[dict[str, Any]]:
    """How far rows move from map to map, each a twentieth of the rows gone and as many come.

    ``still``: share of the rows that move by no more than 3 % of the radius.
    """
    points = prepare(vectors, "chord")
    whole, rng = graph_of(points), np.random.default_rng(0)
    n = len(points)
    there = np.sort(rng.permutation(n)[: int(n * (1 - CHURN))])
    first = _spread(lay_out(among(whole, there), points[there], LayoutParams(seed=seed)), there, n)
    last, lines = first, []
    for run in range(1, runs + 1):
        gone = rng.permutation(there)[: int(n * CHURN)]
        come = np.setdiff1d(np.arange(n), there)[: int(n * CHURN)]
        there = np.sort(np.concatenate([np.setdiff1d(there, gone), come]))
        graph, some = among(whole, there), points[there]
        start = time.perf_counter()
        again = lay_out(graph, some, LayoutParams(seed=seed), last[there])
        warm = time.perf_counter() - start
        lines.append(_line("from the last map", run, last, again, there, n, some, warm))
        if run in (1, runs):
            start = time.perf_counter()
            anew = lay_out(graph, some, LayoutParams(seed=None if seed is None else seed + run))
            cold = time.perf_counter() - start
            lines.append(_line("anew, turned onto it", run, last, anew, there, n, some, cold))
        last = _spread(again, there, n)
    return lines


def _line(
    way: str, run: int, last: Any, points: Any, there: Any, n: int, vectors: Any, seconds: float
) -> dict[str, Any]:
    told = movement(last, _spread(points, there, n), turned=way.startswith("anew"))
    return {
        "way": way,
        "run": run,
        "median": round(told.median, 3),
        "still": round(told.still, 2),
        "trust": round(trustworthiness(vectors, points), 4),
        "seconds": round(seconds, 1),
    }


def _spread(points: Any, rows: Any, n: int) -> Any:
    found = np.full((n, points.shape[1]), np.nan, np.float32)
    found[rows] = points
    return found
