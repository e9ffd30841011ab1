"""Runs on the command line with workers, and what they have planned.

In: a folder, arguments of ``vdbcluster``. Out: the process; the plan that it has recorded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from pymilvus import MilvusClient

from tests import data, plain
from vdbcluster.adapters.runs import RunDirectory

TIMEOUT = 500
ROOT = Path(__file__).parents[2]


def database_of(folder: Path, name: str, rows: int) -> Path:
    """A Lite file of the first rows of a real set, made by a process of its own."""
    data.file(name)
    path = folder / "real.db"
    code = "import sys; from tests.integration.crew_runs import fill; fill(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, str(path), name, str(rows)], check=True)
    return path


def fill(path: str, name: str, rows: str) -> None:
    """The collection ``docs`` of a Lite file, some of its ids negative."""
    client, vectors = MilvusClient(path), data.embeddings(name)[: int(rows)]
    plain.create(client, "docs", vectors.shape[1])
    plain.insert(client, "docs", vectors, first=-500)


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """``vdbcluster`` with these arguments, records in ``folder/runs``."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "vdbcluster.cli.main", *arguments, "--runs-dir", "runs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("VDBCLUSTER__")},
    )


def run(folder: Path, *arguments: str) -> str:
    """The same to its end, which must be good; what it said on the way."""
    process = begin(folder, *arguments)
    _, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, told
    return told


def said_by(child: str, folder: Path, timeout: float) -> list[str]:
    """The lines that a module of these tests prints in a process of its own, which ends well."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.integration.{child}", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def plan(folder: Path) -> dict[str, NDArray[Any]]:
    """What the newest run of ``folder`` would write or has written, by name; ids of runs apart."""
    runs = RunDirectory(folder / "runs")
    arrays = runs.load_arrays(max(run.run_id for run in runs.every()))
    return {name: array for name, array in arrays.items() if "run_ids" not in name}


def same(found: dict[str, NDArray[Any]], whole: dict[str, NDArray[Any]]) -> None:
    """To the last bit."""
    assert found.keys() == whole.keys()
    for name, array in whole.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f"), name


def pieces(folder: Path, pattern: str) -> list[Path]:
    """Finished pieces below the work folder of ``folder``."""
    return list((folder / "runs" / "work").glob(f"*/{pattern}"))


def wait_for_piece(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Until there is one; the run must not have ended before."""
    deadline = time.monotonic() + TIMEOUT
    while not pieces(folder, pattern):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Processes that work for a run."""
    below = psutil.Process(process.pid).children(recursive=True)
    return [child for child in below if "spawn_main" in " ".join(child.cmdline())]
