"""``--incremental`` on a real set in a Lite file, rows new, gone and changed: the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import plain
from tests.backends import LITE_FILE, Backend
from tests.data import embeddings
from tests.safety.worlds import client_of
from tests.silent import Listener
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.model.manifest import RunManifest
from vdbcluster.wiring.main_job import run_job

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]
NAME = "news"
ROWS = 2225


def insert(client: MilvusClient, name: str, vectors: np.ndarray, keys: Sequence[int]) -> None:
    rows: list[dict[str, Any]] = [{"id": int(k), "vector": vectors[k].tolist()} for k in keys]
    for start in range(0, len(rows), 500):
        client.upsert(name, rows[start : start + 500])


def change(client: MilvusClient, name: str, vectors: np.ndarray, seed: int = 0) -> None:
    """5 % of the rows new, 3 % deleted, 2 % changed."""
    rng = np.random.default_rng(seed)
    first = ROWS - ROWS // 20
    some = rng.choice(first, ROWS // 20, replace=False)
    gone, changed = some[: 3 * ROWS // 100], some[3 * ROWS // 100 :]
    moved = vectors.copy()
    moved[changed] = vectors[changed] + rng.normal(0, 0.02, (len(changed), vectors.shape[1]))
    insert(client, name, vectors, range(first, ROWS))
    client.delete(name, ids=gone.tolist())
    insert(client, name, moved, changed.tolist())


def how(place: Backend, name: str, runs: Path, center: str, **scale: Any) -> Settings:
    return load_settings(
        {
            "milvus": {"uri": place.uri, "collection": name},
            "run": {"runs_dir": runs},
            "neighbors": {"center": center},
            "scale": scale,
            "cluster": {"resamples": 0},
        }
    )


def planned(settings: Settings) -> tuple[RunManifest, dict[int, int], list[str]]:
    """The manifest of a dry run, the labels that it would write, and its notes."""
    told = Listener()
    manifest = run_job(settings, told, dry_run=True)
    arrays = RunDirectory(settings.run.runs_dir).load_arrays(manifest.run_id)
    labels = dict(zip(arrays["keys"].tolist(), arrays["cluster_id"].tolist(), strict=True))
    return manifest, labels, told.notes


@pytest.mark.parametrize("center", ["none", "auto"])
def test_the_labels_are_those_of_a_run_anew(tmp_path: Path, center: str) -> None:
    vectors = embeddings("bbc2225.wordllama.256.f16.npy")
    place = Backend(LITE_FILE, str(tmp_path / "lite.db"))
    with client_of(place) as client:
        plain.create(client, NAME, vectors.shape[1])
        insert(client, NAME, vectors, range(ROWS - ROWS // 20))
    first, _, _ = planned(how(place, NAME, tmp_path / "runs", center, incremental=True))
    assert first.facts["neighbors"]["from"] == "searched"
    with client_of(place) as client:
        change(client, NAME, vectors)
    second, labels, notes = planned(how(place, NAME, tmp_path / "runs", center, incremental=True))
    found = second.facts["neighbors"]
    assert found["from"] == "carried", notes
    assert (found["new"], found["changed"], found["gone"]) == (111, 45, 66)
    assert 156 <= found["searched"] < ROWS / 4
    assert second.facts["audit"]["recall"] == 1.0
    assert any("carried over from run" in note for note in notes)
    _, anew, _ = planned(how(place, NAME, tmp_path / "anew", center))
    assert sorted(labels) == sorted(anew)
    if center == "none" or not any("the mean of that run" in note for note in notes):
        assert labels == anew
