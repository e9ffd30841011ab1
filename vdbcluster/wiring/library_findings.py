"""What is in clusters, for a notebook: words, rows that show them, copies, strangers, dense groups.

In: vectors, their neighbour graph, labels, texts. Out: the value types of the stages.
Promise: the same code as ``vdbcluster explain`` and ``vdbcluster dense`` run; no database.

    graph = vdbcluster.neighbors(vectors)
    labels = vdbcluster.cluster(graph).labels
    vdbcluster.keywords(texts, labels, vectors)[0]      # ("parcel", "courier", ...)
    vdbcluster.find_duplicates(graph, vectors).duplicate_of
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from vdbcluster import duplicates as found
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.duplicates import Duplicates, Outliers
from vdbcluster.explain.keywords import How
from vdbcluster.explain.keywords import keywords as keywords_of
from vdbcluster.explain.representatives import Representatives
from vdbcluster.explain.representatives import representatives as representatives_of
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.graph.distance import prepare
from vdbcluster.hierarchy.groups import DenseGroup, GroupParams
from vdbcluster.hierarchy.groups import dense_groups as groups_of
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.wiring.library import centering_mean

Center = Literal["auto", "none", "mean"]


def keywords(
    texts: Sequence[str | None],
    labels: Int64Array,
    vectors: Float32Array | None = None,
    *,
    how: How = "mixture",
    n_terms: int = 10,
    n_grams: int = 2,
    stop_words: Sequence[str] = (),
) -> dict[int, tuple[str, ...]]:
    """The words that tell each cluster, the most telling first.

    ``texts``, ``labels`` ``(n,)``, -1 is noise; ``vectors (n, d)``: better words with them.
    """
    tokenizer = ScriptTokenizer(detector=Py3LangId(), stop_words=tuple(stop_words))
    counted = vocabulary(tokenizer.terms(texts), n_grams=n_grams)
    told = keywords_of(counted, labels, vectors, how=how, n_terms=n_terms)
    return {cluster: tuple(word.term for word in words) for cluster, words in told.items()}


def representatives(
    vectors: Float32Array, labels: Int64Array, graph: NeighborGraph | None = None, *, n: int = 5
) -> dict[int, Representatives]:
    """Rows that show each cluster: medoid, central, dense, diverse, border; see the class."""
    return representatives_of(
        vectors, labels, distances=None if graph is None else graph.distances, n=n
    )


def find_duplicates(
    graph: NeighborGraph, vectors: Float32Array, *, center: Center = "auto"
) -> Duplicates:
    """Exact and near duplicates. ``graph``: of ``neighbors``, with the same ``center``."""
    return found.find_duplicates(graph, _points(graph, vectors, center))


def find_outliers(
    graph: NeighborGraph,
    vectors: Float32Array,
    *,
    labels: Int64Array | None = None,
    copies: Duplicates | None = None,
) -> Outliers:
    """Rows that hardly belong anywhere; copies of one another (``copies``) count as one row."""
    return found.find_outliers(graph, vectors, labels=labels, duplicates=copies)


def dense_groups(
    graph: NeighborGraph, vectors: Float32Array, *, center: Center = "auto", **params: Any
) -> tuple[DenseGroup, ...]:
    """The densest small groups, densest first; ``params``: those of ``GroupParams``.

    ``graph``: of ``neighbors``, with the same ``center``.
    """
    return groups_of(graph, _points(graph, vectors, center), GroupParams(**params))


def _points(graph: NeighborGraph, vectors: Float32Array, center: Center) -> Float32Array:
    return prepare(vectors, graph.metric, mean=centering_mean(vectors, graph.metric, center))
