"""What the quality bench compares: settings of ours, and peers at their defaults.

In: a ``Task``. Out: labels ``(n,)``, ``-1`` is noise. Each method begins with the vectors: whoever
needs neighbours searches them, within the time that is measured.

A method of ours is a line in ``OURS``: a name and the settings of ``vdbcluster run``, in the words
of the settings file; nothing about it may depend on the set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

SEED = 42


@dataclass(frozen=True)
class Task:
    """``vectors (n, d) float32``, of unit length where ``metric`` is chord; ``classes``: the true
    number of them, which only those may look at that say so.
    """

    vectors: Any
    metric: str
    classes: int


@dataclass(frozen=True)
class Method:
    """``needs``: modules that the method imports; ``told``: it is told the number of classes."""

    name: str
    run: Callable[[Task], Any]
    needs: tuple[str, ...] = ()
    told: bool = False

    def missing(self) -> list[str]:
        """What would have to be installed first."""
        return [module for module in self.needs if find_spec(module) is None]


def _ours(name: str, **sections: Mapping[str, Any]) -> Method:
    """``vdbcluster run`` from its vectors to its labels, with these settings."""

    def run(task: Task) -> Any:
        from vdbcluster.adapters.local_neighbors import LocalNeighbors
        from vdbcluster.adapters.quiet import QuietObserver
        from vdbcluster.config.settings import load_settings
        from vdbcluster.pipeline.cluster import cluster_graph
        from vdbcluster.pipeline.neighbors import neighbor_graph

        settings = load_settings(sections)
        search = LocalNeighbors(task.vectors, task.metric)
        graph = neighbor_graph(
            search, task.vectors, task.metric, settings.n_neighbors, QuietObserver()
        )
        result = cluster_graph(graph, task.vectors, settings, exact=search.exact)
        return result.clustering.labels

    return Method(name, run)


SPECTRAL = {"smooth": "spectral"}
SHARED = {"n_neighbors": 30, "smooth": "shared-neighbors"}

OURS = (
    _ours("default"),
    _ours("leaf", cluster={"cluster_selection_method": "leaf"}),
    _ours("spectral", neighbors=SPECTRAL, cluster={"min_samples": 10}),
    _ours("shared-neighbors", neighbors=SHARED, cluster={"min_cluster_size": 25}),
    _ours(
        "shared-neighbors leaf",
        neighbors=SHARED,
        cluster={"min_cluster_size": 25, "cluster_selection_method": "leaf"},
    ),
)


def bertopic(task: Task) -> Any:
    """BERTopic's default: UMAP to five dimensions, then HDBSCAN on the layout."""
    import hdbscan
    import umap

    metric = "cosine" if task.metric == "chord" else "euclidean"
    layout = umap.UMAP(
        n_neighbors=15, n_components=5, min_dist=0.0, metric=metric, random_state=SEED, n_jobs=1
    ).fit_transform(task.vectors)
    model = hdbscan.HDBSCAN(min_cluster_size=10, metric="euclidean", cluster_selection_method="eom")
    return model.fit_predict(layout)


def evoc(task: Task) -> Any:
    """EVoC at its defaults: the layer that it holds for the best."""
    from evoc import EVoC

    return EVoC(random_state=SEED).fit_predict(task.vectors)


def plain_hdbscan(task: Task) -> Any:
    """hdbscan on the vectors, with our default settings; chord is Euclidean on unit vectors."""
    import hdbscan

    return hdbscan.HDBSCAN(min_cluster_size=15, min_samples=5, core_dist_n_jobs=1).fit_predict(
        task.vectors
    )


def fast_hdbscan(task: Task) -> Any:
    """fast_hdbscan on the vectors, with the same settings."""
    from fast_hdbscan import HDBSCAN

    return HDBSCAN(min_cluster_size=15, min_samples=5).fit_predict(task.vectors)


def kmeans(task: Task) -> Any:
    """scikit-learn's k-means, told the true number of classes."""
    from sklearn.cluster import KMeans

    return KMeans(task.classes, n_init=3, random_state=SEED).fit_predict(task.vectors)


def leiden(task: Task) -> Any:
    """Leiden, modularity, on the graph of shared nearest neighbours (k = 15, own row included)."""
    import igraph
    import leidenalg
    from scipy.sparse import csr_array, triu

    from vdbcluster.graph.exact import exact_neighbors

    n, k = len(task.vectors), min(15, len(task.vectors) - 1)
    found, _ = exact_neighbors(task.vectors, np.arange(n), k, task.metric)
    ends = (np.repeat(np.arange(n), k), found.ravel())
    lists = csr_array((np.ones(n * k, np.float32), ends), shape=(n, n))
    either = lists.maximum(lists.T)
    shared = triu((lists @ lists.T).multiply(either), 1).tocoo()
    graph = igraph.Graph(n, np.column_stack((shared.row, shared.col)).tolist())
    found = leidenalg.find_partition(
        graph,
        leidenalg.ModularityVertexPartition,
        weights=(shared.data / k).tolist(),
        seed=SEED,
    )
    return np.array(found.membership)


PEERS = (
    Method("hdbscan", plain_hdbscan, ("hdbscan",)),
    Method("fast_hdbscan", fast_hdbscan, ("fast_hdbscan",)),
    Method("BERTopic recipe", bertopic, ("umap", "hdbscan")),
    Method("EVoC", evoc, ("evoc",)),
    Method("Leiden", leiden, ("igraph", "leidenalg")),
    Method("k-means, true k", kmeans, ("sklearn",), told=True),
)

METHODS = {method.name: method for method in (*OURS, *PEERS)}
