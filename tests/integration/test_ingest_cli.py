"""``vdbcluster ingest``: a file goes in, whatever the API does, and once.

Most of it through ``ingest_job``; the command where what a person types or sees is the point, and a
process of its own where it is what is piped.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType

from tests.backends import LITE_SERVER, Backend, connected
from tests.fault_server import DIM, FaultServer, error, random_faults, tokens_of, vector_of
from tests.in_process import vdbcluster
from tests.integration.test_cli import TIMEOUT
from tests.silent import SILENT
from vdbcluster.adapters.lock import locked
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import BudgetError, RefusedError, SourceRowError, UsageError, VdbclusterError
from vdbcluster.wiring.ingest import IngestResult, ingest_job
from vdbcluster.wiring.main_job import run_job

NAME = "news"
Ingest = Callable[..., IngestResult]


@pytest.fixture
def api() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def server(lite_server: Backend) -> Iterator[Backend]:
    """A server with no collection of this name, before and after."""
    with connected(lite_server) as client:
        client.drop_collection(NAME)
        yield lite_server
        client.drop_collection(NAME)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def news(n: int) -> list[dict[str, Any]]:
    return [{"id": f"n{i}", "title": f"Title {i}", "year": 2000 + i % 20} for i in range(n)]


def options(uri: str, api: FaultServer, **more: str) -> list[str]:
    said = {"uri": uri, "collection": NAME, "embed-base-url": api.url, "embed-model": "m"} | more
    return [f"--{name.replace('_', '-')}={value}" for name, value in said.items()]


def settings(folder: Path, uri: str, api: FaultServer, **more: dict[str, Any]) -> Settings:
    """Those of ``options``, with all files in ``folder``; ``more`` by section."""
    said: dict[str, dict[str, Any]] = {
        "milvus": {"uri": uri, "collection": NAME},
        "source": {"id_field": "id"},
        "embed": {"base_url": api.url, "model": "m", "cache": folder / "cache"},
        "run": {"runs_dir": folder / "runs"},
    }
    return load_settings({name: said.get(name, {}) | more.get(name, {}) for name in said | more})


@pytest.fixture
def ingest(tmp_path: Path, server: Backend, api: FaultServer) -> Ingest:
    """``ingest(**settings by section)`` of news.csv, or of another file."""

    def go(file: str = "news.csv", /, **more: dict[str, Any]) -> IngestResult:
        return ingest_job(str(tmp_path / file), settings(tmp_path, server.uri, api, **more), SILENT)

    return go


def stored(backend: Backend, key: str = "id") -> dict[Any, dict[str, Any]]:
    with connected(backend) as client:
        client.load_collection(NAME)
        rows = client.query(
            NAME, f'{key} >= ""', output_fields=["*"], limit=16_000, consistency_level="Strong"
        )
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_one_request_in_ten_fails_and_every_row_is_there_once_and_right(
    tmp_path, server, api, ingest
):
    rows = news(5000)
    write_csv(tmp_path / "news.csv", rows)
    api.faults = random_faults(seed=3)
    report = ingest(source={"text_field": "title"}, embed={"batch": 25}).report
    assert report.written == report.stored == 5000
    assert report.usage.retries > 5
    found = stored(server)
    assert len(found) == 5000
    for row in rows:
        there = found[row["id"]]
        assert there["title"] == row["title"]
        np.testing.assert_allclose(there["vector"], vector_of(row["title"]), atol=1e-6)


def test_what_was_written_can_be_clustered_by_the_command_that_is_shown(tmp_path, server, api):
    write_csv(tmp_path / "news.csv", news(300))
    ended = vdbcluster(
        tmp_path, "ingest", "news.csv", *options(server.uri, api, id_field="id", field="year")
    )
    assert ended.returncode == 0, ended.stderr
    assert "key id VARCHAR (id); text title" in ended.stderr
    shown = ended.stdout.rpartition("Next: ")[2].split()
    assert shown[:2] == ["vdbcluster", "run"]
    ran = vdbcluster(tmp_path, *shown[1:], "--yes", "--min-cluster-size=5", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["facts"]["write"]["written"] == 300


def test_the_same_again_and_more_rows_later_cost_only_what_is_new(tmp_path, server, api, ingest):
    write_csv(tmp_path / "news.csv", news(60))
    ingest()
    billed = api.tokens
    again = ingest().report
    assert (again.read, again.skipped, again.written) == (60, 60, 0)
    assert api.tokens == billed

    write_csv(tmp_path / "news.csv", news(80))
    report = ingest().report
    assert (report.written, report.unchanged, report.stored) == (20, 60, 80)
    assert api.tokens == billed + sum(tokens_of(row["title"]) for row in news(80)[60:])

    with connected(server) as client:
        client.drop_collection(NAME)
    assert ingest().report.stored == 80
    assert api.tokens == billed + sum(tokens_of(row["title"]) for row in news(80)[60:])


def test_labels_outlive_a_second_ingest(tmp_path, server, api, ingest):
    write_csv(tmp_path / "news.csv", news(100))
    ingest()
    run_job(settings(tmp_path, server.uri, api, cluster={"min_cluster_size": 5}), SILENT)
    labels = {key: row["cluster_id"] for key, row in stored(server).items()}
    changed = news(101)
    changed[7]["title"] = "Quite another title"
    write_csv(tmp_path / "news.csv", changed)
    report = ingest().report
    assert (report.written, report.unchanged) == (2, 99)
    found = stored(server)
    assert found["n7"]["title"] == "Quite another title"
    assert {key: found[key]["cluster_id"] for key in labels} == labels
    assert "cluster_id" not in found["n100"]


def test_a_dry_run_asks_nobody_and_leaves_nothing(tmp_path, api):
    rows = [{**row, "title": ""} if row["id"] == "n3" else row for row in news(40)]
    write_csv(tmp_path / "news.csv", rows)
    before = sorted(path.name for path in tmp_path.iterdir())
    ended = vdbcluster(
        tmp_path, "ingest", "news.csv", *options("news.db", api, id_field="id"), "--dry-run"
    )
    assert ended.returncode == 0, ended.stderr
    for told in (
        "id",
        "VARCHAR primary key",
        "Title 0",
        "Title 10",
        "row",
        "4: the text",
        "tokens",
    ):
        assert told in ended.stdout
    assert not api.requests
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_standard_input(tmp_path, server, api):
    lines = "".join(json.dumps({"title": f"T {i}", "n": i}) + "\n" for i in range(30))
    ended = subprocess.run(
        [sys.executable, "-m", "vdbcluster.cli.main", "ingest", "-", *options(server.uri, api)],
        input=lines,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = stored(server)
    assert sorted(row["n"] for row in found.values()) == list(range(30))
    assert all(len(key) == 32 for key in found)


def test_bad_rows_stop_or_are_put_aside(tmp_path, server, ingest):
    rows = news(10)
    rows[4]["title"] = " "
    write_csv(tmp_path / "news.csv", rows)
    with pytest.raises(SourceRowError, match=r"^row 5: the text \(field 'title'\)"):
        ingest()
    assert len(stored(server)) == 4
    result = ingest(ingest={"on_error": "quarantine"})
    assert len(stored(server)) == 9
    told = [json.loads(line) for line in result.quarantine.read_text().splitlines()]
    assert [(fault["row"], fault["raw"]["id"]) for fault in told] == [(5, "n4")]


def test_a_limit_stops_before_it_is_passed_and_a_higher_one_goes_on(tmp_path, server, api, ingest):
    write_csv(tmp_path / "news.csv", news(200))
    few = {"batch": 10, "concurrency": 2}
    with pytest.raises(BudgetError, match="300"):
        ingest(embed=few | {"max_tokens": 300})
    assert 100 < api.tokens <= 300
    done = len(stored(server))
    assert 0 < done < 200
    billed = api.tokens
    ingest(embed=few)
    assert len(stored(server)) == 200
    assert api.tokens == sum(tokens_of(row["title"]) for row in news(200)) > billed


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [(401, 2, "key was refused"), (404, 2, "no such model"), (400, 1, "m at http")],
)
def test_what_retrying_cannot_mend_ends_at_once(tmp_path, api, ingest, status, code, told):
    write_csv(tmp_path / "news.csv", news(500))
    api.faults = lambda: error(status)
    with pytest.raises(VdbclusterError, match=told) as failed:
        ingest(embed={"batch": 10, "api_key": "sk-a-very-secret-key"})
    assert failed.value.exit_code == code
    assert "secret" not in str(failed.value)
    assert len(api.requests) <= 16


def test_a_refused_key_is_one_line_on_standard_error_and_no_secret(tmp_path, server, api):
    write_csv(tmp_path / "news.csv", news(50))
    api.faults = lambda: error(401)
    url = api.url.replace("://", "://someone:pass-word@")
    more = {"embed_base_url": url, "embed_api_key": "sk-a-very-secret-key"}
    ended = vdbcluster(tmp_path, "ingest", "news.csv", *options(server.uri, api, **more), "--json")
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert "key was refused" in ended.stderr.splitlines()[-1]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in ("secret", "pass-word"):
        assert secret not in ended.stderr
        assert not any(secret.encode() in content for content in kept)


def test_two_models_do_not_share_a_collection(tmp_path, ingest):
    write_csv(tmp_path / "news.csv", news(20))
    ingest()
    with pytest.raises(UsageError, match="holds vectors of m"):
        ingest(embed={"model": "other"})


def test_vectors_of_the_file_need_no_api(tmp_path, server, api, ingest):
    vectors = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    write_csv(tmp_path / "side.csv", news(50))
    ingest("v.npy", source={"side_file": tmp_path / "side.csv"})
    found = stored(server)
    for i, row in enumerate(news(50)):
        np.testing.assert_array_equal(np.float32(found[row["id"]]["vector"]), vectors[i])
    assert not api.requests


def test_two_ingests_of_one_source_do_not_write_the_same_files(tmp_path, ingest):
    write_csv(tmp_path / "news.csv", news(20))
    ingest()
    (checkpoint,) = (tmp_path / "runs").rglob("*.checkpoint.json")
    write_csv(tmp_path / "news.csv", news(30))
    other = checkpoint.with_name(f".{checkpoint.name.removesuffix('.checkpoint.json')}.lock")
    with locked(other), pytest.raises(RefusedError, match="another ingest of this source"):
        ingest()
    assert ingest().report.stored == 30
    assert not other.exists()


def test_a_record_that_cannot_be_kept_is_told_before_anything_is_paid(tmp_path, api, ingest):
    write_csv(tmp_path / "news.csv", news(20))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match="--runs-dir"):
        ingest(run={"runs_dir": tmp_path / "file" / "runs"})
    assert not api.requests


def test_a_folder_is_taken_in_without_what_ingest_writes_there(tmp_path, server, api, ingest):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"text {name}")
    source = {"id_field": "", "text_field": "text"}
    assert ingest(".", source=source).report.stored == 2
    assert ingest(".", source=source).report.skipped == 2
    (tmp_path / "c.txt").write_text("text c")
    assert ingest(".", source=source).report.stored == 3


def test_the_vector_field_that_is_named_is_filled(tmp_path, server, ingest):
    write_csv(tmp_path / "news.csv", news(20))
    with connected(server) as client:
        schema = client.create_schema(enable_dynamic_field=True)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=8)
        for name in ("first", "second"):
            schema.add_field(name, DataType.FLOAT_VECTOR, dim=DIM, nullable=True)
        client.create_collection(NAME, schema=schema)
    ingest(milvus={"vector_field": "second"})
    row = stored(server)["n3"]
    assert not np.any(row["first"])  # a Lite server shows null as zeros
    np.testing.assert_allclose(row["second"], vector_of("Title 3"), atol=1e-6)


def test_without_a_cache_none_is_made(tmp_path, ingest):
    write_csv(tmp_path / "news.csv", news(20))
    ingest(embed={"cache": "none"})
    assert not list(tmp_path.rglob("*.sqlite"))


def test_the_backend_of_these_tests_is_a_process(server):
    assert server.name == LITE_SERVER
