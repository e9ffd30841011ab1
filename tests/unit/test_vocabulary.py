"""Counting terms and their n-grams."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.explain.vocabulary import Vocabulary, guise, vocabulary

TOKENS = st.lists(st.lists(st.sampled_from(["", "ab", "cd", "ef", "gh"]), max_size=8), max_size=6)


def counts(found: Vocabulary) -> list[dict[str, int]]:
    dense = found.counts.toarray()
    return [{term: int(row[i]) for i, term in enumerate(found.terms) if row[i]} for row in dense]


def test_ngrams_are_of_neighbours_within_a_text() -> None:
    found = vocabulary([["machine", "learning", "", "cat"], ["machine", "learning"]], max_df=1.0)
    assert found.terms == ("learning", "machine", "machine learning")
    assert found.n_parts.tolist() == [1, 1, 2]


def test_scripts_without_spaces_are_joined_without() -> None:
    found = vocabulary([["生成", "ai", "学習"]] * 2, max_df=1.0, n_grams=3)
    assert "生成ai" in found.terms
    assert "生成ai学習" in found.terms


def test_limits_of_document_frequency() -> None:
    texts = [["all", "two"], ["all", "two"], ["all", "one"], ["all"]]
    assert vocabulary(texts, n_grams=1, min_df=2, max_df=0.5).terms == ("two",)
    assert vocabulary(texts, n_grams=1, min_df=1, max_df=1.0).terms == ("all", "one", "two")
    assert vocabulary(texts, n_grams=1, min_df=1, max_df=1.0, most_terms=2).terms == ("all", "two")


def test_singular_and_plural_are_one_term_in_its_most_frequent_form() -> None:
    texts = [["cards", "top-up"], ["cards", "topup"], ["card", "top-up"]]
    found = vocabulary(texts, n_grams=1, max_df=1.0)
    assert counts(found) == [{"cards": 1, "top-up": 1}] * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [("cities", "city"), ("boxes", "box"), ("churches", "church"), ("e-mail", "emails")],
)
def test_guises(one: str, other: str) -> None:
    assert guise(one) == guise(other)


def test_words_that_only_look_like_plurals_stay() -> None:
    assert len({guise("boss"), guise("bos"), guise("gas"), guise("ga")}) == 4


def test_a_joined_pair_that_reads_like_a_word_is_that_word() -> None:
    found = vocabulary([["東京", "都"], ["東京都"], ["東京都"], ["東京", "都"]], max_df=1.0)
    assert found.terms == ("東京", "東京都", "都")
    assert found.n_parts.tolist() == [1, 1, 1]
    assert found.counts.sum(axis=0).tolist() == [2, 4, 2]


@given(TOKENS, st.integers(1, 3))
def test_counts_are_those_of_a_plain_count(tokens: list[list[str]], n_grams: int) -> None:
    found = vocabulary(tokens, n_grams=n_grams, min_df=1, max_df=1.0)
    plain = []
    for text in tokens:
        grams: Counter[str] = Counter()
        for size in range(1, n_grams + 1):
            for start in range(len(text) - size + 1):
                run = text[start : start + size]
                if all(run):
                    grams[" ".join(run)] += 1
        plain.append(dict(grams))
    assert counts(found) == plain
    assert list(found.terms) == sorted(set().union(*plain))
    assert found.counts.has_sorted_indices
    assert found.counts.shape == (len(tokens), len(found.terms))


@given(TOKENS, st.randoms())
def test_the_order_of_texts_does_not_matter(tokens: list[list[str]], random: object) -> None:
    order = np.random.default_rng(0).permutation(len(tokens))
    one = vocabulary(tokens, min_df=2, max_df=1.0)
    other = vocabulary([tokens[i] for i in order], min_df=2, max_df=1.0)
    assert one.terms == other.terms
    assert (one.counts.toarray()[order] == other.counts.toarray()).all()


@pytest.mark.parametrize("wrong", [{"n_grams": 0}, {"min_df": 0}, {"max_df": 0.0}, {"max_df": 1.5}])
def test_limits_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        vocabulary([["a"]], **wrong)
