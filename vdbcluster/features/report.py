"""What is found about the clusters of a run and their scalar fields, and the same as JSON.

    ImportanceReport      all clusters, the fields looked at, those left out with the reason
    ClusterImportance     one: how well its fields tell it apart, and which do
    FeatureEffect         one field of one cluster: how much, which way, what is typical

Promise: frozen; ``to_json`` has plain values only; a feature that did not stand the test of rows
not seen is not there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from vdbcluster.features.table import Feature, LeftOut
from vdbcluster.features.values import Kind


class Direction(StrEnum):
    """How values of a cluster differ from all others."""

    HIGHER = "higher"
    LOWER = "lower"
    MIDDLE = "in the middle"
    """More often between the quartiles of the others."""
    EXTREME = "at either end"
    """More often outside of them."""
    IS = "is"
    IS_NOT = "is not"
    MISSING = "is missing"
    PRESENT = "is present"
    TOGETHER = "together with others"
    """By itself the field hardly differs; it matters for what other fields say."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What is typical: of numbers and dates the quantiles 0.1, 0.5 and 0.9, else shares.

    ``shares``: of the values most frequent in the cluster, of rows that have a value.
    ``missing``: share of rows without one. Both are 0 to 1.
    """

    quantiles: tuple[float, float, float] | None
    shares: tuple[tuple[str, float], ...]
    missing: float


@dataclass(frozen=True, slots=True)
class FeatureEffect:
    """``pull``: mean SHAP value of members less that of others, in log-odds; ``share`` of the pull
    of all features; ``p_value`` of its not being above 0. ``importance``: mean absolute SHAP value
    among members. ``value``: what ``direction`` speaks of, where it is "is" or "is not".
    """

    feature: Feature
    pull: float
    share: float
    p_value: float
    importance: float
    direction: Direction
    value: str
    inside: Spread
    outside: Spread

    @property
    def told(self) -> str:
        """One line for people."""
        name, way = self.feature.name, self.direction
        if way in (Direction.MISSING, Direction.PRESENT):
            return (
                f"{name} {way}: missing in {self.inside.missing:.0%} "
                f"(others {self.outside.missing:.0%})"
            )
        if way in (Direction.IS, Direction.IS_NOT):
            inside, outside = (dict(s.shares).get(self.value, 0.0) for s in self._spreads)
            return f"{name} {way} {self.value}: {inside:.0%} (others {outside:.0%})"
        return f"{name} {way}: {self._range(self.inside)} (others {self._range(self.outside)})"

    @property
    def _spreads(self) -> tuple[Spread, Spread]:
        return self.inside, self.outside

    def _range(self, spread: Spread) -> str:
        if spread.quantiles is None:
            return ", ".join(f"{name} {share:.0%}" for name, share in spread.shares) or "no value"
        low, _, high = (self.feature.text(value) for value in spread.quantiles)
        return low if low == high else f"{low} to {high}"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.feature.name,
            "kind": str(self.feature.kind),
            "pull": self.pull,
            "share": self.share,
            "p_value": self.p_value,
            "importance": self.importance,
            "direction": str(self.direction),
            "value": self.value,
            "cluster": self._spread_json(self.inside),
            "others": self._spread_json(self.outside),
            "told": self.told,
        }

    def _spread_json(self, spread: Spread) -> dict[str, Any]:
        quantiles: list[Any] | None = list(spread.quantiles) if spread.quantiles else None
        if quantiles and self.feature.kind == Kind.DATE:
            quantiles = [self.feature.text(value) for value in quantiles]
        return {
            "quantiles": quantiles,
            "shares": dict(spread.shares),
            "missing": spread.missing,
        }


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well fields tell members from all other rows, on rows that the trees had not seen.

    ``auc``: area under the ROC curve with its 95 % interval (DeLong, which takes rows for
    independent; the folds share rows, and 6 to 7 % of random clusters, not 2.5 %, have one above a
    half: scripts/bench_features); ``balanced_accuracy``: mean
    of the shares of members and of others that are told right, members and others taken as equally
    likely; ``average_precision`` at the true counts, where guessing has ``base_rate``. ``rows``:
    that were looked at, ``members`` of them in the cluster.
    """

    auc: float
    auc_low: float
    auc_high: float
    balanced_accuracy: float
    average_precision: float
    base_rate: float
    rows: int
    members: int


@dataclass(frozen=True, slots=True)
class ClusterImportance:
    """``features``: the most important first. ``reason``: why there are none; empty if there are.

    ``score``: None where no classifier was trained.
    """

    cluster: int
    size: int
    score: HeldOut | None
    features: tuple[FeatureEffect, ...]
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "cluster": self.cluster,
            "size": self.size,
            "score": asdict(self.score) if self.score else None,
            "features": [effect.to_json() for effect in self.features],
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ImportanceReport:
    """``clusters`` ascend by id. ``n_noise``: rows of no cluster, which count as others."""

    n_rows: int
    n_noise: int
    features: tuple[Feature, ...]
    left_out: tuple[LeftOut, ...]
    clusters: tuple[ClusterImportance, ...]

    def get(self, cluster: int) -> ClusterImportance | None:
        return next((found for found in self.clusters if found.cluster == cluster), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "n_rows": self.n_rows,
            "n_noise": self.n_noise,
            "fields": [feature.name for feature in self.features],
            "left_out": {field.name: field.reason for field in self.left_out},
            "clusters": [cluster.to_json() for cluster in self.clusters],
        }
