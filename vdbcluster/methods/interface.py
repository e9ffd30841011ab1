"""All methods behind one function.

In: ``NeighborGraph``, prepared vectors ``(n, d)``, ``Recipe``. Out: ``Clustering``.
Promise: the same method, whoever asks; only what the recipe names is imported.

    cluster_with(graph, vectors, Recipe(method="layers", n_layers=3))

================  ================  ==============================  ==================
method            home              looks at                        leaves noise
================  ================  ==============================  ==================
``hdbscan``       ``density``       the graph                       yes
``leaf``          ``density``       the graph                       yes, much
``layers``        ``layers``        the graph                       yes
``umap+hdbscan``  ``layout``        the graph, vectors once         yes
``kmeans``        ``kmeans``        vectors; the graph for a k      no
``leiden``        ``communities``   the graph                       tiny communities
================  ================  ==============================  ==================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Recipe

Method = Callable[[NeighborGraph, Float32Array, Recipe], Clustering]
"""``graph`` as it was searched, not smoothed; ``vectors`` as ``graph.distance.prepare`` made them
for its metric. Clusters are numbered by size, ties by first row. Raises ``ValueError``, one line,
where graph, vectors and recipe do not go together.
"""


def _density(graph: NeighborGraph, _: Float32Array, recipe: Recipe) -> Clustering:
    from vdbcluster.methods.density import cluster_density

    return cluster_density(graph, recipe)[0]


def _later(module: str, function: str) -> Method:
    def method(graph: NeighborGraph, vectors: Float32Array, recipe: Recipe) -> Clustering:
        home = import_module(f"vdbcluster.methods.{module}")
        found: Clustering = getattr(home, function)(graph, vectors, recipe)
        return found

    return method


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "hdbscan": _density,
        "leaf": _density,
        "layers": _later("layers", "layers"),
        "umap+hdbscan": _later("layout", "umap_hdbscan"),
        "kmeans": _later("kmeans", "kmeans"),
        "leiden": _later("communities", "leiden"),
    }
)
"""Each method imports what it needs when it is called."""


def cluster_with(graph: NeighborGraph, vectors: Float32Array, recipe: Recipe) -> Clustering:
    """Cluster by ``recipe.method``; merging and soft assignment are done where the recipe asks.

    ``vectors (n, d) float32`` may be a memory map; methods of the graph do not look at them.
    """
    if vectors.shape[0] != graph.n_rows:
        raise ValueError(f"the graph has {graph.n_rows} rows, the vectors are {vectors.shape[0]}")
    if recipe.method not in METHODS:
        raise ValueError(f"method is {recipe.method!r}; it must be one of {', '.join(METHODS)}")
    return METHODS[recipe.method](graph, vectors, recipe)
