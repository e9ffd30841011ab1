"""What people say of clusters: it is stored as said, and no run takes it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import data
from tests.silent import Listener
from tests.unit.test_identity import Job, N
from tests.unit.test_run import adapters, blobs
from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.config.settings import Settings
from vdbcluster.errors import BackendUnavailableError, UsageError
from vdbcluster.model.arrays import Keys
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.edits import edited
from vdbcluster.model.labels import LabelBatch, WriteOutcome
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.edits import (
    Edit,
    Merged,
    change_entry,
    described_as,
    hidden,
    merge_clusters,
    merging,
    named,
    pinned,
    unmerge,
)
from vdbcluster.pipeline.identity import previous_of
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.read import read_usable
from vdbcluster.pipeline.record import catalogues, planned
from vdbcluster.pipeline.rollback import restore_catalogue, roll_back
from vdbcluster.pipeline.room import Room
from vdbcluster.pipeline.run import run


def entries(*states: ClusterState) -> Catalogue:
    found = [
        CatalogueEntry(
            i, 10, i, state=state, merged_into=0 if state == ClusterState.MERGED else None
        )
        for i, state in enumerate(states)
    ]
    return Catalogue(tuple(found), "run-1", "docs@1")


LIVE, RETIRED, MERGED = ClusterState
ALL = entries(LIVE, LIVE, RETIRED, MERGED)


class EditedJob(Job):
    """A collection of blobs whose clusters people edit."""

    def edit(self, cluster: int, edit: Edit) -> CatalogueEntry:
        return change_entry(self.catalogue, cluster, edit)

    def outlets(self, sink: MemorySink | None = None) -> Outlets:
        return replace(adapters(self.held, self.path, sink), catalogue=lambda: self.catalogue)

    def merge(self, cluster: int, into: int, name: str = "merge", sink: Any = None) -> Merged:
        outlets = self.outlets(sink)
        journal = begin(outlets, Settings(), name, {})

        def places(keys: Keys) -> tuple[np.ndarray, tuple[str, ...]]:
            return np.zeros(len(keys), np.int32), ("_default",)

        return merge_clusters(outlets, Listener(), journal, cluster, into, places)

    def entry(self, cluster: int) -> CatalogueEntry:
        found = self.read().get(cluster)
        assert found is not None
        return found

    def groups(self) -> dict[int, set[int]]:
        """The ids that the rows of each blob have."""
        ids = self.held.cluster_id
        return {g: set(ids[self.held.keys // N == g].tolist()) for g in range(3)}


@pytest.fixture
def job(tmp_path: Path) -> EditedJob:
    made = EditedJob(blobs(N), tmp_path)
    made.run()
    return made


def test_an_edit_changes_one_field_of_one_entry(job: EditedJob) -> None:
    before = job.read()
    for edit, field, value in (
        (named("Ale"), "name", "Ale"),
        (described_as("about\nale"), "description", "about\nale"),
        (pinned(True), "pinned", True),
        (hidden(True), "hidden", True),
    ):
        found = job.edit(1, edit)
        assert getattr(found, field) == value
        assert [e for e in job.read().entries if e.id != 1] == [
            e for e in before.entries if e.id != 1
        ]
        before = job.read()
    assert replace(found, name="", description="", pinned=False, hidden=False) != found
    assert job.edit(1, pinned(False)).pinned is False


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        (9, "there is no cluster 9; vdbcluster clusters list"),
        (2, "cluster 2 is retired"),
        (3, "cluster 3 was merged into 0"),
    ],
)
def test_ids_that_are_not_live_are_refused(job: EditedJob, cluster: int, told: str) -> None:
    job.catalogue.replace(replace(ALL, identity=job.held.identity))
    before = job.read()
    for edit in (named("x"), pinned(True)):
        with pytest.raises(UsageError, match=told):
            job.edit(cluster, edit)
    for pair in ((cluster, 0), (0, cluster)):
        if pair != (3, 0):  # that is so already
            with pytest.raises(UsageError, match=told):
                job.merge(*pair)
    assert job.read() is before


def test_what_cannot_be_is_refused_in_a_line(job: EditedJob) -> None:
    for text in ("two\nlines", "a\tb", " blank before", "\x1b[31m"):
        with pytest.raises(UsageError, match="a name is one line"):
            named(text)
    with pytest.raises(UsageError, match="the name has 600 bytes; there is room for 512"):
        named("é" * 300)
    with pytest.raises(UsageError, match="the description has 9,000 bytes"):
        described_as("x" * 9000)
    with pytest.raises(UsageError, match="into itself"):
        job.merge(1, 1)
    with pytest.raises(UsageError, match="cluster 1 is live, not merged"):
        unmerge(job.catalogue, 1)
    job.catalogue.remove()
    for call in (lambda: job.edit(0, pinned(True)), lambda: job.merge(1, 0)):
        with pytest.raises(UsageError, match="no catalogue of clusters yet"):
            call()
    bare = replace(job.outlets(), catalogue=None)
    with pytest.raises(UsageError, match="no catalogue of clusters is kept"):
        merge_clusters(bare, Listener(), begin(bare, Settings(), "m", {}), 1, 0, lambda _: ((), ()))


def test_edits_of_two_kinds_meet_field_by_field() -> None:
    since = entries(LIVE, LIVE, LIVE)
    first, second, third = since.entries
    made = since.having([replace(first, size=99, pinned=True, lineage='[{"run": "2"}]')])
    made = replace(made, entries=made.entries[:2], run_id="run-2")
    now = since.having(
        [
            replace(first, name="Ale", lineage='[{"run": "people"}]'),
            replace(second, state=MERGED, merged_into=0, size=4),
            replace(third, name="gone"),
        ]
    )

    found = edited(made, since=since, now=now)

    assert found.run_id == "run-2"
    assert [e.id for e in found.entries] == [0, 1]
    one, two = found.entries
    assert (one.name, one.size, one.pinned) == ("Ale", 99, True)
    assert json.loads(one.lineage) == [{"run": "2"}, {"run": "people"}]
    assert (two.state, two.merged_into, two.size) == (MERGED, 0, 4)
    assert (
        edited(found, since=since, now=since) == found
        or edited(found, since=since, now=since).entries == found.entries
    )


def test_what_a_run_says_of_a_state_stands() -> None:
    since = entries(LIVE, LIVE)
    made = since.having([replace(since.entries[1], state=RETIRED)])
    now = since.having([replace(since.entries[1], state=MERGED, merged_into=0, name="Rum")])
    (_, two) = edited(made, since=since, now=now).entries
    assert (two.state, two.merged_into, two.name) == (RETIRED, None, "Rum")


def test_an_edit_made_while_a_run_is_under_way_is_not_lost(job: EditedJob) -> None:
    """It comes after the run has read the catalogue and before it stores its own."""

    class Slow(MemorySink):
        def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
            job.edit(0, named("said meanwhile"))
            job.edit(1, hidden(True))
            return super().write(batch, partition)

    job.edit(1, named("said before"))
    job.held.delete(job.held.keys[job.held.cluster_id == 2][: N // 2])
    with_sink = replace(job.outlets(Slow(job.held)))
    job.held.insert([10_000], blobs(N)[:1])
    run(with_sink, Settings(), Listener(), run_id="run-2", versions={})
    held = job.read()
    assert held.run_id == "run-2"
    assert [(e.name, e.hidden, e.size) for e in held.entries][:2] == [
        ("said meanwhile", False, job.entry(0).size),
        ("said before", True, job.entry(1).size),
    ]
    assert job.entry(2).size == N // 2 + (job.held.cluster_id[-1] == 2)


def test_a_merge_writes_the_rows_now_and_is_a_run(job: EditedJob) -> None:
    before = job.held.cluster_id.copy()
    scores = job.held.probability.copy()
    merged = job.merge(2, 0)
    assert job.held.cluster_id.tolist() == np.where(before == 2, 0, before).tolist()
    assert job.held.run_ids.tolist() == np.where(before == 2, "merge", "run-1").tolist()
    assert np.array_equal(job.held.probability, scores)
    assert (merged.rows, merged.report.written, merged.report.unlabelled) == (N, N, 0)
    assert merged.entry.size == 2 * N
    part = job.entry(2)
    assert (part.state, part.merged_into, part.size) == (MERGED, 0, N)
    assert [e.id for e in job.read().live] == [0, 1]
    assert json.loads(part.lineage)[-1]["kind"] == "merged-into"
    assert [p["id"] for p in json.loads(merged.entry.lineage)[-1]["parts"]] == [0, 2]
    manifest = job.outlets().runs.load("merge")
    assert (manifest.state, manifest.facts["merge"]) == (
        "written",
        {"cluster": 2, "into": 0, "rows": N},
    )
    again = job.merge(2, 0, "again")
    assert (again.rows, again.entry.size) == (0, 2 * N)


def test_where_no_row_has_a_path_a_merge_writes_none(job: EditedJob) -> None:
    """A collection without room for paths must not be asked to hold empty ones."""

    class WithoutPaths(MemorySink):
        def stored(self, keys: Keys | None = None) -> Iterator[LabelBatch]:
            return (replace(batch, path=None) for batch in super().stored(keys))

        def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
            if batch.path is not None:
                raise UsageError("there is no room for paths")
            return super().write(batch, partition)

    assert job.merge(2, 0, sink=WithoutPaths(job.held)).report.written == N


def test_runs_keep_to_a_merge(job: EditedJob) -> None:
    job.merge(2, 0)
    second = job.run()
    assert second.facts["write"]["written"] == 0
    assert sorted(c.id for c in second.clusters) == [0, 1]
    job.held.delete(job.held.keys[job.held.keys % 5 == 0])  # some of every cluster, exemplars too
    middle = blobs(N)[N : 2 * N].mean(axis=0)
    job.held.insert(np.arange(N) + 10_000, np.random.default_rng(1).normal(middle, 0.3, (N, 8)))
    third = job.run()
    assert job.read().run_id == "run-3"
    assert sorted(c.id for c in third.clusters) == [0, 1]
    assert "born" not in third.facts["identity"]["events"]
    assert "split-from" not in third.facts["identity"]["events"]
    part, home = job.entry(2), job.entry(0)
    assert (part.state, part.merged_into, part.last_run) == (MERGED, 0, "run-3")
    there = set(job.held.keys.tolist())
    assert {part.medoid_key, *part.exemplar_keys} <= there
    assert home.size == (job.held.cluster_id == 0).sum()
    assert sum(len(ids) for ids in job.groups().values()) == 3
    assert part.size < home.size


def test_what_is_taken_out_comes_back_under_its_id_with_the_next_run(job: EditedJob) -> None:
    before = job.held.cluster_id.copy()
    job.edit(2, named("Rum"))
    job.merge(2, 0)
    job.run()
    found = unmerge(job.catalogue, 2)
    assert (found.state, found.size, found.merged_into) == (LIVE, 0, None)
    assert unmerge(job.catalogue, 2) == found
    assert 2 not in job.held.cluster_id
    job.run()
    assert job.held.cluster_id.tolist() == before.tolist()
    back = job.entry(2)
    assert (back.state, back.size, back.name) == (LIVE, N, "Rum")
    assert [e["kind"] for e in json.loads(back.lineage)] == [
        "born",
        "merged-into",
        "unmerged",
        "split-from",
    ]


def test_what_is_taken_out_and_not_found_is_retired(job: EditedJob) -> None:
    job.merge(2, 0)
    unmerge(job.catalogue, 2)
    gone = job.held.cluster_id == 0
    job.held.delete(job.held.keys[gone & (job.held.run_ids == "merge")])
    job.run()
    assert job.entry(2).state == RETIRED
    assert [e.id for e in job.read().live] == [0, 1]


def test_a_merge_that_was_interrupted_is_finished_by_the_same_again_or_by_a_run(
    job: EditedJob, tmp_path: Path
) -> None:
    class Broken(MemorySink):
        def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
            raise BackendUnavailableError("gone")

    before = job.held.cluster_id.copy()
    with pytest.raises(BackendUnavailableError):
        job.merge(2, 0, "first", Broken(job.held))
    assert job.held.cluster_id.tolist() == before.tolist()
    assert job.entry(2).merged_into == 0
    assert job.outlets().runs.load("first").state == "writing"

    report = job.run()

    wanted = np.where(before == 2, 0, before).tolist()
    assert job.held.cluster_id.tolist() == wanted
    assert report.facts["write"]["written"] == N
    assert job.entry(0).size == 2 * N
    other = EditedJob(blobs(N), tmp_path / "other")
    other.run()
    with pytest.raises(BackendUnavailableError):
        other.merge(2, 0, "first", Broken(other.held))
    assert other.merge(2, 0, "second").rows == N
    assert other.held.cluster_id.tolist() == wanted


def test_rows_with_the_id_of_a_merged_cluster_are_no_new_rows(job: EditedJob) -> None:
    before = job.held.cluster_id.copy()
    job.catalogue.edit(merging(2, 0))  # and no label is written
    source, sink = MemorySource(job.held), MemorySink(job.held)
    rows = read_usable(source, Listener(), room=Room(1 << 20), direction=True).rows
    previous = previous_of(rows, list(sink.stored()), job.read())
    assert not previous.absent.any()
    assert previous.labels.tolist() == before.tolist()
    assert previous.heir(2) == 0


def test_a_merge_is_rolled_back(job: EditedJob) -> None:
    before, held = job.held.cluster_id.copy(), job.read()
    run_ids = job.held.run_ids.copy()
    job.merge(2, 0)
    job.edit(1, named("since then"))
    runs = job.outlets().runs

    report = roll_back(planned(runs.load_arrays("merge")), MemorySink(job.held), Listener())
    told = restore_catalogue(job.catalogue, *catalogues(runs.load_arrays("merge", "catalogue")))

    assert (report.restored, told) == (N, "")
    assert job.held.cluster_id.tolist() == before.tolist()
    assert job.held.run_ids.tolist() == run_ids.tolist()
    assert [e.state for e in job.read().entries] == [LIVE, LIVE, LIVE]
    assert [e.size for e in job.read().entries] == [e.size for e in held.entries]
    assert job.entry(1).name == "since then"
    assert job.run().facts["write"]["written"] == 0


def test_of_a_chain_of_merges_the_heir_is_its_end() -> None:
    held = entries(LIVE, LIVE, LIVE)
    for part, home in ((2, 1), (1, 0)):
        held = held.having(merging(part, home)(held))
    assert held.heirs() == {2: 0, 1: 0}
    assert entries(LIVE, RETIRED).heirs() == {}
    circle = [replace(e, state=MERGED, merged_into=1 - e.id) for e in held.entries[:2]]
    assert held.having(circle).heirs() == {}


def test_a_change_made_twice_is_as_made_once() -> None:
    held = entries(LIVE, LIVE)
    change = merging(1, 0)
    once = held.having(change(held))
    assert once.having(change(once)).entries == once.entries


def rounds(n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of ``n`` rows: those that are deleted and those that are added, in two rounds."""
    order = np.random.default_rng(3).permutation(n)
    later = order[: n // 10]
    yield order[n // 10 : n // 10 + n // 20], later[: n // 20]
    yield order[n // 2 : n // 2 + n // 20], later[n // 20 :]


def test_names_and_a_merge_survive_two_clusterings_of_real_texts(tmp_path: Path) -> None:
    vectors = data.embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    n = len(vectors)
    changes = list(rounds(n))
    later = np.concatenate([added for _, added in changes])
    first = np.setdiff1d(np.arange(n), later)
    job = EditedJob(vectors[first], tmp_path)
    job.held.keys = first
    job.run()
    largest = [e.id for e in sorted(job.read().live, key=lambda e: -e.size)]
    home, part, other = largest[0], largest[4], largest[1]
    for cluster in job.read().live:
        job.edit(cluster.id, named(f"name of {cluster.id}"))
    job.edit(other, hidden(True))
    job.edit(other, pinned(True))
    job.merge(part, home)
    merged = set(job.held.keys[job.held.run_ids == "merge"].tolist())
    for deleted, added in changes:
        job.held.delete(deleted)
        job.held.insert(added, vectors[added])
        job.run()
        left = np.isin(job.held.keys, list(merged))
        assert (job.held.cluster_id[left] == home).mean() > 0.9
        assert part not in job.held.cluster_id
    held = job.read()
    kept = [e for e in held.live if e.id in largest]
    assert len(kept) >= len(largest) - 2
    assert all(e.name == f"name of {e.id}" for e in kept)
    assert (job.entry(other).hidden, job.entry(other).pinned) == (True, True)
    assert (job.entry(part).merged_into, job.entry(part).name) == (home, f"name of {part}")
