"""Clusters that follow language: found, told from topics, and cured by centring."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from tests.data import embeddings, table
from vdbcluster.graph.distance import center, prepare
from vdbcluster.graph.groups import centered_by_group
from vdbcluster.quality.language import (
    LanguageVerdict,
    language_report,
    rows_to_ask,
    share_of_own,
)

E5 = "e5-small-q4.384.f16.npy"
TOPICS, ROWS = 5, 40


def invented(offset: float, shared: bool) -> tuple[Any, Any, Any]:
    """Points about topics in two languages: ``(points, languages, topics)``."""
    rng = np.random.default_rng(0)
    n = 2 * TOPICS * ROWS
    languages = np.array(["en", "ja"], object)[np.arange(n) % 2]
    topics = np.arange(n) // 2 % TOPICS
    if not shared:
        topics = topics + TOPICS * (languages == "ja")
    centers = rng.standard_normal((2 * TOPICS, 32))
    common, tongue = rng.standard_normal((2, 32))
    points = 3 * common + centers[topics] + rng.standard_normal((n, 32))
    points += offset * np.where(languages == "ja", 1, -1)[:, None] * tongue
    return prepare(points.astype(np.float32), "chord"), languages, topics


def sib() -> tuple[Any, Any, Any]:
    rows = table("sib200_mix.parquet")
    return (
        prepare(embeddings(f"sib200_mix.{E5}"), "chord"),
        rows["lang"].to_numpy(object),
        rows["label"].to_numpy(object),
    )


def numbered(names: Any) -> Any:
    return np.unique(names.astype(str), return_inverse=True)[1]


def test_the_same_topics_in_two_languages_are_split() -> None:
    points, languages, topics = invented(3.0, shared=True)
    report = language_report(languages, numbered(languages), points)
    assert report.verdict == LanguageVerdict.SPLIT
    assert report.shares == (("en", 0.5), ("ja", 0.5))
    assert report.neighbors > 0.99
    assert report.neighbors_centered < 0.6
    assert report.chance == pytest.approx(0.5, abs=0.01)
    assert (report.ami, report.homogeneity) == pytest.approx((1, 1))
    assert "--center language" in report.told
    assert "en 50%, ja 50%" in report.told
    assert "\n" not in report.told
    json.dumps(asdict(report))
    centered = centered_by_group(points, languages)
    after = language_report(languages, topics, centered)
    assert after.verdict == LanguageVerdict.MIXED
    assert after.told == ""


def test_other_topics_in_each_language_are_apart() -> None:
    points, languages, topics = invented(3.0, shared=False)
    report = language_report(languages, topics, points)
    assert report.verdict == LanguageVerdict.APART
    assert "is unlikely to help" in report.told


def test_nothing_is_told_where_clusters_do_not_follow() -> None:
    points, languages, topics = invented(0.0, shared=True)
    assert language_report(languages, topics, points).verdict == LanguageVerdict.MIXED
    points, languages, topics = invented(3.0, shared=True)  # neighbours follow, clusters do not
    for labels in (topics, np.zeros_like(topics), np.full_like(topics, -1)):
        report = language_report(languages, labels, points)
        assert (report.verdict, report.told) == (LanguageVerdict.MIXED, "")


def test_stray_codes_are_not_languages() -> None:
    points, languages, _ = invented(3.0, shared=True)
    labels = numbered(languages)
    languages[languages == "ja"] = "en"
    languages[:19], languages[19:39] = "la", "und"
    report = language_report(languages, labels, points)
    assert (report.verdict, report.told) == (LanguageVerdict.ONE, "")
    assert [name for name, _ in report.shares] == ["en"]
    assert (report.asked, report.determined) == (400, 380)


@pytest.mark.parametrize("languages", [[], [None] * 30, ["und"] * 30])
def test_without_languages(languages: list[str | None]) -> None:
    n = len(languages)
    report = language_report(
        np.array(languages, object), np.zeros(n, np.int64), np.ones((n, 3), np.float32)
    )
    assert (report.verdict, report.shares, report.determined) == (LanguageVerdict.ONE, (), 0)


def test_a_sample_and_rows_of_zeros_suffice() -> None:
    points, languages, _ = invented(3.0, shared=True)
    labels = numbered(languages)
    points[:7] = 0
    sample = np.full(len(languages), None, object)
    which = rows_to_ask(len(languages), 200)
    sample[which] = languages[which]
    report = language_report(sample, labels, points)
    assert (report.verdict, report.asked) == (LanguageVerdict.SPLIT, 200)
    with pytest.raises(ValueError, match="400 languages, 3 labels"):
        language_report(languages, labels[:3], points)


@given(st.integers(0, 200), st.integers(1, 60), st.integers(0, 5))
def test_rows_to_ask(n: int, most: int, seed: int) -> None:
    rows = rows_to_ask(n, most, seed)
    assert len(rows) == min(n, most)
    assert (np.diff(rows) > 0).all()
    assert ((rows >= 0) & (rows < n)).all()


def test_share_of_own_by_hand() -> None:
    groups = np.array(["a", "a", "b"])
    indices = np.array([[1, 2], [0, -1], [0, 1]], np.int32)
    assert share_of_own(groups, indices) == pytest.approx(2 / 5)
    assert share_of_own(groups, np.full((3, 2), -1, np.int32)) == 0


def test_sentences_in_three_languages_are_split_and_cured() -> None:
    points, languages, topics = sib()
    report = language_report(languages, numbered(languages), points)
    assert report.verdict == LanguageVerdict.SPLIT
    assert report.neighbors == pytest.approx(0.835, abs=0.01)  # of the figures of the data's page
    assert report.neighbors_centered == pytest.approx(1 / 3, abs=0.02)
    from sklearn.cluster import KMeans

    def ami(rows: Any) -> tuple[float, float]:
        found = KMeans(7, n_init=2, random_state=0).fit_predict(rows)
        score = metrics.adjusted_mutual_info_score
        return score(topics, found), score(languages, found)

    topic_before, language_before = ami(center(points))
    topic_after, language_after = ami(centered_by_group(points, languages))
    assert topic_after > topic_before + 0.15
    assert language_after < 0.05 < 0.3 < language_before


def test_a_conversation_in_german_is_a_topic() -> None:
    rows = table("polis4k.parquet")
    points = prepare(embeddings(f"polis4k.{E5}"), "chord")
    languages = rows["lang"].to_numpy(object)
    report = language_report(languages, numbered(rows["label"].to_numpy(object)), points)
    assert report.verdict == LanguageVerdict.APART
    assert report.neighbors > 0.99
