"""Duplicates that a run marks: what is written, kept from run to run, told, and taken back."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.data import embeddings, table
from tests.silent import SILENT
from tests.unit.assign_bench import EACH, AssignBench
from tests.unit.test_duplicates import planted
from tests.unit.test_run import adapters, blobs, do
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.cli.render_copies import copies_lines
from vdbcluster.config.settings import load_settings
from vdbcluster.duplicates import Duplicates, DuplicateSet, find_duplicates
from vdbcluster.duplicates.sets import gathered
from vdbcluster.duplicates.standing import KEPT, UNKNOWN, as_before
from vdbcluster.errors import UsageError
from vdbcluster.model.labels import LabelBatch
from vdbcluster.pipeline.copies import (
    copies_by_cluster,
    marks,
    n_copies,
    n_odd,
    odd_and_copied,
    odd_by_cluster,
    said,
    standing,
)
from vdbcluster.pipeline.edits import relabelling
from vdbcluster.pipeline.explain import Explaining, explain_run
from vdbcluster.pipeline.rollback import roll_back_run
from vdbcluster.wiring import library

QUICK = {"cluster": {"method": "hdbscan", "resamples": 0}, "neighbors": {"audit": 0}}
PLAIN = load_settings(QUICK)
MARK = load_settings(QUICK | {"duplicates": {"mark": True}})
TEXTS = load_settings(QUICK | {"duplicates": {"mark": True, "texts": True}})


def graph_of(points: np.ndarray, k: int = 12):  # type: ignore[no-untyped-def]
    return library.neighbors(points, n_neighbors=k, metric="euclidean")


def answers(found: Duplicates, duplicate_of: np.ndarray) -> None:
    """What must be, whatever was kept before."""
    assert ((duplicate_of >= 0).sum()) == found.counts()["surplus"]
    for each in (*found.exact, *found.near):
        said = duplicate_of[each.members]
        (kept,) = set(said[said >= 0].tolist())  # a set has one row to keep, the same for all
        assert duplicate_of[kept] == -1
    for each in found.near:
        assert np.isin(duplicate_of[each.members], [-1, *each.members]).all()


@hypothesis_settings(max_examples=15, deadline=None)
@given(planted(), st.integers(0, 2**16))
def test_the_sets_stay_and_keep_what_they_kept(points: np.ndarray, seed: int) -> None:
    graph = graph_of(points)
    found = find_duplicates(graph, points)
    rng, n = np.random.default_rng(seed), len(points)
    before = rng.choice([KEPT, UNKNOWN, *range(n)], n)

    stood = as_before(found, before)

    answers(found, stood)
    assert (as_before(found, np.full(n, UNKNOWN)) == found.duplicate_of).all()
    assert (as_before(found, np.where(stood >= 0, stood, KEPT)) == stood).all()


def test_of_several_kept_rows_the_one_most_rows_point_to_stays() -> None:
    points = np.concatenate([blobs(20), np.repeat(blobs(20)[:1], 5, axis=0)])
    graph, last = graph_of(points), len(points) - 1
    found = find_duplicates(graph, points)
    rows = [0, *range(60, 65)]
    assert found.duplicate_of[rows].tolist() == [-1, 0, 0, 0, 0, 0]
    before = np.full(len(points), UNKNOWN)
    for then, kept in (
        ({last: KEPT}, last),
        ({0: KEPT, last: KEPT}, 0),
        ({0: KEPT, 61: last, 62: last, last: KEPT}, last),
        ({61: 7}, 0),
    ):
        before[:] = UNKNOWN
        before[list(then)] = list(then.values())
        stood = as_before(found, before)
        assert stood[rows].tolist() == [-1 if row == kept else kept for row in rows]
    never = np.arange(len(points)) == 0
    stood = as_before(found, np.full(len(points), UNKNOWN), never=never)
    assert stood[rows].tolist() == [60, -1, 60, 60, 60, 60]


def test_a_set_of_very_many_equal_rows_takes_memory_by_row_not_by_pair() -> None:
    n = 50_000
    members, nothing = np.arange(n), np.zeros(n)
    one = DuplicateSet("equal vectors", members, 0, nothing, nothing, ())
    found = gathered([one], [], n, 0.5)
    before = np.where(members == 7, KEPT, 7)
    tracemalloc.start()
    try:
        stood = as_before(found, before)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stood.tolist() == [-1 if row == 7 else 7 for row in range(n)]
    assert peak < 200 * n


def copied(n: int = 40, keys: object = None) -> MemoryCollection:
    """Blobs, then copies of the first twenty rows; three strangers. No texts."""
    own = blobs(n)
    own = np.concatenate([own, own[:20], np.eye(8, dtype=np.float32)[:3] * -90])
    return MemoryCollection(own, keys)


def test_copies_are_marked_and_the_second_run_writes_nothing(tmp_path: Path) -> None:
    held = copied()
    manifest = do(held, tmp_path, settings=MARK)
    expected = [""] * 120 + [str(i) for i in range(20)] + [""] * 3
    assert held.duplicate_of.tolist() == expected
    told = manifest.facts["duplicates"]
    assert (told["surplus"], told["exact_sets"], told["exact_rows"]) == (20, 20, 40)
    assert set(manifest.facts["outliers"]) == {"outliers", "potential_outliers"}
    assert "duplicates" in manifest.seconds
    assert do(held, tmp_path, settings=MARK, run_id="second").facts["write"]["written"] == 0
    assert held.duplicate_of.tolist() == expected


def test_without_the_flag_nothing_is_looked_for_and_marks_go(tmp_path: Path) -> None:
    held = copied()
    assert "duplicates" not in do(held, tmp_path, settings=PLAIN).facts
    assert not held.duplicate_of.any()
    do(held, tmp_path, settings=MARK, run_id="marked")
    assert np.count_nonzero(held.duplicate_of) == 20
    again = do(held, tmp_path, settings=PLAIN, run_id="plain")
    assert again.facts["write"]["written"] == 20
    assert not held.duplicate_of.any()


def test_a_row_that_was_kept_stays_kept(tmp_path: Path) -> None:
    """Copies that come later, with lower keys, are the copies."""
    held = copied(keys=np.arange(1000, 1143))
    do(held, tmp_path, settings=MARK)
    first = held.vectors[0]
    held.insert([1, 2], np.stack([first, first]))
    do(held, tmp_path, settings=MARK, run_id="second")
    at = held.positions(np.array([1, 2, 1000, 1120]))
    assert held.duplicate_of[at].tolist() == ["1000", "1000", "", "1000"]


def test_when_the_kept_row_is_deleted_another_takes_its_place(tmp_path: Path) -> None:
    held = copied()
    do(held, tmp_path, settings=MARK)
    held.delete([0])
    do(held, tmp_path, settings=MARK, run_id="second")
    assert held.duplicate_of[held.positions(np.array([120]))].tolist() == [""]
    assert np.count_nonzero(held.duplicate_of) == 19


def test_a_row_whose_key_is_the_empty_text_is_never_the_one_to_keep(tmp_path: Path) -> None:
    keys = np.array(["", *(f"k{i:03d}" for i in range(1, 143))], object)
    held = copied(keys=keys)
    do(held, tmp_path, settings=MARK)
    by_key = dict(zip(held.keys.tolist(), held.duplicate_of.tolist(), strict=True))
    assert (by_key[""], by_key["k120"], by_key["k121"]) == ("k120", "", "k001")
    assert do(held, tmp_path, settings=MARK, run_id="second").facts["write"]["written"] == 0


def test_equal_texts_count_where_that_is_asked_for(tmp_path: Path) -> None:
    held = copied()
    held.columns["text"] = [f"row {i}" for i in range(len(held))]
    held.columns["text"][30] = held.columns["text"][100]
    told = do(held, tmp_path, settings=TEXTS).facts["duplicates"]
    assert held.duplicate_of[100] == "30"
    assert (told["surplus"], told["texts"]) == (21, True)


def test_texts_that_nobody_knows_of_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--duplicate-texts.*--text-field"):
        do(MemoryCollection(blobs()), tmp_path, settings=TEXTS)


def test_a_rollback_takes_marks_back(tmp_path: Path) -> None:
    held = copied()
    do(held, tmp_path, settings=PLAIN)
    before = held.run_ids.copy()
    do(held, tmp_path, settings=MARK, run_id="marked")
    opened = adapters(held, tmp_path)
    report = roll_back_run(opened, opened.runs.load("marked"), SILENT).facts["rollback"]
    assert (report["restored"], report["mismatched"]) == (20, 0)
    assert not held.duplicate_of.any()
    assert (held.run_ids == before).all()


def test_cards_keep_the_rows_that_the_marks_keep(tmp_path: Path) -> None:
    held = copied(keys=np.arange(1000, 1143))
    do(held, tmp_path, settings=MARK)
    held.insert([1, 2], np.stack([held.vectors[0]] * 2))  # lower keys: kept, were it the first time
    do(held, tmp_path, settings=MARK, run_id="second")
    marked = dict(zip(held.keys.tolist(), held.duplicate_of.tolist(), strict=True))
    opened = adapters(held, tmp_path)
    made = Explaining(opened, ScriptTokenizer(detector=Py3LangId()), MARK, text_field="")
    cards = explain_run(made, opened.runs.load("second"), SILENT).cards
    copies = [each for card in cards for each in card.copies]
    assert {1, 2, 1120} in [set(each.others) for each in copies if each.kept.key == 1000]
    for each in copies:
        assert marked[each.kept.key] == ""
        assert {marked[key] for key in each.others} == {str(each.kept.key)}


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_rows_are_marked_too(tmp_path: Path, n: int) -> None:
    held = MemoryCollection(np.ones((n, 4), np.float32).reshape(n, 4))
    do(held, tmp_path, settings=MARK)
    assert held.duplicate_of.tolist() == [""] * min(n, 1) + ["0"] * (n - 1)


def test_an_assignment_marks_no_new_row_and_leaves_marks_of_others(tmp_path: Path) -> None:
    bench, settings = AssignBench(tmp_path), load_settings({"duplicates": {"mark": True}})
    bench.run("run", settings)
    noise = bench.add(3, 3)
    bench.assign("first", settings)
    assert bench.label(noise) == [-1, -1, -1]
    at = bench.held.positions(np.array(noise))
    assert bench.held.duplicate_of[at].tolist() == ["", "", ""]
    bench.held.duplicate_of[at[1]] = str(noise[0])
    new = bench.add(1, 4) + bench.add(3, 40, seed=2)
    manifest = bench.assign("second", settings)
    assert manifest.facts["assign"]["rejoined"] == 3
    assert bench.label(noise) == [3, 3, 3]
    assert bench.held.duplicate_of[at].tolist() == ["", str(noise[0]), ""]
    assert not bench.held.duplicate_of[bench.held.positions(np.array(new))].any()
    assert len(bench.held) == 3 * EACH + 47


def test_what_was_said_before_goes_by_key() -> None:
    keys = np.array([3, 5, 7, 9])
    batch = LabelBatch.blank(np.array([7, 5, 11]))
    assert said(keys, [batch]).tolist() == [""] * 4
    marked = replace(batch, duplicate_of=np.array(["5", None, "3"], object))
    assert said(keys, [marked]).tolist() == ["", "", "5", ""]
    assert said(keys, [marked], None).tolist() == [None, None, "5", None]


def test_real_duplicates_cluster_by_cluster() -> None:
    """BBC's articles: each that is there twice by its text is found by its vector."""
    vectors = embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    frame = table("bbc2225.parquet")
    graph = library.neighbors(vectors, n_neighbors=30)
    keys, labels = np.arange(1000, 1000 + len(vectors)), frame["label"].astype("category").cat.codes
    labels = labels.to_numpy().astype(np.int64)
    how = PLAIN.duplicates
    found, odd, facts = odd_and_copied(graph, vectors, vectors, keys, how, labels=labels)
    texts = frame["text"].to_numpy()
    twice = frame["text"].duplicated().to_numpy()
    assert twice.sum() > 80
    assert (found.duplicate_of[twice] >= 0).mean() > 0.98
    same = texts[found.duplicate_of[twice & (found.duplicate_of >= 0)]]
    assert (same == texts[twice & (found.duplicate_of >= 0)]).mean() > 0.98

    kept = standing(found, keys, [])
    assert (kept == found.duplicate_of).all()
    shown, counts = copies_by_cluster(found, kept, keys, labels), n_copies(kept, labels)
    assert sum(counts.values()) == facts["duplicates"]["surplus"]
    for cluster, sets in shown.items():
        assert 0 < len(sets) <= 5
        for each in sets:
            assert labels[int(each.kept.key) - 1000] == cluster
            assert each.kept.key not in each.others
            assert {type(key) for key in (each.kept.key, *each.others)} == {int}
    told, many = odd_by_cluster(odd, keys, labels), n_odd(odd, labels)
    assert sum(many.values()) == len(odd.rows)
    for cluster, rows in told.items():
        assert len(rows) == min(5, many[cluster])
        assert [one.score for one in rows] == sorted((one.score for one in rows), reverse=True)
    written = marks(kept, keys)
    assert {str(key) for key in keys} >= set(written[written != ""])


