"""A collection in a Lite file with labels, cards and a map, and ``vdbcluster serve`` upon it.

    fill(folder)                 docstrings of the standard library, and rows that attack the page
    with serving(folder, "--allow-edit") as served:
        served.url, served.uri, served.stop(), served.start()

Promise: real commands, the server a process of its own; nothing is asked of any other machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from tests import backends
from tests.in_process import lite, vdbcluster
from vdbcluster.adapters.pydocs import standard_library_docs
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.model.maps import MapLayout
from vdbcluster.pipeline.map_record import keep_layout

NAME = "docs"
MODULES = ("tarfile", "zipfile", "datetime", "threading", "logging", "turtle", "email", "tkinter")
EACH = 34
SCRIPT = "<script>window.hit = 1</script><img src=x onerror='window.hit=2'> \"quotes\" ' ${hit}"
ARABIC = "مرحبا بالعالم، هذا نص من اليمين إلى اليسار عن الأرشيف"
CHINESE = "这是一个关于压缩文件的中文句子用来检查显示是否正确。" * 12
OVERRIDE = "safe \u202egnp.exe\u202c and \u2066isolated"
HOSTILE = {
    "hostile/../script": SCRIPT,
    "عربي": ARABIC,
    "中文": CHINESE,
    "..": OVERRIDE,
    "a\"b'c": "x" * 3000,
}
COMMANDS = (
    ("ingest", "{rows}", "--text-field", "text", "--id-field", "id", "--field", "module",
     "--field", "big:INT64", "--embedder", "local"),
    ("run", "--runs-dir", "{runs}", "--min-cluster-size", "10", "--explain", "--text-field", "text",
     "--mark-duplicates", "--yes"),
)  # fmt: skip


def rows() -> list[dict[str, Any]]:
    """Keys are texts; ``big`` is beyond what a double holds exactly."""
    docs = standard_library_docs()
    found = [
        {"id": doc.key, "text": doc.text, "module": doc.module}
        for module in MODULES
        for doc in [doc for doc in docs if doc.module == module][:EACH]
    ]
    copied = [{**row, "id": f"copy of {row['id']}"} for row in found[:6]]
    found += copied + [{"id": k, "text": t, "module": "hostile"} for k, t in HOSTILE.items()]
    return [{**row, "big": 9007199254740993 + place} for place, row in enumerate(found)]


def fill(folder: Path) -> None:
    """Ingest, cluster, explain and draw a map, in ``folder``; raises if a command fails."""
    table = folder / "rows.jsonl"
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows()), encoding="utf-8")
    for command in COMMANDS:
        parts = [part.format(rows=table, runs=folder / "runs") for part in command]
        where = ["--uri", str(folder / "docs.db"), "-c", NAME]
        done = vdbcluster(folder, *parts, *where)
        assert done.returncode == 0, done.stdout + done.stderr
    _lay_out(RunDirectory(folder / "runs"))


def _lay_out(runs: RunDirectory) -> None:
    """A map without UMAP, which starts slowly: each cluster a disc of its own, noise between."""
    (run_id,) = runs.ids()
    labels = runs.load_arrays(run_id)["cluster_id"]
    turn = 2 * np.pi * labels / (labels.max() + 1)
    middles = np.where(labels[:, None] < 0, 0, 5 * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    spread = np.random.default_rng(0).normal(0, 0.8, (len(labels), 2))
    keep_layout(runs, run_id, MapLayout((middles + spread).astype(np.float32)))


class Served:
    """One process of ``vdbcluster serve``; ``url`` stays the same when it starts again."""

    def __init__(self, folder: Path, *options: str, token: str = "") -> None:
        self.folder, self.options, self.token = folder, options, token
        self.uri = str(folder / "docs.db")
        self.port = backends.free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "vdbcluster.cli.main", "serve", "--uri", self.uri]
        command += ["-c", NAME, "--runs-dir", str(self.folder / "runs"), "--embedder", "local"]
        environment = os.environ | {"VDBCLUSTER__SERVE__ACCESS_TOKEN": self.token}
        if not self.token:
            del environment["VDBCLUSTER__SERVE__ACCESS_TOKEN"]
        log = (self.folder / "serve.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), *self.options],
                cwd=self.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        process = self._process
        assert process is not None
        while process.poll() is None:
            with suppress(URLError, OSError), urlopen(f"{self.url}api/health", timeout=5):
                return
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        raise AssertionError((self.folder / "serve.log").read_text())

    def stop(self) -> None:
        """The Lite file is free afterwards."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def rows(self, name: str, expression: str) -> list[dict[str, Any]]:
        """By plain pymilvus, after ``stop``; the file is free afterwards."""
        with lite(Path(self.uri)) as client:
            client.load_collection(name)
            found = client.query(name, expression, output_fields=["*"], limit=1000)
            return [dict(row) for row in found]


@contextmanager
def serving(folder: Path, *options: str, token: str = "") -> Iterator[Served]:
    served = Served(folder, *options, token=token)
    served.start()
    try:
        yield served
    finally:
        served.stop()
