"""Fields of rows, from a source to cards and classifiers: which are read, what is told of them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests import data
from tests.contract.candidate_worlds import as_keys
from tests.silent import SILENT, Listener
from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.cli.render_features import feature_lines
from vdbcluster.config.features import FeatureSettings
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.features import classifiers_to_json
from vdbcluster.model.cards import Card
from vdbcluster.model.collection import ScalarField
from vdbcluster.pipeline import features as stage
from vdbcluster.pipeline.features import (
    Learnt,
    card_features,
    learn_features,
    load_classifiers,
    save_classifiers,
)

pytest.importorskip("xgboost")
N, MEMBERS = 300, 60
LONG = "a text that goes on and on, as texts do that nobody takes for a category, "


def labels_of(n: int = N, members: int = MEMBERS) -> np.ndarray:
    """Cluster 4 at random places, a small cluster 9, noise."""
    labels = np.full(n, -1)
    at = np.random.default_rng(7).permutation(n)
    labels[at[:members]] = 4
    labels[at[members : members + 8]] = 9
    return labels


def fields_of(labels: np.ndarray) -> dict[str, list[Any]]:
    """Members of cluster 4 are pricier and mostly of one brand; the rest says nothing."""
    n, member = len(labels), labels == 4
    rng = np.random.default_rng(1)
    price = np.where(member, rng.normal(9, 2, n), rng.normal(5, 2, n))
    brand = np.where(member & (rng.random(n) < 0.7), "zen", rng.choice(["a", "b", "zen"], n))
    return {
        "price": [None if u < 0.1 else float(v) for u, v in zip(rng.random(n), price, strict=True)],
        "brand": brand.tolist(),
        "noise": rng.normal(size=n).tolist(),
        "flag": (rng.random(n) < 0.4).tolist(),
        "rank": list(range(1000, 1000 + n)),
        "story": [f"{LONG} {i}" for i in range(n)],
        "tags": [[1, 2]] * n,
        "nothing": [None] * n,
        "cluster_id": labels.tolist(),
        "cluster_duplicate_of": [""] * n,
    }


class Spy(MemorySource):
    """Counts values of each field that are asked for."""

    def __init__(self, collection: MemoryCollection, kinds: dict[str, str] | None = None) -> None:
        super().__init__(collection)
        self.read: dict[str, int] = {}
        self._kinds = kinds or {}

    def columns(self, keys: Any, fields: Any) -> dict[str, list[object]]:
        for name in fields:
            self.read[name] = self.read.get(name, 0) + len(keys)
        return super().columns(keys, fields)

    def profile(self) -> Any:
        found = super().profile()
        scalars = (ScalarField(s.name, self._kinds.get(s.name, s.type)) for s in found.scalars)
        return replace(found, scalars=tuple(scalars))


def source_of(labels: np.ndarray, fields: dict[str, list[Any]], **kinds: str) -> Spy:
    return Spy(MemoryCollection(np.zeros((len(labels), 2)), columns=fields), kinds)


def learnt_from(source: Spy, labels: np.ndarray, observer: Any = SILENT, **said: Any) -> Learnt:
    settings = FeatureSettings(**said)
    keys = source.collection.keys
    return learn_features(source, source.profile(), keys, labels, settings, observer)


def learnt_of(labels: np.ndarray, fields: dict[str, list[Any]], **said: Any) -> Learnt:
    return learnt_from(source_of(labels, fields), labels, **said)


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    labels = labels_of()
    return learnt_of(labels, fields_of(labels))


def test_what_was_planted_is_told_and_nothing_else(learnt: Learnt) -> None:
    found = learnt.report.get(4)
    assert found is not None
    assert [effect.feature.name for effect in found.features] == ["price", "brand"]
    small = learnt.report.get(9)
    assert small is not None
    assert small.reason == "it has 8 rows, fewer than 20"
    assert learnt.classifiers.clusters == (4,)
    reasons = {field.name: field.reason for field in learnt.report.left_out}
    assert set(reasons) == {
        *("rank", "story", "tags", "nothing", "cluster_id", "cluster_duplicate_of")
    }
    assert reasons["cluster_id"] == "is written by vdbcluster"
    assert reasons["story"].startswith("is text")
    assert reasons["tags"] == "holds lists or objects"
    assert reasons["nothing"] == "has no value in any row"
    assert reasons["rank"] == "is like a key: it counts the rows"


def test_a_card_and_the_facts_are_plain(learnt: Learnt) -> None:
    facts = json.loads(json.dumps(learnt.facts, allow_nan=False))
    assert facts == learnt.facts
    assert facts["rows"] == facts["looked_at"] == N
    assert facts["classifiers"] == [4]
    assert facts["clusters"][0]["features"] == ["price", "brand"]
    told = card_features(learnt, 4)
    assert told is not None
    card = Card(4, MEMBERS, features=told)
    assert Card.from_json(json.loads(json.dumps(card.to_json()))).features == told
    assert {lift["name"] for lift in told["lifts"]} <= {"price", "brand"}
    assert all(lift["low"] > 1 for lift in told["lifts"])
    assert all(lift in told["lift_table"] for lift in told["lifts"])
    assert len(told["lift_table"]) > len(told["lifts"])
    assert told["lifts"][0]["told"].startswith("price from ")
    assert card_features(learnt, 5) is None
    small = card_features(learnt, 9)
    assert small is not None
    assert (small["features"], small["lifts"]) == ([], [])


def test_lines_for_a_terminal(learnt: Learnt) -> None:
    told = card_features(learnt, 4)
    assert told is not None
    score, first, second, *lifts = feature_lines(told)
    auc = told["score"]["auc"]
    assert score.startswith(f"fields tell it {'very well' if auc >= 0.95 else 'well'}: ")
    assert f"{auc:.1%} of pairs" in score
    assert first.startswith("1. price higher: ")
    assert second.startswith("2. brand is zen: ")
    assert lifts == [lift["told"] for lift in told["lifts"][:3]]
    small = card_features(learnt, 9)
    assert small is not None
    assert feature_lines(small) == ["it has 8 rows, fewer than 20"]


def test_classifiers_are_kept_with_the_run(learnt: Learnt) -> None:
    runs = MemoryRuns()
    with pytest.raises(UsageError, match=r"run x has no classifiers; .* explain x --features"):
        load_classifiers(runs, "x")
    save_classifiers(runs, "x", learnt.classifiers)
    back = load_classifiers(runs, "x")
    assert classifiers_to_json(back) == classifiers_to_json(learnt.classifiers)
    runs.save_text("x", "{}", "classifiers")
    with pytest.raises(VdbclusterError, match="cannot be used: it holds no classifiers"):
        load_classifiers(runs, "x")


def test_the_order_of_rows_changes_nothing(learnt: Learnt) -> None:
    """Nor does it hide that a field counts the rows."""
    labels, order = labels_of(), np.random.default_rng(3).permutation(N)
    source = source_of(labels, fields_of(labels))
    settings = FeatureSettings()
    keys, given = as_keys(order.tolist()), labels[order]
    again = learn_features(source, source.profile(), keys, given, settings, SILENT)
    assert again.facts == learnt.facts
    assert classifiers_to_json(again.classifiers) == classifiers_to_json(learnt.classifiers)


def test_only_what_is_looked_at_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SAMPLE", 50)
    labels = labels_of()
    source = source_of(labels, fields_of(labels) | {"raw": ["{}"] * N}, raw="JSON")
    found = learnt_from(source, labels, exclude=("noise",), min_size=40)
    assert source.read["price"] == 50 + N
    assert source.read["story"] == source.read["tags"] == 50
    assert not {"cluster_id", "raw", "noise"} & source.read.keys()
    reasons = {field.name: field.reason for field in found.report.left_out}
    assert reasons["raw"] == "is of type JSON, which is no plain value"
    assert reasons["noise"] == "is left out on request"
    assert found.facts["settings"]["exclude"] == ["noise"]


def test_many_rows_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LOOKED_AT", 200)
    observer, labels = Listener(), labels_of()
    found = learnt_from(source_of(labels, fields_of(labels)), labels, observer)
    assert observer.warnings == ["fields are looked at for 200 of 300 rows, drawn evenly"]
    assert (found.facts["rows"], found.facts["looked_at"]) == (N, 200)
    assert found.report.n_rows == 200
    assert observer.stages == ["fields", "features"]


def test_a_forced_field_is_looked_at() -> None:
    labels = labels_of()
    fields = {name: fields_of(labels)[name] for name in ("noise", "rank", "story")}
    found = learnt_of(labels, fields, include=("rank",))
    assert found.facts["fields"] == ["noise", "rank"]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"include": ("colour",)}, "'memory' has no scalar field 'colour'; it has brand, flag"),
        ({"exclude": ("colour",)}, "'memory' has no scalar field 'colour'; it has brand, flag"),
        ({"include": ("flag",), "exclude": ("flag",)}, "'flag' is both included and left out"),
        ({"include": ("cluster_id",)}, "'cluster_id' is what vdbcluster writes"),
        ({"include": ("tags",)}, "'tags' is of type ARRAY, which is no plain value"),
    ],
)
def test_fields_that_cannot_be_looked_at(said: dict[str, Any], line: str) -> None:
    labels = labels_of()
    source = source_of(labels, fields_of(labels), tags="ARRAY")
    with pytest.raises(UsageError, match=line) as told:
        learnt_from(source, labels, **said)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("labels", "fields", "reason"),
    [
        (np.zeros(50, np.int64), {"n": list(range(25)) * 2}, "there are 0 other rows, fewer"),
        (np.arange(100) % 2, {}, "there is no field to look at"),
        (np.arange(100) % 2, {"gone": [None] * 100}, "there is no field to look at"),
    ],
)
def test_where_nothing_can_be_learnt_it_says_why(
    labels: np.ndarray, fields: dict[str, list[Any]], reason: str
) -> None:
    found = learnt_of(labels, fields)
    assert all(one.reason.startswith(reason) for one in found.report.clusters)
    assert found.report.clusters
    assert found.classifiers.each == ()


def test_no_rows_at_all() -> None:
    source = source_of(np.zeros(1, np.int64), {"n": [1.0]})
    none = source.collection.keys[:0]
    found = learn_features(
        source, source.profile(), none, np.empty(0, np.int64), FeatureSettings(), SILENT
    )
    assert (found.report.clusters, found.lifts) == ((), ())


def test_without_the_extra_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    labels = labels_of()
    source = source_of(labels, fields_of(labels))
    with pytest.raises(UsageError, match=r"pip install 'vdbcluster\[features\]'"):
        learnt_from(source, labels)
    assert source.read == {}


REAL = {"tab_tiktok1000": "followers", "tab_marketing2240": "Income", "tab_mall200": "Age"}


@pytest.mark.parametrize("name", REAL)
def test_a_difference_planted_in_a_real_table_is_found_first(name: str) -> None:
    """Random rows whose one field is drawn from its upper half; all else is as it was."""
    frame = data.table(f"{name}.parquet").astype(object)
    frame = frame.where(frame.notna(), None)
    fields = {column: frame[column].tolist() for column in frame if column != "id"}
    rng, values = np.random.default_rng(0), fields[REAL[name]]
    labels = np.zeros(len(frame), np.int64)
    members = rng.choice(len(frame), max(60, len(frame) // 10), replace=False)
    labels[members] = 1
    high = sorted(value for value in values if value is not None)[len(frame) // 2 :]
    for row in members:
        values[row] = high[rng.integers(len(high))]
    found = learnt_of(labels, fields).report.get(1)
    assert found is not None
    assert found.score is not None
    assert found.features[0].feature.name == REAL[name]
    assert found.features[0].share > 0.6
    assert 0.6 < found.score.auc < 0.95
