"""Workers that share nothing but an object store: the same labels as one process.

The store is SeaweedFS, as it is used for real. Runs survive what happens to workers, to runs and to
the store, and nothing is left there.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import psutil
import pytest

from tests import zoo
from tests.backends import Backend, connected, free_port
from tests.integration.crew_runs import (
    TIMEOUT,
    begin,
    database_of,
    plan,
    run,
    same,
    workers_of,
)
from tests.object_store import Seaweed, seaweed

NEWS = "20news7k.minilm-l6-int8.384.f16.npy"
SHARDS = 12
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def store() -> Iterator[Seaweed]:
    with seaweed() as found:
        yield found


def test_two_workers_share_an_object_store(
    store: Seaweed, lite_server: Backend, collection_name: str, tmp_path: Path
) -> None:
    with connected(lite_server) as client:
        zoo.build(client, collection_name, zoo.by_name("partitions-varchar"), 400)
    where = ("run", "--uri", lite_server.uri, "-c", collection_name, "--method", "hdbscan")
    run(tmp_path / "one", *where, "--label-prefix", "one_")
    work = ("--workers", "2", "--work-dir", f"{store.url}/work")
    run(tmp_path / "two", *where, "--label-prefix", "two_", *work)
    assert store.left() == []
    same(plan(tmp_path / "two"), plan(tmp_path / "one"))
    assert not (tmp_path / "two" / "runs" / "work").exists()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return database_of(tmp_path_factory.mktemp("real"), NEWS, 30_000)


@pytest.fixture(scope="module")
def dry_run(database: Path) -> tuple[str, ...]:
    return ("run", "--uri", str(database), "-c", "docs", "--dry-run", "--method", "hdbscan")


@pytest.fixture(scope="module")
def alone(dry_run: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one process has planned."""
    folder = tmp_path_factory.mktemp("alone")
    run(folder, *dry_run)
    return folder


def crew(url: str) -> tuple[str, ...]:
    return ("--workers", "2", "--shards", str(SHARDS), "--work-dir", f"{url}/work")


def there(store: Seaweed, pattern: str) -> list[str]:
    return [name for name in store.left() if fnmatch(name.rpartition("/")[2], pattern)]


def wait_for(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until it is so; the run must not have ended before."""
    deadline = time.monotonic() + TIMEOUT
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(process: subprocess.Popen[str]) -> str:
    """Its last line, which is the only one that tells of an error."""
    _, told = process.communicate(timeout=TIMEOUT)
    lines = [line for line in told.splitlines() if line.startswith("vdbcluster: ")]
    assert "Traceback" not in told
    assert len(lines) == 1, told
    assert told.rstrip().splitlines()[-1] == lines[0]
    return lines[0]


def test_a_killed_worker_and_a_killed_run_change_nothing(
    store: Seaweed, dry_run: tuple[str, ...], alone: Path, tmp_path: Path
) -> None:
    process = begin(tmp_path, *dry_run, *crew(store.url))
    wait_for(lambda: there(store, "graph-*.npz"), process)
    workers_of(process)[0].kill()
    found = len(there(store, "graph-*.npz"))
    wait_for(lambda: len(there(store, "graph-*.npz")) > found + 1, process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert there(store, "graph-*.npz")
    told = run(tmp_path, *dry_run, *crew(store.url))
    assert "were found by an earlier run" in told
    same(plan(tmp_path), plan(alone))
    assert store.left() == []


def test_a_store_that_is_gone_in_mid_run_is_one_line_and_the_run_goes_on_later(
    store: Seaweed, dry_run: tuple[str, ...], alone: Path, tmp_path: Path
) -> None:
    process = begin(tmp_path, *dry_run, *crew(store.url))
    wait_for(lambda: there(store, "graph-*.npz"), process)
    workers = workers_of(process)
    store.kill()
    told = ended(process)
    assert process.returncode == 1
    assert store.endpoint in told
    assert "run again" in told
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    store.start()
    assert "were found by an earlier run" in run(tmp_path, *dry_run, *crew(store.url))
    same(plan(tmp_path), plan(alone))
    assert store.left() == []


@pytest.mark.parametrize(
    ("user", "secret", "url", "workers", "said"),
    [
        ("owner", "wrong", "s3://pieces/work", "2", "may read, write, list and delete"),
        ("nobody", "a secret", "s3://pieces/work", "0", "may read, write, list and delete"),
        ("reader", "a secret", "s3://pieces/work", "2", "may read, write, list and delete"),
        ("owner", "a secret", "s3://nowhere/work", "0", "a bucket that is there"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line_before_anything_is_read(
    user: str,
    secret: str,
    url: str,
    workers: str,
    said: str,
    store: Seaweed,
    dry_run: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in store.environment(user, secret).items():
        monkeypatch.setenv(name, value)
    process = begin(tmp_path, *dry_run, "--workers", workers, "--work-dir", url)
    told = ended(process)
    assert process.returncode == 2
    assert said in told
    assert url in told
    assert "secret" not in told


def test_nobody_at_its_address_is_one_line(
    dry_run: tuple[str, ...], store: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", nobody)
    process = begin(tmp_path, *dry_run, *crew(store.url))
    told = ended(process)
    assert process.returncode == 1
    assert nobody in told
    assert "run again" in told
