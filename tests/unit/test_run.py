"""The main job over plain arrays: what is written, what is refused, what a second run does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.silent import Listener
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_neighbors import BruteForceSearch
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import CollectionChangedError, RefusedError, VdbclusterError
from vdbcluster.graph.distance import prepare
from vdbcluster.model.labels import LabelBatch, RowStatus, WriteOutcome, WriteWay
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.beside import known
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.run import run

PLAIN = Settings()


def blobs(n: int = 200, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (3, 8))
    return np.concatenate([rng.normal(c, 0.3, (n, 8)) for c in centers]).astype(np.float32)


def adapters(collection: MemoryCollection, runs: Path, sink: MemorySink | None = None) -> Adapters:
    source = MemorySource(collection)
    return Adapters(
        source=source,
        profile=source.profile(),
        sink=known(sink or MemorySink(collection)),
        search=lambda rows, points: LocalNeighbors(points, "chord"),
        runs=RunDirectory(runs),
        metric="chord",
        languages=Py3LangId(),
    )


def do(
    collection: MemoryCollection,
    runs: Path,
    *,
    sink: MemorySink | None = None,
    settings: Settings = PLAIN,
    run_id: str = "first",
    dry_run: bool = False,
    confirm: bool = True,
) -> RunManifest:
    return run(
        adapters(collection, runs, sink),
        settings,
        Listener(),
        run_id=run_id,
        versions={},
        dry_run=dry_run,
        confirm=lambda _: confirm,
    )


def test_every_row_gets_a_label_and_a_second_run_writes_nothing(tmp_path: Path) -> None:
    held = MemoryCollection(blobs(), columns={"text": [f"row {i}" for i in range(600)]})
    manifest = do(held, tmp_path)
    assert held.labelled.all()
    assert manifest.state == "written"
    assert [c.size for c in manifest.clusters] == sorted(c.size for c in manifest.clusters)[::-1]
    assert len(manifest.clusters) == 3
    for cluster in manifest.clusters:
        assert cluster.representative is not None
        row = int(cluster.representative.removeprefix("row "))
        assert held.cluster_id[row] == cluster.id
    before = held.run_ids.copy()
    again = do(held, tmp_path, run_id="second")
    assert again.facts["write"]["written"] == 0
    assert again.facts["write"]["unchanged"] == 600
    assert np.array_equal(held.run_ids, before)


def test_a_dry_run_and_a_no_write_nothing(tmp_path: Path) -> None:
    held = MemoryCollection(blobs())
    assert do(held, tmp_path, dry_run=True).state == "planned"
    with pytest.raises(RefusedError, match="nothing was written"):
        do(held, tmp_path, confirm=False)
    assert not held.labelled.any()


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_few_rows(tmp_path: Path, n: int) -> None:
    held = MemoryCollection(blobs()[:n].reshape(n, 8))
    manifest = do(held, tmp_path)
    assert manifest.state == "written"
    assert manifest.clusters == ()
    assert held.labelled.all()
    assert (held.cluster_id == -1).all()


def test_identical_rows(tmp_path: Path) -> None:
    held = MemoryCollection(np.ones((40, 4), np.float32))
    do(held, tmp_path)
    assert held.labelled.all()
    assert np.isfinite(held.probability).all()
    assert np.isfinite(held.outlier_score).all()


def test_rows_left_out_are_not_called_new(tmp_path: Path) -> None:
    vectors = blobs()
    vectors[3], vectors[70] = 0, np.inf
    held = MemoryCollection(vectors, columns={"text": ["\x1b[31mred \u202e text"] * 600})
    manifest = do(held, tmp_path)
    assert manifest.facts["read"]["unusable"] == 2
    assert manifest.facts["write"]["unlabelled"] == 0
    assert not held.labelled[[3, 70]].any()
    assert manifest.clusters[0].representative == "[31mred text"


def test_a_selection_without_rows_is_refused(tmp_path: Path) -> None:
    held = MemoryCollection(blobs())
    setup = replace(adapters(held, tmp_path), source=MemorySource(held, where=lambda k: k < 0))
    with pytest.raises(RefusedError, match=r"no row of .* is selected"):
        run(setup, PLAIN, Listener(), run_id="x", versions={})
    assert json.loads((tmp_path / "x" / "manifest.json").read_text())["state"] == "refused"


def test_the_record_names_the_vector_field_that_was_read(tmp_path: Path) -> None:
    manifest = do(MemoryCollection(blobs()), tmp_path, dry_run=True)
    assert PLAIN.milvus.vector_field == ""
    assert manifest.selection["vector_field"] == "vector"


class Rounded(BruteForceSearch):
    """As a database would: distances in few digits, and of a kind of its own."""

    metric = "euclidean"

    def search(self, which: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        indices, distances = super().search(which, n_neighbors)
        return indices, np.round(distances, 1)


def test_distances_of_a_search_that_does_not_measure_are_measured() -> None:
    points = prepare(blobs(40), "chord")
    true = neighbor_graph(LocalNeighbors(points, "chord"), points, "chord", 10, Listener())
    rough = Rounded(points)
    assert not np.array_equal(rough.search(np.arange(120), 10)[1], true.distances)
    found = neighbor_graph(rough, points, "chord", 10, Listener())
    assert np.array_equal(found.indices, true.indices)
    assert np.array_equal(found.distances, true.distances)
    assert found.metric == "chord"


class Elsewhere(MemorySink):
    @property
    def way(self) -> WriteWay:
        return WriteWay("memory", "why", "here", stale="labels elsewhere are stale")


@pytest.mark.parametrize("dry_run", [True, False])
def test_labels_in_another_place_are_told(tmp_path: Path, dry_run: bool) -> None:
    held, listener = MemoryCollection(blobs()), Listener()
    setup = adapters(held, tmp_path, Elsewhere(held))
    run(setup, PLAIN, listener, run_id="x", versions={}, dry_run=dry_run)
    assert listener.warnings == ["labels elsewhere are stale"]


class Miscounting(MemorySource):
    def count(self) -> int:
        return super().count() + 1


def test_a_miscount_is_refused_unless_accepted(tmp_path: Path) -> None:
    held = MemoryCollection(blobs())
    wrong = replace(adapters(held, tmp_path), source=Miscounting(held))
    with pytest.raises(RefusedError, match=r"600 rows were read, but the server counted 601"):
        run(wrong, PLAIN, Listener(), run_id="a", versions={})
    assert not held.labelled.any()
    assert json.loads((tmp_path / "a" / "manifest.json").read_text())["state"] == "refused"
    accepting = load_settings({"write": {"accept_mismatch": True}})
    listener = Listener()
    run(wrong, accepting, listener, run_id="b", versions={})
    assert held.labelled.all()
    assert any("--accept-mismatch" in warning for warning in listener.warnings)


class Racing(MemorySink):
    """While the first batch is written, rows are deleted and added, and a label is overwritten."""

    raced = False

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        outcome = super().write(batch, partition)
        if not self.raced:
            self.raced = True
            self.collection.delete([batch.keys[0], 599])
            self.collection.insert([7000], np.ones((1, 8)))
            row = int(self.collection.positions(batch.keys[1:2])[0])
            self.collection.labelled[row] = False
        return outcome


def test_rows_deleted_added_and_overwritten_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = MemoryCollection(blobs())
    monkeypatch.setattr("vdbcluster.pipeline.write.BATCH_ROWS", 100)
    manifest = do(held, tmp_path, sink=Racing(held))
    report = manifest.facts["write"]
    assert report["vanished"] == 2
    assert report["written"] == 598
    assert report["unlabelled"] == 1
    assert report["mismatched"] == report["failed"] == 0
    assert held.positions(np.array([0, 599])).tolist() == [-1, -1]
    assert held.labelled[:-1].all()
    assert not held.labelled[-1]


class Failing(MemorySink):
    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        status = np.full(len(batch), RowStatus.FAILED, np.int8)
        return WriteOutcome(status, "the server said no")


def test_failures_are_counted_and_told(tmp_path: Path) -> None:
    held = MemoryCollection(blobs())
    report = do(held, tmp_path, sink=Failing(held)).facts["write"]
    assert report["failed"] == 600
    assert report["written"] == 0
    assert report["messages"] == ("the server said no",)


def test_a_recreated_collection_is_not_written(tmp_path: Path) -> None:
    held = MemoryCollection(blobs())
    setup = adapters(held, tmp_path)

    def recreate_then_search(rows: object, points: np.ndarray) -> LocalNeighbors:
        held.recreate()
        return LocalNeighbors(points, "chord")

    racing = replace(setup, search=recreate_then_search)
    with pytest.raises(CollectionChangedError):
        run(racing, PLAIN, Listener(), run_id="x", versions={})
    assert len(held) == 0


def test_the_record_holds_what_was_written(tmp_path: Path) -> None:
    keys = [f'k{i}\n"' for i in range(600)]
    held = MemoryCollection(blobs(), keys=np.array(keys, object))
    do(held, tmp_path)
    with np.load(tmp_path / "first" / "arrays.npz", allow_pickle=False) as arrays:
        ends = arrays["keys.ends"]
        data = arrays["keys.utf8"].tobytes()
        starts = np.concatenate([[0], ends[:-1]])
        stored = [data[a:b].decode() for a, b in zip(starts, ends, strict=True)]
        assert stored == sorted(keys)
        order = np.argsort(np.array(keys, object))
        assert np.array_equal(arrays["cluster_id"], held.cluster_id[order])


def test_a_record_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "first" / "manifest.json").mkdir(parents=True)  # no file can take its place
    held = MemoryCollection(blobs())
    with pytest.raises(VdbclusterError, match="--runs-dir"):
        do(held, runs)
    assert not held.labelled.any()
    assert [p.name for p in (runs / "first").iterdir()] == ["manifest.json"]


def test_no_secret_in_the_record(tmp_path: Path) -> None:
    secret = load_settings({"milvus": {"token": "root:hunter2", "uri": "http://u:hunter2@h:1"}})
    do(MemoryCollection(blobs()), tmp_path, settings=secret)
    assert "hunter2" not in (tmp_path / "first" / "manifest.json").read_text()
    assert "hunter2" not in repr(secret.milvus.token)
