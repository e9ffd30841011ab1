"""``vdbcluster serve`` over real databases: as a process, under attack, while a run writes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests import backends
from tests.backends import Backend
from tests.integration.docs import loaded_docs
from tests.integration.serve_process import ServeProcess
from tests.integration.serve_watch import Watch, add_blob, check
from tests.silent import Listener
from vdbcluster.cli import serve as serve_command
from vdbcluster.cli.app import app
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.server.access import Access
from vdbcluster.server.app import create_app
from vdbcluster.wiring.main_job import run_job
from vdbcluster.wiring.serving import open_services

CLUSTER = {"min_cluster_size": 10, "resamples": 0}


def settings_for(uri: str, folder: Path, *, way: str = "auto", where: str = "") -> Settings:
    return load_settings(
        {
            "milvus": {"uri": uri, "collection": "docs", "filter": where},
            "cluster": CLUSTER,
            "write": {"way": way},
            "run": {"runs_dir": folder / "runs"},
            "embed": {"embedder": "local"},
        }
    )


@contextmanager
def served(settings: Settings) -> Iterator[TestClient]:
    with open_services(settings, Listener()) as services:
        made = create_app(services, Access())
        yield TestClient(made, base_url="http://127.0.0.1", raise_server_exceptions=False)


PLACES = (
    "lite_file/lite-merge",
    "lite_file/side-collection",
    pytest.param("real_server/side-collection", marks=[pytest.mark.server, pytest.mark.slow]),
)


@pytest.fixture(params=PLACES)
def labelled(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """``docs`` with the labels of a run, in the rows or beside them."""
    place, _, way = request.param.partition("/")
    backend: Backend = request.getfixturevalue(place)
    with backends.connected(backend) as client:
        loaded_docs(client, "docs")
    settings = settings_for(backend.uri, tmp_path, way=way)
    run_job(settings, Listener())
    return settings


ATTACKS = (
    "1 == 1) or (1 == 1",
    "id >= 0) or (id >= 0",
    ") or (id >= 0",
    "id >= 0) or id >= 0 or (id < 0",
    "(id >= 0",
    "id >= 0)",
    "[id >= 0]",
    "id in [1, 2",
    'id >= 0 or "',
    "id >= 0 or '",
    '"\\") or (id >= 0 or "" == "',
    "id >= 0 -- ",
    "id >= 0 // x",
    "id >= 0 # x",
    "id >= 0 /* x */",
    "id >= 0; drop",
    "id >= 0\x00) or (id >= 0",
    "id >= 0 or {x}",
    "\u202eid >= 0",
    "id >= ",
    "and id >= 0",
    "id >= 0 or",
    "()",
    "   (   ",
    "(" * 900 + "id >= 0" + ")" * 900,
    "not " * 400 + "(id >= 0)",
    "-" * 1_900 + "1 < id",
)
WIDE = ("id >= 0", "1 == 1", "id >= 0 or id < 0", "cluster_id >= 0 or cluster_id < 0", "true",
        "not (id < 0)", "id >= 0\nor\tid < 0")  # fmt: skip


def test_no_filter_widens_what_was_chosen(labelled: Settings) -> None:
    narrow = labelled.model_copy(
        update={"milvus": labelled.milvus.model_copy(update={"filter": "id < 200"})}
    )
    with served(narrow) as client:
        every = client.get("/api/search", params={"limit": 200}).json()["rows"]
        clusters = {row["key"]: row["cluster"]["id"] for row in every}
        assert set(clusters) == {str(key) for key in range(200)}
        mine = {key for key, cluster in clusters.items() if cluster == 0}
        assert 0 < len(mine) < 200
        for text in (*ATTACKS, *WIDE):
            for path in ("/api/search", "/api/row/similar"):
                asked = {"cluster": 0, "filter": text, "limit": 200, "key": 1}
                answer = client.get(path, params=asked)
                if answer.status_code != 200:
                    assert answer.status_code == 400, (text, answer.text)
                    assert "\n" not in answer.json()["error"]
                    assert path == "/api/search"
                    continue
                found = {row["key"] for row in answer.json()["rows"]}
                assert found <= mine, text
        wide = client.get("/api/search", params={"filter": "id >= 0", "limit": 200}).json()["rows"]
        assert {row["key"] for row in wide} == set(clusters)
        for text in (WIDE[0], WIDE[2]):
            asked = {"cluster": 0, "filter": text, "limit": 200}
            rows = client.get("/api/search", params=asked).json()["rows"]
            assert {row["key"] for row in rows} == mine, text
        assert all(
            client.get("/api/search", params={"filter": text}).status_code == 400
            for text in ATTACKS[:8]
        )


def test_clusters_and_merges_over_a_lite_file(labelled: Settings) -> None:
    edits = labelled.model_copy(
        update={"serve": labelled.serve.model_copy(update={"allow_edit": True})}
    )
    head = {"x-vdbcluster": "edit"}
    with served(edits) as client:
        before = client.get("/api/clusters").json()
        assert {c["id"]: c["size"] for c in before["clusters"]} == dict.fromkeys(range(4), 60)
        news = {"name": 'A "name" \\ <i>', "pinned": True}
        assert client.patch("/api/clusters/2", json=news, headers=head).status_code == 200
        first = client.get("/api/clusters").json()["clusters"][0]
        assert (first["id"], first["title"], first["pinned"]) == (2, news["name"], True)
        done = client.post("/api/clusters/3/merge", json={"into": 2}, headers=head)
        assert done.status_code == 200, done.text
        assert (done.json()["written"], done.json()["failed"]) == (60, 0)
        sizes = {c["id"]: c["size"] for c in client.get("/api/clusters").json()["clusters"]}
        assert sizes == {0: 60, 1: 60, 2: 120}
        rows = client.get("/api/clusters/2/rows", params={"limit": 200}).json()["rows"]
        assert len(rows) == 120
        assert {row["cluster"]["title"] for row in rows} == {news["name"]}
        assert client.get("/api/clusters/3").json()["merged_into"] == 2
        again = client.post("/api/clusters/3/unmerge", json={}, headers=head)
        assert (again.status_code, again.json()["state"]) == (200, "live")


def test_the_process_says_where_it_is_and_ends_as_it_is_told(tmp_path: Path) -> None:
    with backends.lite_server(tmp_path / "data") as server:
        with backends.connected(server.backend) as client:
            loaded_docs(client, "docs")
        uri = server.backend.uri
        arguments = ("-c", "docs", "--uri", uri, "--embedder", "local", "--log-format", "json")
        with ServeProcess(tmp_path, *arguments) as process:
            port = process.url.rpartition(":")[2].strip("/")
            assert process.get("/api/health") == {"ok": True}
            assert not process.get("/api/collection")["search"]["available"]
            assert any("gives 256 values" in line for line in process.said)
            assert any("no catalogue" in line for line in process.said)
            with pytest.raises(UsageError, match="nothing can listen on"):
                serve_here(uri, "--port", port)
            # The server starts anew, with its collections released: what is asked then is answered.
            server.kill()
            status, answer = process.ask("/api/noise")
            assert (status, list(answer)) == (503, ["error"])
            server.start()
            status, answer = process.ask("/api/search")
            assert (status, len(answer["rows"])) == (200, 20)
            assert process.end() == 0
            assert all(line.startswith("{") for line in process.said)


def serve_here(uri: str, *more: str) -> None:
    arguments = ["serve", "--uri", uri, "-c", "docs", *more]
    done = CliRunner(env={"TERM": "dumb"}).invoke(app, arguments)
    assert done.exception is not None
    raise done.exception


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_command, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'vdbcluster\[serve\]'"):
        serve_here("x.db")


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"others can reach 0\.0\.0\.0"):
        serve_here("x.db", "--host", "0.0.0.0")
    with pytest.raises(UsageError, match=r"no Milvus Lite file"):
        serve_here(str(tmp_path / "none.db"), "--port", "0")
    with pytest.raises(UsageError, match="no collection was named"):
        serve_here("x.db", "--port", "0", "-c", "")
    with pytest.raises(UsageError, match="nothing can listen"):
        serve_here("x.db", "--host", "203.0.113.1", "--access-token", "t", "--port", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="choose another --host or --port"):
            serve_here("x.db", "--port", str(taken.getsockname()[1]))


def watched(backend: Backend, folder: Path, runs: int, way: str = "auto") -> None:
    """Cluster again and again, with rows that came meanwhile, while people look."""
    with backends.connected(backend) as client:
        loaded_docs(client, "docs")
        settings = settings_for(backend.uri, folder, way=way)
        ids = [run_job(settings, Listener()).run_id]
        home = client.query("docs", "id == 0", output_fields=["id"])
        assert home
        arguments = ("-c", "docs", "--uri", backend.uri, "--embedder", "local")
        runs_dir = ("--runs-dir", str(folder / "runs"), "--write-way", way)
        with ServeProcess(folder, *arguments, *runs_dir) as process:
            first = process.get("/api/row", key=0)["cluster"]["id"]
            with Watch(process) as watch:
                for number in range(runs):
                    add_blob(client, number)
                    ids.append(run_job(settings, Listener()).run_id)
                while not watch.seen(ids[-1]):  # the limit of the test is its own
                    time.sleep(0.1)
            assert process.end() == 0
    check(watch.answers, ids, first)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["auto", "side-collection"])
def test_people_look_while_a_run_writes(way: str, tmp_path: Path) -> None:
    with backends.lite_server(tmp_path / "data") as server:
        watched(server.backend, tmp_path, 2, way)


@pytest.mark.slow
def test_people_look_while_a_run_writes_to_a_server(real_server: Backend, tmp_path: Path) -> None:
    watched(real_server, tmp_path, 3)
