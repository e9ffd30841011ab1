"""``--incremental`` on the real server: rows come, go and change between runs, and the labels are
those of a search anew; by hand, and by the worker on its schedule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import plain
from tests.backends import Backend, connected
from tests.data import embeddings
from tests.integration.test_incremental import ROWS, change, how, insert, planned
from tests.integration.worker_process import WorkerProcess
from tests.partitions import same_partition
from vdbcluster.adapters.runs import RunDirectory

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]
SET = "bbc2225.wordllama.256.f16.npy"
FIRST = ROWS - ROWS // 20


@pytest.fixture
def vectors(real_server: Backend, collection_name: str) -> np.ndarray:
    """Of a real set; all but the last rows of it are in the collection, searched one by one."""
    found = embeddings(SET)
    with connected(real_server) as client:
        plain.create(client, collection_name, found.shape[1])
        insert(client, collection_name, found, range(FIRST))
    return found


def back(client: MilvusClient, name: str, vectors: np.ndarray) -> None:
    """Some rows that were deleted or changed are again as they were, and others go."""
    insert(client, name, vectors, range(0, FIRST, 5))
    client.delete(name, ids=list(range(7, FIRST, 100)))


@pytest.mark.parametrize("engine", ["auto", "milvus"])
@pytest.mark.parametrize("center", ["none", "auto"])
def test_the_labels_are_those_of_a_search_anew(
    engine: str,
    center: str,
    vectors: np.ndarray,
    real_server: Backend,
    collection_name: str,
    tmp_path: Path,
) -> None:
    def settings(runs: str, **scale: Any) -> Any:
        place = how(real_server, collection_name, tmp_path / runs, center, **scale)
        neighbors = place.neighbors.model_copy(update={"engine": engine})
        return place.model_copy(update={"neighbors": neighbors})

    first, _, _ = planned(settings("runs", incremental=True))
    assert first.facts["neighbors"]["from"] == "searched"
    for number, happens in enumerate((change, back)):
        with connected(real_server) as client:
            happens(client, collection_name, vectors)
        run, labels, notes = planned(settings("runs", incremental=True))
        found = run.facts["neighbors"]
        assert found["from"] == "carried", notes
        assert found["exact"]
        assert 0 < found["searched"] < ROWS / 4
        assert min(found["new"], found["gone"]) > 0
        assert run.facts["audit"]["recall"] == 1.0
        _, anew, _ = planned(settings(f"anew{number}"))
        assert sorted(labels) == sorted(anew)
        if not any("the mean of that run" in note for note in notes):
            assert labels == anew


def test_an_approximate_index_loses_nothing(
    real_server: Backend, collection_name: str, tmp_path: Path
) -> None:
    """What it carries over it has found before; what is new is compared one by one."""
    found = embeddings(SET)
    with connected(real_server) as client:
        plain.create(client, collection_name, found.shape[1], "HNSW")
        insert(client, collection_name, found, range(FIRST))
    first, _, _ = planned(how(real_server, collection_name, tmp_path, "none", incremental=True))
    with connected(real_server) as client:
        change(client, collection_name, found)
    second, _, notes = planned(
        how(real_server, collection_name, tmp_path, "none", incremental=True)
    )
    assert second.facts["neighbors"]["from"] == "carried", notes
    assert not second.facts["neighbors"]["exact"]
    assert second.facts["audit"]["recall"] >= first.facts["audit"]["recall"] - 0.005


JOBS = """
[worker]
timezone = "Etc/UTC"

[[job]]
name = "news"
every = "5s"

[job.milvus]
uri = "{uri}"
collection = "{name}"

[job.neighbors]
center = "none"

[job.cluster]
resamples = 0

[job.write]
way = "side-collection"

[job.scale]
incremental = true
"""


def clusters(client: MilvusClient, name: str) -> dict[int, int]:
    """Labels by key, as they were written."""
    rows = client.query(
        f"{name}_cluster_labels",
        "id >= 0",
        ["id", "cluster_id"],
        limit=16384,
        consistency_level="Strong",
    )
    return {row["id"]: row["cluster_id"] for row in rows}


def test_the_worker_carries_neighbours_over_from_run_to_run(
    vectors: np.ndarray, real_server: Backend, collection_name: str, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(JOBS.format(uri=real_server.uri, name=collection_name))
    with WorkerProcess(tmp_path, "--jobs", str(jobs), "--runs-dir", "runs") as worker:
        worker.wait_for("ended", 1, outcome="done")
        with connected(real_server) as client:
            change(client, collection_name, vectors)
        # One may have read the rows while they changed; the next has read all of them.
        worker.wait_for("ended", len(worker.all("ended")) + 2, outcome="done")
        worker.terminate()
        assert worker.ended() == 0
    made = [run for run in RunDirectory(tmp_path / "runs").every() if "neighbors" in run.facts]
    ways = [run.facts["neighbors"]["from"] for run in sorted(made, key=lambda run: run.started)]
    assert ways[0] == "searched"
    assert "carried" in ways[1:]
    assert set(ways[1:]) <= {"carried", "kept"}
    _, anew, _ = planned(how(real_server, collection_name, tmp_path / "anew", "none"))
    with connected(real_server) as client:
        written = clusters(client, collection_name)
    assert len(set(anew.values())) > 5
    assert written.keys() == anew.keys()
    assert same_partition([written[key] for key in anew], anew.values())
