"""The parts that a report is made of: times, tiles, pictures, fields, figures."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.outcomes import MANIFEST
from vdbcluster.model.manifest import ClusterRow
from vdbcluster.model.report import Box, Grade, Timeline
from vdbcluster.pages.report.figures import share, sparkline, trends
from vdbcluster.pages.report.raster import heat, png, scatter
from vdbcluster.pages.report.treemap import tiles
from vdbcluster.pipeline.report_changes import event_line, history_lines
from vdbcluster.pipeline.report_clusters import Sources, report_clusters
from vdbcluster.pipeline.report_doubts import cluster_doubts, doubts
from vdbcluster.pipeline.report_fields import column_of
from vdbcluster.pipeline.report_near import boxes, nearness
from vdbcluster.pipeline.report_quality import measures
from vdbcluster.pipeline.report_run import server_name
from vdbcluster.pipeline.report_time import seconds, time_field, timeline

MAY = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("created", MAY.timestamp(), MAY),
        ("created", int(MAY.timestamp()) * 1000, MAY),
        ("created", int(MAY.timestamp()) * 1_000_000, MAY),
        ("at", "2024-05-01T12:30:00Z", MAY),
        ("at", "2024-05-01 14:30:00+02", MAY),
        ("at", "2024/05/01 12:30:00", MAY),
        ("at", "2024-05", MAY.replace(day=1, hour=0, minute=0)),
        ("at", "2024", MAY.replace(month=1, day=1, hour=0, minute=0)),
        ("year", 2024, MAY.replace(month=1, day=1, hour=0, minute=0)),
        ("at", "Wed, 01 May 2024 12:30:00 +0000", MAY),
    ],
)
def test_a_time_is_read_in_whatever_way_it_is_written(
    name: str, value: object, wanted: datetime
) -> None:
    assert seconds([value, None], name)[0] == wanted.timestamp()
    assert np.isnan(seconds([value, None], name)[1])


@pytest.mark.parametrize("value", ["", "soon", "20240501", True, 7, -1.5, "9999-99-99", [1], {}])
def test_what_is_no_time_is_none(value: object) -> None:
    assert np.isnan(seconds([value], "created")[0])


def test_the_field_of_times_is_chosen_by_name_and_by_what_it_holds() -> None:
    days = [f"2024-05-{day:02d}" for day in range(1, 21)]
    numbers = [int(MAY.timestamp()) + 1000 * i for i in range(20)]
    assert time_field({"id": numbers, "said": days}) == "said"
    assert time_field({"updated_at": days, "created_at": days}) == "created_at"
    assert time_field({"count": numbers, "price": list(range(20))}) == ""
    assert time_field({"created": numbers}) == "created"
    assert time_field({"birthdate": days}) == ""
    assert time_field({"date": ["2024-05-01"] * 20}) == ""
    assert time_field({}) == ""


@pytest.mark.parametrize(
    "text", ["Mon, 1 Jan 2024 00:00:00 +9" + 20 * "9", "Mon, 99999999999 Jan 2024 00:00:00"]
)
def test_numbers_beyond_all_clocks_are_no_time(text: str) -> None:
    assert np.isnan(seconds([text], "created")[0])
    assert time_field({"said": [text, "plain"]}) == ""


def test_a_moment_that_is_rounded_into_the_next_period_is_counted() -> None:
    midnight = MAY.replace(hour=0, minute=0).timestamp()
    times = np.array([midnight - 2.4e-7, midnight + 3 * 86_400, midnight + 5 * 86_400])
    found = timeline("at", times, np.zeros(3, np.int64))
    assert found is not None
    assert sum(found.totals) == 3


@given(
    st.lists(st.tuples(st.integers(0, 4_000_000), st.integers(-1, 3)), min_size=1, max_size=60),
    st.sampled_from([1, 60, 3600, 86_400]),
)
@settings(max_examples=60)
def test_every_dated_row_is_in_one_period_or_outside(
    rows: list[tuple[int, int]], step: int
) -> None:
    times = np.array([MAY.timestamp() + moment * step / 60 for moment, _ in rows])
    times[::7] = np.nan
    labels = np.array([label for _, label in rows])
    found = timeline("at", times, labels)
    if found is None:
        return
    dated = int((~np.isnan(times)).sum())
    assert sum(found.totals) + found.outside == dated
    assert found.undated == len(rows) - dated
    assert len(found.periods) == len(set(found.periods)) == len(found.totals) <= 120
    for counts in found.clusters.values():
        assert all(c <= t for c, t in zip(counts, found.totals, strict=True))
    clustered = sum(sum(counts) for counts in found.clusters.values())
    noise = int(np.count_nonzero(labels[~np.isnan(times)] == -1))
    assert sum(found.totals) - clustered <= noise


def test_stray_times_do_not_stretch_the_chart_but_a_long_tail_stays() -> None:
    many = [(MAY + timedelta(hours=i)).timestamp() for i in range(1000)]
    stray = timeline("at", np.array([*many, 0.0]), np.zeros(1001, np.int64))
    assert stray is not None
    assert (stray.outside, stray.unit) == (1, "week" if len(stray.periods) < 9 else "day")
    assert sum(stray.totals) == 1000
    whole = timeline("at", np.array(many), np.zeros(1000, np.int64))
    assert whole is not None
    assert whole.outside == 0


def test_trends_compare_thirds_of_the_rows() -> None:
    line = Timeline("at", "day", ("a", "b", "c"), (10, 10, 10), {0: (1, 2, 9), 1: (9, 8, 1)})
    found = trends(line)
    assert [(t.id, t.early, t.late) for t in found] == [(0, 0.1, 0.9), (1, 0.9, 0.1)]
    assert trends(replace(line, totals=(1, 1, 28))) == []


def above(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.tuples(st.just(""), st.integers(0, 20), st.lists(inner, min_size=1, max_size=4))


leaves: st.SearchStrategy[object] = st.integers(1, 50).map(lambda n: ("", n, ()))
trees = leaves | above(leaves) | above(leaves | above(leaves))


def box_of(tree: object, path: str = "0") -> Box:
    _, own, inner = tree  # type: ignore[misc]
    made = tuple(box_of(one, f"{path}/{i}") for i, one in enumerate(inner))
    return Box(path, 0, own + sum(one.size for one in made), path, made)


@given(st.lists(trees, min_size=1, max_size=8), st.floats(50, 2000), st.floats(50, 2000))
@settings(max_examples=60)
def test_tiles_fill_the_room_in_proportion_and_never_overlap(
    given_trees: list[object], width: float, height: float
) -> None:
    some = [box_of(tree, str(i)) for i, tree in enumerate(given_trees)]
    found = tiles(some, width, height)
    whole = [tile for tile in found if tile.depth == 0]
    total = sum(box.size for box in some)
    assert len(whole) == sum(box.size > 0 for box in some)
    for tile in whole:
        area = width * height * tile.box.size / total
        assert tile.width * tile.height == pytest.approx(area, rel=1e-6)
    for depth in {tile.depth for tile in found}:
        level = [tile for tile in found if tile.depth == depth]
        for i, a in enumerate(level):
            assert a.x >= -1e-6
            assert a.x + a.width <= width + 1e-6
            assert a.y + a.height <= height + 1e-6
            for b in level[:i]:
                apart_x = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
                apart_y = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
                assert min(apart_x, apart_y) <= 1e-6


def pixels_of(uri: str) -> np.ndarray:
    """What a reader of PNG sees: places in the palette."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, found = 8, {}
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + body)
        found[kind] = body
        at += 12 + length
    width, height = struct.unpack(">II", found[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:]


def test_a_png_holds_what_was_drawn() -> None:
    drawn = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(pixels_of(png(drawn, [("102030", 255)] * 12)), drawn)
    cosines = np.array([[1, -0.5], [-0.5, 0]], np.float32)
    assert pixels_of(heat(cosines)).tolist() == [[200, 50], [50, 100]]
    assert pixels_of(heat(cosines, 0.5)).tolist() == [[200, 0], [0, 100]]


def test_dots_are_where_the_points_are() -> None:
    points = np.array([[0, 0], [10, 0], [10, 5]], np.float32)
    made = scatter(points, np.array([0, 1, 2]), ["bcc1c9", "1f7dc6", "e9a73f"], 200, 100)
    drawn = pixels_of(made.uri)
    for place, slot in zip(made.places, (1, 2, 3), strict=True):
        x, y = np.rint(place).astype(int)
        assert drawn[y, x] == slot
    assert made.places[2, 1] < made.places[1, 1]  # upwards is up
    many = scatter(np.random.default_rng(0).random((5000, 2), np.float32), np.zeros(5000, int),
                   ["bcc1c9"], 400, 300)  # fmt: skip
    assert 0.05 < np.mean(pixels_of(many.uri) > 0) < 0.5


def test_bars_of_numbers_share_their_ranges_and_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    values = [*rng.lognormal(3, 2, 990).tolist(), *[None] * 10]
    column = column_of("price", values)
    assert column is not None
    inside = np.arange(1000) < 300
    bars = column.bars(inside)
    assert len(bars.labels) == 12
    assert sum(bars.inside) == pytest.approx(1)
    assert sum(bars.others) == pytest.approx(1)
    assert bars.labels == column.bars(~inside).labels
    assert bars.labels[-1].endswith("and more")
    flags = column_of("flag", [True] * 30 + [False] * 70)
    assert flags is not None
    told = flags.bars(np.arange(100) < 40)
    assert dict(zip(told.labels, told.inside, strict=True)) == {"true": 0.75, "false": 0.25}
    assert column_of("none", [None, None]) is None
    assert column_of("lists", [[1], [2]]) is None
    few = column_of("few", [1, 2, 2, 5])
    assert few is not None
    assert few.labels == ("1", "2", "5")
    sparse = column_of("sparse", ["a", None, None, "b"])
    assert sparse is not None
    told = sparse.bars(np.array([True, True, False, False]))
    assert dict(zip(told.labels, told.inside, strict=True)) == {"a": 0.5, "b": 0, "missing": 0.5}


def test_paths_become_boxes_within_boxes() -> None:
    labels = np.array([3, 3, 3, 5, -1])
    paths = np.array(["3/0", "3/0", "3", "5", ""], object)
    found = boxes(labels, paths, lambda path: f"<{path}>")
    assert [(box.path, box.id, box.size) for box in found] == [
        ("3", 3, 3),
        ("5", 5, 1),
        ("-1", -1, 1),
    ]
    assert [(box.path, box.size) for box in found[0].inner] == [("3/0", 2)]
    assert found[0].title == "<3>"
    assert boxes(labels, None, str)[0].inner == ()


def test_many_clusters_leave_out_the_smallest() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(200), np.arange(1, 201))
    vectors = rng.normal(size=(len(labels), 6)).astype(np.float32)
    found = nearness(labels, vectors)
    assert found is not None
    assert found.left_out == 50
    assert min(found.ids) == 50
    assert nearness(np.zeros(5, np.int64), vectors[:5]) is None


