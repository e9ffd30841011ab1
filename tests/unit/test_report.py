"""What a report tells of real news, against the arrays themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.silent import Listener
from tests.unit.report_worlds import FIRST, News, shared_news
from tests.unit.test_run import adapters, do
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.report import Grade, Report
from vdbcluster.pipeline.report import Reporting, report_of


@pytest.fixture(scope="module")
def world() -> News:
    pytest.importorskip("xgboost")
    return shared_news()


@pytest.fixture(scope="module")
def report(world: News) -> Report:
    return world.report()


def test_sizes_shares_and_noise_are_those_of_the_labels(world: News, report: Report) -> None:
    labels = world.collection.cluster_id
    ids, sizes = np.unique(labels[labels >= 0], return_counts=True)
    assert {one.id: one.size for one in report.clusters} == dict(
        zip(ids.tolist(), sizes.tolist(), strict=True)
    )
    assert [one.size for one in report.clusters] == sorted(sizes.tolist(), reverse=True)
    assert report.n_rows == 870
    for one in report.clusters:
        assert one.share == pytest.approx(np.mean(labels == one.id))
        soft = world.collection.assignment[labels == one.id] == "soft"
        assert one.soft == np.count_nonzero(soft)
    assert report.noise.rows == np.count_nonzero(labels == -1) > 0
    assert report.noise.share == pytest.approx(np.mean(labels == -1))
    assert sum(box.size for box in report.boxes) == 870
    assert f"870 rows of news fall into {len(ids)} clusters" in report.summary[0]


def test_rows_of_noise_are_shown_from_the_farthest(world: News, report: Report) -> None:
    held = world.collection
    noise = np.flatnonzero(held.cluster_id == -1)
    order = noise[np.argsort(-held.outlier_score[noise], kind="stable")]
    assert [one.key for one in report.noise.far] == held.keys[order[:4]].tolist()
    assert [one.key for one in report.noise.near] == held.keys[order[::-1][:4]].tolist()
    assert report.noise.far[0].text == held.columns["text"][order[0]]
    points = held.vectors - held.vectors.mean(axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ids = np.unique(held.cluster_id[held.cluster_id >= 0])
    centers = np.stack([points[held.cluster_id == i].mean(axis=0) for i in ids])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    nearest = ids[(points[noise] @ centers.T).argmax(axis=1)]
    counted = {i: int(np.count_nonzero(nearest == i)) for i, _ in report.noise.beside}
    assert dict(report.noise.beside) == counted


def test_cosines_are_those_of_centroids_and_near_ones_stand_together(
    world: News, report: Report
) -> None:
    near, labels = report.nearness, world.collection.cluster_id
    assert near is not None
    points = world.collection.vectors - world.collection.vectors.mean(axis=0, dtype=np.float64)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    centers = np.stack([points[labels == i].mean(axis=0) for i in near.ids])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    assert np.allclose(near.cosines, centers @ centers.T, atol=1e-5)
    assert sorted(near.ids) == sorted(one.id for one in report.clusters)
    k = len(near.ids)
    beside = np.mean([near.cosines[i, i + 1] for i in range(k - 1)])
    others = (near.cosines.sum() - k) / (k * (k - 1))
    assert beside > others + 0.05
    heights = [height for _, _, height in near.joins]
    assert len(heights) == k - 1
    assert heights == sorted(heights)
    closest = np.max(near.cosines - 2 * np.eye(k))
    assert heights[0] == pytest.approx(1 - closest, abs=1e-5)


def test_changes_are_counted_row_by_row(world: News, report: Report) -> None:
    before = RunDirectory(world.runs).load_arrays("first")
    was = before["cluster_id"]
    now = world.collection.cluster_id[:FIRST]
    found = report.changes
    assert found is not None
    assert (found.run_id, found.new, found.gone, found.both) == ("first", 220, 0, FIRST)
    assert found.unchanged == np.count_nonzero(was == now)
    assert found.moved == np.count_nonzero((was != now) & (was >= 0) & (now >= 0))
    assert found.to_noise == np.count_nonzero((was >= 0) & (now < 0))
    assert found.from_noise == np.count_nonzero((was < 0) & (now >= 0))
    move = found.moves[0]
    rows = np.count_nonzero((was == move.before) & (now == move.after))
    assert move.rows == rows
    assert move.share == pytest.approx(rows / np.count_nonzero(was == move.before))
    assert found.became
    assert world.report("first").changes is None
    assert world.report(since="none").changes is None
    with pytest.raises(VdbclusterError, match="nosuch"):
        world.report(since="nosuch")


def test_the_field_of_times_is_found_and_its_days_are_counted(world: News, report: Report) -> None:
    when = report.timeline
    assert when is not None
    assert (when.field, when.unit, when.undated) == ("published_at", "day", 0)
    days = np.array([text[:10] for text in world.frame["published_at"]])
    labels = world.collection.cluster_id
    for i, period in enumerate(when.periods):
        assert when.totals[i] == np.count_nonzero(days == period)
        for cluster, counts in when.clusters.items():
            assert counts[i] == np.count_nonzero((days == period) & (labels == cluster))
    assert sum(when.totals) + when.outside == 870
    assert 0 < when.outside < 20  # of earlier years
    assert world.report(time_field="none").timeline is None
    with pytest.raises(UsageError, match="'venue' holds no times"):
        world.report(time_field="venue")


def test_fields_are_drawn_as_shares_of_the_rows(world: News, report: Report) -> None:
    labels, venues = world.collection.cluster_id, np.array(world.frame["venue"])
    drawn = 0
    for one in report.clusters:
        for bars in one.bars:
            if bars.name != "venue":
                continue
            drawn += 1
            assert bars.kind == "category"
            for label, inside, others in zip(bars.labels, bars.inside, bars.others, strict=True):
                if label == "all others":
                    continue
                assert inside == pytest.approx(np.mean(venues[labels == one.id] == label))
                assert others == pytest.approx(np.mean(venues[labels != one.id] == label))
            assert sum(bars.inside) == pytest.approx(1)
            assert sum(bars.others) == pytest.approx(1)
    assert drawn
    assert any(bars.name == "length" for one in report.clusters for bars in one.bars)


def test_quality_has_the_figures_of_the_run(world: News, report: Report) -> None:
    manifest = RunDirectory(world.runs).load("second")
    told = {one.name: one for one in report.quality}
    labels = world.collection.cluster_id
    assert told["Rows in no cluster"].number == pytest.approx(np.mean(labels == -1))
    sizes = np.array([row.size for row in manifest.clusters])
    scores = np.array([row.stability for row in manifest.clusters])
    assert told["Stability"].number == pytest.approx(np.average(scores, weights=sizes))
    assert told["Stability"].grade == Grade.GOOD
    assert told["Persistence"].number == pytest.approx(
        np.median([row.persistence for row in manifest.clusters])
    )
    assert told["Recall of the neighbour search"].number == manifest.facts["audit"]["recall"]
    assert f"{manifest.facts['audit']['low']:.1%}" in told["Recall of the neighbour search"].value
    assert all(one.meaning and one.verdict for one in report.quality)
    shaky = {row.id for row in manifest.clusters if (row.stability or 1) < 0.6}
    assert {one.id for one in report.clusters if one.doubts} >= shaky


def test_names_by_people_go_first_and_what_they_merged_is_one(world: News) -> None:
    base = world.report()
    first, second, third = (base.clusters[i].id for i in range(3))
    identity = world.collection.identity
    entries = {
        first: CatalogueEntry(first, 1, 0, name="By hand", hidden=True, pinned=True),
        second: CatalogueEntry(second, 1, 0, state=ClusterState.MERGED, merged_into=third),
        third: CatalogueEntry(third, 1, 0),
    }
    catalogue = MemoryCatalogue(world.collection)
    catalogue.replace(Catalogue(tuple(entries[i] for i in sorted(entries)), "second", identity))
    found = world.report(catalogue=catalogue)
    sizes = {one.id: one.size for one in base.clusters}
    named, joined = found.get(first), found.get(third)
    assert named is not None
    assert (named.title, named.hidden, named.pinned) == ("By hand", True, True)
    assert found.get(second) is None
    assert joined is not None
    assert (joined.size, joined.joined) == (sizes[second] + sizes[third], (second,))
    assert base.changes is not None
    assert found.changes is not None
    assert found.changes.moved <= base.changes.moved  # they are one in both runs
    assert found.changes.clusters_after == base.changes.clusters_after - 1


def test_a_run_without_cards_says_so_and_shows_what_its_record_has(world: News) -> None:
    found = world.report("first")
    assert not found.explained
    assert any("vdbcluster explain first" in note for note in found.notes)
    assert all(one.medoid is not None and one.medoid.text for one in found.clusters)


def test_a_map_of_the_record_is_taken_and_none_is_made_where_none_is_wanted(world: News) -> None:
    view = world.report(picture="static").view
    assert view is not None
    assert len(view) == 870
    assert view.texts is None
    drawn = world.report(picture="interactive").view
    assert drawn is not None
    assert drawn.texts is not None
    assert world.report().view is None


def test_nothing_is_written_to_the_collection(world: News) -> None:
    before = (world.collection.cluster_id.copy(), world.collection.run_ids.copy())
    world.report()
    assert np.array_equal(before[0], world.collection.cluster_id)
    assert np.array_equal(before[1], world.collection.run_ids)


def test_few_rows_no_clusters_and_a_collection_made_anew(tmp_path: Path) -> None:
    held = MemoryCollection(np.eye(4, dtype=np.float32))
    do(held, tmp_path)
    few = News(held, tmp_path, None)
    found = of_few(few)
    assert found.clusters == ()
    assert found.nearness is None
    assert found.noise.rows == 4
    assert "No cluster was found" in found.summary[0]
    held.recreate()
    held.insert(np.arange(4), np.eye(4, dtype=np.float32), "_default", {})
    with pytest.raises(RefusedError, match="created anew"):
        of_few(few)


def of_few(few: News) -> Report:
    """A report without texts."""
    manifest = RunDirectory(few.runs).load("first")
    opened = adapters(few.collection, few.runs)
    return report_of(Reporting(opened, Settings(), ""), manifest, Listener())
