"""Maps as data and as a page: what goes in comes out, nothing steers, the size is kept to."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.browser.map_world import HARM, map_view
from vdbcluster.model.maps import MapCluster, MapView
from vdbcluster.pages.map import map_page, map_script
from vdbcluster.pages.map_data import map_data
from vdbcluster.pages.map_encode import STEPS, packed, quantised, thinned, unpacked
from vdbcluster.pages.map_places import stand
from vdbcluster.pages.resources import json_element, policy, safe_json
from vdbcluster.pages.wording import plain, shortened

PLENTY = 10**9
COLUMN = st.lists(st.none() | st.text(max_size=30), max_size=40)


def axis(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u2")


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 50), st.sampled_from([2, 3])),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_points_come_back_to_within_a_step(points: np.ndarray) -> None:
    axes, ranges = quantised(points)
    width = ranges[0][1] - ranges[0][0]
    for d, (text, (low, high)) in enumerate(zip(axes, ranges, strict=True)):
        found = low + axis(text) / STEPS * (high - low)
        assert np.abs(found - points[:, d]).max() <= width / STEPS
        assert high - low == pytest.approx(width)  # one scale: shapes stay


@given(COLUMN)
def test_texts_come_back(column: list[str | None]) -> None:
    lone = [None if t is None else t.encode("utf-8", "replace").decode() for t in column]
    assert unpacked(packed(column)) == lone
    assert packed(column) == packed(column)


@given(st.text(max_size=400), st.integers(1, 60))
def test_what_is_shortened_fits_and_does_not_steer(text: str, most: int) -> None:
    told = shortened(text, most)
    assert len(told) <= most
    assert not re.search("[\x00-\x1f\u202a-\u202e\u2066-\u2069]", told)
    if len(plain(text)) <= most and len(text) <= most:
        assert told == plain(text)


def test_cut_between_words_and_never_within_a_sign() -> None:
    assert shortened("the courier lost it", 18) == "the courier lost…"
    assert shortened("x" * 9 + "e\u0301" * 9, 12) == "x" * 9 + "e…"
    assert shortened("a\u202eb\u2028c\x1b[0m", 40) == "a b c [0m"


@given(st.text())
def test_json_in_a_page_ends_nothing(text: str) -> None:
    lone = text.encode("utf-8", "replace").decode()
    told = safe_json({text: [text]})
    assert not set("<>&\u2028\u2029") & set(told)
    assert json.loads(told) == {lone: [lone]}


def test_an_element_of_data_holds_no_other() -> None:
    assert str(json_element('a"b', HARM)).count("<") == 2


def test_every_row_with_a_place_is_drawn() -> None:
    view = map_view()
    made = map_data(view, PLENTY)
    assert (made.rows, made.drawn, made.data["n"]) == (620, 619, 619)
    assert made.told == ["1 of 620 rows have no place on the map"]
    groups = np.frombuffer(base64.b64decode(made.data["groups"]), "<i4")
    ids = np.array([one["id"] for one in made.data["clusters"]])
    assert np.array_equal(np.where(groups < 0, -1, ids[groups]), view.labels[:-1])
    assert unpacked(made.data["keys"])[0] == str(2**60)
    assert made.data["shown"] == {"0": [7, 3]}


def test_texts_are_thinned_by_lot_and_those_that_show_a_cluster_stay() -> None:
    view = map_view()
    whole = map_data(view, PLENTY)
    size = len(safe_json(whole.data).encode())
    small = map_data(view, size - len(whole.data["texts"]) // 2)
    assert small.data["n"] == whole.data["n"]
    assert small.hovers == whole.hovers
    assert 0 < small.kept < small.hovers
    texts = unpacked(small.data["texts"])
    assert texts[7] is not None
    assert texts[3] is not None
    assert sum(text is not None for text in texts) == small.kept
    assert f"{small.kept:,} of {small.hovers:,}" in small.told[-1]
    assert map_data(view, 0).kept == 0
    again = map_data(view, size - len(whole.data["texts"]) // 2)
    assert again.data == small.data


def test_where_no_row_has_a_text_there_is_none_to_leave_out() -> None:
    packs, kept = thinned([[None] * 50], np.array([], np.int64), -1)
    assert (unpacked(packs[0]), len(kept)) == ([None] * 50, 0)


@settings(max_examples=30)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=60), st.integers(0, 3000))
def test_thinned_keeps_to_its_bytes(texts: list[str], limit: int) -> None:
    order = np.random.default_rng(0).permutation(len(texts))
    packs, kept = thinned([texts], order, limit)
    empty = packed([None] * len(texts))
    assert len(packs[0]) <= limit or packs[0] == empty
    assert [t for t in unpacked(packs[0]) if t is not None] == [
        texts[row].encode("utf-8", "replace").decode() for row in kept
    ]


def test_a_page_keeps_to_its_size_and_says_if_it_cannot() -> None:
    view = map_view(pictures=True)
    page = map_page(view, max_mb=5.1)
    assert page.size <= 5.1e6
    assert page.size == len(page.html.encode())
    tight = map_page(view, max_mb=4)
    assert tight.made.drawn == 619
    assert "the points alone take" in tight.told[-1]


def test_a_page_runs_our_scripts_alone() -> None:
    html = map_page(map_view()).html
    assert HARM not in html
    assert html.count("<script>") == 3
    rule = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert rule is not None
    for wanted in ("default-src 'none'", "connect-src 'none'", "img-src data: blob:"):
        assert wanted in rule[1]
    assert "'unsafe-inline'" not in rule[1].split("style-src")[0]
    assert policy([map_script()]).split("'")[3] in rule[1]
    assert "http://" not in map_script()
    assert "https://" not in map_script()


def test_a_map_of_nothing() -> None:
    none = np.empty(0, np.float32)
    view = MapView("t", none, np.empty((0, 2), np.float32), none.astype(np.int64), none, ())
    assert map_page(view).made.data["n"] == 0


def test_a_label_that_no_cluster_has_is_noise() -> None:
    view = replace(map_view(), clusters=(MapCluster(3, 100),))
    groups = np.frombuffer(base64.b64decode(map_data(view, PLENTY).data["groups"]), "<i4")
    assert (groups == 0).sum() == 100
    assert (groups == -1).sum() == 519


def test_a_name_stands_among_its_rows() -> None:
    view = map_view()
    ring = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    points = np.stack([np.cos(ring), np.sin(ring)], axis=1).astype(np.float32)
    at = stand(points, np.zeros(200, np.int64), [0, 9])
    assert set(at) == {0}
    assert np.hypot(*at[0]) == pytest.approx(1, abs=1e-5)  # not in the hole in the middle
    flat = stand(view.points[:600], view.labels[:600], range(6))
    assert np.hypot(flat[1][0] - 6, flat[1][1]) < 0.4
