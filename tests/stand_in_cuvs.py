"""cuVS's NN-descent played on the host, with its signatures and refusals (version 26.10).

In: what ``adapters.gpu_graph`` asks of cuVS. Out: exact neighbours, of which a share is spoilt as
NN-descent may leave them: wrong rows, the row itself, repeats, and the number for "none".
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vdbcluster.graph.exact import exact_neighbors

NONE = 2**31 - 1
"""What cuVS writes where it knows no neighbour."""


class CuvsError(Exception):
    """cuVS's own is no ``RuntimeError`` either."""


class IndexParams:
    def __init__(
        self,
        *,
        metric: str | None = None,
        metric_arg: float | None = None,
        graph_degree: int | None = None,
        intermediate_graph_degree: int | None = None,
        max_iterations: int | None = None,
        termination_threshold: float | None = None,
        return_distances: bool | None = None,
        dist_comp_dtype: str = "auto",
    ) -> None:
        if metric not in (None, "sqeuclidean", "euclidean", "cosine", "inner_product"):
            raise CuvsError(f"metric {metric}")
        if dist_comp_dtype not in ("auto", "fp32", "fp16"):
            raise ValueError(dist_comp_dtype)
        del metric_arg, max_iterations, termination_threshold
        self.graph_degree = 64 if graph_degree is None else graph_degree
        self.inner = 128 if intermediate_graph_degree is None else intermediate_graph_degree
        self.return_distances = return_distances is not False


class Cuvs:
    """The module; ``spoilt``: share of the entries; ``error``: raised by ``build``."""

    IndexParams = IndexParams

    def __init__(self, spoilt: float = 0.02, error: Exception | None = None) -> None:
        self.spoilt = spoilt
        self.error = error
        self.built: list[tuple[int, ...]] = []

    def build(
        self, index_params: IndexParams, dataset: Any, graph: Any = None, resources: Any = None
    ) -> None:
        assert type(index_params) is IndexParams
        assert resources is None
        if self.error is not None:
            raise self.error
        if graph is None or index_params.return_distances:
            raise ValueError("Can't use return_distances with an existing graph")
        for array, kind in ((dataset, np.float32), (graph, np.uint32)):
            assert array.dtype == kind
            assert array.flags.c_contiguous
        n, degree = graph.shape
        assert (n, degree) == (len(dataset), index_params.graph_degree)
        assert degree <= index_params.inner < n
        found, _ = exact_neighbors(np.asarray(dataset), np.arange(n), degree, "euclidean")
        rng = np.random.default_rng(0)
        what = rng.choice(5, (n, degree), p=[1 - self.spoilt, *[self.spoilt / 4] * 4])
        ways = (
            found,
            rng.integers(0, n, (n, degree)),
            np.broadcast_to(np.arange(n)[:, None], (n, degree)),
            np.roll(found, 1, axis=1),
            np.full((n, degree), NONE),
        )
        graph[:] = np.choose(what, ways)
        self.built.append(graph.shape)


def play(monkeypatch: pytest.MonkeyPatch, cuvs: Cuvs) -> Cuvs:
    """cuVS is installed until the test ends."""
    package, errors = ModuleType("cuvs"), SimpleNamespace(CuvsException=CuvsError)
    package.__spec__ = ModuleSpec("cuvs", None)
    monkeypatch.setitem(sys.modules, "cuvs", package)
    monkeypatch.setitem(sys.modules, "cuvs.neighbors.nn_descent", cuvs)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "cuvs.common.exceptions", errors)  # type: ignore[arg-type]
    return cuvs
