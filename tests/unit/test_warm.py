"""Loading the kernels ahead of time: all that a default clustering needs, and no compilation."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, numpy as np
from vdbcluster.hierarchy import build, extract, is_compiled, warm_up
from vdbcluster.hierarchy import condense, forest, linkage, reachability, selection
from vdbcluster.hierarchy.certificate import certify
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

modules = (reachability, forest, linkage, condense, selection)
kernels = [kernel for module in modules for kernel in module.KERNELS]

def loaded():
    return [len(kernel.signatures) for kernel in kernels]

warm_up()
warm = loaded()
indices = np.random.default_rng(0).permuted(np.tile(np.arange(40), (40, 1)), axis=1)
indices = np.array([row[row != i][:12] for i, row in enumerate(indices)], np.int32)
distances = np.sort(np.random.default_rng(1).random((40, 12), np.float32), axis=1)
graph = NeighborGraph(indices, distances, "euclidean")
hierarchy = build(graph, HdbscanParams())
extract(hierarchy, HdbscanParams())
certify(hierarchy, graph)
print(json.dumps({"warm": warm, "after": loaded(), "compiled": is_compiled()}))
"""


def _loaded(cache: str) -> dict[str, list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_loads_all_that_is_needed_and_compiles_nothing(tmp_path) -> None:
    first = _loaded(str(tmp_path))
    assert not any(first["warm"]), "an empty cache, and something was compiled"
    assert first["compiled"]
    second = _loaded(str(tmp_path))
    assert second["warm"] == second["after"] == [1] * len(second["warm"])