def row(stability: float | None, soft: int = 0) -> ClusterRow:
    return ClusterRow(4, 100, soft, 0.2, stability, "text")


def test_soft_rows_are_counted_among_those_that_are_there() -> None:
    known = Sources(replace(MANIFEST, clusters=(row(0.9, soft=60),)))
    labels = np.array([4, 4, -1, 4])
    (found,) = report_clusters(labels, np.array([True, False, False, False]), known)
    assert (found.size, found.share, found.soft) == (3, 0.75, 1)  # the run had 60 of 100


def test_what_is_doubtful_is_said() -> None:
    assert cluster_doubts(row(0.9)) == ()
    assert "hardly" in cluster_doubts(row(0.4))[0]
    assert "70%" in cluster_doubts(row(0.9, soft=70))[0]
    facts = {
        "clustering": {"rows": 1000, "clusters": 2, "noise": 600, "soft": 300, "largest": 390},
        "audit": {"sample": 100, "recall": 0.7, "low": 0.66, "high": 0.74, "k": 15},
        "languages": {"verdict": "split", "shares": [["en", 0.5], ["ja", 0.5]], "neighbors": 0.9,
                      "chance": 0.5, "homogeneity": 0.95, "determined": 900},
    }  # fmt: skip
    bad = replace(MANIFEST, facts=facts, clusters=(row(0.4), row(0.3)), state="rolled-back")
    found = measures(bad)
    grades = {one.name: one.grade for one in found}
    assert grades["Rows in no cluster"] == Grade.DOUBTFUL
    assert grades["Stability"] == Grade.DOUBTFUL
    assert grades["Recall of the neighbour search"] == Grade.DOUBTFUL
    assert grades["Languages"] == Grade.DOUBTFUL
    assert grades["Rows given to a cluster by their neighbours"] == Grade.FAIR
    told = " ".join(doubts(bad, found))
    assert "--center language" in told
    assert "rolled back" in told
    assert measures(replace(MANIFEST, facts={})) == ()


