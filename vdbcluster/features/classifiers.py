"""Classifiers that tell clusters by scalar fields alone, and the JSON that they are kept as.

In: features and trained trees. Out: ``Classifiers``; text, and ``Classifiers`` from text again.
Promise: what is read predicts to the bit as what was written; nothing is pickled and nothing that
is read can run code; a text that is damaged, of another version or not ours is refused with a
``ValueError`` of one line before xgboost sees it.

    text = classifiers_to_json(classifiers)
    classifiers = classifiers_from_json(text)
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vdbcluster.features.table import MAX_CATEGORIES, Feature
from vdbcluster.features.values import Kind

FORMAT = "vdbcluster-classifiers"
VERSION = 1
ROOT = 2**31 - 1
"""What xgboost writes as the parent of the first node."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterClassifier:
    """Of one cluster: ``model`` is xgboost's own JSON; its margins are log-odds, balanced.

    The probability that a row belongs to it, at the counts of the run, is
    ``1 / (1 + exp(-(slope * margin + offset)))``. ``auc``: on rows not seen.
    """

    cluster: int
    size: int
    auc: float
    slope: float
    offset: float
    model: Any

    def __post_init__(self) -> None:
        if self.cluster < 0 or self.size < 0:
            raise ValueError(f"cluster {self.cluster} and size {self.size} must be at least 0")
        if not all(map(math.isfinite, (self.auc, self.slope, self.offset))):
            raise ValueError(f"the figures of cluster {self.cluster} must be finite")


@dataclass(frozen=True, slots=True, eq=False)
class Classifiers:
    """One for each cluster that its fields can tell, ascending by id; maybe none."""

    features: tuple[Feature, ...]
    each: tuple[ClusterClassifier, ...]

    def __post_init__(self) -> None:
        ids = [one.cluster for one in self.each]
        if any(a >= b for a, b in pairwise(ids)):
            raise ValueError("classifiers must ascend by cluster, each there once")
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError("the names of features must all differ")

    @property
    def clusters(self) -> tuple[int, ...]:
        return tuple(one.cluster for one in self.each)


def classifiers_to_json(classifiers: Classifiers) -> str:
    """All there is to know, one line, with a checksum."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "features": [
            {
                "name": feature.name,
                "kind": str(feature.kind),
                "categories": list(feature.categories),
                "other": feature.other,
            }
            for feature in classifiers.features
        ],
        "classifiers": [
            {
                "cluster": one.cluster,
                "size": one.size,
                "auc": one.auc,
                "slope": one.slope,
                "offset": one.offset,
                "model": one.model,
            }
            for one in classifiers.each
        ],
    }
    return json.dumps({**content, "sha256": _digest(content)}, allow_nan=False)


def classifiers_from_json(text: str) -> Classifiers:
    """What ``classifiers_to_json`` has written. Raises ``ValueError`` with one line."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"it holds no classifiers: its format is not {FORMAT}")
    if content.get("version") != VERSION:
        raise ValueError(
            f"its version is {content.get('version')!r}, this program reads version {VERSION}"
        )
    if content.pop("sha256", None) != _digest(content):
        raise ValueError("it is damaged: its checksum does not fit what it holds")
    features = tuple(_feature(item) for item in _items(content, "features"))
    each = tuple(_classifier(item, features) for item in _items(content, "classifiers"))
    return Classifiers(features, each)


def _digest(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _feature(item: dict[str, Any]) -> Feature:
    kind = _value(item, "kind", str)
    if kind not in set(Kind):
        raise ValueError(f"there is no kind of feature {kind!r}")
    names = _value(item, "categories", list)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("its categories must be texts")
    other = _value(item, "other", bool)
    return Feature(_value(item, "name", str), Kind(kind), tuple(names), other)


def _classifier(item: dict[str, Any], features: tuple[Feature, ...]) -> ClusterClassifier:
    model = _value(item, "model", dict)
    found = ClusterClassifier(
        cluster=_value(item, "cluster", int),
        size=_value(item, "size", int),
        auc=float(_value(item, "auc", (int, float))),
        slope=float(_value(item, "slope", (int, float))),
        offset=float(_value(item, "offset", (int, float))),
        model=model,
    )
    try:
        _check_model(model, len(features))
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"the trees of cluster {found.cluster} are incomplete") from error
    return found


def _items(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = _value(content, name, list)
    if not all(isinstance(item, dict) for item in items):
        raise ValueError(f"its {name!r} must be objects")
    return list(items)


def _value(item: dict[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = item.get(name)
    wrong_bool = isinstance(value, bool) and kind is not bool
    if wrong_bool or not isinstance(value, kind):
        raise ValueError(f"its {name!r} is missing or of the wrong type")
    return value


def _check_model(content: dict[str, Any], n_features: int) -> None:
    """Trees in which every node leads to nodes that there are: xgboost takes that for granted."""
    learner = content["learner"]
    if int(learner["learner_model_param"]["num_feature"]) != n_features:
        raise ValueError("its trees are of another number of features")
    model = learner["gradient_booster"]["model"]
    trees = model["trees"]
    if model["tree_info"] != [0] * len(trees):
        raise ValueError("its trees are of another kind")
    if model["iteration_indptr"] != list(range(len(trees) + 1)):
        raise ValueError("its trees are not one by one")
    for place, tree in enumerate(trees):
        if tree["id"] != place:
            raise ValueError("its trees are out of order")
        _check_tree(tree, n_features)


def _check_tree(tree: dict[str, Any], n_features: int) -> None:
    sizes = tree["tree_param"]
    n_nodes = int(sizes["num_nodes"])
    if int(sizes["num_feature"]) != n_features or int(sizes["size_leaf_vector"]) != 1:
        raise ValueError("a tree is of another number of features or answers")
    per_node = (
        "left_children", "right_children", "split_indices", "split_type", "split_conditions",
        "default_left", "parents", "base_weights", "loss_changes", "sum_hessian",
    )  # fmt: skip
    if n_nodes < 1 or any(len(tree[name]) != n_nodes for name in per_node):
        raise ValueError("a tree has lists of different lengths")
    _check_links(tree["left_children"], tree["right_children"], tree["parents"])
    if not all(0 <= split < n_features for split in tree["split_indices"]):
        raise ValueError("a tree asks for a feature that there is not")
    _check_categories(tree)


def _check_links(lefts: list[int], rights: list[int], parents: list[int]) -> None:
    n_nodes = len(parents)
    if parents[0] != ROOT:
        raise ValueError("a tree has a node that leads nowhere")
    for node, (left, right, parent) in enumerate(zip(lefts, rights, parents, strict=True)):
        leaf = left == right == -1
        down = leaf or (node < left < n_nodes and node < right < n_nodes)
        if not down or (node and not 0 <= parent < node):
            raise ValueError("a tree has a node that leads nowhere")


def _check_categories(tree: dict[str, Any]) -> None:
    known, kinds = tree["categories"], tree["split_type"]
    starts, sizes = tree["categories_segments"], tree["categories_sizes"]
    inside = all(
        start >= 0 and size >= 0 and start + size <= len(known)
        for start, size in zip(starts, sizes, strict=True)
    )
    named = [node for node, kind in enumerate(kinds) if kind]
    right = tree["categories_nodes"] == named and len(named) == len(starts)
    if not (inside and right and set(kinds) <= {0, 1}):
        raise ValueError("a tree has categories that there are not")
    if not all(0 <= category <= MAX_CATEGORIES for category in known):
        raise ValueError("a tree has categories that there are not")