def test_the_lines_of_the_summary() -> None:
    found = {"surplus": 0, "exact_sets": 0, "near_sets": 0}
    odd = {"outliers": 2, "potential_outliers": 1_030}
    assert copies_lines({}) == []
    assert copies_lines({"duplicates": found, "outliers": odd}) == [
        ("duplicates", "none"),
        ("outliers", "2, and 1,030 potential ones"),
    ]
    found = {"surplus": 1_185, "exact_sets": 115, "near_sets": 69}
    told = "1,185 rows could go: 115 sets of equal rows, 69 of near ones"
    assert copies_lines({"duplicates": found}) == [("duplicates", told)]


@pytest.mark.parametrize("marked", [True, False])
def test_merging_clusters_by_hand_changes_no_mark_and_makes_none(marked: bool) -> None:
    blank = LabelBatch.blank(np.arange(4))
    copies = np.array(["", "0", None, ""], object)
    stored = replace(
        blank,
        cluster_id=np.array([1, 1, 1, 0]),
        run_ids=np.full(4, "run", object),
        duplicate_of=copies if marked else None,
    )

    plan = relabelling([stored], 1, 0, "merge", lambda keys: (np.zeros(3, np.int32), ("p",)))

    assert plan.new.cluster_id.tolist() == [0, 0, 0]
    if marked:
        assert plan.new.duplicate_of is not None
        assert plan.new.duplicate_of.tolist() == ["", "0", ""]
    else:  # a collection without room for marks must not be asked to hold empty ones
        assert plan.new.duplicate_of is None
