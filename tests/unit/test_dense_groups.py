"""The densest small groups, and the files that they are written to."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import embeddings, table
from tests.unit.method_data import graph_of
from vdbcluster.adapters.group_files import (
    GroupRow,
    MemberRow,
    as_csv,
    as_json,
    as_markdown,
    write_groups,
)
from vdbcluster.duplicates import find_duplicates, without_duplicates
from vdbcluster.graph.distance import center
from vdbcluster.hierarchy.groups import DenseGroup, GroupParams, dense_groups


def world(seed: int, sizes: tuple[int, ...] = (6, 8, 12), around: int = 300) -> np.ndarray:
    """Rows anywhere, and before them tight groups, each looser than the one before."""
    lots = np.random.default_rng(seed)
    groups = [
        lots.uniform(-5, 5, 6) + 0.02 * (place + 1) * lots.normal(size=(size, 6))
        for place, size in enumerate(sizes)
    ]
    return np.concatenate((*groups, lots.uniform(-5, 5, (around, 6)))).astype(np.float32)


def groups_of(points: np.ndarray, k: int = 20, **params: Any) -> tuple[DenseGroup, ...]:
    return dense_groups(graph_of(points, k), points, GroupParams(**params))


def test_planted_groups_come_first_and_in_order() -> None:
    found = groups_of(world(1))
    first = [group.members.tolist() for group in found[:3]]
    assert first == [[*range(6)], [*range(6, 14)], [*range(14, 26)]]
    assert found[0].density > found[1].density > found[2].density > 10
    assert min(group.persistence for group in found[:3]) > 0.5
    assert all(group.density < 4 for group in found[3:])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 8), st.sampled_from([0, 1.0, 2.0]))
def test_every_answer_keeps_its_promises(seed: int, smallest: int, alike: float) -> None:
    points = world(seed, around=80)
    found = groups_of(points, min_cluster_size=smallest, alike=alike)
    members = np.concatenate([group.members for group in found] or [np.empty(0)])
    assert len(members) == len(np.unique(members))
    densities = [group.density for group in found]
    assert densities == sorted(densities, reverse=True)
    for group in found:
        assert smallest <= len(group) <= 30
        assert group.medoid in group.members
        assert group.centroid == pytest.approx(points[group.members].mean(axis=0), abs=1e-5)
        assert 0 <= group.persistence <= 1
        assert np.isfinite(group.density)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**16))
def test_neither_order_nor_unit_decide(seed: int) -> None:
    points = world(seed, around=80)
    order = np.random.default_rng(seed).permutation(len(points))
    first = {frozenset(group.members.tolist()) for group in groups_of(points)}
    moved = {frozenset(order[group.members].tolist()) for group in groups_of(points[order])}
    larger = {frozenset(group.members.tolist()) for group in groups_of(points * np.float32(8))}
    assert first == moved == larger


def test_larger_groups_are_left_out_unless_asked_for() -> None:
    points = world(2, sizes=(50, 6))
    sizes = [len(group) for group in groups_of(points)]
    assert max(sizes) <= 30
    assert len(groups_of(points, max_cluster_size=0)[0]) >= 6
    assert 50 in [
        len(group) for group in groups_of(points, min_cluster_size=10, max_cluster_size=0)
    ]


def test_near_identical_siblings_are_one_group() -> None:
    """16 rows on axes of their own, eight of them moved a little along one more: two leaves, their
    centroids no farther apart than those of any two halves.
    """
    rows = np.eye(16, 20)
    rows[8:, 16] = 0.5
    around = np.random.default_rng(0).uniform(-20, 20, (100, 20))
    points = np.concatenate((rows, around)).astype(np.float32)
    apart = [group.members.tolist() for group in groups_of(points, alike=0)[:2]]
    assert apart == [[*range(8)], [*range(8, 16)]]
    one = groups_of(points)[0]
    assert one.members.tolist() == [*range(16)]
    assert len(one.leaves) == 2
    assert len(groups_of(points, max_cluster_size=15)[0]) == 8, "not beyond the size"


def test_siblings_that_differ_stay_apart() -> None:
    rows = np.eye(16, 20)
    rows[8:, 16] = 1.5
    around = np.random.default_rng(0).uniform(-20, 20, (100, 20))
    points = np.concatenate((rows, around)).astype(np.float32)
    assert [len(group) for group in groups_of(points)[:2]] == [8, 8]


def test_copies_alone_are_no_group_once_they_are_taken_out() -> None:
    points = np.concatenate((world(3, sizes=()), np.repeat(world(3, sizes=())[:1], 9, axis=0)))
    graph = graph_of(points, 20)
    assert dense_groups(graph, points)[0].members.tolist() == [0, *range(300, 309)]
    kept, rows = without_duplicates(graph, find_duplicates(graph, points).duplicate_of)
    assert all(group.density < 4 for group in dense_groups(kept, points[rows]))


def test_one_group_among_strays_is_found_though_nothing_parts_from_it() -> None:
    points = world(1, sizes=(7,), around=40)
    points[7:] *= 10
    found = groups_of(points)
    assert found[0].members.tolist() == [*range(7)]
    assert found[0].persistence > 0.9


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_little(n: int) -> None:
    points = world(1)[:n]
    graph = graph_of(points, 20)
    assert dense_groups(graph, points, GroupParams(min_samples=1)) == ()


def test_what_does_not_fit_is_refused() -> None:
    points = world(1)
    with pytest.raises(ValueError, match="the points are 3"):
        dense_groups(graph_of(points, 5), points[:3])
    with pytest.raises(ValueError, match="max_cluster_size is 3"):
        GroupParams(max_cluster_size=3)
    with pytest.raises(ValueError, match=r"spread is 0\.5"):
        GroupParams(spread=0.5)
    with pytest.raises(ValueError, match="alike is -1"):
        GroupParams(alike=-1)


def test_groups_of_headlines_are_stories() -> None:
    """The densest groups of a week's news: each tells of one event, in the words of many papers."""
    points = center(embeddings("news870.e5-small-q4.384.f16.npy"))
    texts = table("news870.parquet").text.to_numpy()
    found = groups_of_chord(points)
    assert 30 <= len(found) <= 60
    stories = [("King Charles", 7), ("enthol", 5), ("Tesla", 6), ("Moulin Rouge", 5)]
    for (word, size), group in zip(stories, found, strict=False):
        assert len(group) == size
        assert sum(word in texts[row] for row in group.members) >= 0.8 * size


