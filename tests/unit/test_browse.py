"""What the search UI remembers, and for how long; fields, texts, clusters that are alike."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.serving_worlds import RUN, Words, entry, make_world
from vdbcluster.errors import BackendUnavailableError, UsageError
from vdbcluster.model.cards import Card
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.collection import VectorField
from vdbcluster.model.live import Chosen, LiveRow
from vdbcluster.pipeline.browse_alike import nearest
from vdbcluster.pipeline.browse_edits import Changes, edit_of
from vdbcluster.pipeline.browse_fields import LONG, brief, image_of, plain, shown_fields, text_of
from vdbcluster.pipeline.browse_map import MapShelf
from vdbcluster.pipeline.browse_shelf import STALE, Shelf
from vdbcluster.pipeline.browse_text import AGAIN, NoTextSearchError, TextSearch
from vdbcluster.pipeline.cards import CARDS, card_arrays
from vdbcluster.pipeline.part import part_of
from vdbcluster.ports.live import NoRowError

FIELD = VectorField("vector", "FLOAT_VECTOR", 3, "COSINE", "FLAT")


def waited_for(shelf: Shelf) -> None:
    """Until nobody reads."""
    with shelf._reading:
        pass


def test_a_catalogue_is_read_again_when_it_is_old_or_edited() -> None:
    world, now, reads = make_world(), [0.0], list[int]()

    def opened() -> object:
        reads.append(1)
        return world.catalogue

    shelf = Shelf(opened, world.runs, "cluster_", clock=lambda: now[0])  # type: ignore[arg-type]
    first = shelf.now()
    now[0] = 1.9
    assert shelf.now() is first
    now[0] = 2.1
    assert shelf.now() is first  # once more, while it is read anew
    waited_for(shelf)
    second = shelf.now()
    assert second is not first
    now[0] += STALE
    assert shelf.now() is not second  # too old for anybody
    shelf.forget()
    shelf.now()
    assert len(reads) == 4
    assert first.run_id == RUN


def test_an_edit_while_another_reads_is_seen_by_the_next() -> None:
    world, now = make_world(), [0.0]
    reading, go_on = threading.Event(), threading.Event()

    class Slow:
        def read(self) -> Catalogue | None:
            found = world.catalogue.read()
            if now[0] > 0:
                reading.set()
                go_on.wait(20)
            return found

    shelf = Shelf(Slow, world.runs, "cluster_", clock=lambda: now[0])  # type: ignore[arg-type,return-value]
    before = shelf.now()
    now[0] = 5.0
    assert shelf.now() is before  # not kept waiting
    assert reading.wait(20)
    world.catalogue.edit(lambda held: [replace(held.entries[0], name="edited")])
    shelf.forget()
    go_on.set()
    assert shelf.now().title(0) == "edited"


def test_an_old_catalogue_is_not_shown_while_the_server_is_away() -> None:
    world, now = make_world(), [0.0]

    def opened() -> object:
        if now[0] > 0:
            raise BackendUnavailableError("away")
        return world.catalogue

    shelf = Shelf(opened, world.runs, "cluster_", clock=lambda: now[0])  # type: ignore[arg-type]
    first = shelf.now()
    now[0] = STALE - 1
    assert shelf.now() is first
    waited_for(shelf)
    now[0] = STALE + 1
    with pytest.raises(BackendUnavailableError):
        shelf.now()


def test_a_model_that_was_away_is_tried_again() -> None:
    now, away = [0.0], [True]

    class Model(Words):
        def embed(self, texts):  # type: ignore[no-untyped-def]
            if away[0]:
                raise BackendUnavailableError("the model is away")
            return super().embed(texts)

    model = Model()
    texts = TextSearch(lambda: model, lambda: FIELD, "query: ", lambda: now[0])
    assert texts.state().reason == "the model is away"
    away[0] = False
    with pytest.raises(NoTextSearchError, match="the model is away"):
        texts.vector("seven")
    now[0] = AGAIN + 1
    assert texts.vector("seven").tolist() == pytest.approx([0, 1, 0.1])
    assert model.asked[-1] == "query: seven"


def test_while_one_tries_a_model_again_others_are_not_kept_waiting() -> None:
    now, trying, go_on = [0.0], threading.Event(), threading.Event()

    class Model(Words):
        def embed(self, texts):  # type: ignore[no-untyped-def]
            if now[0] > 0:
                trying.set()
                assert go_on.wait(20)
            raise BackendUnavailableError("the model is away")

    texts = TextSearch(Model, lambda: FIELD, clock=lambda: now[0])
    first = texts.state()
    now[0] = AGAIN + 1
    one = threading.Thread(target=texts.state)
    one.start()
    assert trying.wait(20)
    second = threading.Thread(target=texts.state)
    second.start()
    second.join(20)
    kept = second.is_alive()
    go_on.set()
    for thread in (one, second):
        thread.join(20)
    assert not kept
    assert texts.state() == first


def test_a_model_that_cannot_be_opened_is_a_reason_and_no_error() -> None:
    def missing() -> Words:
        raise UsageError("no key was given")

    assert TextSearch(missing, lambda: FIELD).state().reason == "no key was given"
    binary = VectorField("bits", "BINARY_VECTOR", 64, "HAMMING", None)
    assert "no float vectors" in TextSearch(Words, lambda: binary).state().reason


def test_clusters_are_alike_about_the_mean_of_all() -> None:
    entries = [
        entry(0, 10, 1, (10, 1, 0)),
        entry(1, 10, 1, (10, 0.9, 0.1)),
        entry(2, 10, 1, (10, -1, 0)),
    ]
    near = nearest(entries[0], entries, 5)
    assert [one.entry.id for one in near] == [1, 2]
    assert near[0].cosine > 0.9
    assert near[1].cosine < 0  # about zero all three would be alike: 0.98 and more
    assert nearest(entries[0], entries, 1)[0].entry.id == 1
    assert nearest(entries[0], entries[:1], 5) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        | st.binary(max_size=5) | st.floats(width=32).map(np.float32),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(), inner),
        max_leaves=8,
    )
)  # fmt: skip
def test_values_of_fields_become_json_that_every_reader_takes(value: object) -> None:
    def check(found: object) -> None:
        if isinstance(found, dict):
            for name, one in found.items():
                assert isinstance(name, str)
                check(one)
        elif isinstance(found, list):
            for one in found:
                check(one)
        elif isinstance(found, float):
            assert math.isfinite(found)
        elif isinstance(found, int):
            assert abs(found) <= 2**53
        else:
            assert found is None or isinstance(found, str)

    check(plain(value))


def test_pictures_are_data_of_known_kinds_alone() -> None:
    assert image_of("data:image/png;base64,iVBORw0KGgo=")
    for wrong in (
        "data:image/svg+xml;base64,PHN2Zz4=",
        "http://elsewhere.example/x.png",
        "javascript:alert(1)",
        'data:image/png;base64,AA" onerror="x',
        "data:text/html;base64,AA==",
        b"\x89PNG",
        None,
    ):
        assert image_of(wrong) is None, wrong
    assert text_of("x" * 2000) == "x" * 999 + "…"
    assert text_of(5) == "5"


def test_fields_of_ours_and_long_ones_are_not_shown() -> None:
    world = make_world()
    profile = world.services.browser.profile()
    page = world.services.browser.live.page(Chosen(), ("year",), 3)
    long = LiveRow(1, None, {"year": 5, "cluster_id": 3, "long": "x" * 500, "image": "data:"})
    shown = shown_fields(profile, [*page.rows, long], ["cluster_id"])
    assert (shown.text, shown.image) == ("text", "image")
    assert set(shown.few) == {"year", "odd"}
    assert shown_fields(profile, [long], [], text="year").text == "year"


def test_a_row_that_goes_away_while_fields_are_told_is_passed_over() -> None:
    browser = make_world().services.browser
    whole = browser.live.whole

    def gone(key: int) -> LiveRow:
        if key == 1:
            raise NoRowError("gone")
        return whole(key)

    browser.live.whole = gone  # type: ignore[method-assign,assignment]
    assert browser.fields().text == "text"


def test_values_beside_a_row_are_brief_and_no_value_is_too_deep() -> None:
    deep: object = "end"
    for _ in range(5_000):
        deep = [deep]
    for value in (deep, "x" * 5_000, {"a": "x" * 5_000}, list(range(5_000))):
        assert len(str(brief(value))) == LONG or value is deep
        assert len(str(plain(value))) < 30_000
    for value in (5, 2.5, True, None, "short", [1, 2], {"a": 1}):
        assert brief(value) == value


def test_a_map_and_cards_of_other_rows_than_are_served_are_not_shown() -> None:
    world = make_world()
    identity = world.services.browser.profile().identity
    run = world.runs.load(RUN)
    world.runs.save_arrays(RUN, card_arrays([Card(0, 5)]), CARDS)
    for there, asked, shown in (
        ({}, ("", ()), True),
        ({"filter": "year > 2000"}, ("", ()), True),
        ({}, ("year > 2000", ()), False),
        ({"filter": "year > 2000"}, ("year > 2000", ()), True),
        ({"filter": "", "partitions": ["b", "a"]}, part_of("", ("b", "a")), True),
        ({"filter": "", "partitions": ["a"]}, part_of("", ("a", "b")), False),
    ):
        world.runs.save(replace(run, selection=there))
        found = MapShelf(world.runs, "cluster_", part=asked).newest(identity)
        assert (found is not None) == shown, (there, asked)
        shelf = Shelf(lambda: world.catalogue, world.runs, "cluster_", rows=asked)
        assert bool(shelf.now().explanation.cards) == shown, (there, asked)


def test_an_edit_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing is to change"):
        edit_of(Changes())
    with pytest.raises(UsageError, match="51 keywords"):
        edit_of(Changes(keywords=["x"] * 51))
