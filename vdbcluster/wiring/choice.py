"""Which distance and which search engine a run uses, and why.

In: ``CollectionProfile``, the vector field, settings. Out: ``Choice``.
Promise: what was asked for is done or refused with the reason; ``auto`` follows the index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vdbcluster.adapters.gpu_graph import has_cuvs, takes_long
from vdbcluster.adapters.gpu_neighbors import INSTALL, why_no_gpu
from vdbcluster.adapters.local_neighbors import EXACT_ROWS
from vdbcluster.adapters.milvus.effort import ann_index
from vdbcluster.adapters.milvus.writeback.own import own_purpose
from vdbcluster.config.settings import NeighborSettings
from vdbcluster.errors import UsageError
from vdbcluster.graph.distance import ON_BITS
from vdbcluster.model.collection import CollectionProfile, VectorField

BY_INDEX = {
    "L2": "euclidean",
    "COSINE": "chord",
    "IP": "chord",
    "HAMMING": "hamming",
    "JACCARD": "jaccard",
    "TANIMOTO": "jaccard",
}
SEARCHED = {
    "euclidean": ("L2",),
    "chord": ("COSINE", "IP"),
    "angular": ("COSINE", "IP"),
    "hamming": ("HAMMING",),
    "jaccard": ("JACCARD", "TANIMOTO"),
}
"""Index metrics whose order of neighbours is that of the distance (IP only for unit vectors)."""


def unfinished_index(vector: VectorField) -> str:
    """A line about an index that is still being built, empty if it is not.

    Until it is done the server answers from a stopgap whose recall no effort raises.
    """
    if not vector.unindexed_rows:
        return ""
    return (
        f"the index of {vector.name} is still being built ({vector.unindexed_rows:,} rows to go), "
        "and until then it finds fewer neighbours; wait, or pass --neighbors local"
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """``reason`` completes the sentence "the engine is used because ...".

    ``graph``: a GPU is to build a graph rather than to compare every pair, if it can.
    """

    metric: str
    engine: Literal["milvus", "local", "gpu"]
    reason: str
    graph: bool = False

    @property
    def local(self) -> bool:
        """Whether the vectors are searched here, by CPU or GPU, rather than by the server."""
        return self.engine != "milvus"


def choose(
    profile: CollectionProfile,
    vector: VectorField,
    settings: NeighborSettings,
    no_gpu: Callable[[], str] = why_no_gpu,
    graphs: Callable[[], bool] = has_cuvs,
) -> Choice:
    """Decide; raises ``UsageError`` if the settings contradict the field or its index.

    And if the collection is one of our own, whose vectors mean nothing. ``no_gpu`` looks for a GPU,
    and says in a line why there is none; ``graphs`` tells whether one could build a graph.
    """
    if purpose := own_purpose(profile):
        raise UsageError(
            f"{profile.name!r} {purpose}; name the collection that holds your rows (--collection)"
        )
    metric = _metric(vector, settings)
    why_not = _why_not_milvus(profile, vector, metric, settings)
    if settings.engine == "local":
        return Choice(metric, "local", "it was asked for")
    if settings.engine == "gpu":
        if told := no_gpu():
            raise UsageError(f"--neighbors gpu: {told}; or pass --neighbors local")
        return _on_gpu(profile, vector, metric, "it was asked for", graphs)
    if settings.engine == "milvus":
        if vector.index is None:
            raise UsageError(
                f"{vector.name} has no index, so Milvus cannot search it; create one, or pass "
                "--neighbors local"
            )
        if vector.metric not in SEARCHED[metric]:
            raise UsageError(
                f"the index of {vector.name} is made for {vector.metric}, which does not order by "
                f"{metric}; leave out --metric or pass --neighbors local"
            )
        return Choice(metric, "milvus", "it was asked for")
    if why_not:
        return _here(profile, vector, metric, why_not, no_gpu, graphs)
    return Choice(metric, "milvus", f"the server has a {vector.index} index")


def _here(
    profile: CollectionProfile,
    vector: VectorField,
    metric: str,
    why_not: str,
    no_gpu: Callable[[], str],
    graphs: Callable[[], bool],
) -> Choice:
    """A GPU for more rows than the CPU compares pair by pair; nobody without cupy hears of it."""
    if profile.rows <= EXACT_ROWS:
        return Choice(metric, "local", why_not)
    told = no_gpu()
    if not told:
        return _on_gpu(profile, vector, metric, f"{why_not}; a GPU is here", graphs)
    return Choice(metric, "local", why_not if INSTALL in told else f"{why_not}; {told}")


def _on_gpu(
    profile: CollectionProfile,
    vector: VectorField,
    metric: str,
    why: str,
    graphs: Callable[[], bool],
) -> Choice:
    """Every pair, which is exact, but where that takes long and a graph can be built."""
    if metric in ON_BITS or not takes_long(profile.rows, vector.dim) or not graphs():
        return Choice(metric, "gpu", why)
    told = "cuVS builds a graph of so many rows, which is approximate (not with --certify)"
    return Choice(metric, "gpu", f"{why}; {told}", graph=True)


def _metric(vector: VectorField, settings: NeighborSettings) -> str:
    binary = vector.type == "BINARY_VECTOR"
    if settings.metric == "auto":
        return BY_INDEX.get(vector.metric or "", "hamming" if binary else "chord")
    if binary != (settings.metric in ON_BITS):
        raise UsageError(
            f"metric {settings.metric} does not fit {vector.name}, which is a {vector.type}; "
            f"use {'hamming or jaccard' if binary else 'euclidean, chord or angular'}"
        )
    return settings.metric


def _why_not_milvus(
    profile: CollectionProfile, vector: VectorField, metric: str, settings: NeighborSettings
) -> str:
    if settings.center in ("mean", "language"):
        return "centred vectors are not those that Milvus has indexed"
    if not ann_index(profile, vector):
        if profile.server.kind == "lite":
            return "embedded Milvus searches by brute force"
        return f"a {vector.index or 'missing'} index compares every pair, which is quicker here"
    if vector.metric == "IP":
        return "inner product is no distance; rows are compared by their directions"
    if vector.metric not in SEARCHED[metric]:
        return f"the index is made for {vector.metric}, not for {metric}"
    return ""
