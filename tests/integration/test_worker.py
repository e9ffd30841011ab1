"""The worker for real: on a schedule of seconds, killed, told to end, twice at once.

After each of these a plain client looks at the collection: every row has its label, and no byte
that is not ours has changed.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import backends
from tests.backends import Backend
from tests.integration.docs import CLUSTERS, ROWS
from tests.integration.test_cli import vdbcluster
from tests.integration.worker_process import PATIENCE, Line, WorkerProcess
from tests.integration.worker_world import check_labelled, labels, made
from tests.snapshot import Snapshot

pytestmark = pytest.mark.timeout(900)  # each wait has a limit of its own


def metrics(worker: WorkerProcess) -> dict[tuple[str, ...], float]:
    """Values by name and labels, in the order of the labels' names."""
    status, text = worker.get("/metrics")
    assert status == 200
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def gone(pid: int) -> bool:
    """Whether the process is not there, or dead and not yet fetched by init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def endings(worker: WorkerProcess) -> set[str]:
    return {line["outcome"] for line in worker.all("ended")}


def under_way(worker: WorkerProcess, count: int) -> Line:
    """Wait until the run after ``count`` others is well begun: its process has read the rows."""
    started = worker.wait_for("starting", count + 1)[count]
    place = worker.lines.index(started)

    def begun() -> bool:
        return any(line.get("stage") == "read" for line in worker.lines[place:])

    worker.until(begun, "run under way")
    return started


@pytest.mark.slow
def test_it_runs_answers_is_killed_and_goes_on(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    how = ("--uri", server.uri, "-c", name, "--every", "5s", "--grace", "100")
    with WorkerProcess(tmp_path, *how) as worker:
        assert worker.get("/healthz") == (200, "ok\n")
        assert worker.get("/readyz") == (200, "ok\n")
        assert worker.get("/nothing")[0] == 404
        worker.wait_for("ended", 1, outcome="done")
        found = metrics(worker)
        assert found["vdbcluster_runs_total", "run", name, "done"] >= 1
        assert found["vdbcluster_runs_total", "run", name, "failed"] == 0
        assert found["vdbcluster_rows", "run", name] == ROWS
        assert found["vdbcluster_clusters", "run", name] == CLUSTERS
        assert found["vdbcluster_last_exit_code", "run", name] == 0
        well = found["vdbcluster_last_success_timestamp_seconds", "run", name]
        assert time.time() - 600 < well < time.time() + 1
        assert found["vdbcluster_next_run_timestamp_seconds", "run", name] > well - 600
        check_labelled(server, name, before)
        before_it = len(worker.all("ended"))
        interrupted = under_way(worker, before_it)
        worker.kill()
    too_late = len(worker.all("ended")) > before_it
    assert not worker.all("no JSON")
    # The run notices that nobody is left to tell.
    deadline = time.monotonic() + PATIENCE
    while not gone(interrupted["pid"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with WorkerProcess(tmp_path, *how) as worker:
        # What was interrupted was not dealt with, so it is due, with what came since.
        due = worker.wait_for("started")[0]["due"][f"{name} run"]
        assert too_late or due <= interrupted["due"]
        known = metrics(worker)["vdbcluster_last_success_timestamp_seconds", "run", name]
        assert known >= int(well)
        worker.wait_for("ended", 1, outcome="done")
        under_way(worker, len(worker.all("ended")))
        worker.terminate()
        assert worker.ended() == 0
    assert endings(worker) == {"done"}
    assert worker.lines[-1]["event"] == "stopped"
    check_labelled(server, name, before)


@pytest.mark.slow
def test_told_to_end_twice_it_interrupts_the_run(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    how = ("--uri", server.uri, "-c", name, "--every", "5s", "--grace", "100", "--kill-after", "60")
    for _ in range(5):  # a run may be over when the signal comes
        with WorkerProcess(tmp_path, *how) as worker:
            under_way(worker, 0)
            worker.terminate()
            worker.wait_for("stopping")
            worker.terminate()  # a second signal hurries it
            assert worker.ended() == 0
        if endings(worker) == {"interrupted"}:
            break
    assert endings(worker) == {"interrupted"}
    labels(server, name, before)
    done = vdbcluster(tmp_path, "run", "--uri", server.uri, "-c", name)
    assert done.returncode == 0, done.stderr
    check_labelled(server, name, before)


@pytest.mark.slow
def test_a_run_that_does_not_listen_is_killed_and_the_next_one_finishes(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    how = ("--uri", server.uri, "-c", name, "--every", "5s", "--grace", "1", "--kill-after", "2")
    for _ in range(5):  # a run may be over before it is stopped
        with WorkerProcess(tmp_path, *how) as worker:
            pid = under_way(worker, 0)["pid"]
            os.kill(pid, signal.SIGSTOP)  # it takes SIGTERM no more, as if a disk hung
            worker.terminate()
            assert worker.ended() == 0
        if endings(worker) == {"interrupted"}:
            break
    assert endings(worker) == {"interrupted"}
    assert gone(pid)
    labels(server, name, before)
    done = vdbcluster(tmp_path, "run", "--uri", server.uri, "-c", name, "--lock-wait", "120")
    assert done.returncode == 0, done.stderr
    check_labelled(server, name, before)


@pytest.mark.slow
def test_a_webhook_that_never_answers_holds_up_no_end(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, and says nothing
        hook = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        how = ("--uri", server.uri, "-c", name, "--every", "5s", "--grace", "100")
        with WorkerProcess(tmp_path, *how, "--filter", "id > 5000", "--webhook", hook) as worker:
            worker.wait_for("ended", 1, outcome="refused")
            worker.terminate()
            assert worker.ended() == 0
    assert worker.all("not told")
    assert labels(server, name, before) == {None: ROWS}


def test_two_at_once_harm_nothing(
    server: Backend, docs: tuple[str, Snapshot], tmp_path: Path
) -> None:
    name, before = docs
    how = ("--uri", server.uri, "-c", name, "--every", "5s", "--grace", "100")
    folders = tmp_path / "one", tmp_path / "other"  # as on two machines
    for folder in folders:
        folder.mkdir()
    with WorkerProcess(folders[0], *how) as one, WorkerProcess(folders[1], *how) as other:
        for worker in (one, other):
            worker.wait_for("ended", 1)
        for worker in (one, other):
            worker.terminate()
        assert one.ended() == other.ended() == 0
    assert endings(one) | endings(other) <= {"done", "locked"}
    assert "done" in endings(one) | endings(other)
    check_labelled(server, name, before)


@pytest.mark.slow
@pytest.mark.server
def test_on_the_real_server(real_server: Backend, tmp_path: Path) -> None:
    name = f"worker_{os.getpid()}"
    before = made(real_server, name)
    try:
        how = ("--uri", real_server.uri, "-c", name, "--every", "5s", "--grace", "100")
        with WorkerProcess(tmp_path, *how, "--allow-full-upsert") as worker:
            worker.wait_for("ended", 1, outcome="done")
            under_way(worker, len(worker.all("ended")))
            worker.terminate()
            assert worker.ended() == 0
        assert endings(worker) == {"done"}
        check_labelled(real_server, name, before)
    finally:
        with backends.connected(real_server) as client:
            for found in client.list_collections():
                if found.startswith(name):
                    client.drop_collection(found)
