"""Several processes work on one graph, and one of them is suspended: it answers nobody.

In a process of its own: dask leaves sockets to the end of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.crew_runs import said_by


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_suspended_worker_changes_no_label_and_holds_nothing_up(tmp_path: Path) -> None:
    said = said_by("straggler_child", tmp_path / "pieces", 120)
    assert said[:3] == ["same True", "same True", "1 avoided, state T"]
    assert said[5] == "state gone"
    # Dask itself waits five minutes for such a worker.
    assert float(said[3].split()[-1]) < 60
    assert float(said[4].split()[-1]) < 60
