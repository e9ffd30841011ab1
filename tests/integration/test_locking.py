"""Both locks together, as a run takes them; and what the command line says of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from pymilvus import MilvusClient

from tests.backends import Backend
from tests.contract.lock_worlds import DEADLINE, Child
from tests.contract.making import Shape, make, some_vectors
from tests.emulation import Proxy
from tests.in_process import lite, vdbcluster
from tests.integration.docs import fill_docs
from tests.silent import Listener
from vdbcluster.adapters.milvus.client import MilvusAddress
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import BackendUnavailableError, LockedError
from vdbcluster.ports.lock import Lease
from vdbcluster.wiring.locking import locked_run, opened

HOLDING = """
import sys
from tests.integration.test_locking import hold
hold(*sys.argv[1:])
"""


def hold(path: str, runs: str) -> None:
    """Be a run that has a Lite file open and its labels locked, until standard input closes."""
    with locked(settings_of(runs), Backend("lite-file", path), "docs", Listener()):
        print("held", flush=True)  # noqa: T201
        sys.stdin.read()


def settings_of(runs: Path | str, **lock: float) -> Settings:
    return load_settings({"run": {"runs_dir": Path(runs)}, "lock": lock})


@contextmanager
def locked(
    settings: Settings, backend: Backend, name: str, listener: Listener, run: str = "run-1"
) -> Iterator[Lease]:
    with opened(MilvusAddress(backend.uri, backend.token), settings) as connection:
        found = profile(connection, name)
        with locked_run(settings, connection, found, run, listener) as lease:
            yield lease


@pytest.fixture
def docs(
    lite_server: Backend, connect: Callable[[Backend], MilvusClient], collection_name: str
) -> Iterator[str]:
    client = connect(lite_server)
    make(client, collection_name, Shape([1, 2], some_vectors(2), "COSINE"))
    yield collection_name
    assert [n for n in client.list_collections() if "_lock_" in n] == []
    client.drop_collection(collection_name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A Lite file with a collection, which no process has open."""
    path = tmp_path / "docs.db"
    with lite(path) as client:
        fill_docs(client, "docs")
    return path


@contextmanager
def holding(path: Path, runs: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", HOLDING, str(path), str(runs)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def test_the_disk_speaks_first_where_runs_are_kept_together(
    docs: str, lite_server: Backend, tmp_path: Path
) -> None:
    settings, listener = settings_of(tmp_path), Listener()
    with locked(settings, lite_server, docs, listener) as lease:
        lease.check()
        with (
            pytest.raises(LockedError, match=r"run run-1 .* goes when that process ends"),
            locked(settings, lite_server, docs, listener),
        ):
            pass
        other = load_settings({"run": {"runs_dir": tmp_path}, "write": {"label_prefix": "other_"}})
        with locked(other, lite_server, docs, listener) as second:
            second.check()
    assert list(tmp_path.iterdir()) == []
    assert (listener.warnings, listener.notes) == ([], [])


def test_the_server_speaks_where_they_are_not(
    docs: str, lite_server: Backend, tmp_path: Path
) -> None:
    here, there = settings_of(tmp_path / "here"), settings_of(tmp_path / "there")
    with (
        locked(here, lite_server, docs, Listener()),
        pytest.raises(LockedError, match=r"run run-1 .* lapses 60 s after"),
        locked(there, lite_server, docs, Listener()),
    ):
        pass
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("runs", ["here", "there"])
def test_one_that_waits_says_so_and_gets_it(
    docs: str, lite_server: Backend, tmp_path: Path, runs: str
) -> None:
    """``here``: for the file; ``there``: for the server."""
    listener, waits, got = Listener(), threading.Event(), threading.Event()
    listener.note = lambda text: (listener.notes.append(text), waits.set())  # type: ignore[method-assign,assignment]

    def second() -> None:
        settings = settings_of(tmp_path / runs, wait=DEADLINE)
        with locked(settings, lite_server, docs, listener, "run-2") as lease:
            lease.check()
            got.set()

    thread = threading.Thread(target=second)
    with locked(settings_of(tmp_path / "here"), lite_server, docs, Listener()):
        thread.start()
        assert waits.wait(DEADLINE)
        assert not got.is_set()
    thread.join()
    assert got.is_set()
    assert len(listener.notes) == 1
    assert "waiting for run run-1 on host" in listener.notes[0]


def test_a_user_who_may_make_no_collection_is_warned_and_has_the_disk(
    docs: str, lite_server: Backend, proxied: Callable[[Backend], Proxy], tmp_path: Path
) -> None:
    proxy, listener, settings = proxied(lite_server), Listener(), settings_of(tmp_path)
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PrivilegeCreateCollection: permission deny")
    proxy.fail_next("CreateCollection", *denied, times=10**6)
    with locked(settings, proxy.backend, docs, listener) as lease:
        lease.check()
        with pytest.raises(LockedError), locked(settings, proxy.backend, docs, Listener()):
            pass
    [warning] = listener.warnings
    assert "no lock could be made on the server (PrivilegeCreateCollection" in warning
    assert str(tmp_path) in warning


def test_a_lite_file_that_another_run_has_open_is_locked(file: Path, tmp_path: Path) -> None:
    runs, address = tmp_path / "runs", MilvusAddress(str(file))
    with holding(file, runs) as process:
        with pytest.raises(LockedError, match=rf"run run-1 .* \(pid {process.pid}\)"):
            opened(address, settings_of(runs))
        with pytest.raises(BackendUnavailableError, match="open in another process"):
            opened(address, settings_of(tmp_path / "others"))
        threading.Timer(1.0, process.kill).start()
        opened(address, settings_of(runs, wait=DEADLINE)).close()


def test_a_run_ends_with_code_5_and_one_line(
    docs: str, lite_server: Backend, tmp_path: Path
) -> None:
    with Child("milvus", lite_server.uri, docs, elsewhere=True).held() as child:
        where = ("--uri", lite_server.uri, "-c", docs, "--runs-dir", str(tmp_path), "--yes")
        told = vdbcluster(tmp_path, "run", *where)
        assert told.returncode == 5, told.stderr
        line = told.stderr.splitlines()[-1]
        assert line.startswith("vdbcluster: labels cluster_*")
        assert f"(pid {child.process.pid})" in line
        assert child.check() == "ok"
        assert child.leave() == 0
