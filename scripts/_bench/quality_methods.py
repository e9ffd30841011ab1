"""What the quality bench compares: settings of ours, and peers at their defaults.

In: a ``Task``. Out: ``Found``. Each method begins with the vectors: whoever needs neighbours
searches them, within the time that is measured.

A method of ours is a line in ``OURS``: a name and the settings of ``vdbcluster run``, in the words
of the settings file; nothing about it may depend on the set. ``default`` says nothing at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

SEED = 42
DEFAULT = "default"


@dataclass(frozen=True)
class Task:
    """``vectors (n, d) float32``, of unit length where ``metric`` is chord; ``classes``: the true
    number of them, which only those may look at that say so. ``centred``: the mean is gone already.
    """

    vectors: Any
    metric: str
    classes: int
    centred: bool


@dataclass(frozen=True)
class Found:
    """``labels (n,) int64``, ``-1`` is noise; ``raw``: those before noise was given to clusters,
    None where nothing is given. ``recipe``: what was chosen for this set, for the record.
    """

    labels: Any
    raw: Any = None
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """``needs``: modules that the method imports; ``told``: it is told the number of classes.
    ``sections``: the settings of a method of ours, None for a peer.
    """

    name: str
    run: Callable[[Task], Found]
    needs: tuple[str, ...] = ()
    told: bool = False
    sections: Mapping[str, Mapping[str, Any]] | None = None

    def missing(self) -> list[str]:
        """What would have to be installed first."""
        return [module for module in self.needs if find_spec(module) is None]


def ours(name: str, sections: Mapping[str, Mapping[str, Any]]) -> Method:
    """``vdbcluster run`` from its vectors to its labels, with these settings."""

    def run(task: Task) -> Found:
        from vdbcluster.adapters.local_neighbors import LocalNeighbors
        from vdbcluster.adapters.quiet import QuietObserver
        from vdbcluster.config.settings import load_settings
        from vdbcluster.graph.distance import is_narrow, mean_direction, prepare
        from vdbcluster.pipeline.cluster import cluster_graph
        from vdbcluster.pipeline.neighbors import neighbor_graph
        from vdbcluster.pipeline.recipe import centering, wanted_neighbors

        settings = load_settings(sections)
        how = centering(settings, local=True)
        mean = None
        if how in ("mean", "narrow") and task.metric == "chord" and not task.centred:
            mean = mean_direction(task.vectors)
            mean = mean if how == "mean" or is_narrow(mean) else None
        points = prepare(task.vectors, task.metric, mean=mean)
        search = LocalNeighbors(points, task.metric)
        k, started = wanted_neighbors(settings, len(points)), time.process_time()
        graph = neighbor_graph(search, points, task.metric, k, QuietObserver())
        searched = time.process_time() - started
        result = cluster_graph(graph, points, settings, exact=search.exact)
        recipe = _told(result.recipe, graph.n_neighbors, searched)
        return Found(result.clustering.labels, result.clustering.raw_labels, recipe)

    return Method(name, run, sections=sections)


def _told(recipe: Any, n_neighbors: int, searched: float) -> dict[str, Any]:
    return {
        "method": recipe.method,
        "smooth": recipe.smooth,
        "n_neighbors": n_neighbors,
        "min_cluster_size": recipe.hdbscan.min_cluster_size,
        "min_samples": recipe.hdbscan.min_samples,
        "neighbours_cpu": searched,
    }


def _cluster(method: str, **others: Any) -> Mapping[str, Mapping[str, Any]]:
    return {"cluster": {"method": method, **others}}


OURS = (
    ours(DEFAULT, {}),
    ours("no soft assignment", {"cluster": {"max_noise": 1.0}}),
    ours("centred", {"neighbors": {"center": "mean"}}),
    ours("hdbscan raw", _cluster("hdbscan")),
    ours("leaf", _cluster("leaf")),
    ours("layers", _cluster("layers")),
    ours("umap+hdbscan", _cluster("umap+hdbscan")),
    ours("kmeans", _cluster("kmeans")),
    ours("leiden", _cluster("leiden")),
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


def _peer(
    name: str, labels: Callable[[Task], Any], needs: tuple[str, ...], told: bool = False
) -> Method:
    return Method(name, lambda task: Found(labels(task)), needs, told)


PEERS = (
    _peer("hdbscan", plain_hdbscan, ("hdbscan",)),
    _peer("fast_hdbscan", fast_hdbscan, ("fast_hdbscan",)),
    _peer("BERTopic recipe", bertopic, ("umap", "hdbscan")),
    _peer("EVoC", evoc, ("evoc",)),
    _peer("Leiden SNN15", leiden, ("igraph", "leidenalg")),
    _peer("k-means, true k", kmeans, ("sklearn",), told=True),
)

METHODS = {method.name: method for method in (*OURS, *PEERS)}
GROUPS = {
    "ours": [method.name for method in OURS],
    "peers": [method.name for method in PEERS],
}
