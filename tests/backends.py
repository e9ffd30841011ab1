"""Milvus backends that the tests start themselves.

In: nothing, or a data directory. Out: a ``Backend`` (name, uri, token) that any client can use.
Promise: a started server answers before it is handed out, listens for clients on a free port of
127.0.0.1, and is gone with all its children and files when its context ends.

    with lite_server() as server:
        client = MilvusClient(server.backend.uri)

``VDBCLUSTER_TEST_SERVER_URI`` names a running server to use in place of the packaged one;
``VDBCLUSTER_TEST_NO_SERVER`` says to do without it.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pymilvus import MilvusClient

START_SECONDS = 90.0
STOP_SECONDS = 15.0
FIXED_PORTS = (2379, 2380, 9091)
"""Ports that the packaged server takes whatever it is told: one instance per machine."""

PORTS = range(23_000, 32_000)
"""For servers of our own: below those that the system gives to whoever names none, above those that
Milvus 2.3.5 takes for its parts."""
HEALTH_PORTS = range(9091, 9096)
"""The wrapper moves on from 9091 while connections of an earlier server linger there."""

LITE_FILE = "lite-file"
LITE_SERVER = "lite-server"
REAL_SERVER = "server-2.3.5"
FIXTURES = {LITE_FILE: "lite_file", LITE_SERVER: "lite_server", REAL_SERVER: "real_server"}
"""Which fixture of the tests hands out each of them."""

URI_VARIABLE = "VDBCLUSTER_TEST_SERVER_URI"
NO_SERVER_VARIABLE = "VDBCLUSTER_TEST_NO_SERVER"


@dataclass(frozen=True)
class Backend:
    """Where a Milvus is, and which kind the tests take it for."""

    name: str
    uri: str
    token: str = ""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now.

    Of ``PORTS``, so that nobody is given it by chance while a server is restarted.
    """
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def listening(port: int) -> bool:
    """Whether somebody accepts connections at this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def script(name: str) -> str:
    """The path of a console script of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


class LiteServer:
    """Milvus Lite as a process of its own: ``milvus-lite server``.

    ``start`` after ``stop`` or ``kill`` comes back on the same port with the same data.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.backend = Backend(LITE_SERVER, f"http://127.0.0.1:{self.port}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until its port accepts; ``RuntimeError`` if it never does."""
        argv = [script("milvus-lite"), "server", "--data-dir", str(self.data_dir)]
        argv += ["--host", "127.0.0.1", "--port", str(self.port)]
        self._process = _spawn(argv, self.data_dir.with_suffix(".log"))
        _wait(lambda: listening(self.port), self._process, "milvus-lite server")

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.alive() and self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the process in good order: everything written is on disk."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            _end_process(self._process, how)
        self._process = None