def test_words_for_events_and_their_days() -> None:
    parts = [{"id": 7, "rows": 9, "share": 0.9}, {"id": 31, "rows": 1, "share": 0.1}]
    split = {"kind": "split-into", "before": 10, "after": 9, "parts": parts}
    assert event_line(split) == "split into 7 (90%), 31 (10%), 9 rows"
    assert event_line({"kind": "grown", "before": 10, "after": 12, "parts": []}) == (
        "10 rows became 12"
    )
    lineage = '[{"run": "r1", "kind": "born", "id": 1, "before": 0, "after": 5, "parts": []}]'
    assert history_lines(lineage, {"r1": "2024-05-01"}) == ("2024-05-01: new, 5 rows",)
    assert history_lines("nonsense", {}) == ()
    assert history_lines("[3]", {}) == ()


def test_no_password_of_an_address_is_shown() -> None:
    assert server_name("http://user:secret@host:19530/x?token=t") == "http://host:19530/x"
    assert server_name("/home/me/milvus.db") == "/home/me/milvus.db"


def test_figures_for_readers() -> None:
    assert [share(x) for x in (0, 0.0004, 0.052, 0.19, 1)] == ["0%", "<0.1%", "5.2%", "19%", "100%"]
    assert sparkline([0, 1, 2]) == "▁▅█"
    assert sparkline([]) == ""
