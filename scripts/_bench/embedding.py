"""The embedding path against an endpoint of fixed latency, and the memory of an ingest.

In: an address, numbers of requests or rows. Out: seconds, megabytes. Promise: whole ingests, from
the file to the last row stored; the endpoint is a real HTTP server that answers each request after
the same time, so one request at a time is the plain client in a loop.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from scripts._bench.process import run

BATCH = 64
NAME = "bench_embedding"


def write_texts(path: Path, rows: int) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(
            [i, f"The text of row {i}, which is about something."] for i in range(rows)
        )
    return path


def seconds_by_concurrency(
    uri: str, folder: Path, requests: int, latency: float, concurrencies: tuple[int, ...]
) -> dict[int, float]:
    """Seconds of an ingest of ``requests`` batches, by how many requests are under way at once."""
    from tests.fault_server import FaultServer
    from vdbcluster.adapters.milvus.client import MilvusAddress, connect
    from vdbcluster.adapters.quiet import QuietObserver
    from vdbcluster.config.settings import load_settings
    from vdbcluster.wiring.ingest import ingest_job

    texts = write_texts(folder / "texts.csv", requests * BATCH)
    found: dict[int, float] = {}
    with FaultServer(latency=latency) as server:
        for concurrency in concurrencies:
            name = f"{NAME}_{concurrency}"
            given: dict[str, dict[str, Any]] = {
                "milvus": {"uri": uri, "collection": name},
                "source": {"id_field": "id"},
                "embed": {
                    "base_url": server.url,
                    "model": "m",
                    "batch": BATCH,
                    "concurrency": concurrency,
                    "cache": "none",
                },
                "run": {"runs_dir": folder / "runs"},
            }
            start = time.perf_counter()
            report = ingest_job(str(texts), load_settings(given), QuietObserver()).report
            found[concurrency] = time.perf_counter() - start
            if report.stored != requests * BATCH:
                raise SystemExit(f"{report.stored:,} of {requests * BATCH:,} rows are there")
            with connect(MilvusAddress(uri)) as milvus:
                milvus.ask("dropping", lambda client, _, name=name: client.drop_collection(name))
    return found


def peak_megabytes(uri: str, folder: Path, rows: int, limit: float) -> float:
    """Peak resident memory of `vdbcluster ingest` with vectors of 384 dimensions, on a server."""
    vectors = np.lib.format.open_memmap(
        folder / f"{rows}.npy", mode="w+", dtype=np.float32, shape=(rows, 384)
    )
    rng = np.random.default_rng(0)
    for start in range(0, rows, 10_000):
        part = vectors[start : start + 10_000]
        part[:] = rng.standard_normal(part.shape, np.float32)
    vectors.flush()
    del vectors
    name = f"bench_memory_{rows}"
    command = [sys.executable, "-m", "vdbcluster.cli.main", "ingest", str(folder / f"{rows}.npy")]
    options = [f"--uri={uri}", f"--collection={name}", f"--runs-dir={folder / 'runs'}"]
    ended = run([*command, *options], limit, folder)
    (folder / f"{rows}.npy").unlink()
    if ended.code:
        raise SystemExit(f"ingest of {rows:,} rows: {ended.err[-500:]}")
    return ended.peak_mb
