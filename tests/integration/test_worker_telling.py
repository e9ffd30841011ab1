"""Whom the worker and a single run tell: webhooks, metrics, logs; and what nobody is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import backends
from tests.backends import Backend
from tests.integration.docs import DIM, ROWS
from tests.integration.test_cli import vdbcluster
from tests.integration.worker_process import WorkerProcess
from tests.integration.worker_world import check_labelled, labels
from tests.listener import Listener
from tests.snapshot import Snapshot, snapshot

pytestmark = pytest.mark.timeout(900)  # each wait has a limit of its own
TOKEN = "a-very-secret-token"


JOBS = """
[worker]
at_once = 2
[defaults.telemetry]
webhook = "${HOOK}"
[defaults.milvus]
token = "${TOKEN}"
[[job]]
name = "refused"
every = "5s"
[job.milvus]
uri = "${SERVER}"
collection = "NAME"
filter = "id > 5000"
[[job]]
name = "failed"
every = "5s"
[job.milvus]
uri = "http://127.0.0.1:NOBODY"
collection = "news"
"""


@pytest.mark.slow
def test_the_webhook_hears_of_refusal_and_failure_and_nobody_of_secrets(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    nobody = backends.free_port()
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(JOBS.replace("NAME", name).replace("NOBODY", str(nobody)))
    with Listener() as listener:
        given = {"HOOK": f"{listener.url}/{TOKEN}", "TOKEN": TOKEN, "SERVER": server.uri}
        with WorkerProcess(tmp_path, "--jobs", str(jobs), "--grace", "100", **given) as worker:
            for line in worker.wait_for("starting", 2):
                assert TOKEN.encode() not in Path(f"/proc/{line['pid']}/cmdline").read_bytes()
            status, told = worker.get("/readyz")
            assert status == 503
            assert f"127.0.0.1:{nobody} cannot be reached" in told
            assert worker.get("/healthz") == (200, "ok\n")
            worker.wait_for("ended", 1, job="refused", outcome="refused", exit_code=4)
            worker.wait_for("ended", 1, job="failed", outcome="failed", exit_code=1)
            worker.until(lambda: len(listener.bodies) >= 2, "two webhooks")
            worker.terminate()
            assert worker.ended() == 0
    bodies = {body["event"]: body for body in map(json.loads, listener.bodies)}
    assert bodies.keys() == {"refused", "failed"}
    assert "id > 5000" in bodies["refused"]["message"]
    assert bodies["refused"]["collection"] == name
    assert f"127.0.0.1:{nobody}" in bodies["failed"]["message"]
    assert TOKEN not in json.dumps(worker.lines)
    assert TOKEN.encode() not in b"".join(listener.bodies)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != jobs]
    assert any(path.name == "manifest.json" for path in kept)
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]
    assert labels(server, name, before) == {None: ROWS}


def test_a_single_run_tells_the_same(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    file = tmp_path / "news.prom"
    with Listener() as listener:
        given = {
            "VDBCLUSTER__MILVUS__URI": server.uri,
            "VDBCLUSTER__TELEMETRY__WEBHOOK": listener.url,
            "VDBCLUSTER__TELEMETRY__PUSHGATEWAY": listener.url,
        }
        how = ("--job-name", "nightly", "--log-format", "json", "--webhook-on", "done")
        done = vdbcluster(
            tmp_path,
            *("run", "--json", "-c", name, "--metrics-file", str(file), *how),
            environment=given,
        )
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert {(line["job"], line["run_id"]) for line in said} == {("nightly", manifest["run_id"])}
    assert {"note", "stage"} <= {line["event"] for line in said}
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    assert found["vdbcluster_rows"] == ROWS
    assert listener.paths[0].startswith("POST /metrics/job/vdbcluster/")
    told = json.loads(listener.bodies[1])
    assert (told["event"], told["run_id"]) == ("done", manifest["run_id"])
    check_labelled(server, name, before)


@pytest.mark.slow
def test_new_rows_are_assigned_and_a_cluster_that_emerges_is_told(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, _ = docs
    how = ("--uri", server.uri, "-c", name)
    assert vdbcluster(tmp_path, "run", *how).returncode == 0
    rng = np.random.default_rng(1)
    far = rng.normal(0, 3, DIM) + rng.normal(0, 0.4, (60, DIM))
    with backends.connected(server) as client:
        old = client.query(name, "id < 20", ["vector"], limit=20)
        near = np.array([row["vector"] for row in old]) + rng.normal(0, 0.01, (20, DIM))
        vectors = np.concatenate([near, far]).astype(np.float32)
        client.insert(name, [{"id": ROWS + i, "vector": v} for i, v in enumerate(vectors)])
        before = snapshot(client, name)
    with Listener() as listener:
        told = {"VDBCLUSTER__TELEMETRY__WEBHOOK": listener.url}
        every = ("--assign-every", "5s", "--grace", "100")
        with WorkerProcess(tmp_path, *how, *every, **told) as worker:
            first, *_ = worker.wait_for("ended", 1, command="assign")
            worker.until(lambda: bool(listener.bodies), "webhook")
            worker.terminate()
            assert worker.ended() == 0
    assert (first["outcome"], first["rows"], first["emerged"]) == ("done", 80, 1)
    (body,) = map(json.loads, listener.bodies)
    assert (body["event"], body["command"], body["run_id"]) == (
        "emerged",
        "assign",
        first["run_id"],
    )
    found = labels(server, name, before)
    assert found[None] == 0
    assert len(set(found) - {-1}) == 5