def groups_of_chord(points: np.ndarray) -> tuple[DenseGroup, ...]:
    return dense_groups(graph_of(points, 29, "chord"), points)


# Files

ROWS = (
    GroupRow(
        "=SUM(A1)",
        3.2,
        0.5,
        (MemberRow("7", "a\nb, “c” <script>*x*</script>", True), MemberRow("-9", None)),
        81.0,
    ),
    GroupRow("", 1.0, 0.0, (MemberRow("k", "- [link](http://x)"),)),
)


def test_csv_has_a_line_a_member_and_no_formula() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(ROWS))))
    assert [line["key"] for line in lines] == ["7", "'-9", "k"]
    assert [line["medoid"] for line in lines] == ["1", "0", "0"]
    assert lines[0]["name"] == "'=SUM(A1)"
    assert lines[0]["text"] == "a\nb, “c” <script>*x*</script>"
    assert lines[2]["text"].startswith("'- ")
    assert [line["interestingness"] for line in lines] == ["81.0", "81.0", ""]


def test_markdown_shows_texts_as_they_are_written() -> None:
    told = as_markdown(ROWS)
    assert r"\<script\>\*x\*\</script\>" in told
    assert r"\- \[link\](http" not in told
    assert r"\- \[link\]\(http" in told
    assert "2 rows, 3.20 times as dense as usual, persistence 0.50, interestingness 81" in told
    assert "## 2. Group" in told
    assert "and 1 more" in as_markdown(ROWS, shown=1)
    long = GroupRow("", 1.0, 0.0, (MemberRow("k", "a" * 301),))
    assert f"- {'a' * 299}… (k)" in as_markdown([long]).splitlines()
    assert "a" * 301 in as_csv([long])


def test_json_says_all() -> None:
    found = json.loads(as_json(ROWS))
    assert found[0]["members"][0] == {"key": "7", "text": ROWS[0].members[0].text, "medoid": True}
    assert [one["size"] for one in found] == [2, 1]
    assert found[1]["interestingness"] is None


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for rows in (ROWS, ROWS[:1]):
        places = write_groups(rows, folder, "dense")
    assert sorted(place.name for place in folder.iterdir()) == [
        "dense.csv",
        "dense.json",
        "dense.md",
    ]
    assert len(json.loads((folder / "dense.json").read_text("utf-8"))) == 1
    assert set(places) == set(folder.iterdir())
    assert (folder / "dense.csv").read_bytes().decode() == as_csv(ROWS[:1])
