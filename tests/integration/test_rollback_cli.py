"""``vdbcluster rollback`` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.in_process import vdbcluster
from tests.integration.test_cli import database  # noqa: F401 - a fixture


def test_a_run_is_taken_back(database: Path, tmp_path: Path) -> None:  # noqa: F811
    where = ["--uri", str(database)]
    made = vdbcluster(tmp_path, "run", *where, "-c", "docs", "--yes", "--json")
    assert made.returncode == 0, made.stderr
    run = json.loads(made.stdout)["run_id"]
    written = json.loads(made.stdout)["facts"]["write"]["written"]
    assert written > 0

    looked = vdbcluster(tmp_path, "rollback", run, *where, "--dry-run", "--json")
    told = json.loads(looked.stdout)
    assert (looked.returncode, told["state"], told["dry_run"]) == (0, "written", True)
    assert told["rollback"]["erased"] == written

    back = vdbcluster(tmp_path, "rollback", "last", *where)
    assert (back.returncode, back.stderr.count("vdbcluster:")) == (0, 0)
    assert f"run {run} of 'docs': put back" in back.stdout
    assert f"{written:,} rows had no label before, and have none again" in back.stdout

    again = vdbcluster(tmp_path, "rollback", run, *where)
    assert (again.returncode, f"run {run} is rolled back already" in again.stderr) == (0, True)
    none = vdbcluster(tmp_path, "rollback", "last", *where)
    assert (none.returncode, none.stdout) == (2, "")
    assert "no run here has written labels" in none.stderr
