"""Several processes work on one graph, and one of them is lost.

In a process of its own: dask leaves sockets to the end of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.crew_runs import said_by
from vdbcluster.adapters.dask_workers import dask_workers
from vdbcluster.errors import UsageError


@pytest.mark.slow
def test_a_lost_worker_changes_no_label(tmp_path: Path) -> None:
    said = said_by("dask_child", tmp_path / "pieces", 240)
    assert said[0] == "killed 1"
    assert int(said[1].split()[1]) > 2
    assert said[2:] == [
        "same True",
        "same True",
        "raised what the work raises",
        "said once",
    ]


@pytest.mark.slow
def test_no_scheduler_is_one_line() -> None:
    child = (
        "from vdbcluster.adapters.dask_workers import dask_workers\n"
        "with dask_workers(scheduler='tcp://127.0.0.1:9'): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", child], capture_output=True, text=True, timeout=120, check=False
    )
    assert "UsageError: no dask scheduler answers at tcp://127.0.0.1:9" in done.stderr


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="extra cluster"), dask_workers(processes=1):
        pass
