"""``vdbcluster ingest`` as a person meets it: a file goes in, whatever the API does, and once."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends import LITE_SERVER, Backend, connected
from tests.fault_server import FaultServer, error, random_faults, tokens_of, vector_of
from tests.integration.test_cli import TIMEOUT, vdbcluster

NAME = "news"


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


def stored(backend: Backend, key: str = "id") -> dict[Any, dict[str, Any]]:
    with connected(backend) as client:
        client.load_collection(NAME)
        rows = client.query(
            NAME, f'{key} >= ""', output_fields=["*"], limit=16_000, consistency_level="Strong"
        )
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_one_request_in_ten_fails_and_every_row_is_there_once_and_right(tmp_path, server, api):
    rows = news(5000)
    write_csv(tmp_path / "news.csv", rows)
    api.faults = random_faults(seed=3)
    more = {"text_field": "title", "id_field": "id", "embed_batch": "25"}
    ended = vdbcluster(tmp_path, "ingest", "news.csv", *options(server.uri, api, **more), "--json")
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["report"]["written"] == said["report"]["stored"] == 5000
    assert said["report"]["usage"]["retries"] > 5
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


def test_the_same_again_and_more_rows_later_cost_only_what_is_new(tmp_path, server, api):
    write_csv(tmp_path / "news.csv", news(60))
    command = ["ingest", "news.csv", *options(server.uri, api, id_field="id")]
    assert vdbcluster(tmp_path, *command).returncode == 0
    billed = api.tokens
    again = vdbcluster(tmp_path, *command)
    assert "Nothing new" in again.stdout
    assert api.tokens == billed

    write_csv(tmp_path / "news.csv", news(80))
    more = vdbcluster(tmp_path, *command, "--json")
    report = json.loads(more.stdout)["report"]
    assert (report["written"], report["unchanged"], report["stored"]) == (20, 60, 80)
    assert api.tokens == billed + sum(tokens_of(row["title"]) for row in news(80)[60:])

    with connected(server) as client:
        client.drop_collection(NAME)
    assert json.loads(vdbcluster(tmp_path, *command, "--json").stdout)["report"]["stored"] == 80
    assert api.tokens == billed + sum(tokens_of(row["title"]) for row in news(80)[60:])


def test_labels_outlive_a_second_ingest(tmp_path, server, api):
    write_csv(tmp_path / "news.csv", news(100))
    command = ["ingest", "news.csv", *options(server.uri, api, id_field="id")]
    assert vdbcluster(tmp_path, *command).returncode == 0
    run = ["run", "--yes", f"--uri={server.uri}", "-c", NAME, "--min-cluster-size=5"]
    assert vdbcluster(tmp_path, *run).returncode == 0
    labels = {key: row["cluster_id"] for key, row in stored(server).items()}
    changed = news(101)
    changed[7]["title"] = "Quite another title"
    write_csv(tmp_path / "news.csv", changed)
    report = json.loads(vdbcluster(tmp_path, *command, "--json").stdout)["report"]
    assert (report["written"], report["unchanged"]) == (2, 99)
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


def test_bad_rows_stop_or_are_put_aside(tmp_path, server, api):
    rows = news(10)
    rows[4]["title"] = " "
    write_csv(tmp_path / "news.csv", rows)
    command = ["ingest", "news.csv", *options(server.uri, api, id_field="id")]
    ended = vdbcluster(tmp_path, *command)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("vdbcluster: row 5: the text (field 'title')")
    assert len(stored(server)) == 4
    ended = vdbcluster(tmp_path, *command, "--on-error=quarantine")
    assert ended.returncode == 0, ended.stderr
    assert len(stored(server)) == 9
    where = ended.stdout.partition("quarantine")[2].split()[0]
    told = [json.loads(line) for line in (tmp_path / where).read_text().splitlines()]
    assert [(fault["row"], fault["raw"]["id"]) for fault in told] == [(5, "n4")]


def test_a_limit_stops_before_it_is_passed_and_a_higher_one_goes_on(tmp_path, server, api):
    write_csv(tmp_path / "news.csv", news(200))
    more = {"id_field": "id", "embed_batch": "10", "embed_concurrency": "2"}
    command = ["ingest", "news.csv", *options(server.uri, api, **more)]
    ended = vdbcluster(tmp_path, *command, "--max-tokens=300")
    assert ended.returncode == 4, ended.stderr
    assert "300" in ended.stderr.splitlines()[-1]
    assert 100 < api.tokens <= 300
    done = len(stored(server))
    assert 0 < done < 200
    billed = api.tokens
    assert vdbcluster(tmp_path, *command).returncode == 0
    assert len(stored(server)) == 200
    assert api.tokens == sum(tokens_of(row["title"]) for row in news(200)) > billed


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [(401, 2, "key was refused"), (404, 2, "no such model"), (400, 1, "m at http")],
)
def test_what_retrying_cannot_mend_ends_at_once(tmp_path, server, api, status, code, told):
    write_csv(tmp_path / "news.csv", news(500))
    api.faults = lambda: error(status)
    more = {"id_field": "id", "embed_batch": "10", "embed_api_key": "sk-a-very-secret-key"}
    ended = vdbcluster(tmp_path, "ingest", "news.csv", *options(server.uri, api, **more))
    assert ended.returncode == code, ended.stderr
    assert told in ended.stderr.splitlines()[-1]
    assert len(api.requests) <= 16
    assert "secret" not in ended.stderr + ended.stdout


def test_two_models_do_not_share_a_collection(tmp_path, server, api):
    write_csv(tmp_path / "news.csv", news(20))
    command = ["ingest", "news.csv", *options(server.uri, api, id_field="id")]
    assert vdbcluster(tmp_path, *command).returncode == 0
    ended = vdbcluster(tmp_path, *command, "--embed-model=other")
    assert ended.returncode == 2
    assert "holds vectors of m" in ended.stderr.splitlines()[-1]


def test_vectors_of_the_file_need_no_api(tmp_path, server, api):
    vectors = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    write_csv(tmp_path / "side.csv", news(50))
    command = [f"--uri={server.uri}", "-c", NAME, "--side-file=side.csv", "--id-field=id"]
    ended = vdbcluster(tmp_path, "ingest", "v.npy", *command)
    assert ended.returncode == 0, ended.stderr
    found = stored(server)
    for i, row in enumerate(news(50)):
        np.testing.assert_array_equal(np.float32(found[row["id"]]["vector"]), vectors[i])
    assert not api.requests


def test_the_backend_of_these_tests_is_a_process(server):
    assert server.name == LITE_SERVER
