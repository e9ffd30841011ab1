"""From settings and the number of rows to a recipe: everything that was left to ``auto``.

In: ``Settings``, n, the number of neighbours. Out: ``Recipe``.
Promise: what the user has said holds; the rest follows from n alone, by ``methods.rule``; nothing
is drawn by lot and no label is looked at.

``--method auto`` is HDBSCAN on the graph smoothed by its slow walks; noise is given to the clusters
of its neighbours, and clusters that belong together are merged. Where HDBSCAN itself is asked for,
to the bit or with a proof (``--engine``, ``--certify``), it is plain HDBSCAN.
"""

from __future__ import annotations

from typing import Literal

from vdbcluster.config.settings import ClusterSettings, Settings
from vdbcluster.methods.rule import MOST_SAMPLES, Sizes, sizes
from vdbcluster.model.params import HdbscanParams, Method, Recipe, Smooth

Centering = Literal["none", "mean", "language", "narrow"]
"""``narrow``: the mean, if the vectors point one way (``graph.distance.is_narrow``)."""
PLAIN_NEIGHBORS = 50
"""Fewer lose merges that HDBSCAN on the vectors has, see ``hierarchy.certificate``."""
MAX_NOISE = 0.0
MIN_CONFIDENCE = 0.4
MERGE = 0.5


def wanted_neighbors(settings: Settings, n_rows: int) -> int:
    """How many neighbours of each row are searched for."""
    asked, samples = settings.neighbors.n_neighbors, settings.cluster.min_samples
    if asked != "auto":
        return asked
    by_rule = sizes(n_rows).n_neighbors if _smooth(settings) == "spectral" else PLAIN_NEIGHBORS
    return by_rule if samples == "auto" else max(by_rule, 2 * samples)


def centering(settings: Settings, *, local: bool) -> Centering:
    """What is subtracted from the vectors; ``local``: who searches takes any vectors."""
    asked = settings.neighbors.center
    if asked != "auto":
        return asked
    return "narrow" if local and _by_itself(settings) else "none"


def recipe(settings: Settings, n_rows: int, n_neighbors: int) -> Recipe:
    """What to do with a graph of ``n_rows`` with ``n_neighbors`` each."""
    cluster = settings.cluster
    rule = sizes(n_rows, n_neighbors)
    soft = _by_itself(settings) or (cluster.max_noise, cluster.min_confidence) != ("auto", "auto")
    merge = MERGE if _by_itself(settings) else 0.0
    return Recipe(
        method=_method(settings),
        smooth=_smooth(settings),
        cut=rule.cut,
        hdbscan=_hdbscan(cluster, rule),
        soft=soft,
        max_noise=MAX_NOISE if cluster.max_noise == "auto" else cluster.max_noise,
        min_confidence=(
            MIN_CONFIDENCE if cluster.min_confidence == "auto" else cluster.min_confidence
        ),
        merge=merge if cluster.merge == "auto" else cluster.merge,
        n_clusters=0 if cluster.n_clusters == "auto" else cluster.n_clusters,
        n_layers=cluster.n_layers,
        seed=settings.run.seed,
    )


def _by_itself(settings: Settings) -> bool:
    """Whether nobody has asked for a method, nor for what only plain HDBSCAN can give."""
    return settings.cluster.method == "auto" and not settings.exact


def _method(settings: Settings) -> Method:
    return "hdbscan" if settings.cluster.method == "auto" else settings.cluster.method


def _smooth(settings: Settings) -> Smooth:
    asked = settings.neighbors.smooth
    if asked != "auto":
        return asked
    return "spectral" if _by_itself(settings) or _method(settings) == "layers" else "none"


def _hdbscan(cluster: ClusterSettings, rule: Sizes) -> HdbscanParams:
    """``join`` follows the engine unless it is said."""
    exact = cluster.engine != "default"
    size = rule.min_cluster_size if cluster.min_cluster_size == "auto" else cluster.min_cluster_size
    by_rule = min(MOST_SAMPLES, size, rule.n_neighbors)
    samples = by_rule if cluster.min_samples == "auto" else cluster.min_samples
    return HdbscanParams(
        min_cluster_size=size,
        min_samples=samples,
        cluster_selection_method=(
            "leaf" if cluster.method == "leaf" else cluster.cluster_selection_method
        ),
        cluster_selection_epsilon=cluster.cluster_selection_epsilon,
        max_cluster_size=cluster.max_cluster_size,
        allow_single_cluster=cluster.allow_single_cluster,
        join=cluster.join or ("inf" if exact else "max"),
        ties="reference" if exact else "together",
    )
