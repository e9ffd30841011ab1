"""Cluster an existing Milvus collection and write the labels back, safely.

    import vdbcluster

    with vdbcluster.open("docs.db", "docs") as docs:
        rows = docs.read()
        graph = docs.neighbors(rows)
        clustering = vdbcluster.cluster(graph, min_cluster_size=15)
        docs.write(rows, clustering)

``run``, ``assign_new``, ``sweep``, ``evaluate``, ``diff`` take an open collection and do what the
command does. ``neighbors``, ``smooth``, ``cluster`` and ``lay_out`` work on any array, without a
database; so do ``keywords``, ``representatives``, ``find_duplicates``, ``find_outliers`` and
``dense_groups``, which tell what is in there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdbcluster.errors import VdbclusterError
    from vdbcluster.model.hierarchy import Clustering
    from vdbcluster.model.neighbors import NeighborGraph
    from vdbcluster.model.params import HdbscanParams
    from vdbcluster.model.rows import Rows
    from vdbcluster.wiring.library import Collection, cluster, neighbors, smooth
    from vdbcluster.wiring.library import open_collection as open  # noqa: A004
    from vdbcluster.wiring.library_findings import (
        dense_groups,
        find_duplicates,
        find_outliers,
        keywords,
        representatives,
    )
    from vdbcluster.wiring.library_runs import assign_new, diff, evaluate, lay_out, run, sweep

__version__ = "0.1.0"
__all__ = [
    "Clustering",
    "Collection",
    "HdbscanParams",
    "NeighborGraph",
    "Rows",
    "VdbclusterError",
    "assign_new",
    "cluster",
    "dense_groups",
    "diff",
    "evaluate",
    "find_duplicates",
    "find_outliers",
    "keywords",
    "lay_out",
    "neighbors",
    "open",
    "representatives",
    "run",
    "smooth",
    "sweep",
]

_HOME = {
    "Clustering": ("vdbcluster.model.hierarchy", "Clustering"),
    "Collection": ("vdbcluster.wiring.library", "Collection"),
    "HdbscanParams": ("vdbcluster.model.params", "HdbscanParams"),
    "NeighborGraph": ("vdbcluster.model.neighbors", "NeighborGraph"),
    "Rows": ("vdbcluster.model.rows", "Rows"),
    "VdbclusterError": ("vdbcluster.errors", "VdbclusterError"),
    "cluster": ("vdbcluster.wiring.library", "cluster"),
    "neighbors": ("vdbcluster.wiring.library", "neighbors"),
    "open": ("vdbcluster.wiring.library", "open_collection"),
    "smooth": ("vdbcluster.wiring.library", "smooth"),
    "dense_groups": ("vdbcluster.wiring.library_findings", "dense_groups"),
    "find_duplicates": ("vdbcluster.wiring.library_findings", "find_duplicates"),
    "find_outliers": ("vdbcluster.wiring.library_findings", "find_outliers"),
    "keywords": ("vdbcluster.wiring.library_findings", "keywords"),
    "representatives": ("vdbcluster.wiring.library_findings", "representatives"),
    "assign_new": ("vdbcluster.wiring.library_runs", "assign_new"),
    "diff": ("vdbcluster.wiring.library_runs", "diff"),
    "evaluate": ("vdbcluster.wiring.library_runs", "evaluate"),
    "lay_out": ("vdbcluster.wiring.library_runs", "lay_out"),
    "run": ("vdbcluster.wiring.library_runs", "run"),
    "sweep": ("vdbcluster.wiring.library_runs", "sweep"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: ``import vdbcluster`` alone loads neither numba nor pymilvus."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(import_module(module), attribute)
