"""Boosted trees for one question, this cluster or not: trained, asked, explained, as JSON.

In: ``(n, f) float32`` with NaN for missing values, kinds, members, weights. Out: a ``Forest``.
Promise: the same input and seed give the same trees whatever the number of threads (each is trained
by one); categories are split off one at a time, so a split reads "is X"; xgboost is imported on
first use.

    forest = grow(values, features, member, weights, seed=0)
    forest.contributions(values)       # (n, f + 1) log-odds, the last column is the same for all
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.features.table import MAX_CATEGORIES, Feature
from vdbcluster.features.values import Kind
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array

N_TREES = 60
_PARAMS = {
    "objective": "binary:logistic",
    "base_score": 0.5,  # members and others weigh the same
    "tree_method": "hist",
    "max_bin": 64,
    "max_depth": 3,
    "learning_rate": 0.15,
    "min_child_weight": 2.0,
    "reg_lambda": 1.0,
    "subsample": 0.8,
    "colsample_bynode": 0.5,
    "max_cat_to_onehot": MAX_CATEGORIES + 2,
    "nthread": 1,
    "verbosity": 0,
}
"""Few small trees of fixed number: to choose it on held-out rows would use them up."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees that tell members from others; ``booster`` is an ``xgboost.Booster``."""

    booster: Any
    features: tuple[Feature, ...]

    def margins(self, values: Float32Array) -> Float64Array:
        """Log-odds of being a member, ``(m,)``, members and others taken as equally many."""
        found = self.booster.predict(_matrix(values, self.features), output_margin=True)
        return np.asarray(found, np.float64)

    def contributions(self, values: Float32Array) -> Float64Array:
        """SHAP values, ``(m, f + 1)`` in log-odds; they add up to the margin.

        The last column is the expected margin. TreeSHAP, Lundberg et al. 2020,
        doi:10.1038/s42256-019-0138-9, as xgboost computes it.
        """
        found = self.booster.predict(_matrix(values, self.features), pred_contribs=True)
        return np.asarray(found, np.float64)

    def to_json(self) -> Any:
        """xgboost's own JSON as plain dicts and lists."""
        return json.loads(bytes(self.booster.save_raw("json")))


def grow(
    values: Float32Array,
    features: Sequence[Feature],
    member: BoolArray,
    weights: Float64Array,
    *,
    seed: int,
) -> Forest:
    """Train on ``values (n, f)``; ``weights (n,)``, at most 1, should make both sides equal.

    Raises ``UsageError`` where xgboost is not installed.
    """
    kinds = tuple(features)
    data = _matrix(values, kinds, label=member.astype(np.float32), weight=weights)
    booster = library().train({**_PARAMS, "seed": seed}, data, N_TREES)
    return Forest(booster, kinds)


def read(model: Any, features: Sequence[Feature]) -> Forest:
    """Trees from their JSON. Raises ``ValueError`` for what xgboost cannot read."""
    xgboost = library()
    booster = xgboost.Booster({"nthread": 1, "verbosity": 0})
    try:
        booster.load_model(bytearray(json.dumps(model).encode()))
    except xgboost.core.XGBoostError as error:
        raise ValueError(f"xgboost cannot read it: {str(error).splitlines()[0]}") from error
    return Forest(booster, tuple(features))


def library() -> Any:
    """The module xgboost. Raises ``UsageError`` where it is not installed."""
    try:
        return import_module("xgboost")
    except ImportError as error:
        raise UsageError(
            "feature importance needs xgboost: pip install 'vdbcluster[features]'"
        ) from error


def _matrix(values: Float32Array, features: Sequence[Feature], **more: Any) -> Any:
    kinds = ["c" if feature.kind == Kind.CATEGORY else "q" for feature in features]
    return library().DMatrix(
        np.ascontiguousarray(values, np.float32),
        feature_types=kinds,
        enable_categorical=True,
        nthread=1,
        **more,
    )
