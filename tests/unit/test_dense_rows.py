"""Dense groups of a collection: found, told, ranked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data import embeddings, table
from tests.silent import Listener
from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.distance import prepare
from vdbcluster.hierarchy.ranking import ranking
from vdbcluster.model.cards import Card, Commentary, Shown
from vdbcluster.pipeline.dense import DenseRows, Group, Words, dense_rows, ranked, told
from vdbcluster.wiring import library

PLAIN = Settings()
NEWS = "news870.e5-small-q4.384.f16.npy"

values = st.floats(0.1, 100)


@given(st.lists(st.tuples(values, st.one_of(st.none(), st.integers(0, 100))), min_size=1))
def test_a_group_that_is_better_in_both_comes_first(groups: list[tuple[float, int | None]]) -> None:
    density = np.array([one for one, _ in groups])
    interest = np.array([np.nan if one is None else one for _, one in groups])
    order, scores = ranking(density, interest)
    assert sorted(order.tolist()) == list(range(len(groups)))
    assert ((scores > 0) & (scores <= 1)).all()
    assert (np.diff(scores[order]) <= 0).all()
    for i, j in zip(order.tolist(), order.tolist()[1:], strict=False):
        worse = density[i] <= density[j] and interest[i] <= interest[j]
        assert not (worse and (density[i], interest[i]) != (density[j], interest[j]))
    alike = ranking(density * 7, interest * 2 + 3)
    assert (alike[0] == order).all()


@given(st.lists(values))
def test_density_alone_ranks_where_nothing_was_judged(densities: list[float]) -> None:
    density = np.array(densities)
    by_density = np.argsort(-density, kind="stable").tolist()
    for interest in (None, np.full(len(density), np.nan)):
        assert ranking(density, interest)[0].tolist() == by_density
    with pytest.raises(ValueError, match="densities"):
        ranking(density, np.ones(len(density) + 1))


def group(number: int, density: float) -> Group:
    return Group(Card(number, 1), density, 0.5, 0.1, (Shown(number),))


def said(interest: int | None) -> Commentary:
    return Commentary("a name", "what it is", interestingness=interest)


def test_what_is_said_of_groups_ranks_and_names_them() -> None:
    groups = [group(1, 4.0), group(2, 3.0), group(3, 2.0), group(4, 1.0)]
    assert [one.card.id for one in ranked(groups)] == [1, 2, 3, 4]
    judged = ranked(groups, {1: said(10), 2: said(90), 4: said(50), 9: said(0)})
    assert [one.card.id for one in judged] == [2, 1, 3, 4]
    assert [one.interestingness for one in judged] == [90, 10, None, 50]
    assert [one.name for one in judged] == ["a name", "a name", "", "a name"]
    assert judged[0].to_json()["commentary"]["description"] == "what it is"
    assert [one.card.id for one in ranked(groups, {3: said(None)})] == [1, 2, 3, 4]


class OneByOne:
    """A ``Tokenizer`` of words between blanks."""

    description, notes = "blanks", ("something to know",)

    def terms(self, texts: Sequence[str | None]) -> list[list[str]]:
        return [(text or "").lower().split() for text in texts]


class Counting(MemorySource):
    asked = 0

    def texts(self, keys: np.ndarray, field: str) -> list[str | None]:
        self.asked += len(keys)
        return super().texts(keys, field)


def news() -> tuple[MemoryCollection, np.ndarray]:
    vectors = embeddings(NEWS)
    texts = table("news870.parquet")["text"].tolist()
    doubled = np.concatenate([vectors, vectors[:50]])
    held = MemoryCollection(doubled, np.arange(5, 5 + len(doubled)),
                            columns={"text": texts + texts[:50]})  # fmt: skip
    mean = vectors.mean(axis=0)
    return held, prepare(doubled, "chord", mean=mean / np.linalg.norm(mean))


def found_in(points: np.ndarray, keys: np.ndarray, settings: Settings) -> DenseRows:
    graph = library.neighbors(points, n_neighbors=29)
    return dense_rows(keys, graph, points, settings)


def test_stories_of_the_news_with_their_words() -> None:
    held, points = news()
    settings = load_settings({"dense": {"background": 100, "n_groups": 25}})
    found = found_in(points, held.keys, settings)
    assert found.copies >= 50
    assert len(found.keys) + found.copies == len(points)
    assert (len(found.groups), found.unlisted > 0) == (25, True)
    source, listener = Counting(held), Listener()

    groups = told(found, Words(source, "text", OneByOne()), settings, listener)

    members = sum(len(one.members) for one in groups)
    assert source.asked == members + 100
    assert listener.warnings == ["something to know"]
    assert [one.card.id for one in groups] == list(range(1, 26))
    texts = dict(zip(held.keys.tolist(), held.columns["text"], strict=True))
    for one, was in zip(groups, found.groups, strict=True):
        assert {member.key for member in one.members} == set(found.keys[was.members].tolist())
        assert one.members[0].key == found.keys[was.medoid]
        assert one.card.size == len(one.members)
        assert all(member.text == texts[member.key] for member in one.members)
        assert type(one.members[0].key) is int
    own = [sum(one.card.terms[0] in (m.text or "").lower() for m in one.members) for one in groups]
    assert sum(own) > 0.6 * members


def test_copies_count_where_that_is_said() -> None:
    _, points = news()
    points = np.concatenate([points, np.repeat(points[:1], 8, axis=0)])
    keys = np.arange(len(points))
    for distinct in (True, False):
        settings = load_settings({"dense": {"distinct": distinct}})
        found = found_in(points, keys, settings)
        assert (found.copies > 0) == distinct
        densest = found.groups[0]
        assert (len(found.keys[densest.members]) >= 9 and 0 in densest.members) == (not distinct)


def test_groups_without_texts_have_keys_and_no_words() -> None:
    held, points = news()
    found, listener = found_in(points, held.keys, PLAIN), Listener()
    groups = told(found, Words(MemorySource(held), "", OneByOne()), PLAIN, listener)
    assert {(one.name, one.members[0].text) for one in groups} == {("", None)}
    assert "--text-field" in listener.notes[0]
    held.columns["empty"] = [None] * len(held)
    with pytest.raises(UsageError, match="no row has a text in the field 'empty'"):
        told(found, Words(MemorySource(held), "empty", OneByOne()), PLAIN, listener)
