"""How well duplicates and strangers are found, by us and by others.

In: a world of ``planted``. Out: a measured line for each way of finding.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts._bench.planted import Copies, Strangers
from vdbcluster.duplicates import DuplicateParams, find_duplicates, find_outliers, text_digests
from vdbcluster.graph.distance import is_narrow, mean_direction, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.methods.rule import sizes
from vdbcluster.model.neighbors import NeighborGraph

ALIKE = 0.5
"""Texts of which so many of all their trigrams are common say the same, whoever put them there."""
DUPLICATES = ("recall", "exact", "precision", "planted")
OURS = "vdbcluster"


def searched(vectors: Any) -> tuple[Any, NeighborGraph]:
    """Points and graph as a run makes them by default."""
    mean = mean_direction(vectors)
    points = prepare(vectors, "chord", mean=mean if is_narrow(mean) else None)
    k = sizes(len(points)).n_neighbors
    found = exact_neighbors(points, np.arange(len(points)), k, "chord")
    return points, NeighborGraph(*found, "chord")


def duplicates(
    world: Copies, params: Mapping[str, DuplicateParams], dataeval: Path | None
) -> dict[str, dict[str, float]]:
    """For each way ``DUPLICATES`` and the rows that it would drop.

    ``recall``: planted edits in one set with their origin; ``exact``: planted copies likewise;
    ``precision``: dropped rows that are planted in the family of the row kept, or whose texts are
    alike; ``planted``: the same without the second clause.
    """
    points, graph = searched(world.vectors)
    roots: dict[str, Any] = {}
    for name, one in params.items():
        roots[name] = _root(find_duplicates(graph, points, params=one).duplicate_of)
    digests = text_digests(world.texts)
    roots[f"{OURS} with texts"] = _root(
        find_duplicates(graph, points, digests=digests).duplicate_of
    )
    for cosine in (0.99, 0.95, 0.9):
        roots[f"cosine of at least {cosine}"] = _linked(world.vectors, graph, cosine)
    if dataeval:
        roots["DataEval"] = _grouped(other_python(dataeval, world.vectors)["group"])
    return {name: _judged(world, root) for name, root in roots.items()}


def outliers(world: Strangers, dataeval: Path | None) -> dict[str, Any]:
    """Scores of all rows by each way, ``(n,)``: the higher the odder."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor

    from vdbcluster.config.settings import Settings
    from vdbcluster.pipeline.cluster import cluster_graph

    points, graph = searched(world.vectors)
    found = find_outliers(
        graph, np.asarray(world.vectors, np.float32), duplicates=find_duplicates(graph, points)
    )
    plain = Settings.model_validate({"cluster": {"method": "hdbscan"}})
    scores = {
        OURS: found.scores,
        "GLOSH": cluster_graph(graph, points, plain, exact=True).clustering.outlier_scores,
        "GLOSH of the default": cluster_graph(
            graph, points, Settings(), exact=True
        ).clustering.outlier_scores,
        "isolation forest": -IsolationForest(random_state=0).fit(points).score_samples(points),
    }
    for k in (20, graph.n_neighbors):
        factor = LocalOutlierFactor(n_neighbors=k).fit(points).negative_outlier_factor_
        scores["LOF, k as ours" if k == graph.n_neighbors else f"LOF, k {k}"] = -factor
    if dataeval:
        scores["DataEval"] = other_python(dataeval, world.vectors)["score"]
    return scores


def other_python(python: Path, vectors: Any) -> Mapping[str, Any]:
    """What ``dataeval_child`` says of the vectors."""
    child = Path(__file__).with_name("dataeval_child.py")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "vectors.npy", Path(folder) / "found.npz"
        np.save(given, np.asarray(vectors, np.float32))
        command = [str(python), str(child), str(given), str(made)]
        subprocess.run(command, check=True, capture_output=True)
        return dict(np.load(made))


def alike(first: str, second: str) -> bool:
    """Whether two texts share ``ALIKE`` of their trigrams, case and white space aside."""
    left, right = _trigrams(first), _trigrams(second)
    return len(left & right) >= ALIKE * len(left | right)


def _trigrams(text: str) -> set[str]:
    plain = f"  {' '.join(text.lower().split())}  "
    return {plain[at : at + 3] for at in range(len(plain) - 2)}


def _judged(world: Copies, root: Any) -> dict[str, float]:
    rows = np.arange(len(root))
    origin = {int(f): i for i, f in enumerate(world.family) if f >= 0 and not world.kind[i]}
    made = np.array([bool(kind) for kind in world.kind])
    copied = np.array([kind == "copy" for kind in world.kind])
    home = np.array([origin.get(int(f), -1) for f in world.family])
    back = np.zeros(len(root), np.bool_)
    back[made] = root[made] == root[home[made]]
    dropped = np.flatnonzero(root != rows)
    related = (world.family[dropped] >= 0) & (world.family[dropped] == world.family[root[dropped]])
    same = [alike(world.texts[i], world.texts[root[i]]) for i in dropped]
    few = max(1, len(dropped))
    return {
        "recall": float(back[made & ~copied].mean()),
        "exact": float(back[copied].mean()),
        "precision": float(np.count_nonzero(related | np.array(same, np.bool_)) / few),
        "planted": float(np.count_nonzero(related) / few),
        "dropped": float(len(dropped)),
    }


def _root(duplicate_of: Any) -> Any:
    return np.where(duplicate_of >= 0, duplicate_of, np.arange(len(duplicate_of)))


def _linked(vectors: Any, graph: NeighborGraph, cosine: float) -> Any:
    """Connected parts of the graph's pairs that reach a cosine; the first row is kept."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = np.einsum("id,ikd->ik", units, units[graph.indices]) >= cosine
    left, places = np.nonzero(near)
    ends = (left, graph.indices[left, places])
    pairs = coo_array((np.ones(len(left)), ends), shape=(len(units), len(units)))
    return _grouped(connected_components(pairs, directed=False)[1])


def _grouped(group: Any) -> Any:
    root = np.arange(len(group))
    for number in np.unique(group[group >= 0]):
        members = np.flatnonzero(group == number)
        root[members] = members[0]
    return root
