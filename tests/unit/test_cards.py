"""Cards of clusters: what they are made of, kept in the record and found again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.silent import Listener
from tests.unit.outcomes import MANIFEST
from tests.unit.test_run import adapters, blobs, do
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.cli.render_cards import card_pairs
from vdbcluster.config.explain import ExplainSettings
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.cards import Card, Copies, Keyword, Odd, Representatives, Shown
from vdbcluster.pipeline.cards import (
    CARDS,
    Showing,
    card_arrays,
    newest_explanation,
    recorded_cards,
)
from vdbcluster.pipeline.explain import Explaining, explain_run
from vdbcluster.pipeline.explain_record import Explained
from vdbcluster.pipeline.findings import inner_cards
from vdbcluster.pipeline.graph_record import GRAPH
from vdbcluster.pipeline.members import neighborhood, run_members
from vdbcluster.pipeline.room import Room

WORDS = ("parcel courier", "guitar concert", "moon rocket")


def held() -> MemoryCollection:
    texts = [f"{WORDS[row // 200]} number {row}" for row in range(600)]
    return MemoryCollection(blobs(), columns={"text": texts})


def explained(
    collection: MemoryCollection, runs: Path, run_id: str = "first", text_field: str = "text"
) -> Explained:
    made = Explaining(
        adapters=adapters(collection, runs),
        tokenizer=ScriptTokenizer(detector=Py3LangId()),
        settings=Settings(explain=ExplainSettings(n_representatives=4)),
        text_field=text_field,
    )
    return explain_run(made, RunDirectory(runs).load(run_id), Listener())


def test_a_card_shows_members_of_its_own_cluster_with_their_own_texts(tmp_path: Path) -> None:
    collection = held()
    do(collection, tmp_path)
    cards = explained(collection, tmp_path).cards
    labels = collection.cluster_id
    assert sorted(card.id for card in cards) == [0, 1, 2]
    for card in cards:
        assert card.size == np.count_nonzero(labels == card.id)
        shown = card.representatives
        assert shown is not None
        lists = (shown.central, shown.dense, shown.diverse, shown.border)
        for row in (shown.medoid, *(row for some in lists for row in some)):
            assert labels[int(row.key)] == card.id
            assert row.text == f"{WORDS[int(row.key) // 200]} number {row.key}"
        assert all(len(some) == 4 for some in lists)
        own = set(WORDS[int(shown.medoid.key) // 200].split())
        assert own <= set(" ".join(card.terms).split())
        assert card.siblings[0].id != card.id
        assert own <= set(" ".join(card.siblings[0].words).split())
        assert card.siblings[0].cosine >= card.siblings[1].cosine


def test_inner_cards_lie_in_the_cluster_of_their_path_and_layers_have_none(
    tmp_path: Path,
) -> None:
    collection = held()
    manifest = do(collection, tmp_path)
    members = run_members(adapters(collection, tmp_path), manifest, Listener(), Room(1 << 30))
    show, settings = Showing(members.keys, None), ExplainSettings()
    halves = np.array([f"{i}/{row % 2}" for row, i in enumerate(members.labels)], object)
    inside = replace(members, labelled=replace(members.labelled, path=halves))
    cards = inner_cards(inside, None, show, settings)
    assert len(cards) == 6
    for card in cards:
        assert card.path.startswith(f"{card.id}/")
        assert card.representatives is not None
        key = int(card.representatives.medoid.key)
        assert f"{collection.cluster_id[key]}/{key % 2}" == card.path
        assert [sibling.called for sibling in card.siblings] == [
            f"{card.id}/{1 - int(card.path[-1])}"
        ]
    of_layers = np.array([f"{(i + 1) % 3}/{i}" for i in members.labels], object)
    layered = replace(members, labelled=replace(members.labelled, path=of_layers))
    assert inner_cards(layered, None, show, settings) == []


def test_cards_without_texts_say_so_and_show_keys(tmp_path: Path) -> None:
    collection = MemoryCollection(blobs())
    do(collection, tmp_path)
    cards = explained(collection, tmp_path, text_field="").cards
    assert all(card.keywords == () for card in cards)
    assert all(card.representatives and card.representatives.medoid.text is None for card in cards)


@pytest.mark.parametrize("center", ["none", "mean"])
def test_the_graph_is_that_of_the_run_and_a_row_that_is_gone_is_nobodys_neighbour(
    tmp_path: Path, center: str
) -> None:
    collection = held()
    settings = load_settings({"neighbors": {"center": center}})
    manifest = do(collection, tmp_path, settings=settings)
    collection.delete(range(40))
    made = adapters(collection, tmp_path)
    members = run_members(made, manifest, Listener(), Room(1 << 30))
    near = neighborhood(made, manifest, members, Listener())
    assert len(members) == near.graph.n_rows == len(near.points) == 560
    near.graph.validate()
    there = near.graph.indices[5] >= 0
    apart = np.linalg.norm(near.points[5] - near.points[near.graph.indices[5][there]], axis=1)
    np.testing.assert_allclose(apart, near.graph.distances[5][there], atol=1e-5)

    made.runs.drop_arrays("first", GRAPH)
    again = neighborhood(made, manifest, members, Listener())
    assert again.graph.n_rows == 560
    assert (again.graph.indices >= 0).all()


def test_the_newest_run_that_was_explained_is_the_one_that_is_shown(tmp_path: Path) -> None:
    collection, runs = held(), RunDirectory(tmp_path)
    manifest = do(collection, tmp_path)
    nothing = newest_explanation(runs, manifest.identity, "cluster_")
    assert (nothing.run_id, nothing.get(0)) == ("", None)
    first = explained(collection, tmp_path).cards
    do(collection, tmp_path, run_id="second")
    assert newest_explanation(runs, manifest.identity, "cluster_").cards == first
    explained(collection, tmp_path, "second")
    assert newest_explanation(runs, manifest.identity, "cluster_").run_id == "second"
    assert newest_explanation(runs, "another", "cluster_").run_id == ""
    runs.save(replace(runs.load("second"), state="rolled-back"))
    assert newest_explanation(runs, manifest.identity, "cluster_").run_id == "first"
    assert newest_explanation(runs, manifest.identity, "sub_").run_id == ""


TEXT = st.text(max_size=8)
KEY = st.one_of(st.integers(-(2**63), 2**63 - 1), TEXT)
SHOWN = st.builds(Shown, KEY, st.none() | TEXT)
CARD = st.builds(
    Card,
    id=st.integers(0, 99),
    size=st.integers(1, 99),
    keywords=st.tuples(
        st.builds(Keyword, TEXT, st.floats(0, 9), st.just(1), st.just(0.5), st.just(0.0))
    ),
    representatives=st.none() | st.builds(Representatives, SHOWN, st.tuples(SHOWN)),
    copies=st.tuples(st.builds(Copies, st.just("near"), SHOWN, st.tuples(KEY))),
    odd=st.tuples(st.builds(Odd, KEY, st.just(0.5), TEXT, st.none() | TEXT)),
    n_outliers=st.none() | st.integers(0, 9),
    n_duplicates=st.none() | st.integers(0, 9),
)


@given(st.lists(CARD, max_size=3))
def test_cards_come_back_from_the_record_and_are_told_in_plain_lines(cards: list[Card]) -> None:
    runs = MemoryRuns()
    runs.save(MANIFEST)
    runs.save_arrays(MANIFEST.run_id, card_arrays(cards), CARDS)
    assert recorded_cards(runs, MANIFEST.run_id) == tuple(cards)
    for card in cards:
        json.dumps(card.to_json())
        assert all(name == name.strip() and line is not None for name, line in card_pairs(card))


def test_cards_that_cannot_be_read_are_one_line() -> None:
    runs = MemoryRuns()
    runs.save(replace(MANIFEST, run_id="r"))
    for damaged in ('{"id": "x"}', "no json"):
        texts = np.array([damaged], object)
        runs.save_arrays("r", {"cards": texts}, CARDS)
        with pytest.raises(VdbclusterError, match="cannot be read") as found:
            recorded_cards(runs, "r")
        assert "\n" not in str(found.value)