def _says_ok(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return b"OK" in answer.read()
    except (urllib.error.URLError, OSError):
        return False


class RealServer:
    """The Milvus server of the PyPI package ``milvus``; ``start`` restarts it on the same data.

    The package's wrapper and the server proper, which outlives it, are two processes: both are
    ended by pid.
    """

    RESTARTS = 1

    def __init__(
        self, data_dir: Path, port: int | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port or free_port()
        self._options = options
        self.backend = Backend(REAL_SERVER, f"http://127.0.0.1:{self.port}")
        self.restarts = 0
        self._wrapper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it is healthy; ``RuntimeError`` after 90 s without."""
        argv = [script("milvus-server"), "--data", str(self.data_dir)]
        argv += ["--proxy-port", str(self.port), *self._options]
        self._wrapper = _spawn(argv, self.data_dir.with_suffix(".log"))
        _wait(self.healthy, self._wrapper, "milvus-server")

    def healthy(self) -> bool:
        """Whether the server says of itself that every part of it works."""
        return listening(self.port) and any(_says_ok(port) for port in HEALTH_PORTS)

    def ensure(self) -> None:
        """Restart a server that died between two tests, once in its life."""
        if self.pid is not None and self.healthy():
            return
        if self.restarts >= self.RESTARTS:
            raise RuntimeError("milvus-server died again after its restart; see its logs")
        self.restarts += 1
        self.stop()
        self.start()

    @property
    def pid(self) -> int | None:
        """The process id of the server proper."""
        return _process_of(self.data_dir / "bin" / "milvus")

    def alive(self) -> bool:
        return self.pid is not None

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End server and wrapper at once, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._wrapper is not None:
            _end_process(self._wrapper, signal.SIGKILL)
        self._wrapper = None
        if self.pid is not None:
            _end_pid(self.pid, how)


def external_uri() -> str:
    """The running server that the environment names, or the empty string."""
    return os.environ.get(URI_VARIABLE, "")


def why_no_packaged_server() -> str | None:
    """The reason why the packaged server does not run on this machine at all, or None."""
    if os.environ.get(NO_SERVER_VARIABLE):
        return f"{NO_SERVER_VARIABLE} is set"
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the package milvus==2.3.5 is for Linux x86-64, not {platform.platform()}"
    if not Path(script("milvus-server")).exists():
        return "the package milvus==2.3.5 is not installed"
    return None


def why_no_real_server() -> str | None:
    """The reason why the packaged server cannot be started here and now, or None."""
    if reason := why_no_packaged_server():
        return reason
    taken = [port for port in FIXED_PORTS if listening(port)]
    if taken:
        return f"port {taken[0]}, which milvus==2.3.5 must have, is taken"
    return None


@contextmanager
def lite_server(data_dir: Path | None = None, port: int | None = None) -> Iterator[LiteServer]:
    """A running Milvus Lite server process; files of its own unless ``data_dir`` is given."""
    with _home(data_dir, "lite") as home:
        server = LiteServer(home, port)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def real_server(
    data_dir: Path | None = None, port: int | None = None, options: tuple[str, ...] = ()
) -> Iterator[RealServer]:
    """A running Milvus 2.3.5; ``RuntimeError`` with the reason where it cannot be had.

    ``options`` go to ``milvus-server``, which knows ``--authorization-enabled`` and ``--tls-mode``.
    """
    reason = why_no_real_server()
    if reason is not None:
        raise RuntimeError(reason)
    with _home(data_dir, "milvus") as home:
        server = RealServer(home, port, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def real_backend() -> Iterator[Backend]:
    """The server that ``VDBCLUSTER_TEST_SERVER_URI`` names, else a packaged one of our own."""
    if external_uri():
        yield Backend(REAL_SERVER, external_uri())
        return
    with real_server() as server:
        yield server.backend


@contextmanager
def connected(backend: Backend) -> Iterator[MilvusClient]:
    """A plain client with a connection of its own, closed with the context.

    Shared connections are never closed; left idle, their keepalive annoys a Lite server until it
    hangs up (``too_many_pings``) in the middle of a later test.
    """
    calm = {"grpc.keepalive_time_ms": 600_000, "grpc.use_local_subchannel_pool": 1}
    client = MilvusClient(backend.uri, token=backend.token, dedicated=True, grpc_options=calm)
    with closing(client):
        yield client


@contextmanager
def lite_file(directory: Path) -> Iterator[Backend]:
    """A Milvus Lite file in this process; its server thread is ended with the context."""
    from milvus_lite.server_manager import server_manager_instance

    path = str(directory / "lite.db")
    try:
        yield Backend(LITE_FILE, path)
    finally:
        server_manager_instance.release_server(path)


@contextmanager
def _home(data_dir: Path | None, name: str) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    parent = Path(tempfile.mkdtemp(prefix=f"vdbcluster-{name}-"))
    try:
        yield parent / "data"
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _spawn(argv: list[str], log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with exit code {process.returncode} while starting")
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError(f"{what} did not answer within {START_SECONDS:.0f} s")


def _end_process(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def _process_of(executable: Path) -> int | None:
    """The process that runs this file; its path holds a directory of our own, so it is ours."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "exe").readlink() == executable:
                return int(entry.name)
    return None


def _end_pid(pid: int, how: signal.Signals) -> None:
    """End a process that is not a child of ours, and wait until it is gone."""
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ProcessLookupError):
        os.kill(pid, how)
        while _running(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if _running(pid):
            os.kill(pid, signal.SIGKILL)
            while _running(pid):
                time.sleep(0.1)


def _running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie that nobody reaps."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
