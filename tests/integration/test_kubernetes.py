"""The pods of docker/kubernetes as processes of this machine: their own command lines, settings and
variables, with addresses and folders of here; their probes are asked as Kubernetes asks them.

What the manifests say besides (schemas, selectors, limits, users) is compared in
``tests/unit/test_docker.py`` and ``test_docker_safety.py``.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import zoo
from tests.backends import Backend, connected, free_port
from tests.integration.crew_runs import TIMEOUT, plan, run, same
from tests.unit.docker_files import DASK, WORKER, container, environments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
START_SECONDS = 90.0
ROWS = 400


class Pod:
    """A container of one pod; ``here``: what its words mean on this machine.

    Of two that begin alike the longer one comes first. ``variables``: beside its own.
    """

    def __init__(self, name: str, here: Mapping[str, str], home: Path, **variables: str) -> None:
        self.spec = container(name)
        self._here, self._home = dict(here), home
        for port in self.spec.get("ports", ()):
            number = str(port["containerPort"])
            self._here.setdefault(number, str(free_port()))
        self._given = environments().get(name, environments()["image"]) | {
            entry["name"]: entry.get("value", "secret") for entry in self.spec.get("env", ())
        }
        self._given |= variables

    def said(self, text: str) -> str:
        """In one pass: what a word means here may hold another word."""
        words = "|".join(map(re.escape, self._here))
        return re.sub(words, lambda found: self._here[found[0]], text)

    @property
    def environment(self) -> dict[str, str]:
        """That of the image and the pod; what is compiled is that of all tests."""
        given = {name: self.said(value) for name, value in self._given.items()}
        own = {"PATH": str(Path(sys.executable).parent), "HOME": str(self._home / "nobody")}
        cache = {k: v for k, v in os.environ.items() if k.startswith("NUMBA_")}
        return {k: v for k, v in given.items() if not k.startswith("NUMBA_")} | cache | own

    @property
    def words(self) -> list[str]:
        """Its command, which is that of the image where it names none."""
        command = self.spec.get("command", ["vdbcluster"])
        words = [self.said(word) for word in (*command, *self.spec["args"])]
        return [str(Path(sys.executable).with_name(words[0])), *words[1:]]

    @contextmanager
    def started(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """It answers its startup or readiness probe when it is handed out."""
        process = subprocess.Popen(
            [*self.words, *more],
            env=self.environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not self.answers("livenessProbe"):
                assert process.poll() is None, self.words
                assert time.monotonic() < deadline, self.words
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def answers(self, probe: str) -> bool:
        asked: Mapping[str, Any] = self.spec[probe]
        (how,) = (asked[kind] for kind in ("httpGet", "tcpSocket") if kind in asked)
        ports = {port["name"]: str(port["containerPort"]) for port in self.spec["ports"]}
        number = int(self.said(ports[how["port"]]))
        try:
            if "tcpSocket" in asked:
                with socket.create_connection(("127.0.0.1", number), timeout=5):
                    return True
            with urllib.request.urlopen(f"http://127.0.0.1:{number}{how['path']}", timeout=5) as to:
                return bool(200 <= to.status < 400)
        except (OSError, http.client.HTTPException):  # nobody yet, or somebody else for a moment
            return False


@pytest.fixture
def here(lite_server: Backend, collection_name: str, tmp_path: Path) -> dict[str, str]:
    """Folders, Milvus, the collection and the host of the scheduler."""
    folders = {
        "/var/lib/vdbcluster-work": "work",
        "/var/lib/vdbcluster": "state",
        "/var/cache/vdbcluster": "cache",
        "/etc/vdbcluster": "config",
        "/tmp/dask": "scratch",
    }
    for folder in folders.values():
        (tmp_path / folder).mkdir()
    found = {inside: str(tmp_path / folder) for inside, folder in folders.items()}
    found |= {"http://milvus:19530": lite_server.uri, "articles": collection_name}
    return found | {"vdbcluster-scheduler": "127.0.0.1", "0.0.0.0": "127.0.0.1"}


@pytest.fixture
def rows(lite_server: Backend, collection_name: str) -> None:
    with connected(lite_server) as client:
        zoo.build(client, collection_name, zoo.by_name("partitions-varchar"), ROWS)


def ended(pod: Pod, home: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, what it printed, what it said."""
    done = subprocess.run(
        pod.words,
        env=pod.environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def configured(pod: Pod, texts: Mapping[str, str], home: Path) -> None:
    """The ConfigMap, mounted."""
    for name, text in texts.items():
        (home / "config" / name).write_text(pod.said(text))


@pytest.mark.usefixtures("rows")
def test_the_dask_set_labels_as_one_process_does(
    here: dict[str, str], lite_server: Backend, collection_name: str, tmp_path: Path
) -> None:
    port, dashboard = str(free_port()), str(free_port())
    here = here | {"8786": port, ":8787": f"127.0.0.1:{dashboard}", "8787": dashboard}
    scheduler = Pod("scheduler", here, tmp_path)
    workers = []
    for _ in range(2):
        dashboard = str(free_port())
        ports = {":8788": f"127.0.0.1:{dashboard}", "8788": dashboard}
        workers.append(Pod("dask-worker", here | ports, tmp_path))
    asks = Pod("dask-run", here, tmp_path)
    configured(asks, DASK["vdbcluster-dask/ConfigMap"]["data"], tmp_path)
    local = ("--host", "127.0.0.1")
    with (
        scheduler.started(*local),
        workers[0].started(*local),
        workers[1].started(*local),
    ):
        assert scheduler.answers("readinessProbe")
        code, told, said = ended(asks, tmp_path)
        assert code == 0, said
        assert "2 workers" in said
        assert told["facts"]["write"]["written"] == ROWS
        assert scheduler.answers("livenessProbe")
        assert all(worker.answers("livenessProbe") for worker in workers)
    assert list((tmp_path / "work").iterdir()) == []
    where = ("--uri", lite_server.uri, "-c", collection_name, "--method", "hdbscan")
    run(tmp_path / "one", "run", *where, "--label-prefix", "one_")
    same(plan(tmp_path / "state"), plan(tmp_path / "one"))


@pytest.mark.usefixtures("rows")
def test_the_cron_job_runs_and_ends_by_its_codes(here: dict[str, str], tmp_path: Path) -> None:
    code, told, said = ended(Pod("cronjob", here, tmp_path), tmp_path)
    assert code == 0, said
    assert told["facts"]["write"]["written"] == ROWS
    nowhere = here | {"http://milvus:19530": f"http://127.0.0.1:{free_port()}"}
    impatient = Pod("cronjob", nowhere, tmp_path, VDBCLUSTER__MILVUS__PATIENCE="1")
    code, _, said = ended(impatient, tmp_path)
    assert code == 1, said


@pytest.mark.usefixtures("rows")
def test_the_worker_answers_its_probes_and_ends_in_time(
    here: dict[str, str], tmp_path: Path
) -> None:
    number = str(free_port())
    pod = Pod("worker", here | {"9464": number}, tmp_path)
    configured(pod, WORKER["ConfigMap"]["data"], tmp_path)
    with pod.started("--port", number) as process:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert pod.answers(probe), probe
        notes = WORKER["Service"]["metadata"]["annotations"]
        port, path = pod.said(notes["prometheus.io/port"]), notes["prometheus.io/path"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as metrics:
            assert b"vdbcluster_next_run_timestamp_seconds" in metrics.read()
        process.terminate()
        assert process.wait(60) == 0
