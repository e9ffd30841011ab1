"""Keywords of clusters: the ways, their mixture, diversity, siblings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests import data
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.explain.centroids import NO_SIBLING, centroids, clusters, directions, siblings
from vdbcluster.explain.diversify import distinct, mmr
from vdbcluster.explain.keywords import How, keywords
from vdbcluster.explain.pool import pool
from vdbcluster.explain.scoring import centroid_scores, odds, term_vectors
from vdbcluster.explain.vocabulary import vocabulary

WAYS: tuple[How, ...] = ("mixture", "tfidf", "odds", "contrast", "centroid")
CATS, DOGS, TAX = ["cat", "purr", "pet"], ["dog", "bark", "pet"], ["tax", "income", "law"]
TOKENS = [CATS] * 6 + [DOGS] * 6 + [TAX] * 6
LABELS = np.repeat([0, 4, 9], 6)
POINTS = np.repeat(
    np.array([[1, 0.3, 0], [1, -0.3, 0], [0, 0, 1]], np.float32), 6, axis=0
) + np.random.default_rng(0).normal(0, 0.01, (18, 3)).astype(np.float32)
VOCABULARY = vocabulary(TOKENS, n_grams=1, max_df=1.0)


def terms(
    how: How = "mixture", points: np.ndarray | None = POINTS, n: int = 2
) -> dict[int, set[str]]:
    found = keywords(VOCABULARY, LABELS, points, how=how, n_terms=n)
    return {label: {word.term for word in words} for label, words in found.items()}


@pytest.mark.parametrize("how", WAYS)
def test_every_way_tells_clusters_apart(how: How) -> None:
    found = terms(how)
    assert found[0] == {"cat", "purr"}
    assert found[4] == {"dog", "bark"}
    assert found[9] < set(TAX)


def test_what_siblings_share_does_not_set_them_apart() -> None:
    found = keywords(VOCABULARY, LABELS, POINTS, how="contrast")
    assert [word.term for word in found[0]][-1] == "pet"
    assert abs(found[0][-1].score) < 1e-9


def test_what_is_counted_of_a_keyword() -> None:
    word = next(w for w in keywords(VOCABULARY, LABELS, POINTS)[0] if w.term == "pet")
    assert (word.members, word.share, word.elsewhere) == (6, 1.0, 0.5)


def test_noise_has_no_keywords_but_lies_elsewhere() -> None:
    labels = np.where(LABELS == 4, -1, LABELS)
    found = keywords(VOCABULARY, labels, POINTS)
    assert list(found) == [0, 9]
    assert {w.term: w.elsewhere for w in found[0]}["pet"] == 0.5


def test_one_text_that_repeats_itself_does_not_name_its_cluster() -> None:
    tokens = [[*CATS, *["spam"] * 5000], ["cat", "spam"], *[CATS] * 8, *[DOGS] * 10]
    found = keywords(vocabulary(tokens, max_df=1.0), np.repeat([0, 1], 10))
    assert found[0][0].term != "spam"


@pytest.mark.parametrize("how", [way for way in WAYS if way != "centroid"])
def test_points_are_not_needed(how: How) -> None:
    assert terms(how, None)[0] == {"cat", "purr"}


def test_a_cluster_that_is_all_there_is() -> None:
    found = keywords(VOCABULARY, np.zeros(18, np.int64), POINTS)
    assert len(found[0]) == len({*CATS, *DOGS, *TAX})


def test_nothing_to_tell() -> None:
    assert keywords(VOCABULARY, np.full(18, -1), POINTS) == {}
    empty = vocabulary([[]] * 18)
    assert keywords(empty, LABELS, POINTS) == {0: (), 4: (), 9: ()}
    assert keywords(vocabulary([]), np.empty(0, np.int64), np.empty((0, 3), np.float32)) == {}


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="18 texts and 3 labels"):
        keywords(VOCABULARY, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="2 points"):
        keywords(VOCABULARY, LABELS, POINTS[:2])
    with pytest.raises(ValueError, match="centroid words need points"):
        keywords(VOCABULARY, LABELS, how="centroid")
    with pytest.raises(ValueError, match="must be one of"):
        keywords(VOCABULARY, LABELS, how="best")  # type: ignore[arg-type]


def test_class_based_tfidf_is_that_of_the_paper() -> None:
    found = pool(VOCABULARY, clusters(LABELS))
    frequency = np.stack([VOCABULARY.counts.toarray()[c == LABELS].sum(axis=0) for c in (0, 4, 9)])
    share = frequency / frequency.sum(axis=1, keepdims=True)
    weights = share * np.log(1 + frequency.sum() / 3 / frequency.sum(axis=0))
    for c in range(3):
        there = found.there[c]
        assert_allclose(found.tfidf[c, there], weights[c, found.terms[c, there]], rtol=1e-6)


def test_odds_are_those_of_the_paper() -> None:
    found = pool(VOCABULARY, clusters(LABELS))
    dense = VOCABULARY.counts.toarray()
    own, other = dense[LABELS == 0].sum(axis=0), dense[LABELS == 4].sum(axis=0)
    prior = dense.sum(axis=0) / dense.sum() * 0.1 * (own.sum() + other.sum())
    whole = prior.sum()
    a, b = own + prior, other + prior
    z = np.log(a / (own.sum() + whole - a)) - np.log(b / (other.sum() + whole - b))
    z /= np.sqrt(1 / a + 1 / b)
    scores = odds(found, np.array([1, 0, 0]))[0]
    assert_allclose(scores[found.there[0]], z[found.terms[0, found.there[0]]], rtol=1e-6)


def test_centroid_words_are_where_their_texts_are() -> None:
    found = clusters(LABELS)
    rows = directions(POINTS)
    terms_ = pool(VOCABULARY, found)
    used, vectors = term_vectors(VOCABULARY, terms_, rows)
    dense = VOCABULARY.counts.toarray().astype(float)
    weight = dense * np.log1p(18 / dense.sum(axis=0))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    expected = weight.T @ rows
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert_allclose(vectors, expected[used], atol=1e-5)
    scores = centroid_scores(terms_, (used, vectors), centroids(found, rows))
    assert np.all(scores[terms_.there] <= 1 + 1e-5)


def test_siblings_are_the_nearest_clusters() -> None:
    centers = centroids(clusters(LABELS), directions(POINTS))
    assert siblings(centers)[:, 0].tolist()[:2] == [1, 0]
    assert siblings(centers[:1]).tolist() == [[NO_SIBLING]]
    assert siblings(centers, 3)[:, 2].tolist() == [NO_SIBLING] * 3


def test_two_guises_and_parts_are_one_keyword() -> None:
    assert distinct(["cats", "cat", "dog"], [5, 4, 3], [1, 1, 1]) == [0, 2]
    assert distinct(["learning", "machine learning"], [10, 9], [1, 2]) == [1]
    assert distinct(["learning", "machine learning"], [10, 2], [1, 2]) == [0]
    assert distinct(["映画", "映画館"], [5, 5], [1, 1]) == [0, 1]
    assert distinct(["学習", "生成学習"], [5, 5], [1, 2]) == [1]
    assert distinct([], [], []) == []


def test_marginal_relevance_spreads_what_is_chosen() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    scores = np.array([1.0, 0.9, 0.5])
    assert mmr(scores, vectors, 2, 1.0).tolist() == [0, 1]
    assert mmr(scores, vectors, 2, 0.5).tolist() == [0, 2]
    assert mmr(scores, None, 2, 0.5).tolist() == [0, 1]


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=12), st.sampled_from(WAYS))
def test_any_labels_give_keywords_of_their_own_texts(labels: list[int], how: How) -> None:
    generator = np.random.default_rng(len(labels))
    words = ["ab", "cd", "ef", "", "gh"]
    tokens = [generator.choice(words, 6).tolist() for _ in labels]
    points = generator.normal(size=(len(labels), 4)).astype(np.float32)
    found = keywords(
        vocabulary(tokens, min_df=1, max_df=1.0), np.array(labels), points, how=how, n_terms=3
    )
    assert list(found) == sorted(set(labels) - {-1})
    for label, chosen in found.items():
        own = [tokens[i] for i in range(len(labels)) if labels[i] == label]
        assert len(chosen) <= 3
        for word in chosen:
            assert np.isfinite(word.score)
            assert 1 <= word.members <= len(own)
            assert all(any(part in text for text in own) for part in word.term.split())


def test_keywords_of_real_headlines_tell_them() -> None:
    """Half of the headlines held out, guessed by the keywords of the other half."""
    pytest.importorskip("sudachipy")
    table = data.table("livedoor.parquet")
    points = data.embeddings("livedoor.e5-small-q4.384.f16.npy")
    labels = table["label"].astype("category").cat.codes.to_numpy().astype(np.int64)
    tokens = ScriptTokenizer().terms(table["text"].tolist())
    held = np.random.default_rng(0).random(len(labels)) < 0.5
    every = vocabulary(tokens)
    seen = np.where(held, -1, labels)
    found = keywords(every, seen, points)
    again = keywords(every, seen, points)
    assert found == again
    column = {term: i for i, term in enumerate(every.terms)}
    votes = np.stack(
        [
            np.asarray((every.counts[held][:, [column[w.term] for w in words]] > 0).sum(axis=1))
            for words in found.values()
        ]
    )
    assert np.mean(votes.argmax(axis=0) == labels[held]) > 0.4  # one in nine by chance
